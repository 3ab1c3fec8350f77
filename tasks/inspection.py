"""What a file is: its true type from its content, its pages, the text they carry, its members.

Every answer comes from the bytes, none from the name. A file that cannot be taken in
raises `BadInput` with a line that its owner understands; a disk that is full or broken
raises `OSError`, since the file may be as good as ever.

It opens whatever somebody made: call it in a process of its own (`tasks.inspector`).
"""

import re
import threading
from collections.abc import Iterator
from ctypes import c_ulong
from pathlib import Path

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from schema.failures import BadInput
from schema.files import DOCX, EML, HTML, MSG, PDF, TXT, WITHOUT_PICTURES, ZIP
from tasks.formats.archive import unpack
from tasks.formats.kinds import kind_of
from tasks.formats.mail import text_of_mail
from tasks.formats.members import Unpacking
from tasks.formats.outlook import text_of_message
from tasks.formats.paging import MAX_PAGES, pages_of
from tasks.formats.plain import text_of_file
from tasks.formats.web import text_of_html_file
from tasks.formats.word import text_of_word
from tasks.inspected import Inspection, Room
from tasks.pictures import pages_of_picture
from tasks.text_layer import TextLayer, is_born_digital

MAX_LAYER_CHARACTERS = 500_000
"""Of one page; what is beyond is not kept."""

MAX_TEXT_CHARACTERS = 20_000_000
"""Of all pages of a PDF: 5,000 dense ones have fifteen million."""

_NO_TEXT = {
    DOCX: "The Word document holds no text, only pictures: save it as PDF to have them read.",
    HTML: "The page of HTML shows no text.",
    TXT: "The file holds nothing but blanks.",
}

PDF_TAIL_BYTES = 8192
"""Where the end-of-file mark must be; some programs append a little after it."""

_PADDING = b"\x00 \t\r\n"

MAX_ATTACHMENT_BYTES = 128 * 1024**2
"""Of a file in a PDF: it is in memory twice while it is taken out."""

DAMAGED_ATTACHMENT = "It is damaged and cannot be taken out."

_TYPED = (
    pdfium_c.FPDF_ANNOT_WIDGET,
    pdfium_c.FPDF_ANNOT_FREETEXT,
    pdfium_c.FPDF_ANNOT_STAMP,
)
"""What of a page is not its content, and yet its text: fields of forms, notes, stamps."""

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ufffe]")
"""PDFium says U+0002, older ones U+FFFE, for a hyphen that parts a word at a line's end."""

_PDFIUM = threading.Lock()
"""PDFium is not thread-safe: one document at a time in this process."""


def inspect(path: Path, folder: Path | None = None, room: Room | None = None) -> Inspection:
    """Look at the file at `path`; its members are put into `folder`, as many as have room.

    Without a folder none is taken out.
    """
    media_type = kind_of(path)
    if media_type in WITHOUT_PICTURES:
        return _text_file(path, media_type, Unpacking(folder, room or Room()))
    if media_type == PDF:
        return _pdf(path, Unpacking(folder, room or Room()))
    pages = pages_of_picture(path, media_type)
    return Inspection(media_type=media_type, pages=(None,) * pages)


def _text_file(path: Path, media_type: str, out: Unpacking) -> Inspection:
    if media_type == ZIP:
        unpack(path, out)
        return Inspection(media_type=ZIP, pages=(), source="file", members=tuple(out.members))
    pages = pages_of(_text(path, media_type, out))
    if not pages:
        raise BadInput(_NO_TEXT.get(media_type, "The file holds no text."))
    return Inspection(media_type=media_type, pages=pages, source="file", members=tuple(out.members))


def _text(path: Path, media_type: str, out: Unpacking) -> str:
    if media_type == DOCX:
        return text_of_word(path)
    if media_type == HTML:
        return text_of_html_file(path)
    if media_type == EML:
        return text_of_mail(path, out)
    if media_type == MSG:
        return text_of_message(path, out)
    return text_of_file(path)


def _pdf(path: Path, out: Unpacking) -> Inspection:
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
            if document.get_formtype() == pdfium_c.FORMTYPE_XFA_FULL:
                raise BadInput(
                    "The PDF is a form that only Adobe's programs show (XFA): print it to PDF "
                    "there, and add that."
                )
            if count > MAX_PAGES:
                raise BadInput(f"The PDF has {count} pages; at most {MAX_PAGES} can be taken in.")
            document.init_forms()  # before any page is opened
            pages = tuple(_believable_texts(document, count))
            for number in range(document.count_attachments()):
                _take_attachment(document, number, out)
        finally:
            document.close()
    return Inspection(media_type=PDF, pages=pages, members=tuple(out.members))


def _take_attachment(document: pdfium.PdfDocument, number: int, out: Unpacking) -> None:
    """Take a file out that lies in the PDF: an exhibit, or all there is in a portfolio."""
    name, size = f"attachment {number + 1}", c_ulong()
    try:
        attached = document.get_attachment(number)
        name = attached.get_name() or name
        if not pdfium_c.FPDFAttachment_GetFile(attached, None, 0, size):
            return out.refuse(name, DAMAGED_ATTACHMENT)
        if size.value > MAX_ATTACHMENT_BYTES:
            reason = f"It is larger than {MAX_ATTACHMENT_BYTES // 1024**2} MB."
            return out.refuse(name, reason, size_bytes=size.value)
        content = bytes(attached.get_data()) if size.value else b""
    except (pdfium.PdfiumError, UnicodeDecodeError):  # of a name that is none
        return out.refuse(name, DAMAGED_ATTACHMENT)
    return out.take(name, [content])


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
        at = path.stat().st_size
        tail = b""
        while at > 0 and not tail.strip(_PADDING):  # what fills up the last block of a tape
            at = max(at - PDF_TAIL_BYTES, 0)
            file.seek(at)
            tail = file.read(PDF_TAIL_BYTES)
        file.seek(max(at - PDF_TAIL_BYTES, 0))
        return b"%%EOF" in file.read(2 * PDF_TAIL_BYTES)


def _pdf_reason(error: pdfium.PdfiumError) -> str:
    if any(word in str(error).lower() for word in ("password", "security")):
        return "The PDF is protected by a password. Remove it and add the file again."
    return "The PDF is damaged and cannot be opened."


def _believable_texts(document: pdfium.PdfDocument, count: int) -> Iterator[str | None]:
    characters = 0
    for index in range(count):
        text = _believable_text(document, index)
        characters += len(text or "")
        if characters > MAX_TEXT_CHARACTERS:
            raise BadInput("The PDF holds more text than any document has.")
        yield text


def _believable_text(document: pdfium.PdfDocument, index: int) -> str | None:
    """The page's text layer if it is believed; None for a page that must be read."""
    try:
        page = _page_as_shown(document, index)
    except pdfium.PdfiumError:
        return None  # the engine will say what is wrong with this page
    try:
        text_page = page.get_textpage()
        text = text_page.get_text_bounded()[:MAX_LAYER_CHARACTERS]
        text_page.close()
        picture_share = _picture_share(page)
        hidden_share = _hidden_share(page) if picture_share else 0.0
        layer = TextLayer(text=text, picture_share=picture_share, hidden_share=hidden_share)
    except pdfium.PdfiumError:
        return None
    finally:
        page.close()
    return _plain(text) if is_born_digital(layer) else None


def _page_as_shown(document: pdfium.PdfDocument, index: int) -> pdfium.PdfPage:
    """The page, and what people typed into it or stamped on it as part of its content."""
    page = document[index]
    if not _has_typed(page):
        return page
    done = pdfium_c.FPDFPage_Flatten(page, pdfium_c.FLAT_NORMALDISPLAY)
    page.close()  # its content is the old one
    if done == pdfium_c.FLATTEN_FAIL:
        raise pdfium.PdfiumError("form fields could not be laid on the page")
    return document[index]


def _has_typed(page: pdfium.PdfPage) -> bool:
    for number in range(pdfium_c.FPDFPage_GetAnnotCount(page)):
        annotation = pdfium_c.FPDFPage_GetAnnot(page, number)
        subtype = pdfium_c.FPDFAnnot_GetSubtype(annotation)
        pdfium_c.FPDFPage_CloseAnnot(annotation)
        if subtype in _TYPED:
            return True
    return False


def _plain(text: str) -> str:
    """The text with words whole that a line's end parts, and no signs that only steer printers."""
    return _CONTROLS.sub("", text.replace("\r\n", "\n"))


def _picture_share(page: pdfium.PdfPage) -> float:
    width, height = page.get_size()
    covered = 0.0
    for item in page.get_objects(filter=[pdfium_c.FPDF_PAGEOBJ_IMAGE]):
        left, bottom, right, top = _bounds_on_page(item)
        covered += max(right - left, 0.0) * max(top - bottom, 0.0)
    return min(covered / max(width * height, 1.0), 1.0)


def _bounds_on_page(item: pdfium.PdfObject) -> tuple[float, float, float, float]:
    """Where an object lies: one in a form, wherever that is drawn and as large as it is."""
    bounds, form = item.get_bounds(), item.container
    while form is not None:
        bounds = form.get_matrix().on_rect(*bounds)
        form = form.container
    return bounds


def _hidden_share(page: pdfium.PdfPage) -> float:
    modes = [
        pdfium_c.FPDFTextObj_GetTextRenderMode(item.raw)
        for item in page.get_objects(filter=[pdfium_c.FPDF_PAGEOBJ_TEXT])
    ]
    return modes.count(pdfium_c.FPDF_TEXTRENDERMODE_INVISIBLE) / max(len(modes), 1)
