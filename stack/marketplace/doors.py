"""How every request comes in: whose key it is, how often it may call, which fault strikes.

An endpoint is a function from a `Call` to a response; what it must not know (keys,
limits, general faults, error bodies) is dealt with here, around it.
"""

import functools
import json
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from stack.marketplace.faults import Fault, On
from stack.marketplace.instances import Instance
from stack.marketplace.limits import RateLimits
from stack.marketplace.market import Market
from stack.marketplace.refusals import (
    Refused,
    invalid,
    login_needed,
    not_permitted,
    unknown_key,
)
from stack.rehearsal.keys import Keys

TOO_FREQUENT = "API requests too frequent"


@dataclass(frozen=True, slots=True)
class Desk:
    """What every endpoint needs."""

    market: Market
    keys: Keys
    limits: RateLimits | None
    url: str
    results: dict[str, str] = field(default_factory=dict[str, str])
    """Texts by unguessable name, as the real one puts logs into object storage."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request, let in."""

    desk: Desk
    request: Request
    owner: Instance | None
    """The instance whose own key was used; None for the account's."""

    @property
    def market(self) -> Market:
        """The market it is about."""
        return self.desk.market

    def number(self, name: str) -> int:
        """A number of the path. The route takes no others."""
        return int(self.request.path_params[name])

    async def body(self) -> dict[str, Any]:
        """The JSON object it carries, {} for an empty body.

        Raises:
            Refused: 400, it is no JSON object.
        """
        raw = await self.request.body()
        try:
            value: object = json.loads(raw) if raw.strip() else {}
        except ValueError as error:
            raise invalid("error 400/3000: the body is not JSON") from error
        if not isinstance(value, dict):
            raise invalid("error 400/3000: the body is no JSON object")
        return cast("dict[str, Any]", value)

    def parameter(self, name: str, default: Any) -> Any:
        """A query parameter, which is JSON in the real API.

        Raises:
            Refused: 400, it is not JSON or not of the kind of `default`.
        """
        text = self.request.query_params.get(name)
        if text is None or not text:
            return default
        try:
            value: object = json.loads(text)
        except ValueError as error:
            raise invalid(f"{name} is not JSON", "invalid_request") from error
        if default is not None and not isinstance(value, type(default)):
            raise invalid(f"{name} is of the wrong kind", "invalid_request")
        return value


Endpoint = Callable[[Call], Awaitable[Response]]
Route = Callable[[Request], Awaitable[Response]]


def door(
    desk: Desk,
    endpoint: Endpoint,
    *,
    limit: str | None = None,
    faults: On | None = None,
    open_to_instances: bool = False,
) -> Route:
    """Let in who may: a known key, not too often, unless a general fault strikes.

    `open_to_instances` admits an instance's own key, for its own instance alone.
    Endpoints whose faults need to know more (create, destroy) strike them themselves.
    """

    @functools.wraps(endpoint)
    async def enter(request: Request) -> Response:
        try:
            owner = _who(desk, request)
            if owner is not None and not (
                open_to_instances and request.path_params.get("instance_id") == owner.id
            ):
                raise not_permitted()
            refused = _too_often(desk, limit, request)
            if refused is not None:
                return refused
            call = Call(desk, request, owner)
            struck = None if faults is None else desk.market.faults.strike(faults)
            broken = None if struck is None else answer_of(struck)
            return await endpoint(call) if broken is None else broken
        except Refused as refusal:
            return _refusal(refusal)

    return enter


def control_door(desk: Desk, endpoint: Endpoint) -> Route:
    """Let in who has the rehearsal key; to anybody else these paths do not exist."""

    @functools.wraps(endpoint)
    async def enter(request: Request) -> Response:
        if not secrets.compare_digest(_bearer(request).encode(), desk.keys.rehearsal_key.encode()):
            return JSONResponse({"detail": "Not Found"}, HTTPStatus.NOT_FOUND)
        try:
            return await endpoint(Call(desk, request, None))
        except Refused as refusal:
            return _refusal(refusal)

    return enter


def answer_of(fault: Fault) -> Response | None:
    """The answer to a fault that does nothing but answer; None for any other."""
    kind = fault.kind
    if kind == "rate-limited":
        kind = "429-json" if fault.shape == "json" else "429"
    answer = _ANSWERS.get(kind)
    return None if answer is None else answer()


def too_many(retry_after: int) -> Response:
    """A 429 as some endpoints answer it."""
    body: Mapping[str, object] = {
        "success": False,
        "error": "HTTPTooManyRequests",
        "msg": TOO_FREQUENT,
        "retry_after": retry_after,
    }
    return JSONResponse(body, 429, headers={"Retry-After": str(retry_after)})


def deprecated(instead: str) -> Response:
    """What the listing of v0 has come to."""
    message = f"/api/v0/instances/ is deprecated. Use {instead} instead."
    return JSONResponse({"success": False, "error": "deprecated_endpoint", "msg": message}, 410)


def _bearer(request: Request) -> str:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def _who(desk: Desk, request: Request) -> Instance | None:
    key = _bearer(request)
    if not key:
        raise login_needed()
    if secrets.compare_digest(key.encode(), desk.keys.api_key.encode()):
        return None
    owner = desk.market.owner_of(key)
    if owner is None:
        raise unknown_key()
    return owner


def _too_often(desk: Desk, limit: str | None, request: Request) -> Response | None:
    if limit is None or desk.limits is None:
        return None
    seconds = desk.limits.refuse_for(limit, _bearer(request))
    if seconds is None:
        return None
    if limit == "charges":
        return too_many(max(1, round(seconds)))
    return PlainTextResponse(f"{TOO_FREQUENT}: endpoint threshold={seconds:.1f}", 429)


def _refusal(refused: Refused) -> Response:
    return JSONResponse(refused.body, refused.status)


_ANSWERS: Mapping[str, Callable[[], Response]] = {
    "429": lambda: PlainTextResponse(f"{TOO_FREQUENT}: endpoint threshold=3.0", 429),
    "429-json": lambda: too_many(2),
    "quota": lambda: JSONResponse({"success": False, "error": "search_quota_exceeded"}, 429),
    "500": lambda: HTMLResponse("<html><h1>500 Internal Server Error</h1></html>", 500),
    "error-500": lambda: HTMLResponse("<html><h1>500 Internal Server Error</h1></html>", 500),
    "html-200": lambda: HTMLResponse("<html><body>Down for maintenance</body></html>"),
    "410": lambda: deprecated("/api/v1/instances/"),
    "auth-404": lambda: _refusal(unknown_key()),
    "success-false": lambda: JSONResponse(
        {"success": False, "error": "server_error", "msg": "error 500/3000: try again"}
    ),
    "odd-shape": lambda: JSONResponse({"success": True, "total_instances": 0, "next_token": None}),
    "empty": lambda: JSONResponse({"offers": []}),
}
"""By kind: what is answered instead of doing anything."""
