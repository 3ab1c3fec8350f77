"""The HTTP face: the paths of Anthropic's API, as far as they are rehearsed.

    POST /v1/messages
    POST /v1/messages/count_tokens
    POST /v1/messages/batches
    GET  /v1/messages/batches
    GET  /v1/messages/batches/{id}
    POST /v1/messages/batches/{id}/cancel
    GET  /v1/messages/batches/{id}/results

The rehearsal's own paths are in `control`. Every answer carries `X-Rehearsal: no money`.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from functools import partial

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from stack.claude.control import control_routes
from stack.claude.doors import MOST_BATCH_BYTES, Call, Desk, door, refusal
from stack.claude.messages import Sender, new_id
from stack.claude.refusals import Refused, broken, invalid, not_found
from stack.claude.settings import NOTICE
from stack.rehearsal.marking import Marked

DEFAULT_LISTED = 20
_CUT_SECONDS = 0.05
"""Before results are cut: what was sent of them should have arrived."""


def create_app(desk: Desk) -> ASGIApp:
    """The application; batches are processed while it is open."""

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[None, None]:
        desk.batches.open()
        yield
        await desk.batches.close()
        desk.books.keep_clock(desk.clock.now_us())
        desk.books.close()

    return Marked(
        Starlette(
            routes=[*_routes(desk), *control_routes(desk)],
            lifespan=lifespan,
            exception_handlers={HTTPException: _no_such_path, Exception: _failed},
        )
    )


def _routes(desk: Desk) -> list[BaseRoute]:
    enter = partial(door, desk)
    batches = "/v1/messages/batches"
    one = f"{batches}/{{batch_id}}"
    create = enter(_create_batch, faults="create", most_bytes=MOST_BATCH_BYTES)
    return [
        Route("/", _front, methods=["GET"]),
        Route("/v1/messages", enter(_message, faults="messages"), methods=["POST"]),
        Route("/v1/messages/count_tokens", enter(_count, faults="count"), methods=["POST"]),
        Route(batches, create, methods=["POST"]),
        Route(batches, enter(_list_batches, faults="read"), methods=["GET"]),
        Route(one, enter(_show_batch, faults="read"), methods=["GET"]),
        Route(f"{one}/cancel", enter(_cancel_batch, faults="read"), methods=["POST"]),
        Route(f"{one}/results", enter(_results, faults="results"), methods=["GET"]),
    ]


async def _front(_request: Request) -> Response:
    return PlainTextResponse(f"A rehearsal of Anthropic's API: {NOTICE}. No model answers here.\n")


async def _no_such_path(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    refused = (
        not_found("Not found")
        if status == 404
        else Refused(status, "invalid_request_error", "Method not allowed")
    )
    return refusal(refused, new_id("req"))


async def _failed(_request: Request, _error: Exception) -> Response:
    return refusal(broken(), new_id("req"))


# Messages


async def _message(call: Call) -> Response:
    kind = None if call.fault is None else call.fault.kind
    reply = call.desk.messages.reply(call.body, Sender(call.account, call.request_id), kind)
    call.desk.books.write_served(reply.served)
    if call.struck_by("drop-after"):
        return call.drop()
    if call.desk.answer_seconds:
        await asyncio.sleep(call.desk.answer_seconds)
    return JSONResponse(reply.message)


async def _count(call: Call) -> Response:
    return JSONResponse({"input_tokens": call.desk.messages.count(call.body)})


# Batches


async def _create_batch(call: Call) -> Response:
    batch = call.desk.batches.create(call.account, call.body)
    if call.struck_by("commit-then-drop"):
        return call.drop()
    if call.struck_by("commit-then-500"):
        raise broken()
    return JSONResponse(call.desk.batches.report(batch, call.desk.url))


async def _list_batches(call: Call) -> Response:
    query = call.request.query_params
    limit = query.get("limit", str(DEFAULT_LISTED))
    if not limit.isdecimal():
        raise invalid("limit: Input should be a valid integer")
    found, has_more = call.desk.batches.page(
        call.account,
        before_id=query.get("before_id"),
        after_id=query.get("after_id"),
        limit=int(limit),
    )
    return JSONResponse(
        {
            "data": [call.desk.batches.report(batch, call.desk.url) for batch in found],
            "has_more": has_more,
            "first_id": found[0].id if found else None,
            "last_id": found[-1].id if found else None,
        }
    )


async def _show_batch(call: Call) -> Response:
    batch = call.desk.batches.find(call.account, call.request.path_params["batch_id"])
    return JSONResponse(call.desk.batches.report(batch, call.desk.url))


async def _cancel_batch(call: Call) -> Response:
    batch = call.desk.batches.cancel(call.account, call.request.path_params["batch_id"])
    return JSONResponse(call.desk.batches.report(batch, call.desk.url))


async def _results(call: Call) -> Response:
    batch_id = call.request.path_params["batch_id"]
    lines = call.desk.batches.results(call.account, batch_id)
    size = call.desk.batches.find(call.account, batch_id).size
    half = call.struck_by("partial") or call.struck_by("cut")

    async def told() -> AsyncIterator[bytes]:
        for number, line in enumerate(lines):
            if half and number >= size // 2:
                break
            yield line
        if call.struck_by("cut"):
            await asyncio.sleep(_CUT_SECONDS)
            call.drop()

    return StreamingResponse(told(), media_type="application/x-jsonl")
