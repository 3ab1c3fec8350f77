"""Pictures as PDF pages: photos, scans, faxes.

A JPEG's bytes are kept as they are, and a PNG's pixels; an EXIF orientation becomes the page's
/Rotate. What img2pdf cannot carry unchanged (mirrored photos, kinds a PDF knows nothing of) is
drawn as the engines saw it and compressed anew.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path

import img2pdf
import numpy as np
from pikepdf import Pdf
from PIL import Image

from rendering.pages import Pixels, open_document
from schema.files import JPEG, PNG

POINTS_PER_INCH = 72.0

PAPER_INCHES = (2.0, 17.5)
"""The longer side of a receipt and of a tabloid. A resolution that makes more or less of a
picture is not one it was scanned at: phones and programs write 72 or 96 whatever they took."""

LETTER_INCHES = 11.0
"""The longer side of a picture whose size on paper is not known."""

SMALLEST_POINTS = 3.0
"""No side of a PDF page may be smaller."""

JPEG_QUALITY = 90

_NOT_AS_IT_IS = (
    img2pdf.AlphaChannelError,
    img2pdf.ExifOrientationError,
    img2pdf.ImageOpenError,
    img2pdf.JpegColorspaceError,
    img2pdf.NegativeDimensionError,
    img2pdf.PdfTooLargeError,
    img2pdf.UnsupportedColorspaceError,
)


def write_picture_pdf(picture: Path, media_type: str, output: Path) -> None:
    """Write a PDF that shows the picture, one page for each that it holds.

    Raises `BadInput` for a picture that cannot be read. Holds one page at a time in memory.
    """
    if media_type in (JPEG, PNG) and _write_as_it_is(picture, output):
        return
    with open_document(picture, media_type) as document:
        pages: list[Path] = []
        for number in range(1, document.page_count + 1):
            page = output.with_suffix(f".{number:05d}.pdf")
            _convert(_compressed(document.page(number)), page)
            pages.append(page)
    _bind(pages, output)


def _write_as_it_is(picture: Path, output: Path) -> bool:
    try:
        _convert(picture, output)
    except _NOT_AS_IT_IS:
        return False
    return True


def _convert(picture: Path | BytesIO, output: Path) -> None:
    """Of a picture's bytes no more copies than img2pdf makes: a large one has 60 MB."""
    with output.open("wb") as file:
        img2pdf.convert(picture, outputstream=file, layout_fun=_layout, first_frame_only=True)


def _layout(
    width_pixels: int, height_pixels: int, dpi: tuple[float, float]
) -> tuple[float, float, float, float]:
    """Width and height of page and picture, in points."""
    width, height = width_pixels / dpi[0], height_pixels / dpi[1]
    smallest, largest = PAPER_INCHES
    if not smallest <= max(width, height) <= largest:
        scale = LETTER_INCHES / max(width, height)
        width, height = width * scale, height * scale
    points = tuple(max(side * POINTS_PER_INCH, SMALLEST_POINTS) for side in (width, height))
    return points[0], points[1], points[0], points[1]


def _compressed(pixels: Pixels) -> BytesIO:
    """As PNG where it is black and white, as faxes are; else as JPEG."""
    packed = BytesIO()
    if np.isin(pixels, (0, 255)).all() and (pixels == pixels[..., :1]).all():
        Image.fromarray(pixels[..., 0]).convert("1").save(packed, "PNG", optimize=True)
    else:
        Image.fromarray(pixels).save(packed, "JPEG", quality=JPEG_QUALITY)
    packed.seek(0)
    return packed


def _bind(pages: Sequence[Path], output: Path) -> None:
    with ExitStack() as opened, Pdf.new() as bound:
        for page in pages:
            bound.pages.extend(opened.enter_context(Pdf.open(page)).pages)
        bound.save(output)
    for page in pages:
        page.unlink()
