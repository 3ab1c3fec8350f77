"""A text layer as a PDF: invisible words where the page's own print shows them.

OCRmyPDF's renderer writes it: fonts, scripts that are written from right to left, spaces
that every reader of PDFs understands. Of its modules these are the public ones. Its fonts
are those in its wheel: Noto Sans, and for all that Noto Sans lacks one without glyphs.
"""

from collections.abc import Sequence
from pathlib import Path

from ocrmypdf.font import BuiltinFontProvider, MultiFontManager
from ocrmypdf.fpdf_renderer import Fpdf2MultiPageRenderer
from ocrmypdf.models.ocr_element import BoundingBox, OcrClass, OcrElement

from tasks.publishing.placement import PlacedLine, Slab

_POINTS_PER_INCH = 72.0
"""The resolution at which a slab's points are the renderer's pixels."""


class LayerWriter:
    """Writes slabs as PDF pages; holds the fonts, so make one and keep it."""

    def __init__(self) -> None:
        self._fonts = MultiFontManager(font_provider=BuiltinFontProvider())

    def write(self, slabs: Sequence[Slab], path: Path) -> None:
        """Write a PDF with one page for each slab, of the slab's size."""
        pages = [(number, _page(slab), _POINTS_PER_INCH) for number, slab in enumerate(slabs)]
        Fpdf2MultiPageRenderer(pages, self._fonts, invisible_text=True).render(path)


def _page(slab: Slab) -> OcrElement:
    return OcrElement(
        OcrClass.PAGE,
        bbox=BoundingBox(0, 0, slab.width, slab.height),
        children=[_line(line) for line in slab.lines],
    )


def _line(line: PlacedLine) -> OcrElement:
    words = [
        OcrElement(
            OcrClass.WORD,
            bbox=BoundingBox(word.left, line.top, word.right, line.bottom),
            text=word.text,
        )
        for word in line.words
    ]
    return OcrElement(
        OcrClass.LINE,
        bbox=BoundingBox(
            min(word.left for word in line.words),
            line.top,
            max(word.right for word in line.words),
            line.bottom,
        ),
        children=words,
    )
