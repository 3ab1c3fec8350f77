"""Plain text: in what encoding it is written, and whether it is text at all."""

import codecs
import contextlib
from pathlib import Path

from charset_normalizer import from_bytes

from schema.failures import BadInput
from schema.files import seems_text

MAX_TEXT_BYTES = 32 * 1024**2
"""Twice what may become pages."""

_SAMPLE_BYTES = 256 * 1024

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is its beginning
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_OTHERS = ["cp1250", "cp1251", "cp1253", "cp1254", "cp1257", "mac_roman", "cp850", "cp437",
           "shift_jis", "gb18030", "big5", "euc_kr", "koi8_r"]  # fmt: skip
_WESTERN = "cp1252"
_WESTERN_CHARACTERS = frozenset(
    "äöüßéèêëàâáåãæçñíìîïóòôõøœúùûýÿšžÄÖÜÉÈÊÀÂÁÅÃÆÇÑÍÎÓÔÕØŒÚÛŠŽ“”„‘’‚–—…•€£§°©®™«»·\xa0"
)
_MOST_FOREIGN = 0.1
_MOST_ACCENTED = 0.25
_FEWEST_RIGHT = 4
"""Characters beyond ASCII for each wrong byte in what is still taken for UTF-8."""


def text_of_file(path: Path) -> str:
    """The text of a file; raises `BadInput` for what is none, or is too long."""
    if path.stat().st_size > MAX_TEXT_BYTES:
        raise BadInput(f"Texts of more than {MAX_TEXT_BYTES // 1024**2} MB cannot be read.")
    return text_of(path.read_bytes())


def text_of(data: bytes) -> str:
    """The text that the bytes say; raises `BadInput` if they say none."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _checked(data.decode(encoding, "replace"))
    if not seems_text(data):
        raise BadInput("It is no text: it holds bytes that no text has.")
    return _checked(decoded(data))


def decoded(data: bytes, named: str | None = None) -> str:
    """Decode text without a mark: as UTF-8 if it is, else as it is named, else as it seems."""
    first = named if named and _may_look_like_utf_8(data, named) else None
    for encoding in filter(None, (first, "utf-8")):
        with contextlib.suppress(UnicodeError, LookupError, ValueError):
            return data.decode(encoding)
    if (hurt := _hurt_utf_8(data)) is not None:
        return hurt
    if named:
        with contextlib.suppress(UnicodeError, LookupError, ValueError):
            return data.decode(named)
    western = data.decode(_WESTERN, "replace")
    if _seems_western(western):
        return western
    best = from_bytes(data[:_SAMPLE_BYTES], cp_isolation=_OTHERS).best()
    with contextlib.suppress(UnicodeError):
        return data.decode(best.encoding) if best is not None else western
    return western


def _may_look_like_utf_8(data: bytes, named: str) -> bool:
    """Whether text in the encoding of that name can be UTF-8 by its bytes, and be garbled so."""
    named = named.lower()
    if named.startswith(("utf-16", "utf-32", "utf16", "utf32")):  # is told of much that is not
        return b"\x00" in data
    return named.startswith(("iso-2022", "hz", "utf-7"))


def _hurt_utf_8(data: bytes) -> str | None:
    """What is UTF-8 but for a byte here and there, or was cut within a character."""
    text = data.decode("utf-8", "replace")
    wrong = text.count("\ufffd")
    beyond = sum(not char.isascii() for char in text) - wrong
    return text if wrong * _FEWEST_RIGHT <= beyond else None


def _seems_western(text: str) -> bool:
    """Whether what is not ASCII are the accents and marks of Western Europe, here and there."""
    letters = sum(char.isalpha() for char in text)
    beyond = [char for char in text if not char.isascii()]
    foreign = sum(char not in _WESTERN_CHARACTERS for char in beyond)
    return foreign <= len(beyond) * _MOST_FOREIGN and len(beyond) <= letters * _MOST_ACCENTED + 5


def _checked(text: str) -> str:
    wrong = text.count("\ufffd") + text.count("\x00")
    if wrong > len(text) * 0.05:
        raise BadInput("It is no text: it holds bytes that no text has.")
    return text
