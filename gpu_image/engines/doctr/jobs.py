"""What worker processes do for a page, as messages: each job, and what is answered to it.

A job is done on a slot of the arena, which holds the page; the message says the rest.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gpu_image.blank import Ink
from gpu_image.engines.doctr.boxes import BoxRules
from gpu_image.engines.doctr.crops import Cut
from schema.ocr import PageText


@dataclass(frozen=True, slots=True)
class Render:
    """Draw the page into the slot, with the detector's square and the thumbnail."""

    slot: int
    file: Path
    media_type: str
    page: int


@dataclass(frozen=True, slots=True)
class Turn:
    """Turn the slot's page by quarters, clockwise, and make the square again."""

    slot: int
    height: int
    width: int
    quarters: int


@dataclass(frozen=True, slots=True)
class Size:
    """The answer to `Turn`: what the slot's page measures, in pixels."""

    height: int
    width: int


@dataclass(frozen=True, slots=True)
class Drawn:
    """The answer to `Render`: what the slot's page measures, in pixels, and what is on it."""

    height: int
    width: int
    ink: Ink


@dataclass(frozen=True, slots=True)
class CutWords:
    """Find the words in the slot's map and cut them out of its page; the answer is a `Cut`."""

    slot: int
    height: int
    width: int
    rules: BoxRules


@dataclass(frozen=True, slots=True)
class Arrange:
    """Put words in reading order; the answer is a `PageText`. The slot is not looked at."""

    corners: NDArray[np.float64]
    """(words, 4, 2) in pixels of the upright page."""
    texts: list[str]
    confidences: list[float]
    height: int
    width: int
    """Of the page as rendered."""
    ink: Ink
    rotation_degrees: int
    engine: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Trouble:
    """The answer when a job cannot be done: the reason, for the page's owner."""

    reason: str


HELLO = "ready"
"""What a worker process says before its first job."""

Job = Render | Turn | CutWords | Arrange
Answer = Drawn | Size | Cut | PageText | Trouble
