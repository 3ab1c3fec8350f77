"""The prompt cache, as usage shows it."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from tests.stack.claude.conftest import Site, said, words

MODEL = "claude-sonnet-4-6"
"""Caches 1,024 tokens and more."""

_numbers: Iterator[int] = count()


def cached(tokens: int, mark: str, ttl: str | None = None) -> dict[str, Any]:
    control = {"type": "ephemeral"} if ttl is None else {"type": "ephemeral", "ttl": ttl}
    return {"type": "text", "text": words(tokens, mark), "cache_control": control}


@pytest.fixture
def mark() -> str:
    """Text that no other test has cached."""
    return f"{next(_numbers):04}"


def used(site: Site, *content: Any, **changes: Any) -> tuple[int, int, int]:
    """Tokens written to the cache, read from it, and neither."""
    usage = site.ask(model=MODEL, messages=said(*content), **changes).usage
    written, read = usage.cache_creation_input_tokens, usage.cache_read_input_tokens
    assert written is not None
    assert read is not None
    return written, read, usage.input_tokens


def test_a_prefix_is_written_once_and_read_afterwards(site: Site, mark: str) -> None:
    prefix = cached(2_000, mark)
    assert used(site, prefix, words(10)) == (2_000, 0, 10)
    assert used(site, prefix, words(30, "y")) == (0, 2_000, 30)
    assert used(site, cached(2_000, "other"), words(10)) == (2_000, 0, 10)


def test_system_and_tools_are_before_the_messages(site: Site, mark: str) -> None:
    system = [cached(1_500, mark)]
    tool = {"name": "a", "input_schema": {"type": "object"}}
    assert used(site, words(10), system=system) == (1_500, 0, 10)
    assert used(site, words(20), system=system) == (0, 1_500, 20)
    written, read, _ = used(site, words(20), system=system, tools=[tool])
    assert (written > 1_500, read) == (True, 0)


def test_what_is_too_short_is_not_cached(site: Site, mark: str) -> None:
    short = cached(1_023, mark)
    assert used(site, short, words(10)) == (0, 0, 1_033)
    assert used(site, short, words(10)) == (0, 0, 1_033)


def test_a_longer_prompt_reads_the_part_it_shares(site: Site, mark: str) -> None:
    first, second = cached(1_200, mark), cached(300, "z")
    assert used(site, first) == (1_200, 0, 0)
    assert used(site, first, second, words(5)) == (300, 1_200, 5)
    plain = {"type": "text", "text": words(1_200, mark)}
    assert used(site, plain, second, words(5)) == (0, 1_500, 5)


def test_a_beginning_further_back_than_20_blocks_is_not_found(site: Site, mark: str) -> None:
    assert used(site, cached(1_200, mark)) == (1_200, 0, 0)
    plain = {"type": "text", "text": words(1_200, mark)}
    near = [words(1, "n")] * 18
    assert used(site, plain, *near, cached(1, "n")) == (19, 1_200, 0)
    far = [words(1, "f")] * 19
    assert used(site, plain, *far, cached(1, "f")) == (1_220, 0, 0)


def test_an_entry_lives_five_minutes_after_its_last_use(site: Site, mark: str) -> None:
    prefix = cached(2_000, mark)
    assert used(site, prefix) == (2_000, 0, 0)
    site.advance(200)
    assert used(site, prefix) == (0, 2_000, 0)
    site.advance(200)
    assert used(site, prefix) == (0, 2_000, 0)
    site.advance(301)
    assert used(site, prefix) == (2_000, 0, 0)


def test_an_entry_for_an_hour_is_counted_apart(site: Site, mark: str) -> None:
    long, short = cached(1_500, mark, "1h"), cached(200, "s", "5m")
    usage = site.ask(model=MODEL, messages=said(long, short)).usage
    assert usage.cache_creation is not None
    assert usage.cache_creation.ephemeral_1h_input_tokens == 1_500
    assert usage.cache_creation.ephemeral_5m_input_tokens == 200
    site.advance(3_000)
    assert used(site, long, short) == (200, 1_500, 0)
    row = site.served()[-1]
    assert row["cache_creation_5m_input_tokens"] == 200
    assert row["cache_read_input_tokens"] == 1_500


def test_cache_control_of_the_whole_request_marks_its_last_block(site: Site, mark: str) -> None:
    everything = {"cache_control": {"type": "ephemeral"}}
    assert used(site, words(1_500, mark), **everything) == (1_500, 0, 0)
    assert used(site, words(1_500, mark), **everything) == (0, 1_500, 0)


def test_models_schemas_and_accounts_do_not_share_a_cache(site: Site, mark: str) -> None:
    prefix = cached(5_000, mark)
    assert used(site, prefix) == (5_000, 0, 0)
    other = site.ask(model="claude-haiku-4-5", messages=said(prefix)).usage
    assert other.cache_read_input_tokens == 0
    theirs = site.other.messages.create(model=MODEL, max_tokens=10, messages=said(prefix)).usage
    assert theirs.cache_read_input_tokens == 0
    schema: Any = {"type": "object", "properties": {}, "additionalProperties": False}
    form: Any = {"format": {"type": "json_schema", "schema": schema}}
    assert used(site, prefix, output_config=form)[1] == 0


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ([cached(1, "a")] * 5, "A maximum of 4 blocks with cache_control may be provided. Found 5"),
        ([cached(1, "a", "5m"), cached(1, "b", "1h")], "must not come after a ttl='5m'"),
        ([cached(1, "a", "1d")], "ttl"),
        ([{"type": "text", "text": "a", "cache_control": {"type": "eternal"}}], "cache_control"),
    ],
)
def test_breakpoints_that_make_no_sense_are_refused(
    site: Site, content: list[Any], text: str
) -> None:
    assert text in (site.refused(messages=said(*content)).api_message or "")


def test_the_four_kinds_of_tokens_are_all_there_are(site: Site, mark: str) -> None:
    messages = said(cached(1_300, mark), "and a question")
    total = site.client.messages.count_tokens(model=MODEL, messages=messages).input_tokens
    for _ in range(2):
        assert sum(used(site, *messages[0]["content"])) == total
