"""What came back: an answer that can be used, or by name why there is none."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import anthropic
import httpx2
from anthropic.types import Message
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from schema.analysis import Analysis, Whole
from schema.claude import Outcome, Step, Usage

MOST_PROBLEMS = 6
"""Of an answer that is not in the schema: what is told to the model, to do better."""

RETRIED = frozenset({Outcome.RATE_LIMITED, Outcome.OVERLOADED, Outcome.ERROR, Outcome.UNREACHABLE})
"""Not served, for reasons that pass."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A message, understood. `answer` is there if the outcome is ANSWERED."""

    outcome: Outcome
    detail: str | None = None
    answer: dict[str, Any] | None = None


def read_reply(message: Message, step: Step, *, model: str) -> Reply:
    """What a message answers to the question `step`."""
    if message.stop_reason == "refusal":
        category = message.stop_details.category if message.stop_details else None
        return Reply(Outcome.REFUSED, category)
    if message.stop_reason == "max_tokens":
        return Reply(Outcome.TRUNCATED)
    if message.stop_reason == "model_context_window_exceeded":
        return Reply(Outcome.TOO_LONG)
    text = "".join(block.text for block in message.content if block.type == "text")
    try:
        value: object = _storable(json.loads(text))
    except (ValueError, RecursionError):  # or nested beyond reason
        return Reply(Outcome.INVALID, "It is not JSON.")
    if not isinstance(value, dict):
        return Reply(Outcome.INVALID, "It is not a JSON object.")
    filled = cast("dict[str, Any]", value)
    shape: type[BaseModel] = Analysis if step.kind == "pages" else Whole
    if step.kind == "pages":
        # Who answered is for us to say, and in which version.
        version = Analysis.model_fields["version"].default
        filled = {**filled, "analyst": model, "version": version}
    try:
        answer = shape.model_validate(filled)
    except ValidationError as error:
        return Reply(Outcome.INVALID, _problems(error))
    return Reply(Outcome.ANSWERED, answer=answer.model_dump(mode="json"))


def usage_of(message: Message) -> Usage:
    """The tokens that are billed for a message."""
    used = message.usage
    return Usage(
        input_tokens=used.input_tokens,
        output_tokens=used.output_tokens,
        cache_write_tokens=used.cache_creation_input_tokens or 0,
        cache_read_tokens=used.cache_read_input_tokens or 0,
    )


@dataclass(frozen=True, slots=True)
class Trouble:
    """A request that came to nothing."""

    outcome: Outcome
    detail: str | None = None
    retry_after_seconds: float | None = None

    @property
    def is_uncertain(self) -> bool:
        """Whether it may have been served all the same."""
        return self.outcome is Outcome.LOST


def trouble_of(error: Exception) -> Trouble:
    """What an error of the SDK means. One that is none of its own may come after the answer did."""
    if isinstance(error, anthropic.APIStatusError):
        return _refusal(error)
    if isinstance(error, anthropic.APIConnectionError):
        cause = error.__cause__
        never_sent = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
        if isinstance(cause, _NO_REQUEST):
            return Trouble(Outcome.NO_API, type(cause).__name__)
        return Trouble(Outcome.UNREACHABLE if isinstance(cause, never_sent) else Outcome.LOST)
    # An answer came that the SDK does not understand: it was served.
    return Trouble(Outcome.LOST, type(error).__name__)


_NO_REQUEST = (httpx2.UnsupportedProtocol, httpx2.InvalidURL, httpx2.LocalProtocolError)
"""No request can be made of such an address or key."""


def _refusal(error: anthropic.APIStatusError) -> Trouble:
    kind, said = _said(error.body)
    after = _seconds(error.response.headers.get("retry-after"))
    status = error.status_code
    if _error_code(error.body) == "enforced_spend_limit_reached":
        return Trouble(Outcome.NO_CREDIT)
    if status in _BY_STATUS:
        return Trouble(_BY_STATUS[status], retry_after_seconds=after)
    if status >= 500:
        # Without the API's own words it came from something before it, and who knows.
        return Trouble(Outcome.ERROR if kind else Outcome.LOST, f"HTTP {status}", after)
    if not kind or (status == 404 and not said.startswith("model")):
        return Trouble(Outcome.NO_API, f"HTTP {status}")
    return trouble_with_request(kind, said or kind)


_BY_STATUS = {
    401: Outcome.BAD_KEY,
    402: Outcome.NO_CREDIT,
    403: Outcome.BAD_KEY,
    408: Outcome.ERROR,
    409: Outcome.ERROR,
    413: Outcome.TOO_LONG,
    429: Outcome.RATE_LIMITED,
    529: Outcome.OVERLOADED,
}


def trouble_with_request(kind: str, said: str) -> Trouble:
    """What the API's complaint about a request means, by the type and words of its error."""
    if kind in _BY_KIND:
        return Trouble(_BY_KIND[kind])
    if "credit balance" in said or "API usage limits" in said:
        return Trouble(Outcome.NO_CREDIT)
    if kind == "not_found_error" and said.startswith("model"):
        return Trouble(Outcome.NO_MODEL)
    if said.startswith("prompt is too long"):
        return Trouble(Outcome.TOO_LONG)
    return Trouble(Outcome.REJECTED, said[:300] or kind)


_BY_KIND = {
    "overloaded_error": Outcome.OVERLOADED,
    "api_error": Outcome.ERROR,
    "timeout_error": Outcome.ERROR,
    "rate_limit_error": Outcome.RATE_LIMITED,
    "authentication_error": Outcome.BAD_KEY,
    "permission_error": Outcome.BAD_KEY,
    "billing_error": Outcome.NO_CREDIT,
    "request_too_large": Outcome.TOO_LONG,
}


def _said(body: object) -> tuple[str, str]:
    """Type and message of an error body."""
    error = _error(body)
    return str(error.get("type", "")), str(error.get("message", ""))


def _error_code(body: object) -> object:
    details = _error(body).get("details")
    return (
        cast("Mapping[str, object]", details).get("error_code")
        if isinstance(details, Mapping)
        else None
    )


def _error(body: object) -> Mapping[str, object]:
    if isinstance(body, Mapping):
        error = cast("Mapping[str, object]", body).get("error")
        if isinstance(error, Mapping):
            return cast("Mapping[str, object]", error)
    return {}


def _seconds(header: str | None) -> float | None:
    try:
        return max(0.0, float(header)) if header is not None else None
    except ValueError:
        return None


def _problems(error: ValidationError) -> str:
    """The first problems, by place and rule; what was answered there is left out."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    told = [f"{_place(one)}: {one['msg']}" for one in found[:MOST_PROBLEMS]]
    return "; ".join(told)[:500]


def _place(problem: ErrorDetails) -> str:
    # The name of a field that the form does not have was answered, too.
    where = problem["loc"][:-1] if problem["type"] == "extra_forbidden" else problem["loc"]
    return ".".join(map(str, where)) or "the form"


def _storable(value: Any) -> Any:
    """The value without control characters, and what Postgres cannot store.

    NUL it cannot, nor halves of surrogate pairs; what moves a terminal's cursor nobody needs.
    """
    if isinstance(value, str):
        kept = "".join(c for c in value if c >= " " or c in "\n\t")
        return kept.encode(errors="replace").decode()
    if isinstance(value, dict):
        return {_storable(k): _storable(v) for k, v in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_storable(one) for one in cast("Sequence[Any]", value)]
    return value
