"""A page's pixels: PDF files and pictures as upright-as-stored RGB arrays.

"As rendered" means what a viewer shows: a PDF's /Rotate and the orientation noted in a
picture are applied, once, form fields are drawn, transparency lies on white. How
the text itself stands on the page is the engine's question, not this module's.

A PDF page that is nothing but a scan gives the scan's own pixels: drawing it would
take longer and blur it. Only what is certainly the same picture is taken this way;
every doubt is settled by rendering.

Memory is bounded by construction: one page at a time, and never more than
`MAX_PAGE_PIXELS` of it, whatever the file claims to be. What a decoder needs on the
way is bounded by `MAX_STORED_PIXELS`, `MAX_WHOLE_PIXELS` and `MAX_DECODED_PIXELS`, and
by those of `rendering.tiff`, `rendering.webp` and `rendering.heic`.
"""

import ctypes
import io
import math
import re
import threading
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c
from numpy.typing import NDArray
from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from rendering import heic, tiff, webp
from schema.failures import BadInput
from schema.files import HEIC, JPEG, PDF, PNG, TIFF, WEBP

Pixels = NDArray[np.uint8]
"""Height x width x 3, RGB."""

MEDIA_TYPES = {
    ".pdf": PDF,
    ".jpg": JPEG,
    ".jpeg": JPEG,
    ".png": PNG,
    ".tif": TIFF,
    ".tiff": TIFF,
    ".webp": WEBP,
    ".heic": HEIC,
    ".heif": HEIC,
}
"""Media type by lower-case suffix, for callers that have nothing but a file name."""

MAX_PAGE_PIXELS = 25_000_000
"""A page is rendered smaller rather than larger than this: 75 MB as RGB."""

MAX_STORED_PIXELS = 200_000_000
"""Largest JPEG that is read. A large one is decoded at a half or a quarter of its size,
so that it costs no more memory than a small one."""

MAX_WHOLE_PIXELS = 89_000_000
"""Largest picture whose decoder must hold all of it: a PNG (up to 4 bytes a pixel) or a
progressive JPEG (up to 6). Nothing decodes those at a smaller size or piece by piece."""

MAX_DECODED_PIXELS = 2 * MAX_PAGE_PIXELS
"""A JPEG is decoded at the largest size within this, 200 MB as Pillow holds it, and then
shrunk: at `MAX_PAGE_PIXELS` one just above would come out at a quarter of the pixels."""

_UNREADABLE = (OSError, SyntaxError, ValueError, EOFError)
"""What Pillow raises for a picture that is damaged, cut short, or something else."""

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
def open_document(
    path: Path, media_type: str, *, dpi: int = 200, most_pixels: int | None = None
) -> Generator[Document]:
    """Open a file for rendering; raises `BadInput` with a reason a person understands.

    `dpi` is for PDFs, whose pages have a size on paper; photos and scans keep the
    pixels they have. No page has more than `most_pixels` (`MAX_PAGE_PIXELS` if not given),
    and a JPEG is decoded at a smaller size where that is enough.
    """
    most = most_pixels or MAX_PAGE_PIXELS
    if media_type == PDF:
        document = _PdfDocument(path, dpi, most)
        try:
            yield document
        finally:
            document.close()
    elif media_type == TIFF:
        yield _TiffDocument(path, most)
    elif media_type in _KINDS:
        yield _ImageDocument(path, media_type, most)
    else:
        raise BadInput(
            f"Files of type {media_type} have no pages to draw; PDF, JPEG, PNG, TIFF, WebP "
            "and HEIC have."
        )


class _PdfDocument:
    def __init__(self, path: Path, dpi: int, most_pixels: int) -> None:
        self._dpi = dpi
        self._most_pixels = most_pixels
        self._stored = _StoredJpegs(path)
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
        with self._opened(number) as page:
            scan = _find_scan(page, self._dpi)
            if scan is None:
                return self._render(page, number)
        # Decoding needs no PDFium: other threads get it in the meantime.
        with suppress(*_UNREADABLE):
            if self._stored.shown_as_is(scan.jpeg):
                return scan.pixels(self._most_pixels)
        with self._opened(number) as page:
            return self._render(page, number)

    @contextmanager
    def _opened(self, number: int) -> Generator[pdfium.PdfPage]:
        with _PDFIUM:
            try:
                page = self._pdf[number - 1]
            except pdfium.PdfiumError as error:
                raise BadInput(f"Page {number} of the PDF is damaged.") from error
            try:
                yield page
            except pdfium.PdfiumError as error:
                raise BadInput(f"Page {number} of the PDF cannot be drawn.") from error
            finally:
                page.close()

    def _render(self, page: pdfium.PdfPage, number: int) -> Pixels:
        width_points, height_points = page.get_size()
        if not (width_points > 0 and height_points > 0):
            raise BadInput(f"Page {number} of the PDF has no area.")
        scale = render_scale(width_points, height_points, self._dpi, self._most_pixels)
        bitmap = page.render(scale=scale, rev_byteorder=True)
        try:
            return _as_rgb(bitmap.to_numpy())
        finally:
            bitmap.close()

    def close(self) -> None:
        with _PDFIUM:
            self._pdf.close()


_KINDS = {JPEG: "JPEG", PNG: "PNG", WEBP: "WebP", HEIC: "HEIC"}
"""What people call a picture."""


class _ImageDocument:
    page_count = 1

    def __init__(self, path: Path, media_type: str, most_pixels: int) -> None:
        self._path = path
        self._most_pixels = most_pixels
        self._kind = _KINDS[media_type]
        with self._opened():
            pass  # a file that is no image is the file's failure, found at once

    def page(self, number: int) -> Pixels:
        _check_page_number(number, self.page_count)
        with self._opened() as image:
            try:
                return _image_pixels(image, self._orientation(image), self._most_pixels)
            except _UNREADABLE as error:
                raise BadInput(f"The {self._kind} image is damaged or cut short.") from error

    def _orientation(self, image: ImageFile) -> int:
        if self._kind == "HEIC":
            return 1  # its decoder has turned it already
        return image.getexif().get(_EXIF_ORIENTATION, 1)

    @contextmanager
    def _opened(self) -> Generator[ImageFile]:
        try:
            image = self._open()
        except _UNREADABLE as error:
            raise BadInput(f"The file is not a {self._kind} image that can be opened.") from error
        with image:
            pixels, limit = image.width * image.height, _stored_limit(image)
            if pixels > limit:
                kind = "progressive JPEG" if _is_progressive(image) else self._kind
                raise BadInput(
                    f"The image of {pixels / 1e6:.0f} megapixels is too large; the limit for "
                    f"{kind} is {limit / 1e6:.0f} megapixels. Send a smaller copy."
                )
            yield image

    def _open(self) -> ImageFile:
        # Not `Image.open`: that warns or raises at a size that is set for the whole
        # process. The limits here are ours, and nobody else's use of Pillow is changed.
        match self._kind:
            case "WebP":
                return webp.open_webp(self._path)
            case "HEIC":
                return heic.open_heic(self._path)
            case "JPEG":
                return JpegImageFile(self._path)
            case _:
                return PngImageFile(self._path)


class _TiffDocument:
    """One page is opened at a time, and one that is broken takes no other with it."""

    def __init__(self, path: Path, most_pixels: int) -> None:
        self._path = path
        self._most_pixels = most_pixels
        self._pages = tiff.pages_of(path)
        self.page_count = len(self._pages)

    def page(self, number: int) -> Pixels:
        _check_page_number(number, self.page_count)
        try:
            with tiff.open_page(self._path, self._pages[number - 1]) as image:
                # Pillow turns a TIFF by its orientation while it decodes it.
                is_negative = tiff.is_negative(image)
                pixels = _image_pixels(image, 1, self._most_pixels)
                return 255 - pixels if is_negative else pixels
        except BadInput as error:
            raise BadInput(f"Page {number} of the TIFF cannot be read. {error}") from error
        except tiff.DAMAGED as error:
            raise BadInput(f"Page {number} of the TIFF is damaged or cut short.") from error


def render_scale(
    width_points: float, height_points: float, dpi: int, most_pixels: int | None = None
) -> float:
    """Pixels per PDF point: `dpi`, or less where the page would exceed `most_pixels`."""
    most = most_pixels or MAX_PAGE_PIXELS
    wanted = dpi / 72
    # One pixel per side is left for PDFium's rounding up.
    largest = math.sqrt(most / (width_points * height_points)) * 0.999
    longest_side = 20_000 / max(width_points, height_points)
    return min(wanted, largest, longest_side)


def _check_page_number(number: int, page_count: int) -> None:
    if not 1 <= number <= page_count:
        raise BadInput(f"There is no page {number}; the document has {page_count}.")


def _is_progressive(image: ImageFile) -> bool:
    return "progressive" in image.info


def _stored_limit(image: ImageFile) -> int:
    in_bands = isinstance(image, JpegImageFile) and not _is_progressive(image)
    return MAX_STORED_PIXELS if in_bands else MAX_WHOLE_PIXELS


def _bounded(width: int, height: int, most_pixels: int) -> tuple[int, int]:
    """The size itself, or the largest of the same shape within `most_pixels`."""
    shrink = min(1.0, math.sqrt(most_pixels / (width * height)))
    return max(1, int(width * shrink)), max(1, int(height * shrink))


_EXIF_ORIENTATION = 0x0112

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes a picture upright, by its EXIF orientation."""

_STRIP_PIXELS = 1_000_000


def _image_pixels(image: ImageFile, orientation: int, most_pixels: int) -> Pixels:
    """Decode a picture, no larger than `most_pixels`, turned by its EXIF orientation.

    Only the decoder ever holds it all: it is converted, shrunk and turned in strips,
    each written to where it belongs in the result.
    """
    _skip_detail(image, most_pixels)
    width, height = _bounded(image.width, image.height, most_pixels)
    on_its_side = orientation in (5, 6, 7, 8)
    first_row_comes_last = orientation in (3, 4, 6, 7)
    upright = np.empty((width, height, 3) if on_its_side else (height, width, 3), np.uint8)
    rows = max(1, _STRIP_PIXELS // width)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        strip = _shrunk_rows(image, width, height, top, bottom)
        if orientation in _TURNS:
            strip = strip.transpose(_TURNS[orientation])
        place = slice(top, bottom)
        if first_row_comes_last:
            place = slice(height - bottom, height - top)
        upright[(slice(None), place) if on_its_side else place] = np.asarray(strip)
    return upright


def _skip_detail(image: ImageFile, most_pixels: int) -> None:
    """Let a large JPEG be decoded at a half, a quarter or an eighth of its size."""
    if not isinstance(image, JpegImageFile):
        return  # a HEIC would give its thumbnail
    part, most = 1, min(MAX_DECODED_PIXELS, 2 * most_pixels)
    while part < 8 and (image.width // part) * (image.height // part) > most:
        part *= 2
    if part > 1:
        image.draft(None, (image.width // part, image.height // part))


def _shrunk_rows(image: Image.Image, width: int, height: int, top: int, bottom: int) -> Image.Image:
    """Rows `top` to `bottom` of the picture as it is at that width and height, in RGB."""
    down = image.height / height
    # Lanczos looks at three pixels of the result to each side.
    reach = math.ceil(3 * down) + 1 if down > 1 else 0
    first = max(0, math.floor(top * down) - reach)
    last = min(image.height, math.ceil(bottom * down) + reach)
    rows = _as_rgb_image(image.crop((0, first, image.width, last)))
    size = (width, bottom - top)
    if rows.size == size:
        return rows
    box = (0, top * down - first, rows.width, min(bottom * down - first, rows.height))
    return rows.resize(size, Image.Resampling.LANCZOS, box)


def _as_rgb_image(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        # 16 bits per pixel: Pillow's own conversion would clip at 255, not scale.
        deep = np.asarray(image)
        gray = (deep.astype(np.float32) / 257).clip(0, 255).astype(np.uint8)
        image = Image.fromarray(gray)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(paper, image)
    return image.convert("RGB")


def _as_rgb(bitmap: NDArray[np.uint8]) -> Pixels:
    """Copy PDFium's buffer (gray, RGB or RGBX, valid only while its bitmap lives)."""
    if bitmap.ndim == 2:
        bitmap = bitmap[:, :, np.newaxis]
    if bitmap.shape[2] == 1:
        return np.repeat(bitmap, 3, axis=2)
    return np.ascontiguousarray(bitmap[:, :, :3]).copy()


# A page that is a scan. PDFium answers most of what must be known of it, the file the rest.

_SLACK = 0.01
"""How far, as a share of the page, a picture's edges may lie from the page's."""

_SQUARE = 0.05
"""How far from square the pixels may be: a fax has them twice as high as wide."""

_ENOUGH_PIXELS = 1_000_000
"""A letter at 100 dpi. What is coarser is rendered, and so enlarged, as engines like it."""

_MODES = {pdfium_c.FPDF_COLORSPACE_DEVICEGRAY: "L", pdfium_c.FPDF_COLORSPACE_DEVICERGB: "RGB"}

_ORIENTATIONS = {0: 1, 90: 6, 180: 3, 270: 8}
"""EXIF orientation by the clockwise degrees of /Rotate."""


@dataclass(frozen=True, slots=True)
class _Scan:
    """A JPEG that fills its page, and what the PDF says it is."""

    jpeg: bytes
    mode: str
    size: tuple[int, int]
    orientation: int

    def pixels(self, most_pixels: int) -> Pixels:
        """Decode it; raises one of `_UNREADABLE` when it is not what the PDF says."""
        # What a camera noted in the JPEG itself does not count inside a PDF.
        with JpegImageFile(io.BytesIO(self.jpeg)) as image:
            if (image.mode, image.size) != (self.mode, self.size):
                raise ValueError("the picture is not of the kind or size that the PDF says")
            if image.width * image.height > _stored_limit(image):
                raise ValueError("the picture is too large")
            return _image_pixels(image, self.orientation, most_pixels)


def _find_scan(page: pdfium.PdfPage, dpi: int) -> _Scan | None:
    """The picture that is all there is to see on the page, or None; holding `_PDFIUM`."""
    picture = _only_picture(page)
    if (
        picture is None
        or not _is_jpeg(picture)
        or not _fills(page, picture)
        or not _lies_plain(picture, page.get_bbox())
    ):
        return None
    told = pdfium_c.FPDF_IMAGEOBJ_METADATA()
    pdfium_c.FPDFImageObj_GetImageMetadata(picture, page, told)
    mode = _mode(page, picture, told)
    if mode is None or not _is_fine_enough(page, told.width, told.height, dpi):
        return None
    return _Scan(
        jpeg=_raw_data(picture),
        mode=mode,
        size=(told.width, told.height),
        orientation=_ORIENTATIONS[page.get_rotation()],
    )


def _only_picture(page: pdfium.PdfPage) -> pdfium_c.FPDF_PAGEOBJECT | None:
    if pdfium_c.FPDFPage_GetAnnotCount(page):
        return None  # form fields are annotations, too
    picture = None
    for index in range(pdfium_c.FPDFPage_CountObjects(page)):
        item = pdfium_c.FPDFPage_GetObject(page, index)
        if pdfium_c.FPDFPageObj_GetType(item) == pdfium_c.FPDF_PAGEOBJ_IMAGE:
            if picture is not None:
                return None
            picture = item
        elif not _is_invisible(item):
            return None
    return picture


def _is_invisible(item: pdfium_c.FPDF_PAGEOBJECT) -> bool:
    """Whether it is text that is there to be searched only, or a group of such."""
    kind = pdfium_c.FPDFPageObj_GetType(item)
    if kind == pdfium_c.FPDF_PAGEOBJ_TEXT:
        how = pdfium_c.FPDFTextObj_GetTextRenderMode(item)
        return how == pdfium_c.FPDF_TEXTRENDERMODE_INVISIBLE
    return kind == pdfium_c.FPDF_PAGEOBJ_FORM and all(
        _is_invisible(pdfium_c.FPDFFormObj_GetObject(item, index))
        for index in range(pdfium_c.FPDFFormObj_CountObjects(item))
    )


def _is_jpeg(picture: pdfium_c.FPDF_PAGEOBJECT) -> bool:
    """Whether the picture is a JPEG and not packed again; asked first, as it costs nothing."""
    if pdfium_c.FPDFImageObj_GetImageFilterCount(picture) != 1:
        return False
    name = ctypes.create_string_buffer(16)
    pdfium_c.FPDFImageObj_GetImageFilter(picture, 0, name, len(name))
    return name.value == b"DCTDecode"


def _fills(page: pdfium.PdfPage, picture: pdfium_c.FPDF_PAGEOBJECT) -> bool:
    """Whether the picture lies upright on the whole page and no further."""
    placed = pdfium_c.FS_MATRIX()
    pdfium_c.FPDFPageObj_GetMatrix(picture, placed)
    left, bottom, right, top = page.get_bbox()
    width, height = right - left, top - bottom
    across, up = width * _SLACK, height * _SLACK
    return (
        placed.a > 0
        and placed.d > 0
        # A turn of a hundredth of a degree is a rounding error, not a turn.
        and abs(placed.b) <= 2e-4 * placed.a
        and abs(placed.c) <= 2e-4 * placed.d
        and abs(placed.e - left) <= across
        and abs(placed.e + placed.a - right) <= across
        and abs(placed.f - bottom) <= up
        and abs(placed.f + placed.d - top) <= up
    )


def _lies_plain(picture: pdfium_c.FPDF_PAGEOBJECT, box: tuple[float, float, float, float]) -> bool:
    """Whether nothing of where the picture stands makes it see-through, cut or optional."""
    if pdfium_c.FPDFPageObj_HasTransparency(picture):
        return False
    for index in range(pdfium_c.FPDFPageObj_CountMarks(picture)):
        name, length = (ctypes.c_ushort * 3)(), ctypes.c_ulong()
        mark = pdfium_c.FPDFPageObj_GetMark(picture, index)
        pdfium_c.FPDFPageObjMark_GetName(mark, name, ctypes.sizeof(name), length)
        if bytes(name) == "OC\0".encode("utf-16-le"):  # a layer, which may be switched off
            return False
    clip = pdfium_c.FPDFPageObj_GetClipPath(picture)
    paths = pdfium_c.FPDFClipPath_CountPaths(clip)  # -1: none
    return all(_lets_through(clip, index, box) for index in range(paths))


def _lets_through(
    clip: pdfium_c.FPDF_CLIPPATH, index: int, box: tuple[float, float, float, float]
) -> bool:
    """Whether a clipping path is a rectangle around the page, as many programs write first."""
    left, bottom, right, top = box
    across, up = (right - left) * _SLACK, (top - bottom) * _SLACK
    corners: list[tuple[int, int]] = []
    for place in range(pdfium_c.FPDFClipPath_CountPathSegments(clip, index)):
        segment = pdfium_c.FPDFClipPath_GetPathSegment(clip, index, place)
        if pdfium_c.FPDFPathSegment_GetType(segment) == pdfium_c.FPDF_SEGMENT_BEZIERTO:
            return False
        x, y = ctypes.c_float(), ctypes.c_float()
        pdfium_c.FPDFPathSegment_GetPoint(segment, x, y)
        column = -1 if x.value <= left + across else int(x.value >= right - across)
        row = -1 if y.value <= bottom + up else int(y.value >= top - up)
        corners.append((column, row))
    # From corner to corner along the sides, once around: four points, or five when closed.
    steps = pairwise(corners)
    return (
        len(corners) in (4, 5)
        and set(corners) == {(-1, -1), (1, -1), (1, 1), (-1, 1)}
        and all((a == c) + (b == d) >= 1 for (a, b), (c, d) in steps)
    )


def _mode(
    page: pdfium.PdfPage,
    picture: pdfium_c.FPDF_PAGEOBJECT,
    told: pdfium_c.FPDF_IMAGEOBJ_METADATA,
) -> str | None:
    """What Pillow calls colours that PDFium shows without conversion; None for all others."""
    mode = _MODES.get(told.colorspace)
    if told.colorspace == pdfium_c.FPDF_COLORSPACE_ICCBASED and _is_srgb(page, picture):
        mode = "RGB"
    return mode if told.bits_per_pixel == {"L": 8, "RGB": 24}.get(mode or "") else None


def _is_srgb(page: pdfium.PdfPage, picture: pdfium_c.FPDF_PAGEOBJECT) -> bool:
    """Whether the colour profile is the one PDFium knows to change nothing."""
    profile, length = (ctypes.c_ubyte * 3144)(), ctypes.c_size_t()
    pdfium_c.FPDFImageObj_GetIccProfileDataDecoded(picture, page, profile, len(profile), length)
    return length.value == len(profile) and bytes(profile)[400:].startswith(b"sRGB IEC61966-2.1")


def _is_fine_enough(page: pdfium.PdfPage, width: int, height: int, dpi: int) -> bool:
    width_points, height_points = page.get_size()
    if page.get_rotation() in (90, 270):
        width_points, height_points = height_points, width_points
    upright, lying = width * height_points, height * width_points
    if abs(upright - lying) > _SQUARE * lying:
        return False
    scale = render_scale(width_points, height_points, dpi)
    rendered = width_points * height_points * scale**2
    return width * height >= min(rendered / 4, _ENOUGH_PIXELS)


def _raw_data(picture: pdfium_c.FPDF_PAGEOBJECT) -> bytes:
    data = ctypes.create_string_buffer(pdfium_c.FPDFImageObj_GetImageDataRaw(picture, None, 0))
    pdfium_c.FPDFImageObj_GetImageDataRaw(picture, data, len(data))
    return data.raw


class _StoredJpegs:
    """The JPEG pictures of a PDF file, and what it says beside them.

    PDFium does not tell whether a picture has a mask, is inverted, or belongs to a layer;
    its dictionary does, and that stands uncompressed before its bytes in any PDF. So it
    is found by its bytes. In an encrypted file those are others: nothing is found.

    Nor does it tell of a transfer function, which changes all shades and is set anywhere:
    in a file that has one no picture counts as shown as it is.
    """

    _MARK_BYTES = 16_384
    """Enough to go past the headers, which are the same on all pages of one scanner."""

    _MOST_ALIKE = 50
    """More copies than this of one picture are not looked through for every page."""

    _JPEG = re.compile(rb"stream\r?\n(?=\xff\xd8)")
    _PACKED_OBJECTS = re.compile(rb"/ObjStm")
    _TRANSFER = re.compile(rb"/TR2?\s*(?:\[|<<|\d+\s+\d+\s+R)")

    _SHOWN_AS_IS = re.compile(
        rb"""obj \s* << \s* (?: (?:
              /Type \s* /XObject
            | /Subtype \s* /Image
            | /(?:Width|Height|BitsPerComponent|Length|StructParent) \s+ \d+ (?:\s+\d+\s+R)?
            | /Metadata \s+ \d+\s+\d+\s+R
            | /ColorSpace \s* (?: /\w+ | \[?\s* (?:/ICCBased\s+)? \d+\s+\d+\s+R \s*\]? )
            | /Filter \s* (?: /DCTDecode | \[ \s* /DCTDecode \s* \] )
            | /Decode \s* \[ (?: \s* 0 \s+ 1 )+ \s* \]
            | /DecodeParms \s* (?: null | << \s* >> | \[ \s* null \s* \] )
            | /(?:Name|Intent) \s* /[\w.+-]+
            | /Interpolate \s+ (?:true|false)
            | /ImageMask \s+ false
        ) \s* )* >> \s* stream \r?\n""",
        re.VERBOSE,
    )
    """All that a dictionary may say; anything else might change what is seen."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def shown_as_is(self, jpeg: bytes) -> bool:
        """Whether the file shows these bytes as the picture they are, wherever it has them."""
        places = self._places.get(zlib.crc32(jpeg[: self._MARK_BYTES]), [])
        if len(jpeg) < self._MARK_BYTES or len(places) > self._MOST_ALIKE:
            return False
        with self._path.open("rb") as file:
            same = [place for place in places if _has_at(file, place, jpeg)]
            return bool(same) and all(self._says_nothing_more(file, place) for place in same)

    def _says_nothing_more(self, file: BinaryIO, place: int) -> bool:
        start = max(place - 1024, 0)
        file.seek(start)
        before = file.read(place - start)
        return bool(self._SHOWN_AS_IS.fullmatch(before, max(before.rfind(b"obj"), 0)))

    @cached_property
    def _places(self) -> dict[int, list[int]]:
        """Where JPEGs begin, by the checksum of how they begin: one pass over the file."""
        starts: set[int] = set()
        packed: set[int] = set()
        places: dict[int, list[int]] = {}
        with self._path.open("rb") as file:
            for offset, window in _windows(file):
                if self._TRANSFER.search(window):
                    return {}
                starts.update(offset + found.end() for found in self._JPEG.finditer(window))
                packed.update(
                    offset + found.end() for found in self._PACKED_OBJECTS.finditer(window)
                )
            if any(self._TRANSFER.search(_unpacked(file, place)) for place in packed):
                return {}
            for place in sorted(starts):
                file.seek(place)
                mark = zlib.crc32(file.read(self._MARK_BYTES))
                places.setdefault(mark, []).append(place)
        return places


def _windows(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """The file in pieces that overlap, so that what is looked for is whole in one of them."""
    offset, window = 0, b""
    while piece := file.read(1 << 20):
        window += piece
        yield offset, window
        offset += max(len(window) - 64, 0)
        window = window[-64:]


def _unpacked(file: BinaryIO, place: int) -> bytes:
    """The compressed stream whose dictionary is at `place`; no more of it than 16 MB."""
    file.seek(place)
    _, _, rest = file.read(1 << 22).partition(b"stream")
    with suppress(zlib.error):
        return zlib.decompressobj().decompress(rest.lstrip(b"\r\n"), 1 << 24)
    return b""


def _has_at(file: BinaryIO, place: int, data: bytes) -> bool:
    file.seek(place)
    pieces = (data[start : start + (1 << 16)] for start in range(0, len(data), 1 << 16))
    return all(file.read(len(piece)) == piece for piece in pieces)
