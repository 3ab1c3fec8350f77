"""What a file must be to be taken in: of a kind that can be read, and not too large.

The first kilobyte shows the family; what only the whole file shows (a Word document or a
ZIP, an Outlook message or a Word 97 file, text or not) is seen when it is taken in
(`tasks/formats/kinds.py`). Names say nothing: a file is what its bytes are.
"""

import codecs
import re

from schema.failures import BadInput

MAX_BYTES = 2 * 1024**3

PDF, JPEG, PNG = "application/pdf", "image/jpeg", "image/png"
TIFF, WEBP, HEIC = "image/tiff", "image/webp", "image/heic"

PICTURES = frozenset({JPEG, PNG, TIFF, WEBP, HEIC})
"""Kinds that are pixels and nothing else; a TIFF may have several pages."""

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
TXT, HTML = "text/plain", "text/html"
EML, MSG = "message/rfc822", "application/vnd.ms-outlook"
ZIP = "application/zip"

WITHOUT_PICTURES = frozenset({DOCX, TXT, HTML, EML, MSG, ZIP})
"""Kinds whose text is read from the file itself: they have no pages that could be drawn."""

TAKEN = "PDF, JPEG, PNG, TIFF, WebP, HEIC, DOCX, TXT, HTML, EML, MSG and ZIP"
"""The kinds, as people name them."""

ENDINGS = {
    PDF: ".pdf",
    JPEG: ".jpg",
    PNG: ".png",
    TIFF: ".tif",
    WEBP: ".webp",
    HEIC: ".heic",
    DOCX: ".docx",
    TXT: ".txt",
    HTML: ".html",
    EML: ".eml",
    MSG: ".msg",
    ZIP: ".zip",
}
"""How names of each kind end."""

NONE_OF_THEM = f"Only {TAKEN} files can be read, and this is none of them."

HEAD_BYTES = 1024
"""How much of a file's beginning shows its family."""

_BYTE_ORDER_MARKS = (
    codecs.BOM_UTF8,
    codecs.BOM_UTF32_LE,
    codecs.BOM_UTF32_BE,
    codecs.BOM_UTF16_LE,
    codecs.BOM_UTF16_BE,
)
_STARTS = {
    b"PK\x03\x04": ZIP,
    b"PK\x05\x06": ZIP,
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": MSG,
    b"\xff\xd8\xff": JPEG,
    b"\x89PNG\r\n\x1a\n": PNG,
    b"II*\0": TIFF,
    b"MM\0*": TIFF,
    b"II+\0": TIFF,
    b"MM\0+": TIFF,
}
_REFUSED = {
    b"{\\rtf": "RTF files cannot be read: save as DOCX or PDF.",
    b"%!PS": "PostScript files cannot be read: save as PDF.",
    b"Rar!": "RAR archives cannot be unpacked: add the files as they are, or as ZIP.",
    b"7z\xbc\xaf": "7z archives cannot be unpacked: add the files as they are, or as ZIP.",
    b"\x1f\x8b": "gzip archives cannot be unpacked: add the files as they are, or as ZIP.",
    b"!BDN": "Outlook data files (.pst) cannot be read: save the e-mails as MSG or EML.",
}
_HTML = re.compile(
    rb"""\s*(?:(?:<\?.*?\?>|<!--.*?-->)\s*)*<(?:!doctype\s+html|html|head|body|meta|title|style
    |base|link|script|frameset|div|p|span|table|center|font|br|hr|img|h[1-6]|[uod]l|pre|blockquote
    |section|article|main|header|nav|form|[abiu]|strong|em)(?:[\s>/]|\Z)""",
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
"""A page, or a part of one as programs export it."""

_HEADER = re.compile(rb"([!-9;-~]+):(?: .*|\t.*)?\Z")
_MACHINES_HEADERS = frozenset(
    b"""received return-path message-id mime-version delivered-to content-type
    x-mailer dkim-signature x-received arc-seal authentication-results""".split()
)
"""Headers that a program writes into an e-mail, and nobody at the head of a letter."""
_MOST_CONTROL = 0.02
_CONTROL = bytes(set(range(32)) - set(b"\t\n\r\f\b\x1b")) + b"\x7f"


def media_type_of(head: bytes) -> str:
    """The kind that the first kilobyte shows; raises `BadInput` for one that cannot be read.

    `ZIP` may still be a Word document, and `MSG` any file of that container of Microsoft's.
    """
    head = head[:HEAD_BYTES]
    for start, media_type in _STARTS.items():
        if head.startswith(start):
            return media_type
    if _is_pdf(head):
        return PDF
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return WEBP
    if head[4:8] == b"ftyp":
        return _media_type_by_brand(head)
    if not head:
        raise BadInput("The file is empty.")
    return _text_type_of(head)


def _is_pdf(head: bytes) -> bool:
    """Whether it is a PDF; some have lines before their mark, of what carried or made them.

    An e-mail that carries one, and a text or a page of HTML that mentions the mark, are none.
    """
    before, mark, _ = head.partition(b"%PDF-")
    if not mark or not seems_text(before):
        return bool(mark)
    mentions = not before.endswith((b"\r", b"\n")) and (b" " in before or b"<" in before)
    return not mentions and not is_mail(before)


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


def _text_type_of(head: bytes) -> str:
    for start, reason in _REFUSED.items():
        if head.startswith(start):
            raise BadInput(reason)
    if not head.startswith(_BYTE_ORDER_MARKS) and not seems_text(head):
        raise BadInput(NONE_OF_THEM)
    if _HTML.match(_without_mark(head)):
        return HTML
    return EML if is_mail(head) else TXT


def _without_mark(head: bytes) -> bytes:
    """The beginning of a text, what is ASCII in it as ASCII."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        head = head.replace(b"\x00", b"")
    return head.lstrip(b"\xef\xbb\xbf\xff\xfe")


def seems_text(some: bytes) -> bool:
    """Whether these bytes may be text of one byte a character, or UTF-8: hardly any control."""
    control = len(some) - len(some.translate(None, _CONTROL))
    return b"\x00" not in some and control <= len(some) * _MOST_CONTROL


def is_mail(head: bytes) -> bool:
    """Whether a text begins with the headers of an e-mail, one of a program's among them."""
    names: set[bytes] = set()
    lines = _without_mark(head).lstrip().splitlines()
    if lines and lines[0].startswith((b"From ", b">From ")):  # as mailboxes part their e-mails
        lines = lines[1:]
    for line in lines:
        if line[:1] in {b" ", b"\t"} and names:
            continue
        found = _HEADER.match(line)
        if found is None:
            break
        names.add(found[1].lower())
    return len(names) >= 2 and not names.isdisjoint(_MACHINES_HEADERS)
