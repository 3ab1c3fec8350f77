"""Whether there is anything on a page: ink, as against paper, dust and a scanner's noise.

A page that is certainly empty is not read at all: an engine would make words of its specks.
Certain is what the pixels say; every doubt is settled by reading. A page that was read and
gave no words is blank too when nothing on it is larger than a speck. A signature, a drawing
or a photograph is larger: such a page has no text, but is not blank.

How: the page is shrunk, which evens out noise, and compared with its own paper (the lighter
shades around each place, so that a shadow over a photo is paper too). What is darker than its
paper by far more than the noise is ink; what is as small as dust, lies along the edge of the
sheet, or is a punched hole, is not. Faint print is darker than its paper as well: the smallest
difference that counts is less than that of a carbon copy. On a dark page light is
ink.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from gpu_image.layout import FoundWord
from rendering.pages import Pixels

SIDE_PIXELS = 1024
"""The longer side on which ink is looked for: on a letter, small print is four pixels high.
That of the square in which docTR's detector sees a page, which is there already."""

LIGHT_PAPER = 160
"""The shade, of 255, from which on a page is certainly one of light paper."""

LEAST_CONTRAST = 18.0
"""Shades, of 255, that ink is darker than its paper."""

NOISES = 6.0
"""How many times the paper's own roughness ink must stand out."""

DUST_PIXELS = 3
"""A mark no wider and no higher than this is dust: a millimetre on a letter."""

SPECK_PIXELS = 8
FEW_MARKS = 40
"""Marks no larger (two millimetres on a letter) and no more may be dirt; a page number is
larger."""

NOISE_PIXELS = 26
DUSTY = 4
"""On a page with so many times more dust than marks they are noise, as faxes have it, though more
and larger: letters of a script that the engine does not know leave hardly any dust."""

HOLE_PIXELS = (14, 42)
"""How wide and high a punched hole is: four to eleven millimetres on a letter."""

HOLE_MARGIN = 0.12
"""As a share of the side: punched holes are so near the sheet's edge."""

EDGE = 0.015
"""As a share of the side: what lies so near the sheet's edge is the scanner's."""

LEAST_CHARACTER_CONFIDENCE = 0.8
"""A single letter that is less sure, alone among specks, is one of them."""


@dataclass(frozen=True, slots=True)
class Ink:
    """What on a page is not paper."""

    marks: int
    """Spots larger than dust."""
    dust: int
    largest_pixels: int
    """The longer side of the largest, where the page's longer side has `SIDE_PIXELS`."""

    @property
    def is_none(self) -> bool:
        """Whether the page is certainly empty."""
        return self.marks == 0

    @property
    def is_specks(self) -> bool:
        """Whether the page is empty if no words are found on it."""
        if self.dust >= DUSTY * self.marks:
            return self.largest_pixels <= NOISE_PIXELS
        return self.marks <= FEW_MARKS and self.largest_pixels <= SPECK_PIXELS


def ink_of(page: Pixels) -> Ink:
    """The ink on a page: ten milliseconds, and twenty more for one that must be shrunk.

    On a page that is dark (a negative, a slide) what is lighter counts, if nothing is darker.
    """
    gray = _small(page)
    ink = _darker_ink(gray)
    if ink.is_none and np.median(gray) < LIGHT_PAPER:
        return _darker_ink(np.asarray(255 - gray, dtype=np.uint8))
    return ink


def _darker_ink(gray: NDArray[np.uint8]) -> Ink:
    darker = np.asarray(cv2.subtract(_paper(gray), gray), dtype=np.uint8)
    usual, rough = _middle_and_spread(darker)
    ink = (darker > usual + max(LEAST_CONTRAST, NOISES * rough)).astype(np.uint8)
    edge_y, edge_x = (math.ceil(EDGE * side) for side in ink.shape)
    ink[:edge_y] = ink[-edge_y:] = 0
    ink[:, :edge_x] = ink[:, -edge_x:] = 0
    count, _, stats, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
    spots = np.asarray(stats[1:count], dtype=np.int64)
    longer = spots[:, 2:4].max(axis=1, initial=0)
    marks = longer[(longer > DUST_PIXELS) & ~_are_holes(spots, gray.shape[1], gray.shape[0])]
    dust = int((longer <= DUST_PIXELS).sum())
    return Ink(marks.size, dust, int(marks.max(initial=0)))


def without_dirt(words: Sequence[FoundWord], ink: Ink) -> tuple[Sequence[FoundWord], bool]:
    """The words that are words, and whether the page is blank.

    Marks without any letter or figure among them are dirt read as signs; so is a single
    letter here and there, if it is unsure and nothing on the page is larger than dirt.
    """
    if not any(character.isalnum() for word in words for character in word.text):
        return (), ink.is_specks
    if ink.is_specks and all(_is_odd(word) for word in words):
        return (), True
    return words, False


def _is_odd(word: FoundWord) -> bool:
    return len(word.text) == 1 and word.confidence < LEAST_CHARACTER_CONFIDENCE


def _are_holes(spots: NDArray[np.int64], columns: int, rows: int) -> NDArray[np.bool_]:
    """Which spots (left, top, width, height, area) are round, full and near an edge."""
    left, top, width, height, area = spots.T
    least, most = HOLE_PIXELS
    sized = (np.minimum(width, height) >= least) & (np.maximum(width, height) <= most)
    is_round = (4 * np.abs(width - height) <= width) & (area >= 0.7 * width * height)
    margin_x, margin_y = HOLE_MARGIN * columns, HOLE_MARGIN * rows
    x, y = left + width / 2, top + height / 2
    aside = (x < margin_x) | (x > columns - margin_x) | (y < margin_y) | (y > rows - margin_y)
    return sized & is_round & aside


def _middle_and_spread(shades: NDArray[np.uint8]) -> tuple[float, float]:
    """The median, and what would be the standard deviation if it were all noise."""
    counts = np.bincount(shades.ravel(), minlength=256)
    middle = int(np.searchsorted(counts.cumsum(), shades.size / 2))
    away = np.bincount(np.abs(np.arange(256) - middle), weights=counts.astype(np.float64))
    return middle, 1.4826 * float(np.searchsorted(away.cumsum(), shades.size / 2))


def _small(page: Pixels) -> NDArray[np.uint8]:
    """In shades of gray, its longer side `SIDE_PIXELS`."""
    height, width = page.shape[:2]
    scale = SIDE_PIXELS / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if scale != 1:
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        page = cv2.resize(page, size, interpolation=how).astype(np.uint8, copy=False)
    return cv2.cvtColor(page, cv2.COLOR_RGB2GRAY).astype(np.uint8, copy=False)


def _paper(gray: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The shade of the paper at each place: what is left when everything dark is filled."""
    quarter = (max(1, gray.shape[1] // 4), max(1, gray.shape[0] // 4))
    coarse = cv2.resize(gray, quarter, interpolation=cv2.INTER_AREA)
    filled = cv2.morphologyEx(coarse, cv2.MORPH_CLOSE, np.ones((15, 15), np.uint8))
    even = cv2.medianBlur(filled, 15)
    size = (gray.shape[1], gray.shape[0])
    return np.asarray(cv2.resize(even, size, interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
