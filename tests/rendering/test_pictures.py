"""TIFF, WebP and HEIC files as pages: every kind of them, turned once, good and bad."""

import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms, ImageOps

from rendering import heic, tiff, webp
from rendering.pages import Pixels, open_document
from schema.failures import BadInput
from schema.files import HEIC, JPEG, TIFF, WEBP

RED, BLUE = (200, 30, 30), (30, 30, 200)
ORIENTATION = 0x0112


def flag() -> Image.Image:
    """A picture that is another in each of its eight positions."""
    image = Image.new("RGB", (60, 40), "white")
    image.paste(RED, (0, 0, 30, 20))
    image.paste(BLUE, (30, 20, 60, 40))
    return image


def pages_in(path: Path, media_type: str) -> list[Pixels]:
    with open_document(path, media_type) as document:
        return [document.page(number) for number in range(1, document.page_count + 1)]


def looks_like(page: Pixels, image: Image.Image) -> bool:
    expected = np.asarray(image.convert("RGB"))
    return page.shape == expected.shape and np.abs(page.astype(int) - expected).mean() < 8


def as_lab(image: Image.Image) -> Image.Image:
    profiles = cast("Any", ImageCms)  # its profiles carry no types
    srgb, lab = profiles.createProfile("sRGB"), profiles.createProfile("LAB")
    return profiles.profileToProfile(image, srgb, lab, outputMode="LAB")


def deep(image: Image.Image) -> Image.Image:
    return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)


KINDS: dict[str, tuple[Callable[[Image.Image], Image.Image], str | None]] = {
    "CCITT group 4": (lambda image: image.convert("1"), "group4"),
    "CCITT group 3": (lambda image: image.convert("1"), "group3"),
    "LZW, gray": (lambda image: image.convert("L"), "tiff_lzw"),
    "JPEG": (lambda image: image, "jpeg"),
    "Deflate": (lambda image: image, "tiff_deflate"),
    "PackBits": (lambda image: image, "packbits"),
    "CMYK": (lambda image: image.convert("CMYK"), "tiff_lzw"),
    "Lab": (as_lab, None),
    "palette": (lambda image: image.quantize(16), None),
    "transparent": (lambda image: image.convert("RGBA"), "tiff_lzw"),
    "16 bits": (deep, "tiff_lzw"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_tiff_looks_as_it_does_elsewhere(tmp_path: Path, kind: str) -> None:
    convert, compression = KINDS[kind]
    image = convert(flag())
    image.save(tmp_path / "a.tif", compression=compression)
    (page,) = pages_in(tmp_path / "a.tif", TIFF)
    expected = flag().convert("L") if image.mode.startswith("I;16") else image
    assert looks_like(page, flag() if kind == "Lab" else expected)


def several(path: Path, **options: Any) -> list[Image.Image]:
    images = [flag(), flag().rotate(90, expand=True), flag().convert("1")]
    images[0].save(path, save_all=True, append_images=images[1:], **options)
    return images


def test_a_tiff_has_as_many_pages_as_pictures_each_of_its_own_kind(tmp_path: Path) -> None:
    images = several(tmp_path / "a.tif", compression="tiff_lzw")
    pages = pages_in(tmp_path / "a.tif", TIFF)
    assert [looks_like(*both) for both in zip(pages, images, strict=True)] == [True] * 3


def test_a_big_tiff_is_read(tmp_path: Path) -> None:
    gray = np.asarray(flag().convert("L")).tobytes()
    fields = [(256, 60), (257, 40), (258, 8), (259, 1), (262, 1), (273, 16), (278, 40)]
    fields.append((279, len(gray)))
    content = b"II" + struct.pack("<HHHQ", 43, 8, 0, 16 + len(gray)) + gray
    content += struct.pack("<Q", len(fields))
    for tag, value in fields:
        content += struct.pack("<HHQQ", tag, 16, 1, value)
    (tmp_path / "big.tif").write_bytes(content + bytes(8))
    (page,) = pages_in(tmp_path / "big.tif", TIFF)
    assert looks_like(page, flag().convert("L"))


def places(path: Path) -> list[int]:
    return [page.directory for page in tiff.pages_of(path)]


def written(path: Path, at: int, data: bytes) -> None:
    content = bytearray(path.read_bytes())
    content[at : at + len(data)] = data
    path.write_bytes(content)


def entry(path: Path, directory: int, tag: int) -> int:
    """Where in a small TIFF the field's twelve bytes are."""
    content = path.read_bytes()
    (count,) = struct.unpack_from("<H", content, directory)
    at = [directory + 2 + 12 * index for index in range(count)]
    return next(one for one in at if struct.unpack_from("<H", content, one)[0] == tag)


@pytest.mark.parametrize("broken", [1, 2, 3])
@pytest.mark.parametrize(
    ("tag", "kind", "value"),
    [
        (257, 4, 2_000_000_000),  # larger than can be read
        (259, 3, 34925),  # compressed in an unknown way
        (258, 3, 7),  # bits of no known picture
        (273, 4, 0xFFFFFF),  # its pixels are not there
    ],
)
def test_a_broken_page_takes_no_other_with_it(
    tmp_path: Path, broken: int, tag: int, kind: int, value: int
) -> None:
    path = tmp_path / "a.tif"
    images = [flag().convert("L")] * 3
    images[0].save(path, save_all=True, append_images=images[1:])
    at = entry(path, places(path)[broken - 1], tag)
    written(path, at, struct.pack("<HHII", tag, kind, 1, value))
    with open_document(path, TIFF) as document:
        for number in (1, 2, 3):
            if number != broken:
                assert looks_like(document.page(number), images[0])
        with pytest.raises(BadInput, match=f"Page {broken} of the TIFF"):
            document.page(broken)


def test_smaller_copies_and_masks_are_no_pages(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    several(path)
    # Any field may hold it: the one that says the picture's height is not missed here.
    at = entry(path, places(path)[1], 262)
    written(path, at, struct.pack("<HHII", 254, 4, 1, 1))
    assert len(tiff.pages_of(path)) == 2


def test_a_chain_that_bites_its_tail_ends_there(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    several(path)
    first, _, last = places(path)
    (count,) = struct.unpack_from("<H", path.read_bytes(), last)
    written(path, last + 2 + 12 * count, struct.pack("<I", first))
    assert len(tiff.pages_of(path)) == 3


def test_a_tiff_of_too_many_pages_is_refused(tmp_path: Path) -> None:
    directory = struct.pack("<H", 2) + struct.pack("<HHIIHHII", 256, 3, 1, 9, 257, 3, 1, 9)
    chain = b"".join(
        directory + struct.pack("<I", 8 + (len(directory) + 4) * number)
        for number in range(1, tiff.MAX_PAGES + 2)
    )
    (tmp_path / "bomb.tif").write_bytes(b"II*\0\x08\0\0\0" + chain)
    with pytest.raises(BadInput, match="more than 5000 pages"):
        tiff.pages_of(tmp_path / "bomb.tif")


def test_a_page_whose_fields_would_fill_memory_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    several(path)
    at = entry(path, places(path)[0], 273)
    written(path, at, struct.pack("<HHII", 273, 4, 40_000_000, 8))
    with pytest.raises(BadInput, match="made to fill memory"), open_document(path, TIFF) as pages:
        pages.page(1)


@pytest.mark.parametrize("kept", [2, 6, 400])
def test_a_tiff_that_is_cut_short_says_so(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "a.tif"
    several(path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(BadInput, match=r"cut short|no pages"):
        tiff.pages_of(path)


def test_a_large_plan_in_black_and_white_is_read_and_the_same_in_colour_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiff, "MAX_DECODED_BYTES", 1_000_000)
    plan = Image.new("1", (1_000, 800), 1)
    plan.save(tmp_path / "plan.tif", compression="group4")
    plan.convert("RGB").save(tmp_path / "colour.tif", compression="tiff_lzw")
    (page,) = pages_in(tmp_path / "plan.tif", TIFF)
    assert (page.shape, page.min()) == ((800, 1000, 3), 255)
    with pytest.raises(BadInput, match="1000×800"):
        pages_in(tmp_path / "colour.tif", TIFF)


def with_orientation(path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    image = flag()
    match path.suffix:
        case ".heic":  # as a phone does: what it noted, and the turn itself, which counts
            pillow_heif.register_heif_opener()
            image.info["exif"] = exif.tobytes()
            image.save(path, "HEIF", quality=100)
        case ".webp":
            image.save(path, exif=exif, lossless=True)
        case _:
            image.save(path, exif=exif)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_what_a_camera_noted_turns_the_page_once_whatever_the_file(
    tmp_path: Path, orientation: int
) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    buffer = io.BytesIO()
    flag().save(buffer, "PNG", exif=exif)
    with Image.open(buffer) as image:
        upright = ImageOps.exif_transpose(image)
    for media_type, ending in ((JPEG, ".jpg"), (TIFF, ".tif"), (WEBP, ".webp"), (HEIC, ".heic")):
        path = tmp_path / f"a{ending}"
        with_orientation(path, orientation)
        (page,) = pages_in(path, media_type)
        assert looks_like(page, upright), media_type


def test_of_an_animation_the_first_picture_is_the_page(tmp_path: Path) -> None:
    path = tmp_path / "a.webp"
    others = [Image.new("RGB", (60, 40), "black")] * 2
    flag().save(path, save_all=True, append_images=others, lossless=True)
    (page,) = pages_in(path, WEBP)
    assert looks_like(page, flag())


def test_of_several_pictures_in_a_heic_the_primary_is_the_page(tmp_path: Path) -> None:
    pillow_heif.register_heif_opener()
    image = Image.new("RGB", (64, 64), "black")
    others = {"save_all": True, "append_images": [flag()], "primary_index": 1}
    image.save(tmp_path / "a.heic", "HEIF", quality=100, **others)
    (page,) = pages_in(tmp_path / "a.heic", HEIC)
    assert looks_like(page, flag())


@pytest.mark.parametrize(("media_type", "ending"), [(WEBP, ".webp"), (HEIC, ".heic")])
def test_a_picture_that_is_cut_short_says_so(tmp_path: Path, media_type: str, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    with_orientation(path, 1)
    whole = path.read_bytes()
    for kept in (13, 29, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:kept])
        with (
            pytest.raises(BadInput, match=r"damaged|cut short|can be opened"),
            open_document(path, media_type),
        ):
            pass


def test_a_webp_that_would_fill_memory_is_refused_by_its_header(tmp_path: Path) -> None:
    canvas = struct.pack("<HBHB", 16_382, 0, 16_382, 0)
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + canvas
    (tmp_path / "a.webp").write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    with pytest.raises(BadInput, match="16383×16383"):
        webp.check(tmp_path / "a.webp")


def test_a_heic_that_would_fill_memory_is_refused_by_its_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_orientation(tmp_path / "a.heic", 1)
    monkeypatch.setattr(heic, "MAX_PIXELS", 60 * 40 - 1)
    with pytest.raises(BadInput, match="60×40"):
        heic.check(tmp_path / "a.heic")
