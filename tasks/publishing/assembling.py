"""The searchable PDF of one document: its pages as they are, and behind them what was read.

From files to a file, in four steps: the pages as a PDF (`pictures`), text of an earlier OCR
taken out (`old_text`), the words' places (`placement`) and the layer (`layer`), PDF/A where
it can be. Pages that nobody read keep every byte of their content. A PDF of such pages alone is
handed on byte for byte: its hash is the original's, and a signature in it stays good.

Memory does not grow with the number of pages: layers are written to disk, a few dozen pages
in a file, and copied from there while the PDF is saved.
"""

import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from pikepdf import Array, Name, Page, PasswordError, Pdf, PdfError, Rectangle
from pikepdf.pdfa import PdfaError, validate_written
from pikepdf.pdfa import save as save_pdfa

from schema.failures import BadInput
from schema.files import PDF
from schema.ocr import Word
from tasks.publishing.layer import LayerWriter
from tasks.publishing.old_text import take_out_hidden_text
from tasks.publishing.pictures import write_picture_pdf
from tasks.publishing.placement import PageFrame, Slab, slabs_of

PDFA = "2b"
"""The flavour of PDF/A that is tried: what courts and archives ask for, and the strictest one
that a scan with its text can meet."""

PAGES_PER_LAYER_FILE = 50

WordsOf = Callable[[int], Sequence[Word]]
"""The words that were read on a page (from 1)."""


@dataclass(frozen=True, slots=True)
class Assembled:
    """What became of a document."""

    unchanged: bool
    """Whether it is the original, byte for byte."""
    pages: int
    layered: int
    """How many pages got a text layer."""
    pdfa: str | None
    """The flavour of PDF/A it was verified to be."""


def assemble(
    original: Path, media_type: str, read_pages: Sequence[int], words_of: WordsOf, output: Path
) -> Assembled:
    """Write the searchable PDF of `original` to `output`.

    `read_pages` are those whose text comes from an engine; of the others nothing is touched.
    Raises `BadInput` for a file that cannot be made one. Uses the folder of `output` for what it
    needs on the way.
    """
    pages = output.with_suffix(".pages.pdf")
    if media_type == PDF:
        if not read_pages:
            return _hand_on(original, output)
        pages = original
    else:
        write_picture_pdf(original, media_type, pages)
    plain = output.with_suffix(".plain.pdf")
    try:
        count, layered = _lay(pages, read_pages, words_of, plain)
    except PasswordError as error:
        raise BadInput("The PDF is protected by a password.") from error
    except PdfError as error:
        raise BadInput("The PDF is damaged; its pages cannot be copied.") from error
    return Assembled(False, count, layered, _as_pdfa(plain, output))


def _hand_on(original: Path, output: Path) -> Assembled:
    shutil.copyfile(original, output)
    try:
        with Pdf.open(original) as pdf:
            count = len(pdf.pages)
    except PdfError as error:
        raise BadInput("The PDF is damaged; its pages cannot be copied.") from error
    return Assembled(True, count, 0, PDFA if validate_written(original, PDFA).passed else None)


def _lay(
    pages: Path, read_pages: Sequence[int], words_of: WordsOf, output: Path
) -> tuple[int, int]:
    """Lay the words behind the pages; returns how many pages there are and how many got words."""
    writer, layered = LayerWriter(), 0
    with ExitStack() as opened, Pdf.open(pages) as pdf:
        wanted = [number for number in read_pages if 1 <= number <= len(pdf.pages)]
        for first in range(0, len(wanted), PAGES_PER_LAYER_FILE):
            slabs: list[tuple[int, Slab]] = []
            for number in wanted[first : first + PAGES_PER_LAYER_FILE]:
                page = pdf.pages[number - 1]
                take_out_hidden_text(pdf, page)
                slabs += [(number, slab) for slab in slabs_of(words_of(number), frame_of(page))]
            if not slabs:
                continue
            layer = output.with_suffix(f".layer-{first:05d}.pdf")
            writer.write([slab for _, slab in slabs], layer)
            # Open until the PDF is saved: only then are the layers copied.
            _graft(pdf, opened.enter_context(Pdf.open(layer)), slabs)
            layered += len({number for number, _ in slabs})
        pdf.save(output)
        return len(pdf.pages), layered


def _graft(pdf: Pdf, layer: Pdf, slabs: Iterable[tuple[int, Slab]]) -> None:
    for sheet, (number, slab) in zip(layer.pages, slabs, strict=True):
        page = pdf.pages[number - 1]
        form = pdf.copy_foreign(sheet.as_form_xobject())
        name = page.add_resource(form, Name.XObject, prefix="Text-")
        matrix = " ".join(f"{value:.6f}" for value in slab.matrix)
        # Before the page's own content, which may leave any state behind.
        page.contents_add(f"q {matrix} cm {name} Do Q\n".encode(), prepend=True)


def frame_of(page: Page) -> PageFrame:
    """What of the page is shown, as PDFium sees it: the crop box within the media box."""
    media = _box(page, Name.MediaBox) or Rectangle(0, 0, 612, 792)
    shown = media
    if (crop := _box(page, Name.CropBox)) is not None:
        left, bottom = max(media.llx, crop.llx), max(media.lly, crop.lly)
        right, top = min(media.urx, crop.urx), min(media.ury, crop.ury)
        if right > left and top > bottom:
            shown = Rectangle(left, bottom, right, top)
    turn = page.obj.get(Name.Rotate)
    rotate = int(turn / 90) * 90 % 360 if isinstance(turn, int | Decimal) else 0
    return PageFrame(shown.llx, shown.lly, shown.urx, shown.ury, rotate)


def _box(page: Page, name: Name) -> Rectangle | None:
    """A box that has an area; None if the page has none. Corners come in any order."""
    box = page.obj.get(name)
    if not isinstance(box, Array):
        return None
    try:
        x1, y1, x2, y2 = (float(value) for value in box)
    except (TypeError, ValueError):
        return None
    left, right, bottom, top = min(x1, x2), max(x1, x2), min(y1, y2), max(y1, y2)
    return Rectangle(left, bottom, right, top) if right > left and top > bottom else None


def _as_pdfa(plain: Path, output: Path) -> str | None:
    """Write the PDF as PDF/A where that takes nothing from its pages, else as it is."""
    try:
        with Pdf.open(plain) as pdf:
            report = save_pdfa(pdf, output, PDFA)
    except PdfaError:
        report = None
    if report is None or (report.prepared and report.prepared.annotations_removed):
        plain.replace(output)
        return None
    plain.unlink()
    return PDFA
