"""A searchable PDF shows the page as it was, and a reader finds each word where it stands."""

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import pikepdf
import pypdfium2 as pdfium
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bench.placed_pages import PlacedPage, found_words, placed_pages, share_in_place
from rendering.pages import Pixels, open_document
from schema.files import PDF
from schema.ocr import Point, Word
from tasks.publishing.assembling import Assembled, assemble, frame_of
from tasks.publishing.layer import LayerWriter
from tasks.publishing.placement import PageFrame, slabs_of

PAGES = {page.name: page for page in placed_pages()}


def made(page: PlacedPage, folder: Path) -> tuple[Path, Assembled]:
    original, output = folder / "original", folder / "searchable.pdf"
    original.write_bytes(page.content)
    return output, assemble(original, page.media_type, [1], lambda _: page.words, output)


def drawn(pdf: Path) -> Pixels:
    with open_document(pdf, PDF, dpi=150) as document:
        return document.page(1)


def picture_in(pdf: Path) -> Pixels:
    with pikepdf.Pdf.open(pdf) as opened:
        (picture,) = opened.pages[0].images.values()
        return np.asarray(pikepdf.PdfImage(cast("pikepdf.Stream", picture)).as_pil_image())


@pytest.mark.parametrize("name", PAGES)
def test_words_are_found_where_they_stand_and_no_pixel_changes(name: str, tmp_path: Path) -> None:
    page = PAGES[name]
    output, assembled = made(page, tmp_path)
    assert (assembled.pages, assembled.layered, assembled.pdfa) == (1, 1, "2b")
    assert share_in_place(page.words, found_words(output)) >= 0.95
    shown = drawn(output)
    if page.media_type == PDF:
        assert np.array_equal(shown, drawn(tmp_path / "original"))
    elif "mirrored" not in name:  # which is drawn and compressed anew
        assert np.array_equal(picture_in(output), np.asarray(Image.open(io.BytesIO(page.content))))
    # The truth is true: there is ink within the boxes.
    height, width = shown.shape[:2]
    for word in page.words[:20]:
        xs, ys = [x * width for x, _ in word.quad], [y * height for _, y in word.quad]
        box = shown[round(min(ys)) : round(max(ys)), round(min(xs)) : round(max(xs))]
        assert box.min() < 128, word.text


def test_pdfium_reads_the_words_in_their_order_too(tmp_path: Path) -> None:
    page = PAGES["/Rotate 90"]
    output, _ = made(page, tmp_path)
    document = pdfium.PdfDocument(output)
    assert document[0].get_textpage().get_text_bounded().split() == [one.text for one in page.words]


def test_a_jpeg_keeps_its_bytes(tmp_path: Path) -> None:
    page = PAGES["photo, EXIF 6"]
    output, _ = made(page, tmp_path)
    with pikepdf.Pdf.open(output) as pdf:
        (picture,) = pdf.pages[0].images.values()
        assert picture.read_raw_bytes() == page.content


def test_scripts_that_other_fonts_write_are_read_back(tmp_path: Path) -> None:
    texts = ["法院", "判决书", "محكمة", "שלום", "ราชการ", "суд", "ﬁnal", "€5", "😀", "x" * 300]
    page = PAGES["scan turned 0"]
    words = [
        Word(text=text, quad=one.quad, confidence=1, line=number)
        for number, (text, one) in enumerate(zip(texts, page.words, strict=False))
    ]
    output, _ = made(PlacedPage(page.name, page.media_type, page.content, words), tmp_path)
    text = pdfium.PdfDocument(output)[0].get_textpage().get_text_bounded()
    for expected in ("法院", "判决书", "суд", "€5", "x" * 300):
        assert expected in text


fraction = st.floats(-0.05, 1.05, allow_nan=False)
corner = st.tuples(fraction, fraction)
one_word = st.builds(
    Word,
    text=st.text(min_size=1, max_size=6),
    quad=st.tuples(corner, corner, corner, corner),
    confidence=st.just(1.0),
    line=st.integers(0, 3),
)


@settings(max_examples=60)
@given(words=st.lists(one_word, max_size=8), rotate=st.sampled_from((0, 90, 180, 270)))
def test_whatever_an_engine_reports_has_its_place(words: Sequence[Word], rotate: int) -> None:
    for slab in slabs_of(words, PageFrame(-10, 20, 602, 812, rotate)):
        assert all(math.isfinite(value) for value in slab.matrix)
        for line in slab.lines:
            assert 0 < line.top <= line.bottom < slab.height
            for word in line.words:
                assert 0 < word.left <= word.right < slab.width


def test_whatever_an_engine_reports_becomes_a_layer(tmp_path: Path) -> None:
    texts = [
        "\x01",
        "\u202e",
        ")",
        "\\",
        "\ud7ff",
        "\U0010fffd",
        "́",
        "a\x85b",
        "\ufffe",
        "x" * 1000,
    ]
    corners: list[tuple[Point, Point, Point, Point]] = [
        ((0, 0), (1, 1), (1, 0), (0, 1)),
        ((1, 1), (0, 1), (0, 0), (1, 0)),
        ((0.5, 0.5), (0.5001, 0.5), (0.5001, 0.5001), (0.5, 0.5001)),
        ((0, 0), (0.001, 0), (0.001, 1), (0, 1)),
    ]
    words = [
        Word(text=text, quad=quad, confidence=1, line=number)
        for number, (text, quad) in enumerate((text, quad) for text in texts for quad in corners)
    ]
    slabs = slabs_of(words, PageFrame(0, 0, 612, 792, 0))
    LayerWriter().write(slabs, tmp_path / "layer.pdf")
    with pikepdf.Pdf.open(tmp_path / "layer.pdf") as layer:
        assert len(layer.pages) == len(slabs) > 0


@pytest.mark.parametrize(
    ("boxes", "expected"),
    [
        ({"/MediaBox": [0, 0, 100, 200]}, (0, 0, 100, 200, 0)),
        ({"/MediaBox": [100, 200, 0, 0], "/Rotate": -90}, (0, 0, 100, 200, 270)),
        ({"/MediaBox": [0, 0, 100, 200], "/CropBox": [-50, 10, 90, 999]}, (0, 10, 90, 200, 0)),
        ({"/MediaBox": [0, 0, 0, 0], "/Rotate": 450}, (0, 0, 612, 792, 90)),
        ({"/MediaBox": [0, 0, 9, 9], "/Rotate": 45}, (0, 0, 9, 9, 0)),
    ],
)
def test_what_a_page_shows_is_what_pdfium_shows(
    boxes: dict[str, list[float] | float], expected: tuple[float, ...]
) -> None:
    with pikepdf.Pdf.new() as pdf:
        page = pdf.add_blank_page(page_size=(100, 200))
        for name, value in boxes.items():
            page.obj[name] = pikepdf.Array(value) if isinstance(value, list) else value
        frame = frame_of(page)
        assert (frame.left, frame.bottom, frame.right, frame.top, frame.rotate) == expected
        saved = io.BytesIO()
        pdf.save(saved)
    width, height = pdfium.PdfDocument(saved.getvalue())[0].get_size()
    sides = (frame.right - frame.left, frame.top - frame.bottom)
    assert (width, height) == pytest.approx(sides if frame.rotate % 180 == 0 else sides[::-1])
