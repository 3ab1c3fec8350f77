"""What a file is: its true type from its content, its pages, the text they carry.

Every answer comes from the bytes, none from the name. A file that cannot be taken in
raises `BadInput` with a line that its owner understands; a disk that is full or broken
raises `OSError`, since the file may be as good as ever.
"""

import threading
from dataclasses import dataclass
from pathlib import Path

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from schema.failures import BadInput
from schema.files import PDF, media_type_of
from tasks.pictures import pages_of_picture
from tasks.text_layer import TextLayer, is_born_digital

MAX_PAGES = 5000
MAX_LAYER_CHARACTERS = 500_000

PDF_TAIL_BYTES = 8192
"""Where the end-of-file mark must be; some programs append a little after it."""

_PDFIUM = threading.Lock()
"""PDFium is not thread-safe: one document at a time in this process."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """A file's type, and for each page its text if it can be believed, else None."""

    media_type: str
    pages: tuple[str | None, ...]


def inspect(path: Path) -> Inspection:
    """Look at the file at `path`; blocking, so call it in a thread."""
    with path.open("rb") as file:
        media_type = media_type_of(file.read(1024))
    if media_type == PDF:
        return Inspection(PDF, _pdf_pages(path))
    return Inspection(media_type, (None,) * pages_of_picture(path, media_type))


def _pdf_pages(path: Path) -> tuple[str | None, ...]:
    if not _has_its_end(path):
        raise BadInput("The end of the PDF is missing: it was cut off, perhaps while being copied.")
    with _PDFIUM:
        try:
            document = pdfium.PdfDocument(path)
        except pdfium.PdfiumError as error:
            _check_readable(path)
            raise BadInput(_pdf_reason(error)) from error
        try:
            count = len(document)
            if count == 0:
                raise BadInput("The PDF has no pages.")
            if count > MAX_PAGES:
                raise BadInput(f"The PDF has {count} pages; at most {MAX_PAGES} can be taken in.")
            return tuple(_believable_text(document, index) for index in range(count))
        finally:
            document.close()


def _check_readable(path: Path) -> None:
    """Raise `OSError` if the disk cannot give the whole file, which PDFium does not tell apart."""
    with path.open("rb") as file:
        while file.read(1 << 20):
            pass


def _has_its_end(path: Path) -> bool:
    """Whether the end-of-file mark is there.

    PDFium repairs a cut-off file silently and shows the pages it still finds; taking
    those for the whole document would mislead its reader.
    """
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - PDF_TAIL_BYTES, 0))
        return b"%%EOF" in file.read()


def _pdf_reason(error: pdfium.PdfiumError) -> str:
    if "password" in str(error).lower():
        return "The PDF is protected by a password. Remove it and add the file again."
    return "The PDF is damaged and cannot be opened."


def _believable_text(document: pdfium.PdfDocument, index: int) -> str | None:
    """The page's text layer if it is believed; None for a page that must be read."""
    try:
        page = document[index]
    except pdfium.PdfiumError:
        return None  # the engine will say what is wrong with this page
    try:
        text_page = page.get_textpage()
        text = text_page.get_text_bounded()[:MAX_LAYER_CHARACTERS]
        text_page.close()
        layer = TextLayer(text=text, picture_share=_picture_share(page))
    except pdfium.PdfiumError:
        return None
    finally:
        page.close()
    return text.replace("\r\n", "\n").replace("\x00", "") if is_born_digital(layer) else None


def _picture_share(page: pdfium.PdfPage) -> float:
    width, height = page.get_size()
    covered = 0.0
    for item in page.get_objects(filter=[pdfium_c.FPDF_PAGEOBJ_IMAGE]):
        left, bottom, right, top = item.get_bounds()
        covered += max(right - left, 0.0) * max(top - bottom, 0.0)
    return min(covered / max(width * height, 1.0), 1.0)
