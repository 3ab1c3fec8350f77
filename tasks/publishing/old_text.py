"""Taking from a page the text that an earlier OCR laid behind it.

A page that was read again has a text layer that was not believed; left in, every search would
find its errors too. What is taken is text nobody sees, and only that. It comes in two kinds:

- text written in render mode 3, which shows nothing. OCRmyPDF knows how to take it out, within
  forms drawn on the page too. That function is private there, which is why nothing but this
  module calls it and the version is pinned below the next minor one.
- text that something else covers, as programs write that paint the scan over their guess. It
  is taken out on trial, and stays out if not one pixel of the page is another without it.
"""

from io import BytesIO

import numpy as np
import pypdfium2 as pdfium
from numpy.typing import NDArray
from ocrmypdf._graft import strip_invisible_text
from pikepdf import (
    Name,
    NamePath,
    Object,
    Page,
    Pdf,
    Stream,
    parse_content_stream,
    unparse_content_stream,
)

TRIAL_DPI = 100
MAX_TRIAL_PIXELS = 4_000_000

_SHOWS_TEXT = frozenset({"Tj", "TJ", "'", '"'})
_INVISIBLE = 3
_DEEPEST_FORM = 10


def take_out_hidden_text(pdf: Pdf, page: Page) -> bool:
    """Take out text that cannot be seen; whether there was any. Other content stays as it is."""
    taken = False
    if _has_invisible_text(page.obj, page.resources, set(), 0):
        strip_invisible_text(pdf, page)
        taken = True
    return _take_out_covered_text(pdf, page) or taken


def _has_invisible_text(
    content: Object | Page, resources: Object, seen: set[tuple[int, int]], depth: int
) -> bool:
    for instruction in parse_content_stream(content, "Tr Do"):
        operands = list(instruction.operands)
        if not operands:
            continue
        if str(instruction.operator) == "Tr":
            if operands[0] == _INVISIBLE:
                return True
            continue
        form = resources.get(NamePath("/XObject", str(operands[0])))
        if not isinstance(form, Stream) or form.get(Name.Subtype) != Name.Form:
            continue
        if form.objgen in seen or depth == _DEEPEST_FORM:
            continue
        seen.add(form.objgen)
        if _has_invisible_text(form, form.get(Name.Resources, resources), seen, depth + 1):
            return True
    return False


def _take_out_covered_text(pdf: Pdf, page: Page) -> bool:
    instructions = list(parse_content_stream(page))
    kept = [one for one in instructions if str(one.operator) not in _SHOWS_TEXT]
    if len(kept) == len(instructions):
        return False
    before = _drawn(page)
    contents = page.obj.Contents
    page.obj.Contents = pdf.make_stream(unparse_content_stream(kept))
    after = _drawn(page)
    if before is not None and after is not None and np.array_equal(before, after):
        return True
    page.obj.Contents = contents
    return False


def _drawn(page: Page) -> NDArray[np.uint8] | None:
    """The page's pixels; None if it cannot be drawn."""
    alone = BytesIO()
    with Pdf.new() as pdf:
        pdf.pages.append(page)
        pdf.save(alone)
    try:
        document = pdfium.PdfDocument(alone.getvalue())
        drawn = document[0]
        width, height = drawn.get_size()
        most = (MAX_TRIAL_PIXELS / max(width * height, 1)) ** 0.5
        bitmap = drawn.render(scale=min(TRIAL_DPI / 72, most))
        pixels = bitmap.to_numpy().copy()
        document.close()
    except pdfium.PdfiumError:
        return None
    return pixels
