"""The rehearsal's own paths, for tests and demos: what is true, and what shall go wrong.

    GET    /rehearsal/health              whether it answers (no key needed)
    GET    /rehearsal/hosts               every instance ever, with its states and its bill
    GET    /rehearsal/meter               what all of them have cost, and what credit is left
    GET    /rehearsal/faults              what was ordered, and how often it struck
    POST   /rehearsal/faults              order faults: a JSON list, see `faults`
    DELETE /rehearsal/faults              order no more
    POST   /rehearsal/hosts/{id}/state    {"state": "offline"}: make a host fail now
    POST   /rehearsal/hosts/{id}/traffic  {"down_bytes": 1, "up_bytes": 2}: bill traffic

All but the first need the rehearsal key as bearer token. Dollars are exact strings.
"""

from functools import partial

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from schema.failures import BadInput
from stack.marketplace.doors import Call, Desk, control_door
from stack.marketplace.faults import FAULTS
from stack.marketplace.refusals import invalid
from stack.marketplace.rows import bill_report, host_report
from stack.marketplace.settings import NOTICE
from stack.rehearsal.faults import parse_faults


def control_routes(desk: Desk) -> list[BaseRoute]:
    """The routes under /rehearsal."""
    enter = partial(control_door, desk)
    return [
        Route("/rehearsal/health", _health, methods=["GET"]),
        Route("/rehearsal/hosts", enter(_hosts), methods=["GET"]),
        Route("/rehearsal/meter", enter(_meter), methods=["GET"]),
        Route("/rehearsal/faults", enter(_faults), methods=["GET"]),
        Route("/rehearsal/faults", enter(_order), methods=["POST"]),
        Route("/rehearsal/faults", enter(_clear), methods=["DELETE"]),
        Route("/rehearsal/hosts/{instance_id:int}/state", enter(_fail), methods=["POST"]),
        Route("/rehearsal/hosts/{instance_id:int}/traffic", enter(_traffic), methods=["POST"]),
    ]


async def _health(_request: Request) -> Response:
    return JSONResponse({"rehearsal": NOTICE})


async def _hosts(call: Call) -> Response:
    now = call.market.clock.now_us()
    hosts = [
        host_report(instance, instance.bill(now), call.market.pid(instance))
        for instance in call.market.ever()
    ]
    return JSONResponse({"rehearsal": NOTICE, "hosts": hosts})


async def _meter(call: Call) -> Response:
    now = call.market.clock.now_us()
    bills = {instance.id: instance.bill(now) for instance in call.market.ever()}
    billed = call.market.billed_dollars()
    return JSONResponse(
        {
            "rehearsal": NOTICE,
            "clock_seconds": now / 1e6,
            "billed_dollars": str(billed),
            "credit_dollars": str(call.market.credit_dollars()),
            "instances": {str(which): bill_report(bill) for which, bill in bills.items()},
        }
    )


async def _faults(call: Call) -> Response:
    return JSONResponse({"faults": call.market.faults.report()})


async def _order(call: Call) -> Response:
    try:
        faults = parse_faults(await call.request.body(), FAULTS)
    except BadInput as error:
        raise invalid(str(error)) from error
    call.market.faults.order(faults)
    return JSONResponse({"faults": call.market.faults.report()})


async def _clear(call: Call) -> Response:
    call.market.faults.clear()
    return JSONResponse({"faults": []})


async def _fail(call: Call) -> Response:
    body = await call.body()
    call.market.fail(call.number("instance_id"), str(body.get("state")))
    return JSONResponse({"success": True})


async def _traffic(call: Call) -> Response:
    body = await call.body()
    down, up = body.get("down_bytes", 0), body.get("up_bytes", 0)
    if not (isinstance(down, int) and isinstance(up, int) and down >= 0 and up >= 0):
        raise invalid("down_bytes and up_bytes must be whole numbers, not negative")
    call.market.move_bytes(call.number("instance_id"), down=down, up=up)
    return JSONResponse({"success": True})
