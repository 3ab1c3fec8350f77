from itertools import islice, product

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sql.search import HIGHLIGHT_START, HIGHLIGHT_STOP, Filters, search_words
from tests.sql.house import House, new_document

ORDER = "The motion to compel discovery is granted. The defendant shall pay sanctions."
LETTER = "Your letter about the security deposit and the motion was received."


async def found(house: House, query: str, *, matter: str | None = None) -> list[tuple[str, int]]:
    async with house.transaction():
        hits = await search_words(house.db, query, filters=Filters(matter=matter))
    return [(hit.file_name, hit.page) for hit in hits]


@pytest.fixture
async def names(house: House) -> tuple[str, str]:
    """An order of two pages in one matter, a letter in another."""
    order = new_document("A cover sheet.", ORDER, matter="smith")
    letter = new_document(LETTER, matter="miller")
    await house.add(order)
    await house.add(letter)
    return order.file_name, letter.file_name


async def test_words_are_found_in_any_form_with_their_page(
    house: House, names: tuple[str, str]
) -> None:
    order, letter = names
    assert await found(house, "sanction") == [(order, 2)]
    assert await found(house, "DEPOSITS received") == [(letter, 1)]
    assert set(await found(house, "motions")) == {(order, 2), (letter, 1)}
    assert await found(house, "sanctions deposit") == []
    assert set(await found(house, "sanctions or deposit")) == {(order, 2), (letter, 1)}


async def test_a_quoted_phrase_is_found_as_it_stands(house: House, names: tuple[str, str]) -> None:
    order, _ = names
    assert await found(house, '"compel discovery"') == [(order, 2)]
    assert await found(house, '"discovery compel"') == []


async def test_a_minus_leaves_out(house: House, names: tuple[str, str]) -> None:
    order, letter = names
    assert await found(house, "motion -deposit") == [(order, 2)]
    assert await found(house, 'motion -"compel discovery"') == [(letter, 1)]


async def test_a_hyphen_inside_a_word_is_no_minus(house: House) -> None:
    new = new_document("A well-known forty-two page self-help book.")
    await house.add(new)
    assert await found(house, "well-known") == [(new.file_name, 1)]
    assert await found(house, "self-help -unknown") == [(new.file_name, 1)]


async def test_a_page_that_says_it_more_comes_first(house: House) -> None:
    once = new_document("The deposit, among many other things that this page is about.")
    often = new_document("Deposit: the deposit of the deposit.")
    await house.add(once)
    await house.add(often)
    assert await found(house, "deposit") == [(often.file_name, 1), (once.file_name, 1)]


async def test_a_matter_narrows_the_search(house: House, names: tuple[str, str]) -> None:
    order, letter = names
    assert await found(house, "motion", matter="smith") == [(order, 2)]
    assert await found(house, "motion", matter="miller") == [(letter, 1)]
    assert await found(house, "motion", matter="doe") == []


async def test_the_snippet_shows_the_found_words(house: House, names: tuple[str, str]) -> None:
    async with house.transaction():
        [hit] = await search_words(house.db, "sanctions")
    assert f"{HIGHLIGHT_START}sanctions{HIGHLIGHT_STOP}" in hit.snippet


async def test_no_more_is_found_than_asked_for(house: House) -> None:
    await house.add(new_document(*["The same words."] * 5))
    async with house.transaction():
        assert [hit.page for hit in await search_words(house.db, "words", limit=3)] == [1, 2, 3]


HOSTILE_QUERIES = [
    "",
    "the",
    "a\x00b",
    "\ud800",
    "'; drop table aseagi.pages; --",
    "%s %(query)s {}",
    "\\",
    "!&|<->:*()",
    '"' * 999,
    "-" * 10_000,
    "- " * 500 + "word",
    "-(" * 400 + "word",
    '-"' * 400 + "word",
    "word or " * 100_000,
    "-word " * 100_000,
    '"' + "word " * 100_000 + '"',
    "x" * 3_000_000,
]


@pytest.mark.parametrize("query", HOSTILE_QUERIES, ids=range(len(HOSTILE_QUERIES)))
async def test_whatever_is_typed_is_a_search(house: House, query: str) -> None:
    await house.add(new_document("One word."))
    await found(house, query)
    await found(house, query, matter="smith")


async def test_whatever_a_host_reads_can_be_stored(house: House) -> None:
    letters = [chr(first) for first in range(0x430, 0x450)]
    words = ["".join(four) for four in islice(product(letters, repeat=4), 60_000)]
    pairs = zip(words[::2], words[1::2], strict=True)
    await house.add(new_document(" ".join(f"{one}-{two}" for one, two in pairs)))


HOSTILE = st.text(
    st.sampled_from("-\"'!&|<>():*\\ \t\x00aÉ_²中or.") | st.characters(), max_size=1500
)


async def test_any_string_is_a_search(house: House) -> None:
    await house.add(new_document("One word or another."))
    tried: list[str] = []

    @settings(
        max_examples=100,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(HOSTILE)
    def collect(query: str) -> None:
        tried.append(query)

    collect()
    for query in tried:
        await found(house, query)
