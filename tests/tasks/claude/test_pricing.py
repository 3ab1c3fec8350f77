"""What answers cost, to the millionth of a dollar, and never more than was set aside."""

from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from blocks.claude import MODELS, Model
from schema.claude import Usage
from tasks.claude.pricing import most, price, tokens_of

HAIKU = MODELS["claude-haiku-5-5"]
LONG = 100_000


def used(*, read: int = 0, written: int = 0, cached: int = 0, from_cache: int = 0) -> Usage:
    return Usage(read, written, cached, from_cache)


def dollars(usage: Usage, *, in_batch: bool = False) -> Decimal:
    return price(usage, HAIKU, in_batch=in_batch)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (used(read=100_000), "0.010000"),
        (used(written=16_000), "0.008000"),
        (used(cached=4_000), "0.000500"),
        (used(from_cache=4_000), "0.000040"),
        # 12,345 x 0.10 + 678 x 0.50 + 2,000 x 0.125 + 3,000 x 0.01, a million times less
        (used(read=12_345, written=678, cached=2_000, from_cache=3_000), "0.001854"),
        (used(), "0.000000"),
    ],
)
def test_each_kind_of_token_has_its_price(usage: Usage, expected: str) -> None:
    assert dollars(usage) == Decimal(expected)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (used(read=100_001), "0.050001"),
        # It is the whole prompt that counts, wherever it was read from; not the answer.
        (used(read=1, cached=50_000, from_cache=50_000, written=1_000), "0.036251"),
        (used(read=100_000, written=1_000), "0.010500"),
    ],
)
def test_a_prompt_of_more_than_a_hundred_thousand_tokens_costs_five_times_as_much(
    usage: Usage, expected: str
) -> None:
    assert dollars(usage) == Decimal(expected)


def test_the_other_models_have_one_price_for_prompts_of_any_length() -> None:
    usage = Usage(900_000, 10_000, 0, 0)
    assert price(usage, MODELS["claude-sonnet-5-5"], in_batch=False) == Decimal("1.900000")


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (used(read=20_000, written=1_000), "0.001250"),
        (used(read=200_000, written=1_000), "0.051250"),
    ],
)
def test_in_a_batch_it_costs_half(usage: Usage, expected: str) -> None:
    assert dollars(usage, in_batch=True) == Decimal(expected)
    assert dollars(usage) == 2 * Decimal(expected)


def test_part_of_a_millionth_counts_as_a_whole_one() -> None:
    assert dollars(used(read=1)) == Decimal("0.000001")
    assert dollars(used(read=11)) == Decimal("0.000002")
    assert dollars(used(read=10)) == Decimal("0.000001")
    assert dollars(used(read=10), in_batch=True) == Decimal("0.000001")


tokens = st.integers(0, 300_000)
usages = st.builds(Usage, tokens, tokens, tokens, tokens)


@given(usage=usages, in_batch=st.booleans(), model=st.sampled_from(sorted(MODELS)))
def test_no_price_is_rounded_down_nor_up_by_more_than_a_millionth(
    usage: Usage, in_batch: bool, model: str
) -> None:
    terms = MODELS[model]
    exact = (
        terms.input * usage.input_tokens
        + terms.output * usage.output_tokens
        + terms.cache_write * usage.cache_write_tokens
        + terms.cache_read * usage.cache_read_tokens
    ) / 1_000_000
    if usage.prompt_tokens > (terms.long_prompt_tokens or 10**9):
        exact *= terms.long_prompt_factor
    exact /= 2 if in_batch else 1
    found = price(usage, terms, in_batch=in_batch)
    assert exact <= found < exact + Decimal("0.000001")


rates = st.decimals(0, 100, places=3)
terms_of_any_kind = st.sampled_from(sorted(MODELS)).map(MODELS.__getitem__) | st.builds(
    Model,
    input=rates,
    output=rates,
    cache_write=rates,
    cache_read=rates,
    picture_tokens=st.integers(100, 5_000),
    long_prompt_tokens=st.none() | st.just(LONG),
    long_prompt_factor=st.decimals(1, 10, places=1),
)


@given(
    terms=terms_of_any_kind,
    text_bytes=st.integers(0, 150_000),
    pictures=st.integers(0, 32),
    answer_tokens=st.integers(0, 20_000),
    shares=st.tuples(*[st.floats(0, 1)] * 4),
    in_batch=st.booleans(),
)
def test_no_answer_costs_more_than_was_set_aside_for_it(
    terms: Model,
    text_bytes: int,
    pictures: int,
    answer_tokens: int,
    shares: tuple[float, float, float, float],
    in_batch: bool,
) -> None:
    # Any part of the longest prompt, read in any way; any part of the longest answer.
    prompt = int((text_bytes + pictures * terms.picture_tokens) * shares[0])
    cached = int(prompt * shares[1])
    from_cache = int((prompt - cached) * shares[2])
    usage = Usage(prompt - cached - from_cache, int(answer_tokens * shares[3]), cached, from_cache)
    at_most = most(
        text_bytes=text_bytes,
        pictures=pictures,
        answer_tokens=answer_tokens,
        terms=terms,
        in_batch=in_batch,
    )
    assert price(usage, terms, in_batch=in_batch) <= at_most


def test_the_most_is_what_the_longest_answer_to_a_prompt_new_to_the_cache_costs() -> None:
    at_most = most(
        text_bytes=40_000, pictures=10, answer_tokens=16_000, terms=HAIKU, in_batch=False
    )
    assert at_most == dollars(used(cached=40_000 + 10 * 4_784, written=16_000))


@given(characters=st.integers(0, 10**6), more=st.integers(1, 10**6))
def test_what_is_probable_grows_with_the_text_and_is_never_what_is_at_most(
    characters: int, more: int
) -> None:
    assume(characters > 0)
    assert 0 < tokens_of(characters) <= characters
    assert tokens_of(characters) <= tokens_of(characters + more)
    assert tokens_of(0) == 0
