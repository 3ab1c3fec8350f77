"""How every request comes in: whose token it is, what it carries, which fault strikes.

A method is a function from a `Call` to its result; what it must not know (tokens, ways to
send parameters, general faults, the shape of answers) is dealt with here, around it.
"""

import asyncio
import json
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from stack.rehearsal.keys import Keys
from stack.rehearsal.marking import drop
from stack.telegram.books import Books
from stack.telegram.deliveries import Deliveries
from stack.telegram.faults import Fault, FaultBook, On
from stack.telegram.refusals import Refused, bad_request, broken, flood, not_found, unauthorized

Value = TypeVar("Value")

_TOKEN = re.compile(r"[0-9]{5,20}:[A-Za-z0-9_-]{20,64}")


@dataclass(frozen=True, slots=True)
class Desk:
    """What every method needs."""

    books: Books
    deliveries: Deliveries
    faults: FaultBook
    keys: Keys

    @property
    def bot(self) -> dict[str, Any]:
        """The bot, as a user."""
        return {
            "id": int(self.keys.api_key.partition(":")[0]),
            "is_bot": True,
            "first_name": "ASEAGI rehearsal",
            "username": "aseagi_rehearsal_bot",
        }


@dataclass(frozen=True, slots=True)
class Call:
    """One request, let in."""

    desk: Desk
    request: Request
    parameters: Mapping[str, str]

    def text(self, name: str) -> str | None:
        """A parameter, if it is there; an empty one is not."""
        return self.parameters.get(name) or None

    def needed(self, name: str, otherwise: str) -> str:
        """A parameter that must be there."""
        value = self.text(name)
        if value is None:
            raise bad_request(otherwise)
        return value

    def value(self, name: str, form: TypeAdapter[Value]) -> Value | None:
        """A parameter that is JSON of that form."""
        text = self.text(name)
        if text is None:
            return None
        try:
            return form.validate_json(text)
        except ValidationError:
            raise bad_request(f"can't parse {name.replace('_', ' ')} JSON object") from None


Method = Callable[[Call], Awaitable[object]]
Route = Callable[[Request], Awaitable[Response]]


def answered(method: Callable[[Request], Awaitable[Response]]) -> Route:
    """Give every refusal its shape."""

    async def enter(request: Request) -> Response:
        try:
            return await method(request)
        except Refused as refused:
            return JSONResponse(refused.body(), refused.status)

    return enter


def methods_door(desk: Desk, methods: Mapping[str, Method]) -> Route:
    """`/bot<token>/<method>`, in any case of letters, with parameters in any of the ways."""
    by_name = {name.lower(): (name, method) for name, method in methods.items()}

    async def enter(request: Request) -> Response:
        check_token(desk, request.path_params["token"])
        name, method = by_name.get(request.path_params["method"].lower(), ("", None))
        if method is None:
            raise not_found()
        call = Call(desk, request, await _parameters(request))
        chat = call.text("chat_id") or ""
        facts = {"chat_id": int(chat) if chat.lstrip("-").isdecimal() else None}
        fault = desk.faults.strike(cast("On", name), facts) or desk.faults.strike("any", facts)
        if fault is not None and (cut := await strike_before(request, fault)) is not None:
            return cut
        result = await method(call)
        if fault is not None and (cut := await strike_after(request, fault)) is not None:
            return cut
        return JSONResponse({"ok": True, "result": result})

    return answered(enter)


def control_door(desk: Desk, endpoint: Callable[[Desk, Request], Awaitable[Response]]) -> Route:
    """Let in who has the rehearsal key; to anybody else these paths do not exist."""

    async def enter(request: Request) -> Response:
        _, _, key = request.headers.get("authorization", "").partition(" ")
        if not secrets.compare_digest(key.encode(), desk.keys.rehearsal_key.encode()):
            raise not_found()
        return await endpoint(desk, request)

    return answered(enter)


def check_token(desk: Desk, token: str) -> None:
    """401 for a token of no bot, 404 for what cannot be one."""
    if not _TOKEN.fullmatch(token):
        raise not_found()
    if not secrets.compare_digest(token.encode(), desk.keys.api_key.encode()):
        raise unauthorized()


async def strike_before(request: Request, fault: Fault) -> Response | None:
    """What a fault does before anything is done."""
    match fault.kind:
        case "429":
            raise flood(max(1, ceil(fault.seconds)))
        case "500":
            raise broken()
        case "drop":
            return drop(request)
        case _:
            return None


async def strike_after(request: Request, fault: Fault) -> Response | None:
    """What a fault does once everything is done."""
    match fault.kind:
        case "drop-after":
            return drop(request)
        case "500-after":
            raise broken()
        case "slow":
            await asyncio.sleep(fault.seconds)
            return None
        case _:
            return None


async def _parameters(request: Request) -> dict[str, str]:
    found = dict(request.query_params)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.method == "GET":
        return found
    if kind == "application/json":
        try:
            body: object = json.loads(await request.body() or b"{}")
        except ValueError:
            raise bad_request("can't parse JSON object") from None
        if not isinstance(body, dict):
            raise bad_request("can't parse JSON object")
        told = cast("dict[str, Any]", body)
        return found | {
            name: value if isinstance(value, str) else json.dumps(value)
            for name, value in told.items()
            if value is not None
        }
    if kind in {"application/x-www-form-urlencoded", "multipart/form-data"}:
        async with request.form() as form:
            return found | {
                name: value for name, value in form.items() if not isinstance(value, UploadFile)
            }
    return found
