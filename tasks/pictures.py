"""Whether a picture can be taken in: whole, and no larger than can be read.

What cannot be taken in raises `BadInput` with a line that its owner understands; a disk
that is full or broken raises `OSError`, since the file may be as good as ever.

Memory: what a picture would take when decoded is judged by its header, and it is decoded
here only where that is little; where it is much, its structure must do, and what is wrong
within is said by the engine that reads it.
"""

import threading
from pathlib import Path

from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from rendering import heic, tiff, webp
from schema.failures import BadInput
from schema.files import HEIC, JPEG, TIFF, WEBP

MAX_IMAGE_PIXELS = 200_000_000
"""Largest JPEG that is taken in: what the engines read, by a test."""

MAX_WHOLE_IMAGE_PIXELS = 89_000_000
"""Largest PNG or progressive JPEG: to decode one is to hold all of it."""

MAX_DECODED_HERE_PIXELS = 16_000_000
"""Largest PNG or progressive JPEG that is decoded to see whether it is whole: 96 MB."""

_JPEG_END = b"\xff\xd9"
_JPEG_TAIL_BYTES = 65_536
"""Where the mark of a JPEG's end must be; phones append small films and depth maps."""

_DECODING = threading.Lock()
"""One at a time: a small server can spare the memory for no more."""


def pages_of_picture(path: Path, media_type: str) -> int:
    """How many pages the picture has; raises `BadInput` for one that is damaged or too large.

    Blocking: call it in a thread.
    """
    if media_type == TIFF:
        return _pages_of_tiff(path)
    if media_type == WEBP:
        webp.check(path)
    elif media_type == HEIC:
        heic.check(path)
    else:
        _check_jpeg_or_png(path, media_type)
    return 1


def _pages_of_tiff(path: Path) -> int:
    """All pages count, those that cannot be read too, if one can: the engine will say which."""
    pages = tiff.pages_of(path)
    if all(page.trouble for page in pages):
        raise BadInput(f"No page of the TIFF can be read. {pages[0].trouble}")
    return len(pages)


def _check_jpeg_or_png(path: Path, media_type: str) -> None:
    try:
        # Not `Image.open`: the size at which that warns or raises is the whole process'.
        with _DECODING, (JpegImageFile if media_type == JPEG else PngImageFile)(path) as image:
            width, height = image.size
            if width * height > _most_pixels(image):
                raise BadInput(f"The picture has {width}×{height} pixels, more than can be read.")
            if _is_decoded_in_bands(image) or width * height <= MAX_DECODED_HERE_PIXELS:
                # Damage shows at an eighth of a JPEG's size as well, and that is soon decoded.
                image.draft(None, (max(width // 8, 1), max(height // 8, 1)))
                image.load()
            elif media_type == JPEG:
                _check_jpeg_end(path)
            else:
                image.verify()  # checksums, piece by piece
    except (OSError, SyntaxError, ValueError) as error:
        # Pillow's own complaints about a picture are OSErrors without a number.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise BadInput("The picture is damaged and cannot be opened.") from error


def _check_jpeg_end(path: Path) -> None:
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - _JPEG_TAIL_BYTES, 0))
        if _JPEG_END not in file.read():
            raise ValueError("the end is missing")


def _is_decoded_in_bands(image: ImageFile) -> bool:
    return isinstance(image, JpegImageFile) and "progressive" not in image.info


def _most_pixels(image: ImageFile) -> int:
    return MAX_IMAGE_PIXELS if _is_decoded_in_bands(image) else MAX_WHOLE_IMAGE_PIXELS
