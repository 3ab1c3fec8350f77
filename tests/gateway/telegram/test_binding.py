"""The pictures of an album as one PDF: as they were, upright, and always the same bytes."""

import asyncio
from pathlib import Path

import pypdfium2 as pdfium
import pytest
from PIL import Image, ImageChops, ImageOps, ImageStat

from gateway.telegram.binding import bind, bind_here
from schema.failures import BadInput
from tests.stack.telegram.people import photo


def written(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def shown(pdf: Path, page: int = 0) -> Image.Image:
    document = pdfium.PdfDocument(pdf)
    image = document[page].render(200 / 72).to_pil().convert("RGB")
    document.close()
    return image


def difference(one: Image.Image, other: Image.Image) -> float:
    """Mean difference of the pixels, of 255."""
    assert one.size == other.size
    return max(ImageStat.Stat(ImageChops.difference(one, other)).mean)


async def test_the_same_pictures_give_the_same_bytes_in_another_process_at_another_time(
    tmp_path: Path,
) -> None:
    pictures = [written(tmp_path, f"{number}", photo(number)) for number in range(3)]
    await bind(pictures, tmp_path / "one.pdf")
    await asyncio.sleep(1.1)  # PDFium writes the second into what it makes
    await bind(pictures, tmp_path / "two.pdf")
    one, two = (tmp_path / "one.pdf").read_bytes(), (tmp_path / "two.pdf").read_bytes()
    assert one == two
    await bind(pictures[::-1], tmp_path / "other.pdf")
    assert (tmp_path / "other.pdf").read_bytes() != one


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_stands_on_its_page_as_its_camera_was_held(
    tmp_path: Path, orientation: int
) -> None:
    picture = written(tmp_path, "a", photo(1, size=(400, 300), orientation=orientation))
    bind_here([picture, picture], tmp_path / "out.pdf")
    upright = ImageOps.exif_transpose(Image.open(picture)).convert("RGB")
    assert difference(shown(tmp_path / "out.pdf"), upright) < 3
    assert picture.read_bytes() in (tmp_path / "out.pdf").read_bytes()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_a_png_of_any_kind_is_a_page_without_loss_on_white_paper(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "a.png"
    image = Image.new(mode, (120, 80), 0) if mode != "P" else Image.new("P", (120, 80), 3)
    image.save(path)
    bind_here([path, path], tmp_path / "out.pdf")
    page = shown(tmp_path / "out.pdf")
    assert page.size == (120, 80)
    if mode in {"LA", "RGBA"}:
        assert page.getpixel((5, 5)) == (255, 255, 255)


async def test_a_picture_that_cannot_be_read_is_bad_input(tmp_path: Path) -> None:
    broken = written(tmp_path, "broken", b"\x89PNG\r\n\x1a\n" + b"nothing of a picture")
    with pytest.raises(BadInput):
        await bind([written(tmp_path, "a", photo(1)), broken], tmp_path / "out.pdf")
