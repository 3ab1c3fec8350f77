"""Where a page lies in the square that the detector sees, exactly as docTR puts it there.

The page keeps its shape, is made as large as fits, and stands in the middle on black.
Sizes are rounded as docTR rounds them (doctr.transforms.Resize): one pixel matters, as the
words are cut out of the full page where the square says.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpu_image.engines.doctr.resize import is_gray, resize_into
from rendering.pages import Pixels


@dataclass(frozen=True, slots=True)
class Frame:
    """A page of `page_width` x `page_height` pixels in a square of `side` pixels."""

    page_width: int
    page_height: int
    side: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the page in the square."""
        ratio = self.page_height / self.page_width
        if ratio > 1:
            return max(int(self.side / ratio), 1), self.side
        return self.side, max(int(self.side * ratio), 1)

    def place(self, page: Pixels, square: Pixels) -> None:
        """Draw the page into the square."""
        square.fill(0)
        resize_into(page, self.inside(square), gray=is_gray(page))

    def inside(self, square: Pixels) -> Pixels:
        """The part of the square that is the page, not copied."""
        width, height = self.size
        left, top = math.ceil((self.side - width) / 2), math.ceil((self.side - height) / 2)
        return square[top : top + height, left : left + width]

    def to_page(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points (..., 2) as fractions of the square, as fractions of the page, within it.

        docTR takes the margins to be alike on both sides, and so does this.
        """
        page = points.copy()
        width, height = self.page_width, self.page_height
        if height > width:
            page[..., 0] = (page[..., 0] - 0.5) * height / width + 0.5
        elif width > height:
            page[..., 1] = (page[..., 1] - 0.5) * width / height + 0.5
        return page.clip(0, 1)
