"""Who is uploading: the client whose token a request carries.

Guarantees: the token is checked before a byte of the body is read.
"""

from typing import Annotated

from fastapi import Depends, HTTPException, Request

from gateway.callers import Caller, KnownFirst, bearer_token, hashed, introduce
from gateway.services import Services
from sql.clients import ApiClient, find_client


class ClientFirst(KnownFirst):
    """A route that answers 401 to whoever has no client's token that is valid now."""

    async def ask(self, request: Request) -> None:
        """Find the client."""
        using: Services = request.app.state.services
        if not (token := bearer_token(request)):
            raise HTTPException(
                401,
                "A client's token is required: `aseagi clients add NAME` makes one.",
                {"WWW-Authenticate": "Bearer"},
            )
        async with using.pool.connection() as db:
            client = await find_client(db, hashed(token))
        if client is None:
            raise HTTPException(401, "This token is unknown, expired or revoked.")
        introduce(request, Caller("client", client.name))
        request.state.client = client


def _current_client(request: Request) -> ApiClient:
    found: ApiClient = request.state.client
    return found


Client = Annotated[ApiClient, Depends(_current_client)]
