"""What files will cost: never less for more, never more than at most."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from blocks.claude import MODELS, Claude
from tasks.claude.pictures import patches
from tasks.estimating import (
    ASSUMED_CHARACTERS,
    Document,
    Page,
    Reader,
    claude_cost,
    cost_with_claude,
    document_of,
    picture_tokens,
    reading_cost,
)
from tasks.inspection import inspect

SAMPLES = Path(__file__).parents[2] / "samples" / "smith-v-jones"

CLAUDE = Claude(api_key=SecretStr(""))
READER = Reader(
    pages_per_second=10.0,
    dollars_per_hour=Decimal("0.36"),
    starting_seconds=20.0,
    idle_seconds=30.0,
    session_seconds=3600.0,
    max_session_dollars=Decimal(2),
    max_hosts=1,
    pages_per_session=2000,
    dollars_to_pull=Decimal("0.04"),
    dollars_per_gb=Decimal("0.01"),
)


def scan(pages: int) -> Document:
    page = Page(ASSUMED_CHARACTERS, ASSUMED_CHARACTERS, is_to_be_read=True)
    return Document(f"{pages}.pdf", [page] * pages, size_bytes=100_000 * pages)


def born_digital(pages: int, characters: int = 3_000) -> Document:
    return Document("a.pdf", [Page(characters, characters, is_to_be_read=False)] * pages, 10_000)


def the_documents() -> st.SearchStrategy[Document]:
    text = st.integers(0, 20_000).map(lambda length: Page(length, length, is_to_be_read=False))
    unread = st.just(scan(1).pages[0])
    pages = st.lists(st.one_of(text, unread), min_size=1, max_size=60)
    return pages.map(lambda some: Document("a.pdf", some, 1_000))


def the_blocks() -> st.SearchStrategy[Claude]:
    return st.builds(
        Claude,
        api_key=st.just(SecretStr("")),
        model=st.sampled_from(sorted(MODELS)),
        pictures=st.sampled_from(["scans", "all", "none"]),
        pages_per_call=st.integers(1, 16),
        answer_tokens=st.integers(1_000, 20_000),
    )


def expected(document: Document, block: Claude = CLAUDE, *, in_batch: bool = False) -> Decimal:
    return cost_with_claude(document, block, in_batch=in_batch).expected_dollars


# Claude


@given(the_documents(), the_blocks(), st.booleans())
def test_nothing_is_expected_to_cost_more_than_the_most_it_can(
    document: Document, block: Claude, in_batch: bool
) -> None:
    cost = cost_with_claude(document, block, in_batch=in_batch)
    assert 0 < cost.expected_dollars <= cost.needed_dollars <= cost.most_dollars


@given(the_documents(), the_blocks())
def test_the_night_costs_half(document: Document, block: Claude) -> None:
    at_once, in_batch = (
        cost_with_claude(document, block, in_batch=night) for night in (False, True)
    )
    rounding = Decimal("0.000001") * at_once.questions
    assert in_batch.questions == at_once.questions
    assert abs(in_batch.expected_dollars - at_once.expected_dollars / 2) <= rounding
    assert abs(in_batch.most_dollars - at_once.most_dollars / 2) <= rounding


@given(st.integers(1, 200), the_blocks())
def test_a_longer_scan_never_costs_less(pages: int, block: Claude) -> None:
    shorter, longer = (cost_with_claude(scan(n), block, in_batch=False) for n in (pages, pages + 1))
    assert longer.questions >= shorter.questions
    assert longer.expected_dollars > shorter.expected_dollars


@given(the_documents(), st.integers(1, 5_000))
def test_more_text_never_costs_less(document: Document, more: int) -> None:
    fuller = [
        replace(page, characters=page.characters + more, size_bytes=page.size_bytes + more)
        for page in document.pages
    ]
    assert expected(replace(document, pages=fuller)) >= expected(document)


@pytest.mark.parametrize(
    ("pages", "questions"),
    [(1, 1), (10, 1), (11, 3), (30, 4)],
)
def test_a_document_of_many_parts_is_asked_about_as_a_whole_too(pages: int, questions: int) -> None:
    assert cost_with_claude(scan(pages), CLAUDE, in_batch=False).questions == questions


def test_pictures_are_paid_for_as_the_block_says() -> None:
    def block(pictures: str) -> Claude:
        return Claude.model_validate({"api_key": "", "pictures": pictures})

    none, scans, every = block("none"), block("scans"), block("all")
    assert expected(scan(3), none) < expected(scan(3), scans) == expected(scan(3), every)
    text = born_digital(3)
    assert expected(text, none) == expected(text, scans) < expected(text, every)
    tokens = 3 * picture_tokens(CLAUDE.terms)
    paid = expected(text, every) - expected(text, none)
    assert abs(paid - tokens * CLAUDE.terms.input / 1_000_000) <= Decimal("0.000001")


@pytest.mark.parametrize("model", sorted(MODELS))
def test_the_picture_of_a_page_is_shown_as_large_as_the_model_sees(model: str) -> None:
    terms = MODELS[model]
    assert terms.picture_tokens * 0.8 < picture_tokens(terms) <= terms.picture_tokens
    assert picture_tokens(terms) < patches(1700, 2200)


def test_a_document_that_does_not_fit_into_its_limit_is_named() -> None:
    small, large = scan(2), scan(400)
    dear = Claude.model_validate(
        {"api_key": "", "model": "claude-fable-5-2", "document_limit_dollars": 2}
    )
    cost = claude_cost([small, large], dear, in_batch=False)
    assert [one.document for one in cost.too_dear] == [large]
    assert claude_cost([small, large], CLAUDE, in_batch=False).too_dear == []


def test_a_question_that_cannot_be_set_aside_for_makes_a_document_too_dear() -> None:
    cost = cost_with_claude(scan(1), CLAUDE, in_batch=False)
    between = (cost.expected_dollars + cost.needed_dollars) / 2
    block = CLAUDE.model_copy(update={"document_limit_dollars": float(between)})
    assert len(claude_cost([scan(1)], block, in_batch=False).too_dear) == 1


def test_many_documents_cost_what_each_costs() -> None:
    documents = [scan(3), born_digital(25), scan(12)]
    costs = [cost_with_claude(one, CLAUDE, in_batch=False) for one in documents]
    together = claude_cost(documents, CLAUDE, in_batch=False)
    assert together.questions == sum(one.questions for one in costs)
    assert together.expected_dollars == sum(one.expected_dollars for one in costs)
    assert together.most_dollars == sum(one.most_dollars for one in costs)


def test_no_documents_cost_nothing() -> None:
    assert claude_cost([], CLAUDE, in_batch=False).most_dollars == 0
    assert reading_cost([], READER).most_dollars == 0


# Reading


@given(st.integers(1, 50_000), st.integers(1, 50_000))
def test_more_pages_never_cost_less_to_read(one: int, other: int) -> None:
    fewer, more = (reading_cost([scan(pages)], READER) for pages in sorted((one, other)))
    assert fewer.dollars <= more.dollars
    assert fewer.sessions <= more.sessions
    assert more.dollars <= more.most_dollars


def test_what_is_born_digital_needs_no_reading() -> None:
    cost = reading_cost([born_digital(500)], READER)
    assert (cost.pages, cost.sessions, cost.dollars) == (0, 0, 0)


def test_a_session_is_billed_from_its_start_to_the_end_of_its_wait() -> None:
    cost = reading_cost([scan(1_000)], READER)
    assert (cost.sessions, cost.seconds) == (1, 100 + 20 + 30)
    # 150 s at $0.36/h, the image, and a tenth of a GB.
    assert cost.dollars == Decimal("0.015") + Decimal("0.04") + Decimal("0.001")


def test_as_many_sessions_as_the_dispatcher_opens_are_paid_for() -> None:
    several = replace(READER, max_hosts=3)
    assert [reading_cost([scan(n)], several).sessions for n in (2_000, 2_001, 10_000)] == [1, 2, 3]


def test_a_session_that_runs_out_of_time_or_money_is_followed_by_another() -> None:
    pages = 10 * 3600 * 2  # two hours of reading
    assert reading_cost([scan(pages)], READER).sessions == 3
    dear = replace(READER, dollars_per_hour=Decimal(4))
    assert reading_cost([scan(pages)], dear).sessions > 4


def test_a_machine_of_ones_own_that_costs_nothing_reads_for_nothing() -> None:
    own = replace(
        READER,
        dollars_per_hour=Decimal(0),
        max_session_dollars=Decimal(0),
        dollars_to_pull=Decimal(0),
        dollars_per_gb=Decimal(0),
    )
    cost = reading_cost([scan(5_000)], own)
    assert (cost.pages, cost.dollars, cost.most_dollars) == (5_000, 0, 0)


# Files


def test_a_file_is_what_its_inspection_says() -> None:
    scanned, digital = (
        document_of(name, inspect(SAMPLES / name), size_bytes=1)
        for name in ("motion-to-compel-scan.pdf", "settlement-agreement.pdf")
    )
    assert (len(scanned.pages), scanned.pages_to_read) == (3, 3)
    assert {page.characters for page in scanned.pages} == {ASSUMED_CHARACTERS}
    assert (len(digital.pages), digital.pages_to_read) == (2, 0)
    assert all(0 < page.characters <= page.size_bytes for page in digital.pages)
