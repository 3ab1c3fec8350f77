"""Messages: from the body of a request to the answer, its usage, and the row in the books."""

import json
import logging
import secrets
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from stack.claude.answering import Answerer, Question
from stack.claude.books import Served
from stack.claude.cache import CacheUse, PromptCache
from stack.claude.clock import Clock, date_of
from stack.claude.layout import Layout, lay_out
from stack.claude.models import Effort, Model
from stack.claude.refusals import broken
from stack.claude.requests import (
    MessageRequest,
    Prompt,
    TextBlock,
    Tool,
    ToolResultBlock,
    read_message_request,
    read_prompt,
)
from stack.claude.tokens import CHARACTERS_PER_TOKEN, text_tokens

THINKING_TOKENS: Mapping[Effort, int] = {
    "low": 0,
    "medium": 32,
    "high": 128,
    "xhigh": 256,
    "max": 512,
}
"""What is thought before an answer, if it is at all. With none there is no thinking block."""
_UNASKED_FOR = "This is not what was asked for."

_log = logging.getLogger(__name__)


def new_id(prefix: str) -> str:
    """An identifier as the API makes them."""
    letters = string.ascii_letters + string.digits
    return f"{prefix}_01{''.join(secrets.choice(letters) for _ in range(22))}"


@dataclass(frozen=True, slots=True)
class Sender:
    """Whose request it is, and how it came."""

    account: str
    request_id: str
    batch_id: str | None = None
    custom_id: str | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """A message as JSON, and its row in the books, which is not written yet."""

    message: dict[str, object]
    served: Served


@dataclass(frozen=True, slots=True)
class _Output:
    content: list[dict[str, object]]
    stop_reason: str
    tokens: int
    thinking_tokens: int


class Messages:
    """Answers requests for messages."""

    def __init__(self, answerer: Answerer, clock: Clock) -> None:
        self._answerer = answerer
        self._clock = clock
        self._cache = PromptCache(clock.now_us)

    def count(self, body: Mapping[str, object]) -> int:
        """The tokens of a prompt. Raises `Refused`."""
        prompt, model = read_prompt(body)
        return lay_out(prompt, model).tokens

    def reply(self, body: Mapping[str, object], sender: Sender, fault: str | None = None) -> Reply:
        """Answer one request; `fault` is a kind of fault that spoils the answer.

        Raises:
            Refused: the request is not served, and not billed.
        """
        request, model = read_message_request(body)
        layout = lay_out(request, model)
        output = self._answer(request, model, layout, fault)
        use = self._cache.use(sender.account, model, layout.segments)
        tier = "standard" if sender.batch_id is None else "batch"
        message: dict[str, object] = {
            "id": new_id("msg"),
            "type": "message",
            "role": "assistant",
            "model": model.id if model.dated_id is None else model.dated_id,
            "content": output.content,
            "stop_reason": output.stop_reason,
            "stop_sequence": None,
            "stop_details": _stop_details(output.stop_reason),
            "usage": _usage(use, output, tier),
        }
        return Reply(message, self._row(message, use, output, sender, fault))

    def _answer(
        self, request: MessageRequest, model: Model, layout: Layout, fault: str | None
    ) -> _Output:
        if fault == "refusal":
            return _Output([], "refusal", 1, 0)
        tool = request.forced_tool
        schema = request.schema_asked_for if tool is None else tool.input_schema
        value = self._ask(_question(request, layout, schema))
        if fault == "schema-invalid":
            value = _spoilt(value, schema)
        text = value if schema is None and isinstance(value, str) else _json(value)
        effort = request.output_config.effort or model.default_effort
        thinking_tokens = THINKING_TOKENS[effort] if request.thinks(model) else 0
        allowed_tokens = request.max_tokens - thinking_tokens
        if fault == "truncated":
            allowed_tokens = min(allowed_tokens, text_tokens(text) // 2)
        is_whole = text_tokens(text) <= allowed_tokens
        kept = text if is_whole else text[: max(0, allowed_tokens) * CHARACTERS_PER_TOKEN]
        content: list[dict[str, object]] = []
        if thinking_tokens:
            content.append({"type": "thinking", "thinking": "", "signature": "cmVoZWFyc2Fs"})
        if tool is not None:
            content.append(_call(tool, value if is_whole else {}))
        elif kept:
            content.append({"type": "text", "text": kept, "citations": None})
        finished = "end_turn" if tool is None else "tool_use"
        spent_tokens = thinking_tokens + (text_tokens(kept) if kept else 0)
        return _Output(
            content,
            finished if is_whole else "max_tokens",
            min(request.max_tokens, spent_tokens),
            min(request.max_tokens, thinking_tokens),
        )

    def _ask(self, question: Question) -> object:
        try:
            return self._answerer.answer(question)
        except Exception as error:
            # A batch must go on, and a client hears what it hears of any failure.
            _log.exception("the answerer failed")
            raise broken() from error

    def _row(
        self,
        message: Mapping[str, Any],
        use: CacheUse,
        output: _Output,
        sender: Sender,
        fault: str | None,
    ) -> Served:
        return Served(
            served_at=date_of(self._clock.now_us()),
            account=sender.account,
            message_id=message["id"],
            request_id=sender.request_id,
            batch_id=sender.batch_id,
            custom_id=sender.custom_id,
            model=message["model"],
            input_tokens=use.plain_tokens,
            cache_creation_5m_input_tokens=use.written_5m_tokens,
            cache_creation_1h_input_tokens=use.written_1h_tokens,
            cache_read_input_tokens=use.read_tokens,
            output_tokens=output.tokens,
            stop_reason=output.stop_reason,
            service_tier=message["usage"]["service_tier"],
            lost=fault == "drop-after",
        )


def _call(tool: Tool, given: object) -> dict[str, object]:
    return {"type": "tool_use", "id": new_id("toolu"), "name": tool.name, "input": given}


def _question(request: Prompt, layout: Layout, schema: Mapping[str, object] | None) -> Question:
    return Question(
        model=request.model,
        system="\n".join(block.text for block in request.system),
        texts=tuple(_texts(request)),
        images=layout.images,
        schema=schema,
    )


def _texts(request: Prompt) -> Iterable[str]:
    for message in request.messages:
        if message.role != "user":
            continue
        for block in message.content:
            shown = block.content if isinstance(block, ToolResultBlock) else [block]
            yield from (each.text for each in shown if isinstance(each, TextBlock))


def _usage(use: CacheUse, output: _Output, tier: str) -> dict[str, object]:
    return {
        "input_tokens": use.plain_tokens,
        "cache_creation_input_tokens": use.written_5m_tokens + use.written_1h_tokens,
        "cache_read_input_tokens": use.read_tokens,
        "cache_creation": {
            "ephemeral_5m_input_tokens": use.written_5m_tokens,
            "ephemeral_1h_input_tokens": use.written_1h_tokens,
        },
        "output_tokens": output.tokens,
        "output_tokens_details": {"thinking_tokens": output.thinking_tokens},
        "service_tier": tier,
        "inference_geo": "not_available",
    }


def _stop_details(stop_reason: str) -> dict[str, object] | None:
    if stop_reason != "refusal":
        return None
    return {"type": "refusal", "category": None, "explanation": None}


def _spoilt(value: object, schema: Mapping[str, object] | None) -> object:
    """A value that is not valid for the schema: without its first property, or a text."""
    if schema is None or not isinstance(value, dict) or not value:
        return _UNASKED_FOR
    filled = cast("dict[str, object]", value)
    return dict(list(filled.items())[1:])


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
