"""Pages as pictures that the model can read: neither larger than it sees, nor too small to read.

A page is scaled to the most that the model sees of one picture. Where its letters would come out
narrower than `LEAST_LETTER_PIXELS`, it is cut across into two that overlap, if that shows them
larger: up to 1.4 times, for up to twice the price. Nothing is enlarged beyond the pixels there
are. Pages that the OCR engine found turned are turned upright. Memory: one page at a time in this
process.

How large print is, its letters' width tells: words' boxes are as wide as their words, but small
print has boxes up to twice as high as its letters (RapidOCR 3.10: hardly below 1 % of a page).

A picture costs a token for every patch of 28 by 28 pixels; the limits of sides and sizes are in
Anthropic's description of vision (August 2026).
"""

import base64
import io
import threading
from collections.abc import Sequence
from math import ceil, hypot, sqrt
from pathlib import Path
from statistics import median

from PIL import Image

from blocks.claude import Model
from rendering.pages import open_document
from schema.failures import BadInput
from schema.ocr import PageText, Word
from tasks.claude.prompt import Picture

PATCH_PIXELS = 28
MOST_SIDE_PIXELS = 2000
"""The limit for each picture where there are more than twenty in a question."""
LEAST_LETTER_PIXELS = 6.0
"""From letter to letter, on average: an x-height of about six, 14 pixels to the em in Times."""
LEAST_LETTERS = 4
"""Of a word that is measured."""
OVERLAP = 0.04
"""Of the page's height: a line that is cut is whole on the other half."""
DPI = 200
MOST_PIXELS = 2 * MOST_SIDE_PIXELS**2
"""Of a page as it is drawn here: two halves that are both shown as large as can be."""
JPEG_QUALITY = 80

_ONE_AT_A_TIME = threading.Lock()


def patches(width: int, height: int) -> int:
    """What a picture costs, in tokens."""
    return ceil(width / PATCH_PIXELS) * ceil(height / PATCH_PIXELS)


def fitting(width: int, height: int, terms: Model) -> tuple[int, int]:
    """The largest size, not above the given, at which a picture is seen unshrunk."""
    side = min(terms.picture_side, MOST_SIDE_PIXELS)
    scale = min(1.0, side / max(width, height))
    scale = min(scale, sqrt(terms.picture_tokens * PATCH_PIXELS**2 / (width * height)))
    size = max(1, int(width * scale)), max(1, int(height * scale))
    while patches(*size) > terms.picture_tokens:  # part of a patch costs a whole one
        scale *= 0.99
        size = max(1, int(width * scale)), max(1, int(height * scale))
    return size


def letter_width(page: PageText | None) -> float | None:
    """The usual width of a letter as a share of the upright page's width; None if unknown."""
    words = [] if page is None else [w for w in page.words if len(w.text) >= LEAST_LETTERS]
    if page is None or not words:
        return None
    turned = page.rotation_degrees in (90, 270)
    width = page.height_pixels if turned else page.width_pixels
    return median(_length(word, page) / len(word.text) for word in words) / width


def _length(word: Word, page: PageText) -> float:
    """In pixels of the page as rendered, along the line."""
    (left, top), (right, end), *_ = word.quad
    return hypot((right - left) * page.width_pixels, (end - top) * page.height_pixels)


def pictures_of(
    path: Path, media_type: str, number: int, terms: Model, words: PageText | None
) -> Sequence[Picture]:
    """The page in one picture or two; none if it cannot be drawn. Blocking: call it in a thread."""
    with _ONE_AT_A_TIME:
        try:
            with open_document(path, media_type, dpi=DPI, most_pixels=MOST_PIXELS) as document:
                image = Image.fromarray(document.page(number))
        except BadInput:
            return ()
        if words is not None and words.rotation_degrees:
            image = image.rotate(-words.rotation_degrees, expand=True)
        return [_encoded(part, terms) for part in _parts(image, terms, letter_width(words))]


def _parts(image: Image.Image, terms: Model, letters: float | None) -> list[Image.Image]:
    width, height = image.size
    shown_width = fitting(width, height, terms)[0]
    if letters is None or letters * shown_width >= LEAST_LETTER_PIXELS:
        return [image]
    middle, over = height // 2, ceil(height * OVERLAP)
    halves = [
        image.crop((0, 0, width, middle + over)),
        image.crop((0, middle - over, width, height)),
    ]
    # The limit may be that of the page's width, and then a half is shown no larger.
    is_larger = all(fitting(*half.size, terms)[0] > shown_width for half in halves)
    return halves if is_larger else [image]


def _encoded(image: Image.Image, terms: Model) -> Picture:
    size = fitting(*image.size, terms)
    shown = image if size == image.size else image.resize(size, Image.Resampling.LANCZOS)
    out = io.BytesIO()
    shown.save(out, "JPEG", quality=JPEG_QUALITY)
    return Picture(base64.b64encode(out.getvalue()).decode(), *size)
