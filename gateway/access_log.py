"""The access log: one line of JSON for every request, made of what may be kept.

A line has the route's template, never the path, which may name a file; the caller's
kind and name, never a token. Query strings, bodies, signed links and addresses are not
in it. A request for which there is no route is `-`.
"""

import json
import logging
import sys
import time
from datetime import UTC, datetime

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.callers import Caller, caller_of

log = logging.getLogger("aseagi.gateway.access")

NOBODY_WAITS = 499
"""Logged where the client left before it was answered, as nginx does."""
NO_ROUTE = "-"
SWITCHED = 101

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def write_to_stdout() -> None:
    """Send the lines, and nothing else, to standard output."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(message)s"))
    log.handlers[:] = [handler]
    log.setLevel(logging.INFO)
    log.propagate = False


class AccessLog:
    """ASGI middleware: writes the line when the answer is sent, or the WebSocket over."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, counting what goes in and out."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        began, status, came, went = time.monotonic(), NOBODY_WAITS, 0, 0

        async def counted_receive() -> Message:
            nonlocal came
            message = await receive()
            came += len(message.get("body") or message.get("bytes") or b"")
            came += len(message.get("text") or "")
            return message

        async def counted_send(message: Message) -> None:
            nonlocal status, went
            if message["type"].endswith("response.start"):
                status = message["status"]
            elif message["type"] == "websocket.accept":
                status = SWITCHED
            went += len(message.get("body") or message.get("bytes") or b"")
            went += len(message.get("text") or "")
            await send(message)

        try:
            await self._app(scope, counted_receive, counted_send)
        finally:
            caller = caller_of(scope) or Caller("-")
            line = {
                "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "method": _method(scope),
                "route": _route(scope),
                "status": status,
                "ms": round((time.monotonic() - began) * 1000, 1),
                "in": came,
                "out": went,
                "caller": caller.kind,
                "name": caller.name,
            }
            log.info(json.dumps(line))


def _route(scope: Scope) -> str:
    """The template of the route; a path is not for the log, since anybody may write into it."""
    return getattr(scope.get("route"), "path", NO_ROUTE)


def _method(scope: Scope) -> str:
    """The method; one that nobody has heard of could be anything."""
    if scope["type"] == "websocket":
        return "WEBSOCKET"
    return scope["method"] if scope["method"] in _METHODS else "-"
