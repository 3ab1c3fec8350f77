"""What came back from the API: an answer that can be stored, or by name why there is none."""

import json
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from typing import Any, cast

import anthropic
import httpx2
import pytest
from anthropic.types import Message
from hypothesis import given
from hypothesis import strategies as st

from schema.analysis import ANALYSIS_VERSION, Analysis, Whole
from schema.claude import Outcome, Step, Usage
from tasks.claude.answers import RETRIED, Reply, Trouble, read_reply, trouble_of, usage_of

MODEL = "claude-haiku-5-5"
PAGES = Step(1, 3)
WHOLE = Step(1, 30, "whole")

OF_THE_WHOLE: dict[str, Any] = {
    "type": "letter",
    "subtype": None,
    "title": "Demand for Payment",
    "document_date": "2024-03-04",
    "filing_date": None,
    "service_date": None,
    "court": None,
    "case_number": None,
    "summary": "A lawyer demands payment.",
    "language": "en",
    "confidence": 0.9,
}
OF_PAGES: dict[str, Any] = OF_THE_WHOLE | {
    "version": 2,
    "analyst": "Claude",
    "dates": [{"on": "2024-03-04", "what": "dated", "page": 1}],
    "parties": [{"name": "Paul Hargrove", "role": "sender"}],
    "people": [{"name": "Ms. Okafor", "role": None}],
    "organisations": [],
    "amounts": [{"value": "1250.00", "currency": "USD", "what": "the repair", "page": 1}],
    "key_facts": [{"quote": "Please pay the repair", "page": 1, "fact": "Payment is demanded."}],
    "timeline": [],
    "obligations": [],
    "sensitivity": [],
}


def message(
    *texts: str,
    stop_reason: str = "end_turn",
    before: tuple[dict[str, Any], ...] = (),
    **more: object,
) -> Message:
    """A message as the API sends it."""
    texts_sent = [{"type": "text", "text": text} for text in texts]
    return Message.model_validate(
        {
            "id": "msg_01",
            "type": "message",
            "role": "assistant",
            "model": MODEL,
            "content": [*before, *texts_sent],
            "stop_reason": stop_reason,
            "stop_sequence": None,
            "usage": {"input_tokens": 900, "output_tokens": 200},
            **more,
        }
    )


def reply(answer: object, step: Step = PAGES) -> Reply:
    return read_reply(message(json.dumps(answer)), step, model=MODEL)


# What a message says


def test_a_filled_in_form_is_an_answer_signed_by_the_model_that_was_asked() -> None:
    found = reply(OF_PAGES | {"analyst": "a judge of the Supreme Court", "version": 1})
    assert found.outcome is Outcome.ANSWERED
    assert found.detail is None
    analysis = Analysis.model_validate(found.answer)
    assert analysis.analyst == MODEL
    assert analysis.version == ANALYSIS_VERSION
    assert analysis.parties[0].name == "Paul Hargrove"


def test_an_account_of_the_whole_has_a_form_of_its_own() -> None:
    found = reply(OF_THE_WHOLE, WHOLE)
    assert found.outcome is Outcome.ANSWERED
    assert Whole.model_validate(found.answer).title == "Demand for Payment"
    assert reply(OF_PAGES, WHOLE).outcome is Outcome.INVALID
    assert reply(OF_THE_WHOLE, PAGES).outcome is Outcome.ANSWERED, "lists may be left out"


@pytest.mark.parametrize(
    ("stop_reason", "outcome"),
    [
        ("end_turn", Outcome.ANSWERED),
        ("stop_sequence", Outcome.ANSWERED),
        ("max_tokens", Outcome.TRUNCATED),
        ("model_context_window_exceeded", Outcome.TOO_LONG),
        ("refusal", Outcome.REFUSED),
    ],
)
def test_why_the_model_stopped_decides_even_over_a_form_that_is_complete(
    stop_reason: str, outcome: Outcome
) -> None:
    found = read_reply(message(json.dumps(OF_PAGES), stop_reason=stop_reason), PAGES, model=MODEL)
    assert found.outcome is outcome
    assert (found.answer is not None) == (outcome is Outcome.ANSWERED)


def test_a_refusal_says_its_category_if_it_has_one() -> None:
    details = {"type": "refusal", "category": "general_harms", "explanation": "It quotes a threat."}
    refused = message("", stop_reason="refusal", stop_details=details)
    assert read_reply(refused, PAGES, model=MODEL) == Reply(Outcome.REFUSED, "general_harms")
    nameless = message("", stop_reason="refusal", stop_details=details | {"category": None})
    assert read_reply(nameless, PAGES, model=MODEL) == Reply(Outcome.REFUSED)


def test_thinking_before_the_text_and_a_text_in_pieces_are_one_answer() -> None:
    whole = json.dumps(OF_PAGES)
    thinking = (
        {"type": "thinking", "thinking": '{"type": "invoice"}', "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "c2VjcmV0"},
    )
    found = read_reply(message(whole[:100], whole[100:], before=thinking), PAGES, model=MODEL)
    assert found.outcome is Outcome.ANSWERED
    assert found.answer is not None
    assert found.answer["type"] == "letter"


@pytest.mark.parametrize(
    "text",
    ["", "Here is the form:", '{"type": "letter"', "{'type': 'letter'}", "[" * 50_000],
    ids=["nothing", "prose", "cut", "quotes", "nested"],
)
def test_what_is_not_json_is_invalid(text: str) -> None:
    found = read_reply(message(text), PAGES, model=MODEL)
    assert found == Reply(Outcome.INVALID, "It is not JSON.")


@pytest.mark.parametrize("depth", [200, 500, 900])
def test_what_is_nested_beyond_reason_is_invalid(depth: int) -> None:
    nested = json.dumps(OF_PAGES)[:-1] + ', "more": ' + "[" * depth + "]" * depth + "}"
    assert read_reply(message(nested), PAGES, model=MODEL).outcome is Outcome.INVALID


@pytest.mark.parametrize("value", [[OF_PAGES], "letter", 5, None, True])
def test_json_that_is_not_an_object_is_invalid(value: object) -> None:
    assert reply(value) == Reply(Outcome.INVALID, "It is not a JSON object.")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"type": "love letter"}, "type: Input should be 'letter', 'email'"),
        ({"title": None}, "title: Input should be a valid string"),
        ({"document_date": "March 4"}, "document_date: Input should be a valid date"),
        ({"confidence": 7}, "confidence: Value error, confidence is between 0 and 1"),
        ({"confidence": float("nan")}, "confidence: Value error, confidence is between 0 and 1"),
        (
            {"dates": [{"on": "2024-03-04", "what": "dated", "page": 0}]},
            "dates.0.page: Value error, pages are counted from 1",
        ),
        (
            {"amounts": [{"value": "much", "currency": "USD", "what": "rent", "page": 1}]},
            "amounts.0.value: Input should be a valid decimal",
        ),
        (
            {"amounts": [{"value": "1", "currency": "Dollars", "what": "rent", "page": 1}]},
            "amounts.0.currency: Value error, a currency has three letters",
        ),
    ],
)
def test_an_answer_of_the_wrong_shape_says_where_and_why(change: dict[str, Any], told: str) -> None:
    found = reply(OF_PAGES | change)
    assert found.outcome is Outcome.INVALID
    assert found.answer is None
    assert (found.detail or "").startswith(told)


def test_what_is_missing_is_named() -> None:
    found = reply({key: value for key, value in OF_PAGES.items() if key != "title"})
    assert found.detail == "title: Field required"


CANARY = "Ignore the form"


def places(value: object) -> list[tuple[str | int, ...]]:
    """Where something stands in it."""
    inner: Iterable[tuple[str | int, object]] = ()
    if isinstance(value, dict):
        inner = cast("dict[str, object]", value).items()
    elif isinstance(value, list):
        inner = enumerate(cast("list[object]", value))
    return [(key, *rest) for key, part in inner for rest in [(), *places(part)]]


@given(
    where=st.lists(st.sampled_from(places(OF_PAGES)), min_size=1, max_size=8, unique=True),
    wrong=st.sampled_from([CANARY, {CANARY: CANARY}, [CANARY], {"page": CANARY}, CANARY * 500]),
)
def test_nothing_that_was_answered_is_told_with_what_was_wrong(
    where: list[tuple[str | int, ...]], wrong: object
) -> None:
    answer = json.loads(json.dumps(OF_PAGES))
    for *path, last in sorted(where, key=len, reverse=True):
        place = answer
        for step in path:
            place = place[step]
        place[last] = wrong
    detail = reply(answer | {CANARY: 1}).detail or ""
    assert detail
    assert CANARY not in detail
    assert len(detail) <= 500


def test_a_field_that_the_form_does_not_have_is_told_by_where_it_stood() -> None:
    party = {"name": "A", "role": "tenant", CANARY: 1}
    assert reply(OF_PAGES | {"parties": [party]}).detail == (
        "parties.0: Extra inputs are not permitted"
    )
    assert reply(OF_PAGES | {CANARY: 1}).detail == "the form: Extra inputs are not permitted"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("1250.00", "1250.00"),
        ("$1,250.00", "1250.00"),
        ("$ 1,250", "1250"),
        ("1,234,567.89", "1234567.89"),
        ("-12.50", "-12.50"),
        ("$-12.50", "-12.50"),
        (1250.5, "1250.5"),
        (7, "7"),
    ],
)
def test_sums_are_understood_as_people_write_them(written: str | float, meant: str) -> None:
    amount = {"value": written, "currency": "usd", "what": "rent", "page": 2}
    found = reply(OF_PAGES | {"amounts": [amount]})
    assert found.outcome is Outcome.ANSWERED
    assert found.answer is not None
    assert found.answer["amounts"] == [amount | {"value": meant, "currency": "USD"}]


def _is_text(letter: str) -> bool:
    return letter >= " " or letter in "\n\t"


@given(
    st.lists(
        st.sampled_from(["\x00", "\ud800", "\udfff", "\U0001f600"]) | st.text(max_size=8),
        min_size=1,
        max_size=6,
    ).map("".join)
)
def test_whatever_letters_an_answer_has_it_can_be_stored(odd: str) -> None:
    fact = {"quote": odd, "page": 1, "fact": odd}
    found = reply(OF_PAGES | {"title": odd, "key_facts": [fact], "court": odd})
    assert found.outcome is Outcome.ANSWERED
    assert found.answer is not None
    stored = json.loads(json.dumps(found.answer, ensure_ascii=False).encode())
    # Two halves in a row are a letter in JSON.
    letters = odd.replace("\ud800\udfff", "\U000103ff")
    kept = "".join(one for one in letters if one not in "\ud800\udfff?" and _is_text(one))
    [stored_fact] = stored["key_facts"]
    for text in (stored["title"], stored["court"], stored_fact["quote"], stored_fact["fact"]):
        assert text.replace("?", "") == kept


def test_letters_that_cannot_be_stored_are_no_reason_to_ask_again() -> None:
    text = json.dumps(OF_PAGES).replace("Demand", "De\\u0000ma\\ud83dnd")
    found = read_reply(message(text), PAGES, model=MODEL)
    assert found.answer is not None
    assert found.answer["title"] == "Dema?nd for Payment"


def test_every_token_that_is_billed_is_counted_once() -> None:
    usage: dict[str, Any] = {
        "input_tokens": 11,
        "output_tokens": 22,
        "cache_creation_input_tokens": 33,
        "cache_read_input_tokens": 44,
    }
    assert usage_of(message("", usage=usage)) == Usage(11, 22, 33, 44)
    nothing_kept = usage | {"cache_creation_input_tokens": None, "cache_read_input_tokens": None}
    assert usage_of(message("", usage=nothing_kept)) == Usage(11, 22, 0, 0)


# What an error means


class Answering(httpx2.BaseTransport):
    """A way to the API on which this is what happens."""

    def __init__(self, answer: Callable[[httpx2.Request], httpx2.Response]) -> None:
        self._answer = answer

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        return self._answer(request)


def error_of(client: anthropic.Anthropic) -> Trouble:
    """What it means when a message is asked for there."""
    with client, pytest.raises(anthropic.APIError) as caught:
        client.messages.create(
            model=MODEL, max_tokens=100, messages=[{"role": "user", "content": "Hello"}]
        )
    return trouble_of(caught.value)


def client_to(url: str = "http://claude.test", **more: Any) -> anthropic.Anthropic:
    return anthropic.Anthropic(api_key="sk-ant-test", base_url=url, max_retries=0, **more)


def refused(
    status: int, body: object = None, *, headers: Mapping[str, str] | None = None
) -> Trouble:
    """The API answers so."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        content = body if isinstance(body, str) else json.dumps(body)
        return httpx2.Response(status, headers=headers, content=content, request=request)

    return error_of(client_to(http_client=httpx2.Client(transport=Answering(answer))))


def broken(error: Exception) -> Trouble:
    """The way to the API breaks so."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        raise error

    return error_of(client_to(http_client=httpx2.Client(transport=Answering(answer))))


def said(kind: str, words: str = "Something is wrong.", **details: str) -> dict[str, Any]:
    """The body of an error."""
    error: dict[str, Any] = {"type": kind, "message": words}
    return {
        "type": "error",
        "error": error | ({"details": details} if details else {}),
        "request_id": "req_01",
    }


INVALID_REQUEST = "invalid_request_error"


@pytest.mark.parametrize(
    ("status", "kind", "outcome"),
    [
        (400, INVALID_REQUEST, Outcome.REJECTED),
        (401, "authentication_error", Outcome.BAD_KEY),
        (402, "billing_error", Outcome.NO_CREDIT),
        (403, "permission_error", Outcome.BAD_KEY),
        (404, "not_found_error", Outcome.NO_API),
        (408, "timeout_error", Outcome.ERROR),
        (409, INVALID_REQUEST, Outcome.ERROR),
        (413, "request_too_large", Outcome.TOO_LONG),
        (422, INVALID_REQUEST, Outcome.REJECTED),
        (429, "rate_limit_error", Outcome.RATE_LIMITED),
        (500, "api_error", Outcome.ERROR),
        (502, "api_error", Outcome.ERROR),
        (503, "api_error", Outcome.ERROR),
        (504, "timeout_error", Outcome.ERROR),
        (529, "overloaded_error", Outcome.OVERLOADED),
    ],
)
def test_each_status_has_a_meaning(status: int, kind: str, outcome: Outcome) -> None:
    found = refused(status, said(kind))
    assert found.outcome is outcome
    assert not found.is_uncertain


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (400, Outcome.NO_API),
        (401, Outcome.BAD_KEY),
        (404, Outcome.NO_API),
        (413, Outcome.TOO_LONG),
        (429, Outcome.RATE_LIMITED),
        (502, Outcome.LOST),
        (529, Outcome.OVERLOADED),
    ],
)
@pytest.mark.parametrize(
    "body", ["", "<html>Bad gateway</html>", "null", '"no"', '{"error": "no"}', '{"error": {}}']
)
def test_what_is_not_in_the_apis_words_came_from_something_before_it(
    status: int, outcome: Outcome, body: str
) -> None:
    found = refused(status, body)
    assert found.outcome is outcome
    if outcome in {Outcome.NO_API, Outcome.LOST}:
        assert found.detail == f"HTTP {status}"


@pytest.mark.parametrize(
    ("words", "outcome"),
    [
        (
            "Your credit balance is too low to access the Anthropic API. Please go to Plans & "
            "Billing to upgrade or purchase credits.",
            Outcome.NO_CREDIT,
        ),
        (
            "You have reached your specified API usage limits. You will regain access on "
            "2026-12-01 at 00:00 UTC.",
            Outcome.NO_CREDIT,
        ),
        ("prompt is too long: 208310 tokens > 200000 maximum", Outcome.TOO_LONG),
        ("messages.0.content.1.image.source.base64: invalid base64 data", Outcome.REJECTED),
        ("The prompt is too long-winded for a title.", Outcome.REJECTED),
    ],
)
def test_a_request_that_is_wrong_is_told_from_one_that_is_too_long_or_not_paid(
    words: str, outcome: Outcome
) -> None:
    assert refused(400, said(INVALID_REQUEST, words)).outcome is outcome


def test_a_request_that_is_wrong_says_what_the_api_said_in_short() -> None:
    assert refused(400, said(INVALID_REQUEST, "max_tokens: too many")).detail == (
        "max_tokens: too many"
    )
    assert len(refused(400, said(INVALID_REQUEST, "x" * 5_000)).detail or "") == 300


def test_a_model_that_nobody_has_is_told_from_a_path_that_nobody_has() -> None:
    assert refused(404, said("not_found_error", "model: claude-nobody")).outcome is Outcome.NO_MODEL
    assert refused(404, said("not_found_error", "Not found")).outcome is Outcome.NO_API


def test_a_spending_limit_of_the_account_is_told_from_too_many_requests() -> None:
    limit = said("rate_limit_error", error_code="enforced_spend_limit_reached")
    assert refused(429, limit).outcome is Outcome.NO_CREDIT
    pace = said("rate_limit_error", error_code="requests_per_minute")
    assert refused(429, pace).outcome is Outcome.RATE_LIMITED


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ({"retry-after": "17"}, 17.0),
        ({"Retry-After": "0.5"}, 0.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "Wed, 25 Nov 2026 07:28:00 GMT"}, None),
        ({"retry-after": ""}, None),
        ({}, None),
    ],
)
@pytest.mark.parametrize("status", [429, 503, 529])
def test_how_long_to_wait_is_what_the_api_says_in_seconds(
    status: int, header: dict[str, str], seconds: float | None
) -> None:
    found = refused(status, said("some_error"), headers=header)
    assert found.retry_after_seconds == seconds
    assert found.outcome in RETRIED


def closed_port() -> int:
    """A port on which nobody listens."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return server.getsockname()[1]


def test_a_connection_that_is_refused_asked_nothing() -> None:
    found = error_of(client_to(f"http://127.0.0.1:{closed_port()}"))
    assert found == Trouble(Outcome.UNREACHABLE)
    assert not found.is_uncertain


@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{"])
def test_a_connection_that_is_cut_after_the_question_may_have_been_paid(begun: bytes) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def hang_up() -> None:
            line, _ = server.accept()
            with closing(line):
                line.recv(65_536)
                line.sendall(begun)

        answering = threading.Thread(target=hang_up)
        answering.start()
        found = error_of(client_to(f"http://127.0.0.1:{server.getsockname()[1]}"))
        answering.join()
    assert found == Trouble(Outcome.LOST)
    assert found.is_uncertain


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (httpx2.ConnectError("refused"), Outcome.UNREACHABLE),
        (httpx2.ConnectTimeout("no answer"), Outcome.UNREACHABLE),
        (httpx2.PoolTimeout("no connection free"), Outcome.UNREACHABLE),
        (httpx2.ReadTimeout("too slow"), Outcome.LOST),
        (httpx2.WriteTimeout("too slow"), Outcome.LOST),
        (httpx2.ReadError("reset"), Outcome.LOST),
        (httpx2.WriteError("reset"), Outcome.LOST),
        (httpx2.RemoteProtocolError("gone"), Outcome.LOST),
    ],
)
def test_only_what_was_certainly_never_sent_counts_as_never_asked(
    error: Exception, outcome: Outcome
) -> None:
    assert broken(error).outcome is outcome


def test_an_answer_that_cannot_be_understood_was_served_all_the_same() -> None:
    response = httpx2.Response(200, request=httpx2.Request("POST", "http://claude.test"))
    found = trouble_of(anthropic.APIResponseValidationError(response, body="<html>"))
    assert found == Trouble(Outcome.LOST, "APIResponseValidationError")
    assert found.is_uncertain
