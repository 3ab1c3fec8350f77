"""The HTTP face: the paths of the Bot API, as far as they are rehearsed.

    GET, POST /bot<token>/<method>     see `methods`
    GET       /file/bot<token>/<path>  the bytes of a file

The rehearsal's own paths are in `control`. Every answer carries `X-Rehearsal`.
"""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from stack.rehearsal.marking import Marked, drop
from stack.telegram.control import control_routes
from stack.telegram.doors import (
    Desk,
    answered,
    check_token,
    methods_door,
    strike_after,
    strike_before,
)
from stack.telegram.doors import Route as Door
from stack.telegram.methods import METHODS, MOST_FILE_BYTES
from stack.telegram.refusals import broken, not_found
from stack.telegram.settings import NOTICE

_CHUNK = 64 * 1024


def create_app(desk: Desk) -> ASGIApp:
    """The application; updates are delivered while it is open."""

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[None, None]:
        desk.deliveries.open()
        yield
        await desk.deliveries.close()
        desk.books.close()

    return Marked(
        Starlette(
            routes=[*_routes(desk), *control_routes(desk)],
            lifespan=lifespan,
            exception_handlers={HTTPException: _no_such_path, Exception: _failed},
        )
    )


def _routes(desk: Desk) -> list[BaseRoute]:
    return [
        Route("/", _front, methods=["GET"]),
        Route("/bot{token}/{method}", methods_door(desk, METHODS), methods=["GET", "POST"]),
        Route("/file/bot{token}/{path:path}", _file_door(desk), methods=["GET"]),
    ]


def _file_door(desk: Desk) -> Door:
    async def download(request: Request) -> Response:
        check_token(desk, request.path_params["token"])
        fault = desk.faults.strike("file", {})
        if fault is not None and (cut := await strike_before(request, fault)) is not None:
            return cut
        file = desk.books.file_at(request.path_params["path"])
        if file is None or file.content is None or file.size > MOST_FILE_BYTES:
            raise not_found()
        content = file.content
        if fault is not None and (cut := await strike_after(request, fault)) is not None:
            return cut

        async def told() -> AsyncIterator[bytes]:
            half = fault is not None and fault.kind == "cut"
            for start in range(0, len(content) // (2 if half else 1), _CHUNK):
                yield content[start : start + _CHUNK]
            if half:
                drop(request)

        headers = {"Content-Length": str(len(content))}
        return StreamingResponse(told(), media_type="application/octet-stream", headers=headers)

    return answered(download)


async def _front(_request: Request) -> Response:
    return PlainTextResponse(f"A rehearsal of Telegram's Bot API: {NOTICE}.\n")


async def _no_such_path(_request: Request, _error: Exception) -> Response:
    return JSONResponse(not_found().body(), 404)


async def _failed(_request: Request, _error: Exception) -> Response:
    return JSONResponse(broken().body(), 500)
