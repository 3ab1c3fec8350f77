"""The engine: pages of any documents in, texts out, all stages at work at the same time.

A page's way, and who does each step:

    intake       waits for a slot, urgent pages first          (the caller's thread)
    render       pixels, square, thumbnail into the slot       (a worker process)
                 a blank page goes on to `arrange` from here
    orientation  which way up; turned by a worker if need be   (a thread and the GPU)
    detection    a map of where text is, into the slot         (a thread and the GPU)
    cut          boxes from the map, crops into the slot       (a worker process)
    recognition  crops of all pages, in full batches          (a thread and the GPU)
    arrange      words in reading order; the slot is free      (a worker process)

What holds it together: a page has a slot from `render` to its end, and there are few. So
memory is bounded whatever is asked for, and the stages behind never overrun those before.
Each step either hands the page on or ends it, and only `_end` ends it: it gives the slot
back, starts the next page, and tells the caller. A caller who went away is told nothing;
its pages are dropped at their next step, but crops that wait for a batch go with it.

What is not one page's fault ends the engine, not the page: a device that fails, worker
processes that cannot be started, a bug in a step. Everybody who reads is told so, reports
nothing of what is left, and the pages return to the queue for another host.
"""

import heapq
import itertools
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np

from gpu_image.blank import Ink
from gpu_image.cores import usable_cores
from gpu_image.engines import Outcome, PageRef
from gpu_image.engines.doctr.arena import CROP_HEIGHT, CROP_WIDTH, Arena, Slot
from gpu_image.engines.doctr.boxes import Map
from gpu_image.engines.doctr.crops import Cut, joined
from gpu_image.engines.doctr.jobs import (
    Answer,
    Arrange,
    CutWords,
    Drawn,
    Job,
    Render,
    Size,
    Trouble,
    Turn,
)
from gpu_image.engines.doctr.nets import Nets, Pending, Read, merge_texts
from gpu_image.engines.doctr.queues import CropPool, PageQueue
from gpu_image.engines.doctr.stage import Stage
from gpu_image.engines.doctr.workers import WorkerPool
from schema.failures import Failure
from schema.failures import Stage as FailureStage
from schema.ocr import PageText

STALLED_SECONDS = 600.0
"""If no page at all is done for so long, the device or the engine is stuck."""

LOOK_SECONDS = 0.5
"""How soon a reader that is told to stop does."""

MOST_WORKERS = 16
"""A core draws and cuts ten dense pages a second: enough for any card there is."""

CLOSE_SECONDS = 10.0

RETURN_FROM_BYTES = 32 << 20
"""A slot in which a page filled more than this gives its memory back to the system."""


UNKNOWN = Ink(marks=1, dust=0, largest_pixels=1 << 20)
"""What is on a page before it was looked at."""

NO_WORDS = Cut(np.empty((0, 4, 2)), [], 0)


class EngineBroken(Exception):
    """Nothing more can be read with this engine: its device, its processes or it are at fault.

    No page is. What was leased returns to the queue by itself, for another host.
    """


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is done at a time."""

    workers: int
    slots: int
    pages: int
    """Most pages in one batch of detection."""
    thumbnails: int
    crops: int
    """Most crops in one batch of recognition."""

    @classmethod
    def for_machine(cls, *, cuda: bool) -> "Sizes":
        """What keeps the nets busy. Out of memory, batches become smaller by themselves."""
        cores = usable_cores()
        if not cuda:
            # The nets take all cores; one process is enough to keep pages ready for them.
            return cls(
                workers=max(1, cores // 4), slots=4 + cores // 4, pages=1, thumbnails=4, crops=64
            )
        workers = min(max(2, cores - 2), MOST_WORKERS)
        return cls(workers=workers, slots=workers + 32, pages=8, thumbnails=32, crops=512)


@dataclass(slots=True)
class _Call:
    """One call of `read`: where its outcomes go."""

    outcomes: queue.SimpleQueue[Outcome | None] = field(
        default_factory=queue.SimpleQueue[Outcome | None]
    )
    """None wakes the reader up to look around."""
    gone: bool = False


@dataclass(slots=True)
class _Page:
    """A page in flight. One thread at a time has it: whoever does its present step."""

    ref: PageRef
    call: _Call
    slot: Slot
    started: float
    height: int = 0
    width: int = 0
    """Of the page as it lies in the slot: upright, once that is known."""
    ink: Ink = UNKNOWN
    quarters: int = 0
    cut: Cut | None = None
    read: list[Read] = field(default_factory=list[Read])
    unread: int = 0
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class _Crop:
    """One crop of a page on its way to the recogniser."""

    page: _Page
    index: int


class DoctrEngine:
    """Reads pages with docTR's nets, on CUDA where there is one; see `OcrEngine`.

    Needs the extra `gpu`. Close it to end its processes; they end with this one, too.
    """

    TAKES_MODELS = True
    reads_at_once = 3

    def __init__(
        self, models: str = "", *, sizes: Sizes | None = None, nets: Nets | None = None
    ) -> None:
        self._nets = nets or Nets(models)
        self.name = self._nets.name
        sizes = sizes or Sizes.for_machine(cuda=self._nets.cuda)
        self._arena = Arena(sizes.slots, self._nets.side)
        self._slots = [self._arena.slot(number) for number in range(sizes.slots)]
        self._lock = threading.Lock()
        self._intake: list[tuple[bool, int, PageRef, _Call]] = []
        self._calls: list[_Call] = []
        self._numbers = itertools.count()
        self._broken: Exception | None = None
        self._last_end = self._last_arranged = time.monotonic()
        self._workers = WorkerPool(sizes.workers, self._arena, broken=self._break)
        self._thumbnails: PageQueue[_Page] = PageQueue()
        self._squares: PageQueue[_Page] = PageQueue()
        self._crops: CropPool[_Crop] = CropPool()
        self._stages = (
            Stage(
                "orientation",
                self._thumbnails,
                self._orient,
                done=self._oriented,
                failed=self._failed,
                broken=self._break,
                batch=sizes.thumbnails,
            ),
            Stage(
                "detection",
                self._squares,
                self._detect,
                done=self._detected,
                failed=self._failed,
                broken=self._break,
                batch=sizes.pages,
            ),
            Stage(
                "recognition",
                self._crops,
                self._recognise,
                done=self._recognised,
                failed=self._crop_failed,
                broken=self._break,
                batch=sizes.crops,
            ),
        )

    @property
    def free_slots(self) -> int:
        """How many more pages could be begun now."""
        return len(self._slots)

    def read(
        self, pages: Sequence[PageRef], *, stop: threading.Event | None = None
    ) -> Iterator[Outcome]:
        """Yield pages as they are done; see `OcrEngine.read`. Raises `EngineBroken`."""
        call = _Call()
        with self._lock:
            self._last_end = time.monotonic()
            self._calls.append(call)
            for ref in pages:
                heapq.heappush(self._intake, (not ref.urgent, next(self._numbers), ref, call))
        self._begin_pages()
        try:
            for _ in pages:
                outcome = self._next_outcome(call, stop)
                if outcome is None:
                    return
                yield outcome
        finally:
            call.gone = True
            with self._lock:
                self._calls.remove(call)

    def close(self) -> None:
        """Stop the threads and processes. Whoever still reads is told `EngineBroken`."""
        self._break(RuntimeError("the engine was closed"))
        for stage in self._stages:
            stage.close(CLOSE_SECONDS)
        self._workers.close()
        self._arena.close()

    def _next_outcome(self, call: _Call, stop: threading.Event | None) -> Outcome | None:
        """The next outcome; None if told to stop."""
        while stop is None or not stop.is_set():
            if self._broken is not None:
                raise EngineBroken(str(self._broken)) from self._broken
            with suppress(queue.Empty):
                outcome = call.outcomes.get(timeout=LOOK_SECONDS)
                if outcome is not None:
                    return outcome
            if time.monotonic() - self._last_end > STALLED_SECONDS:
                raise EngineBroken(f"no page was done for {STALLED_SECONDS:.0f} s")
        return None

    def _break(self, error: Exception) -> None:
        """Nothing more can be read here: whoever waits is told at once."""
        with self._lock:
            self._broken = self._broken or error
            for call in self._calls:
                call.outcomes.put(None)

    # ── a page's way ─────────────────────────────────────────────────────────────────────────

    def _begin_pages(self) -> None:
        """Give free slots to waiting pages."""
        while True:
            with self._lock:
                if not self._slots or not self._intake:
                    return
                _, _, ref, call = heapq.heappop(self._intake)
                if call.gone:
                    continue
                page = _Page(ref, call, self._slots.pop(), time.monotonic())
            self._crops.expect()
            job = Render(page.slot.number, ref.file, ref.media_type, ref.page)
            self._submit(page, job, self._rendered)

    def _rendered(self, page: _Page, answer: Answer) -> None:
        if isinstance(answer, Drawn):
            page.height, page.width, page.ink = answer.height, answer.width, answer.ink
            if page.ink.is_none:
                self._arrange(page, NO_WORDS)
                return
            waiting = self._thumbnails if self._nets.knows_orientation else self._squares
            waiting.put(page, urgent=page.ref.urgent)

    def _orient(self, pages: list[_Page]) -> Pending[int]:
        return self._nets.orient([page.slot.thumbnail for page in pages])

    def _oriented(self, page: _Page, quarters: int) -> None:
        page.quarters = quarters
        if page.call.gone:
            self._end(page, None)
        elif quarters:
            job = Turn(page.slot.number, page.height, page.width, quarters)
            self._submit(page, job, self._turned)
        else:
            self._squares.put(page, urgent=page.ref.urgent)

    def _turned(self, page: _Page, answer: Answer) -> None:
        if isinstance(answer, Size):
            page.height, page.width = answer.height, answer.width
            self._squares.put(page, urgent=page.ref.urgent)

    def _detect(self, pages: list[_Page]) -> Pending[Map]:
        return self._nets.maps([page.slot.square for page in pages])

    def _detected(self, page: _Page, text_map: Map) -> None:
        if page.call.gone:
            self._end(page, None)
            return
        page.slot.text_map[:] = text_map
        job = CutWords(page.slot.number, page.height, page.width, self._nets.rules)
        self._submit(page, job, self._cut)

    def _cut(self, page: _Page, answer: Answer) -> None:
        if isinstance(answer, Cut):
            page.cut = answer
            page.unread = answer.crops
            page.read = [("", 0.0)] * answer.crops
            crops = [_Crop(page, index) for index in range(answer.crops)]
            self._crops.put(crops, urgent=page.ref.urgent)
            if not crops:
                self._arrange(page, answer)

    def _recognise(self, crops: list[_Crop]) -> Pending[Read]:
        return self._nets.words([crop.page.slot.crops[crop.index] for crop in crops])

    def _recognised(self, crop: _Crop, read: Read) -> None:
        crop.page.read[crop.index] = read
        self._count_down(crop.page)

    def _crop_failed(self, crop: _Crop, error: Exception) -> None:
        crop.page.failure = _net_failure(crop.page, error)
        self._count_down(crop.page)

    def _count_down(self, page: _Page) -> None:
        """One crop less to read; the slot is not given away while any is."""
        page.unread -= 1
        if page.unread == 0 and page.cut is not None:
            if page.failure is not None or page.call.gone:
                self._end(page, page.failure)
            else:
                self._arrange(page, page.cut)

    def _arrange(self, page: _Page, cut: Cut) -> None:
        words = [joined(span, page.read, merge_texts) for span in cut.spans]
        with self._lock:
            # Many pages are in flight: what this one took is the time since the one before it.
            since = max(page.started, self._last_arranged)
            self._last_arranged = time.monotonic()
            seconds = self._last_arranged - since
        turned = page.quarters % 2 == 1
        job = Arrange(
            corners=cut.corners,
            texts=[text for text, _ in words],
            confidences=[confidence for _, confidence in words],
            height=page.width if turned else page.height,
            width=page.height if turned else page.width,
            ink=page.ink,
            rotation_degrees=90 * page.quarters,
            engine=self.name,
            seconds=seconds,
        )
        self._submit(page, job, self._arranged)

    def _arranged(self, page: _Page, answer: Answer) -> None:
        if isinstance(answer, PageText):
            self._end(page, answer)

    # ── how steps hand on, and how a page ends ───────────────────────────────────────────────

    def _submit(self, page: _Page, job: Job, then: Callable[[_Page, Answer], None]) -> None:
        """Have a worker do a page's next step, then `then` the one after it."""

        def answered(answer: Answer) -> None:
            if page.call.gone:
                self._end(page, None)
            elif isinstance(answer, Trouble):
                self._end(page, _failure(page, answer.reason, retry_helps=False))
            else:
                then(page, answer)

        # What is nearest to its end goes first: that is what frees slots.
        priority = (int(not page.ref.urgent), _ORDER.index(type(job)))
        self._workers.submit(job, priority, answered)

    def _failed(self, page: _Page, error: Exception) -> None:
        self._end(page, _net_failure(page, error))

    def _end(self, page: _Page, outcome: PageText | Failure | None) -> None:
        """The one place where a page ends: its slot is free, its caller knows."""
        if page.cut is None:
            self._crops.give_up()
        if _filled_bytes(page) > RETURN_FROM_BYTES:
            self._arena.give_back(page.slot.number)
        with self._lock:
            self._slots.append(page.slot)
            self._last_end = time.monotonic()
        if outcome is not None:
            page.call.outcomes.put((page.ref, outcome))
        self._begin_pages()


_ORDER: tuple[type[Job], ...] = (Arrange, CutWords, Turn, Render)


def _filled_bytes(page: _Page) -> int:
    """How much of its slot a page has filled; all of it for one that failed on the way there."""
    if page.height == 0:
        return RETURN_FROM_BYTES + 1
    crops = page.cut.crops if page.cut is not None else 0
    return 3 * (page.height * page.width + crops * CROP_HEIGHT * CROP_WIDTH)


def _failure(page: _Page, reason: str, *, retry_helps: bool) -> Failure:
    return Failure(
        stage=FailureStage.READ, reason=reason[:500], retry_helps=retry_helps, page=page.ref.page
    )


def _net_failure(page: _Page, error: Exception) -> Failure:
    """Another host may have more memory, or a GPU in better health."""
    reason = f"The page could not be read on this host ({type(error).__name__})."
    return _failure(page, reason, retry_helps=True)
