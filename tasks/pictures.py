"""Whether a picture can be taken in: whole, and no larger than can be read.

What cannot be taken in raises `BadInput` with a line that its owner understands; a disk
that is full or broken raises `OSError`, since the file may be as good as ever.
"""

import threading
from pathlib import Path

from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from schema.failures import BadInput
from schema.files import JPEG

MAX_IMAGE_PIXELS = 200_000_000
"""Largest JPEG that is taken in: what the engines read, by a test."""

MAX_WHOLE_IMAGE_PIXELS = 89_000_000
"""Largest PNG or progressive JPEG: to decode one is to hold all of it."""

_DECODING = threading.Lock()
"""A PNG of the largest size is 360 MB when decoded, a progressive JPEG up to 530: as much
as a small server can spare."""


def check_picture(path: Path, media_type: str) -> None:
    """Raise `BadInput` for a picture that is damaged or too large; blocking."""
    try:
        # Not `Image.open`: the size at which that warns or raises is the whole process'.
        with _DECODING, (JpegImageFile if media_type == JPEG else PngImageFile)(path) as image:
            width, height = image.size
            if width * height > _most_pixels(image):
                raise BadInput(f"The picture has {width}×{height} pixels, more than can be read.")
            # Damage shows at an eighth of a JPEG's size as well, and that is soon decoded.
            image.draft(None, (max(width // 8, 1), max(height // 8, 1)))
            image.load()
    except (OSError, SyntaxError, ValueError) as error:
        # Pillow's own complaints about a picture are OSErrors without a number.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise BadInput("The picture is damaged and cannot be opened.") from error


def _most_pixels(image: ImageFile) -> int:
    in_bands = isinstance(image, JpegImageFile) and "progressive" not in image.info
    return MAX_IMAGE_PIXELS if in_bands else MAX_WHOLE_IMAGE_PIXELS
