"""Outlook messages (MSG): the same as of other e-mails. What other OLE files are is told too.

Their format is [MS-OXMSG] in a compound file [MS-CFB], both published by Microsoft.
"""

from collections.abc import Iterator
from email.utils import format_datetime
from pathlib import Path

from olefile import OleFileIO
from oxmsg import Message
from oxmsg.attachment import Attachment
from oxmsg.domain import constants

from schema.failures import BadInput
from tasks.formats.mail import LARGEST_INLINE_BYTES, MAX_MAIL_BYTES, TOO_LARGE
from tasks.formats.members import Unpacking
from tasks.formats.plain import decoded
from tasks.formats.web import text_of_html

DAMAGED = "The Outlook message is damaged and cannot be opened."
_EMBEDDED = 5
"""The way of attaching by which an e-mail lies in another (PidTagAttachMethod)."""
_CONTENT_ID = 0x3712
_TO, _CC, _BCC = 1, 2, 3
_KIND_OF_RECIPIENT = 0xF
"""The bits of PidTagRecipientType that say which of these one is; others are of sending."""
_MESSAGE_CODEPAGE = 0x3FFD
_UNICODE, _ANSI, _BINARY = 0x1F, 0x1E, 0x102

UNREAD_RTF = "[Not read: the text of this message, which it has as RTF alone. Save it as PDF.]"

_OTHERS = (
    ("EncryptedPackage", "It is protected by a password. Save it without one."),
    ("WordDocument", "Word 97 files (.doc) cannot be read: save as DOCX or PDF."),
    ("Workbook", "Excel workbooks (.xls) cannot be read: save as PDF."),
    ("Book", "Excel workbooks (.xls) cannot be read: save as PDF."),
    ("PowerPoint Document", "PowerPoint files (.ppt) cannot be read: save as PDF."),
)


def check_is_message(path: Path) -> None:
    """Raise `BadInput` unless the compound file is an Outlook message."""
    try:
        with OleFileIO(str(path)) as ole:
            if ole.exists("__properties_version1.0"):
                return
            reasons = [reason for stream, reason in _OTHERS if ole.exists(stream)]
    except (MemoryError, RecursionError):
        raise
    except Exception as error:
        raise BadInput("The file is damaged and cannot be opened.") from error
    raise BadInput(next(iter(reasons), "It is a file of an old program: save it as DOCX or PDF."))


def text_of_message(path: Path, out: Unpacking) -> str:
    """The message's headers and text; its attachments are taken out."""
    if path.stat().st_size > MAX_MAIL_BYTES:
        raise BadInput(TOO_LARGE)
    try:
        message = Message.load(str(path))
        headers = list(_headers(message))
        body, shown = _body(message, path)
        for number, attachment in enumerate(message.attachments, start=1):
            _take(attachment, number, shown, out)
    except (BadInput, MemoryError, RecursionError):
        raise
    except Exception as error:  # the library raises whatever the damage leads to
        raise BadInput(DAMAGED) from error
    if names := [member.name for member in out.members]:
        headers.append(f"Attachments: {', '.join(names)}")
    return "\n".join([*headers, "", body.strip()]).strip()


def _headers(message: Message) -> Iterator[str]:
    told = {name.title(): value for name, value in message.message_headers.items()}
    sent = message.sent_date
    values = {
        "From": message.sender,
        "To": told.get("To") or _recipients(message, _TO),
        "Cc": told.get("Cc") or _recipients(message, _CC),
        "Bcc": told.get("Bcc") or _recipients(message, _BCC),
        "Date": told.get("Date") or (format_datetime(sent) if sent else None),
        "Subject": message.subject,
    }
    for name, value in values.items():
        if value and value.strip():
            yield f"{name}: {' '.join(value.split())}"


def _recipients(message: Message, kind: int) -> str:
    of_kind = (
        one
        for one in message.recipients
        if (one.properties.int_prop_value(constants.PID_RECIPIENT_TYPE) or _TO) & _KIND_OF_RECIPIENT
        == kind
    )
    return "; ".join(f"{one.name} <{one.email_address}>".strip() for one in of_kind)


def _body(message: Message, path: Path) -> tuple[str, str | None]:
    """The text, and the HTML in which pictures are shown; None where RTF may show them.

    Read here, since the library takes a byte that is wrong for the end of the message.
    """
    codepage = message.properties.int_prop_value(_MESSAGE_CODEPAGE)
    encoding = message.properties.body_encoding
    with OleFileIO(str(path)) as ole:
        text = _text(ole, constants.PID_BODY, f"cp{codepage}" if codepage else encoding)
        html = _text(ole, constants.PID_HTML, encoding)
        in_rtf = ole.exists(_stream(constants.PID_RTF_COMPRESSED, _BINARY))
    if not text.strip() and html:
        text = text_of_html(html)
    elif not text.strip() and in_rtf:
        text = UNREAD_RTF
    return text, None if in_rtf and not html else html


def _text(ole: "OleFileIO[str]", pid: int, encoding: str) -> str:
    """A property's text, in whichever way it is there."""
    if ole.exists(name := _stream(pid, _UNICODE)):
        return ole.openstream(name).read().decode("utf-16-le", "replace")
    for kind in (_BINARY, _ANSI):
        if ole.exists(name := _stream(pid, kind)):
            return decoded(ole.openstream(name).read(), encoding)
    return ""


def _stream(pid: int, kind: int) -> str:
    return f"__substg1.0_{pid:04X}{kind:04X}"


def _take(attachment: Attachment, number: int, shown: str | None, out: Unpacking) -> None:
    properties = attachment.properties
    name = (
        attachment.file_name
        or properties.str_prop_value(constants.PID_DISPLAY_NAME)
        or f"attachment {number}"
    )
    data = attachment.file_bytes
    if properties.int_prop_value(constants.PID_ATTACH_METHOD) == _EMBEDDED:
        out.refuse(name, "An e-mail inside an Outlook message: save it as a file of its own.")
    elif data is None:
        out.refuse(name, "The message holds a link to the file, not the file.")
    elif not _is_decoration(attachment, data, shown):
        out.take(name, [data])


def _is_decoration(attachment: Attachment, data: bytes, shown: str | None) -> bool:
    """Whether it is a small picture shown in the text."""
    mark = attachment.properties.str_prop_value(_CONTENT_ID)
    if not mark or not (attachment.mime_type or "").startswith("image/"):
        return False
    is_shown = shown is None or f"cid:{mark}".lower() in shown.lower()
    return is_shown and len(data) <= LARGEST_INLINE_BYTES
