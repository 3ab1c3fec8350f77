"""Reading order: lines, skew, columns, and the way back onto the page."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_image.layout import FoundWord, page_text, quad_on_page, reading_order

CHARACTER, HEIGHT, LEADING = 10.0, 20.0, 32.0


def typed(text: str, *, x: float = 50, y: float = 50) -> list[FoundWord]:
    """Words of a text with a line per line, in a fixed-width font."""
    words: list[FoundWord] = []
    for row, line in enumerate(text.strip("\n").splitlines()):
        left = x
        for piece in line.split(" "):
            right, top = left + CHARACTER * len(piece), y + row * LEADING
            if piece:
                corners = [[left, top], [right, top], [right, top + HEIGHT], [left, top + HEIGHT]]
                words.append(FoundWord(piece, np.array(corners), 0.9))
            left = right + CHARACTER
    return words


def turned(words: list[FoundWord], degrees: float) -> list[FoundWord]:
    angle = math.radians(degrees)
    matrix = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    return [FoundWord(word.text, word.quad @ matrix, word.confidence) for word in words]


def read(words: list[FoundWord]) -> str:
    return "\n".join(" ".join(word.text for word in line) for line in reading_order(words))


PARAGRAPH = """The motion of plaintiff to compel further responses
came on regularly for hearing on September 12, 2024.
IT IS SO ORDERED.
Dated: September 16, 2024"""

LEFT_COLUMN = """Recitals made in this
agreement bind both of
the parties and their
heirs and all of their
successors and assigns
from this day forward"""

RIGHT_COLUMN = """Payment is to be made
in two installments on
the dates that are set
out in the schedule at
the end of this paper
without any deduction"""


def test_a_page_without_words_has_no_lines() -> None:
    assert reading_order([]) == []


@given(order=st.permutations(range(len(typed(PARAGRAPH)))))
def test_the_order_words_were_found_in_does_not_matter(order: list[int]) -> None:
    words = typed(PARAGRAPH)
    assert read([words[index] for index in order]) == PARAGRAPH


@given(degrees=st.floats(-8, 8))
def test_a_skewed_page_keeps_its_lines(degrees: float) -> None:
    assert read(turned(typed(PARAGRAPH), degrees)) == PARAGRAPH


@given(places=st.lists(st.tuples(st.floats(0, 2000), st.floats(0, 3000)), min_size=1, max_size=40))
def test_every_word_appears_exactly_once_wherever_it_stands(
    places: list[tuple[float, float]],
) -> None:
    words = [word for n, (x, y) in enumerate(places) for word in typed(f"word{n}", x=x, y=y)]
    found = [word.text for line in reading_order(words) for word in line]
    assert sorted(found) == sorted(word.text for word in words)


def test_two_columns_of_prose_are_read_one_after_the_other() -> None:
    words = typed(LEFT_COLUMN) + typed(RIGHT_COLUMN, x=350)
    assert read(words) == f"{LEFT_COLUMN}\n{RIGHT_COLUMN}"


def test_a_heading_below_two_columns_is_read_after_both() -> None:
    words = typed(LEFT_COLUMN) + typed(RIGHT_COLUMN, x=350)
    words += typed("Miscellaneous", y=50 + 8 * LEADING)
    assert read(words) == f"{LEFT_COLUMN}\n{RIGHT_COLUMN}\nMiscellaneous"


def test_a_heading_across_both_columns_stays_above_them() -> None:
    heading = "A heading that runs across the whole width of this page"
    words = typed(heading, y=10) + typed(LEFT_COLUMN) + typed(RIGHT_COLUMN, x=350)
    assert read(words) == f"{heading}\n{LEFT_COLUMN}\n{RIGHT_COLUMN}"


def test_a_tables_rows_stay_together() -> None:
    labels = "\n".join(f"Check number {n} to the clerk" for n in range(1041, 1049))
    amounts = "\n".join(f"{n}.00" for n in range(501, 509))
    expected = "\n".join(
        " ".join(row) for row in zip(labels.splitlines(), amounts.splitlines(), strict=True)
    )
    assert read(typed(labels) + typed(amounts, x=600)) == expected


@pytest.mark.parametrize(
    ("rotation", "corners"),
    [
        (0, [(0.1, 0.2), (0.3, 0.2), (0.3, 0.25), (0.1, 0.25)]),
        (90, [(0.2, 0.9), (0.2, 0.7), (0.25, 0.7), (0.25, 0.9)]),
        (180, [(0.9, 0.8), (0.7, 0.8), (0.7, 0.75), (0.9, 0.75)]),
        (270, [(0.8, 0.1), (0.8, 0.3), (0.75, 0.3), (0.75, 0.1)]),
    ],
)
def test_a_word_is_put_back_where_it_stands_on_the_page(
    rotation: int, corners: list[tuple[float, float]]
) -> None:
    upright_size = (1000, 2000)
    width, height = upright_size if rotation in (0, 180) else upright_size[::-1]
    quad = np.array([[100, 400], [300, 400], [300, 500], [100, 500]], dtype=np.float64)
    on_page = quad_on_page(quad, width, height, rotation)
    assert np.allclose(np.array(on_page), np.array(corners))


def test_lines_are_numbered_in_reading_order_and_text_matches_words() -> None:
    page = page_text(
        typed(PARAGRAPH),
        width_pixels=700,
        height_pixels=300,
        rotation_degrees=0,
        engine="test",
        seconds=0,
    )
    assert page.text == PARAGRAPH
    lines: dict[int, list[str]] = {}
    for word in page.words:
        lines.setdefault(word.line, []).append(word.text)
    assert [" ".join(lines[number]) for number in sorted(lines)] == PARAGRAPH.splitlines()
