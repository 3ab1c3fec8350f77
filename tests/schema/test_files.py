"""What a file is, by how it begins."""

import pytest

from schema.failures import BadInput
from schema.files import HEIC, TIFF, WEBP, media_type_of


def media(brand: bytes, *compatible: bytes) -> bytes:
    body = brand + bytes(4) + b"".join(compatible)
    return (8 + len(body)).to_bytes(4, "big") + b"ftyp" + body + bytes(100)


@pytest.mark.parametrize(
    ("head", "media_type"),
    [
        (b"II*\0\x08\0\0\0", TIFF),
        (b"MM\0*\0\0\0\x08", TIFF),
        (b"II+\0\x08\0\0\0", TIFF),
        (b"MM\0+\0\x08\0\0", TIFF),
        (b"RIFF\x20\0\0\0WEBPVP8X", WEBP),
        (media(b"heic", b"mif1", b"heic"), HEIC),
        (media(b"mif1", b"heic"), HEIC),
        (media(b"msf1", b"hevc"), HEIC),
    ],
)
def test_a_picture_is_known_by_its_beginning(head: bytes, media_type: str) -> None:
    assert media_type_of(head) == media_type


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (media(b"avif", b"mif1"), "AVIF"),
        (media(b"mif1", b"avif"), "AVIF"),
        (media(b"isom", b"mp42"), "Films"),
        (media(b"qt  "), "Films"),
    ],
)
def test_what_looks_like_a_picture_and_cannot_be_read_says_why(head: bytes, reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        media_type_of(head)
