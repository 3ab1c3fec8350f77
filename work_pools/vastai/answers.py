"""What an answer of the marketplace says, whatever its shape.

Errors come as JSON with `error`, `msg`, `message` or `detail`, as plain text (429) or as
a proxy's HTML page (5xx); HTTP 200 can mean failure; 404 can mean a wrong key. All that
is settled here, once. Nothing here returns a secret that an answer may hold.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, cast

import httpx

LONGEST_RETRY_AFTER_SECONDS = 60.0
MAX_MESSAGE_CHARACTERS = 300

_GONE = frozenset({"no_such_instance", "not_found"})


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, decoded as far as it can be."""

    status: int
    body: Mapping[str, Any] | None
    """The JSON object; None when the answer is anything else. Numbers with a point are Decimal."""
    text: str
    """The raw text, for recognising known refusals; not for showing: it may hold secrets."""
    retry_after_seconds: float | None

    def __repr__(self) -> str:
        return f"Answer({self.status})"

    @classmethod
    def of(cls, response: httpx.Response) -> "Answer":
        """Decode a response."""
        body = _json_object(response.content)
        return cls(response.status_code, body, response.text, _retry_after(response, body))

    @property
    def is_2xx(self) -> bool:
        """Whether HTTP says that it went well, which is not yet to say that it did."""
        return 200 <= self.status < 300

    @property
    def succeeded(self) -> bool:
        """Whether the marketplace says so: 2xx, a JSON object, and `success` not denied."""
        return self.is_2xx and self.body is not None and self.body.get("success", True) is True

    @property
    def confirms(self) -> bool:
        """Whether it says in so many words that it was done; silence is no confirmation."""
        return self.succeeded and self.body is not None and self.body.get("success") is True

    @property
    def code(self) -> str:
        """The short error code; empty when there is none."""
        code = self.body.get("error") if self.body else None
        return code if isinstance(code, str) else ""

    @property
    def refuses_the_key(self) -> bool:
        """Whether the key is wrong, revoked or lacks a permission; a revoked one answers 404."""
        if self.status == 401 or (self.status == 403 and self.body is not None):
            return True
        return not self.succeeded and self.code == "auth_error"

    @property
    def says_no_such_instance(self) -> bool:
        """Whether the instance is gone; an unexplained 404 does not say so."""
        return (self.status in {404, 410} or self.is_2xx) and self.code in _GONE

    @property
    def quota_is_used_up(self) -> bool:
        """Whether today's searches are used up, which no pause of ours can help."""
        return self.status == 429 and "search_quota_exceeded" in self.text

    def summary(self, *secrets: str) -> str:
        """One line for a person: the status and what the marketplace says, without secrets."""
        said = [self.code]
        for name in ("msg", "message", "detail"):
            value = self.body.get(name) if self.body else None
            if isinstance(value, str):
                said.append(value)
        line = " ".join(" ".join(filter(None, said)).split())
        for secret in (*secrets, *self._secrets()):
            line = line.replace(secret, "[secret]")
        return f"HTTP {self.status}" + (f": {line[:MAX_MESSAGE_CHARACTERS]}" if line else "")

    def _secrets(self) -> list[str]:
        key = self.body.get("instance_api_key") if self.body else None
        return [key] if isinstance(key, str) and key else []


def rows_of(body: Mapping[str, Any], name: str) -> list[object] | None:
    """The list of that name in an answer; None if there is none."""
    rows = body.get(name)
    return cast("list[object]", rows) if isinstance(rows, list) else None


def whole_number(value: object) -> int | None:
    """A positive whole number, also when it comes as text; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value):
        value = int(value)
    return value if isinstance(value, int) and 0 < value < 10**18 else None


def amount(value: object) -> Decimal | None:
    """A finite amount of dollars, also when it comes as text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        return None
    try:
        dollars = Decimal(value)
    except InvalidOperation:
        return None
    return dollars if dollars.is_finite() else None


def _json_object(content: bytes) -> Mapping[str, Any] | None:
    try:
        value = json.loads(content, parse_float=_exact, parse_constant=_missing)
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def _exact(number: str) -> Decimal | None:
    try:
        return Decimal(number)
    except InvalidOperation:  # an exponent beyond all measure
        return None


def _missing(_constant: str) -> None:
    """NaN and Infinity, which are no JSON and no numbers: one odd row blinds nobody."""


def _retry_after(response: httpx.Response, body: Mapping[str, Any] | None) -> float | None:
    for value in (response.headers.get("retry-after"), body.get("retry_after") if body else None):
        seconds = amount(value)
        if seconds is not None and seconds >= 0:
            return min(float(seconds), LONGEST_RETRY_AFTER_SECONDS)
    return None
