"""TIFF: where its pages are, what each would take to decode, and one of them opened.

A TIFF is a chain of directories, one for each picture. The chain is walked here and not by
Pillow, which reads all that a directory points at: a file of a few megabytes can point at
itself ten thousand times. Here nothing is read but numbers, and a page is opened only when
they are plausible. A page that is broken is that page's failure: the others are opened as if
theirs were the first directory of the file.

The format: TIFF 6.0 (Adobe, 1992); BigTIFF (Aware Systems). Reduced copies and masks
(NewSubfileType) are no pages.
"""

import io
import os
import struct
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from schema.failures import BadInput

MAX_PAGES = 5000

MAX_PIXELS = 200_000_000
"""Largest picture that is read, in black and white or shades of grey."""

MAX_DECODED_BYTES = 356_000_000
"""What the decoded picture may take: 89 megapixels in colour."""

MAX_TAG_BYTES = 64 << 20
"""What a directory may point at beside its picture: profiles, previews, tables of strips."""

MAX_TAGS = 4096

DAMAGED = (OSError, SyntaxError, ValueError, EOFError, TypeError, LookupError, struct.error)
"""What Pillow raises for a directory that makes no sense, and for a picture that is damaged."""

_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES = (
    254,
    256,
    257,
    258,
    259,
    262,
    277,
)
_REDUCED_OR_MASK = 1 | 4

_COMPRESSIONS = {1, 2, 3, 4, 5, 6, 7, 8, 32773, 32946}
"""None, CCITT (three kinds), LZW, JPEG (old and new), Deflate, PackBits. The others are rare,
and some of their decoders take what memory the file asks for."""

_SIZES = dict(zip(range(1, 14), (1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4), strict=True)) | {
    16: 8,
    17: 8,
    18: 8,
}
"""Bytes of a value by the type of its field."""

_WHOLE_NUMBERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q"}


@dataclass(frozen=True, slots=True)
class TiffPage:
    """A page of a TIFF: where its directory is; `trouble` says why it cannot be read."""

    directory: int
    width: int = 0
    height: int = 0
    trouble: str | None = None


def pages_of(path: Path) -> list[TiffPage]:
    """The pages in order, without decoding any.

    Raises `BadInput` when there is none, when there are more than `MAX_PAGES`, or when the
    chain of directories breaks off: what comes after it would be lost silently.
    """
    with path.open("rb") as file:
        header = _Header.of(file)
        found: list[TiffPage] = []
        for directory in _directories(file, header):
            page = directory.page
            if page is not None:
                found.append(page)
    if not found:
        raise BadInput("The TIFF has no pages.")
    return found


@contextmanager
def open_page(path: Path, page: TiffPage) -> Generator[TiffImageFile]:
    """Open the page, without decoding it yet. Raises `BadInput` if it is no picture."""
    if page.trouble is not None:
        raise BadInput(page.trouble)
    with _FromDirectory(path, page.directory) as file:
        try:
            image = TiffImageFile(cast("IO[bytes]", file))
        except DAMAGED as error:
            raise BadInput("It is of a kind of TIFF that is not known here, or damaged.") from error
        if image.mode in {"F", "I"}:
            raise BadInput("Its pixels are numbers of more than 16 bits: no scan has them.")
        if page.width * page.height * bytes_per_pixel(image.mode) > MAX_DECODED_BYTES:
            raise BadInput(too_large(page))
        # Pillow would make this itself, after a check of a size that is the whole process'.
        image.im = Image.core.new(image.mode, (page.width, page.height))
        yield image


def too_large(page: TiffPage) -> str:
    """Why a page is refused for its size."""
    return (
        f"It has {page.width}×{page.height} pixels, more than can be read: "
        f"{MAX_DECODED_BYTES // 4_000_000} megapixels in colour, "
        f"{MAX_PIXELS // 1_000_000} in black and white."
    )


def bytes_per_pixel(mode: str) -> int:
    """What Pillow takes for a pixel of that mode."""
    if mode.startswith("I;16"):
        return 2
    return 1 if mode in {"1", "L", "P"} else 4


def is_negative(image: TiffImageFile) -> bool:
    """Whether 0 is white and Pillow shows it black all the same, as it does with 16 bits."""
    return image.mode.startswith("I;16") and image.tag_v2.get(_PHOTOMETRIC) == 0


@dataclass(frozen=True, slots=True)
class _Header:
    order: str
    """Of bytes, as `struct` writes it."""
    big: bool
    first: int

    @staticmethod
    def of(file: io.BufferedIOBase) -> "_Header":
        start = file.read(16)
        order = "<" if start[:2] == b"II" else ">"
        try:
            (version,) = struct.unpack_from(order + "H", start, 2)
            if version == 43:
                (first,) = struct.unpack_from(order + "Q", start, 8)
            else:
                (first,) = struct.unpack_from(order + "I", start, 4)
        except struct.error as error:
            raise BadInput("The TIFF is cut short.") from error
        return _Header(order, version == 43, first)


@dataclass(frozen=True, slots=True)
class _Directory:
    place: int
    values: dict[int, int]
    """The first value of each field that is a whole number and stands in the directory."""
    tag_bytes: int

    @property
    def page(self) -> TiffPage | None:
        """The page it describes; None if it is only a smaller copy of one, or a mask."""
        if self.values.get(_SUBFILE, 0) & _REDUCED_OR_MASK:
            return None
        width, height = self.values.get(_WIDTH, 0), self.values.get(_HEIGHT, 0)
        page = TiffPage(self.place, width, height)
        trouble = None
        if self.tag_bytes > MAX_TAG_BYTES:
            trouble = "It is damaged, or made to fill memory."
        elif width < 1 or height < 1:
            trouble = "It has no area."
        elif width * height > MAX_PIXELS:
            trouble = too_large(page)
        elif self.values.get(_COMPRESSION, 1) not in _COMPRESSIONS:
            trouble = "It is compressed in a way that cannot be read here."
        elif self.values.get(_SAMPLES, 1) > 8:
            trouble = "It has more than eight channels: no scan has them."
        return TiffPage(self.place, width, height, trouble)


def _directories(file: io.BufferedIOBase, header: _Header) -> Iterator[_Directory]:
    seen: set[int] = set()
    place = header.first
    while place and place not in seen:  # a chain that bites its tail has ended
        if len(seen) == MAX_PAGES:
            raise BadInput(f"The TIFF has more than {MAX_PAGES} pages; no more can be taken in.")
        seen.add(place)
        try:
            directory, place = _directory(file, header, place)
        except (struct.error, OverflowError, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            reason = f"The TIFF is damaged or cut short after page {len(seen) - 1}."
            raise BadInput(reason) from error
        yield directory


def _directory(file: io.BufferedIOBase, header: _Header, place: int) -> tuple[_Directory, int]:
    """The directory at `place`, and where the next one is."""
    order, big = header.order, header.big
    count_form, entry_form, next_form = ("Q", "HHQ8s", "Q") if big else ("H", "HHI4s", "I")
    if place >= 1 << 63:
        raise OverflowError
    file.seek(place)
    (count,) = _unpacked(file, order + count_form)
    if count > MAX_TAGS:
        raise OverflowError
    values: dict[int, int] = {}
    tag_bytes = 0
    for _ in range(count):
        tag, kind, length, value = _unpacked(file, order + entry_form)
        size = length * _SIZES.get(kind, 1)
        if size > len(value):
            tag_bytes += size
        elif (form := _WHOLE_NUMBERS.get(kind)) and length:
            (values[tag],) = struct.unpack_from(order + form, value)
    (following,) = _unpacked(file, order + next_form)
    return _Directory(place, values, tag_bytes), following


def _unpacked(file: io.BufferedIOBase, form: str) -> tuple[Any, ...]:
    return struct.unpack(form, file.read(struct.calcsize(form)))


class _FromDirectory(io.RawIOBase):
    """The file as if its first directory were another one of its directories.

    libtiff, which Pillow hands the descriptor, is told the directory by Pillow itself.
    """

    def __init__(self, path: Path, directory: int) -> None:
        self._file = path.open("rb")
        header = _Header.of(self._file)
        self._place = 0
        form, at = ("Q", 8) if header.big else ("I", 4)
        self._file.seek(0)
        self._start = self._file.read(at) + struct.pack(header.order + form, directory)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._file.fileno()

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        if whence == os.SEEK_SET:
            self._place = offset
        else:
            base = self._place if whence == os.SEEK_CUR else self._file.seek(0, os.SEEK_END)
            self._place = base + offset
        return self._place

    def read(self, size: int = -1, /) -> bytes:
        start = self._start[self._place :] if self._place < len(self._start) else b""
        if 0 <= size <= len(start):
            data = start[:size]
        else:
            self._file.seek(self._place + len(start))
            data = start + self._file.read(size - len(start) if size >= 0 else -1)
        self._place += len(data)
        return data

    def close(self) -> None:
        self._file.close()
        super().close()
