"""E-mails (EML): who wrote to whom, when and about what, the text, and what is attached."""

import re
from collections.abc import Iterator
from email import policy
from email.message import EmailMessage, MIMEPart
from email.parser import BytesParser
from pathlib import Path
from typing import cast

from schema.failures import BadInput
from tasks.formats.members import Unpacking
from tasks.formats.plain import decoded
from tasks.formats.web import text_of_html

MAX_MAIL_BYTES = 64 * 1024**2
"""More than mail servers carry; while it is taken apart it is in memory three times."""

LARGEST_INLINE_BYTES = 64 * 1024
"""A picture in the text up to this size is a logo or a smiley, not a document."""

HEADERS = ("From", "To", "Cc", "Bcc", "Date", "Subject")
TOO_LARGE = f"E-mails of more than {MAX_MAIL_BYTES // 1024**2} MB cannot be read."
_MAX_PARTS = 1000


def text_of_mail(path: Path, out: Unpacking) -> str:
    """The e-mail's headers and text; its attachments are taken out."""
    if path.stat().st_size > MAX_MAIL_BYTES:
        raise BadInput(TOO_LARGE)
    data = path.read_bytes()
    if data.startswith((b"From ", b">From ")):  # as mailboxes part their e-mails
        data = data[data.find(b"\n") + 1 :]
    mail = BytesParser(EmailMessage, policy=policy.default).parsebytes(data)
    del data
    body, used = _body(mail)
    text = [f"{name}: {value}" for name in HEADERS if (value := _header(mail, name))]
    for number, part in enumerate(_attachments(mail, used), start=1):
        if number > _MAX_PARTS:
            out.refuse("the rest", "The e-mail has more attachments than are taken out of one.")
            break
        if _is_prose(part):
            body += f"\n\n{_text(part)}"
        else:
            _take(part, number, out)
    if names := [member.name for member in out.members]:
        text.append(f"Attachments: {', '.join(names)}")
    return "\n".join([*text, "", body.strip()]).strip()


def _header(mail: MIMEPart, name: str) -> str:
    """A header as it reads; as it stands if the library cannot make sense of it."""
    try:
        value = str(mail.get(name, ""))
    except Exception:  # noqa: BLE001 - its parser of headers raises all sorts on broken ones
        raw = [value for key, value in mail.raw_items() if key.lower() == name.lower()]
        value = str(raw[0]) if raw else ""
    return " ".join(value.split())


def _body(mail: EmailMessage) -> tuple[str, MIMEPart | None]:
    """The text of the e-mail and the part it is from: plain text, else HTML."""
    for kind in ("plain", "html"):
        try:
            part = mail.get_body((kind,))
        except Exception:  # noqa: BLE001, S112 - as above
            continue
        if part is not None and (text := _text(part)).strip():
            return text, part
    return "", None


def _text(part: MIMEPart) -> str:
    data = _bytes(part)
    named = part.get_content_charset()
    if part.get_content_subtype() == "html":
        return text_of_html(decoded(data, named))
    return decoded(data, named)


def _bytes(part: MIMEPart) -> bytes:
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _attachments(mail: EmailMessage, used: MIMEPart | None) -> Iterator[MIMEPart]:
    """The leaves of the e-mail that are not its text, in order; an e-mail in it is one leaf."""
    html = _html_of(mail)
    waiting: list[MIMEPart] = [mail]
    while waiting:
        part = waiting.pop()
        if part.get_content_maintype() == "multipart" and part.is_multipart():
            inside = _inside(part)
            if part.get_content_subtype() == "alternative":
                # Other ways to say the same are no documents: only what they carry is.
                inside = [one for one in inside if one.get_content_maintype() != "text"]
            waiting += reversed(inside)
        elif part is not used and part is not mail and not _is_decoration(part, html):
            yield part
        elif part is mail and used is None and part.get_content_maintype() != "text":
            yield part  # the e-mail is nothing but an attachment


def _inside(part: MIMEPart) -> list[MIMEPart]:
    inside: object = part.get_payload()
    found = cast("list[object]", inside) if isinstance(inside, list) else []
    return [one for one in found if isinstance(one, MIMEPart)]


def _html_of(mail: EmailMessage) -> str:
    try:
        part = mail.get_body(("html",))
    except Exception:  # noqa: BLE001 - as above
        return ""
    return decoded(_bytes(part), part.get_content_charset()) if part is not None else ""


def _is_decoration(part: MIMEPart, html: str) -> bool:
    """Whether it is a small picture that the HTML shows in its text."""
    if part.get_content_maintype() != "image":
        return False
    mark = _header(part, "Content-ID").strip("<> ")
    shown = bool(mark) and f"cid:{mark}".lower() in html.lower()
    inline = bool(mark) and part.get_content_disposition() != "attachment"
    return (shown or inline) and len(_bytes(part)) <= LARGEST_INLINE_BYTES


def _is_prose(part: MIMEPart) -> bool:
    """Whether it is more of the text itself, as mailing lists add theirs."""
    return (
        part.get_content_type() in {"text/plain", "text/html"}
        and part.get_content_disposition() != "attachment"
        and not _file_name(part)
    )


def _file_name(part: MIMEPart) -> str | None:
    try:
        return part.get_filename()
    except Exception:  # noqa: BLE001 - as above
        return None


def _take(part: MIMEPart, number: int, out: Unpacking) -> None:
    name = _file_name(part)
    if part.get_content_type() == "message/rfc822":
        for mail in _inside(part):
            named = name or f"{_header(mail, 'Subject') or f'e-mail {number}'}.eml"
            out.take(re.sub(r"[/\\]", "_", named), [mail.as_bytes(policy=policy.compat32)])
            return
    out.take(name or f"attachment {number}{_ending(part)}", [_bytes(part)])


def _ending(part: MIMEPart) -> str:
    from mimetypes import guess_extension  # noqa: PLC0415 - rarely needed, and it reads files

    return guess_extension(part.get_content_type()) or ""
