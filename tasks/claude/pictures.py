"""Pages as pictures that the model can read: neither larger than it sees, nor too small to read.

A page is scaled to the most that the model sees of one picture. Where its words would come out
smaller than `LEAST_WORD_PIXELS`, it is cut across into two that overlap, which shows print 1.4
times as large for twice the price. Nothing is enlarged beyond the pixels there are. Pages that
the OCR engine found turned are turned upright. Memory: one page at a time in this process.

A picture costs a token for every patch of 28 by 28 pixels; the limits of sides and sizes are in
Anthropic's description of vision (August 2026).
"""

import base64
import io
import threading
from collections.abc import Sequence
from math import ceil, sqrt
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
LEAST_WORD_PIXELS = 15.0
"""Height of a word's box, ascenders and descenders included: an x-height of about seven."""
OVERLAP = 0.04
"""Of the page's height: a line that is cut is whole on the other half."""
DPI = 200
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


def word_height(page: PageText | None) -> float | None:
    """The usual height of a word as a share of the upright page's height; None if unknown."""
    if page is None or not page.words:
        return None
    turned = page.rotation_degrees in (90, 270)
    height = page.width_pixels if turned else page.height_pixels
    return median(_height(word, page) for word in page.words) / height


def _height(word: Word, page: PageText) -> float:
    (left, top), bottom = word.quad[0], word.quad[3]
    across = (bottom[0] - left) * page.width_pixels
    down = (bottom[1] - top) * page.height_pixels
    return sqrt(across**2 + down**2)


def pictures_of(
    path: Path, media_type: str, number: int, terms: Model, words: PageText | None
) -> Sequence[Picture]:
    """The page in one picture or two; none if it cannot be drawn. Blocking: call it in a thread."""
    with _ONE_AT_A_TIME:
        try:
            with open_document(path, media_type, dpi=DPI) as document:
                image = Image.fromarray(document.page(number))
        except BadInput:
            return ()
        if words is not None and words.rotation_degrees:
            image = image.rotate(-words.rotation_degrees, expand=True)
        return [_encoded(part, terms) for part in _parts(image, terms, word_height(words))]


def _parts(image: Image.Image, terms: Model, words: float | None) -> list[Image.Image]:
    width, height = image.size
    shown_height = fitting(width, height, terms)[1]
    is_small = words is not None and words * shown_height < LEAST_WORD_PIXELS
    if not is_small or shown_height == height:
        return [image]
    middle, over = height // 2, int(height * OVERLAP)
    return [
        image.crop((0, 0, width, middle + over)),
        image.crop((0, middle - over, width, height)),
    ]


def _encoded(image: Image.Image, terms: Model) -> Picture:
    size = fitting(*image.size, terms)
    shown = image if size == image.size else image.resize(size, Image.Resampling.LANCZOS)
    out = io.BytesIO()
    shown.save(out, "JPEG", quality=JPEG_QUALITY)
    return Picture(base64.b64encode(out.getvalue()).decode(), *size)
