"""Who is calling: the attempt whose token a host's request carries.

Guarantees: the token is checked before a byte of the body is read.
"""

import hashlib
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Depends, HTTPException, Request, Response
from fastapi.routing import APIRoute
from starlette.requests import HTTPConnection

from gateway.services import Services
from sql.sessions import Attempt, find_attempt


async def attempt_of(connection: HTTPConnection, using: Services) -> Attempt:
    """The attempt of a request or WebSocket; 401 unless its token is valid now."""
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise HTTPException(401, "A host token is required.")
    async with using.pool.connection() as db:
        attempt = await find_attempt(db, hashlib.sha256(token.encode()).digest())
    if attempt is None:
        raise HTTPException(401, "This token is unknown, expired or replaced by a newer attempt.")
    return attempt


class TokenFirst(APIRoute):
    """A route that answers 401 before the request's body is read."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap the route: find the attempt, then go on."""
        answer = super().get_route_handler()

        async def check_then_answer(request: Request) -> Response:
            request.state.attempt = await attempt_of(request, request.app.state.services)
            return await answer(request)

        return check_then_answer


def current_attempt(request: Request) -> Attempt:
    """The attempt found by `TokenFirst` (a FastAPI dependency)."""
    found: Attempt = request.state.attempt
    return found


def working_attempt(attempt: Annotated[Attempt, Depends(current_attempt)]) -> Attempt:
    """An attempt whose session is open; 409 when it was closed."""
    if attempt.closed:
        raise HTTPException(409, "The session is closed.")
    return attempt


Current = Annotated[Attempt, Depends(current_attempt)]
Working = Annotated[Attempt, Depends(working_attempt)]
