"""From the boxes of a page's words to the small pictures that the recogniser reads.

Cut, split and resized as docTR does it (doctr.utils.geometry.extract_crops,
doctr.models.recognition.predictor): a crop is a word of the full-size page, 32 pixels high,
at the left of a black strip of 128. A word too long for one strip becomes several that
overlap, and is put together again from what was read in each.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from gpu_image.engines.doctr.arena import CROP_HEIGHT, CROP_WIDTH
from gpu_image.engines.doctr.boxes import Boxes
from gpu_image.engines.doctr.resize import is_gray, resize_into
from rendering.pages import Pixels

SPLIT_FROM_RATIO = 8
"""A word more times as long as high is split ..."""
PIECE_RATIO = 6
"""... into pieces so many times as long as high ..."""
OVERLAP = 0.5
"""... each of which shows so much of the one before."""


class TooManyWords(Exception):
    """A page has more words than there is room for."""


@dataclass(frozen=True, slots=True)
class Span:
    """Which crops a word is made of, and how much the last overlaps the one before it."""

    first: int
    count: int
    last_overlap: float


@dataclass(frozen=True, slots=True)
class Cut:
    """A page's words and their crops; both in the order of the boxes."""

    corners: NDArray[np.float64]
    """(words, 4, 2) in pixels of the upright page."""
    spans: list[Span]
    crops: int


def cut_words(page: Pixels, boxes: Boxes, into: NDArray[np.uint8]) -> Cut:
    """Cut the words out of an upright page; `boxes` are fractions of the page.

    Raises `TooManyWords` when `into` has not enough room.
    """
    height, width = page.shape[:2]
    corners = boxes.corners * np.array([width, height], dtype=np.float64)
    pictures = _straight(page, corners) if boxes.straight else _leaning(page, corners)
    gray = is_gray(page)
    kept: list[int] = []
    spans: list[Span] = []
    count = 0
    for index, picture in enumerate(pictures):
        if picture.size == 0:
            continue  # outside the page: docTR's boxes may reach over its edge
        pieces, last_overlap = _split(picture)
        if count + len(pieces) > len(into):
            raise TooManyWords(f"The page has more than {len(into)} words.")
        kept.append(index)
        spans.append(Span(count, len(pieces), last_overlap))
        for number, piece in enumerate(pieces, count):
            _place(piece, into[number], gray=gray)
        count += len(pieces)
    return Cut(corners[kept], spans, count)


def joined(
    span: Span, read: Sequence[tuple[str, float]], merge: Callable[[list[str], float, float], str]
) -> tuple[str, float]:
    """A word's text and confidence from those of all crops of its page.

    `merge` is docTR's `merge_multi_strings`, which finds where neighbours overlap.
    """
    parts = read[span.first : span.first + span.count]
    if len(parts) == 1:
        return parts[0]
    texts = [text for text, _ in parts]
    return merge(texts, OVERLAP, span.last_overlap), sum(c for _, c in parts) / len(parts)


def _straight(page: Pixels, corners: NDArray[np.float64]) -> list[Pixels]:
    left, top = corners[:, 0].round().astype(int).T
    right, bottom = corners[:, 2].round().astype(int).T + 1
    edges = zip(left.tolist(), top.tolist(), right.tolist(), bottom.tolist(), strict=True)
    return [page[y0:y1, x0:x1] for x0, y0, x1, y1 in edges]


def _leaning(page: Pixels, corners: NDArray[np.float64]) -> list[Pixels]:
    """Each word as if it ran level."""
    pictures: list[Pixels] = []
    for quad in corners.astype(np.float32):
        sides = np.hypot(*(np.roll(quad, -1, axis=0) - quad).T).astype(int)
        width, height = max(sides[0], sides[2]), max(sides[1], sides[3])
        if width < 1 or height < 1:
            pictures.append(page[:0, :0])
            continue
        right, bottom = width - 1, height - 1
        level = np.array([[0, 0], [right, 0], [right, bottom], [0, bottom]], dtype=np.float32)
        matrix = cv2.getPerspectiveTransform(quad, level)
        picture = cv2.warpPerspective(page, matrix, (int(width), int(height)))
        pictures.append(np.asarray(picture, dtype=np.uint8))
    return pictures


def _split(picture: Pixels) -> tuple[list[Pixels], float]:
    """The picture, or overlapping pieces of it and how much of the last is in the one before."""
    height, width = picture.shape[:2]
    if width <= SPLIT_FROM_RATIO * height:
        return [picture], 0.0
    piece = height * PIECE_RATIO
    step = piece - math.floor(piece * OVERLAP)
    starts = list(range(0, width - piece + 1, step))
    if starts[-1] + piece < width:
        starts.append(width - piece)
    last_overlap = (starts[-2] + piece - starts[-1]) / piece
    return [picture[:, start : start + piece] for start in starts], last_overlap


def _place(piece: Pixels, strip: Pixels, *, gray: bool) -> None:
    """Put a picture, as large as fits, at the top left of a black strip."""
    height, width = piece.shape[:2]
    ratio = height / width
    # Rounded as docTR rounds (doctr.transforms.Resize).
    if ratio > CROP_HEIGHT / CROP_WIDTH:
        width, height = max(int(CROP_HEIGHT / ratio), 1), CROP_HEIGHT
    else:
        width, height = CROP_WIDTH, max(int(CROP_WIDTH * ratio), 1)
    strip[:, width:] = 0
    strip[height:, :width] = 0
    resize_into(piece, strip[:height, :width], gray=gray)
