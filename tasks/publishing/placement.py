"""Where a page's words belong on the PDF page, and how they are turned there. Pure geometry.

Words come as fractions of the page as rendered; a PDF's content stream is written in user
space, before /Rotate and whatever the boxes are. `PageFrame` is the way from the one to the
other. A text layer can only be written upright, so lines that run in the same direction are
gathered into a `Slab`: text standing upright on a sheet of its own, and the matrix that lays
the sheet onto the page. A page scanned straight has one slab, and so has one scanned sideways.

Text that is a little crooked is laid as steps: each word straight, where it stands. Programs
that read PDFs, poppler among them, take a word apart whose letters climb by half a point, and a
search that finds no word is worse than a highlight that is not quite parallel.

Nothing is assumed of what an engine reports but what `schema.ocr` promises: words of one line
that do not stand in line are taken apart, words without area are left out.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from schema.ocr import Word

Xy = tuple[float, float]

SHEET_POINTS = 1000.0
"""How long a page's longer side is on a slab's sheet: coordinates there have two decimals, and
a page may be an inch wide or a hundred feet."""

MARGIN_POINTS = 10.0
"""Around the text of a slab."""

STEP_DEGREES = 0.5
"""Lines whose directions differ by less share a slab."""

SQUARE_DEGREES = 0.3
"""A direction this near to a page's edges is taken for theirs: what is left lies below a
tenth of a line's height, and unturned text is what every viewer selects best."""

STEPS_DEGREES = 15.0
"""Text more crooked than this is laid in its own direction: straight boxes would miss it."""

ASTRAY_DEGREES = 20.0
"""A word turned by more against its line is a line of its own."""

OFF_LINE = 0.6
"""So is one that lies this much of its height above or below the one before it."""


@dataclass(frozen=True, slots=True)
class PageFrame:
    """The part of a PDF page that is shown, in user space, and its clockwise turn."""

    left: float
    bottom: float
    right: float
    top: float
    rotate: int
    """0, 90, 180 or 270."""

    @property
    def longer_side(self) -> float:
        """In units of user space."""
        return max(self.right - self.left, self.top - self.bottom)

    def place(self, point: Xy) -> Xy:
        """Where a point of the page as rendered (fractions, y down) lies in user space (y up)."""
        u, v = point
        width, height = self.right - self.left, self.top - self.bottom
        match self.rotate:
            case 90:
                return self.left + v * width, self.bottom + u * height
            case 180:
                return self.right - u * width, self.bottom + v * height
            case 270:
                return self.right - v * width, self.top - u * height
            case _:
                return self.left + u * width, self.top - v * height


@dataclass(frozen=True, slots=True)
class PlacedWord:
    """A word on a slab's sheet: points from its left edge."""

    text: str
    left: float
    right: float


@dataclass(frozen=True, slots=True)
class PlacedLine:
    """Words standing on one line of a slab's sheet: points from its upper edge."""

    top: float
    bottom: float
    words: tuple[PlacedWord, ...]


@dataclass(frozen=True, slots=True)
class Slab:
    """Upright text on a sheet (points), and the matrix from the sheet, y up, to the page."""

    width: float
    height: float
    lines: tuple[PlacedLine, ...]
    matrix: tuple[float, float, float, float, float, float]


def slabs_of(words: Sequence[Word], frame: PageFrame) -> list[Slab]:
    """The words of a page as few slabs of upright text, in the order they are read."""
    gathered: dict[int, list[_Line]] = defaultdict(list)
    for line in _lines(words, frame):
        gathered[round(line.degrees / STEP_DEGREES)].append(line)
    return [_slab(lines, frame) for lines in gathered.values()]


@dataclass(frozen=True, slots=True)
class _PlacedQuad:
    """A word's corners in user space, clockwise from its own top left."""

    text: str
    corners: tuple[Xy, Xy, Xy, Xy]

    @property
    def along(self) -> Xy:
        """From the word's beginning to its end."""
        (ax, ay), (bx, by), (cx, cy), (dx, dy) = self.corners
        return (bx - ax + cx - dx) / 2, (by - ay + cy - dy) / 2

    @property
    def across(self) -> Xy:
        """From the word's foot to its head."""
        (ax, ay), (bx, by), (cx, cy), (dx, dy) = self.corners
        return (ax - dx + bx - cx) / 2, (ay - dy + by - cy) / 2

    @property
    def has_area(self) -> bool:
        (ax, ay), (bx, by) = self.along, self.across
        return abs(ax * by - ay * bx) > 1e-9 and math.hypot(ax, ay) > 0


@dataclass(frozen=True, slots=True)
class _Line:
    quads: tuple[_PlacedQuad, ...]
    degrees: float


def _lines(words: Sequence[Word], frame: PageFrame) -> Iterator[_Line]:
    by_number: dict[int, list[_PlacedQuad]] = defaultdict(list)
    for word in words:
        a, b, c, d = (frame.place(corner) for corner in word.quad)
        quad = _PlacedQuad(" ".join(word.text.split()), (a, b, c, d))
        if quad.text and quad.has_area:
            by_number[word.line].append(quad)
    for quads in by_number.values():
        for segment in _in_line(quads):
            degrees = _direction(segment)
            square = round(degrees / 90) * 90.0 % 360
            if degrees != square and _difference(degrees, square) <= STEPS_DEGREES:
                yield from (_Line((quad,), square) for quad in segment)
            else:
                yield _Line(tuple(segment), degrees)


def _direction(quads: Iterable[_PlacedQuad]) -> float:
    """Degrees counterclockwise, from 0 up to 360; long words say more of it than short ones."""
    x, y = 0.0, 0.0
    for quad in quads:
        along_x, along_y = quad.along
        x, y = x + along_x, y + along_y
    degrees = math.degrees(math.atan2(y, x))
    square = round(degrees / 90) * 90.0
    return (square if abs(degrees - square) <= SQUARE_DEGREES else degrees) % 360


def _difference(degrees: float, others: float) -> float:
    return abs((degrees - others + 180) % 360 - 180)


def _in_line(quads: Sequence[_PlacedQuad]) -> Iterator[list[_PlacedQuad]]:
    degrees = _direction(quads)
    segment: list[_PlacedQuad] = []
    for quad in quads:
        if _difference(_direction([quad]), degrees) > ASTRAY_DEGREES and len(quads) > 1:
            yield [quad]
            continue
        if segment and _steps_aside(segment[-1], quad, degrees):
            yield segment
            segment = []
        segment.append(quad)
    if segment:
        yield segment


def _steps_aside(before: _PlacedQuad, quad: _PlacedQuad, degrees: float) -> bool:
    before_on_line, on_line = _upright(before, degrees), _upright(quad, degrees)
    tallest = max(before_on_line.height, on_line.height)
    return abs(before_on_line.middle - on_line.middle) > OFF_LINE * tallest


@dataclass(frozen=True, slots=True)
class _Upright:
    """A word seen along its line: extent along it, and across it, y up, in user space."""

    text: str
    left: float
    right: float
    middle: float
    height: float


def _upright(quad: _PlacedQuad, degrees: float) -> _Upright:
    cos, sin = _cos_sin(degrees)
    xs = [x * cos + y * sin for x, y in quad.corners]
    ys = [y * cos - x * sin for x, y in quad.corners]
    left, right = sorted(((xs[0] + xs[3]) / 2, (xs[1] + xs[2]) / 2))
    head, foot = (ys[0] + ys[1]) / 2, (ys[2] + ys[3]) / 2
    return _Upright(quad.text, left, right, (head + foot) / 2, abs(head - foot))


def _cos_sin(degrees: float) -> Xy:
    if degrees % 90 == 0:
        return ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))[round(degrees / 90) % 4]
    return math.cos(math.radians(degrees)), math.sin(math.radians(degrees))


def _slab(lines: Sequence[_Line], frame: PageFrame) -> Slab:
    degrees = _mean_direction(lines)
    cos, sin = _cos_sin(degrees)
    upright = [[_upright(quad, degrees) for quad in line.quads] for line in lines]
    scale = SHEET_POINTS / frame.longer_side
    margin = MARGIN_POINTS / scale
    boxes = [(_foot(words), _head(words)) for words in upright]
    left = min(word.left for words in upright for word in words) - margin
    right = max(word.right for words in upright for word in words) + margin
    bottom = min(foot for foot, _ in boxes) - margin
    top = max(head for _, head in boxes) + margin
    return Slab(
        width=(right - left) * scale,
        height=(top - bottom) * scale,
        lines=tuple(
            PlacedLine(
                top=(top - head) * scale,
                bottom=(top - foot) * scale,
                words=tuple(
                    PlacedWord(word.text, (word.left - left) * scale, (word.right - left) * scale)
                    for word in words
                ),
            )
            for words, (foot, head) in zip(upright, boxes, strict=True)
        ),
        matrix=(
            cos / scale,
            sin / scale,
            -sin / scale,
            cos / scale,
            left * cos - bottom * sin,
            left * sin + bottom * cos,
        ),
    )


def _mean_direction(lines: Sequence[_Line]) -> float:
    if lines[0].degrees % 90 == 0 and all(line.degrees == lines[0].degrees for line in lines):
        return lines[0].degrees
    return _direction([quad for line in lines for quad in line.quads])


def _foot(words: Sequence[_Upright]) -> float:
    return median(word.middle for word in words) - median(word.height for word in words) / 2


def _head(words: Sequence[_Upright]) -> float:
    return median(word.middle for word in words) + median(word.height for word in words) / 2
