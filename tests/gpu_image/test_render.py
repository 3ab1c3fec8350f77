"""What a page looks like: PDF, JPEG and PNG files, good and bad."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gpu_image.render import (
    JPEG,
    MAX_PAGE_PIXELS,
    PDF,
    PNG,
    Pixels,
    open_document,
    render_scale,
)
from samples.paper import Sheet, pdf
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


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [9_500, 14_000])
def test_a_decompression_bomb_is_refused_with_the_limit(tmp_path: Path, side: int) -> None:
    path = saved(Image.new("1", (side, side)), tmp_path / "bomb.png")
    with pytest.raises(BadInput, match="too large; the limit is 89 megapixels"):
        first_page(path, PNG)


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
        pytest.raises(BadInput, match="PDF, JPEG and PNG"),
        open_document(tmp_path / "a.docx", "application/msword"),
    ):
        pass
