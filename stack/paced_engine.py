"""An OCR engine double that reads nothing, at the pace of a rented GPU and without its CPU cost.

For benches and tests of everything around the engine. Chosen like any engine, by its
name (`paced`) in the settings, so the code around it does not know.
"""

import os
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from gpu_image.engines import Outcome, PageRef
from schema.ocr import PageText, Word

PAGES_PER_SECOND = float(os.environ.get("ASEAGI_PACED_PAGES_PER_SECOND", "15"))


class PacedEngine:
    """Answers each page with a fixed sentence, no faster than `PAGES_PER_SECOND`."""

    name = "paced double"
    reads_at_once = 1

    def __init__(self) -> None:
        self._free_at = 0.0

    def read(
        self, pages: Sequence[PageRef], *, stop: threading.Event | None = None
    ) -> Iterator[Outcome]:
        """Yield a result for each page when a GPU would have had it."""
        for ref in pages:
            if stop is not None and stop.is_set():
                return
            now = time.monotonic()
            self._free_at = max(self._free_at, now) + 1 / PAGES_PER_SECOND
            time.sleep(self._free_at - now)
            yield ref, _page(ref.file, ref.page)


def _page(file: Path, page: int) -> PageText:
    text = f"LETTER\nDear reader, this is page {page} of {file.name}, dated March 3, 2024."
    words = [
        Word(
            text=word,
            quad=((0.1, 0.1), (0.2, 0.1), (0.2, 0.12), (0.1, 0.12)),
            confidence=1.0,
            line=0,
        )
        for word in text.split()
    ]
    return PageText(
        text=text,
        words=words,
        width_pixels=1000,
        height_pixels=1400,
        engine=PacedEngine.name,
        seconds=1 / PAGES_PER_SECOND,
    )
