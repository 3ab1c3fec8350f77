"""A worker process: what a page needs that no GPU does, one job after the other.

Started as `python -m gpu_image.engines.doctr.worker ARENA SLOTS SIDE PIPE` by `workers`, with
the descriptors of the arena and of its end of the pipe. Takes jobs until the other end is
closed, which is also how it ends when the engine's process dies. Never loads Torch.

A file that crashes or fills its parser takes only this process with it: a new one is
started, and the page alone has failed.
"""

import resource
import sys
from collections import OrderedDict
from contextlib import ExitStack, suppress
from multiprocessing.connection import Connection
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from gpu_image.blank import ink_of, without_dirt
from gpu_image.engines.doctr.arena import THUMBNAIL_PIXELS, Arena
from gpu_image.engines.doctr.boxes import Boxes, find_boxes
from gpu_image.engines.doctr.crops import Cut, TooManyWords, cut_words
from gpu_image.engines.doctr.frame import Frame
from gpu_image.engines.doctr.jobs import (
    HELLO,
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
from gpu_image.layout import FoundWord, page_text
from rendering.pages import Document, open_document
from schema.failures import BadInput
from schema.ocr import PageText

MOST_BYTES = 3 << 30
"""Memory of its own that a worker may take."""

IDLE_SECONDS = 2.0
"""After so long without a job, files are closed."""

FILES_KEPT_OPEN = 2
"""Opening a file of a thousand scans takes longer than drawing one of its pages."""


class _Files:
    """The files used last, open."""

    def __init__(self) -> None:
        self._open: OrderedDict[tuple[Path, int, int], tuple[Document, ExitStack]] = OrderedDict()

    def document(self, file: Path, media_type: str) -> Document:
        stat = file.stat()
        key = (file, stat.st_ino, stat.st_mtime_ns)
        if key not in self._open:
            self.close(keep=FILES_KEPT_OPEN - 1)
            stack = ExitStack()
            self._open[key] = (stack.enter_context(open_document(file, media_type)), stack)
        self._open.move_to_end(key)
        return self._open[key][0]

    def close(self, *, keep: int = 0) -> None:
        """Close all but the `keep` used last."""
        while len(self._open) > keep:
            _, (_, closing) = self._open.popitem(last=False)
            closing.close()


class Worker:
    """Does jobs on the slots of an arena."""

    def __init__(self, arena: Arena) -> None:
        self._arena = arena
        self._files = _Files()

    def forget_files(self) -> None:
        """Close what is open: the documents of a lease are gone when it was read."""
        self._files.close()

    def do(self, job: Job) -> Answer:
        """The job's answer; `Trouble` whatever goes wrong with it."""
        try:
            match job:
                case Render():
                    return self._render(job)
                case Turn():
                    return self._turn(job)
                case CutWords():
                    return self._cut(job)
                case Arrange():
                    return _arrange(job)
        except (BadInput, TooManyWords) as unreadable:
            return Trouble(str(unreadable))
        except FileNotFoundError:
            return Trouble("The file is not there any more.")
        except Exception as bug:  # noqa: BLE001 - one odd page must not cost the others
            return Trouble(f"The page could not be read ({type(bug).__name__}).")

    def _render(self, job: Render) -> Drawn:
        page = self._files.document(job.file, job.media_type).page(job.page)
        height, width = page.shape[:2]
        slot = self._arena.slot(job.slot)
        slot.pixels(height, width)[:] = page
        frame = Frame(width, height, self._arena.side)
        frame.place(page, slot.square)
        # Of the square, not of the page: a tenth of the work, and the net says the same.
        small = (THUMBNAIL_PIXELS, THUMBNAIL_PIXELS)
        thumbnail = Image.fromarray(slot.square).resize(small, Image.Resampling.BILINEAR)
        slot.thumbnail[:] = np.asarray(thumbnail)
        return Drawn(height, width, ink_of(frame.inside(slot.square)))

    def _turn(self, job: Turn) -> Size:
        slot = self._arena.slot(job.slot)
        page = np.ascontiguousarray(np.rot90(slot.pixels(job.height, job.width), -job.quarters))
        height, width = page.shape[:2]
        slot.pixels(height, width)[:] = page
        Frame(width, height, self._arena.side).place(page, slot.square)
        return Size(height, width)

    def _cut(self, job: CutWords) -> Cut:
        slot = self._arena.slot(job.slot)
        boxes = find_boxes(slot.text_map, job.rules)
        on_page = Frame(job.width, job.height, self._arena.side).to_page(boxes.corners)
        page = slot.pixels(job.height, job.width)
        return cut_words(page, Boxes(on_page, boxes.straight), slot.crops)


def _arrange(job: Arrange) -> PageText:
    words = [
        FoundWord(text.strip(), quad, confidence)
        for text, quad, confidence in zip(job.texts, job.corners, job.confidences, strict=True)
        if text.strip()
    ]
    found, is_blank = without_dirt(words, job.ink)
    return page_text(
        found,
        width_pixels=job.width,
        height_pixels=job.height,
        # Nothing says which way up an empty page is.
        rotation_degrees=job.rotation_degrees if found else 0,
        engine=job.engine,
        seconds=job.seconds,
        is_blank=is_blank,
    )


def main() -> int:
    """Do jobs until the pipe is closed."""
    arena, slots, side, pipe = (int(argument) for argument in sys.argv[1:5])
    # There is one process for each core: a second thread in any of them is in the way.
    cv2.setNumThreads(1)
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_BYTES, MOST_BYTES))
    worker = Worker(Arena(slots, side, arena))
    gone = (EOFError, BrokenPipeError, ConnectionResetError, KeyboardInterrupt)
    with suppress(*gone), Connection(pipe) as connection:
        connection.send(HELLO)
        while True:
            if not connection.poll(IDLE_SECONDS):
                worker.forget_files()
            connection.send(worker.do(connection.recv()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
