"""OCR engines: one interface, chosen by name.

An engine takes a document's file and the numbers of the pages wanted, and yields
each page's outcome as soon as it has it. A page it cannot read is that page's
failure, never the file's.
"""

from collections.abc import Iterator, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol

from schema.failures import Failure, Misconfigured
from schema.ocr import PageText

GROUP = "aseagi.engines"
"""Entry-point group in which packages offer engines under the name used in settings."""


class OcrEngine(Protocol):
    """Reads pages. Made once per session and kept resident; used from one thread at a time."""

    name: str
    """Engine and model as stored with every result, e.g. `rapidocr 3.10.0`."""

    def read(
        self, file: Path, media_type: str, pages: Sequence[int]
    ) -> Iterator[tuple[int, PageText | Failure]]:
        """Yield `(page number, outcome)` for each of `pages` (from 1), in any order.

        Raises `BadInput` when the file as a whole cannot be opened.
        """
        ...


def load_engine(name: str) -> OcrEngine:
    """Make the engine registered as `name`; loads its models, which takes seconds.

    Raises `Misconfigured` with the known names when there is none of that name, or
    when its packages are not installed.
    """
    found = {entry.name: entry for entry in entry_points(group=GROUP)}
    if name not in found:
        raise Misconfigured(f"No OCR engine is called {name!r}; known: {', '.join(sorted(found))}.")
    try:
        engine: OcrEngine = found[name].load()()
    except ModuleNotFoundError as missing:
        raise Misconfigured(
            f"The OCR engine {name!r} needs the package {missing.name!r}, which is not installed."
        ) from missing
    return engine
