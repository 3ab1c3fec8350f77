"""E-mails (EML): who wrote to whom, when and about what, the text, and what is attached.

A file of several e-mails, as mail programs export a folder (mbox), is a container of them.
"""

import binascii
import codecs
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from email import policy
from email.errors import CloseBoundaryNotFoundDefect
from email.message import EmailMessage, MIMEPart
from email.parser import BytesHeaderParser, BytesParser
from pathlib import Path
from typing import cast

from schema.failures import BadInput
from schema.files import is_mail
from tasks.formats.members import TOO_DEEP, Unpacking
from tasks.formats.plain import decoded
from tasks.formats.web import text_of_html

MAX_MAIL_BYTES = 64 * 1024**2
"""More than mail servers carry; while it is taken apart it is in memory three times."""

LARGEST_INLINE_BYTES = 64 * 1024
"""A picture in the text up to this size is a logo or a smiley, not a document."""

HEADERS = ("From", "To", "Cc", "Bcc", "Date", "Subject")
TOO_LARGE = f"E-mails of more than {MAX_MAIL_BYTES // 1024**2} MB cannot be read."
_MAX_PARTS = 1000
_HEADERS_BYTES = 16 * 1024
"""Where the headers are looked for by which an e-mail in a mailbox is known."""

_BLANK_LINE = re.compile(rb"\n\r?\n")
_NEXT_MAIL = re.compile(rb"\n\r?\nFrom [^\n]*\n(?=>From |[!-9;-~]+:)")
_PROSE = frozenset({"text/plain", "text/html"})
_DRAWN_WITH = re.compile(r"(text|image|font)/.*|.*/(x-)?javascript")
_MAILS = frozenset({"message/rfc822", "message/global", "message/news"})


def text_of_mail(path: Path, out: Unpacking) -> str:
    """The e-mail's headers and text; its attachments are taken out.

    Of a mailbox, the e-mails are. Raises `BadInput` for one that is cut off in an attachment.
    """
    if path.stat().st_size > MAX_MAIL_BYTES:
        raise BadInput(TOO_LARGE)
    data = _normal(path.read_bytes())
    if len(mails := _mails_in(data)) > 1:
        return _take_mails(data, mails, out)
    mail = BytesParser(EmailMessage, policy=policy.default).parsebytes(data[mails[0]])
    del data
    _check_whole(mail)
    return _read(mail, out)


def _normal(data: bytes) -> bytes:
    """In bytes that begin with the e-mail, whatever a program or a person saved it as."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        data = data.decode("utf-16", "replace").encode()
    return data.removeprefix(codecs.BOM_UTF8).lstrip()


def _mails_in(data: bytes) -> list[slice]:
    """Where the e-mails lie: several in a mailbox alone, which parts them by lines `From …`."""
    if not data.startswith((b"From ", b">From ")):
        return [slice(0, len(data))]
    starts, ends = [data.find(b"\n") + 1], list[int]()
    for found in _NEXT_MAIL.finditer(data) if data.startswith(b"From ") else ():
        # Such a line may stand in a text too: what follows it must be an e-mail's headers.
        if is_mail(_headers_at(data, found.end())):
            ends.append(found.start() + 1)
            starts.append(found.end())
    return [slice(*ends_of) for ends_of in zip(starts, [*ends, len(data)], strict=True)]


def _take_mails(data: bytes, mails: Sequence[slice], out: Unpacking) -> str:
    """Take each e-mail out of a mailbox; the text that stands for the mailbox itself."""
    if out.is_too_deep:
        raise BadInput(TOO_DEEP)
    for number, where in enumerate(mails, start=1):
        out.take(_mail_name(_headers_at(data, where.start), number), [data[where]])
    return f"A mailbox of {len(mails):,} e-mails."


def _headers_at(data: bytes, start: int) -> bytes:
    """What may be the headers of an e-mail that begins there."""
    end = start + _HEADERS_BYTES
    found = _BLANK_LINE.search(data, start, end)
    return data[start : found.start() if found else end]


def _mail_name(headers: bytes, number: int) -> str:
    """How an e-mail that nobody named is called: by its subject."""
    mail = BytesHeaderParser(EmailMessage, policy=policy.default).parsebytes(headers)
    return re.sub(r"[/\\]", "_", f"{_header(mail, 'Subject') or f'e-mail {number}'}.eml")


def _check_whole(mail: EmailMessage) -> None:
    """Raise `BadInput` if the e-mail ends in an attachment that seems to go on.

    Where only its text is cut off, or it ends in one whose base64 is filled up to its end,
    a program may have left away the mark of its end.
    """
    last: MIMEPart = mail
    while inside := _inside(last) if last.get_content_maintype() == "multipart" else []:
        if not any(isinstance(one, CloseBoundaryNotFoundDefect) for one in last.defects):
            return
        last = inside[-1]
    if last is mail or _is_text_of_mail(last) or _is_report(last):
        return
    content: object = last.get_payload()
    if not (isinstance(content, str) and content.rstrip().endswith("=")):
        raise BadInput("The e-mail was cut off in an attachment: its end is missing.")


def _read(mail: EmailMessage, out: Unpacking) -> str:
    headers = [f"{name}: {value}" for name in HEADERS if (value := _header(mail, name))]
    texts: list[str] = []
    _forget_names_of_text(mail)
    shown, number = _shown(mail), 0
    for part in _leaves(mail):
        if _is_prose(part):
            texts.append(_text(part).strip())
        elif _is_report(part):
            texts.append(_report(part).strip())
        elif not _is_decoration(part, shown):
            number += 1
            if number > _MAX_PARTS:
                reason = "The e-mail has more attachments than are taken out of one."
                out.refuse("the rest", reason)
                break
            _take(part, number, out)
    if names := [member.name for member in out.members]:
        headers.append(f"Attachments: {', '.join(names)}")
    return "\n".join([*headers, "", "\n\n".join(filter(None, texts))]).strip()


def _header(mail: MIMEPart, name: str) -> str:
    """A header as it reads; as it stands if the library cannot make sense of it."""
    try:
        value = str(mail.get(name, ""))
    except Exception:  # noqa: BLE001 - its parser of headers raises all sorts on broken ones
        raw = [value for key, value in mail.raw_items() if key.lower() == name.lower()]
        value = str(raw[0]) if raw else ""
    return " ".join(value.split())


def _leaves(part: MIMEPart) -> Iterator[MIMEPart]:
    """The parts that say or hold something, in order; an e-mail in the e-mail is one.

    Of what says the same in several ways, one way; of a saved page, not what it is drawn with.
    """
    if part.get_content_maintype() != "multipart" or not part.is_multipart():
        yield part
        return
    kind, inside = part.get_content_subtype(), _inside(part)
    chosen = _chosen(inside) if kind == "alternative" else None
    for one in inside:
        leaves = _leaves(one)
        if chosen is not None and one is not chosen:
            yield from (leaf for leaf in leaves if not _is_text_of_mail(leaf))
        elif kind == "related":
            yield from (leaf for leaf in leaves if not _is_drawn_with(leaf))
        else:
            yield from leaves


def _chosen(ways: Sequence[MIMEPart]) -> MIMEPart | None:
    """Which of several ways to say the same is read: with plain text, else with HTML."""
    for kind in ("text/plain", "text/html"):
        for way in ways:
            for part in way.walk():
                if part.get_content_type() == kind and _is_prose(part) and _bytes(part).strip():
                    return way
    return None


def _forget_names_of_text(mail: EmailMessage) -> None:
    """Its own text is no attachment, though some programs and scanners give it a file's name."""
    parts = list(_own_parts(mail))
    texts = [one for one in parts if one.get_content_type() in _PROSE]
    ways = [
        way
        for part in parts
        if part.get_content_type() == "multipart/alternative"
        for way in _inside(part)
    ]
    for one in (*texts[:1], *(way for way in ways if way in texts)):
        if one.get_content_disposition() != "attachment":
            with suppress(Exception):  # as above
                one.del_param("name")
                one.del_param("filename", "Content-Disposition")


def _own_parts(part: MIMEPart) -> Iterator[MIMEPart]:
    """The part and all in it, but not what lies in e-mails in the e-mail."""
    yield part
    if part.get_content_maintype() == "multipart":
        for one in _inside(part):
            yield from _own_parts(one)


def _inside(part: MIMEPart) -> list[MIMEPart]:
    inside: object = part.get_payload()
    found = cast("list[object]", inside) if isinstance(inside, list) else []
    return [one for one in found if isinstance(one, MIMEPart)]


def _is_text_of_mail(part: MIMEPart) -> bool:
    """Whether it is text, of any kind, that nobody attached as a file."""
    return (
        part.get_content_maintype() == "text"
        and part.get_content_disposition() != "attachment"
        and not _file_name(part)
    )


def _is_prose(part: MIMEPart) -> bool:
    """Whether it is text to be read: the text itself, or more of it as mailing lists add theirs."""
    return _is_text_of_mail(part) and part.get_content_type() in _PROSE


def _is_drawn_with(part: MIMEPart) -> bool:
    """Whether it is a style, script or small picture of the saved page that it lies beside."""
    return (
        bool(_header(part, "Content-Location"))
        and bool(_DRAWN_WITH.fullmatch(part.get_content_type()))
        and not _file_name(part)
        and not _is_prose(part)
        and not _is_large_picture(part)
    )


def _is_large_picture(part: MIMEPart) -> bool:
    return part.get_content_maintype() == "image" and len(_bytes(part)) > LARGEST_INLINE_BYTES


def _shown(mail: EmailMessage) -> str:
    """All HTML of the e-mail, in which pictures are shown."""
    return "\n".join(
        decoded(_bytes(cast("MIMEPart", part)), part.get_content_charset()).lower()
        for part in mail.walk()
        if part.get_content_type() == "text/html"
    )


def _is_decoration(part: MIMEPart, shown: str) -> bool:
    """Whether it is a small picture that the HTML shows in its text."""
    if part.get_content_maintype() != "image" or _is_large_picture(part):
        return False
    mark = _header(part, "Content-ID").strip("<> ").lower()
    return bool(mark) and f"cid:{mark}" in shown


def _text(part: MIMEPart) -> str:
    text = decoded(_bytes(part), part.get_content_charset())
    return text_of_html(text) if part.get_content_subtype() == "html" else text


def _bytes(part: MIMEPart) -> bytes:
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _is_report(part: MIMEPart) -> bool:
    """Whether a mail server or program reports that an e-mail was delivered, refused or opened."""
    return part.get_content_maintype() == "message" and part.get_content_type() not in _MAILS


def _report(part: MIMEPart) -> str:
    """What it says, in the form of headers."""
    said = [one.as_bytes(policy=policy.compat32) for one in _inside(part)]
    return decoded(b"\n".join(said) or _bytes(part))


def _file_name(part: MIMEPart) -> str | None:
    try:
        return part.get_filename()
    except Exception:  # noqa: BLE001 - as above
        return None


def _take(part: MIMEPart, number: int, out: Unpacking) -> None:
    name = _file_name(part)
    if part.get_content_type() in _MAILS:
        for inner in _inside(part):
            mail = _unwrapped(inner.as_bytes(policy=policy.compat32), part)
            out.take(
                re.sub(r"[/\\]", "_", name or _mail_name(_headers_at(mail, 0), number)), [mail]
            )
            return
    out.take(name or f"attachment {number}{_ending(part)}", [_bytes(part)])


def _unwrapped(mail: bytes, part: MIMEPart) -> bytes:
    """An attached e-mail as it is: some programs send it in base64, which nobody may."""
    if _header(part, "Content-Transfer-Encoding").lower() != "base64":
        return mail
    try:
        return binascii.a2b_base64(mail)
    except binascii.Error:
        return mail


def _ending(part: MIMEPart) -> str:
    from mimetypes import guess_extension  # noqa: PLC0415 - rarely needed, and it reads files

    return guess_extension(part.get_content_type()) or ""
