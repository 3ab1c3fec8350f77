"""The rehearsal's own paths, for tests and demos: what was served, and what shall go wrong.

    GET    /rehearsal/health   whether it answers (no key needed)
    GET    /rehearsal/served   the books: {"served": [rows], "totals": {...}}; rows are
                               numbered from 1; ?after=7&limit=100 begins behind row 7
    GET    /rehearsal/faults   what was ordered, and how often it struck
    POST   /rehearsal/faults   order faults: a JSON list, see `faults`
    DELETE /rehearsal/faults   order no more
    POST   /rehearsal/clock    {"advance_seconds": 301}: put the clock forward

All but the first need the rehearsal key as bearer token.
"""

import json
from functools import partial
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from schema.failures import BadInput
from stack.claude.clock import date_of
from stack.claude.doors import Call, Desk, control_door
from stack.claude.faults import FAULTS
from stack.claude.refusals import invalid
from stack.claude.requests import first_problem
from stack.claude.settings import NOTICE
from stack.rehearsal.faults import parse_faults


class _Range(BaseModel):
    model_config = ConfigDict(extra="forbid")

    after: Annotated[int, Field(ge=0)] = 0
    limit: Annotated[int, Field(ge=1)] = 1_000_000


class _Advance(BaseModel):
    model_config = ConfigDict(extra="forbid")

    advance_seconds: Annotated[float, Field(ge=0, lt=1e9)]


def control_routes(desk: Desk) -> list[BaseRoute]:
    """The routes under /rehearsal."""
    enter = partial(control_door, desk)
    return [
        Route("/rehearsal/health", _health, methods=["GET"]),
        Route("/rehearsal/served", enter(_served), methods=["GET"]),
        Route("/rehearsal/faults", enter(_faults), methods=["GET"]),
        Route("/rehearsal/faults", enter(_order), methods=["POST"]),
        Route("/rehearsal/faults", enter(_clear), methods=["DELETE"]),
        Route("/rehearsal/clock", enter(_advance), methods=["POST"]),
    ]


async def _health(_request: Request) -> Response:
    return JSONResponse({"rehearsal": NOTICE})


async def _served(call: Call) -> Response:
    try:
        wanted = _Range.model_validate(dict(call.request.query_params))
    except ValidationError as error:
        raise first_problem(error) from error
    return JSONResponse(
        {
            "rehearsal": NOTICE,
            "served": call.desk.books.served(after=wanted.after, limit=wanted.limit),
            "totals": call.desk.books.totals(),
        }
    )


async def _faults(call: Call) -> Response:
    return JSONResponse({"faults": call.desk.faults.report()})


async def _order(call: Call) -> Response:
    try:
        faults = parse_faults(await call.request.body(), FAULTS)
    except BadInput as error:
        raise invalid(str(error)) from error
    call.desk.faults.order(faults)
    return JSONResponse({"faults": call.desk.faults.report()})


async def _clear(call: Call) -> Response:
    call.desk.faults.clear()
    return JSONResponse({"faults": []})


async def _advance(call: Call) -> Response:
    try:
        wanted = _Advance.model_validate(json.loads(await call.request.body()))
    except ValidationError as error:
        raise first_problem(error) from error
    except ValueError as error:
        raise invalid("The request body is not valid JSON") from error
    call.desk.clock.advance(wanted.advance_seconds)
    now = call.desk.clock.now_us()
    call.desk.books.keep_clock(now)
    return JSONResponse({"clock": date_of(now)})
