"""Lines and reading order from words that stand anywhere on a page.

Works in *upright pixels*: the page turned so that its text can be read. Words are
chained into lines along their own direction, so skewed scans and photos taken at
an angle need no straightening first. Columns of prose are read one after the
other; a table's columns are not, because a row belongs together.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import numpy as np
from numpy.typing import NDArray

from schema.ocr import PageText, Point, Rotation, Word

Quad = NDArray[np.float64]
"""Four corners (x, y), clockwise from the text's own top left."""

MIN_COLUMN_ROWS = 5
"""Rows of prose on both sides that make a gap a gutter between columns."""

MIN_PROSE_WORDS = 3.0
"""Mean words per row on each side; amounts and dates in tables have fewer."""


@dataclass(frozen=True)
class FoundWord:
    """A word as an engine found it, in upright pixels."""

    text: str
    quad: Quad
    confidence: float


@dataclass(frozen=True)
class _Box:
    """A word with its skew taken out: an upright rectangle to compare with others."""

    word: FoundWord
    left: float
    right: float
    middle: float
    height: float
    slope: float


QUARTER_TURNS: dict[int, Rotation] = {0: 0, 90: 90, 180: 180, 270: 270}
"""The turns a page can have; engines compute them as plain numbers."""


def page_text(
    words: Sequence[FoundWord],
    *,
    width_pixels: int,
    height_pixels: int,
    rotation_degrees: int,
    engine: str,
    seconds: float,
    is_blank: bool = False,
) -> PageText:
    """Put an engine's words in reading order and on the page as rendered.

    `width_pixels` and `height_pixels` are of the page as rendered; the words are
    in upright pixels, that is after a clockwise turn by `rotation_degrees`.
    """
    lines = reading_order(words)
    found = [
        Word(
            text=word.text[:1000],
            quad=quad_on_page(word.quad, width_pixels, height_pixels, rotation_degrees),
            confidence=min(1.0, max(0.0, word.confidence)),
            line=number,
        )
        for number, line in enumerate(lines)
        for word in line
    ]
    return PageText(
        text="\n".join(" ".join(word.text for word in line) for line in lines),
        words=found,
        width_pixels=width_pixels,
        height_pixels=height_pixels,
        rotation_degrees=QUARTER_TURNS[rotation_degrees],
        is_blank=is_blank,
        engine=engine,
        seconds=seconds,
    )


def quad_on_page(
    quad: Quad, width_pixels: int, height_pixels: int, rotation_degrees: int
) -> tuple[Point, Point, Point, Point]:
    """Turn a quad in upright pixels back onto the page as rendered, as fractions."""
    upright_width, upright_height = (
        (height_pixels, width_pixels)
        if rotation_degrees in (90, 270)
        else (width_pixels, height_pixels)
    )

    def corner(index: int) -> Point:
        x = min(1.05, max(-0.05, float(quad[index, 0]) / upright_width))
        y = min(1.05, max(-0.05, float(quad[index, 1]) / upright_height))
        match rotation_degrees:
            case 90:
                return (y, 1 - x)
            case 180:
                return (1 - x, 1 - y)
            case 270:
                return (1 - y, x)
            case _:
                return (x, y)

    return (corner(0), corner(1), corner(2), corner(3))


def reading_order(words: Sequence[FoundWord]) -> list[list[FoundWord]]:
    """Group words in lines, each from left to right, and put the lines in reading order."""
    boxes = _without_skew(words)
    lines = _chain(boxes)
    lines.sort(key=_middle)
    return [[box.word for box in line] for line in _columns(lines)]


def _without_skew(words: Sequence[FoundWord]) -> list[_Box]:
    # A long word knows the direction of its line; a short one only guesses.
    directions: list[float] = []
    for word in words:
        across, down = (word.quad[1] - word.quad[0] + word.quad[2] - word.quad[3]).tolist()
        if across > 0:
            weight = max(1, min(50, round(across / 10)))
            directions += [math.atan2(down, across)] * weight
    skew = median(directions) if directions else 0.0
    turn = np.array([[math.cos(skew), -math.sin(skew)], [math.sin(skew), math.cos(skew)]])
    boxes: list[_Box] = []
    for word in words:
        corners = word.quad @ turn
        top, bottom = corners[[0, 1]].mean(axis=0), corners[[3, 2]].mean(axis=0)
        across, down = (corners[1] - corners[0] + corners[2] - corners[3]).tolist()
        height = max(1.0, float(np.hypot(*(bottom - top))))
        boxes.append(
            _Box(
                word=word,
                left=float(corners[:, 0].min()),
                right=float(corners[:, 0].max()),
                middle=float((top[1] + bottom[1]) / 2),
                height=height,
                # The direction of a single word is noise unless it is long.
                slope=down / across if across > 6 * height and abs(down) < across / 4 else 0.0,
            )
        )
    return boxes


def _chain(boxes: Sequence[_Box]) -> list[list[_Box]]:
    """Walk the page from left to right and hang each word on the line it continues."""
    lines: list[list[_Box]] = []
    for box in sorted(boxes, key=lambda box: box.left):
        best: list[_Box] | None = None
        best_offset = math.inf
        for line in lines:
            last = line[-1]
            if box.left < last.right - 0.5 * (last.right - last.left):
                continue  # stands above or below it, not beside it
            gap = max(0.0, box.left - last.right)
            expected = last.middle + last.slope * min(gap, 10 * last.height)
            offset = abs(box.middle - expected)
            smaller, larger = sorted((box.height, last.height))
            # Fine print beside a heading belongs to it only when it sits at its middle.
            reach = 0.5 * smaller if larger < 2 * smaller else 0.35 * smaller
            if offset < reach and offset < best_offset:
                best, best_offset = line, offset
        if best is None:
            lines.append([box])
        else:
            best.append(box)
    return lines


def _middle(line: Sequence[_Box]) -> float:
    return sum(box.middle for box in line) / len(line)


def _columns(lines: list[list[_Box]]) -> list[list[_Box]]:
    """Where prose stands in two columns, read the left one to its end first."""
    gutter = _gutter(lines)
    if gutter is None:
        return lines
    ordered: list[list[_Box]] = []
    band: list[tuple[list[_Box], list[_Box]]] = []
    for line in lines:
        sides = _split(line, gutter)
        if sides is None:
            ordered += _read_band(band)
            band = []
            ordered.append(line)
        else:
            band.append(sides)
    return ordered + _read_band(band)


def _split(line: list[_Box], gutter: float) -> tuple[list[_Box], list[_Box]] | None:
    """A line's words on either side of the gutter; None when one stands across it."""
    if any(box.left < gutter < box.right for box in line):
        return None
    left = [box for box in line if box.right <= gutter]
    right = [box for box in line if box.left >= gutter]
    if left and right and not _is_wide(left, right):
        return None  # an ordinary space between words happens to lie there
    return left, right


def _is_wide(left: list[_Box], right: list[_Box]) -> bool:
    """Whether the gap between two sides is wider than the spaces within them."""
    spaces = [
        after.left - before.right for side in (left, right) for before, after in pairwise(side)
    ]
    usual = median(spaces) if spaces else 0.6 * left[-1].height
    return right[0].left - left[-1].right > max(1.6 * usual, 0.5 * left[-1].height)


def _read_band(band: list[tuple[list[_Box], list[_Box]]]) -> list[list[_Box]]:
    if not _is_prose(band):
        return [left + right for left, right in band]
    lefts, rights = [left for left, _ in band if left], [right for _, right in band if right]
    after = len(lefts) - 1 if _is_set_apart(lefts, rights) else len(lefts)
    return lefts[:after] + rights + lefts[after:]


def _is_set_apart(lefts: list[list[_Box]], rights: list[list[_Box]]) -> bool:
    """Whether the last line on the left is the heading of what comes below both columns."""
    leading = median(_middle(below) - _middle(above) for above, below in pairwise(lefts))
    last = _middle(lefts[-1])
    return last - max(_middle(lefts[-2]), _middle(rights[-1])) > 1.5 * leading


def _is_prose(band: list[tuple[list[_Box], list[_Box]]]) -> bool:
    for side in (0, 1):
        rows = [len(row[side]) for row in band if row[side]]
        if len(rows) < MIN_COLUMN_ROWS or sum(rows) / len(rows) < MIN_PROSE_WORDS:
            return False
    return True


def _gutter(lines: list[list[_Box]]) -> float | None:
    """The x in the page's middle half that parts most rows of prose, if there is one."""
    if len(lines) < MIN_COLUMN_ROWS:
        return None
    left = min(box.left for line in lines for box in line)
    right = max(box.right for line in lines for box in line)
    best, best_rows = None, 2 * MIN_COLUMN_ROWS - 1
    for share in range(30, 71):
        gutter = left + (right - left) * share / 100
        parted = [sides for line in lines if (sides := _split(line, gutter)) is not None]
        rows = sum(bool(side) for sides in parted for side in sides)
        if rows > best_rows and _is_prose(parted):
            best, best_rows = gutter, rows
    return best
