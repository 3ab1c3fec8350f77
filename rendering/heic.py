"""HEIC: whether a file is whole, and its main picture opened.

libheif turns and crops a picture as the file says, so what a camera noted in the EXIF data
beside it does not count (ISO/IEC 23008-12). Of several pictures the one that the file calls
its primary is the page: the others are bursts, depth maps and thumbnails.
"""

import struct
from pathlib import Path

from PIL.ImageFile import ImageFile

from schema.failures import BadInput

MAX_PIXELS = 50_000_000
"""Largest picture that is read: its decoder takes up to 18 bytes for a pixel."""

MAX_BYTES = 100_000_000
"""Largest file that is read: its decoder must have all of it in memory."""

DAMAGED = "The HEIC picture is damaged or cut short."


def check(path: Path) -> tuple[int, int]:
    """Width and height of a picture that can be read; raises `BadInput` for any other.

    Nothing is decoded; what is wrong within the picture shows when it is.
    """
    with open_heic(path) as image:
        return image.size


def open_heic(path: Path) -> ImageFile:
    """The main picture, not yet decoded; the caller closes it."""
    from pillow_heif import HeifImageFile  # noqa: PLC0415 - it brings a video decoder with it

    _check_whole(path)
    try:
        image = HeifImageFile(path)
    except (OSError, SyntaxError, ValueError, EOFError, RuntimeError, LookupError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise BadInput(DAMAGED) from error
    width, height = image.size
    if width * height > MAX_PIXELS:
        image.close()
        raise BadInput(
            f"The picture has {width}×{height} pixels, more than can be read of a HEIC: "
            f"{MAX_PIXELS // 1_000_000} megapixels."
        )
    return image


def _check_whole(path: Path) -> None:
    """Raise `BadInput` unless the boxes that the file is made of end where the file does."""
    end = path.stat().st_size
    if end > MAX_BYTES:
        raise BadInput(
            f"The picture has {end / 1e6:.0f} MB; a HEIC of at most {MAX_BYTES // 1_000_000} MB "
            "can be read."
        )
    place = 0
    with path.open("rb") as file:
        while place < end:
            file.seek(place)
            head = file.read(16)
            try:
                (length,) = struct.unpack_from(">I", head)
                if length == 0:  # to the end of the file
                    return
                if length == 1:
                    (length,) = struct.unpack_from(">Q", head, 8)
            except struct.error as error:
                raise BadInput(DAMAGED) from error
            if length < 8 or place + length > end:
                raise BadInput(DAMAGED)
            place += length
