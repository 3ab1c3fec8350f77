"""Message batches through the official SDK, across cancelling, expiry, kill -9 and restart."""

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import anthropic
import httpx
import pytest

from tests.stack.claude.conftest import (
    Open,
    Site,
    picture,
    request_of,
    said,
    text_of,
)
from tests.stack.rehearsals import wait_until


def test_a_batch_is_processed_and_its_results_match_by_id(site: Site) -> None:
    batch = site.batch(*(request_of(f"doc-{n}", f"Document {n}") for n in range(5)))
    assert batch.processing_status == "in_progress"
    assert (batch.request_counts.processing, batch.request_counts.succeeded) == (5, 0)
    assert batch.results_url is None
    assert batch.expires_at - batch.created_at == timedelta(hours=24)
    ended = site.ended(batch.id)
    assert ended.processing_status == "ended"
    assert (ended.request_counts.processing, ended.request_counts.succeeded) == (0, 5)
    results = site.results(batch.id)
    for n in range(5):
        message = results[f"doc-{n}"].message
        assert f"Document {n}" in text_of(message)
        assert message.usage.service_tier == "batch"


async def test_the_asynchronous_client_reads_results_too(site: Site) -> None:
    batch = site.batch(request_of("one", messages=said(picture(), "Look")))
    site.ended(batch.id)
    async with site.asynchronous() as client:
        results = await client.messages.batches.results(batch.id)
        assert [each.custom_id async for each in results] == ["one"]


def test_every_result_of_a_batch_is_in_the_books_with_its_ids(site: Site) -> None:
    batch = site.batch(request_of("a"), request_of("b", "Longer than the other one"))
    site.ended(batch.id)
    rows = {row["custom_id"]: row for row in site.served() if row["batch_id"] == batch.id}
    assert rows.keys() == {"a", "b"}
    for custom_id, result in site.results(batch.id).items():
        assert rows[custom_id]["message_id"] == result.message.id
        assert rows[custom_id]["input_tokens"] == result.message.usage.input_tokens
        assert rows[custom_id]["service_tier"] == "batch"


def test_a_request_that_makes_no_sense_errs_alone_and_is_not_billed(site: Site) -> None:
    before = site.totals()["messages"]
    batch = site.batch(
        request_of("good"),
        request_of("no-model", model="claude-1"),
        request_of("no-tokens", max_tokens=0),
        request_of("streamed", stream=True),
    )
    counts = site.ended(batch.id).request_counts
    assert (counts.succeeded, counts.errored) == (1, 3)
    results = site.results(batch.id)
    assert results["no-model"].error.error.type == "not_found_error"
    assert results["no-tokens"].error.error.type == "invalid_request_error"
    assert results["no-tokens"].error.request_id.startswith("req_")
    assert site.totals()["messages"] == before + 1


SENSELESS_BATCHES: list[tuple[list[Any], str]] = [
    ([], "at least 1"),
    ([request_of("a"), request_of("a")], "custom_id must be unique: a"),
    ([request_of("a b")], "requests.0.custom_id: String should match pattern"),
    ([request_of("a"), request_of("x" * 65)], "requests.1.custom_id"),
    ([request_of("")], "requests.0.custom_id"),
    ([{"custom_id": "a"}], "requests.0.params: Field required"),
    ([{"params": {}}], "requests.0.custom_id: Field required"),
    ([{**request_of("a"), "priority": 1}], "requests.0.priority: Extra inputs"),
    ([{"custom_id": "a", "params": []}], "requests.0.params"),
    (["a"], "requests.0"),
    ([request_of("a")] * 100_001, "at most 100000"),
]


@pytest.mark.parametrize(("requests", "text"), SENSELESS_BATCHES)
def test_a_batch_that_makes_no_sense_is_not_created(
    site: Site, requests: list[Any], text: str
) -> None:
    before = len(site.client.messages.batches.list(limit=1000).data)
    with pytest.raises(anthropic.BadRequestError) as caught:
        site.client.messages.batches.create(requests=requests)
    assert text in (caught.value.api_message or "")
    assert len(site.client.messages.batches.list(limit=1000).data) == before


def test_a_list_pages_in_both_directions_newest_first(open_claude: Open) -> None:
    site = open_claude()
    batches = site.client.messages.batches
    ids = [site.batch(request_of("a")).id for _ in range(5)][::-1]
    assert [each.id for each in batches.list(limit=2)] == ids
    first = batches.list(limit=2)
    assert ([each.id for each in first.data], first.has_more) == (ids[:2], True)
    assert (first.first_id, first.last_id) == (ids[0], ids[1])
    last = batches.list(limit=3, after_id=ids[1])
    assert ([each.id for each in last.data], last.has_more) == (ids[2:], False)
    before = batches.list(limit=2, before_id=ids[3])
    assert ([each.id for each in before.data], before.has_more) == (ids[1:3], True)
    assert batches.list(before_id=ids[0]).data == []
    for limit in (0, 1001):
        with pytest.raises(anthropic.BadRequestError):
            batches.list(limit=limit)
    with pytest.raises(anthropic.NotFoundError):
        batches.list(after_id="msgbatch_unknown")


def test_another_account_sees_none_of_ones_batches(site: Site) -> None:
    batch = site.batch(request_of("a"))
    ended = site.ended(batch.id)
    theirs = site.other.messages.batches
    assert theirs.list().data == []
    with pytest.raises(anthropic.NotFoundError):
        theirs.retrieve(batch.id)
    with pytest.raises(anthropic.NotFoundError):
        theirs.cancel(batch.id)
    headers = {"anthropic-version": "2026-10-21", "x-api-key": site.running.other_api_key}
    answer = httpx.get(str(ended.results_url), headers=headers, trust_env=False, timeout=60)
    assert answer.status_code == 404
    assert httpx.get(str(ended.results_url), trust_env=False, timeout=60).status_code == 401


def test_results_are_not_there_before_the_end(open_claude: Open) -> None:
    site = open_claude(batch_seconds=600)
    batch = site.batch(request_of("a"))
    with pytest.raises(anthropic.AnthropicError, match="results_url"):
        site.client.messages.batches.results(batch.id)
    headers = {"anthropic-version": "2026-10-21", "x-api-key": site.running.api_key}
    url = f"{site.running.url}/v1/messages/batches/{batch.id}/results"
    assert httpx.get(url, headers=headers, trust_env=False, timeout=60).status_code == 404
    assert site.totals()["messages"] == 0
    site.advance(600)
    assert site.ended(batch.id).request_counts.succeeded == 1


def test_its_clock_can_run_faster_than_real_time(open_claude: Open) -> None:
    site = open_claude(batch_seconds=3_600, time_scale=20_000)
    ended = site.ended(site.batch(request_of("a")).id)
    assert ended.ended_at is not None
    assert ended.ended_at - ended.created_at >= timedelta(hours=1)


def test_a_cancelled_batch_keeps_what_was_done(open_claude: Open) -> None:
    site = open_claude(batch_seconds=1_000)
    batch = site.batch(*(request_of(f"r{n}") for n in range(10)))
    site.advance(350)
    cancelled = site.client.messages.batches.cancel(batch.id)
    assert cancelled.processing_status == "canceling"
    assert cancelled.cancel_initiated_at is not None
    counts = site.ended(batch.id).request_counts
    assert (counts.succeeded, counts.canceled) == (3, 7)
    results = site.results(batch.id)
    assert [results[f"r{n}"].type for n in (0, 2, 3, 9)] == ["succeeded"] * 2 + ["canceled"] * 2
    assert site.totals()["messages"] == 3
    with pytest.raises(anthropic.BadRequestError):
        site.client.messages.batches.cancel(batch.id)


def test_what_is_not_done_within_a_day_expires(open_claude: Open) -> None:
    site = open_claude(batch_seconds=48 * 3_600)
    batch = site.batch(*(request_of(f"r{n}") for n in range(4)))
    site.advance(24 * 3_600)
    counts = site.ended(batch.id).request_counts
    assert (counts.succeeded, counts.expired) == (2, 2)
    assert site.results(batch.id)["r3"].type == "expired"
    assert site.totals()["messages"] == 2


def served_in(state_dir: Path) -> int:
    with closing(sqlite3.connect(state_dir / "claude.sqlite3")) as books:
        return books.execute("SELECT count(*) FROM served").fetchone()[0]


def test_a_batch_outlives_kill_9_and_is_served_exactly_once(
    open_claude: Open, tmp_path: Path
) -> None:
    site = open_claude(batch_seconds=0.05)
    batch = site.batch(*(request_of(f"r{n}", f"Document {n}") for n in range(400)))
    wait_until(lambda: site.totals()["messages"] > 50)
    site.running.kill()
    site.running.child.start()
    site.running.child.wait_ready(30)
    assert site.totals()["messages"] > 0
    ended = site.ended(batch.id)
    assert ended.request_counts.succeeded == 400
    rows = site.served()
    assert len(rows) == 400
    results = site.results(batch.id)
    assert {row["message_id"] for row in rows} == {each.message.id for each in results.values()}


def test_a_batch_that_was_created_is_known_after_a_restart(open_claude: Open) -> None:
    site = open_claude(batch_seconds=600)
    batch = site.batch(request_of("a"))
    site.ask("Hello")
    books = site.served()
    site.running.stop()
    site.running.child.start()
    site.running.child.wait_ready(30)
    assert site.client.messages.batches.retrieve(batch.id).processing_status == "in_progress"
    assert site.served() == books
    site.advance(600)
    assert site.ended(batch.id).request_counts.succeeded == 1
