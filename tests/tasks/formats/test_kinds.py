"""What a file is, by its bytes alone."""

import io
import zipfile
from pathlib import Path

import pytest

from schema.failures import BadInput
from schema.files import DOCX, EML, ENDINGS, HTML, JPEG, MSG, PDF, PNG, TXT, ZIP, media_type_of
from tasks.formats.kinds import kind_of
from tests.tasks.formats.compound import compound_file, message


def packed(**members: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/"), content)
    return out.getvalue()


WORD = packed(**{"[Content_Types].xml": "<x/>", "word/document.xml": "<x/>"})
MAIL = b"From: ann@example.org\r\nTo: bob@example.org\r\nMIME-Version: 1.0\r\n\r\nDear Bob\r\n"


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"%PDF-1.7\n", PDF),
        (b"some bytes before\r\n%PDF-1.4\n", PDF),
        (b"<br />\n<b>Warning</b>: in a program\n%PDF-1.4\n", PDF),
        (b"junk%PDF-1.4\n", PDF),
        (b"\x00\x01 of another system %PDF-1.4\n", PDF),
        (b"Files that begin with %PDF-1.4 are PDFs.", TXT),
        (b"<html><p>%PDF-1.4 begins a PDF.", HTML),
        (MAIL + b"\r\n%PDF-1.4\r\n", EML),
        (b"\xff\xd8\xff\xe0", JPEG),
        (b"\x89PNG\r\n\x1a\n", PNG),
        (WORD, DOCX),
        (packed(**{"a.pdf": "%PDF-1.7"}), ZIP),
        (packed(mimetype="of a person's, who may call a file so"), ZIP),
        (message(body="Dear Bob"), MSG),
        (MAIL, EML),
        (b"From ann@example.org Mon Mar  4 09:30:00 2024\n" + MAIL, EML),
        (b"\xef\xbb\xbf\r\n\r\n" + MAIL, EML),
        (MAIL.decode().encode("utf-16"), EML),
        (b"\xef\xbb\xbfTo: " + b"bob@example.org,\n " * 200 + b"x\n" + MAIL, EML),
        (b"Received: from a\n\tby b\nSubject: x\n\n", EML),
        (b"To: " + b"bob@example.org,\n " * 200 + b"x\n" + MAIL, EML),
        (b"To: Bob\nFrom: Ann\nDate: March 4\nSubject: the lease\n\nBob,\n", TXT),
        (b"Dear Bob,\n\nplease: sign.", TXT),
        ("Sehr geehrte Frau Müller,".encode("cp1252"), TXT),
        ("Sehr geehrte Frau Müller,".encode("utf-16"), TXT),
        (b"\xef\xbb\xbfDear Bob", TXT),
        (b"<!DOCTYPE html><html></html>", HTML),
        (b"\xef\xbb\xbf\n<!-- saved -->\n<HTML lang=en>", HTML),
        (b'<?xml version="1.0"?>\n<html xmlns="x">', HTML),
        (b'<?xml version="1.0"?>\n<?xml-stylesheet href="a.css"?>\n<!-- x -->\n<html>', HTML),
        (b"<div class='letter'><p>Dear Bob</p></div>", HTML),
        (b"<p>Dear Bob</p>", HTML),
        (b"\n<TABLE>", HTML),
        ("<html>".encode("utf-16"), HTML),
        (b"<a.smith@example.org> wrote:", TXT),
        (b"<letter>no page of HTML</letter>", TXT),
    ],
)
def test_a_file_is_what_its_bytes_are(tmp_path: Path, content: bytes, media_type: str) -> None:
    (tmp_path / "file.pdf").write_bytes(content)
    assert kind_of(tmp_path / "file.pdf") == media_type
    assert media_type in ENDINGS


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"MZ\x90\x00\x03", "none of them"),
        (bytes(range(256)), "none of them"),
        (b"GIF89a\x01\x00\x01\x00", "none of them"),
        (b"{\\rtf1 Dear Bob}", "RTF files cannot be read: save as DOCX or PDF"),
        (b"Rar!\x1a\x07", "RAR archives"),
        (compound_file({"WordDocument": b"x"}), "Word 97 files .* save as DOCX or PDF"),
        (compound_file({"Workbook": b"x"}), "Excel workbooks"),
        (compound_file({"EncryptedPackage": b"x"}), "protected by a password"),
        (compound_file({"anything": b"x"}), "old program"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"x" * 600, "damaged"),
        (b"PK\x03\x04 and then nothing", "ZIP is damaged or cut off"),
        (packed(**{"[Content_Types].xml": "", "xl/workbook.xml": ""}), "Excel workbooks"),
        (packed(**{"[Content_Types].xml": "", "visio/document.xml": ""}), "Visio drawings"),
        (packed(**{"[Content_Types].xml": "", "FixedDocSeq.fdseq": ""}), "XPS files"),
        (packed(**{"[Content_Types].xml": "", "a.psmdcp": ""}), "this kind of Microsoft's"),
        (packed(**{"Index/Document.iwa": ""}), "Pages, Numbers and Keynote files"),
        (packed(mimetype="application/vnd.oasis.opendocument.graphics"), "opendocument.graphics"),
        (packed(mimetype="application/vnd.oasis.opendocument.text"), r"OpenDocument texts"),
    ],
)
def test_what_cannot_be_read_says_why(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(BadInput, match=reason):
        kind_of(tmp_path / "file")


def test_the_first_kilobyte_is_all_the_gateway_looks_at() -> None:
    assert media_type_of(MAIL.ljust(1024) + b"\x00") == EML
    assert media_type_of(b"x" * 2000 + b"\x00") == TXT
