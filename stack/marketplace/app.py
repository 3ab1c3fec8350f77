"""The HTTP face of the market: the paths, fields and errors of the Vast.ai API.

What clients of the real API rely on is here and nothing else is; the rehearsal's own
paths are in `control`. Every answer carries `X-Rehearsal: no money`.
"""

import asyncio
import base64
import binascii
import contextlib
import json
import secrets
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any, cast

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from stack.marketplace.control import control_routes
from stack.marketplace.doors import Call, Desk, answer_of, deprecated, door
from stack.marketplace.faults import Fault
from stack.marketplace.instances import Instance
from stack.marketplace.market import Seen, facts_of
from stack.marketplace.orders import Order, parse_order
from stack.marketplace.query import matches, parse_query
from stack.marketplace.refusals import (
    Refused,
    insufficient_credit,
    invalid,
    no_such_instance,
    offer_taken,
)
from stack.marketplace.rows import COMPUTED, charge_row, instance_row
from stack.marketplace.settings import NOTICE
from stack.rehearsal.marking import Marked, drop

MOST_LISTED = 25
DEFAULT_LISTED = 5
MOST_CHARGES = 500
DEFAULT_CHARGES = 100
MOST_RESULTS = 100
"""Logs kept for fetching; the oldest goes first."""


def create_app(desk: Desk) -> ASGIApp:
    """The application; the market opens with it and closes with it."""

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[None, None]:
        desk.market.open()
        yield
        await desk.market.close()

    routes = [*_routes(desk), *control_routes(desk)]
    return Marked(_LastSlash(Starlette(routes=routes, lifespan=lifespan)))


def _routes(desk: Desk) -> list[BaseRoute]:
    enter = partial(door, desk)
    one = "/api/v0/instances/{instance_id:int}/"
    v0_list = enter(_list_v0, limit="list")

    def public(answer: Callable[[Desk, Request], Response]) -> Callable[[Request], Any]:
        async def reply(request: Request) -> Response:
            return answer(desk, request)

        return reply

    return [
        _route("GET", "/", public(_front)),
        _route("POST", "/api/v0/bundles/", enter(_search, limit="search", faults="search")),
        _route("PUT", "/api/v0/search/asks/", enter(_search, limit="search", faults="search")),
        _route("PUT", "/api/v0/asks/{ask_id:int}/", enter(_create, limit="create")),
        _route("POST", "/api/v0/asks/bulk/", enter(_create_many, limit="create")),
        _route("GET", "/api/v0/instances/", v0_list),
        _route("GET", "/api/v1/instances/", enter(_list, limit="list", faults="list")),
        _route("DELETE", "/api/v0/instances/", enter(_destroy_many, limit="destroy")),
        _route("PUT", "/api/v0/instances/", enter(_change_many, limit="change")),
        _route("GET", one, enter(_show, limit="show", faults="show")),
        _route("DELETE", one, enter(_destroy, limit="destroy", open_to_instances=True)),
        _route("PUT", one, enter(_change, limit="change", open_to_instances=True)),
        _route("PUT", "/api/v0/instances/bid_price/{instance_id:int}/", enter(_bid, limit="bid")),
        _route("PUT", "/api/v0/instances/request_logs/{instance_id:int}/", enter(_logs)),
        _route(
            "GET",
            "/api/v0/instances/balance/{instance_id:int}/",
            enter(_balance, limit="balance"),
        ),
        _route("GET", "/api/v0/users/current/", enter(_user)),
        _route("GET", "/api/v0/charges/", enter(_charges, limit="charges", faults="charges")),
        _route("GET", "/api/v1/invoices/", enter(_invoices, limit="invoices")),
        _route("GET", "/api/v0/gpu_names/unique/", public(_gpu_names)),
        _route("GET", "/api/v0/gpu_types/", public(_gpu_types)),
        _route("GET", "/results/{name}", public(_result)),
    ]


def _route(method: str, path: str, endpoint: Callable[[Request], Any]) -> Route:
    return Route(path, endpoint, methods=[method])


class _LastSlash:
    """Accepts paths of the API without their last slash."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path: str = scope["path"]
            if path.startswith("/api/") and not path.endswith("/"):
                scope["path"] = f"{path}/"
        await self._app(scope, receive, send)


def _front(_desk: Desk, _request: Request) -> Response:
    return PlainTextResponse(
        f"A rehearsal of the Vast.ai marketplace: {NOTICE}. Nothing here can be bought.\n"
    )


# Offers


async def _search(call: Call) -> Response:
    body = await call.body()
    query = parse_query(
        cast("dict[str, Any]", body["q"]) if isinstance(body.get("q"), dict) else body
    )
    return JSONResponse({"offers": call.market.search(query)})


def _gpu_names(desk: Desk, _request: Request) -> Response:
    return JSONResponse({"gpu_names": [each["name"] for each in desk.market.gpu_types()]})


def _gpu_types(desk: Desk, _request: Request) -> Response:
    return JSONResponse({"gpu_types": desk.market.gpu_types()})


# Renting


async def _create(call: Call) -> Response:
    body = await call.body()
    ask_id = call.number("ask_id")
    order = parse_order(body, ask_id)
    machine = call.market.machine_of(ask_id)
    facts = {
        "label": order.label,
        "offer_id": ask_id,
        "machine_id": None if machine is None else machine.machine_id,
    }
    struck = call.market.faults.strike("create", facts)
    if struck is not None:
        return await _create_badly(call, struck, ask_id, order)
    return _created(call, call.market.rent(ask_id, order), order)


async def _create_badly(call: Call, fault: Fault, ask_id: int, order: Order) -> Response:
    answer = answer_of(fault)
    if answer is not None:
        return answer
    if fault.kind == "offer-taken":
        raise offer_taken(ask_id, fault.shape or "404")
    if fault.kind == "insufficient-credit":
        raise insufficient_credit()
    instance = call.market.rent(ask_id, order, even_if_taken=fault.kind == "rented-twice")
    match fault.kind:
        case "commit-then-502":
            return HTMLResponse("<html><h1>502 Bad Gateway</h1></html>", 502)
        case "commit-then-drop":
            return drop(call.request)
        case "bid-too-low":
            call.market.stop_as_outbid(instance)
            return _bid_too_low(instance)
        case "timeout-after-commit":
            await asyncio.sleep(fault.seconds)
        case _:
            pass
    return _created(call, instance, order)


def _created(call: Call, instance: Instance, order: Order) -> Response:
    machine = call.market.machine_of(instance.ask_id)
    if order.price is not None and machine is not None and order.price < machine.min_bid_dollars:
        return _bid_too_low(instance)
    return JSONResponse(
        {"success": True, "new_contract": instance.id, "instance_api_key": instance.api_key}
    )


def _bid_too_low(instance: Instance) -> Response:
    """An error, although there is a contract, stopped and billing its disk."""
    return JSONResponse(
        {
            "success": False,
            "error": "invalid_price",
            "msg": "error 400/3467: Your bid is lower than the minimum bid.",
            "new_contract": instance.id,
        },
        400,
    )


async def _create_many(call: Call) -> Response:
    """Rent each of `ids`; answers what each got, in the order asked."""
    body = await call.body()
    answers: list[dict[str, object]] = []
    for ask_id in _integers(body.get("ids"), "ids"):
        try:
            instance = call.market.rent(ask_id, parse_order(body, ask_id))
            answers.append({"success": True, "ask_id": ask_id, "new_contract": instance.id})
        except Refused as refusal:
            answers.append(refusal.body)
    return JSONResponse({"success": any(each["success"] for each in answers), "results": answers})


# Instances


async def _list_v0(_call: Call) -> Response:
    return deprecated("/api/v1/instances/")


async def _list(call: Call) -> Response:
    filters = _comparisons(call.parameter("select_filters", {}))
    columns = [str(column) for column in call.parameter("select_cols", ["*"])]
    limit = _integer(call.request.query_params.get("limit"), DEFAULT_LISTED)
    limit = DEFAULT_LISTED if limit <= 0 else min(limit, MOST_LISTED)
    order = _directives(call.parameter("order_by", []))

    there = {seen.instance.id: instance_row(seen) for seen in call.market.seen()}
    token, known = call.request.query_params.get("after_token"), there
    if token:
        # Also rows that went away meanwhile, so that a token still says where to go on.
        gone = {each.id: instance_row(Seen(each, each.now)) for each in call.market.ever()}
        known = gone | there
    ordered = _in_order(list(known.values()), order)
    _refuse_unknown_columns(filters, ordered)
    after = _after(token, known)
    found = [row for row in ordered if row["id"] in there and matches(row, filters)]
    rest = found
    if after is not None:
        position = [row["id"] for row in ordered].index(after)
        behind = {row["id"] for row in ordered[position + 1 :]}
        rest = [row for row in found if row["id"] in behind]
    page = rest[:limit]
    return JSONResponse(
        {
            "success": True,
            "instances_found": len(page),
            "total_instances": len(found),
            "label_counts": Counter(row["label"] or "" for row in found),
            "next_token": _token(page[-1]["id"]) if len(rest) > limit else None,
            "instances": [_only(row, columns) for row in page],
        }
    )


async def _show(call: Call) -> Response:
    wanted = call.number("instance_id")
    for seen in call.market.seen():
        if seen.instance.id == wanted:
            return JSONResponse({"instances": instance_row(seen)})
    return JSONResponse({"instances": None})


async def _destroy(call: Call) -> Response:
    instance_id = call.number("instance_id")
    return _destroy_one(call, instance_id)


async def _destroy_many(call: Call) -> Response:
    """Destroy each of `instance_ids`; succeeds if all were there."""
    body = await call.body()
    for instance_id in _integers(body.get("instance_ids"), "instance_ids"):
        answer = _destroy_one(call, instance_id)
        if answer.status_code != 200:
            return answer
    return JSONResponse({"success": True})


def _destroy_one(call: Call, instance_id: int) -> Response:
    known = next((each for each in call.market.ever() if each.id == instance_id), None)
    facts = {"instance_id": instance_id} if known is None else facts_of(known)
    struck = call.market.faults.strike("destroy", facts)
    if struck is not None:
        answer = answer_of(struck)
        if answer is not None:
            return answer
        if struck.kind == "no-such-instance":
            raise no_such_instance(instance_id)
    call.market.destroy(instance_id)
    if struck is not None:
        return HTMLResponse("<html><h1>500 Internal Server Error</h1></html>", 500)
    return JSONResponse({"success": True, "msg": f"Instance {instance_id} destroyed ({NOTICE})"})


async def _change(call: Call) -> Response:
    _change_one(call, call.number("instance_id"), await call.body())
    return JSONResponse({"success": True})


async def _change_many(call: Call) -> Response:
    body = await call.body()
    for instance_id in _integers(body.get("ids"), "ids"):
        _change_one(call, instance_id, body)
    return JSONResponse({"success": True})


def _change_one(call: Call, instance_id: int, body: dict[str, Any]) -> None:
    if "state" not in body and "label" not in body:
        raise invalid("error 400/3467: neither state nor label")
    if "label" in body:
        if call.owner is not None:
            raise invalid("error 403: this key can only start, stop or destroy", "auth_error")
        call.market.set_label(instance_id, None if body["label"] is None else str(body["label"]))
    if "state" in body:
        call.market.set_state(instance_id, str(body["state"]))


async def _bid(call: Call) -> Response:
    body = await call.body()
    try:
        price = Decimal(str(body.get("price")))
    except InvalidOperation as error:
        raise invalid("error 400/3467: price is no number", "invalid_price") from error
    if not Decimal("0.001") <= price <= 128:
        raise invalid("error 400/3467: price must be 0.001 to 128", "invalid_price")
    call.market.set_bid(call.number("instance_id"), price)
    return JSONResponse({"success": True})


async def _logs(call: Call) -> Response:
    """Keep the last lines of a host's output under an unguessable name."""
    body = await call.body()
    instance = call.market.existing(call.number("instance_id"))
    tail = _integer(body.get("tail"), 1000)
    file = call.market.log_file(instance)
    text = file.read_text(errors="replace") if file.exists() else ""
    wanted = str(body.get("filter") or "")
    lines = [line for line in text.splitlines() if wanted in line][-max(tail, 1) :]
    name = secrets.token_urlsafe(24)
    while len(call.desk.results) >= MOST_RESULTS:
        call.desk.results.pop(next(iter(call.desk.results)))
    call.desk.results[name] = "".join(f"{line}\n" for line in lines)
    return JSONResponse(
        {"success": True, "result_url": f"{call.desk.url}/results/{name}", "msg": NOTICE}
    )


def _result(desk: Desk, request: Request) -> Response:
    text = desk.results.get(str(request.path_params["name"]))
    return Response(status_code=404) if text is None else PlainTextResponse(text)


# Money


async def _user(call: Call) -> Response:
    return JSONResponse(
        {
            "id": 1,
            "username": NOTICE,
            "email": "rehearsal@no-money.invalid",
            "credit": float(call.market.credit_dollars()),
            "balance": 0.0,
            "ssh_key": None,
            "host_agreement_accepted": False,
            "autobill_threshold": None,
            "balance_threshold": 0.0,
        }
    )


async def _balance(call: Call) -> Response:
    instance = call.market.existing(call.number("instance_id"))
    return JSONResponse({"success": True, "instance_id": instance.id, "balance": 0.0})


async def _charges(call: Call) -> Response:
    """One row per contract that existed within the days asked for, with all it has cost."""
    filters = _comparisons(call.parameter("select_filters", {}))
    since, until = _days(filters.get("day", {}), "Must provide both 'day' gte and lte filters")
    kinds = filters.get("type", {}).get("in", ["instance"])
    now = call.market.clock.now_us()
    rows = [
        charge_row(instance, instance.bill(now))
        for instance in call.market.ever()
        if isinstance(kinds, list) and "instance" in kinds
    ]
    found = [row for row in rows if row["start"] <= until and row["end"] >= since]
    if str(call.request.query_params.get("latest_first", "true")).lower() == "true":
        found.reverse()
    limit = _integer(call.request.query_params.get("limit"), DEFAULT_CHARGES)
    limit = min(max(limit, 1), MOST_CHARGES)
    ids = [row["source"] for row in found]
    after = _after(call.request.query_params.get("after_token"), dict.fromkeys(ids))
    start = 0 if after is None else ids.index(after) + 1
    page = found[start : start + limit]
    return JSONResponse(
        {
            "success": True,
            "count": len(page),
            "total": len(found),
            "next_token": _token(page[-1]["source"]) if start + limit < len(found) else None,
            "results": page,
        }
    )


async def _invoices(call: Call) -> Response:
    """Nothing was ever paid in: a bad range is answered 200, as the real one does."""
    filters = _comparisons(call.parameter("select_filters", {}))
    try:
        _days(filters.get("when", {}), "Must provide both 'when' gte and lte filters")
    except Refused as refusal:
        return JSONResponse(refusal.body)
    return JSONResponse(
        {"success": True, "count": 0, "total": 0, "next_token": None, "results": []}
    )


def _days(comparison: dict[str, object], complaint: str) -> tuple[float, float]:
    since, until = comparison.get("gte"), comparison.get("lte")
    if not isinstance(since, int | float) or not isinstance(until, int | float):
        raise Refused(400, "invalid_request", complaint)
    return since, until


# Reading what clients send


def _comparisons(value: object) -> dict[str, dict[str, object]]:
    filters = cast("dict[str, object]", value)
    for field, comparison in filters.items():
        if not isinstance(comparison, dict):
            raise invalid(f"{field}: an operator is needed", "invalid_request")
    return cast("dict[str, dict[str, object]]", filters)


def _directives(value: list[object]) -> list[dict[str, object]]:
    if not all(isinstance(each, dict) for each in value):
        raise invalid("order_by: a column and a direction are needed", "invalid_request")
    return cast("list[dict[str, object]]", value)


def _refuse_unknown_columns(
    filters: dict[str, dict[str, object]], rows: Sequence[dict[str, Any]]
) -> None:
    for field in filters:
        if field in COMPUTED or (rows and field not in rows[0]):
            raise invalid(f"{field} cannot be filtered by", "invalid_request")


def _in_order(
    rows: list[dict[str, Any]], order: Sequence[dict[str, object]]
) -> list[dict[str, Any]]:
    rows.sort(key=lambda row: row["id"])
    for directive in reversed(order):
        column = str(directive.get("col", "id"))
        if rows and column not in rows[0]:
            raise invalid(f"no column {column}", "invalid_request")

        def place(row: dict[str, Any], column: str = column) -> tuple[bool, float, str]:
            value = row[column]
            number = float(value) if isinstance(value, int | float) else 0.0
            return value is None, number, str(value)

        rows.sort(key=place, reverse=directive.get("dir") == "desc")
    return rows


def _only(row: dict[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    return row if "*" in columns else {column: row.get(column) for column in columns}


def _token(last: int | str) -> str:
    return base64.urlsafe_b64encode(json.dumps({"values": {"id": last}}).encode()).decode()


def _after(token: str | None, known: dict[Any, Any]) -> Any:
    """Where a token says to go on: behind this id; None for the beginning."""
    if not token:
        return None
    try:
        last = json.loads(base64.urlsafe_b64decode(token))["values"]["id"]
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise invalid("Invalid pagination token", "invalid_token") from error
    if last not in known:
        raise invalid("Invalid pagination token", "invalid_token")
    return last


def _integer(value: object, default: int) -> int:
    try:
        return default if value is None else int(str(value))
    except ValueError as error:
        raise invalid(f"{value} is no whole number", "invalid_request") from error


def _integers(value: object, name: str) -> list[int]:
    listed = cast("list[object]", value) if isinstance(value, list) else []
    if not listed or not all(isinstance(each, int) for each in listed):
        raise invalid(f"error 400/3467: {name} must be a list of numbers")
    return cast("list[int]", listed)
