"""Made pages for training: legal-looking text in many fonts, with the place of every word.

Pages are as a scanner or a phone would give them: soft, noisy, skewed, shaded, black and
white only. The words come from the licences that every Debian machine carries (legal
English), and from generators of what licences lack: dates, amounts, case numbers, names.
Deterministic for a seed and a set of installed fonts.
"""

import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Gray = NDArray[np.uint8]

LICENCES = Path("/usr/share/common-licenses")
FONT_FOLDERS = (Path("/usr/share/fonts"),)
PAGE_PIXELS = (1584, 2048)
"""Width and height: letter paper at 186 dpi, twice what the detector sees."""
PIXELS_PER_POINT = PAGE_PIXELS[1] / 792

MONTHS = ("January", "March", "May", "June", "August", "October", "December")
# Of words that no language has: letters are to be read, not guessed.
ONSETS = (
    *"bcdfghjklmnprstvwxz",
    *("br", "ch", "cl", "cr", "dr", "fl", "gr", "ph", "pl", "pr", "qu", "sh", "st", "th", "tr"),
)
VOWELS = (*"aeiouy", "ai", "ea", "ie", "oo", "ou", "é", "è", "ü", "ô")
ENDS = ("", "", "n", "r", "s", "t", "l", "ck", "ng", "x", "mp", "rd")

# Families whose glyphs are not Latin letters, or not letters at all.
UNFIT = ("emoji", "symbol", "dingbat", "d050000l", "standardsymbols", "math", "cmuclassical")


@dataclass(frozen=True)
class MadeWord:
    """A word and its box in pixels: left, top, right, bottom."""

    text: str
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class MadePage:
    """A page as scanned, and the words on it."""

    image: Gray
    words: list[MadeWord]


class PageMaker:
    """Makes pages from one seed; every page is another."""

    def __init__(self, seed: int, alphabet: str) -> None:
        self._random = np.random.default_rng(seed)
        self._known = frozenset(alphabet)
        # Few fonts have these two: they would show as empty boxes.
        self._drawable = alphabet.translate({ord(rare): None for rare in "฿¢"})
        self._words = [word for word in _licence_words() if set(word) <= self._known]

    def pages(self) -> Iterator[MadePage]:
        """Pages without end."""
        while True:
            yield self.page()

    def page(self) -> MadePage:
        """One page, set and then scanned."""
        width, height = PAGE_PIXELS
        sheet = Image.new("L", PAGE_PIXELS, 255)
        draw = ImageDraw.Draw(sheet)
        words: list[MadeWord] = []
        margin = int(self._random.integers(60, 200))
        y = float(self._random.integers(60, 260))
        body = self._font_path()
        # Every third page ends early: what is empty must be learnt to be empty.
        empty = self._random.uniform(0.1, 0.9) if self._random.random() < 1 / 3 else 0.0
        while y < (height - 150) * (1 - empty):
            kind = self._random.choice(
                ["paragraph", "heading", "table", "columns", "rule"], p=[0.5, 0.13, 0.22, 0.1, 0.05]
            )
            path = body if self._random.random() < 0.6 else self._font_path()
            if kind == "heading":
                font = self._font(path, 13, 26)
                y = self._lines(draw, words, font, margin, width - margin, y, lines=1)
            elif kind == "table":
                y = self._table(draw, words, self._font(path, 7, 13), margin, width - margin, y)
            elif kind == "columns":
                y = self._columns(draw, words, self._font(path, 7.5, 11), margin, y)
            elif kind == "rule":
                draw.line(
                    (margin, y, width - margin, y), fill=0, width=int(self._random.integers(1, 5))
                )
            else:
                font = self._font(path, 7.5, 14)
                lines = int(self._random.integers(1, 9))
                indent = int(self._random.integers(0, 120))
                y = self._lines(draw, words, font, margin + indent, width - margin, y, lines=lines)
            y += float(self._random.integers(8, 70))
        return self._scanned(np.asarray(sheet), words)

    # ── setting ──────────────────────────────────────────────────────────────────────────────

    def _font_path(self) -> Path:
        paths = font_paths()
        return paths[int(self._random.integers(len(paths)))]

    def _font(self, path: Path, least_points: float, most_points: float) -> ImageFont.FreeTypeFont:
        points = self._random.uniform(least_points, most_points)
        return _font(path, round(points * PIXELS_PER_POINT))

    def _lines(
        self,
        draw: ImageDraw.ImageDraw,
        words: list[MadeWord],
        font: ImageFont.FreeTypeFont,
        left: float,
        right: float,
        y: float,
        *,
        lines: int,
    ) -> float:
        top, bottom = _extent(font)
        step = (bottom - top) * self._random.uniform(1.05, 1.5)
        space = font.getlength(" ") * self._random.uniform(0.9, 1.4)
        for _ in range(lines):
            baseline = y - top
            if baseline + bottom > PAGE_PIXELS[1] - 40:
                break
            x = left
            while True:
                text = self._word()
                length = font.getlength(text)
                if x + length > right:
                    break
                self._put(draw, words, font, x, baseline, text)
                x += length + space
            y += step
        return y

    def _table(
        self,
        draw: ImageDraw.ImageDraw,
        words: list[MadeWord],
        font: ImageFont.FreeTypeFont,
        left: float,
        right: float,
        y: float,
    ) -> float:
        top, bottom = _extent(font)
        columns = int(self._random.integers(2, 6))
        ruled = self._random.random() < 0.4
        step = (bottom - top) * self._random.uniform(1.2, 1.9)
        rows = int(self._random.integers(2, 12))
        first = y
        for _ in range(rows):
            if y + step > PAGE_PIXELS[1] - 60:
                break
            for column in range(columns):
                x = left + (right - left) * column / columns + 6
                end = left + (right - left) * (column + 1) / columns - 6
                for _ in range(int(self._random.integers(1, 4))):
                    text = self._figure() if column else self._word()
                    length = font.getlength(text)
                    if x + length > end:
                        break
                    self._put(draw, words, font, x, y - top, text)
                    x += length + font.getlength(" ") * 1.1
            if ruled:
                draw.line((left, y + step * 0.94, right, y + step * 0.94), fill=90, width=2)
            y += step
        if ruled:
            for column in range(columns + 1):
                x = left + (right - left) * column / columns - 4
                draw.line((x, first - 4, x, y), fill=90, width=2)
        return y

    def _columns(
        self,
        draw: ImageDraw.ImageDraw,
        words: list[MadeWord],
        font: ImageFont.FreeTypeFont,
        margin: int,
        y: float,
    ) -> float:
        middle = PAGE_PIXELS[0] / 2
        lines = int(self._random.integers(4, 14))
        end = self._lines(draw, words, font, margin, middle - 25, y, lines=lines)
        return max(
            end,
            self._lines(draw, words, font, middle + 25, PAGE_PIXELS[0] - margin, y, lines=lines),
        )

    def _put(
        self,
        draw: ImageDraw.ImageDraw,
        words: list[MadeWord],
        font: ImageFont.FreeTypeFont,
        x: float,
        baseline: float,
        text: str,
    ) -> None:
        draw.text(
            (x, baseline), text, font=font, fill=int(self._random.integers(0, 60)), anchor="ls"
        )
        ink_left, _, ink_right, _ = font.getbbox(text, anchor="ls")
        top, bottom = _extent(font)
        words.append(
            MadeWord(
                text,
                (x + ink_left - 2, baseline + top - 2, x + ink_right + 2, baseline + bottom + 2),
            )
        )

    # ── words ────────────────────────────────────────────────────────────────────────────────

    def _word(self) -> str:
        r = self._random
        draw = r.random()
        if draw < 0.62:
            word = self._words[int(r.integers(len(self._words)))]
            style = r.random()
            return word.upper() if style < 0.1 else word.capitalize() if style < 0.22 else word
        if draw < 0.8:
            return self._figure()
        if draw < 0.93:
            return self._invented()
        count = int(r.integers(1, 9))
        return "".join(self._drawable[int(r.integers(len(self._drawable)))] for _ in range(count))

    def _figure(self) -> str:
        r = self._random
        n = int(r.integers(0, int(10 ** r.integers(1, 7))))
        cents, year = int(r.integers(100)), int(r.integers(1990, 2031))
        month, day = int(r.integers(1, 13)), int(r.integers(1, 29))
        forms = [
            f"${n:,}.{cents:02d}", f"{n:,}", f"{n}", f"({n})", f"{n}%", f"§{n % 999}",
            f"{month}/{day}/{year}", f"{year}-{month:02d}-{day:02d}", MONTHS[month % len(MONTHS)],
            f"{year % 100:02d}-CV-{n:05d}", "No.", f"{day},", f"€{n:,}", f"#{n}", f"{n % 100}.",
            f"{n % 60:02d}:{n % 24:02d}", f"-{n}.{n % 100:02d}",
        ]  # fmt: skip
        text = forms[int(r.integers(len(forms)))]
        return text if set(text) <= self._known else f"{n}"

    def _invented(self) -> str:
        """A pronounceable word of no language, so that letters are read and not guessed."""
        r = self._random
        parts = [
            f"{ONSETS[int(r.integers(len(ONSETS)))]}{VOWELS[int(r.integers(len(VOWELS)))]}"
            f"{ENDS[int(r.integers(len(ENDS)))]}"
            for _ in range(int(r.integers(1, 5)))
        ]
        word = "".join(parts)
        style = r.random()
        word = word.upper() if style < 0.2 else word.capitalize() if style < 0.5 else word
        tail = ["", "", "", ".", ",", ";", ":", "'s", ")", '"', "-", "?"][int(r.integers(12))]
        return word + tail

    # ── scanning ─────────────────────────────────────────────────────────────────────────────

    def _scanned(self, sheet: Gray, words: list[MadeWord]) -> MadePage:
        r = self._random
        height, width = sheet.shape
        matrix = np.array(
            cv2.getRotationMatrix2D(
                (width / 2, height / 2), r.normal(0, 0.7), r.uniform(0.93, 1.03)
            ),
            dtype=np.float64,
        )
        image = cv2.warpAffine(
            sheet, matrix, (width, height), flags=cv2.INTER_LINEAR, borderValue=255
        )
        ink = 255.0 - np.asarray(image, dtype=np.float32)
        blur = r.uniform(0.3, 1.5)
        ink = np.asarray(cv2.GaussianBlur(ink, (0, 0), blur), dtype=np.float32)
        paper = r.uniform(190, 255)
        result = paper - ink / 255 * (paper - r.uniform(0, 90)) * r.uniform(0.75, 1.1)
        if r.random() < 0.35:  # uneven light
            down, across = np.mgrid[0:height, 0:width].astype(np.float32)
            shade = 1 - r.uniform(0, 0.35) * across / width - r.uniform(0, 0.3) * down / height
            result *= shade if r.random() < 0.5 else shade[::-1, ::-1]
        result += r.standard_normal((height, width), dtype=np.float32) * r.uniform(0, 9)
        if r.random() < 0.1:  # a fax
            result = np.where(result > r.uniform(0.55, 0.75) * paper, 255.0, 0.0)
        pixels = result.clip(0, 255).astype(np.uint8)
        if r.random() < 0.4:
            quality = int(r.integers(35, 90))
            packed = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
            pixels = np.asarray(cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE), dtype=np.uint8)
        moved = [MadeWord(word.text, _moved(word.box, matrix)) for word in words]
        inside = [
            word
            for word in moved
            if word.box[0] >= 0
            and word.box[1] >= 0
            and word.box[2] < width
            and word.box[3] < height
        ]
        return MadePage(pixels, inside)


def font_paths() -> Sequence[Path]:
    """Installed Latin fonts, sorted; what a person reads text in."""
    return _font_paths()


@cache
def _font_paths() -> list[Path]:
    listed = subprocess.run(
        ["fc-list", ":lang=fr", "file"],  # noqa: S607 - fontconfig, where the machine has it
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    paths = sorted({Path(line.rstrip(": ")) for line in listed.splitlines() if line.strip()})
    return [
        path
        for path in paths
        if path.suffix.lower() in {".ttf", ".otf"}
        and not any(word in path.name.lower() for word in UNFIT)
    ]


@cache
def _font(path: Path, pixels: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(path), pixels)


@cache
def _extent(font: ImageFont.FreeTypeFont) -> tuple[float, float]:
    """From a line's tall letters to its hanging ones, relative to the baseline."""
    _, top, _, bottom = font.getbbox("hHÉpgy", anchor="ls")
    capital = font.getbbox("hH", anchor="ls")[1]
    return (top + capital) / 2, bottom


@cache
def _licence_words() -> list[str]:
    words: set[str] = set()
    for file in sorted(LICENCES.iterdir()):
        words.update(file.read_text(encoding="utf-8", errors="ignore").split())
    return sorted(word for word in words if len(word) < 18)


def _moved(
    box: tuple[float, float, float, float], matrix: NDArray[np.float64]
) -> tuple[float, float, float, float]:
    left, top, right, bottom = box
    corners = np.array([[left, top, 1], [right, top, 1], [right, bottom, 1], [left, bottom, 1]])
    moved = corners @ matrix.T
    low, high = moved.min(axis=0).tolist(), moved.max(axis=0).tolist()
    return (low[0], low[1], high[0], high[1])
