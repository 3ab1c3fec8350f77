"""What a page looks like: PDF, JPEG and PNG files, good and bad."""

import io
import subprocess
import sys
import textwrap
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pypdfium2 as pdfium
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageOps

from rendering import pages
from rendering.pages import (
    JPEG,
    MAX_PAGE_PIXELS,
    PDF,
    PNG,
    Pixels,
    open_document,
    render_scale,
)
from samples.paper import Picture, Sheet, jpeg, pdf, rendered, scanned
from schema.failures import BadInput


def first_page(path: Path, media_type: str) -> Pixels:
    with open_document(path, media_type) as document:
        return document.page(1)


def saved(image: Image.Image, path: Path, *, exif: Image.Exif | None = None) -> Path:
    image.save(path, exif=exif or Image.Exif())
    return path


def one_page_pdf(*, rotate: int = 0, media_box: str = "0 0 612.00 792.00") -> bytes:
    sheet = Sheet()
    sheet.line("Filed in open court")
    return pdf([sheet]).replace(
        b"/MediaBox [0 0 612.00 792.00]", f"/MediaBox [{media_box}] /Rotate {rotate}".encode()
    )


def test_a_pdf_page_is_rendered_at_200_dpi(tmp_path: Path) -> None:
    path = tmp_path / "letter.pdf"
    path.write_bytes(one_page_pdf())
    page = first_page(path, PDF)
    assert page.shape == (2200, 1700, 3)
    assert page.dtype == np.uint8
    assert page.min() < 50
    assert page.max() > 250


def test_the_rotation_a_pdf_asks_for_is_applied(tmp_path: Path) -> None:
    path = tmp_path / "turned.pdf"
    path.write_bytes(one_page_pdf(rotate=90))
    assert first_page(path, PDF).shape == (1700, 2200, 3)


def test_a_poster_is_rendered_smaller_instead_of_filling_memory(tmp_path: Path) -> None:
    path = tmp_path / "poster.pdf"
    path.write_bytes(one_page_pdf(media_box="0 0 14400 14400"))
    page = first_page(path, PDF)
    assert 0.9 * MAX_PAGE_PIXELS < page.shape[0] * page.shape[1] <= MAX_PAGE_PIXELS


@given(width=st.floats(1, 1e5), height=st.floats(1, 1e5), dpi=st.integers(36, 1200))
def test_no_page_size_exceeds_the_pixel_limit(width: float, height: float, dpi: int) -> None:
    scale = render_scale(width, height, dpi)
    assert 0 < scale <= dpi / 72
    assert width * scale * height * scale <= MAX_PAGE_PIXELS


def test_pages_are_counted_from_one_and_a_missing_one_is_bad_input(tmp_path: Path) -> None:
    path = tmp_path / "two.pdf"
    path.write_bytes(pdf([Sheet(), Sheet()]))
    with open_document(path, PDF) as document:
        assert document.page_count == 2
        document.page(2)
        with pytest.raises(BadInput, match="no page 3"):
            document.page(3)


@pytest.mark.parametrize("kept_bytes", [0, 9, 300])
def test_a_truncated_pdf_says_it_is_damaged(tmp_path: Path, kept_bytes: int) -> None:
    path = tmp_path / "broken.pdf"
    path.write_bytes(one_page_pdf()[:kept_bytes])
    with pytest.raises(BadInput, match="damaged or cut short"), open_document(path, PDF):
        pass


def test_the_orientation_a_camera_noted_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = Image.new("RGB", (300, 200), "white")
    stored.paste("black", (0, 180, 20, 200))
    page = first_page(saved(stored, tmp_path / "photo.jpg", exif=exif), JPEG)
    assert page.shape == (300, 200, 3)
    assert page[:10, :10].max() < 60  # the stored bottom left is the upright top left


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "LA", "RGBA", "I;16"])
def test_every_kind_of_png_becomes_rgb(tmp_path: Path, mode: str) -> None:
    shade = {"1": 1, "L": 200, "P": 200, "LA": (200, 255), "I;16": 200 * 257}.get(
        mode, (200, 200, 200, 255)[: len(mode)]
    )
    image = Image.new(mode, (8, 6), shade)
    if mode == "P":
        image.putpalette([value for value in range(256) for _ in range(3)])
    page = first_page(saved(image, tmp_path / "page.png"), PNG)
    assert page.shape == (6, 8, 3)
    assert set(page.flatten().tolist()) == {255 if mode == "1" else 200}


def test_transparent_paper_is_white(tmp_path: Path) -> None:
    image = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    assert first_page(saved(image, tmp_path / "page.png"), PNG).min() == 255


def test_a_cmyk_jpeg_becomes_rgb(tmp_path: Path) -> None:
    image = Image.new("CMYK", (8, 8), (0, 0, 0, 0))
    assert first_page(saved(image, tmp_path / "page.jpg"), JPEG).min() > 250


def test_a_huge_photo_is_shrunk_to_the_limit(tmp_path: Path) -> None:
    image = Image.new("L", (8000, 6000), 255)
    page = first_page(saved(image, tmp_path / "page.png"), PNG)
    assert 0.9 * MAX_PAGE_PIXELS < page.shape[0] * page.shape[1] <= MAX_PAGE_PIXELS


@pytest.mark.parametrize("side", [9_500, 14_000])
def test_a_decompression_bomb_is_refused_with_the_limit(tmp_path: Path, side: int) -> None:
    path = saved(Image.new("1", (side, side)), tmp_path / "bomb.png")
    with pytest.raises(BadInput, match="too large; the limit for PNG is 89 megapixels"):
        first_page(path, PNG)


@pytest.mark.parametrize(
    ("side", "progressive", "limit"),
    [(9_500, True, "progressive JPEG is 89"), (14_200, False, "JPEG is 200")],
)
def test_a_jpeg_beyond_what_can_be_decoded_is_refused_with_its_limit(
    tmp_path: Path, side: int, progressive: bool, limit: str
) -> None:
    path = tmp_path / "photo.jpg"
    Image.new("L", (side, side)).save(path, progressive=progressive)
    with pytest.raises(BadInput, match=f"the limit for {limit} megapixels"):
        first_page(path, JPEG)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_shrunk_and_turned_in_strips_is_the_one_done_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, orientation: int
) -> None:
    monkeypatch.setattr(pages, "MAX_PAGE_PIXELS", 250_000)
    monkeypatch.setattr(pages, "_STRIP_PIXELS", 30_000)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.merge("RGB", [Image.effect_noise((1100, 700), 30) for _ in range(3)])
    page = first_page(saved(stored, tmp_path / "photo.png", exif=exif), PNG)
    assert 240_000 < page.shape[0] * page.shape[1] <= 250_000
    size = (max(page.shape), min(page.shape[:2]))
    whole = stored.resize(size, Image.Resampling.LANCZOS)
    whole.getexif()[0x0112] = orientation
    turned = np.asarray(ImageOps.exif_transpose(whole), dtype=int)
    assert np.abs(turned - page).max() <= 1


def megabytes(work: str, *arguments: str) -> float:
    """What `work` prints of its memory, in a process of its own that imported only this."""
    # Not `ru_maxrss`: a new process takes over the peak of the one that started it.
    script = """
        import sys
        from pathlib import Path
        from rendering.pages import JPEG, MAX_PAGE_PIXELS, PDF, open_document

        def status(key):
            lines = Path("/proc/self/status").read_text().splitlines()
            return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(key))

        empty = status("VmHWM")
    """
    code = textwrap.dedent(script) + textwrap.dedent(work)
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return float(done.stdout)


@pytest.mark.parametrize(("mode", "side", "most"), [("L", 10_000, 150), ("RGB", 7_000, 350)])
def test_a_photo_of_very_many_pixels_is_read_in_bounded_memory(
    tmp_path: Path, mode: str, side: int, most: int
) -> None:
    path = tmp_path / "photo.jpg"
    Image.linear_gradient("L").resize((side, side)).convert(mode).save(path, quality=50)
    peak = megabytes(
        """
        with open_document(Path(sys.argv[1]), JPEG) as document:
            page = document.page(1)
        assert MAX_PAGE_PIXELS / 2 <= page.shape[0] * page.shape[1] <= MAX_PAGE_PIXELS
        assert page[0].mean() < 10 and page[-1].mean() > 245
        print(status("VmHWM") - empty)
        """,
        str(path),
    )
    assert peak < most


def test_a_photo_cut_short_says_so(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    noise = np.random.default_rng(1).integers(0, 255, (400, 400), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, "JPEG")
    path = tmp_path / "cut.jpg"
    path.write_bytes(buffer.getvalue()[: len(buffer.getvalue()) // 2])
    with pytest.raises(BadInput, match="damaged or cut short"):
        first_page(path, JPEG)


def test_a_file_that_is_not_what_it_claims_is_bad_input(tmp_path: Path) -> None:
    path = tmp_path / "page.png"
    path.write_bytes(b"GIF89a")
    with pytest.raises(BadInput, match="not a PNG"):
        first_page(path, PNG)


def test_an_unknown_media_type_names_those_that_can_be_read(tmp_path: Path) -> None:
    with (
        pytest.raises(BadInput, match="PDF, JPEG, PNG"),
        open_document(tmp_path / "a.docx", "application/msword"),
    ):
        pass


@cache
def letter() -> bytes:
    """A letter scanned at 150 dpi, gray: what a rendered page at 200 dpi is compared with."""
    sheet = Sheet()
    sheet.lines("IN THE DISTRICT COURT\nOF SOME COUNTY", align="center", bold=True)
    for _ in range(4):
        sheet.paragraph("The motion is granted in part, for the reasons stated in open court. " * 5)
    return jpeg(scanned(rendered(sheet, dpi=150)[:1650], seed=5), quality=70)


def recoded(mode: str, **options: object) -> bytes:
    """The letter in other colours: its left half reddish, where there are any."""
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(letter())) as image:
        gray = image.convert("L")
        blue = ImageChops.multiply(gray, Image.linear_gradient("L").rotate(90).resize(gray.size))
        Image.merge("RGB", (gray, gray, blue)).convert(mode).save(buffer, "JPEG", **options)
    return buffer.getvalue()


@dataclass(frozen=True)
class ScanPdf:
    """A PDF of one page that is a scan, in its plainest form; a test changes one thing."""

    jpeg: bytes
    size: tuple[int, int] = (1275, 1650)
    placed: str = "612 0 0 792 0 0"
    box: str = "/MediaBox [0 0 612 792]"
    page: str = ""
    colours: str = "/ColorSpace /DeviceGray"
    coding: str = "/Filter /DCTDecode"
    picture: str = ""
    before: str = ""
    after: str = ""
    resources: str = ""
    catalogue: str = ""
    objects: tuple[bytes, ...] = ()
    """From number 7 on."""

    pages: int = 1

    def written(self, path: Path) -> Path:
        width, height = self.size
        content = f"{self.before} q {self.placed} cm /Scan Do Q {self.after}".encode()
        entries = (
            f"/Type /XObject /Subtype /Image /Width {width} /Height {height} "
            f"/BitsPerComponent 8 {self.colours} {self.coding} {self.picture}"
        )
        page = (
            f"<< /Type /Page /Parent 2 0 R {self.box} {self.page} /Contents 4 0 R "
            "/Resources << /XObject << /Scan 5 0 R /Other 7 0 R >> /Font << /F 6 0 R >> "
            f"{self.resources} >> >>"
        )
        kids = " ".join(["3 0 R"] * self.pages)
        objects = [
            f"<< /Type /Catalog /Pages 2 0 R {self.catalogue} >>".encode(),
            f"<< /Type /Pages /Kids [{kids}] /Count {self.pages} >>".encode(),
            page.encode(),
            stream("", content),
            stream(entries, self.jpeg),
            b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
            *self.objects,
        ]
        file = b"%PDF-1.7\n"
        table = b"0000000000 65535 f \n"
        for number, body in enumerate(objects, start=1):
            table += f"{len(file):010d} 00000 n \n".encode()
            file += f"{number} 0 obj\n".encode() + body + b"\nendobj\n"
        count = len(objects) + 1
        trailer = f"trailer\n<< /Size {count} /Root 1 0 R >>\nstartxref\n{len(file)}\n%%EOF\n"
        path.write_bytes(file + f"xref\n0 {count}\n".encode() + table + trailer.encode())
        return path


def stream(entries: str, data: bytes) -> bytes:
    return f"<< {entries} /Length {len(data)} >>\nstream\n".encode() + data + b"\nendstream"


def drawn(path: Path, page: int = 1) -> Pixels:
    """The page as PDFium draws it."""
    document = pdfium.PdfDocument(path)
    document.init_forms()
    try:
        bitmap = document[page - 1].render(scale=200 / 72, rev_byteorder=True).to_numpy()
        return bitmap[:, :, :3].copy() if bitmap.shape[2] > 1 else bitmap.repeat(3, axis=2)
    finally:
        document.close()


def difference(one: Pixels, other: Pixels) -> float:
    """Mean, in shades, at a size at which neither sharpness nor noise counts."""
    small = [
        np.asarray(Image.fromarray(pixels).resize((34, 44), Image.Resampling.BOX), dtype=float)
        for pixels in (one, other)
    ]
    return float(np.abs(small[0] - small[1]).mean())


def inner(pixels: Pixels) -> Pixels:
    """The page without its edges."""
    down, across = pixels.shape[0] // 40, pixels.shape[1] // 40
    return pixels[down:-down, across:-across]


PLAIN = ScanPdf(letter())
COLOUR = replace(PLAIN, jpeg=recoded("RGB"), colours="/ColorSpace /DeviceRGB")
HIDDEN_TEXT = "BT 3 Tr /F 12 Tf 72 500 Td (granted in part) Tj ET"
SEEN_TEXT = "BT 0 Tr /F 96 Tf 72 500 Td (EXHIBIT) Tj ET"
HALF_MASK = stream(
    "/Type /XObject /Subtype /Image /Width 2 /Height 1 /ColorSpace /DeviceGray /BitsPerComponent 8",
    b"\xff\x00",
)
STENCIL = stream(
    "/Type /XObject /Subtype /Image /Width 2 /Height 1 /ImageMask true /BitsPerComponent 1", b"\x40"
)
SRGB = bytes(400) + b"sRGB IEC61966-2.1" + bytes(3144 - 417)
FORM = "/Type /XObject /Subtype /Form /BBox [0 0 612 792] /Resources << /Font << /F 6 0 R >> >>"

TAKEN = {
    "gray": PLAIN,
    "colour": COLOUR,
    "colour with the usual profile": replace(
        COLOUR, colours="/ColorSpace [/ICCBased 7 0 R]", objects=(stream("/N 3", SRGB),)
    ),
    "colour not turned into luminance": replace(COLOUR, jpeg=recoded("RGB", keep_rgb=True)),
    "progressive": replace(PLAIN, jpeg=recoded("L", progressive=True)),
    "turned by 90": replace(PLAIN, page="/Rotate 90"),
    "turned by 180": replace(PLAIN, page="/Rotate 180"),
    "turned by 270": replace(COLOUR, page="/Rotate 270"),
    "box that begins elsewhere": replace(
        PLAIN, box="/MediaBox [100 -50 712 742]", placed="612 0 0 792 100 -50"
    ),
    "cropped to the picture": replace(
        PLAIN,
        box="/MediaBox [0 0 700 900] /CropBox [40 50 652 842]",
        placed="612 0 0 792 40 50",
        page="/Rotate 90",
    ),
    "a hair short of the edges": replace(PLAIN, placed="611 0 0 790 0.5 1"),
    "rectangle around the page": replace(PLAIN, before="q 0 0 612 792 re W n", after="Q"),
    "text to be searched": replace(PLAIN, after=HIDDEN_TEXT),
    "text to be searched, in a group": replace(
        PLAIN, after="/Other Do", objects=(stream(FORM, HIDDEN_TEXT.encode()),)
    ),
    "marked as an artifact": replace(PLAIN, before="/Artifact BMC", after="EMC"),
    "a transfer that changes nothing": replace(
        PLAIN,
        before="/Usual gs",
        resources="/ExtGState << /Usual << /TR2 /Default /TR /Identity >> >>",
    ),
    "inversion that inverts nothing": replace(PLAIN, picture="/Decode [0 1] /Interpolate true"),
    "orientation that a camera noted": replace(
        PLAIN,
        jpeg=recoded(
            "L", exif=b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0" + bytes(4)
        ),
    ),
}


@pytest.mark.parametrize("name", TAKEN)
def test_a_page_that_is_a_scan_has_the_pixels_of_the_scan(tmp_path: Path, name: str) -> None:
    path = TAKEN[name].written(tmp_path / "scan.pdf")
    page = first_page(path, PDF)
    on_its_side = "90" in TAKEN[name].page or "270" in TAKEN[name].page
    assert page.shape == ((1275, 1650, 3) if on_its_side else (1650, 1275, 3))
    assert difference(page, drawn(path)) < 2


RENDERED = {
    "two pictures": replace(
        PLAIN,
        after="q 200 0 0 200 90 90 cm /Other Do Q",
        objects=(HALF_MASK,),
    ),
    "text": replace(PLAIN, after=SEEN_TEXT),
    "text in a group": replace(
        PLAIN, after="/Other Do", objects=(stream(FORM, SEEN_TEXT.encode()),)
    ),
    "a line": replace(PLAIN, after="4 w 0 0 m 612 792 l S"),
    "a picture in a group": replace(
        PLAIN,
        before="/Other Do",
        placed="0 0 0 0 0 0",
        objects=(
            stream(
                FORM.replace("/Font << /F 6 0 R >>", "/XObject << /Scan 5 0 R >>"),
                b"612 0 0 792 0 0 cm /Scan Do",
            ),
        ),
    ),
    "soft mask": replace(PLAIN, picture="/SMask 7 0 R", objects=(HALF_MASK,)),
    "stencil mask": replace(PLAIN, picture="/Mask 7 0 R", objects=(STENCIL,)),
    "shades that are masked": replace(PLAIN, picture="/Mask [0 128]"),
    "inverted": replace(PLAIN, picture="/Decode [1 0]"),
    "half darkened": replace(PLAIN, picture="/Decode [0 0.5]"),
    "CMYK": replace(PLAIN, jpeg=recoded("CMYK"), colours="/ColorSpace /DeviceCMYK"),
    "gray said of a colour JPEG": replace(COLOUR, colours="/ColorSpace /DeviceGray"),
    "palette": replace(
        PLAIN,
        colours=f"/ColorSpace [/Indexed /DeviceRGB 255 <{bytes(range(255, -1, -1)).hex() * 3}>]",
    ),
    "colours that are calibrated": replace(
        COLOUR, colours="/ColorSpace [/CalRGB << /WhitePoint [0.9 1 0.7] /Gamma [3 3 3] >>]"
    ),
    "a default for colours that is calibrated": replace(
        COLOUR,
        resources="/ColorSpace << /DefaultRGB "
        "[/CalRGB << /WhitePoint [0.9 1 0.7] /Gamma [3 3 3] >>] >>",
    ),
    "packed again": replace(
        PLAIN, jpeg=zlib.compress(letter()), coding="/Filter [/FlateDecode /DCTDecode]"
    ),
    "colours told to be other than they are": replace(
        COLOUR, coding="/Filter /DCTDecode /DecodeParms << /ColorTransform 0 >>"
    ),
    "upside down": replace(PLAIN, placed="612 0 0 -792 0 792"),
    "mirrored": replace(PLAIN, placed="-612 0 0 792 612 0"),
    "on its head": replace(PLAIN, placed="-612 0 0 -792 612 792"),
    "on its side": replace(PLAIN, box="/MediaBox [0 0 792 612]", placed="0 612 -792 0 792 0"),
    "sheared": replace(PLAIN, placed="612 0 12 792 0 0"),
    "askew": replace(PLAIN, placed="611.6 16 -16 791.6 0 0"),
    "with a margin": replace(PLAIN, placed="592 0 0 772 10 10"),
    "cut by the page": replace(PLAIN, placed="632 0 0 812 -10 -10"),
    "cut by a triangle": replace(PLAIN, before="q 0 0 m 612 0 l 612 792 l h W n", after="Q"),
    "cut by a rectangle": replace(PLAIN, before="q 0 0 300 792 re W n", after="Q"),
    "half transparent": replace(
        PLAIN, before="/Pale gs", resources="/ExtGState << /Pale << /ca 0.5 >> >>"
    ),
    "blended": replace(
        PLAIN, before="/Odd gs", resources="/ExtGState << /Odd << /BM /Difference >> >>"
    ),
    "shades transferred": replace(
        PLAIN,
        before="/Odd gs",
        resources="/ExtGState << /Odd << "
        "/TR << /FunctionType 2 /Domain [0 1] /C0 [1] /C1 [0] /N 1 >> >> >>",
    ),
    "perhaps shades transferred": replace(
        PLAIN,
        objects=(
            stream(
                "/Type /ObjStm /N 1 /First 4 /Filter /FlateDecode",
                zlib.compress(b"8 0 << /Type /ExtGState /TR 9 0 R >>"),
            ),
        ),
    ),
    "on a layer that is off": replace(
        PLAIN,
        before="/OC /Layer BDC",
        after="EMC",
        resources="/Properties << /Layer 7 0 R >>",
        catalogue="/OCProperties << /OCGs [7 0 R] /D << /OFF [7 0 R] >> >>",
        objects=(b"<< /Type /OCG /Name (Scan) >>",),
    ),
    "of a layer that is off": replace(
        PLAIN,
        picture="/OC 7 0 R",
        catalogue="/OCProperties << /OCGs [7 0 R] /D << /OFF [7 0 R] >> >>",
        objects=(b"<< /Type /OCG /Name (Scan) >>",),
    ),
    "annotation": replace(
        PLAIN,
        page="/Annots [<< /Type /Annot /Subtype /Square /Rect [100 100 400 400] "
        "/C [1 0 0] /IC [1 0 0] /F 4 >>]",
    ),
    "pixels that are not square": replace(
        PLAIN, box="/MediaBox [0 0 612 396]", placed="612 0 0 396 0 0"
    ),
    "another size than the file says": replace(PLAIN, size=(1275, 1600)),
    "cut short": replace(PLAIN, jpeg=letter()[: len(letter()) // 2]),
    "stored a second time, with a mask": replace(
        PLAIN, objects=(stream("/Type /XObject /Subtype /Image /SMask 8 0 R", letter()),)
    ),
}


@pytest.mark.parametrize("name", RENDERED)
def test_a_page_that_might_be_more_than_a_scan_is_rendered(tmp_path: Path, name: str) -> None:
    path = RENDERED[name].written(tmp_path / "scan.pdf")
    np.testing.assert_array_equal(first_page(path, PDF), drawn(path))


def test_a_picture_too_coarse_to_be_read_is_enlarged_as_before(tmp_path: Path) -> None:
    coarse = jpeg(np.asarray(Image.effect_noise((420, 540), 60)), quality=90)
    path = replace(PLAIN, jpeg=coarse, size=(420, 540)).written(tmp_path / "scan.pdf")
    assert first_page(path, PDF).shape == (2200, 1700, 3)


def test_a_scan_of_many_pixels_is_bounded_like_a_photo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "MAX_PAGE_PIXELS", 500_000)
    monkeypatch.setattr(pages, "MAX_DECODED_PIXELS", 1_000_000)
    path = replace(PLAIN, page="/Rotate 90").written(tmp_path / "scan.pdf")
    page = first_page(path, PDF)
    assert 480_000 < page.shape[0] * page.shape[1] <= 500_000
    assert page.shape[1] / page.shape[0] == pytest.approx(1650 / 1275, rel=0.01)
    assert difference(page, drawn(path)) < 2


def test_a_scan_is_found_wherever_in_the_file_it_begins(tmp_path: Path) -> None:
    before = PLAIN.written(tmp_path / "scan.pdf").read_bytes().index(letter()[:16])
    for missing in range(12):  # the file is looked through in pieces of a megabyte
        padding = "x" * ((1 << 20) - before - len("/Pad ()") - missing)
        path = replace(PLAIN, catalogue=f"/Pad ({padding})").written(tmp_path / "scan.pdf")
        assert path.read_bytes().index(letter()[:16]) == (1 << 20) - missing
        assert first_page(path, PDF).shape == (1650, 1275, 3)


@cache
def shaded() -> bytes:
    """A picture that differs in every turn and hardly when moved by a little."""
    across, down = np.meshgrid(np.linspace(0, 90, 450), np.linspace(0, 110, 600))
    noise = np.random.default_rng(2).normal(0, 12, (600, 450))
    return jpeg((25 + across + down + noise).clip(0, 255).astype(np.uint8), quality=85)


@settings(max_examples=60)
@given(
    turn=st.sampled_from([0, 90, 180, 270]),
    corner=st.tuples(st.integers(-300, 300), st.integers(-300, 300)),
    edges=st.tuples(*[st.floats(-4, 4)] * 4),
    slant=st.sampled_from([0.0, 0.01, 2.0]),
    flips=st.sampled_from(["", "across", "down"]),
    decode=st.sampled_from(["", "/Decode [0 1]", "/Decode [1 0]"]),
)
def test_wherever_a_picture_lies_the_page_looks_as_rendered(
    tmp_path_factory: pytest.TempPathFactory,
    turn: int,
    corner: tuple[int, int],
    edges: tuple[float, float, float, float],
    slant: float,
    flips: str,
    decode: str,
) -> None:
    x, y = corner
    left, bottom, right, top = x + edges[0], y + edges[1], x + 216 + edges[2], y + 288 + edges[3]
    if flips == "across":
        left, right = right, left
    if flips == "down":
        bottom, top = top, bottom
    path = ScanPdf(
        shaded(),
        size=(450, 600),
        box=f"/MediaBox [{x} {y} {x + 216} {y + 288}]",
        page=f"/Rotate {turn}",
        placed=f"{right - left:.4f} {slant} {-slant} {top - bottom:.4f} {left:.4f} {bottom:.4f}",
        picture=decode,
    ).written(tmp_path_factory.mktemp("scan") / "scan.pdf")
    page, whole = first_page(path, PDF), drawn(path)
    # Not the outermost: paper that shows by less than 1 % of the page may be lost.
    assert difference(inner(page), inner(whole)) < 3


def test_pages_may_be_read_from_several_threads(tmp_path: Path) -> None:
    sheet = Sheet()
    sheet.line("typeset")
    scan = Picture(letter(), 1275, 1650)
    path = tmp_path / "mixed.pdf"
    path.write_bytes(pdf([scan, sheet] * 6))
    with open_document(path, PDF) as document, ThreadPoolExecutor(4) as threads:
        seen = list(threads.map(document.page, range(1, 13)))
    assert [page.shape[0] for page in seen] == [1650, 2200] * 6
    for page in seen[2:]:
        np.testing.assert_array_equal(page, seen[0 if page.shape[0] == 1650 else 1])


@pytest.mark.parametrize("seen", [HIDDEN_TEXT, SEEN_TEXT], ids=["taken", "rendered"])
def test_the_pages_of_a_long_scan_leave_nothing_behind(tmp_path: Path, seen: str) -> None:
    path = ScanPdf(
        shaded(),
        size=(450, 600),
        box="/MediaBox [0 0 216 288]",
        placed="216 0 0 288 0 0",
        after=seen,
        pages=300,
    ).written(tmp_path / "long.pdf")
    growth = megabytes(
        """
        with open_document(Path(sys.argv[1]), PDF) as document:
            for number in range(1, 301):
                document.page(number)
                if number == 50:
                    early = status("VmRSS")
        print(status("VmRSS") - early)
        """,
        str(path),
    )
    assert growth < 5
