"""What a file is said to be: its own faults, never those of the machine that looks at it."""

import contextlib
import errno
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pypdfium2 as pdfium
import pytest
from PIL import Image, ImageFile

from rendering import pages
from schema.failures import BadInput
from schema.files import JPEG, PNG, TIFF
from tasks import inspection, pictures
from tasks.inspection import inspect


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    Image.effect_noise((64, 64), 50).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def test_a_picture_that_is_cut_off_is_damaged(picture: Path) -> None:
    picture.write_bytes(picture.read_bytes()[:-1000])
    with pytest.raises(BadInput, match="damaged"):
        inspect(picture)


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_trouble_with_the_disk_is_not_said_of_the_picture(
    picture: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def load(_: ImageFile.ImageFile) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    with pytest.raises(OSError, match=os.strerror(number)):
        inspect(picture)


def test_trouble_with_the_disk_is_not_said_of_the_pdf(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # PDFium says of a file it cannot read the same as of one it does not understand.
    path = tmp_path / "a.pdf"
    path.write_bytes(b"%PDF-1.7 %%EOF")
    with pytest.raises(BadInput, match="damaged"):
        inspect(path)

    def goes_away(_: object, file: Path) -> None:
        file.unlink()
        raise pdfium.PdfiumError("File access error")

    monkeypatch.setattr(pdfium.PdfDocument, "__init__", goes_away)
    with pytest.raises(OSError, match="No such file"):
        inspect(path)


def test_one_picture_is_decoded_at_a_time(picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = threading.Barrier(2)
    met: list[int] = []
    decode = ImageFile.ImageFile.load

    def load(image: ImageFile.ImageFile) -> object:
        with contextlib.suppress(threading.BrokenBarrierError):  # alone, as it should be
            met.append(both.wait(0.3))
        return decode(image)

    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(inspect, [picture, picture]))
    assert met == []
    assert [one.media_type for one in found] == [PNG] * 2


def test_a_photo_that_is_cut_off_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.effect_noise((640, 480), 50).save(path)
    assert inspect(path).media_type == JPEG
    path.write_bytes(path.read_bytes()[:-20_000])
    with pytest.raises(BadInput, match="damaged"):
        inspect(path)


def test_every_page_of_a_tiff_is_counted_the_broken_ones_too(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    images = [Image.effect_noise((64, 64), 50)] * 3
    images[0].save(path, save_all=True, append_images=images[1:])
    assert inspect(path) == inspection.Inspection(media_type=TIFF, pages=(None,) * 3)


@pytest.mark.parametrize("ending", [".png", ".jpg"])
def test_a_picture_too_large_to_decode_here_is_judged_by_its_structure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    path = tmp_path / f"a{ending}"
    Image.effect_noise((320, 240), 50).save(path, progressive=True)

    def load(_: ImageFile.ImageFile) -> None:
        raise AssertionError("it was decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    monkeypatch.setattr(pictures, "MAX_DECODED_HERE_PIXELS", 320 * 240 - 1)
    inspect(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(BadInput, match="damaged"):
        inspect(path)


def test_what_is_taken_in_is_what_can_be_read() -> None:
    assert pictures.MAX_IMAGE_PIXELS == pages.MAX_STORED_PIXELS
    assert pictures.MAX_WHOLE_IMAGE_PIXELS == pages.MAX_WHOLE_PIXELS


@pytest.mark.parametrize(("file", "progressive"), [("a.png", False), ("a.jpg", True)])
def test_a_picture_too_large_to_be_read_is_refused_by_its_size(
    tmp_path: Path, file: str, progressive: bool
) -> None:
    path = tmp_path / file
    Image.new("L", (9_500, 9_500)).save(path, progressive=progressive)
    with pytest.raises(BadInput, match="9500×9500 pixels, more than can be read"):
        inspect(path)
