"""ZIP archives: what lies in them, taken out within bounds; and Office files told from them."""

import lzma
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from schema.failures import BadInput
from tasks.formats.members import TOO_DEEP, Unpacking, is_left_out

CHUNK_BYTES = 1 << 18

MAX_ENTRIES = 20_000
"""Of a ZIP, folders included; with more it is no container of documents."""

DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    ValueError,
    RuntimeError,
)
"""What `zipfile` raises for an archive that is damaged or strange."""

_ENCRYPTED, _UTF8 = 0x1, 0x800
_KNOWN_METHODS = frozenset(
    {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA}
)
PROTECTED = "It is protected by a password. Unpack it and add the file."


def unpack(path: Path, out: Unpacking) -> None:
    """Take the files out of a ZIP; raises `BadInput` if there is none that could be."""
    if out.is_too_deep:
        raise BadInput(TOO_DEEP)
    with open_zip(path) as archive:
        if len(archive.infolist()) > MAX_ENTRIES:
            raise BadInput(f"The ZIP holds more than {MAX_ENTRIES:,} files. Add it in parts.")
        for info in archive.infolist():
            name = _name_of(info)
            if info.is_dir() or name.endswith("\\") or is_left_out(name):
                continue
            _take(archive, info, name, out)
    _check_any(out)


def open_zip(path: Path) -> zipfile.ZipFile:
    """The archive; raises `BadInput` if it is damaged."""
    try:
        return zipfile.ZipFile(path)
    except DAMAGE as error:
        raise BadInput("The ZIP is damaged or cut off and cannot be opened.") from error


def _check_any(out: Unpacking) -> None:
    if not out.members:
        raise BadInput("The ZIP holds no files.")
    refusals = [member.refused for member in out.members]
    if all(refusals):
        if set(refusals) == {PROTECTED}:
            raise BadInput("The ZIP is protected by a password. Unpack it and add the files.")
        raise BadInput(f"None of the files in the ZIP can be taken: {refusals[0]}")


def _take(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str, out: Unpacking) -> None:
    if info.flag_bits & _ENCRYPTED:
        return out.refuse(name, PROTECTED, size_bytes=info.file_size)
    if info.compress_type not in _KNOWN_METHODS:
        return out.refuse(
            name,
            "It is packed in a way that cannot be read. Unpack it and add the file.",
            size_bytes=info.file_size,
        )
    try:
        out.take(name, chunks_of(archive, info), packed_bytes=info.compress_size)
    except DAMAGE:
        out.refuse(name, "It is damaged in the ZIP.", size_bytes=info.file_size)
    return None


def chunks_of(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    """The bytes of a member, as they are unpacked; raises one of `DAMAGE`."""
    if info.header_offset < 0:  # bytes are missing before it
        raise zipfile.BadZipFile("a member begins before the archive")
    with archive.open(info) as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def _name_of(info: zipfile.ZipInfo) -> str:
    """The name as it was meant: many programs write UTF-8 and do not say so."""
    if info.flag_bits & _UTF8:
        return info.filename
    try:
        return info.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return info.filename


_OFFICE = (
    (re.compile(r"word/document\d*\.xml"), "word"),
    (re.compile(r"xl/workbook\.(xml|bin)"), "Excel workbooks (.xlsx)"),
    (re.compile(r"ppt/presentation\.xml"), "PowerPoint files (.pptx)"),
    (re.compile(r"visio/document\.xml"), "Visio drawings (.vsdx)"),
    (re.compile(r".*\.fdseq", re.IGNORECASE), "XPS files (.xps)"),
    (re.compile(r"\[Content_Types\]\.xml"), "Files of this kind of Microsoft's"),
)
_APPLE = re.compile(r"Index(?:/.*\.iwa|\.zip)")
_NAMED_KINDS = {
    "application/vnd.oasis.opendocument.text": "OpenDocument texts (.odt)",
    "application/vnd.oasis.opendocument.spreadsheet": "OpenDocument spreadsheets (.ods)",
    "application/vnd.oasis.opendocument.presentation": "OpenDocument presentations (.odp)",
    "application/epub+zip": "E-books (.epub)",
}

_KIND = re.compile(r"[\w.+-]+/[\w.+-]+", re.ASCII)
_LONGEST_KIND = 100


def office_kind(path: Path) -> str | None:
    """`word` for a Word document, a plural for another program's files, None for a ZIP."""
    with open_zip(path) as archive:
        names = archive.namelist()
        kind = _named_kind(archive) if "mimetype" in names else ""
    if kind and (kind in _NAMED_KINDS or names[0] == "mimetype"):
        return _NAMED_KINDS.get(kind, f"Files of the kind {kind}")
    if "[Content_Types].xml" in names:
        return next(
            kind for pattern, kind in _OFFICE if any(pattern.fullmatch(name) for name in names)
        )
    if any(_APPLE.fullmatch(name) for name in names):
        return "Pages, Numbers and Keynote files"
    return None


def _named_kind(archive: zipfile.ZipFile) -> str:
    """What the archive says it is; empty if that is no kind."""
    try:
        with archive.open("mimetype") as file:
            kind = file.read(_LONGEST_KIND).decode("ascii", "replace").strip()
    except DAMAGE:
        return ""
    return kind if _KIND.fullmatch(kind) else ""
