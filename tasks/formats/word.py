"""Word documents (DOCX): their text in the order it is read, pages as their author parted them.

Headers and footers stand once, before and after the text; footnotes and endnotes at the end,
under their numbers. What was deleted while changes were tracked is gone, what was inserted
is there. Pictures, comments and the numbers that Word itself puts before paragraphs are not
read.
"""

import io
import re
import zipfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from docx.opc.exceptions import PackageNotFoundError
from docx.opc.part import Part, XmlPart
from docx.opc.rel import Relationships
from docx.oxml.ns import qn
from docx.oxml.parser import parse_xml
from docx.package import Package
from lxml.etree import ElementBase, LxmlError

from schema.failures import BadInput
from tasks.formats.archive import DAMAGE, chunks_of, open_zip

MAX_XML_BYTES = 32 * 1024**2
"""Of all parts that hold text, unpacked: some thousand pages. Parsed they take ten times that."""

MAX_PARTS = 2000
DAMAGED = "The Word document is damaged and cannot be opened."

_TEXT_PARTS = re.compile(r".*\.(?:xml|rels)", re.IGNORECASE)
_PARAGRAPH, _TABLE, _ROW, _CELL = qn("w:p"), qn("w:tbl"), qn("w:tr"), qn("w:tc")
_TEXT, _TAB, _BREAK, _RETURN = qn("w:t"), qn("w:tab"), qn("w:br"), qn("w:cr")
_HYPHEN, _TYPE, _ID, _VALUE = qn("w:noBreakHyphen"), qn("w:type"), qn("w:id"), qn("w:val")
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
        for info in infos:
            part = io.BytesIO()
            for chunk in chunks_of(archive, info) if _TEXT_PARTS.fullmatch(info.filename) else ():
                size += len(chunk)
                if size > MAX_XML_BYTES:
                    raise BadInput(
                        "The Word document unpacks to more text than can be read; save it as PDF."
                    )
                part.write(chunk)
            out.writestr(info.filename, part.getvalue())
    slim.seek(0)
    return slim


def _tree_of(part: Part) -> ElementBase:
    return part.element if isinstance(part, XmlPart) else parse_xml(part.blob)


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
        if child.tag == _TEXT:
            yield child.text or ""
        elif child.tag == _TAB:
            yield "\t"
        elif child.tag == _BREAK:
            yield "\f" if child.get(_TYPE) == "page" else "\n"
        elif child.tag == _RETURN:
            yield "\n"
        elif child.tag == _HYPHEN:
            yield "-"
        elif child.tag in _NOTE_MARKS:
            yield f"[{_NOTE_MARKS[child.tag]}{child.get(_ID)}]"
        elif child.tag == _PARAGRAPH:  # in a text box
            yield f"{_paragraph(child)}\n"
        else:
            yield from _pieces(child)
