"""PDFs: all that a page shows is its text, and what lies in the file comes out of it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pikepdf import Array, AttachedFileSpec, Dictionary, Name, Pdf, Stream, String

from schema.failures import BadInput
from tasks.inspected import Inspection, Room
from tasks.inspection import PDF_TAIL_BYTES, inspect

WORDS = "Petition for custody. Name of the petitioner and date of the hearing:"


def text(words: str, *, at: str = "50 700", size: int = 12) -> bytes:
    return f"BT /F {size} Tf {at} Td ({words}) Tj ET\n".encode()


def page_of(content: bytes) -> Pdf:
    pdf = Pdf.new()
    page = pdf.add_blank_page(page_size=(612, 792))
    font = Dictionary(Type=Name.Font, Subtype=Name.Type1, BaseFont=Name.Helvetica)
    page.Resources = Dictionary(Font=Dictionary(F=font))
    page.Contents = Stream(pdf, content)
    return pdf


def shown(pdf: Pdf, content: bytes) -> Stream:
    """What an annotation looks like."""
    look = Stream(pdf, content)
    look.stream_dict = Dictionary(
        Type=Name.XObject, Subtype=Name.Form, BBox=Array([0, 0, 350, 30]),
        Resources=pdf.pages[0].Resources,
    )  # fmt: skip
    return look


def looked_at(pdf: Pdf, folder: Path, *, after: bytes = b"") -> Inspection:
    path, members = folder / "a.pdf", folder / "members"
    pdf.save(path)
    path.write_bytes(path.read_bytes() + after)
    members.mkdir()
    return inspect(path, members, Room())


def test_what_was_typed_into_a_form_or_onto_a_page_is_text_of_it(tmp_path: Path) -> None:
    pdf = page_of(text(WORDS))
    page = pdf.pages[0]
    field = pdf.make_indirect(
        Dictionary(
            Type=Name.Annot, Subtype=Name.Widget, FT=Name.Tx, T="name", V="JANE ROE SMITH", F=4,
            Rect=Array([50, 600, 400, 630]), DA="/F 12 Tf",
            AP=Dictionary(N=shown(pdf, b"/Tx BMC " + text("JANE ROE SMITH", at="2 8") + b"EMC")),
        )
    )  # fmt: skip
    note = pdf.make_indirect(
        Dictionary(
            Type=Name.Annot, Subtype=Name.FreeText, Contents="TYPED", F=4, DA="/F 12 Tf",
            Rect=Array([50, 500, 400, 530]), AP=Dictionary(N=shown(pdf, text("TYPED", at="2 8"))),
        )
    )  # fmt: skip
    page.Annots = Array([field, note])
    pdf.Root.AcroForm = pdf.make_indirect(
        Dictionary(
            Fields=Array([field]),
            DR=Dictionary(Font=page.Resources.Font),
            DA="/F 12 Tf",
        )
    )
    (found,) = looked_at(pdf, tmp_path).pages
    assert found is not None
    assert found.split() == [*WORDS.split(), "JANE", "ROE", "SMITH", "TYPED"]


def test_a_form_that_only_its_makers_program_shows_is_refused(tmp_path: Path) -> None:
    pdf = page_of(text("Please wait... If this message is not eventually replaced"))
    form = Stream(pdf, b"<xdp:xdp xmlns:xdp='http://ns.adobe.com/xdp/'/>")
    pdf.Root.AcroForm = pdf.make_indirect(Dictionary(Fields=Array(), XFA=form))
    pdf.Root.NeedsRendering = True
    with pytest.raises(BadInput, match="print it to PDF"):
        looked_at(pdf, tmp_path)


def test_what_is_attached_to_a_pdf_is_taken_out_of_it(tmp_path: Path) -> None:
    pdf = page_of(text(WORDS))
    pdf.attachments["exhibit a.txt"] = AttachedFileSpec(pdf, b"an exhibit")
    found = looked_at(pdf, tmp_path)
    (member,) = found.members
    assert (member.name, member.size_bytes, member.refused) == ("exhibit a.txt", 10, None)
    assert (tmp_path / "members" / str(member.file)).read_bytes() == b"an exhibit"
    assert found.pages[0] is not None


def test_a_pdf_is_read_whatever_is_wrong_with_what_is_attached_to_it(tmp_path: Path) -> None:
    pdf = page_of(text(WORDS))
    pdf.attachments["empty.txt"] = AttachedFileSpec(pdf, b"")
    nowhere = pdf.make_indirect(Dictionary(Type=Name.Filespec, F="nowhere", UF="nowhere"))
    for one in (String("nowhere"), nowhere):
        pdf.Root.Names.EmbeddedFiles.Names.append(one)
    found = looked_at(pdf, tmp_path)
    assert found.pages[0] is not None
    assert {one.name: one.refused for one in found.members} == {
        "empty.txt": None, "nowhere": "It is damaged and cannot be taken out.",
    }  # fmt: skip


def in_a_form(place: bytes, inner: bytes, side: tuple[int, int]) -> Callable[[], Pdf]:
    """A scan that is drawn in a form of its own, below a stamp."""

    def made() -> Pdf:
        stamp = text("Case 1:20-cv-01234 Document 45-2 Filed 03/04/20 Page 1", at="50 780", size=9)
        pdf = page_of(b"q " + place + b" /X Do Q " + stamp)
        scan = Stream(pdf, b"\x00\xff\xff\x00")
        scan.stream_dict = Dictionary(
            Type=Name.XObject, Subtype=Name.Image, Width=2, Height=2, BitsPerComponent=8,
            ColorSpace=Name.DeviceGray,
        )  # fmt: skip
        form = Stream(pdf, inner)
        form.stream_dict = Dictionary(
            Type=Name.XObject, Subtype=Name.Form, BBox=Array([0, 0, *side]),
            Resources=Dictionary(XObject=Dictionary(I=scan)),
        )  # fmt: skip
        pdf.pages[0].Resources.XObject = Dictionary(X=form)
        return pdf

    return made


@pytest.mark.parametrize(
    "scan",
    [
        in_a_form(b"612 0 0 792 0 0 cm", b"/I Do", (1, 1)),
        in_a_form(b"3 0 0 3 0 0 cm", b"q 204 0 0 264 0 0 cm /I Do Q", (204, 264)),
        in_a_form(b"0.24 0 0 0.24 0 0 cm", b"q 2550 0 0 3300 0 0 cm /I Do Q", (2550, 3300)),
    ],
    ids=["unit", "enlarged", "reduced"],
)
def test_a_scan_below_a_stamp_is_read_however_it_is_drawn(
    scan: Callable[[], Pdf], tmp_path: Path
) -> None:
    assert looked_at(scan(), tmp_path).pages == (None,)


def test_a_logo_drawn_small_is_no_scan(tmp_path: Path) -> None:
    logo = in_a_form(b"0.05 0 0 0.05 0 0 cm", b"q 2000 0 0 2000 0 0 cm /I Do Q", (2000, 2000))
    assert looked_at(logo(), tmp_path).pages != (None,)


def test_a_word_that_a_line_parts_is_whole(tmp_path: Path) -> None:
    lines = text("The parties made this settle-", at="50 700") + text("ment here.", at="50 685")
    (found,) = looked_at(page_of(lines), tmp_path).pages
    assert found is not None
    assert "settlement here." in found


def test_a_pdf_that_is_filled_up_with_nothing_is_whole(tmp_path: Path) -> None:
    found = looked_at(page_of(text(WORDS)), tmp_path, after=b"\0" * (2 * PDF_TAIL_BYTES))
    assert found.pages != (None,)
