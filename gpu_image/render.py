"""A page's pixels: PDF, JPEG and PNG files as upright-as-stored RGB arrays.

"As rendered" means what a viewer shows: a PDF's /Rotate and a photo's EXIF
orientation are applied, form fields are drawn, transparency lies on white. How
the text itself stands on the page is the engine's question, not this module's.

Memory is bounded by construction: one page at a time, and never more than
`MAX_PAGE_PIXELS` of it, whatever the file claims to be.
"""

import math
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np
import pypdfium2 as pdfium
from numpy.typing import NDArray
from PIL import Image, ImageOps

from schema.failures import BadInput

Pixels = NDArray[np.uint8]
"""Height x width x 3, RGB."""

PDF = "application/pdf"
JPEG = "image/jpeg"
PNG = "image/png"
MEDIA_TYPES = {".pdf": PDF, ".jpg": JPEG, ".jpeg": JPEG, ".png": PNG}
"""Media type by lower-case suffix, for callers that have nothing but a file name."""

MAX_PAGE_PIXELS = 25_000_000
"""A page is rendered smaller rather than larger than this: 75 MB as RGB."""

MAX_STORED_PIXELS = 89_000_000
"""Largest image that is decoded at all; just under where Pillow suspects a bomb."""

_PDFIUM = threading.RLock()
"""PDFium keeps process-wide state: every call into it holds this lock, so documents
may be read from several threads, one page at a time."""


class Document(Protocol):
    """A file whose pages can be rendered."""

    @property
    def page_count(self) -> int:
        """How many pages there are."""
        ...

    def page(self, number: int) -> Pixels:
        """Render page `number` (from 1); raises `BadInput` when it cannot be."""
        ...


@contextmanager
def open_document(path: Path, media_type: str, *, dpi: int = 200) -> Generator[Document]:
    """Open a file for rendering; raises `BadInput` with a reason a person understands.

    `dpi` is for PDFs, whose pages have a size on paper; photos and scans keep the
    pixels they have.
    """
    if media_type == PDF:
        document = _PdfDocument(path, dpi)
        try:
            yield document
        finally:
            document.close()
    elif media_type in (JPEG, PNG):
        yield _ImageDocument(path, media_type)
    else:
        raise BadInput(f"Files of type {media_type} cannot be read; PDF, JPEG and PNG can.")


class _PdfDocument:
    def __init__(self, path: Path, dpi: int) -> None:
        self._dpi = dpi
        with _PDFIUM:
            try:
                self._pdf = pdfium.PdfDocument(path)
                # Without this, what people typed into form fields is not drawn.
                self._pdf.init_forms()
            except pdfium.PdfiumError as error:
                if "password" in str(error).lower():
                    raise BadInput(
                        "The PDF is protected by a password; send a copy without one."
                    ) from error
                raise BadInput("The PDF is damaged or cut short and cannot be opened.") from error
            self.page_count = len(self._pdf)

    def page(self, number: int) -> Pixels:
        _check_page_number(number, self.page_count)
        with _PDFIUM:
            try:
                page = self._pdf[number - 1]
            except pdfium.PdfiumError as error:
                raise BadInput(f"Page {number} of the PDF is damaged.") from error
            try:
                return self._render(page, number)
            except pdfium.PdfiumError as error:
                raise BadInput(f"Page {number} of the PDF cannot be drawn.") from error
            finally:
                page.close()

    def _render(self, page: pdfium.PdfPage, number: int) -> Pixels:
        width_points, height_points = page.get_size()
        if not (width_points > 0 and height_points > 0):
            raise BadInput(f"Page {number} of the PDF has no area.")
        scale = render_scale(width_points, height_points, self._dpi)
        bitmap = page.render(scale=scale, rev_byteorder=True)
        try:
            return _as_rgb(bitmap.to_numpy())
        finally:
            bitmap.close()

    def close(self) -> None:
        with _PDFIUM:
            self._pdf.close()


class _ImageDocument:
    page_count = 1

    def __init__(self, path: Path, media_type: str) -> None:
        self._path = path
        self._kind = "JPEG" if media_type == JPEG else "PNG"
        with self._opened():
            pass  # a file that is no image is the file's failure, found at once

    def page(self, number: int) -> Pixels:
        _check_page_number(number, self.page_count)
        with self._opened() as image:
            if image.width * image.height > MAX_PAGE_PIXELS:
                # JPEG decoders can skip detail that would be thrown away below.
                image.draft(None, _bounded(image.width, image.height))
            try:
                return _image_pixels(image)
            except (OSError, SyntaxError, ValueError) as error:
                raise BadInput(f"The {self._kind} image is damaged or cut short.") from error

    @contextmanager
    def _opened(self) -> Generator[Image.Image]:
        try:
            image = Image.open(self._path, formats=[self._kind])
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise BadInput(_too_large("")) from error
        except (OSError, SyntaxError, ValueError) as error:
            raise BadInput(f"The file is not a {self._kind} image that can be opened.") from error
        with image:
            pixels = image.width * image.height
            if pixels > MAX_STORED_PIXELS:
                raise BadInput(_too_large(f" of {pixels / 1e6:.0f} megapixels"))
            yield image


def render_scale(width_points: float, height_points: float, dpi: int) -> float:
    """Pixels per PDF point: `dpi`, or less where the page would exceed `MAX_PAGE_PIXELS`."""
    wanted = dpi / 72
    # One pixel per side is left for PDFium's rounding up.
    largest = math.sqrt(MAX_PAGE_PIXELS / (width_points * height_points)) * 0.999
    longest_side = 20_000 / max(width_points, height_points)
    return min(wanted, largest, longest_side)


def _check_page_number(number: int, page_count: int) -> None:
    if not 1 <= number <= page_count:
        raise BadInput(f"There is no page {number}; the document has {page_count}.")


def _too_large(size: str) -> str:
    limit = f"{MAX_STORED_PIXELS / 1e6:.0f} megapixels"
    return f"The image{size} is too large; the limit is {limit}. Send a smaller copy."


def _bounded(width: int, height: int) -> tuple[int, int]:
    """The size itself, or the largest of the same shape within `MAX_PAGE_PIXELS`."""
    shrink = min(1.0, math.sqrt(MAX_PAGE_PIXELS / (width * height)))
    return max(1, int(width * shrink)), max(1, int(height * shrink))


def _image_pixels(image: Image.Image) -> Pixels:
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith(("I", "F")):
        # 16 bits per pixel: Pillow's own conversion would clip at 255, not scale.
        deep = np.asarray(upright)
        gray = (deep.astype(np.float32) / 257).clip(0, 255).astype(np.uint8)
        upright = Image.fromarray(gray)
    if upright.has_transparency_data:
        upright = upright.convert("RGBA")
        paper = Image.new("RGBA", upright.size, "white")
        upright = Image.alpha_composite(paper, upright)
    upright = upright.convert("RGB")
    size = _bounded(upright.width, upright.height)
    if size != upright.size:
        upright = upright.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
    return np.array(upright, dtype=np.uint8)


def _as_rgb(bitmap: NDArray[np.uint8]) -> Pixels:
    """Copy PDFium's buffer (gray, RGB or RGBX, valid only while its bitmap lives)."""
    if bitmap.ndim == 2:
        bitmap = bitmap[:, :, np.newaxis]
    if bitmap.shape[2] == 1:
        return np.repeat(bitmap, 3, axis=2)
    return np.ascontiguousarray(bitmap[:, :, :3]).copy()
