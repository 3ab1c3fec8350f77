"""What the real API was seen to do wrong, this one does when it is told to."""

import json
import time
from pathlib import Path
from typing import Any

import anthropic
import httpx
import httpx2
import jsonschema
import pytest

from schema.failures import Misconfigured
from stack.claude import Settings
from stack.claude.faults import FAULTS, KINDS, Fault, FaultBook
from stack.claude.serving import serve
from stack.rehearsal.faults import read_faults
from tests.stack.claude.conftest import (
    MODEL,
    THINKER,
    Open,
    Site,
    request_of,
    said,
    text_of,
)
from tests.stack.rehearsals import wait_until

SCHEMA = {
    "type": "object",
    "properties": {"quote": {"type": "string"}, "count": {"type": "integer"}},
    "required": ["quote", "count"],
    "additionalProperties": False,
}
IN_SCHEMA: Any = {"format": {"type": "json_schema", "schema": SCHEMA}}


@pytest.mark.parametrize(
    ("kind", "status", "error_type", "error"),
    [
        ("429", 429, "rate_limit_error", anthropic.RateLimitError),
        ("500", 500, "api_error", anthropic.InternalServerError),
        ("529", 529, "overloaded_error", anthropic.OverloadedError),
    ],
)
def test_a_failure_of_the_api_serves_nothing(
    site: Site, kind: str, status: int, error_type: str, error: type[anthropic.APIStatusError]
) -> None:
    before = site.totals()
    site.order({"on": "messages", "kind": kind, "seconds": 7.5})
    with pytest.raises(error) as caught:
        site.ask()
    assert (caught.value.status_code, caught.value.type) == (status, error_type)
    retry_after = caught.value.response.headers.get("retry-after")
    assert retry_after == ("8" if kind == "429" else None)
    assert site.totals() == before
    assert site.ask().stop_reason == "end_turn"


def test_a_connection_dropped_before_processing_serves_nothing(site: Site) -> None:
    before = site.totals()
    site.order({"on": "messages", "kind": "drop"})
    with pytest.raises(anthropic.APIConnectionError):
        site.ask()
    assert site.totals() == before


def test_a_connection_dropped_after_processing_is_served_and_counted(site: Site) -> None:
    last = site.totals()["messages"]
    site.order({"on": "messages", "kind": "drop-after"})
    with pytest.raises(anthropic.APIConnectionError):
        site.ask("Lost words")
    row = site.served(after=last)[-1]
    assert row["lost"] is True
    assert row["input_tokens"] == 3
    assert row["output_tokens"] == site.ask("Lost words").usage.output_tokens
    assert [each["lost"] for each in site.served(after=last)] == [True, False]


def test_a_slow_answer_is_served_although_the_client_gave_up(site: Site) -> None:
    before = site.totals()["messages"]
    site.order({"on": "messages", "kind": "slow", "seconds": 1}, {"on": "messages", "kind": "slow"})
    with pytest.raises(anthropic.APITimeoutError):
        site.ask(timeout=0.2)
    wait_until(lambda: site.totals()["messages"] == before + 1)
    site.control.delete("/rehearsal/faults").raise_for_status()
    site.order({"on": "messages", "kind": "slow", "seconds": 0.3})
    started_at = time.monotonic()
    assert site.ask().stop_reason == "end_turn"
    assert time.monotonic() - started_at >= 0.3


def test_a_truncated_answer_is_half_a_json(site: Site) -> None:
    site.order({"on": "messages", "kind": "truncated"})
    message = site.ask("A line of text", output_config=IN_SCHEMA)
    assert message.stop_reason == "max_tokens"
    with pytest.raises(json.JSONDecodeError):
        json.loads(text_of(message))
    whole = site.ask("A line of text", output_config=IN_SCHEMA)
    assert text_of(whole).startswith(text_of(message))
    assert 0 < message.usage.output_tokens < whole.usage.output_tokens


def test_a_refusal_has_no_content(site: Site) -> None:
    site.order({"on": "messages", "kind": "refusal"})
    message = site.ask(model=THINKER)
    assert (message.stop_reason, message.content) == ("refusal", [])
    assert message.stop_details is not None
    assert message.stop_details.type == "refusal"
    assert site.served()[-1]["stop_reason"] == "refusal"


def test_an_answer_can_be_invalid_for_its_schema(site: Site) -> None:
    site.order({"on": "messages", "kind": "schema-invalid"})
    answer = json.loads(text_of(site.ask("A line", output_config=IN_SCHEMA)))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(answer, SCHEMA)
    jsonschema.validate(json.loads(text_of(site.ask("A line", output_config=IN_SCHEMA))), SCHEMA)


def test_counting_tokens_can_fail(site: Site) -> None:
    site.order({"on": "count", "kind": "529"})
    with pytest.raises(anthropic.APIStatusError):
        site.client.messages.count_tokens(model=MODEL, messages=said("Hello"))


@pytest.mark.parametrize("kind", ["commit-then-drop", "commit-then-500"])
def test_a_batch_whose_creation_was_not_answered_is_there(site: Site, kind: str) -> None:
    known = {each.id for each in site.client.messages.batches.list(limit=100)}
    site.order({"on": "create", "kind": kind})
    with pytest.raises(anthropic.APIError):
        site.batch(request_of("a"))
    (new,) = {each.id for each in site.client.messages.batches.list(limit=100)} - known
    assert site.ended(new).request_counts.succeeded == 1


@pytest.mark.parametrize("kind", ["429", "500", "529", "drop"])
def test_a_batch_whose_creation_failed_is_not_there(site: Site, kind: str) -> None:
    known = {each.id for each in site.client.messages.batches.list(limit=100)}
    site.order({"on": "create", "kind": kind})
    with pytest.raises(anthropic.APIError):
        site.batch(request_of("a"))
    assert {each.id for each in site.client.messages.batches.list(limit=100)} == known


def test_reads_of_batches_can_fail(site: Site) -> None:
    batch = site.batch(request_of("a"))
    site.ended(batch.id)
    site.order({"on": "read", "kind": "529"}, {"on": "results", "kind": "500"})
    with pytest.raises(anthropic.APIStatusError):
        site.client.messages.batches.retrieve(batch.id)
    with pytest.raises(anthropic.InternalServerError):
        site.results(batch.id)
    assert site.results(batch.id).keys() == {"a"}


def test_requests_of_a_batch_can_err_expire_be_refused_and_cut(site: Site) -> None:
    before = site.totals()["messages"]
    kinds = ["errored", "expired", "refusal", "truncated", "schema-invalid"]
    site.order(
        *({"on": "item", "kind": kind, "match": {"custom_id": f"{kind}-*"}} for kind in kinds)
    )
    batch = site.batch(
        *(request_of(f"{kind}-1", "A line", output_config=IN_SCHEMA) for kind in [*kinds, "fine"])
    )
    counts = site.ended(batch.id).request_counts
    assert (counts.succeeded, counts.errored, counts.expired) == (4, 1, 1)
    results = site.results(batch.id)
    assert results["errored-1"].error.error.type == "api_error"
    assert results["expired-1"].type == "expired"
    reasons = [results[f"{kind}-1"].message.stop_reason for kind in kinds[2:]]
    assert reasons == ["refusal", "max_tokens", "end_turn"]
    assert json.loads(text_of(results["schema-invalid-1"].message)) == {"count": 1}
    assert json.loads(text_of(results["fine-1"].message)) == {"quote": "A line", "count": 1}
    assert site.totals()["messages"] == before + 4


def test_results_can_be_told_in_part(site: Site) -> None:
    batch = site.batch(*(request_of(f"r{n}") for n in range(10)))
    site.ended(batch.id)
    site.order({"on": "results", "kind": "partial"}, {"on": "results", "kind": "cut"})
    assert len(site.results(batch.id)) == 5
    told: list[str] = []
    with pytest.raises(httpx2.TransportError):
        told.extend(each.custom_id for each in site.client.messages.batches.results(batch.id))
    assert len(site.results(batch.id)) == 10


def test_a_fault_can_wait_for_a_model_or_for_words_in_the_request(site: Site) -> None:
    site.order(
        {"on": "messages", "kind": "529", "match": {"model": THINKER}},
        {"on": "messages", "kind": "refusal", "match": {"text": "poison"}},
    )
    assert site.ask("Hello").stop_reason == "end_turn"
    assert site.ask("A bottle of poison").stop_reason == "refusal"
    with pytest.raises(anthropic.APIStatusError):
        site.ask("Hello", model=THINKER)


def test_the_sdk_gets_over_a_failure_when_it_may_try_again(site: Site) -> None:
    site.order({"on": "messages", "kind": "529"}, {"on": "messages", "kind": "drop"})
    patient = site.client.with_options(max_retries=3)
    message = patient.messages.create(model=MODEL, max_tokens=100, messages=said("Hello"))
    assert message.stop_reason == "end_turn"
    reported = site.control.get("/rehearsal/faults").json()["faults"]
    assert [each["struck"] for each in reported] == [1, 1]


def test_faults_can_come_from_a_file(open_claude: Open, tmp_path: Path) -> None:
    file = tmp_path / "faults.json"
    file.write_text(json.dumps([{"on": "messages", "kind": "500", "times": None, "after": 1}]))
    site = open_claude(faults_file=file)
    site.ask()
    for _ in range(3):
        with pytest.raises(anthropic.InternalServerError):
            site.ask()


def test_a_file_that_holds_no_faults_is_said_at_start(tmp_path: Path) -> None:
    file = tmp_path / "faults.json"
    with pytest.raises(Misconfigured, match="cannot be read"):
        read_faults(file, FAULTS)
    file.write_text('[{"on": "messages", "kind": "expired"}]')
    with pytest.raises(Misconfigured, match="there are: 429"):
        serve(Settings(state_dir=tmp_path, faults_file=file))


def test_an_order_that_makes_no_sense_is_refused_with_what_there_is(site: Site) -> None:
    answer = site.control.post("/rehearsal/faults", json=[{"on": "count", "kind": "refusal"}])
    assert answer.status_code == 400
    assert "529" in answer.json()["error"]["message"]
    assert site.control.get("/rehearsal/faults").json() == {"faults": []}
    bearer = {"Authorization": f"Bearer {site.running.api_key}"}
    url = f"{site.running.url}/rehearsal/faults"
    assert httpx.post(url, json=[], headers=bearer, trust_env=False, timeout=60).status_code == 404


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"advance_seconds": -1}', b"{}"])
def test_the_clock_is_put_forward_and_never_back(site: Site, body: bytes) -> None:
    assert site.control.post("/rehearsal/clock", content=body).status_code == 400


def test_every_fault_can_be_ordered() -> None:
    for on, kinds in KINDS.items():
        for kind in kinds:
            assert Fault.model_validate({"on": on, "kind": kind}).times == 1


def test_faults_strike_as_often_and_as_late_as_ordered() -> None:
    book = FaultBook([Fault(on="messages", kind="500", times=2, after=1)])
    struck = [book.strike("messages") is not None for _ in range(5)]
    assert struck == [False, True, True, False, False]
    book.order([Fault(on="item", kind="errored", times=None, match={"batch_id": "b"})])
    assert book.strike("item", {"batch_id": "a"}) is None
    assert all(book.strike("item", {"batch_id": "b"}) is not None for _ in range(9))
    book.clear()
    assert book.strike("item", {"batch_id": "b"}) is None


def test_faults_by_probability_have_the_luck_of_their_seed() -> None:
    def luck(seed: int) -> list[bool]:
        book = FaultBook([Fault(on="read", kind="500", times=None, probability=0.3)], seed=seed)
        return [book.strike("read") is not None for _ in range(1_000)]

    assert luck(1) == luck(1)
    assert luck(1) != luck(2)
    assert 200 < sum(luck(1)) < 400
