"""Text nobody sees goes when a page was read again; what is seen, and what is good, stays."""

import io
import struct
import zlib
from pathlib import Path

import pikepdf
import pypdfium2 as pdfium
import pytest
from pikepdf import Array, Dictionary, Name

from bench.placed_pages import placed_pages
from schema.failures import BadInput
from schema.files import PDF, PNG
from tasks.publishing.assembling import assemble
from tasks.publishing.workshop import Job, Result, Workshop

SCAN = next(page for page in placed_pages() if page.name == "MediaBox off the origin")
BEGIN = b"BT /F1 12 Tf 30 500 Td "
UNSEEN = BEGIN + b"3 Tr (Wrong) Tj ET\n"
DRAWN = BEGIN + b"(Wrong) Tj ET\n"


def scan_with(*, under: bytes = b"", over: bytes = b"", in_a_form: bool = False) -> bytes:
    """The scan with text drawn before its picture and after it, there perhaps in a form."""
    with pikepdf.Pdf.open(io.BytesIO(SCAN.content)) as pdf:
        page = pdf.pages[0]
        font = Dictionary(Type=Name.Font, Subtype=Name.Type1, BaseFont=Name.Helvetica)
        page.add_resource(font, Name.Font, Name.F1)
        if in_a_form:
            form = pdf.make_stream(
                over,
                Type=Name.XObject,
                Subtype=Name.Form,
                BBox=Array([0, 0, 612, 1042]),
                Resources=Dictionary(Font=Dictionary(F1=font)),
            )
            over = f"q {page.add_resource(form, Name.XObject)} Do Q".encode()
        page.contents_add(under, prepend=True)
        page.contents_add(over)
        packed = io.BytesIO()
        pdf.save(packed)
    return packed.getvalue()


def text_of(pdf: Path) -> str:
    return pdfium.PdfDocument(pdf)[0].get_textpage().get_text_bounded()


@pytest.mark.parametrize(
    "content",
    [
        scan_with(over=UNSEEN),
        scan_with(over=UNSEEN, in_a_form=True),
        scan_with(under=DRAWN),
    ],
    ids=["render mode 3", "render mode 3 in a form", "painted over"],
)
def test_a_text_layer_that_was_not_believed_is_gone(content: bytes, tmp_path: Path) -> None:
    original, output = tmp_path / "original", tmp_path / "searchable.pdf"
    original.write_bytes(content)
    assert "Wrong" in text_of(original)
    assemble(original, PDF, [1], lambda _: SCAN.words, output)
    assert "Wrong" not in text_of(output)
    assert "SUPERIOR" in text_of(output)


def test_text_that_is_seen_stays_on_a_page_that_was_read_again(tmp_path: Path) -> None:
    original, output = tmp_path / "original", tmp_path / "searchable.pdf"
    original.write_bytes(scan_with(over=BEGIN + b"(Exhibit A) Tj ET\n"))
    assemble(original, PDF, [1], lambda _: SCAN.words, output)
    assert "Exhibit A" in text_of(output)


def test_pages_with_a_good_text_layer_keep_every_byte_of_their_content(tmp_path: Path) -> None:
    original, output = tmp_path / "original", tmp_path / "searchable.pdf"
    with pikepdf.Pdf.open(io.BytesIO(scan_with(over=UNSEEN))) as pdf:
        pdf.pages.append(pdf.pages[0])
        pdf.save(original)
    made = assemble(original, PDF, [2], lambda _: SCAN.words, output)
    assert (made.pages, made.layered) == (2, 1)
    with pikepdf.Pdf.open(original) as before, pikepdf.Pdf.open(output) as after:
        assert streams(after.pages[0]) == streams(before.pages[0])
        assert streams(after.pages[1]) != streams(before.pages[1])


def streams(page: pikepdf.Page) -> list[bytes]:
    contents = page.obj.Contents
    return [
        stream.read_bytes()
        for stream in (list(contents.as_list()) if isinstance(contents, Array) else [contents])
    ]


async def test_hostile_files_cost_themselves_and_nobody_else(tmp_path: Path) -> None:
    """In a workshop: a good one, one that is no PDF, a bomb, a good one."""

    def folder(name: str, content: bytes) -> Path:
        (tmp_path / name / "words").mkdir(parents=True)
        (tmp_path / name / "original").write_bytes(content)
        return tmp_path / name

    born = scan_with(over=DRAWN)
    async with Workshop() as workshop:
        made = await workshop.make(folder("born", born), Job(media_type=PDF, read_pages=[]))
        assert made == Result(unchanged=True, pages=1, layered=0, pdfa=made.pdfa)
        assert (tmp_path / "born" / "searchable.pdf").read_bytes() == born
        with pytest.raises(BadInput, match="damaged"):
            await workshop.make(folder("none", b"%PDF-1.7"), Job(media_type=PDF, read_pages=[]))
        with pytest.raises(BadInput, match="more memory"):
            await workshop.make(folder("bomb", png_bomb()), Job(media_type=PNG, read_pages=[1]))
        again = await workshop.make(folder("again", born), Job(media_type=PDF, read_pages=[1]))
        assert (again.unchanged, again.layered) == (False, 0)  # no words lie in its folder


def png_bomb() -> bytes:
    """A few bytes that say they are 1.6 billion pixels with transparency."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 6, 0, 0, 0)
    pixels = zlib.compress(bytes(100_000))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        chunk(*one) for one in ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b""))
    )
