"""Who is uploading: the client whose token a request carries.

Guarantees: the token is checked before a byte of the body is read.
"""

import hashlib
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Depends, HTTPException, Request, Response
from fastapi.routing import APIRoute

from gateway.services import Services
from sql.clients import ApiClient, find_client


class ClientFirst(APIRoute):
    """A route that answers 401 before the request's body is read."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap the route: find the client, then go on."""
        answer = super().get_route_handler()

        async def check_then_answer(request: Request) -> Response:
            request.state.client = await _client_of(request)
            return await answer(request)

        return check_then_answer


async def _client_of(request: Request) -> ApiClient:
    using: Services = request.app.state.services
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise HTTPException(
            401,
            "A client's token is required: `aseagi clients add NAME` makes one.",
            {"WWW-Authenticate": "Bearer"},
        )
    async with using.pool.connection() as db:
        client = await find_client(db, hashlib.sha256(token.encode()).digest())
    if client is None:
        raise HTTPException(401, "This token is unknown, expired or revoked.")
    return client


def _current_client(request: Request) -> ApiClient:
    found: ApiClient = request.state.client
    return found


Client = Annotated[ApiClient, Depends(_current_client)]
