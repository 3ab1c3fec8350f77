"""How many requests are worked on at a time; those beyond wait for their turn.

A thousand uploads at once are all taken, one after the other: a request that waits
costs its connection and the few bytes of the body that the system has received, not
what working on it costs. Only when the line itself is too long is one sent away, with a
429 that says when to come again. One caller alone cannot take every place.

WebSockets stay for hours, so they do not wait: one too many is refused.
"""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from weakref import WeakValueDictionary

from anyio import CapacityLimiter, WouldBlock
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.callers import bearer_token, hashed
from gateway.rates import address_of
from gateway.refusals import refuse

RETRY_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Room:
    """How many requests of some kind there is room for."""

    at_once: int
    per_caller: int
    waiting: int = 4000


REPORTS = Room(at_once=8, per_caller=2)
"""Reports are up to 32 MiB, held in memory whole and unpacked."""

UPLOADS = Room(at_once=64, per_caller=48)
OTHERS = Room(at_once=64, per_caller=32)
SOCKETS = Room(at_once=256, per_caller=8, waiting=0)

ROOMS = {
    "/host/complete": REPORTS,
    # What is small is not held up by files.
    "/uploads/": OTHERS,
    "/uploads": UPLOADS,
    "/upload/": UPLOADS,
    # Apart from the rest: while Prefect is slow, leases are still renewed.
    "/prefect/": OTHERS,
}
"""By the beginning of the path; all else is `OTHERS`."""


class _Line:
    """The places of one room, and who has them."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.places = CapacityLimiter(room.at_once)
        self.waiting = 0
        self._own: WeakValueDictionary[str, CapacityLimiter] = WeakValueDictionary()

    def places_of(self, caller: str) -> CapacityLimiter:
        """The places that one caller may take; forgotten once all are free."""
        own = self._own.get(caller)
        if own is None:
            own = self._own[caller] = CapacityLimiter(self.room.per_caller)
        return own


class Turns:
    """ASGI middleware: lets requests in as there is room."""

    def __init__(self, app: ASGIApp, rooms: Mapping[str, Room]) -> None:
        self._app = app
        self._lines = {start: _Line(room) for start, room in rooms.items()}
        self._others = _Line(OTHERS)
        self._sockets = _Line(SOCKETS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait for a place, then pass on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        line = self._line(scope)
        async with AsyncExitStack() as taken:
            if not await _take(line, _caller(scope), taken):
                reason = f"Too many requests at once; try again in {RETRY_SECONDS} s."
                await refuse(scope, receive, send, 429, reason, retry_after_seconds=RETRY_SECONDS)
                return
            await self._app(scope, receive, send)

    def _line(self, scope: Scope) -> _Line:
        if scope["type"] == "websocket":
            return self._sockets
        path = scope["path"]
        fitting = (line for start, line in self._lines.items() if path.startswith(start))
        return next(fitting, self._others)


async def _take(line: _Line, caller: str, taken: AsyncExitStack) -> bool:
    """Take a place of the caller's and one of the room's; False when the line is too long."""
    own = line.places_of(caller)
    for places in (own, line.places):
        try:
            places.acquire_nowait()
        except WouldBlock:
            if line.waiting >= line.room.waiting:
                return False
            line.waiting += 1
            try:
                await places.acquire()
            finally:
                line.waiting -= 1
        taken.callback(places.release)
    return True


def _caller(scope: Scope) -> str:
    connection = HTTPConnection(scope)
    token = bearer_token(connection)
    return hashed(token).hex() if token else address_of(connection)
