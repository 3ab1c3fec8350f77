"""Real reads with RapidOCR, on small pages."""

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from bench.recall import recall_and_precision
from gpu_image.engines import OcrEngine, PageRef, load_engine
from rendering.pages import PDF, PNG
from samples.paper import Gray, Sheet, faxed, pdf, photographed, rendered
from schema.failures import Failure
from schema.ocr import PageText

TEXT = """IN THE CIRCUIT COURT OF THE STATE OF OREGON
Estate of Harold J. Miller, Case No. 24PB03391
The personal representative shall file a receipt
for $412,875.19 no later than January 29, 2025."""


@pytest.fixture(scope="session")
def engine() -> OcrEngine:
    return load_engine("rapidocr")


@pytest.fixture(scope="session")
def small_page() -> Gray:
    return scan(dpi=130)


def scan(*, dpi: int) -> Gray:
    sheet = Sheet(size=13)
    sheet.lines(TEXT)
    return np.ascontiguousarray(rendered(sheet, dpi=dpi)[int(0.6 * dpi) : int(3.2 * dpi)])


def read(engine: OcrEngine, path: Path, pixels: Gray) -> PageText:
    Image.fromarray(pixels).save(path)
    ((ref, page),) = engine.read([PageRef(path, PNG, 1)])
    assert ref.page == 1
    assert isinstance(page, PageText)
    return page


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_a_page_is_read_upright_however_it_was_scanned(
    engine: OcrEngine, small_page: Gray, tmp_path: Path, rotation: int
) -> None:
    # Turned counter-clockwise, so that a clockwise turn by `rotation` makes it upright.
    stored = np.ascontiguousarray(np.rot90(small_page, k=rotation // 90))
    page = read(engine, tmp_path / "page.png", stored)
    assert page.rotation_degrees == rotation
    assert (page.height_pixels, page.width_pixels) == stored.shape
    assert page.text == TEXT
    assert page.confidence > 0.9
    reading_direction = {0: (1, 0), 90: (0, -1), 180: (-1, 0), 270: (0, 1)}[rotation]
    for word in page.words:
        (x0, y0), (x1, y1) = word.quad[0], word.quad[1]
        along = (x1 - x0) * reading_direction[0] + (y1 - y0) * reading_direction[1]
        assert along > 0, f"{word.text} does not run the way the text does"


def test_each_words_quad_stands_on_its_ink(
    engine: OcrEngine, small_page: Gray, tmp_path: Path
) -> None:
    page = read(engine, tmp_path / "page.png", small_page)
    height, width = small_page.shape
    rest = small_page.copy()
    for word in page.words:
        xs = [x * width for x, _ in word.quad]
        ys = [y * height for _, y in word.quad]
        area = np.s_[
            max(0, math.floor(min(ys))) : math.ceil(max(ys)),
            max(0, math.floor(min(xs))) : math.ceil(max(xs)),
        ]
        assert small_page[area].min() < 100, f"there is no ink under {word.text}"
        rest[area] = 255
    ink, left_over = (small_page < 128).sum(), (rest < 128).sum()
    assert left_over < 0.05 * ink


def test_a_skewed_noisy_fax_is_read(engine: OcrEngine, tmp_path: Path) -> None:
    page = read(engine, tmp_path / "fax.png", faxed(scan(dpi=200), seed=3, skew_degrees=1.8))
    assert "The personal representative shall file" in page.text
    assert "$412,875" in page.text


@pytest.mark.parametrize("degrees", [-5, 5])
def test_a_sheet_that_lay_askew_is_read(
    engine: OcrEngine, small_page: Gray, tmp_path: Path, degrees: float
) -> None:
    askew = Image.fromarray(small_page).rotate(
        degrees, expand=True, fillcolor=255, resample=Image.Resampling.BICUBIC
    )
    page = read(engine, tmp_path / "askew.png", np.asarray(askew))
    assert page.rotation_degrees == 0
    assert recall_and_precision(TEXT, page.text)[0] > 0.9
    assert page.text.splitlines()[1].startswith("Estate of Harold")


def test_a_pdf_that_says_another_turn_than_its_text_has_is_read_upright(
    engine: OcrEngine, tmp_path: Path
) -> None:
    sheet = Sheet(size=16)
    sheet.lines(TEXT)
    path = tmp_path / "turned.pdf"
    path.write_bytes(pdf([sheet]).replace(b"/MediaBox", b"/Rotate 90 /MediaBox", 1))
    ((_, page),) = engine.read([PageRef(path, PDF, 1)])
    assert isinstance(page, PageText)
    assert page.rotation_degrees == 270
    assert recall_and_precision(TEXT, page.text)[0] > 0.9


def test_a_stamp_is_read_as_small_as_it_is(engine: OcrEngine, tmp_path: Path) -> None:
    stamp = Image.new("L", (200, 80), 255)
    ImageDraw.Draw(stamp).multiline_text(
        (8, 6), "RECEIVED\nMAR 14 2024\nCLERK OF COURT", fill=40, font=ImageFont.load_default(14)
    )
    page = read(engine, tmp_path / "stamp.png", np.asarray(stamp))
    # Whether a gap of three pixels is a space is a matter of luck.
    assert page.text.replace(" ", "") == "RECEIVED\nMAR142024\nCLERKOFCOURT"


def test_a_photo_at_an_angle_with_a_shadow_is_read(
    engine: OcrEngine, small_page: Gray, tmp_path: Path
) -> None:
    photo = photographed(small_page, seed=3, size=(1400, 500))
    page = read(engine, tmp_path / "photo.png", photo)
    assert page.rotation_degrees == 0
    assert "shall file a receipt" in page.text
    assert "January 29, 2025" in page.text


@pytest.mark.parametrize("dirt", [0, 12], ids=["clean", "with specks"])
def test_a_blank_page_has_no_words_and_is_known_to_be_blank(
    engine: OcrEngine, tmp_path: Path, dirt: int
) -> None:
    paper = np.full((800, 600), 255, dtype=np.uint8)
    for y, x in np.random.default_rng(5).integers(50, 500, (dirt, 2)):
        paper[y : y + 4, x : x + 4] = 50
    page = read(engine, tmp_path / "blank.png", paper)
    assert page.is_blank
    assert page.words == []
    assert page.text == ""
    assert page.rotation_degrees == 0


def test_one_missing_page_fails_alone(engine: OcrEngine, tmp_path: Path) -> None:
    path = tmp_path / "one.pdf"
    path.write_bytes(pdf([Sheet()]))
    refs = [PageRef(path, PDF, number) for number in (7, 1)]
    outcomes = {ref.page: outcome for ref, outcome in engine.read(refs)}
    assert isinstance(outcomes[1], PageText)
    failure = outcomes[7]
    assert isinstance(failure, Failure)
    assert failure.page == 7
    assert "no page 7" in failure.reason
    assert not failure.retry_helps


def test_a_file_that_cannot_be_opened_is_the_files_failure(
    engine: OcrEngine, tmp_path: Path
) -> None:
    path = tmp_path / "broken.pdf"
    path.write_bytes(b"%PDF-1.4 and then nothing")
    ((_, failure),) = engine.read([PageRef(path, PDF, 1)])
    assert isinstance(failure, Failure)
    assert failure.reason == "The PDF is damaged or cut short and cannot be opened."


def test_reading_writes_nothing_to_the_console(
    engine: OcrEngine, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    read(engine, tmp_path / "blank.png", np.full((200, 200), 255, dtype=np.uint8))
    assert capfd.readouterr() == ("", "")
