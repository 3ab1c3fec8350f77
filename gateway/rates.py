"""How often one caller may ask, and how often an address may be wrong about its token.

A caller is a bearer token, else an address. Tokens that were not found valid lately count
against their address too, so that making tokens up makes nobody many callers. Refused
tokens count against the address alone, so that nobody can shut a host out: a token that was
found valid lately passes whatever others at the same address do.

Guarantees: what is remembered is bounded, and holds hashes of tokens, never tokens.
"""

import time
from collections import OrderedDict
from ipaddress import IPv6Address, ip_address
from math import ceil

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.callers import bearer_token, caller_of, hashed
from gateway.refusals import POLICY_VIOLATION, refuse

FAILED_LOGINS = RateLimitItemPerMinute(60)
"""Refused tokens of one address; a host whose attempt was replaced sends a few."""

REQUESTS: dict[str, RateLimitItem] = {
    "/events/": RateLimitItemPerMinute(60_000),
    "/host/": RateLimitItemPerMinute(12_000),
    "/prefect/": RateLimitItemPerMinute(12_000),
    "/uploads": RateLimitItemPerMinute(12_000),
    "/telegram": RateLimitItemPerMinute(12_000),
}
"""Requests of one caller by the beginning of the path; messages of a WebSocket count too."""

OTHER_REQUESTS = RateLimitItemPerMinute(600)

UNPROVEN = RateLimitItemPerMinute(6_000)
"""Requests of one address with tokens that were not found valid lately: some may be made up."""

REMEMBERED = 4096
"""Valid tokens remembered; the one not seen for the longest time is forgotten first."""

FREE = frozenset({"/health"})

UNAUTHORIZED = 401


class BoundedRates:
    """ASGI middleware: 429 with the time to wait, for callers who ask or guess too often."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._known: OrderedDict[bytes, None] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on and see whether the token was good."""
        if scope["type"] == "lifespan" or scope["path"] in FREE:
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        address, token = address_of(connection), bearer_token(connection)
        key = hashed(token) if token else b""
        if key not in self._known and not await self._limiter.test(FAILED_LOGINS, address):
            wait = await self._seconds_until(FAILED_LOGINS, address)
            reason = f"Too many refused tokens from this address; try again in {wait} s."
            await refuse(scope, receive, send, 429, reason, retry_after_seconds=wait)
            return
        if token and key not in self._known and not await self._limiter.hit(UNPROVEN, address):
            wait = await self._seconds_until(UNPROVEN, address)
            reason = f"Too many unknown tokens from this address; try again in {wait} s."
            await refuse(scope, receive, send, 429, reason, retry_after_seconds=wait)
            return
        rate, caller = _rate_of(scope["path"]), key.hex() or address
        if not await self._limiter.hit(rate, caller):
            wait = await self._seconds_until(rate, caller)
            reason = f"More than {rate.amount} requests a minute; try again in {wait} s."
            await refuse(scope, receive, send, 429, reason, retry_after_seconds=wait)
            return

        async def watched(message: Message) -> None:
            if message["type"].endswith(("response.start", "websocket.accept")):
                await self._learn(scope, key, address, message.get("status"))
            await send(message)

        async def counted() -> Message:
            message = await receive()
            if message["type"] == "websocket.receive" and not await self._limiter.hit(rate, caller):
                reason = f"More than {rate.amount} messages a minute."
                await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": reason})
                return {"type": "websocket.disconnect", "code": POLICY_VIOLATION}
            return message

        await self._app(scope, counted if scope["type"] == "websocket" else receive, watched)

    async def _learn(self, scope: Scope, key: bytes, address: str, status: int | None) -> None:
        if status == UNAUTHORIZED:
            self._known.pop(key, None)
            await self._limiter.hit(FAILED_LOGINS, address)
        elif key and caller_of(scope) is not None:
            self._known[key] = None
            self._known.move_to_end(key)
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)

    async def _seconds_until(self, rate: RateLimitItem, *caller: str) -> int:
        window = await self._limiter.get_window_stats(rate, *caller)
        return max(1, ceil(window.reset_time - time.time()))


def address_of(connection: HTTPConnection) -> str:
    """The caller's address; of IPv6 the network, in which one machine has many."""
    host = connection.client.host if connection.client else ""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    return str(int(address) >> 64) if isinstance(address, IPv6Address) else str(address)


def _rate_of(path: str) -> RateLimitItem:
    fitting = (rate for start, rate in REQUESTS.items() if path.startswith(start))
    return next(fitting, OTHER_REQUESTS)
