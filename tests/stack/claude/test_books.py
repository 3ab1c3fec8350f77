"""The books: what was served is what clients received, plus what was lost on the way."""

import asyncio
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import anthropic
import pytest
from anthropic.types import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.stack.claude.conftest import MODEL, Open, Site, request_of, said, words

FIELDS = (
    "input_tokens",
    "cache_creation_5m_input_tokens",
    "cache_creation_1h_input_tokens",
    "cache_read_input_tokens",
    "output_tokens",
)
KINDS = ("429", "500", "529", "drop", "drop-after", "truncated", "refusal", "slow")
ITEM_KINDS = ("errored", "expired", "truncated", "refusal", "schema-invalid")


def tokens_of(message: Message) -> Counter[str]:
    usage = message.usage
    assert usage.cache_creation is not None
    return Counter(
        input_tokens=usage.input_tokens,
        cache_creation_5m_input_tokens=usage.cache_creation.ephemeral_5m_input_tokens,
        cache_creation_1h_input_tokens=usage.cache_creation.ephemeral_1h_input_tokens,
        cache_read_input_tokens=usage.cache_read_input_tokens or 0,
        output_tokens=usage.output_tokens,
    )


def tokens_in(row: dict[str, Any]) -> Counter[str]:
    return Counter({field: row[field] for field in FIELDS})


def added(each: Any) -> Counter[str]:
    return sum(each, Counter[str]())


def prompt_of(tokens: int, ttl: str | None) -> Any:
    block: dict[str, Any] = {"type": "text", "text": words(tokens)}
    if ttl is not None:
        block["cache_control"] = {"type": "ephemeral", "ttl": ttl}
    return said(block, "and?")


PROMPTS = st.builds(
    prompt_of, st.sampled_from([1, 70, 4_095, 4_096, 9_000]), st.sampled_from([None, "5m", "1h"])
)
CALLS = st.tuples(PROMPTS, st.sampled_from([1, 7, 500]), st.sampled_from([None, *KINDS]))
ITEMS = st.tuples(PROMPTS, st.sampled_from([0, 1, 500]), st.sampled_from([None, *ITEM_KINDS]))


@settings(max_examples=15)
@given(calls=st.lists(CALLS, max_size=6), items=st.lists(ITEMS, max_size=4))
def test_what_is_in_the_books_is_what_was_received_plus_what_was_lost(
    shared: Site, calls: list[Any], items: list[Any]
) -> None:
    last = shared.served()[-1]["number"] if shared.totals()["messages"] else 0
    received: list[Message] = []
    for messages, max_tokens, kind in calls:
        if kind is not None:
            shared.order({"on": "messages", "kind": kind})
        try:
            received.append(
                shared.client.messages.create(model=MODEL, max_tokens=max_tokens, messages=messages)
            )
        except anthropic.APIError:
            assert kind in KINDS
    if items:
        received += _batch(shared, items)
    rows = shared.served(after=last)
    lost = [row for row in rows if row["lost"]]
    delivered = [row for row in rows if not row["lost"]]
    assert len(lost) == sum(kind == "drop-after" for _, _, kind in calls)
    assert {row["message_id"] for row in delivered} == {message.id for message in received}
    assert added(map(tokens_of, received)) == added(map(tokens_in, delivered))
    assert added(map(tokens_in, shared.served())) == Counter(
        {field: shared.totals()[field] for field in FIELDS}
    )


def _batch(site: Site, items: list[Any]) -> list[Message]:
    for position, (_, _, kind) in enumerate(items):
        if kind is not None:
            site.order({"on": "item", "kind": kind, "match": {"custom_id": f"r{position}"}})
    batch = site.batch(
        *(
            request_of(f"r{position}", messages=messages, max_tokens=max_tokens)
            for position, (messages, max_tokens, _) in enumerate(items)
        )
    )
    site.ended(batch.id)
    site.control.delete("/rehearsal/faults").raise_for_status()
    results = site.results(batch.id).values()
    return [result.message for result in results if result.type == "succeeded"]


async def test_concurrent_requests_under_random_faults_are_all_accounted_for(
    open_claude: Open,
) -> None:
    site = open_claude(fault_seed=7)
    for kind in ("529", "drop", "drop-after"):
        site.order({"on": "messages", "kind": kind, "times": None, "probability": 0.2})

    async def ask(client: anthropic.AsyncAnthropic, number: int) -> Message | None:
        try:
            return await client.messages.create(
                model=MODEL, max_tokens=100, messages=said(f"Document {number}")
            )
        except anthropic.APIError:
            return None

    async with site.asynchronous() as client:
        answers = await asyncio.gather(*(ask(client, number) for number in range(100)))
    received = [answer for answer in answers if answer is not None]
    rows = site.served()
    lost = [row for row in rows if row["lost"]]
    assert received
    assert lost
    assert len(rows) == len(received) + len(lost)
    assert added(map(tokens_in, rows)) == added(map(tokens_of, received)) + added(
        map(tokens_in, lost)
    )


def test_the_books_survive_kill_9_with_what_was_lost(open_claude: Open) -> None:
    site = open_claude()
    site.order({"on": "messages", "kind": "drop-after"})
    with pytest.raises(anthropic.APIConnectionError):
        site.ask("Lost")
    site.ask("Received")
    books = site.served()
    site.running.kill()
    site.running.child.start()
    site.running.child.wait_ready(30)
    assert site.served() == books
    assert [row["lost"] for row in books] == [True, False]


def test_a_row_can_be_neither_changed_nor_deleted(open_claude: Open, tmp_path: Path) -> None:
    site = open_claude()
    site.ask()
    with closing(sqlite3.connect(tmp_path / "claude.sqlite3")) as books:
        for statement in ("UPDATE served SET output_tokens = 0", "DELETE FROM served"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                books.execute(statement)


def test_the_books_are_read_from_any_row_on_with_their_own_key_alone(open_claude: Open) -> None:
    site = open_claude()
    for _ in range(3):
        site.ask()
    page = site.control.get("/rehearsal/served", params={"after": 1, "limit": 1}).json()
    assert [row["number"] for row in page["served"]] == [2]
    assert page["totals"]["messages"] == 3
    assert site.control.get("/rehearsal/served", params={"after": -1}).status_code == 400
    site.control.headers["Authorization"] = f"Bearer {site.running.api_key}"
    assert site.control.get("/rehearsal/served").status_code == 404
