"""Paper and words that the files of a corpus share: made once, then stamped for each.

To typeset, draw and age a page takes a tenth of a second, to stamp and encode it a
hundredth. So a corpus has a few dozen different pages, and on each copy its own number,
as the stamp of a law firm's records has it.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from textwrap import wrap

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from bench.legal_documents import documents
from samples.paper import Sheet, photographed, rendered, scanned

SCANS, PHOTOS, FAXES = 24, 6, 8
DPI = 100
PHOTO_SIZE = (1200, 1600)
LINE, LINES, LONGEST_TEXT = 86, 52, 2400


@dataclass(frozen=True)
class Paper:
    """The pages and texts of a corpus."""

    texts: Sequence[str]
    scans: Sequence[Image.Image]
    faxes: Sequence[Image.Image]
    photos: Sequence[Image.Image]


def make_paper(seed: int) -> Paper:
    """Typeset, draw and age the pages that the files will share."""
    texts = [
        page[:LONGEST_TEXT]
        for document in documents("development", seed=seed, per_template=2)
        for page in document.pages
    ]
    random.Random(seed).shuffle(texts)  # noqa: S311
    drawn = [rendered(sheet(text), dpi=DPI) for text in islice(texts, SCANS)]
    aged = [
        scanned(page, seed=seed * 1000 + number, skew_degrees=(number % 5 - 2) * 0.3)
        for number, page in enumerate(drawn)
    ]
    return Paper(
        texts=texts,
        scans=[Image.fromarray(page) for page in aged],
        faxes=[_in_black_and_white(page) for page in aged[:FAXES]],
        photos=[
            Image.fromarray(photographed(page, seed=seed + number, size=PHOTO_SIZE))
            for number, page in enumerate(drawn[:PHOTOS])
        ],
    )


def sheet(text: str, mark: str = "") -> Sheet:
    """A typewritten page of that text, with a stamp on its last line."""
    page = Sheet(font="Courier", size=9)
    lines = [part for line in text.splitlines() for part in wrap(line, LINE) or [""]]
    for line in lines[:LINES]:
        page.line(line)
    page.line(mark, align="right")
    return page


def stamped(image: Image.Image, mark: str) -> Image.Image:
    """A copy of the page with the stamp at its foot."""
    copy = image.copy()
    draw = ImageDraw.Draw(copy)
    width, height = copy.size
    ink, ground = (0, 1) if copy.mode == "1" else ("black", "white")
    box = (width * 0.55, height * 0.955, width * 0.97, height * 0.985)
    draw.rectangle(box, fill=ground)
    draw.text(box[:2], mark, fill=ink, font=_font(height // 50))
    return copy


@cache
def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)


def _in_black_and_white(page: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(np.where(page > 170, 255, 0).astype(np.uint8)).convert(
        "1", dither=Image.Dither.NONE
    )
