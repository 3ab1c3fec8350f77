"""Typeset pages, and what happens to paper: scanners, faxes and phones.

The fonts are the standard ones every PDF reader has built in (Times, Helvetica,
Courier): PDFium brings its own, so nothing needs to be installed and the pages
come out the same everywhere.
"""

import ctypes
import importlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

import numpy as np
import pypdfium2 as pdfium
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Gray = NDArray[np.uint8]
"""Height x width, 0 is black."""

LETTER_POINTS = (612.0, 792.0)
MARGIN_POINTS = 72.0
FONTS = ("Times-Roman", "Times-Bold", "Helvetica", "Helvetica-Bold", "Courier")
Align = Literal["left", "center", "right"]

_RAW: Any = importlib.import_module("pypdfium2.raw")
"""The ctypes bindings carry no types."""


@dataclass(frozen=True)
class Run:
    """Text at a place: points from the left, and from the bottom to its baseline."""

    x: float
    y: float
    font: str
    size: float
    text: str


@dataclass
class Sheet:
    """A letter-size page, filled from the top; it remembers the truth of what it says."""

    font: str = "Times-Roman"
    size: float = 12
    y: float = LETTER_POINTS[1] - MARGIN_POINTS
    runs: list[Run] = field(default_factory=list[Run])
    rules: list[tuple[float, float, float]] = field(
        default_factory=list[tuple[float, float, float]]
    )
    truth: list[str] = field(default_factory=list[str])

    def line(
        self, text: str, *, align: Align = "left", bold: bool = False, size: float | None = None
    ) -> None:
        """One line, not wrapped."""
        size = size or self.size
        font = self._bold() if bold else self.font
        width = text_width(text, font, size)
        x = {
            "left": MARGIN_POINTS,
            "center": (LETTER_POINTS[0] - width) / 2,
            "right": LETTER_POINTS[0] - MARGIN_POINTS - width,
        }[align]
        self.y -= size * 1.25
        self.runs.append(Run(x, self.y, font, size, text))
        self.truth.append(text)

    def lines(self, text: str, *, align: Align = "left", bold: bool = False) -> None:
        """Several lines as given."""
        for line in text.strip().splitlines():
            self.line(line.strip(), align=align, bold=bold)

    def paragraph(self, text: str, *, indent: float = 0) -> None:
        """Words wrapped between the margins, then a little space."""
        available = LETTER_POINTS[0] - 2 * MARGIN_POINTS
        line, start = "", indent
        for word in text.split():
            longer = f"{line} {word}".strip()
            if line and text_width(longer, self.font, self.size) > available - start:
                self._set(line, start)
                line, start = word, 0.0
            else:
                line = longer
        self._set(line, start)
        self.gap(self.size * 0.5)

    def row(
        self, cells: Sequence[tuple[float, str]], *, bold: bool = False, size: float | None = None
    ) -> None:
        """Cells of one row at their distances from the left margin; negative: right-aligned."""
        size = size or self.size
        font = self._bold() if bold else self.font
        self.y -= size * 1.45
        for place, text in cells:
            x = MARGIN_POINTS + abs(place)
            if place < 0:
                x -= text_width(text, font, size)
            self.runs.append(Run(x, self.y, font, size, text))
        self.truth.append(" ".join(text for _, text in cells))

    def rule(self) -> None:
        """A thin line across the text."""
        self.y -= 5
        self.rules.append((MARGIN_POINTS, LETTER_POINTS[0] - MARGIN_POINTS, self.y))

    def gap(self, points: float) -> None:
        """Leave space."""
        self.y -= points
        if self.y < MARGIN_POINTS / 2:
            raise ValueError("the sheet is full")

    def _set(self, line: str, start: float) -> None:
        self.y -= self.size * 1.3
        self.runs.append(Run(MARGIN_POINTS + start, self.y, self.font, self.size, line))
        self.truth.append(line)

    def _bold(self) -> str:
        return {"Times-Roman": "Times-Bold", "Helvetica": "Helvetica-Bold"}.get(
            self.font, self.font
        )


@dataclass(frozen=True)
class Picture:
    """A scanned page for a PDF: one JPEG filling the sheet."""

    jpeg: bytes
    width_pixels: int
    height_pixels: int


def pdf(pages: Sequence[Sheet | Picture]) -> bytes:
    """Write a PDF of typeset and scanned pages, byte for byte the same each time."""
    objects: list[bytes] = [b"", b""]  # the catalogue and the page tree, written last

    def add(body: bytes) -> int:
        objects.append(body)
        return len(objects)

    fonts = " ".join(f"/F{index} {add(_font_object(name))} 0 R" for index, name in enumerate(FONTS))
    kids: list[int] = []
    for page in pages:
        if isinstance(page, Sheet):
            width, height = LETTER_POINTS
            content = _sheet_content(page)
            resources = f"/Font << {fonts} >>"
        else:
            width = LETTER_POINTS[0]
            if page.width_pixels > page.height_pixels:
                width = LETTER_POINTS[1]
            height = width * page.height_pixels / page.width_pixels
            image = add(stream(page.jpeg, _image_entries(page)))
            content = f"{width:.2f} 0 0 {height:.2f} 0 0 cm /Scan Do".encode()
            resources = f"/XObject << /Scan {image} 0 R >>"
        body = add(stream(content, ""))
        kids.append(
            add(
                f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {width:.2f} {height:.2f}] "
                f"/Resources << {resources} >> /Contents {body} 0 R >>".encode()
            )
        )
    objects[0] = b"<< /Type /Catalog /Pages 2 0 R >>"
    references = " ".join(f"{kid} 0 R" for kid in kids)
    objects[1] = f"<< /Type /Pages /Count {len(kids)} /Kids [{references}] >>".encode()
    return assembled(objects)


def rendered(sheet: Sheet, *, dpi: int) -> Gray:
    """The sheet as a perfect scanner would see it."""
    document = pdfium.PdfDocument(pdf([sheet]))
    page = document[0]
    pixels = page.render(scale=dpi / 72).to_numpy()[:, :, 0].copy()
    page.close()
    document.close()
    return pixels


def scanned(page: Gray, *, seed: int, skew_degrees: float = 0.0) -> Gray:
    """An office scanner: slightly soft, slightly grey, not quite straight."""
    random = np.random.default_rng(seed)
    image = Image.fromarray(page)
    if skew_degrees:
        image = image.rotate(skew_degrees, Image.Resampling.BICUBIC, fillcolor=255)
    soft = np.asarray(image.filter(ImageFilter.GaussianBlur(0.6)), dtype=np.float32)
    paper = 247 - (255 - soft) * 0.88
    return _clipped(paper + random.normal(0, 1.5, paper.shape))


def faxed(page: Gray, *, seed: int, skew_degrees: float) -> Gray:
    """A fax: fed askew, black or white only, specks, and streaks of a dirty roller."""
    random = np.random.default_rng(seed)
    image = Image.fromarray(page).rotate(skew_degrees, Image.Resampling.BICUBIC, fillcolor=255)
    soft = np.asarray(image.filter(ImageFilter.GaussianBlur(0.7)), dtype=np.float32)
    noisy = soft + random.normal(0, 28, soft.shape)
    bilevel = np.where(noisy > 150, 255, 0).astype(np.uint8)
    height, width = bilevel.shape
    for y, x in zip(random.integers(0, height, 900), random.integers(0, width, 900), strict=True):
        size = int(random.integers(1, 4))
        bilevel[y : y + size, x : x + size] = 0
    for x in random.integers(0, width, 3):
        bilevel[random.integers(0, height, height // 2), x] = 0
    return bilevel


def photographed(page: Gray, *, seed: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """A phone's photo: paper on a desk, seen at an angle, a hand's shadow across it (RGB)."""
    random = np.random.default_rng(seed)
    width, height = size
    corners = [(0.09, 0.06), (0.93, 0.09), (0.985, 0.95), (0.03, 0.92)]
    target = [(x * width, y * height) for x, y in corners]
    source = [(0, 0), (page.shape[1], 0), (page.shape[1], page.shape[0]), (0, page.shape[0])]
    coefficients = _perspective(target, source)
    paper = Image.fromarray(page).transform(
        size, Image.Transform.PERSPECTIVE, coefficients, Image.Resampling.BICUBIC, fillcolor=0
    )
    mask = Image.new("L", (page.shape[1], page.shape[0]), 255).transform(
        size, Image.Transform.PERSPECTIVE, coefficients, Image.Resampling.BICUBIC, fillcolor=0
    )
    ink = np.asarray(paper, dtype=np.float32)[:, :, np.newaxis] / 255
    share = np.asarray(mask, dtype=np.float32)[:, :, np.newaxis] / 255
    down, across = np.mgrid[0:height, 0:width].astype(np.float32)
    light = 1.0 - 0.22 * (across / width) - 0.10 * (down / height)
    # The shadow's edge runs diagonally and is soft.
    edge = (across / width) * 0.9 + (down / height) * 0.7 - 0.95
    light *= 1.0 - 0.42 / (1.0 + np.exp(-edge * 28))
    white, desk = np.array([238, 233, 220]), np.array([112, 84, 58])
    colour = (ink * white + (1 - ink) * 34) * share + desk * (1 - share)
    grain = random.normal(0, 3.0, (height, width, 1))
    photo = Image.fromarray(_clipped(colour * light[:, :, np.newaxis] + grain))
    return np.asarray(photo.filter(ImageFilter.GaussianBlur(0.5)))


def jpeg(pixels: NDArray[np.uint8], *, quality: int, exif_orientation: int | None = None) -> bytes:
    """Encode gray or RGB pixels, optionally with the orientation a camera would note."""
    buffer = io.BytesIO()
    exif = Image.Exif()
    if exif_orientation:
        exif[0x0112] = exif_orientation
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, optimize=True, exif=exif)
    return buffer.getvalue()


def png(pixels: Gray, *, bilevel: bool = False) -> bytes:
    """Encode gray pixels in 16 shades, which is what text needs, or in black and white."""
    buffer = io.BytesIO()
    image = Image.fromarray(pixels)
    if bilevel:
        image = image.convert("1", dither=Image.Dither.NONE)
    else:
        image = Image.fromarray(pixels // 17).convert("P")
        image.putpalette([shade * 17 for shade in range(16) for _ in range(3)])
    image.save(buffer, "PNG", optimize=True, bits=1 if bilevel else 4)
    return buffer.getvalue()


def picture(pixels: Gray, *, quality: int = 60) -> Picture:
    """A scanned page ready to be put into a PDF."""
    return Picture(jpeg(pixels, quality=quality), pixels.shape[1], pixels.shape[0])


@cache
def _standard_font(name: str) -> tuple[Any, Any]:
    document = _RAW.FPDF_CreateNewDocument()  # kept: the font lives in it
    return document, _RAW.FPDFText_LoadStandardFont(document, name.encode())


@cache
def _character_width(character: str, font: str) -> float:
    width = ctypes.c_float()
    _RAW.FPDFFont_GetGlyphWidth(
        _standard_font(font)[1], ord(character), ctypes.c_float(100), ctypes.byref(width)
    )
    return width.value / 100


def text_width(text: str, font: str, size: float) -> float:
    """Width of a text in points."""
    return size * sum(_character_width(character, font) for character in text)


def _font_object(name: str) -> bytes:
    return (
        f"<< /Type /Font /Subtype /Type1 /BaseFont /{name} /Encoding /WinAnsiEncoding >>".encode()
    )


def _image_entries(page: Picture) -> str:
    return (
        f"/Type /XObject /Subtype /Image /Width {page.width_pixels} /Height {page.height_pixels} "
        "/ColorSpace /DeviceGray /BitsPerComponent 8 /Filter /DCTDecode"
    )


def stream(body: bytes, entries: str) -> bytes:
    """A stream object of a PDF; `entries` are those of its dictionary beside its length."""
    return f"<< {entries} /Length {len(body)} >>\nstream\n".encode() + body + b"\nendstream"


def _sheet_content(sheet: Sheet) -> bytes:
    parts = [
        f"0.8 w {left:.2f} {y:.2f} m {right:.2f} {y:.2f} l S" for left, right, y in sheet.rules
    ]
    for run in sheet.runs:
        text = run.text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
        place = f"/F{FONTS.index(run.font)} {run.size:g} Tf {run.x:.2f} {run.y:.2f} Td"
        parts.append(f"BT {place} ({text}) Tj ET")
    return "\n".join(parts).encode("cp1252")


def assembled(objects: Sequence[bytes]) -> bytes:
    """A PDF of these objects, numbered from 1; the first is its catalogue."""
    out = io.BytesIO()
    out.write(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    offsets: list[int] = []
    for number, body in enumerate(objects, start=1):
        offsets.append(out.tell())
        out.write(f"{number} 0 obj\n".encode() + body + b"\nendobj\n")
    start = out.tell()
    out.write(f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode())
    for offset in offsets:
        out.write(f"{offset:010d} 00000 n \n".encode())
    out.write(f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\n".encode())
    out.write(f"startxref\n{start}\n%%EOF\n".encode())
    return out.getvalue()


def _perspective(
    target: Sequence[tuple[float, float]], source: Sequence[tuple[float, float]]
) -> list[float]:
    """Pillow's eight coefficients: where in the source each target pixel comes from."""
    rows: list[list[float]] = []
    values: list[float] = []
    for (x, y), (u, v) in zip(target, source, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    return [float(value) for value in np.linalg.solve(np.array(rows), np.array(values))]


def _clipped(values: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    return np.rint(values).clip(0, 255).astype(np.uint8)
