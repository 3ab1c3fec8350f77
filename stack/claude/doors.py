"""How every request comes in: whose key it is, what it carries, which fault strikes.

An endpoint is a function from a `Call` to a response; what it must not know (headers,
sizes, general faults, the shape of errors) is dealt with here, around it.
"""

import asyncio
import functools
import json
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from stack.claude.batches import Batches
from stack.claude.books import Books, Keys
from stack.claude.clock import Clock
from stack.claude.faults import Fault, FaultBook, On
from stack.claude.messages import Messages, new_id
from stack.claude.refusals import (
    Refused,
    broken,
    invalid,
    not_found,
    overloaded,
    rate_limited,
    too_large,
    unauthorized,
)
from stack.rehearsal.marking import drop

VERSIONS = ("2023-06-01", "2026-10-21")
"""Of the API. Both are answered alike: sampling parameters, which the first had, are refused."""
MOST_BODY_BYTES = 32 * 1024 * 1024
MOST_BATCH_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Desk:
    """What every endpoint needs."""

    books: Books
    clock: Clock
    messages: Messages
    batches: Batches
    faults: FaultBook
    keys: Keys
    url: str
    answer_seconds: float


@dataclass(frozen=True, slots=True)
class Call:
    """One request, let in."""

    desk: Desk
    request: Request
    account: str
    request_id: str
    body: dict[str, Any]
    fault: Fault | None

    def struck_by(self, kind: str) -> bool:
        """Whether this fault strikes it."""
        return self.fault is not None and self.fault.kind == kind

    def drop(self) -> Response:
        """Cut the connection: the client hears nothing of what was done."""
        return drop(self.request)


Endpoint = Callable[[Call], Awaitable[Response]]
Route = Callable[[Request], Awaitable[Response]]


def door(desk: Desk, endpoint: Endpoint, *, faults: On, most_bytes: int = MOST_BODY_BYTES) -> Route:
    """Let in who may: a known key, a known version, a body that is JSON and not too large."""

    async def answer(request: Request, request_id: str) -> Response:
        account = _account(desk.keys, request)
        _check_version(request)
        body = await _body(request, most_bytes)
        facts = {
            "model": body.get("model"),
            "batch_id": request.path_params.get("batch_id"),
            "text": body,
        }
        fault = desk.faults.strike(faults, facts)
        if fault is not None:
            _refuse(fault)
            if fault.kind == "drop":
                return drop(request)
        response = await endpoint(Call(desk, request, account, request_id, body, fault))
        if fault is not None and fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
        return response

    return _numbered(endpoint, answer)


def control_door(desk: Desk, endpoint: Endpoint) -> Route:
    """Let in who has the rehearsal key; to anybody else these paths do not exist."""

    async def answer(request: Request, request_id: str) -> Response:
        if not _same(_key(request), desk.keys.rehearsal_key):
            raise not_found("Not found")
        return await endpoint(Call(desk, request, "", request_id, {}, None))

    return _numbered(endpoint, answer)


def _numbered(endpoint: Endpoint, answer: Callable[[Request, str], Awaitable[Response]]) -> Route:
    """Give every answer its `request-id`, and every refusal its shape."""

    @functools.wraps(endpoint)
    async def enter(request: Request) -> Response:
        request_id = new_id("req")
        try:
            response = await answer(request, request_id)
        except Refused as refused:
            response = refusal(refused, request_id)
        response.headers["request-id"] = request_id
        return response

    return enter


def refusal(refused: Refused, request_id: str) -> Response:
    """An error as it is answered."""
    response = JSONResponse(refused.body(request_id), refused.status)
    response.headers["request-id"] = request_id
    if refused.retry_after_seconds is not None:
        response.headers["retry-after"] = str(refused.retry_after_seconds)
    return response


def _refuse(fault: Fault) -> None:
    match fault.kind:
        case "429":
            raise rate_limited(max(1, ceil(fault.seconds)))
        case "500":
            raise broken()
        case "529":
            raise overloaded()
        case _:
            pass


def _key(request: Request) -> str:
    """The key, from either of the headers that may hold it."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return key.strip()
    return request.headers.get("x-api-key", "")


def _same(one: str, other: str) -> bool:
    return secrets.compare_digest(one.encode(), other.encode())


def _account(keys: Keys, request: Request) -> str:
    key = _key(request)
    if not key:
        raise unauthorized("x-api-key header is required")
    if _same(key, keys.api_key):
        return "own"
    if _same(key, keys.other_api_key):
        return "other"
    raise unauthorized("invalid x-api-key")


def _check_version(request: Request) -> None:
    version = request.headers.get("anthropic-version")
    if version is None:
        raise invalid("anthropic-version: header is required")
    if version not in VERSIONS:
        raise invalid(f"anthropic-version: {version!r} is not a valid version")


async def _body(request: Request, most_bytes: int) -> dict[str, Any]:
    """The JSON object it carries; {} where the path takes none. Raises `Refused`."""
    raw = await _bytes(request, most_bytes)
    if request.method == "GET" or (not raw and request.url.path.endswith("/cancel")):
        return {}
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise invalid("content-type: must be application/json")
    try:
        value: object = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise invalid("The request body is not valid JSON") from error
    if not isinstance(value, Mapping):
        raise invalid("The request body is not a JSON object")
    return cast("dict[str, Any]", value)


async def _bytes(request: Request, most_bytes: int) -> bytes:
    """The body, read to its end even if it is too large: a client still sends then."""
    chunks: list[bytes] = []
    length = 0
    async for chunk in request.stream():
        length += len(chunk)
        if length <= most_bytes:
            chunks.append(chunk)
        else:
            chunks.clear()
    if length > most_bytes:
        raise too_large()
    return b"".join(chunks)
