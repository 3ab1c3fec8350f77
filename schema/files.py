"""What a file must be to be taken in: of a type that can be read, and not too large."""

from schema.failures import BadInput

MAX_BYTES = 2 * 1024**3

PDF, JPEG, PNG = "application/pdf", "image/jpeg", "image/png"

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
    if not head:
        raise BadInput("The file is empty.")
    raise BadInput("Only PDF, JPEG and PNG files can be read, and this is none of them.")
