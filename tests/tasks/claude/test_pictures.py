"""Pages as pictures: upright, within what the model sees, and legible."""

import base64
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from bench.recall import SAMPLES, recall_and_precision
from blocks.claude import MODELS, Model
from gpu_image.engines import OcrEngine, PageRef, load_engine
from gpu_image.layout import FoundWord, page_text
from rendering.pages import JPEG, PDF, PNG, Pixels, open_document
from samples.paper import Sheet, pdf, rendered
from schema.ocr import PageText
from stack.claude.images import read_picture
from tasks.claude.pictures import (
    LEAST_LETTER_PIXELS,
    MOST_SIDE_PIXELS,
    fitting,
    letter_width,
    patches,
    pictures_of,
)
from tasks.claude.prompt import Picture

HAIKU = MODELS["claude-haiku-5-5"]
STANDARD = MODELS["claude-haiku-4-5"]
"""Sees pictures smaller."""

terms_of_any_kind = st.sampled_from([HAIKU, STANDARD]) | st.builds(
    Model,
    input=st.just(1),
    output=st.just(1),
    cache_write=st.just(1),
    cache_read=st.just(1),
    picture_tokens=st.integers(100, 5_000),
    picture_side=st.integers(200, 3_000),
)
sides = st.integers(1, 8_000)


# Sizes


@given(width=sides, height=sides, terms=terms_of_any_kind)
def test_a_size_that_fits_is_within_the_given_one_and_the_models_limits(
    width: int, height: int, terms: Model
) -> None:
    fit_width, fit_height = fitting(width, height, terms)
    assert 1 <= fit_width <= width
    assert 1 <= fit_height <= height
    assert max(fit_width, fit_height) <= min(terms.picture_side, MOST_SIDE_PIXELS)
    assert patches(fit_width, fit_height) <= terms.picture_tokens


@given(width=sides, height=sides, terms=terms_of_any_kind)
def test_a_size_that_fits_has_the_shape_of_the_given_one(
    width: int, height: int, terms: Model
) -> None:
    fit_width, fit_height = fitting(width, height, terms)
    scale = max(fit_width, fit_height) / max(width, height)
    assert abs(fit_width - scale * width) <= 2
    assert abs(fit_height - scale * height) <= 2


@given(width=sides, height=sides, terms=terms_of_any_kind)
@example(1_700, 2_200, HAIKU)
@example(1_700, 2_200, STANDARD)
@example(20, 20, STANDARD)
def test_a_size_that_fits_is_nearly_the_largest_that_does(
    width: int, height: int, terms: Model
) -> None:
    size = fitting(width, height, terms)
    if size == (width, height):
        return
    scale = max(size) / max(width, height) * 1.03
    larger = round(width * scale), round(height * scale)
    assert (
        larger > (width, height)
        or max(larger) > min(terms.picture_side, MOST_SIDE_PIXELS)
        or patches(*larger) > terms.picture_tokens
    )


@pytest.mark.parametrize(
    ("size", "terms", "fit"),
    [
        ((1_545, 2_000), HAIKU, (1_545, 2_000)),
        ((1_700, 2_200), HAIKU, (1_545, 2_000)),
        ((2_200, 1_700), HAIKU, (2_000, 1_545)),
        ((900, 1_200), STANDARD, (900, 1_200)),
        ((100, 20_000), STANDARD, (7, 1_568)),
        ((1, 20_000), STANDARD, (1, 1_568)),
        ((3, 2), STANDARD, (3, 2)),
    ],
)
def test_a_page_is_shown_as_large_as_the_model_sees_it(
    size: tuple[int, int], terms: Model, fit: tuple[int, int]
) -> None:
    assert fitting(*size, terms) == fit


# How large print is


def words_of(
    width: int, height: int, *, letter_pixels: float, rotation: int = 0, text: str = "Hargrove"
) -> PageText:
    """What an engine says of a page as rendered, whose upright letters are so wide."""
    across, down = (height, width) if rotation in (90, 270) else (width, height)
    long = letter_pixels * len(text)
    corners = np.array([(0, 0), (long, 0), (long, 20), (0, 20)], dtype=float)
    found = [
        FoundWord(text, corners + np.array([across * share / 2, down * share]), 1.0)
        for share in (0.1, 0.3, 0.5)
    ]
    return page_text(
        found,
        width_pixels=width,
        height_pixels=height,
        rotation_degrees=rotation,
        engine="by hand",
        seconds=0,
    )


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_how_wide_letters_are_is_a_share_of_the_upright_page(rotation: int) -> None:
    words = words_of(1_000, 2_000, letter_pixels=10, rotation=rotation)
    upright_width = 2_000 if rotation in (90, 270) else 1_000
    assert letter_width(words) == pytest.approx(10 / upright_width)


def test_how_wide_letters_are_is_unknown_without_words_to_measure() -> None:
    assert letter_width(None) is None
    page = words_of(1_000, 2_000, letter_pixels=10)
    assert letter_width(page.model_copy(update={"words": []})) is None
    assert letter_width(words_of(1_000, 2_000, letter_pixels=10, text="of")) is None


# Pictures of real files


def saved(image: Image.Image, path: Path, **options: Any) -> Path:
    image.save(path, **options)
    return path


def shown(pictures: Sequence[Picture]) -> list[Image.Image]:
    """The pictures as the API decodes them; each is a JPEG of the size it says."""
    seen: list[Image.Image] = []
    for one in pictures:
        known = read_picture(one.data, "image/jpeg", "messages.0.content.0")
        assert (known.width, known.height) == (one.width, one.height)
        image = Image.open(io.BytesIO(base64.b64decode(one.data)))
        image.load()
        seen.append(image)
    return seen


def difference(one: Image.Image, other: Image.Image) -> float:
    """Mean, in shades, at a size at which sharpness does not count."""
    small = [
        np.asarray(image.convert("L").resize((60, 80), Image.Resampling.BOX), dtype=float)
        for image in (one, other)
    ]
    return float(np.abs(small[0] - small[1]).mean())


def page_of(path: Path, media_type: str, number: int = 1) -> Image.Image:
    with open_document(path, media_type) as document:
        pixels: Pixels = document.page(number)
    return Image.fromarray(pixels)


def ramp(width: int, height: int) -> Image.Image:
    """A page that is black at the top and white at the bottom: each line says where it is."""
    shades = np.linspace(0, 255, height).astype(np.uint8)
    return Image.fromarray(np.repeat(shades[:, np.newaxis], width, axis=1))


def test_a_photo_is_a_jpeg_of_the_size_it_says() -> None:
    path = SAMPLES / "smith-v-jones" / "IMG_4127 towing receipt.jpg"
    [picture] = shown(pictures_of(path, JPEG, 1, HAIKU, None))
    whole = page_of(path, JPEG)
    assert picture.size == fitting(*whole.size, HAIKU)
    assert difference(picture, whole) < 2
    [smaller] = shown(pictures_of(path, JPEG, 1, STANDARD, None))
    assert smaller.size == fitting(*whole.size, STANDARD) < picture.size
    assert difference(smaller, whole) < 2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_is_shown_as_the_camera_was_held(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = ramp(300, 400)
    stored.paste(255, (0, 0, 80, 80))
    path = saved(stored, tmp_path / "photo.jpg", exif=exif, quality=95)
    [picture] = shown(pictures_of(path, JPEG, 1, HAIKU, None))
    held = ImageOps.exif_transpose(Image.open(path))
    assert picture.size == held.size
    assert difference(picture, held) < 2
    assert not picture.getexif()


def test_each_page_of_a_pdf_is_its_own_picture() -> None:
    path = SAMPLES / "smith-v-jones" / "motion-to-compel-scan.pdf"
    seen = [shown(pictures_of(path, PDF, number, HAIKU, None)) for number in (1, 2, 3)]
    assert [len(one) for one in seen] == [1, 1, 1]
    for number, [picture] in enumerate(seen, start=1):
        differences = [difference(picture, page_of(path, PDF, other)) for other in (1, 2, 3)]
        assert differences.index(min(differences)) == number - 1
        assert min(differences) < 1 < max(differences)


@pytest.mark.parametrize("rotation", [90, 180, 270])
@pytest.mark.parametrize("letter_pixels", [1.0, 20.0], ids=["small print", "large print"])
def test_a_page_scanned_sideways_is_shown_upright(
    tmp_path: Path, rotation: int, letter_pixels: float
) -> None:
    upright = ramp(1_700, 2_200)
    upright.paste(255, (0, 0, 400, 400))
    # Turned counter-clockwise, so that a clockwise turn by `rotation` makes it upright.
    stored = Image.fromarray(np.rot90(np.asarray(upright), k=rotation // 90))
    path = saved(stored, tmp_path / "scan.png")
    words = words_of(*stored.size, letter_pixels=letter_pixels, rotation=rotation)
    first, *second = shown(pictures_of(path, PNG, 1, STANDARD, words))
    assert bool(second) == (letter_pixels == 1.0)
    seen = upright.crop((0, 0, 1_700, 1_188)) if second else upright
    assert difference(first, seen) < 2


def test_the_engines_own_words_turn_a_page_that_was_scanned_sideways(engine: OcrEngine) -> None:
    path = SAMPLES / "estate-of-miller" / "affidavit-of-heirship-sideways.pdf"
    words = read(engine, path, PDF)
    assert words.rotation_degrees == 90
    [picture] = shown(pictures_of(path, PDF, 1, HAIKU, words))
    stored = page_of(path, PDF)
    assert picture.height > picture.width
    assert difference(picture, stored.transpose(Image.Transpose.ROTATE_270)) < 1


# Small print


@pytest.mark.parametrize("terms", [HAIKU, STANDARD], ids=["haiku-5-5", "standard"])
@pytest.mark.parametrize("size", [(2_550, 3_300), (1_700, 2_200), (2_001, 2_803)])
def test_a_page_of_small_print_comes_in_two_halves_that_show_all_of_it_larger(
    tmp_path: Path, terms: Model, size: tuple[int, int]
) -> None:
    path = saved(ramp(*size), tmp_path / "page.png")
    words = words_of(*size, letter_pixels=2)
    [whole] = shown(pictures_of(path, PNG, 1, terms, None))
    top, bottom = shown(pictures_of(path, PNG, 1, terms, words))
    lines = [np.asarray(one.convert("L"), dtype=float).mean(axis=1) / 255 for one in (top, bottom)]
    begins, ends = [one[0] for one in lines], [one[-1] for one in lines]
    assert begins[0] < 0.01
    assert ends[1] > 0.99
    # What is cut on one is whole on the other: three lines of print and more.
    assert 0.07 < ends[0] - begins[1] < 0.09
    assert ends[0] == pytest.approx(1 - begins[1], abs=0.01)
    for half in (top, bottom):
        assert half.width > whole.width
        assert patches(*half.size) <= terms.picture_tokens
        assert half.width / size[0] == pytest.approx(half.height / (0.54 * size[1]), abs=0.005)


@given(
    width=st.integers(300, 3_000),
    height=st.integers(300, 3_000),
    letter_pixels=st.floats(0.5, 20),
    terms=st.sampled_from([HAIKU, STANDARD]),
)
def test_a_page_is_cut_only_if_its_print_is_small_and_then_shown_larger(
    tmp_path_factory: pytest.TempPathFactory,
    width: int,
    height: int,
    letter_pixels: float,
    terms: Model,
) -> None:
    fit_width = fitting(width, height, terms)[0]
    comes_out = letter_pixels * fit_width / width
    assume(abs(comes_out - LEAST_LETTER_PIXELS) > 0.01)
    path = tmp_path_factory.getbasetemp() / "blank.png"
    saved(Image.new("1", (width, height), 1), path)
    words = words_of(width, height, letter_pixels=letter_pixels)
    pictures = pictures_of(path, PNG, 1, terms, words)
    if comes_out > LEAST_LETTER_PIXELS or fit_width == width:
        assert [(one.width, one.height) for one in pictures] == [fitting(width, height, terms)]
    else:
        assert len(pictures) == 1 or all(one.width > fit_width for one in pictures)
        # Upright pages gain by it; wide ones may not.
        assert len(pictures) == 2 or width > height


def test_a_wide_page_is_not_cut_where_that_shows_nothing_larger(tmp_path: Path) -> None:
    path = saved(Image.new("1", (3_300, 2_550), 1), tmp_path / "table.png")
    words = words_of(3_300, 2_550, letter_pixels=2)
    [picture] = pictures_of(path, PNG, 1, HAIKU, words)
    assert (picture.width, picture.height) == (2_000, 1_545)


@pytest.mark.parametrize("letter_pixels", [0.5, 20])
def test_a_small_picture_is_not_enlarged(tmp_path: Path, letter_pixels: float) -> None:
    path = saved(ramp(300, 200), tmp_path / "stamp.png")
    words = words_of(300, 200, letter_pixels=letter_pixels)
    [picture] = shown(pictures_of(path, PNG, 1, HAIKU, words))
    assert picture.size == (300, 200)


# What cannot be shown


def half_of(path: Path) -> bytes:
    return path.read_bytes()[: path.stat().st_size // 2]


SIGNED = SAMPLES / "smith-v-jones" / "order-granting-motion-to-compel.jpg"


@pytest.mark.parametrize(
    ("content", "media_type", "number"),
    [
        (lambda: b"", JPEG, 1),
        (lambda: b"", PDF, 1),
        (lambda: b"%PDF-1.4 and then nothing", PDF, 1),
        (lambda: b"GIF89a", PNG, 1),
        (lambda: half_of(SIGNED), JPEG, 1),
        (SIGNED.read_bytes, PNG, 1),
        (SIGNED.read_bytes, JPEG, 2),
        (SIGNED.read_bytes, "application/msword", 1),
        (lambda: pdf([Sheet()]), PDF, 2),
    ],
    ids=[
        "empty photo",
        "empty PDF",
        "broken PDF",
        "another format",
        "cut short",
        "called a PNG",
        "no second page in a photo",
        "a type nobody reads",
        "no second page in a PDF",
    ],
)
def test_what_cannot_be_drawn_gives_no_picture(
    tmp_path: Path, content: Callable[[], bytes], media_type: str, number: int
) -> None:
    path = tmp_path / "original"
    path.write_bytes(content())
    assert list(pictures_of(path, media_type, number, HAIKU, None)) == []


def test_a_download_that_was_not_complete_gives_no_picture() -> None:
    path = SAMPLES / "estate-of-miller" / "appraisal-report-incomplete-download.pdf"
    assert list(pictures_of(path, PDF, 1, HAIKU, None)) == []


# Legibility


@pytest.fixture(scope="module")
def engine() -> OcrEngine:
    return load_engine("rapidocr")


def read(engine: OcrEngine, path: Path, media_type: str) -> PageText:
    ((_, page),) = engine.read([PageRef(path, media_type, 1)])
    assert isinstance(page, PageText)
    return page


def lease(points: float) -> Sheet:
    """A page of so small print at its top, across its middle and at its bottom."""
    sheet = Sheet(size=points)
    for part, sheet.y in enumerate((720, 396 + 3 * points, 90)):
        sheet.paragraph(
            " ".join(
                f"The tenant of unit {part * 17 + number} at {number * 31 + part} Harbour Street "
                f"shall pay ${part * 1_037 + number * 91 + 100:,}.50 no later than March "
                f"{number + part * 9 + 1}, 2024, and waives any claim against the landlord."
                for number in range(2)
            )
        )
    return sheet


def recall(engine: OcrEngine, sheet: Sheet, pictures: Sequence[Picture], folder: Path) -> float:
    """Share of the sheet's words that are read on the pictures."""
    found: list[str] = []
    for number, one in enumerate(pictures):
        path = folder / f"{number}.jpg"
        path.write_bytes(base64.b64decode(one.data))
        found.append(read(engine, path, JPEG).text)
    return recall_and_precision("\n".join(sheet.truth), "\n".join(found))[0]


@pytest.mark.parametrize(
    ("terms", "points", "dpi"), [(HAIKU, 4, 300), (STANDARD, 4.5, 200)], ids=["haiku", "standard"]
)
def test_small_print_is_read_from_the_halves_and_not_from_the_page_in_one(
    engine: OcrEngine, tmp_path: Path, terms: Model, points: float, dpi: int
) -> None:
    sheet = lease(points)
    path = saved(Image.fromarray(rendered(sheet, dpi=dpi)), tmp_path / "page.png")
    halves = pictures_of(path, PNG, 1, terms, read(engine, path, PNG))
    in_one = pictures_of(path, PNG, 1, terms, None)
    assert (len(halves), len(in_one)) == (2, 1)
    from_halves = recall(engine, sheet, halves, tmp_path)
    assert from_halves > 0.95
    assert recall(engine, sheet, in_one, tmp_path) < from_halves - 0.05


def test_six_points_are_read_from_one_picture_where_the_model_sees_much(
    engine: OcrEngine, tmp_path: Path
) -> None:
    sheet = lease(6)
    path = saved(Image.fromarray(rendered(sheet, dpi=200)), tmp_path / "page.png")
    pictures = pictures_of(path, PNG, 1, HAIKU, read(engine, path, PNG))
    assert len(pictures) == 1
    assert recall(engine, sheet, pictures, tmp_path) > 0.97
