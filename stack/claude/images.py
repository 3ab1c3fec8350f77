"""Images in requests: what their bytes really are, and whether they are too large."""

import base64
import binascii
import warnings
from dataclasses import dataclass
from io import BytesIO

from PIL import Image, UnidentifiedImageError

from stack.claude.refusals import Refused, invalid

MOST_BASE64_BYTES = 10 * 1024 * 1024
"""Of one image, as the text it arrives as."""
MOST_PIXELS_A_SIDE = 8_000
MANY_IMAGES = 20
"""With more images than this in a request, each may have only `MOST_PIXELS_OF_MANY` a side."""
MOST_PIXELS_OF_MANY = 2_000

_FORMATS = ("JPEG", "PNG", "GIF", "WEBP")


@dataclass(frozen=True, slots=True)
class Picture:
    """What an image is."""

    media_type: str
    width: int
    height: int


def read_picture(data: str, media_type: str, path: str) -> Picture:
    """Read the base64 text of an image; `path` is where in the request it stands.

    Raises:
        Refused: it is too many bytes, no image, or not of the type it says.
    """
    where = f"{path}.image.source.base64"
    if len(data) > MOST_BASE64_BYTES:
        raise invalid(
            f"{where}: image exceeds 10 MB maximum: {len(data)} bytes > {MOST_BASE64_BYTES} bytes"
        )
    try:
        raw = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid(f"{where}.data: Invalid base64 data") from error
    picture = _look(raw)
    if picture is None:
        raise invalid("Could not process image")
    if picture.media_type != media_type:
        raise invalid(
            f"{where}: The image was specified using the {media_type} media type, "
            f"but the image appears to be a {picture.media_type} image"
        )
    return picture


def too_many_pixels(paths: list[str], *, most: int) -> Refused:
    """The images at `paths` have more than `most` pixels a side."""
    many = " for many-image requests" if most == MOST_PIXELS_OF_MANY else ""
    return invalid(
        f"{paths[0]}.image.source.base64.data: At least one of the image dimensions "
        f"exceed max allowed size{many}: {most} pixels",
        details={
            "error_code": "image_dimensions_too_large",
            "max_side_length_pixels": most,
            "paths": paths,
        },
    )


def _look(raw: bytes) -> Picture | None:
    try:
        with warnings.catch_warnings():
            # Only the header is read: a picture of any size may be looked at.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(BytesIO(raw), formats=_FORMATS) as image:
                picture = Picture(f"image/{(image.format or '').lower()}", *image.size)
                image.verify()
                return picture
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError):
        return None
