"""What a file truly is, from all of it: where the first kilobyte shows a family only."""

from pathlib import Path

from schema.failures import BadInput
from schema.files import DOCX, EML, MSG, TXT, ZIP, is_mail, media_type_of
from tasks.formats.archive import office_kind
from tasks.formats.outlook import check_is_message

HEADERS_BYTES = 64 * 1024
"""An e-mail may begin with the addresses of very many people."""


def kind_of(path: Path) -> str:
    """The file's media type; raises `BadInput` for a kind that cannot be read."""
    with path.open("rb") as file:
        head = file.read(HEADERS_BYTES)
    media_type = media_type_of(head)
    if media_type == TXT and is_mail(head):
        return EML
    if media_type == MSG:
        check_is_message(path)
    if media_type == ZIP:
        office = office_kind(path)
        if office == "word":
            return DOCX
        if office is not None:
            raise BadInput(f"{office} cannot be read: save as PDF.")
    return media_type
