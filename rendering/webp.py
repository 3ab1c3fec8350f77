"""WebP: how large a picture is, by its header, and the picture opened.

The decoder sets its canvas aside as soon as it is made, three times over, so the size is known
and judged before. Of an animation the first frame is the page.

The format: RFC 9649.
"""

import struct
from pathlib import Path

from PIL.WebPImagePlugin import WebPImageFile

from schema.failures import BadInput

MAX_PIXELS = 50_000_000
"""Largest picture that is read: its decoder takes up to 20 bytes for a pixel."""

MAX_BYTES = 100_000_000
"""Largest file that is read: its decoder must have all of it in memory."""

_DAMAGED = "The WebP picture is damaged or cut short."


def size_of(path: Path) -> tuple[int, int]:
    """Width and height; raises `BadInput` for a file that is cut short or no WebP picture."""
    with path.open("rb") as file:
        head = file.read(30)
    try:
        riff, length, webp, kind = struct.unpack_from("<4sI4s4s", head)
        if (riff, webp) != (b"RIFF", b"WEBP") or path.stat().st_size < length + 8:
            raise BadInput(_DAMAGED)
        if kind == b"VP8X":
            sides = struct.unpack_from("<HBHB", head, 24)
            return (sides[0] | sides[1] << 16) + 1, (sides[2] | sides[3] << 16) + 1
        if kind == b"VP8L":
            (bits,) = struct.unpack_from("<I", head, 21)
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        if kind == b"VP8 ":
            width, height = struct.unpack_from("<HH", head, 26)
            return width & 0x3FFF, height & 0x3FFF
    except struct.error as error:
        raise BadInput(_DAMAGED) from error
    raise BadInput(_DAMAGED)


def check(path: Path) -> tuple[int, int]:
    """Width and height of a picture that can be read; raises `BadInput` for any other."""
    width, height = size_of(path)
    if width * height > MAX_PIXELS or path.stat().st_size > MAX_BYTES:
        raise BadInput(
            f"The picture has {width}×{height} pixels in {path.stat().st_size / 1e6:.0f} MB, more "
            f"than can be read of a WebP: {MAX_PIXELS // 1_000_000} megapixels, "
            f"{MAX_BYTES // 1_000_000} MB."
        )
    return width, height


def open_webp(path: Path) -> WebPImageFile:
    """The picture, not yet decoded; the caller closes it. Raises as `check`, and as Pillow does."""
    check(path)
    return WebPImageFile(path)
