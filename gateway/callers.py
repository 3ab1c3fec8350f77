"""Who calls: found before a byte of the body is read, and known to the access log.

Whatever finds out who calls (a host's token, the object store's, a client's) says so
with `introduce`. A caller who was introduced is not held up for what others at the
same address do wrong, and is named in the access log by kind and name, never by token.
"""

import hashlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.requests import HTTPConnection
from starlette.types import Scope


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody whose token was found valid."""

    kind: str
    """`host`, `storage`, …"""
    name: str = ""
    """What a person knows the caller by: a client's name, the first digits of a session."""


def introduce(connection: HTTPConnection, caller: Caller) -> None:
    """Remember who calls; call it only after the token was found valid."""
    connection.state.caller = caller


def caller_of(scope: Scope) -> Caller | None:
    """Who was introduced, if anybody."""
    found = scope.get("state", {}).get("caller")
    return found if isinstance(found, Caller) else None


def bearer_token(connection: HTTPConnection) -> str:
    """The bearer token of a request or WebSocket; empty where there is none."""
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def hashed(token: str) -> bytes:
    """A token as it is remembered: what was seen here opens nothing."""
    return hashlib.sha256(token.encode()).digest()


class KnownFirst(APIRoute):
    """A route that asks who calls before the request's body is read."""

    async def ask(self, request: Request) -> None:
        """Find out who calls, and `introduce` them; raise a 401 for a stranger."""
        raise NotImplementedError

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap the route: ask, then go on."""
        answer = super().get_route_handler()

        async def ask_then_answer(request: Request) -> Response:
            await self.ask(request)
            return await answer(request)

        return ask_then_answer
