"""What a file must be to be taken in: of a type that can be read, and not too large."""

from schema.failures import BadInput

MAX_BYTES = 2 * 1024**3

PDF, JPEG, PNG = "application/pdf", "image/jpeg", "image/png"
TIFF, WEBP, HEIC = "image/tiff", "image/webp", "image/heic"

PICTURES = frozenset({JPEG, PNG, TIFF, WEBP, HEIC})
"""Kinds that are pixels and nothing else; a TIFF may have several pages."""

TAKEN = "PDF, JPEG, PNG, TIFF, WebP and HEIC"
"""The kinds, as people name them."""

NONE_OF_THEM = f"Only {TAKEN} files can be read, and this is none of them."

ENDINGS = {
    PDF: ".pdf",
    JPEG: ".jpg",
    PNG: ".png",
    TIFF: ".tif",
    WEBP: ".webp",
    HEIC: ".heic",
}
"""How names of each kind end."""

HEAD_BYTES = 1024
"""How much of a file's beginning shows its type."""


def media_type_of(head: bytes) -> str:
    """The type that the first kilobyte shows; raises `BadInput` for one that cannot be read."""
    if b"%PDF-" in head[:HEAD_BYTES]:
        return PDF
    if head.startswith(b"\xff\xd8\xff"):
        return JPEG
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return PNG
    if head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return TIFF
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return WEBP
    if head[4:8] == b"ftyp":
        return _media_type_by_brand(head)
    if not head:
        raise BadInput("The file is empty.")
    raise BadInput(NONE_OF_THEM)


_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
"""ISO/IEC 23008-12, annex B.4: what is coded in HEVC."""

_PICTURE_BRANDS = {b"mif1", b"mif2", b"msf1"}
"""Of any coding; the brands it is compatible with say which."""


def _media_type_by_brand(head: bytes) -> str:
    """The type of a file in the format of ISO media, by the brands at its beginning."""
    length = min(int.from_bytes(head[:4], "big"), HEAD_BYTES)
    brands = {head[8:12]} | {head[at : at + 4] for at in range(16, length - 3, 4)}
    if brands & {b"avif", b"avis"}:
        raise BadInput("AVIF pictures cannot be read; send the picture as a JPEG.")
    if brands & _HEIC_BRANDS or head[8:12] in _PICTURE_BRANDS:
        return HEIC
    raise BadInput("Films and sound cannot be read, and this is a file of that kind.")
