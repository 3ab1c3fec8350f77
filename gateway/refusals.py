"""Refusals: a status and a reason, without repeating what the request said."""

from collections.abc import Iterable, Mapping
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

MOST = 10

POLICY_VIOLATION = 1008
DENIAL = "websocket.http.response"
"""The extension of ASGI by which a server lets a WebSocket be refused with an answer."""


def problems(errors: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Pydantic's errors as data for a person: where, and what; at most `MOST`."""
    return [
        {
            # A field's name comes from the request and may be no valid text.
            "where": ".".join(map(str, one["loc"]))[:200].encode("utf-8", "replace").decode(),
            "what": str(one["msg"]).encode("utf-8", "replace").decode(),
        }
        for one in list(errors)[:MOST]
    ]


async def refuse(
    scope: Scope,
    receive: Receive,
    send: Send,
    status: int,
    reason: str,
    *,
    retry_after_seconds: int | None = None,
) -> None:
    """Answer a request, or a WebSocket not accepted yet, with a status and a reason."""
    if scope["type"] == "websocket" and DENIAL not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": reason})
        return
    headers = {} if retry_after_seconds is None else {"Retry-After": str(retry_after_seconds)}
    answer = JSONResponse({"detail": reason}, status_code=status, headers=headers)
    await answer(scope, receive, send)
