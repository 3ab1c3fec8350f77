"""Who is calling: the attempt whose token a host's request carries.

Guarantees: the token is checked before a byte of the body is read.
"""

from typing import Annotated

from fastapi import Depends, HTTPException, Request
from starlette.requests import HTTPConnection

from gateway.callers import Caller, KnownFirst, bearer_token, hashed, introduce
from gateway.services import Services
from sql.sessions import Attempt, find_attempt


async def attempt_of(connection: HTTPConnection, using: Services) -> Attempt:
    """The attempt of a request or WebSocket; 401 unless its token is valid now."""
    token = bearer_token(connection)
    if not token:
        raise HTTPException(401, "A host token is required.")
    async with using.pool.connection() as db:
        attempt = await find_attempt(db, hashed(token))
    if attempt is None:
        raise HTTPException(401, "This token is unknown, expired or replaced by a newer attempt.")
    introduce(connection, Caller("host", str(attempt.session_id)[:8]))
    return attempt


class TokenFirst(KnownFirst):
    """A route that answers 401 to whoever has no host token."""

    async def ask(self, request: Request) -> None:
        """Find the attempt."""
        request.state.attempt = await attempt_of(request, request.app.state.services)


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
