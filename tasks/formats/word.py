"""Word documents (DOCX): their text in the order it is read, pages as their author parted them.

Headers and footers stand once, before and after the text; footnotes and endnotes at the end,
under their numbers. What was deleted while changes were tracked is gone, what was inserted
is there. Boxes of forms are ☒ or ☐. Pictures, comments and the numbers that Word itself puts
before paragraphs are not read.
"""

import io
import posixpath
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path

from docx.opc.exceptions import PackageNotFoundError
from docx.opc.part import Part, XmlPart
from docx.opc.rel import Relationships
from docx.oxml.ns import qn
from docx.oxml.parser import parse_xml
from docx.package import Package
from lxml.etree import (
    Comment,
    ElementBase,
    LxmlError,
    ProcessingInstruction,
    SubElement,
    strip_tags,
    tostring,
)

from schema.failures import BadInput
from tasks.formats.archive import DAMAGE, chunks_of, open_zip
from tasks.formats.web import text_of_html_bytes

MAX_XML_BYTES = 32 * 1024**2
"""Of all parts that hold text, unpacked: some thousand pages. Parsed they take ten times that."""

MAX_PARTS = 2000
DAMAGED = "The Word document is damaged and cannot be opened."

_TEXT_PARTS = re.compile(r".*\.(?:xml|rels|x?html?)", re.IGNORECASE)
_HTML_PART = re.compile(r".*\.x?html?", re.IGNORECASE)
_STRICT = {
    b"http://purl.oclc.org/ooxml/wordprocessingml/main": (
        b"http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    ),
    b"http://purl.oclc.org/ooxml/officeDocument/relationships": (
        b"http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    ),
}
"""What the strict form of the format calls what python-docx knows by its usual name."""
_PARAGRAPH, _TABLE, _ROW, _CELL = qn("w:p"), qn("w:tbl"), qn("w:tr"), qn("w:tc")
_TEXT, _FOREIGN = qn("w:t"), qn("w:altChunk")
_CHECKED, _UNCHECKED = "☒", "☐"
_SYMBOLS = {
    "Wingdings": {
        **dict.fromkeys((0x78, 0xFD, 0xFE), _CHECKED),
        **dict.fromkeys((0x6F, 0x71, 0x72, 0xA8), _UNCHECKED),
        0xFB: "✗",
        0xFC: "✓",
    },
    "Wingdings 2": {
        **dict.fromkeys((0x51, 0x52, 0x53, 0x54), _CHECKED),
        0xA3: _UNCHECKED,
        0x4F: "✗",
        0x50: "✓",
    },
}
"""What fonts of symbols show for a number: the marks of forms."""
_PRIVATE = range(0xF000, 0xF100)
"""Where Word has the characters of such fonts."""

_NO_XML = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TYPE, _ID, _VALUE = qn("w:type"), qn("w:id"), qn("w:val")
_SECTION, _GOES_ON = qn("w:sectPr"), "aseagi-goes-on"
_LOOKS = ("w:rPr", "w:pPr", "w:sectPr", "w:tblPr", "w:tblGrid", "w:tcPr", "w:trPr", "w:sdtPr")
_NOT_READ = frozenset(
    {
        *map(qn, (*_LOOKS, "w:del", "w:moveFrom", "w:instrText", "w:delText")),
        # What older programs are shown instead of what stands beside it.
        "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback",
    }
)
_NOTE_MARKS = {qn("w:footnoteReference"): "", qn("w:endnoteReference"): "e"}
_NOTES = {"footnotes": ("w:footnote", ""), "endnotes": ("w:endnote", "e")}


def text_of_word(path: Path) -> str:
    """The document's text, pages parted by form feeds; raises `BadInput` if it is damaged."""
    try:
        main = Package.open(_without_pictures(path)).main_document_part
        tree, related = _tree_of(main), main.rels
        _mark_continuous_sections(tree)
        parts = [
            *_around("header", related),
            "\n".join(_blocks(tree)),
            *_notes(related),
            *_around("footer", related),
        ]
    except RecursionError as error:
        raise BadInput("The Word document is nested too deeply to be read.") from error
    except (*DAMAGE, KeyError, AttributeError, TypeError, IndexError) as error:
        raise BadInput(DAMAGED) from error
    except (LxmlError, PackageNotFoundError) as error:
        raise BadInput(DAMAGED) from error
    return "\n\n".join(filter(None, parts))


def _without_pictures(path: Path) -> io.BytesIO:
    """The document with nothing but its text: python-docx would hold the rest in memory.

    Every part is counted while it is unpacked, whatever the file says of its size.
    """
    slim, size = io.BytesIO(), 0
    with open_zip(path) as archive, zipfile.ZipFile(slim, "w") as out:
        infos = archive.infolist()
        if len(infos) > MAX_PARTS:
            raise BadInput(DAMAGED)
        names = {info.filename.lower(): info.filename for info in infos}
        for info in infos:
            part = io.BytesIO()
            for chunk in chunks_of(archive, info) if _TEXT_PARTS.fullmatch(info.filename) else ():
                size += len(chunk)
                if size > MAX_XML_BYTES:
                    raise BadInput(
                        "The Word document unpacks to more text than can be read; save it as PDF."
                    )
                part.write(chunk)
            content = part.getvalue()
            for strict, usual in _STRICT.items():
                content = content.replace(strict, usual)
            if info.filename.endswith(".rels"):
                content = _without_dead_ends(content, info.filename, names)
            out.writestr(info.filename, content)
    slim.seek(0)
    return slim


def _without_dead_ends(relations: bytes, name: str, names: Mapping[str, str]) -> bytes:
    """Relations to parts that are there: python-docx opens no document with others.

    Programs write them for pictures that are gone. Pictures are not read anyway.
    """
    folder = posixpath.dirname(posixpath.dirname(name))
    tree = parse_xml(relations)
    for relation in tree.xpath("//*[@Target][not(@TargetMode='External')]"):
        target = posixpath.normpath(posixpath.join("/", folder, relation.get("Target")))
        found = names.get(target.lstrip("/").lower())
        if found is None or relation.get("Type", "").endswith("/image"):
            relation.getparent().remove(relation)
        else:
            relation.set("Target", f"/{found}")
    return tostring(tree)


def _tree_of(part: Part) -> ElementBase:
    tree = part.element if isinstance(part, XmlPart) else parse_xml(part.blob)
    strip_tags(tree, Comment, ProcessingInstruction)
    for chunk in tuple(tree.iter(_FOREIGN)):
        _read_in(chunk, part.rels)
    return tree


def _read_in(chunk: ElementBase, related: Relationships) -> None:
    """Make a paragraph of what was put into the document as it was, in a format of its own."""
    relation = related.get(chunk.get(qn("r:id"), ""))
    part = relation.target_part if relation is not None and not relation.is_external else None
    if part is not None and _HTML_PART.fullmatch(part.partname):
        text = text_of_html_bytes(part.blob)
    else:
        name = posixpath.basename(part.partname) if part is not None else "missing"
        text = f"[Not read: a part in another format, {name}]"
    chunk.tag = _PARAGRAPH
    SubElement(chunk, _TEXT).text = _NO_XML.sub("", text)


def _mark_continuous_sections(tree: ElementBase) -> None:
    """Mark sections that end within a page: how one begins, its own properties say."""
    for section, following in pairwise(tree.iter(_SECTION)):
        kind = following.find(_TYPE)
        if kind is not None and kind.get(_VALUE) == "continuous":
            section.set(_GOES_ON, "1")


def _around(kind: str, related: Relationships) -> list[str]:
    """What stands above or below the pages, each once."""
    texts = ("\n".join(_blocks(element)).strip() for element in _of_kind(kind, related))
    return list(dict.fromkeys(text for text in texts if text))


def _of_kind(kind: str, related: Relationships) -> Iterator[ElementBase]:
    for relation in related.values():
        if relation.reltype.endswith(f"/{kind}") and not relation.is_external:
            yield _tree_of(relation.target_part)


def _notes(related: Relationships) -> Iterator[str]:
    for kind, (tag, mark) in _NOTES.items():
        for element in _of_kind(kind, related):
            for note in element.iterchildren(qn(tag)):
                text = "\n".join(_blocks(note)).strip()
                if text and note.get(_TYPE) in {None, "normal"}:
                    yield f"[{mark}{note.get(_ID)}] {text}"


def _blocks(container: ElementBase) -> Iterator[str]:
    """Paragraphs and tables in order, those in content controls and insertions too."""
    for child in container.iterchildren("*"):
        if child.tag in _NOT_READ:
            continue
        if child.tag == _PARAGRAPH:
            yield _paragraph(child)
        elif child.tag == _TABLE:
            yield from _rows(child)
            yield ""
        else:
            yield from _blocks(child)


def _rows(table: ElementBase) -> Iterator[str]:
    """A line for each row, its cells parted by tabs."""
    for child in table.iterchildren("*"):
        if child.tag == _ROW:
            yield "\t".join(_cells(child)).rstrip()
        elif child.tag not in _NOT_READ:
            yield from _rows(child)


def _cells(row: ElementBase) -> Iterator[str]:
    for child in row.iterchildren("*"):
        if child.tag == _CELL:
            text = "\n".join(_blocks(child)).strip()
            yield re.sub(r"\s*[\n\f]\s*", " / ", text)
        elif child.tag not in _NOT_READ:
            yield from _cells(child)


def _paragraph(paragraph: ElementBase) -> str:
    text = "".join(_pieces(paragraph)).strip(" ")
    before = paragraph.find(f"{qn('w:pPr')}/{qn('w:pageBreakBefore')}")
    if before is not None and before.get(_VALUE) not in {"0", "false", "off"}:
        text = f"\f{text}"
    section = paragraph.find(f"{qn('w:pPr')}/{_SECTION}")
    if section is not None and section.get(_GOES_ON) is None:
        text = f"{text}\f"
    return text


def _pieces(element: ElementBase) -> Iterator[str]:
    for child in element.iterchildren("*"):
        if child.tag in _NOT_READ:
            continue
        if (read := _READ.get(child.tag)) is not None:
            yield read(child)
        else:
            yield from _pieces(child)


def _break(element: ElementBase) -> str:
    return "\f" if element.get(_TYPE) == "page" else "\n"


def _note_mark(reference: ElementBase) -> str:
    return f"[{_NOTE_MARKS[reference.tag]}{reference.get(_ID)}]"


def _text_box(box: ElementBase) -> str:
    return "\n".join(("", *_blocks(box), ""))


def _check_box(box: ElementBase) -> str:
    for name in ("w:checked", "w:default"):
        if (found := box.find(qn(name))) is not None:
            return _UNCHECKED if found.get(_VALUE) in {"0", "false", "off"} else _CHECKED
    return _UNCHECKED


def _selected(box: ElementBase) -> str:
    """The entry of a list that was selected; the first if none was."""
    entries = [entry.get(_VALUE, "") for entry in box.iterchildren(qn("w:listEntry"))]
    for name in ("w:result", "w:default"):
        if (found := box.find(qn(name))) is not None:
            number = int(found.get(_VALUE, "0"))
            return entries[number] if 0 <= number < len(entries) else ""
    return next(iter(entries), "")


def _symbol(symbol: ElementBase) -> str:
    """A character of a font, as the one that looks so in all fonts."""
    number = int(symbol.get(qn("w:char"), "0"), 16)
    marks = _SYMBOLS.get(symbol.get(qn("w:font"), ""))
    if marks is not None:
        return marks.get(number & 0xFF, "")
    return "" if number in _PRIVATE else chr(number)


_READ: dict[str, Callable[[ElementBase], str]] = {
    _TEXT: lambda text: text.text or "",
    **dict.fromkeys((qn("w:tab"), qn("w:ptab")), lambda _: "\t"),
    qn("w:br"): _break,
    qn("w:cr"): lambda _: "\n",
    qn("w:noBreakHyphen"): lambda _: "-",
    **dict.fromkeys(_NOTE_MARKS, _note_mark),
    qn("w:txbxContent"): _text_box,
    qn("w:checkBox"): _check_box,
    qn("w:ddList"): _selected,
    qn("w:sym"): _symbol,
}
"""How what may lie in a paragraph is read; of anything else, what lies in that."""
