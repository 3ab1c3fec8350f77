"""OCR engines: one interface, chosen by name.

An engine takes pages of any files, and yields each page's outcome as soon as it has it.
A page it cannot read is that page's failure, never the others'.
"""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol

from schema.failures import Failure, Misconfigured
from schema.ocr import PageText

GROUP = "aseagi.engines"
"""Entry-point group in which packages offer engines under the name used in settings."""


@dataclass(frozen=True, slots=True)
class PageRef:
    """A page to read: where its file lies, what it is, which page of it (from 1)."""

    file: Path
    media_type: str
    page: int
    urgent: bool = False
    """Somebody waits for this page: it is read before what came earlier."""


Outcome = tuple[PageRef, PageText | Failure]


class OcrEngine(Protocol):
    """Reads pages. Made once per session and kept resident."""

    @property
    def name(self) -> str:
        """Engine and models as stored with every result, e.g. `rapidocr 3.10.0`."""
        ...

    @property
    def reads_at_once(self) -> int:
        """How many calls of `read` at the same time keep it busy."""
        ...

    def read(
        self, pages: Sequence[PageRef], *, stop: threading.Event | None = None
    ) -> Iterator[Outcome]:
        """Yield an outcome for each of `pages`, in any order.

        May be called from up to `reads_at_once` threads at the same time. When `stop` is
        set the iterator ends early: the pages not yet yielded are given up. Raises what
        is no page's fault; nothing is said of the pages left.
        """
        ...


def load_engine(setting: str) -> OcrEngine:
    """Make an engine: `NAME`, or `NAME:MODELS` for one that has several; loads models, for seconds.

    Raises `Misconfigured` with the known names when there is none of that name, when its
    packages are not installed, or when it knows no such models.
    """
    name, colon, models = setting.partition(":")
    found = {entry.name: entry for entry in entry_points(group=GROUP)}
    if name not in found:
        raise Misconfigured(f"No OCR engine is called {name!r}; known: {', '.join(sorted(found))}.")
    try:
        make = found[name].load()
    except ModuleNotFoundError as missing:
        raise Misconfigured(
            f"The OCR engine {name!r} needs the package {missing.name!r}, which is not installed."
        ) from missing
    if colon and not getattr(make, "TAKES_MODELS", False):
        raise Misconfigured(f"The OCR engine {name!r} has no choice of models: write {name!r}.")
    engine: OcrEngine = make(models) if colon else make()
    return engine
