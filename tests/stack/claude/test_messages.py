"""Messages through the official SDK: what is answered, and what is refused."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anthropic
import httpx
import pytest
from anthropic.types import ThinkingBlock
from hypothesis import given, settings
from hypothesis import strategies as st

from stack.claude.clock import Clock
from stack.claude.filling import SchemaFiller
from stack.claude.messages import Messages, Sender
from stack.claude.models import MODELS
from stack.claude.refusals import Refused
from tests.stack.claude.conftest import (
    MODEL,
    THINKER,
    Open,
    Site,
    picture,
    request_of,
    said,
    text_of,
    words,
)

TOOL: Mapping[str, Any] = {
    "name": "record",
    "description": "Record it.",
    "input_schema": {
        "type": "object",
        "properties": {"quote": {"type": "string"}, "count": {"type": "integer", "minimum": 1}},
        "required": ["quote", "count"],
    },
}


def test_it_says_everywhere_that_it_is_a_rehearsal(site: Site) -> None:
    raw = site.client.messages.with_raw_response.create(
        model=MODEL, max_tokens=10, messages=said("Hello")
    )
    assert raw.headers["x-rehearsal"] == "no money"
    assert "no money" in httpx.get(site.running.url, trust_env=False, timeout=60).text


def test_an_answer_has_the_shape_of_the_real_one(site: Site) -> None:
    message = site.ask("The hearing is on Monday.")
    assert (message.type, message.role, message.stop_reason) == ("message", "assistant", "end_turn")
    assert message.id.startswith("msg_01")
    assert message.model == "claude-haiku-4-5-20251001"
    assert "The hearing is on Monday." in text_of(message)
    assert message.usage.service_tier == "standard"
    assert message.usage.input_tokens == 7
    assert message.usage.output_tokens == -(-len(text_of(message)) // 4)
    assert message._request_id is not None  # pyright: ignore[reportPrivateUsage]
    assert site.served()[-1]["request_id"] == message._request_id  # pyright: ignore[reportPrivateUsage]


async def test_the_asynchronous_client_is_answered_alike(site: Site) -> None:
    async with site.asynchronous() as client:
        message = await client.messages.create(
            model=MODEL, max_tokens=100, system="Be brief.", messages=said("Hello")
        )
    assert text_of(message) == text_of(site.ask("Hello"))


def test_every_known_model_answers(site: Site) -> None:
    for model in MODELS:
        assert site.ask(model=model.id).stop_reason == "end_turn"


def test_a_model_that_thinks_does_so_before_it_answers(site: Site) -> None:
    message = site.ask(model=THINKER)
    thought = message.content[0]
    assert isinstance(thought, ThinkingBlock)
    details = message.usage.output_tokens_details
    assert details is not None
    assert 0 < details.thinking_tokens < message.usage.output_tokens
    plain = site.ask(model=THINKER, thinking={"type": "disabled"})
    assert [block.type for block in plain.content] == ["text"]
    low = site.ask(model=THINKER, output_config={"effort": "low"})
    assert [block.type for block in low.content] == ["text"]
    again = [*said("Hello"), {"role": "assistant", "content": message.content}, *said("And now?")]
    assert site.ask(model=THINKER, messages=again).stop_reason == "end_turn"


def test_an_answer_longer_than_max_tokens_is_cut(site: Site) -> None:
    message = site.ask(max_tokens=5)
    assert (message.stop_reason, message.usage.output_tokens) == ("max_tokens", 5)
    assert len(text_of(message)) == 20
    only_thought = site.ask(model=THINKER, max_tokens=32)
    assert only_thought.stop_reason == "max_tokens"
    assert [block.type for block in only_thought.content] == ["thinking"]


def test_a_forced_tool_is_called_with_input_from_the_text(site: Site) -> None:
    for choice in ({"type": "tool", "name": "record"}, {"type": "any"}):
        message = site.ask("Exhibit A\nwas filed.", tools=[TOOL], tool_choice=choice)
        call = message.content[0]
        assert call.type == "tool_use"
        assert (call.name, call.input) == ("record", {"quote": "Exhibit A", "count": 1})
        assert message.stop_reason == "tool_use"
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "done"}
    turns = [*said("Go on"), {"role": "assistant", "content": [call.to_dict()]}, *said(result)]
    assert site.ask(messages=turns, tools=[TOOL]).stop_reason == "end_turn"


def test_tokens_are_counted_as_they_are_billed(site: Site) -> None:
    content = said("a" * 41, picture((300, 500)))
    count = site.client.messages.count_tokens(
        model=MODEL, system="b" * 8, messages=content, tools=[]
    )
    assert count.input_tokens == 11 + 198 + 2
    asked = site.ask(messages=content, system="b" * 8)
    assert asked.usage.input_tokens == count.input_tokens
    huge = site.client.messages.count_tokens(model=MODEL, messages=said(picture((4000, 4000))))
    assert huge.input_tokens == 1_568


def test_counting_tokens_serves_nothing(site: Site) -> None:
    before = site.totals()
    site.client.messages.count_tokens(model=MODEL, messages=said("Hello"))
    assert site.totals() == before


@pytest.mark.parametrize("form", ["png", "jpeg", "gif", "webp"])
def test_an_image_of_a_known_type_is_read(site: Site, form: str) -> None:
    message = site.ask(messages=said(picture((75, 100), form), "What is this?"))
    assert message.usage.input_tokens == 12 + 4
    assert "1 images" in text_of(message)


SENSELESS_REQUESTS: list[tuple[dict[str, Any], str]] = [
    ({"max_tokens": 0}, "max_tokens"),
    ({"max_tokens": "100"}, "max_tokens: Input should be a valid integer"),
    ({"max_tokens": 64_001}, "max_tokens: 64001 > 64000, which is the maximum"),
    ({"temperature": 0.5}, "temperature: Extra inputs are not permitted"),
    ({"messages": []}, "at least one message"),
    ({"messages": "Hello"}, "messages: Input should be a valid list"),
    ({"messages": [{"role": "assistant", "content": "Hello"}]}, 'use the "user" role'),
    ({"messages": [{"role": "system", "content": "Hello"}]}, "messages.0.role"),
    ({"messages": [{"role": "user", "content": []}]}, "non-empty content"),
    ({"messages": said("")}, "text content blocks must be non-empty"),
    ({"messages": said({"type": "text"})}, "messages.0.content.0.text.text: Field required"),
    (
        {"messages": said({"type": "text", "text": "a", "bold": True})},
        "messages.0.content.0.text.bold: Extra inputs are not permitted",
    ),
    ({"messages": said({"type": "document"})}, "Input tag 'document'"),
    ({"messages": said({"type": "image", "source": {"type": "url"}})}, "source"),
    ({"system": ""}, "system: text content blocks must be non-empty"),
    ({"system": 5}, "system: Input should be a valid list"),
    ({"messages": said(words(200_001))}, "prompt is too long: 200001 tokens > 200000 maximum"),
    ({"thinking": {"type": "adaptive"}}, "thinking.type.adaptive"),
    ({"thinking": {"type": "enabled", "budget_tokens": 1_000}}, "budget_tokens"),
    ({"thinking": {"type": "enabled", "budget_tokens": 1_024}}, "`max_tokens` must be greater"),
    ({"output_config": {"effort": "low"}}, "does not support the effort parameter"),
    ({"output_config": {"effort": "huge"}, "model": THINKER}, "output_config.effort"),
    (
        {"output_config": {"effort": "max"}, "thinking": {"type": "disabled"}} | {"model": THINKER},
        "cannot be disabled",
    ),
    ({"tools": [{"name": "no schema"}]}, "tools.0.name"),
    ({"tools": [TOOL, TOOL]}, "Tool names must be unique"),
    ({"tools": [{"name": "a", "input_schema": {}}]}, "input_schema.type"),
    ({"tool_choice": {"type": "tool", "name": "record"}}, "not found in provided tools"),
    ({"tool_choice": {"type": "any"}}, "while providing tools"),
    (
        {"tools": [TOOL], "tool_choice": {"type": "any"}, "model": THINKER}
        | {"thinking": {"type": "adaptive"}},
        "Thinking may not be enabled",
    ),
    ({"tools": [{**TOOL, "strict": True}]}, "additionalProperties"),
    ({"metadata": {"user_id": 7}}, "metadata.user_id"),
    ({"service_tier": "priority"}, "service_tier"),
    ({"stream": True}, "not rehearsed"),
    ({"stop_sequences": ["END"]}, "not rehearsed"),
]


@pytest.mark.parametrize(("changes", "text"), SENSELESS_REQUESTS)
def test_a_request_that_makes_no_sense_is_refused_and_not_billed(
    site: Site, changes: Mapping[str, object], text: str
) -> None:
    error = site.refused(**changes)
    assert isinstance(error, anthropic.BadRequestError)
    assert error.type == "invalid_request_error"
    assert text in (error.api_message or "")
    assert error.request_id is not None
    assert error.body == {
        "type": "error",
        "error": {"type": "invalid_request_error", "message": error.api_message},
        "request_id": error.request_id,
    }


def test_a_field_that_is_missing_is_named(site: Site) -> None:
    answer = site.post({"model": MODEL, "messages": said("Hello")})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == "max_tokens: Field required"
    assert answer.headers["request-id"] == answer.json()["request_id"]


def test_only_older_models_take_the_beginning_of_their_answer(site: Site) -> None:
    turns = [*said("Hello"), {"role": "assistant", "content": "{"}]
    assert site.ask(messages=turns).stop_reason == "end_turn"
    error = site.refused(messages=turns, model=THINKER)
    assert "prefill" in (error.api_message or "")


def test_an_unknown_model_is_not_found(site: Site) -> None:
    error = site.refused(model="claude-3-opus-20240229")
    assert isinstance(error, anthropic.NotFoundError)
    assert (error.type, error.api_message) == ("not_found_error", "model: claude-3-opus-20240229")


def test_without_a_known_key_nothing_is_answered(site: Site) -> None:
    stranger = anthropic.Anthropic(base_url=site.running.url, api_key="sk-no", max_retries=0)
    with pytest.raises(anthropic.AuthenticationError) as caught:
        stranger.messages.create(model=MODEL, max_tokens=10, messages=said("Hello"))
    assert (caught.value.status_code, caught.value.type) == (401, "authentication_error")
    body = {"model": MODEL, "max_tokens": 10, "messages": said("Hello")}
    assert site.post(body, x_api_key=None).status_code == 401
    assert site.post(body).status_code == 200
    bearer = f"Bearer {site.running.api_key}"
    assert site.post(body, x_api_key=None, authorization=bearer).status_code == 200


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        ({"anthropic_version": None}, "anthropic-version: header is required"),
        ({"anthropic_version": "2031-01-01"}, "is not a valid version"),
        ({"content_type": "text/plain"}, "content-type"),
    ],
)
def test_a_wrong_header_is_refused(
    site: Site, headers: Mapping[str, str | None], text: str
) -> None:
    answer = site.post({"model": MODEL, "max_tokens": 10, "messages": said("Hello")}, **headers)
    assert answer.status_code == 400
    assert text in answer.json()["error"]["message"]


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b""])
def test_a_body_that_is_no_json_object_is_refused(site: Site, body: bytes) -> None:
    answer = site.post(body)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_a_request_of_more_than_32_megabytes_is_too_large(site: Site) -> None:
    error = site.refused(messages=said("x" * (32 * 1024 * 1024)))
    assert isinstance(error, anthropic.ContentTooLargeError)
    assert error.status_code == 413
    assert "request_too_large" in str(error.body)


def test_paths_that_do_not_exist_are_not_found(site: Site) -> None:
    bearer = {"Authorization": f"Bearer {site.running.api_key}"}
    for path in ("/v1/complete", "/rehearsal/served", "/rehearsal/faults"):
        answer = httpx.get(f"{site.running.url}{path}", headers=bearer, trust_env=False, timeout=60)
        assert answer.status_code == 404
        assert answer.json()["error"]["type"] == "not_found_error"


def test_an_image_that_is_not_what_it_says_is_refused(site: Site) -> None:
    error = site.refused(messages=said(picture(form="png", called="jpeg")))
    assert "the image appears to be a image/png image" in (error.api_message or "")
    broken: Any = {"type": "base64", "media_type": "image/png", "data": "bm8gaW1hZ2U="}
    error = site.refused(messages=said({"type": "image", "source": broken}))
    assert error.api_message == "Could not process image"
    error = site.refused(messages=said({"type": "image", "source": {**broken, "data": "???"}}))
    assert "Invalid base64 data" in (error.api_message or "")
    error = site.refused(
        messages=said({"type": "image", "source": {**broken, "media_type": "image/tiff"}})
    )
    assert "media_type" in (error.api_message or "")


def test_an_image_of_too_many_bytes_is_refused(site: Site) -> None:
    block: Any = picture()
    block["source"]["data"] = "A" * (10 * 1024 * 1024 + 4)
    assert "image exceeds 10 MB maximum" in (site.refused(messages=said(block)).api_message or "")


def test_a_side_of_more_than_8000_pixels_is_refused_with_where(site: Site) -> None:
    error = site.refused(messages=said("Look", picture((8001, 2))))
    assert isinstance(error, anthropic.BadRequestError)
    assert error.error_code == "image_dimensions_too_large"
    assert getattr(error.details, "paths", None) == ["messages.0.content.1"]
    assert getattr(error.details, "max_side_length_pixels", None) == 8_000
    assert site.ask(messages=said(picture((8000, 2)))).stop_reason == "end_turn"


def test_among_more_than_20_images_2000_pixels_are_the_most(site: Site) -> None:
    wide = picture((2001, 2))
    assert site.ask(messages=said(*[wide] * 20)).stop_reason == "end_turn"
    error = site.refused(messages=said(*[picture()] * 20, wide))
    assert "many-image requests: 2000 pixels" in (error.api_message or "")


def test_a_hundred_images_are_read_and_one_more_is_refused(site: Site) -> None:
    assert "100 images" in text_of(site.ask(messages=said(*[picture((2, 2))] * 100)))
    error = site.refused(messages=said(*[picture((2, 2))] * 101))
    assert "too many images: 101 > 100" in (error.api_message or "")
    roomy = site.ask(model="claude-sonnet-5-5", messages=said(*[picture((2, 2))] * 101))
    assert roomy.usage.input_tokens == 101


def test_another_answerer_can_be_chosen(open_claude: Open) -> None:
    site = open_claude(answerer="tests.stack.claude.echo:Echo")
    assert text_of(site.ask("Hello")) == "HELLO"


def test_an_answerer_that_fails_is_a_500_and_an_errored_result(open_claude: Open) -> None:
    site = open_claude(answerer="tests.stack.claude.echo:Broken")
    with pytest.raises(anthropic.InternalServerError):
        site.ask()
    batch = site.batch(request_of("a"), request_of("b"))
    assert site.ended(batch.id).request_counts.errored == 2
    assert site.totals()["messages"] == 0


def test_an_answer_can_take_its_time(open_claude: Open) -> None:
    site = open_claude(answer_seconds=0.3)
    started_at = time.monotonic()
    assert site.ask().stop_reason == "end_turn"
    assert time.monotonic() - started_at >= 0.3


FIELDS = st.sampled_from(
    [
        *("model", "max_tokens", "messages", "system", "tools", "tool_choice", "thinking"),
        *("output_config", "cache_control", "metadata", "type", "role", "content", "text"),
        *("source", "name", "input_schema", "format", "schema", "effort"),
    ]
)
VALUES = st.sampled_from(
    [MODEL, THINKER, "user", "text", "image", "tool", "any", "enabled", "json_schema", "object"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | VALUES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=6),
    max_leaves=20,
)


@settings(max_examples=300)
@given(changes=st.dictionaries(FIELDS, JSON, max_size=4))
def test_whatever_is_sent_is_answered_or_refused(changes: dict[str, object]) -> None:
    body = {"model": MODEL, "max_tokens": 100, "messages": said("Hello"), **changes}
    messages = Messages(SchemaFiller(), Clock())
    with contextlib.suppress(Refused):
        assert messages.reply(body, Sender("own", "req_1")).served.output_tokens > 0


def test_without_a_state_directory_nothing_is_left_behind(tmp_path: Path) -> None:
    running = subprocess.Popen(
        [sys.executable, "-m", "stack.claude"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert running.stdout is not None
    said_first = json.loads(running.stdout.readline())
    client = anthropic.Anthropic(base_url=said_first["url"], api_key=said_first["api_key"])
    assert client.messages.count_tokens(model=MODEL, messages=said("Hello")).input_tokens == 2
    assert len(list(tmp_path.iterdir())) == 1
    running.send_signal(signal.SIGTERM)
    running.communicate(timeout=120)
    assert list(tmp_path.iterdir()) == []


def test_an_answerer_that_does_not_exist_is_said_at_start() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "stack.claude", "--answerer", "nowhere:Nobody"],
        capture_output=True,
        text=True,
        env=dict(os.environ),
        check=False,
    )
    assert ended.returncode == 1
    assert "there is no answerer nowhere:Nobody" in ended.stderr
