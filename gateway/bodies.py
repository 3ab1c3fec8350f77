"""How much a request may send, and how long it may take.

Guarantees: a body that says it is too large is refused unread, one that turns out too
large is refused at the first byte over the limit, and one that trickles is given up.
"""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus

from fastapi import HTTPException
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

DEFAULT_BYTES = 64 * 1024
BODY_SECONDS = 60.0


class BoundedBodies:
    """ASGI middleware: 413 for bodies over the path's limit, 408 for slow ones.

    `limits` are bytes by the beginning of the path; the first that fits counts, else
    `DEFAULT_BYTES`.
    """

    def __init__(self, app: ASGIApp, limits: Mapping[str, int]) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse by the declared length, else pass the request on with a bounded `receive`."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limit(scope["path"])
        declared = Headers(scope=scope).get("content-length", "0")
        if not (declared.isascii() and declared.isdigit()):
            refusal = JSONResponse({"detail": "Content-Length is not a number."}, status_code=400)
            await refusal(scope, receive, send)
        elif len(declared) > 18 or int(declared) > limit:
            refusal = JSONResponse({"detail": _too_large(limit)}, status_code=413)
            await refusal(scope, receive, send)
        else:
            await self._app(scope, _bounded(receive, limit), send)

    def _limit(self, path: str) -> int:
        fitting = (size for start, size in self._limits.items() if path.startswith(start))
        return next(fitting, DEFAULT_BYTES)


def _bounded(receive: Receive, limit: int) -> Receive:
    received = 0
    arrived = False
    deadline: float | None = None

    async def bounded() -> Message:
        nonlocal received, arrived, deadline
        if arrived:  # what comes now is only whether the client is still there
            return await receive()
        if deadline is None:
            deadline = asyncio.get_running_loop().time() + BODY_SECONDS
        try:
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError:
            raise HTTPException(
                HTTPStatus.REQUEST_TIMEOUT, f"The body took more than {BODY_SECONDS:.0f} s."
            ) from None
        received += len(message.get("body", b""))
        arrived = not message.get("more_body", False)
        if received > limit:
            raise HTTPException(413, _too_large(limit))
        return message

    return bounded


def _too_large(limit: int) -> str:
    return f"The body exceeds {limit} bytes."
