"""Memory that the engine and its worker processes share: one slot for each page in flight.

A slot holds what a page needs on its way: its pixels, the detector's square, the thumbnail
for the orientation net, the detector's map, and the crops of its words. Pixels never go
through a pipe. That the slots are few is what bounds the engine's memory, and what stops
pages from being rendered faster than they are read.

Lives in a memfd, not in `/dev/shm`, of which a container has 64 MB: memory is taken where
it is written, not where it is reserved, and is gone with the last process that has it open.
"""

import mmap
import os
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rendering.pages import MAX_PAGE_PIXELS, Pixels

THUMBNAIL_PIXELS = 512
"""Side of the picture that the orientation net sees."""

CROP_HEIGHT, CROP_WIDTH = 32, 128
"""What docTR's recognisers are made for."""

MOST_CROPS = 16_384
"""Crops of one page. The densest page of a law gazette has a tenth of it."""

_PAGE = mmap.PAGESIZE


def _sizes(side: int) -> list[int]:
    """Bytes of a slot's parts, each filled up to a whole page of memory."""
    parts = [
        MAX_PAGE_PIXELS * 3,
        side * side * 3,
        THUMBNAIL_PIXELS * THUMBNAIL_PIXELS * 3,
        side * side * 4,
        MOST_CROPS * CROP_HEIGHT * CROP_WIDTH * 3,
    ]
    return [-(-part // _PAGE) * _PAGE for part in parts]


@dataclass(frozen=True, slots=True)
class Slot:
    """Views into one slot's memory."""

    number: int
    square: Pixels
    """Side x side x 3: the page as the detector sees it."""
    thumbnail: Pixels
    text_map: NDArray[np.float32]
    """Side x side: how likely each point is text."""
    crops: NDArray[np.uint8]
    """`MOST_CROPS` x 32 x 128 x 3; as many as the page has are of meaning."""
    _pixels: NDArray[np.uint8]

    def pixels(self, height: int, width: int) -> Pixels:
        """The page itself, or room for it."""
        return self._pixels[: height * width * 3].reshape(height, width, 3)


class Arena:
    """`count` slots for pages whose square has `side` pixels a side."""

    def __init__(self, count: int, side: int, descriptor: int | None = None) -> None:
        """Make the memory, or open that of the process which made it."""
        self._sizes = _sizes(side)
        self.count, self.side = count, side
        if descriptor is None:
            descriptor = os.memfd_create("aseagi-pages", os.MFD_CLOEXEC)
            os.ftruncate(descriptor, count * sum(self._sizes))
        self.descriptor = descriptor
        self._memory = mmap.mmap(descriptor, count * sum(self._sizes))

    def slot(self, number: int) -> Slot:
        """The slot of that number, from 0."""
        start = number * sum(self._sizes)
        parts: list[NDArray[np.uint8]] = []
        for size in self._sizes:
            parts.append(np.frombuffer(self._memory, np.uint8, size, start))
            start += size
        pixels, square, thumbnail, text_map, crops = parts
        side, small = self.side, THUMBNAIL_PIXELS
        return Slot(
            number=number,
            square=square[: side * side * 3].reshape(side, side, 3),
            thumbnail=thumbnail[: small * small * 3].reshape(small, small, 3),
            text_map=text_map[: side * side * 4].view(np.float32).reshape(side, side),
            crops=crops.reshape(-1, CROP_HEIGHT, CROP_WIDTH, 3)[:MOST_CROPS],
            _pixels=pixels,
        )

    def give_back(self, number: int) -> None:
        """Give a slot's memory back to the system; it reads as zeros until written again."""
        size = sum(self._sizes)
        self._memory.madvise(mmap.MADV_REMOVE, number * size, size)

    def close(self) -> None:
        """Close the memory's descriptor; it is gone with the last process that maps it."""
        os.close(self.descriptor)
