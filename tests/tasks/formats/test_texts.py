"""Plain text, HTML and Word documents: what a reader sees of them, and their pages."""

import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import docx
import pytest
from docx.enum.section import WD_SECTION
from docx.enum.text import WD_BREAK
from docx.oxml.ns import qn
from docx.oxml.parser import parse_xml
from hypothesis import given
from hypothesis import strategies as st

from schema.failures import BadInput
from tasks.formats import paging, word
from tasks.formats.paging import pages_of
from tasks.formats.plain import decoded, text_of
from tasks.formats.web import text_of_html, text_of_html_file
from tasks.formats.word import text_of_word

# Pages

TEXTS = st.text(st.sampled_from("ab .\n\f\u3002\u00e4"), max_size=400)


@given(TEXTS, st.integers(2, 40))
def test_pages_hold_all_of_a_text_in_order_and_none_is_blank_or_too_long(
    text: str, size: int
) -> None:
    pages = pages_of(text, size=size)
    assert "".join("".join(pages).split()) == "".join(text.split())
    assert all(page.strip() and len(page) <= size and "\f" not in page for page in pages)


def test_a_page_ends_where_a_paragraph_does_else_a_line_a_sentence_a_word() -> None:
    size = 40
    assert pages_of("First paragraph of it.\n\nSecond one.\nMore.", size=size) == (
        "First paragraph of it.",
        "Second one.\nMore.",
    )
    assert pages_of("One line that goes on\nand another that does", size=size)[0].endswith("on")
    assert pages_of("It ends somewhere here. Then more follows it", size=size)[0].endswith("here.")
    assert pages_of("no end of a sentence anywhere in these words", size=size)[0].endswith("these")
    assert [len(page) for page in pages_of("x" * 90, size=size)] == [40, 40, 10]


def test_form_feeds_part_pages_and_what_postgres_cannot_keep_is_gone() -> None:
    assert pages_of("one\r\n\ftwo\x00\f\f \n\fthree\ud800") == ("one", "two", "three?")


def test_a_text_of_too_many_pages_is_refused() -> None:
    with pytest.raises(BadInput, match="more text than 5,000 pages"):
        pages_of("x\f" * (paging.MAX_PAGES + 1))


# Plain text


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Die Prüfung läuft bis März – §\xa05.", "cp1252"),
        ("Die Prüfung läuft", "utf-8"),
        ("Die Prüfung läuft", "utf-8-sig"),
        ("Die Prüfung läuft", "utf-16"),
        ("Zażółć gęślą jaźń. Umowa została zawarta między stronami w Łodzi " * 3, "cp1250"),
        ("Договор заключён между сторонами и будет расторгнут в конце года", "cp1251"),
    ],
)
def test_text_is_read_in_the_encoding_it_is_in(text: str, encoding: str) -> None:
    assert text_of(text.encode(encoding)) == text


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("契約書を送ります。", "iso-2022-jp"),
        ("合同", "hz"),
        ("Grüße", "utf-7"),
        ("Grüße", "utf-16-le"),
    ],
)
def test_what_can_pass_for_utf_8_is_read_in_the_encoding_it_is_named(
    text: str, encoding: str
) -> None:
    assert decoded(text.encode(encoding), encoding) == text
    assert decoded("Grüße".encode(), encoding) == "Grüße"


def test_a_byte_that_is_wrong_or_missing_does_not_garble_the_rest() -> None:
    text = "Die Kündigung „fristlos“ – für 500 €"
    assert text_of(text.encode()[:-1]) == text[:-1] + "\ufffd"
    assert decoded(text.encode() + b"\xff", "cp1252") == text + "\ufffd"


@pytest.mark.parametrize(
    "data", [b"text\x00text", b"\x01\x02\x03text", b"\xff\xfe" + b"\x00\xd8" * 9]
)
def test_what_is_no_text_is_not_taken_for_it(data: bytes) -> None:
    with pytest.raises(BadInput, match="no text"):
        text_of(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_decoded_somehow(data: bytes) -> None:
    assert isinstance(decoded(data, "no-such-encoding"), str)


# HTML


def test_html_is_what_a_reader_sees_of_it() -> None:
    text = text_of_html(
        """<?xml version="1.0" encoding="utf-8"?><!doctype html><html><head><title>T</title>
        <style>p {color: red}</style></head><body><script>stolen()</script>
        <h1>Notice</h1><p hidden>one</p><p style="display:none">two</p><noscript>three</noscript>
        <p>To&nbsp;all <b>parties</b>:</p><iframe src="http://localhost/">four</iframe>
        <table><tr><td>Due</td><td>$5</td></tr></table><img src="http://localhost/x" alt="five">
        </body></html>"""
    )
    assert [line.split() for line in text.split("\n") if line] == [
        ["Notice"],
        ["To", "all", "parties:"],
        ["Due", "$5"],
    ]


@pytest.mark.parametrize("page", ["<!-- x -->", "<!DOCTYPE html>", "<?php x ?>", "<body hidden>x"])
def test_html_that_shows_nothing_is_no_text(page: str) -> None:
    assert text_of_html(page) == ""


def test_a_page_hidden_until_its_scripts_have_run_is_read() -> None:
    assert text_of_html("<html hidden><body>Dear Bob") == "Dear Bob"


def test_html_is_decoded_as_it_says(tmp_path: Path) -> None:
    page = '<html><head><meta charset="windows-1251"></head><body>Договор</body></html>'
    (tmp_path / "a").write_bytes(page.encode("cp1251"))
    assert text_of_html_file(tmp_path / "a") == "Договор"
    (tmp_path / "a").write_bytes("<html><body>Prüfung</body></html>".encode("utf-16"))
    assert text_of_html_file(tmp_path / "a") == "Prüfung"


def test_html_nested_without_end_is_refused_not_cut() -> None:
    with pytest.raises(BadInput, match="nested too deeply"):
        text_of_html("<div>" * 5000 + "the end")


# Word


def saved(document: Any, path: Path) -> Path:
    document.save(str(path / "a.docx"))
    return path / "a.docx"


def test_a_word_document_is_read_in_order_with_tables_notes_and_what_stands_around(
    tmp_path: Path,
) -> None:
    document = docx.Document()
    section = document.sections[0]
    section.header.paragraphs[0].text = "CONFIDENTIAL"
    section.footer.paragraphs[0].text = "Smith v. Jones"
    document.add_heading("Lease", 1)
    paragraph = document.add_paragraph("Rent is ")
    paragraph.add_run("$900")
    paragraph.add_run().add_break(WD_BREAK.LINE)
    paragraph.add_run("a month.\tDue on the first.")
    table = document.add_table(2, 2)
    for cell, text in zip((c for row in table.rows for c in row.cells), "abcd", strict=True):
        cell.text = text
    table.cell(0, 0).add_paragraph("more")
    document.add_paragraph("After the table.")
    assert text_of_word(saved(document, tmp_path)).split("\n") == [
        "CONFIDENTIAL",
        "",
        "Lease",
        "Rent is $900",
        "a month.\tDue on the first.",
        "a / more\tb",
        "c\td",
        "",
        "After the table.",
        "",
        "Smith v. Jones",
    ]


def test_breaks_that_an_author_made_part_pages(tmp_path: Path) -> None:
    document = docx.Document()
    document.add_paragraph("one")
    document.add_page_break()
    document.add_paragraph("two")
    document.add_section(WD_SECTION.NEW_PAGE)
    document.add_paragraph("three")
    document.add_section(WD_SECTION.CONTINUOUS)
    document.add_paragraph("still three")
    document.add_paragraph("four").paragraph_format.page_break_before = True
    pages = pages_of(text_of_word(saved(document, tmp_path)))
    assert pages == ("one", "two", "three\n\nstill three", "four")


WORD = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def test_what_was_deleted_is_gone_and_what_was_inserted_is_there(tmp_path: Path) -> None:
    document = docx.Document()
    body = document.element.find(qn("w:body"))
    assert body is not None
    body.insert(
        0,
        parse_xml(
            f"""<w:p {WORD}><w:r><w:t xml:space="preserve">Rent is </w:t></w:r>
            <w:del w:id="1"><w:r><w:delText>$900</w:delText></w:r></w:del>
            <w:moveFrom w:id="2"><w:r><w:t>gone</w:t></w:r></w:moveFrom>
            <w:ins w:id="3"><w:r><w:t>$950</w:t></w:r></w:ins>
            <w:hyperlink><w:r><w:t>!</w:t></w:r></w:hyperlink>
            <w:r><w:instrText>PAGE</w:instrText></w:r></w:p>"""
        ),
    )
    body.insert(
        1,
        parse_xml(
            f"""<w:sdt {WORD}><w:sdtPr/><w:sdtContent><w:p><w:r><w:t>In a form.</w:t></w:r></w:p>
            </w:sdtContent></w:sdt>"""
        ),
    )
    assert text_of_word(saved(document, tmp_path)) == "Rent is $950!\nIn a form."


def put_first(document: Any, markup: str) -> None:
    document.element.find(qn("w:body")).insert(0, parse_xml(markup))


BOX = "<w:checkBox><w:default w:val='{}'/>{}</w:checkBox>"
LIST = "<w:ddList>{}<w:listEntry w:val='guilty'/><w:listEntry w:val='not guilty'/></w:ddList>"
TEXT_BOX = "<w:pict><w:txbxContent><w:p><w:r><w:t>in</w:t></w:r></w:p></w:txbxContent></w:pict>"


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        (BOX.format(0, ""), "☐"),
        (BOX.format(1, ""), "☒"),
        (BOX.format(0, "<w:checked/>"), "☒"),
        (BOX.format(1, "<w:checked w:val='0'/>"), "☐"),
        (LIST.format("<w:result w:val='1'/>"), "not guilty"),
        (LIST.format("<w:result w:val='7'/>"), ""),
        (LIST.format(""), "guilty"),
        ("<w:sym w:font='Wingdings' w:char='F0FE'/>", "☒"),
        ("<w:sym w:font='Wingdings' w:char='00A8'/>", "☐"),
        ("<w:sym w:font='Wingdings 2' w:char='F052'/>", "☒"),
        ("<w:sym w:font='MS Gothic' w:char='2612'/>", "☒"),
        ("<w:sym w:font='Wingdings' w:char='F04A'/>", ""),
        ("<w:ptab w:alignment='right'/>", "\t"),
        (TEXT_BOX, "\nin\n"),
        ("<w:t>be<!-- a comment -->tween</w:t>", "between"),
    ],
)
def test_forms_and_boxes_in_a_paragraph_are_read(tmp_path: Path, markup: str, text: str) -> None:
    document = docx.Document()
    runs = f"<w:r><w:t>a</w:t></w:r><w:r>{markup}</w:r><w:r><w:t>z</w:t></w:r>"
    put_first(document, f"<w:p {WORD}>{runs}</w:p>")
    assert text_of_word(saved(document, tmp_path)) == f"a{text}z"


RELATIONSHIPS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def related(path: Path, kind: str, target: str) -> bytes:
    """The relations of a Word document's text, with one more."""
    with zipfile.ZipFile(path) as archive:
        relations = archive.read("word/_rels/document.xml.rels")
    one = f'<Relationship Id="rX" Type="{RELATIONSHIPS}/{kind}" Target="{target}"/>'
    return relations.replace(b"</Relationships>", f"{one}</Relationships>".encode())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.htm", "Dear Bob"),
        ("A.HTM", "Dear Bob"),
        ("a.mht", "[Not read: a part in another format, a.mht]"),
        ("a.png", "[Not read: a part in another format, missing]"),
    ],
)
def test_html_put_into_a_word_document_is_read_and_another_format_is_named(
    tmp_path: Path, name: str, text: str
) -> None:
    document = docx.Document()
    chunk = f'<w:altChunk {WORD} xmlns:r="{RELATIONSHIPS}" r:id="rX"/>'
    put_first(document, chunk)
    path = saved(document, tmp_path)
    with zipfile.ZipFile(path) as archive:
        types = archive.read("[Content_Types].xml")
    kinds = "".join(f'<Default Extension="{one}" ContentType="x/x"/>' for one in ("htm", "mht"))
    repacked(
        path,
        {
            "word/_rels/document.xml.rels": related(path, "aFChunk", name.lower()),
            "[Content_Types].xml": types.replace(b"</Types>", f"{kinds}</Types>".encode()),
            f"word/{name if name != 'a.png' else 'other'}": b"<p>Dear\x01 Bob</p>",
        },
    )
    assert text_of_word(path) == text


@pytest.mark.parametrize("target", ["NULL", "media/gone.png"])
def test_a_word_document_whose_pictures_are_gone_is_read(tmp_path: Path, target: str) -> None:
    document = docx.Document()
    document.add_paragraph("Dear Bob")
    path = saved(document, tmp_path)
    repacked(path, {"word/_rels/document.xml.rels": related(path, "image", target)})
    assert text_of_word(path) == "Dear Bob"


def test_a_word_document_in_the_strict_form_of_the_format_is_read(tmp_path: Path) -> None:
    document = docx.Document()
    document.add_paragraph("Dear Bob")
    document.sections[0].header.paragraphs[0].text = "CONFIDENTIAL"
    path = saved(document, tmp_path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    for usual, strict in (
        ("wordprocessingml/2006/main", "wordprocessingml/main"),
        ("officeDocument/2006/relationships", "officeDocument/relationships"),
    ):
        for name, content in parts.items():
            parts[name] = content.replace(
                f"http://schemas.openxmlformats.org/{usual}".encode(),
                f"http://purl.oclc.org/ooxml/{strict}".encode(),
            )
    repacked(path, parts)
    assert text_of_word(path) == "CONFIDENTIAL\n\nDear Bob"


def repacked(path: Path, changes: dict[str, bytes]) -> None:
    with zipfile.ZipFile(BytesIO(path.read_bytes())) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            new.writestr(name, changes.pop(name, old.read(name)))
        for name, content in changes.items():
            new.writestr(name, content)


def test_a_word_document_of_endless_text_or_broken_xml_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(docx.Document(), tmp_path)
    monkeypatch.setattr(word, "MAX_XML_BYTES", 1_000_000)
    repacked(path, {"word/media/photo.jpg": b"x" * 1_100_000})
    assert text_of_word(path) == ""
    repacked(path, {"word/endless.xml": b" " * 1_100_000})
    with pytest.raises(BadInput, match="more text than can be read"):
        text_of_word(path)
    path = saved(docx.Document(), tmp_path)
    repacked(path, {"word/document.xml": b"<w:document>"})
    with pytest.raises(BadInput, match="damaged"):
        text_of_word(path)
