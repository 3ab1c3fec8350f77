"""Which pages are blank: dirt, noise and shadows are not ink; the faintest print is."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from gpu_image.blank import Ink, ink_of, without_dirt
from gpu_image.layout import FoundWord
from samples.paper import Sheet, faxed, rendered, scanned

DPI = 120
HEIGHT, WIDTH = 11 * DPI, 17 * DPI // 2
ROWS, COLUMNS = np.mgrid[0:HEIGHT, 0:WIDTH]
Shades = NDArray[np.floating]


def noise(spread: float) -> Shades:
    return np.random.default_rng(1).normal(0, spread, (HEIGHT, WIDTH))


def paper(shade: float = 255) -> Shades:
    return np.full((HEIGHT, WIDTH), shade)


def dusty(count: int, size: int) -> Shades:
    dirty, places = paper(), np.random.default_rng(2)
    for y, x in places.integers(0, [HEIGHT - size, WIDTH - size], (count, 2)):
        dirty[y : y + size, x : x + size] = 60
    return dirty


def typed(text: str, size: float, *, strength: float = 1.0) -> Shades:
    sheet = Sheet(size=size)
    sheet.line(text, align="center")
    return 255 - (255.0 - rendered(sheet, dpi=DPI)) * strength


def with_holes() -> Shades:
    punched = paper()
    for y in (180, 1140):
        punched[(ROWS - y) ** 2 + (COLUMNS - 48) ** 2 < 17**2] = 20
    return punched


def with_black_edges() -> Shades:
    edged = paper()
    edged[:7], edged[:, -12:] = 0, 10
    return edged


def seen_through() -> Shades:
    sheet = Sheet()
    sheet.lines("what stands on the other side of the sheet\n" * 20)
    back = rendered(sheet, dpi=DPI)[:, ::-1].astype(float)
    return 250 - (255 - back) * 0.05 + noise(3)


EMPTY: dict[str, Callable[[], Shades]] = {
    "white": paper,
    "gray": lambda: paper(170),
    "noise": lambda: paper(235) + noise(5),
    "much noise": lambda: paper(200) + noise(40),
    "dust": lambda: dusty(60, 1),
    "black edges of a scanner": with_black_edges,
    "punched holes": with_holes,
    "black": lambda: paper(0),
    "dark noise": lambda: paper(40) + noise(5),
    "a shadow over a photo": lambda: 240 - ROWS * 0.08 - COLUMNS * 0.03 + noise(6),
    "half in the shade": lambda: 240 - 70 / (1 + np.exp((540 - COLUMNS) / 36)) + noise(4),
    "the back of a thin sheet": seen_through,
    "a scanned sheet": lambda: scanned(rendered(Sheet(), dpi=DPI), seed=3).astype(float),
}

WRITTEN: dict[str, Callable[[], Shades]] = {
    "a page number": lambda: typed("2", 12),
    "a faint page number": lambda: typed("2", 12, strength=0.12),
    "a faint one in noise": lambda: paper(245) - (255 - typed("2", 12, strength=0.25)) + noise(5),
    "one small letter": lambda: typed("x", 8),
    "small print": lambda: typed("this is small", 6),
    "one light line on dark": lambda: 255 - typed("Exhibits", 30),
    "a line in its negative": lambda: 255 - typed("Book 212 Page 45", 12),
    "one line in a fax": lambda: faxed(
        typed("intentionally left blank", 12).astype(np.uint8), seed=3, skew_degrees=1
    ).astype(float),
}


def ink(shades: Shades) -> Ink:
    gray = shades.clip(0, 255).astype(np.uint8)
    return ink_of(np.repeat(gray[:, :, np.newaxis], 3, axis=2))


@pytest.mark.parametrize("page", EMPTY)
def test_an_empty_page_is_blank_without_being_read(page: str) -> None:
    assert ink(EMPTY[page]()).is_none


@pytest.mark.parametrize("page", WRITTEN)
def test_whatever_is_written_is_read(page: str) -> None:
    assert not ink(WRITTEN[page]()).is_none


@pytest.mark.parametrize(
    "page",
    [
        lambda: dusty(20, 5),
        lambda: np.where(np.random.default_rng(1).random((HEIGHT, WIDTH)) < 0.01, 0.0, 255.0),
        lambda: faxed(rendered(Sheet(), dpi=200), seed=3, skew_degrees=1).astype(float),
    ],
    ids=["dirt", "salt and pepper", "a fax of nothing"],
)
def test_specks_on_which_no_words_are_found_are_a_blank_page(page: Callable[[], Shades]) -> None:
    seen = ink(page())
    assert without_dirt([], seen) == ((), True)
    assert without_dirt([word("■"), word("."), word("□")], seen) == ((), True)


def word(text: str, confidence: float = 0.6) -> FoundWord:
    return FoundWord(text, np.zeros((4, 2)), confidence)


def test_a_signature_or_a_picture_without_words_is_not_blank() -> None:
    signed = paper()
    signed[900:903, 240:420] = 0
    assert without_dirt([], ink(signed))[1] is False
    photo = 128 + 120 * np.sin(ROWS / 54) * np.cos(COLUMNS / 78)
    assert without_dirt([], ink(photo))[1] is False


def test_print_that_the_engine_cannot_read_is_not_blank() -> None:
    seen = ink(typed("xoxo xoxo ixix xoxo xoxo ixix xoxo xoxo ixix xoxo", 7))
    assert without_dirt([], seen)[1] is False


def test_a_sure_letter_is_a_word_and_an_unsure_one_among_specks_is_not() -> None:
    specks = Ink(marks=5, dust=3, largest_pixels=6)
    assert without_dirt([word("l", 0.55)], specks) == ((), True)
    sure = [word("7", 0.97)]
    assert without_dirt(sure, specks) == (sure, False)
    large = Ink(marks=1, dust=0, largest_pixels=30)
    unsure = [word("l", 0.55)]
    assert without_dirt(unsure, large) == (unsure, False)
