"""Read the pages of leases: engine in threads, results handed in while it goes on."""

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import Any, Protocol
from uuid import UUID

from gpu_image.engines import OcrEngine, PageRef
from gpu_image.session import REPORT_PAGES, REPORT_SECONDS, FetchedLease, Session
from schema.failures import Failure, Stage
from schema.ocr import PageText

Outcome = tuple[UUID, int, PageText | Failure]


class Start(Protocol):
    """Starts to read a lease; returns when there is room for one more."""

    async def __call__(self, read: Coroutine[Any, Any, object], /) -> None:
        """Start it, and wait if it is one more than can usefully be read at once."""
        ...


@asynccontextmanager
async def several_at_once(most: int) -> AsyncGenerator[Start]:
    """Read up to `most` leases at the same time; leaving waits for all.

    The first that fails ends the others, and its error is raised.
    """
    room = asyncio.Semaphore(most)

    async def until_done(read: Coroutine[Any, Any, object]) -> None:
        try:
            await read
        finally:
            room.release()

    try:
        async with asyncio.TaskGroup() as leases:

            async def start(read: Coroutine[Any, Any, object]) -> None:
                await room.acquire()  # at hand, as the last start has waited for it
                leases.create_task(until_done(read))
                async with room:
                    pass

            yield start
    except ExceptionGroup as errors:
        # What ended the session itself comes last, and is told before what it ended.
        raise errors.exceptions[-1] from None


async def read_lease(engine: OcrEngine, session: Session, fetched: FetchedLease) -> int:
    """Read and report every page of the lease; return how many pages were reported.

    Stops early when the lease was lost: those pages are somebody else's now. Raises
    what is no page's fault, after which nothing more is reported.
    """
    reports = _Reports(session, fetched)
    with session.holding(fetched):
        async with _read_in_thread(engine, fetched) as outcomes:
            try:
                while (outcome := await reports.next_of(outcomes)) is not None:
                    if not session.holds(fetched):
                        break
                    await reports.add(outcome)
                await reports.finish()
            finally:
                reports.give_up()
    return reports.pages


@asynccontextmanager
async def _read_in_thread(
    engine: OcrEngine, fetched: FetchedLease
) -> AsyncGenerator["asyncio.Queue[Outcome | None]"]:
    """What the engine says of each page, as it says it; None at the end.

    An error of the engine is raised at the end. Left early, the engine is told to stop,
    and has stopped when this is left.
    """
    loop = asyncio.get_running_loop()
    outcomes: asyncio.Queue[Outcome | None] = asyncio.Queue()
    stop = threading.Event()

    def read() -> None:
        for outcome in _outcomes(engine, fetched, stop):
            loop.call_soon_threadsafe(outcomes.put_nowait, outcome)

    reading = asyncio.create_task(asyncio.to_thread(read))
    reading.add_done_callback(lambda _: outcomes.put_nowait(None))
    try:
        yield outcomes
    finally:
        stop.set()
        # Not cancelled: a thread cannot be. It looks at `stop` after a page at the latest.
        await asyncio.wait({reading})
        error = reading.exception()
    if error is not None:
        raise error


class _Reports:
    """Outcomes on their way to the gateway: a few at a time, one report after the other."""

    def __init__(self, session: Session, fetched: FetchedLease) -> None:
        self.pages = 0
        self._session, self._fetched = session, fetched
        self._waiting: list[Outcome] = []
        self._oldest = 0.0
        self._sending: asyncio.Task[None] | None = None
        self._urgent = {
            document.document_id for document in fetched.lease.documents if document.urgent
        }

    async def next_of(self, outcomes: "asyncio.Queue[Outcome | None]") -> Outcome | None:
        """The next outcome; what waits to be handed in does not wait for it too long."""
        if self._waiting:
            due = self._oldest + REPORT_SECONDS - time.monotonic()
            try:
                return await asyncio.wait_for(outcomes.get(), max(due, 0.0))
            except TimeoutError:
                await self._send()
        return await outcomes.get()

    async def add(self, outcome: Outcome) -> None:
        """Hand in the outcome, together with others unless somebody waits for it."""
        if not self._waiting:
            self._oldest = time.monotonic()
        self._waiting.append(outcome)
        if len(self._waiting) >= REPORT_PAGES or outcome[0] in self._urgent:
            await self._send()

    async def finish(self) -> None:
        """Hand in the rest, and wait until all is taken; nothing if the lease was lost."""
        if self._waiting and self._session.holds(self._fetched):
            await self._send()
        if self._sending is not None:
            await self._sending

    def give_up(self) -> None:
        """End a report that nobody waits for any more."""
        if self._sending is not None:
            self._sending.cancel()

    async def _send(self) -> None:
        """Begin a report; an error of the one before it is raised here."""
        if self._sending is not None:
            await self._sending
        self.pages += len(self._waiting)
        self._sending = asyncio.create_task(self._session.report(self._fetched, self._waiting))
        self._waiting = []


def _outcomes(engine: OcrEngine, fetched: FetchedLease, stop: threading.Event) -> Iterator[Outcome]:
    """What the engine says of each page; those that could not be fetched come first."""
    left: dict[PageRef, UUID] = {}
    for document in fetched.lease.documents:
        for page in document.pages:
            if document.document_id in fetched.missing:
                yield document.document_id, page, _download_failure(page)
                continue
            path = fetched.path(document)
            left[PageRef(path, document.media_type, page, document.urgent)] = document.document_id
    for ref, outcome in engine.read(list(left), stop=stop):
        yield left.pop(ref), ref.page, outcome
    if stop.is_set():
        return
    for ref, document_id in left.items():
        reason = "The engine gave no result for this page."
        failure = Failure(stage=Stage.READ, reason=reason, retry_helps=False, page=ref.page)
        yield document_id, ref.page, failure


def _download_failure(page: int) -> Failure:
    return Failure(
        stage=Stage.READ,
        reason="The host could not download the document.",
        retry_helps=True,
        page=page,
    )
