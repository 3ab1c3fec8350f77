"""How much a request may send, and how long it may take.

Guarantees: a body that says it is too large is refused unread, one that turns out too
large is refused at the first byte over the limit, and one that trickles is given up.
What is slow is judged by the path: `Bounds` says how.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from fastapi import HTTPException
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.refusals import refuse

BODY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the body of a request may be.

    Only the time that the gateway waits for bytes counts, not the time it spends on them.
    """

    max_bytes: int = 64 * 1024
    seconds: float = BODY_SECONDS
    """The whole body comes within this; of a long one, this is all that may be lost."""
    silence_seconds: float | None = None
    """For a long body: no pause between two pieces is longer than this."""
    bytes_per_second: float | None = None
    """For a long body: its mean rate, once `seconds` are over, is not below this."""

    @classmethod
    def long(cls, max_bytes: int) -> "Bounds":
        """A file over a slow line: hours if need be, but never silent and never a trickle.

        Refused after 30 seconds without a byte, or once it is a minute behind a mean rate of
        8 KiB a second, at which 2 GiB take three days.
        """
        return cls(max_bytes, silence_seconds=30.0, bytes_per_second=8 * 1024)

    def seconds_left(self, received: int, waited: float) -> float:
        """How long the next piece may take, after so many bytes and seconds of waiting."""
        earned = received / self.bytes_per_second if self.bytes_per_second else 0.0
        left = self.seconds + earned - waited
        return left if self.silence_seconds is None else min(left, self.silence_seconds)


DEFAULT = Bounds()


class BoundedBodies:
    """ASGI middleware: 413 for bodies over the path's limit, 408 for slow ones.

    `bounds` are by the beginning of the path; the first that fits counts, else `DEFAULT`.
    """

    def __init__(self, app: ASGIApp, bounds: Mapping[str, Bounds]) -> None:
        self._app = app
        self._bounds = bounds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse by the declared length, else pass the request on with a bounded `receive`."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        bounds, headers = self._of(scope["path"]), Headers(scope=scope)
        declared = headers.get("content-length", "0")
        if not (declared.isascii() and declared.isdigit()):
            await refuse(scope, receive, send, 400, "Content-Length is not a number.")
        elif "content-length" in headers and "transfer-encoding" in headers:
            # Two lengths: what stands before the gateway may have believed the other.
            await refuse(scope, receive, send, 400, "Send Content-Length or chunks, not both.")
        elif len(declared) > 18 or int(declared) > bounds.max_bytes:
            await refuse(scope, receive, send, 413, _too_large(bounds))
        else:
            await self._app(scope, _bounded(receive, bounds), send)

    def _of(self, path: str) -> Bounds:
        fitting = (bounds for start, bounds in self._bounds.items() if path.startswith(start))
        return next(fitting, DEFAULT)


def _bounded(receive: Receive, bounds: Bounds) -> Receive:
    received = 0
    waited = 0.0
    arrived = False

    async def bounded() -> Message:
        nonlocal received, waited, arrived
        if arrived:  # what comes now is only whether the client is still there
            return await receive()
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            async with asyncio.timeout(bounds.seconds_left(received, waited)):
                message = await receive()
        except TimeoutError:
            raise HTTPException(HTTPStatus.REQUEST_TIMEOUT, _too_slow(bounds)) from None
        waited += clock() - began
        received += len(message.get("body", b""))
        arrived = not message.get("more_body", False)
        if received > bounds.max_bytes:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _too_large(bounds))
        return message

    return bounded


def _too_large(bounds: Bounds) -> str:
    return f"The body exceeds {bounds.max_bytes} bytes."


def _too_slow(bounds: Bounds) -> str:
    if bounds.silence_seconds is None or bounds.bytes_per_second is None:
        return f"The body took more than {bounds.seconds:.0f} s."
    return (
        f"The body came too slowly: nothing for {bounds.silence_seconds:.0f} s, "
        f"or less than {bounds.bytes_per_second:.0f} bytes a second."
    )
