"""Around every answer of a rehearsal: its mark, and the way to cut its connection."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_DROP = "aseagi.drop"
"""Where a request's scope holds the function that cuts its connection."""


class Marked:
    """Marks every answer as a rehearsal's, and knows how to cut a connection."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the application does, with the mark."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-rehearsal", b"no money")]
            await send(message)

        # uvicorn's send is a method of the object that has the connection.
        transport = getattr(getattr(send, "__self__", None), "transport", None)
        scope[_DROP] = None if transport is None else transport.abort
        await self._app(scope, receive, marked)


def drop(request: Request) -> Response:
    """Cut the connection: the client hears nothing of what was done."""
    cut = request.scope.get(_DROP)
    if cut is not None:
        cut()
    return Response(status_code=502)
