"""The rehearsal's own paths: what its users do and see, and what shall go wrong.

    GET    /rehearsal/health             whether it answers (no key needed)
    POST   /rehearsal/send               a user sends something; answers with `update_id` and
                                         `message_id`. What it is stands in the query:
                                         user, kind (text, photo, document), text, caption,
                                         album, file_name, name (of the user), message_id,
                                         size (a file said to be so large, without bytes),
                                         held=true (not delivered by itself); a file's bytes
                                         are the body
    POST   /rehearsal/deliver            {"updates": [ids], "times": 1, "at_once": false}:
                                         deliver these, held or taken, in this order
    GET    /rehearsal/chats/{id}         every message with its history, the bot's and theirs
    DELETE /rehearsal/chats/{id}/{number}  the user deletes a message
    POST   /rehearsal/block              {"user": 7, "blocked": true}
    GET    /rehearsal/faults, POST, DELETE  as of every rehearsal: see `faults`

All but the first need the rehearsal key as bearer token.
"""

import asyncio
import io
import time
from functools import partial
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, TypeVar

from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from schema.failures import BadInput
from stack.rehearsal.faults import parse_faults
from stack.telegram.doors import Desk, control_door
from stack.telegram.faults import FAULTS
from stack.telegram.methods import chat_of
from stack.telegram.refusals import bad_request, not_found
from stack.telegram.settings import NOTICE

_STICKER: dict[str, Any] = {
    "file_id": "CAACAgIAAxkBAAE",
    "file_unique_id": "AgADAAE",
    "type": "regular",
    "width": 512,
    "height": 512,
    "is_animated": False,
    "is_video": False,
    "emoji": "👍",
}

Form = TypeVar("Form", bound=BaseModel)

THUMBNAIL = (90, 90)
MIDDLE = (320, 320)


class _Sending(BaseModel):
    model_config = ConfigDict(extra="forbid")

    user: Annotated[int, Field(gt=0)]
    name: str = "Ada"
    kind: Literal["text", "photo", "document", "sticker"]
    text: str | None = None
    caption: Annotated[str, Field(max_length=1024)] | None = None
    album: str | None = None
    file_name: str | None = None
    message_id: int | None = None
    size: int | None = None
    held: bool = False


class _Delivery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    updates: list[int]
    times: Annotated[int, Field(ge=1, le=100)] = 1
    at_once: bool = False


class _Blocking(BaseModel):
    model_config = ConfigDict(extra="forbid")

    user: int
    blocked: bool = True


def control_routes(desk: Desk) -> list[BaseRoute]:
    """The routes under /rehearsal."""
    enter = partial(control_door, desk)
    return [
        Route("/rehearsal/health", _health, methods=["GET"]),
        Route("/rehearsal/send", enter(_send), methods=["POST"]),
        Route("/rehearsal/deliver", enter(_deliver), methods=["POST"]),
        Route("/rehearsal/chats/{chat:int}", enter(_show_chat), methods=["GET"]),
        Route("/rehearsal/chats/{chat:int}/{number:int}", enter(_delete), methods=["DELETE"]),
        Route("/rehearsal/block", enter(_block), methods=["POST"]),
        Route("/rehearsal/faults", enter(_faults), methods=["GET"]),
        Route("/rehearsal/faults", enter(_order), methods=["POST"]),
        Route("/rehearsal/faults", enter(_clear), methods=["DELETE"]),
    ]


async def _health(_request: Request) -> Response:
    return JSONResponse({"rehearsal": NOTICE})


async def _send(desk: Desk, request: Request) -> Response:
    try:
        what = _Sending.model_validate(dict(request.query_params))
    except ValidationError as error:
        raise bad_request(str(error.errors(include_url=False)[0]["msg"])) from error
    content = await request.body()
    user = {"id": what.user, "is_bot": False, "first_name": what.name, "language_code": "en"}
    desk.books.open_chat(user)
    message: dict[str, Any] = {
        "message_id": what.message_id or desk.books.next_message_id(what.user),
        "from": user,
        "chat": chat_of(user),
        "date": int(time.time()),
    }
    if what.album is not None:
        message["media_group_id"] = what.album
    if what.caption:
        message["caption"] = what.caption
    message |= _content(desk, what, content)
    desk.books.keep_message(what.user, message, by_bot=False)
    number = desk.books.keep_update(message, held=what.held)
    desk.deliveries.wake()
    return JSONResponse({"update_id": number, "message_id": message["message_id"]})


def _content(desk: Desk, what: _Sending, content: bytes) -> dict[str, Any]:
    match what.kind:
        case "text":
            if not what.text:
                raise bad_request("text is empty")
            command = what.text.startswith("/")
            length = len(what.text.split()[0])
            entities = [{"type": "bot_command", "offset": 0, "length": length}]
            return {"text": what.text, **({"entities": entities} if command else {})}
        case "photo":
            return {"photo": _photo(desk, content)}
        case "sticker":
            return {"sticker": _STICKER}
        case "document":
            ending = PurePosixPath(what.file_name or "").suffix
            size = what.size if what.size is not None else len(content)
            file = desk.books.keep_file(
                "documents", ending if ending.isascii() else "", content, size
            )
            document: dict[str, Any] = {
                "file_id": file.file_id,
                "file_unique_id": file.unique_id,
                "file_size": file.size,
            }
            if what.file_name is not None:
                document["file_name"] = what.file_name
            return {"document": document}


def _photo(desk: Desk, content: bytes) -> list[dict[str, Any]]:
    """A photo in several sizes, the smallest first, as Telegram has them."""
    try:
        image = Image.open(io.BytesIO(content), formats=("JPEG",))
        image.load()
    except OSError as error:
        raise bad_request("a photo is a JPEG") from error
    sizes: list[dict[str, Any]] = []
    for box in (THUMBNAIL, MIDDLE, None):
        smaller = image.copy()
        data = content
        if box is not None:
            smaller.thumbnail(box)
            out = io.BytesIO()
            smaller.convert("RGB").save(out, "JPEG", quality=70)
            data = out.getvalue()
        file = desk.books.keep_file("photos", ".jpg", data, len(data))
        sizes.append(
            {
                "file_id": file.file_id,
                "file_unique_id": file.unique_id,
                "file_size": file.size,
                "width": smaller.width,
                "height": smaller.height,
            }
        )
    return sizes


async def _deliver(desk: Desk, request: Request) -> Response:
    wanted = _read(_Delivery, await request.body())
    found = [desk.books.update(number) for number in wanted.updates]
    updates = [one for one in found if one is not None] * wanted.times
    if len(updates) != len(found) * wanted.times:
        raise not_found()
    if wanted.at_once:
        statuses = await asyncio.gather(*map(desk.deliveries.deliver, updates))
    else:
        statuses = [await desk.deliveries.deliver(one) for one in updates]
    return JSONResponse({"statuses": list(statuses)})


async def _show_chat(desk: Desk, request: Request) -> Response:
    chat_id = request.path_params["chat"]
    return JSONResponse({"rehearsal": NOTICE, "messages": desk.books.messages(chat_id)})


async def _delete(desk: Desk, request: Request) -> Response:
    desk.books.delete_message(request.path_params["chat"], request.path_params["number"])
    return JSONResponse({})


async def _block(desk: Desk, request: Request) -> Response:
    wanted = _read(_Blocking, await request.body())
    desk.books.block(wanted.user, blocked=wanted.blocked)
    return JSONResponse({})


def _read(form: type[Form], body: bytes) -> Form:
    try:
        return form.model_validate_json(body)
    except ValidationError as error:
        raise bad_request(str(error.errors(include_url=False)[0]["msg"])) from error


async def _faults(desk: Desk, _request: Request) -> Response:
    return JSONResponse({"faults": desk.faults.report()})


async def _order(desk: Desk, request: Request) -> Response:
    try:
        faults = parse_faults(await request.body(), FAULTS)
    except BadInput as error:
        raise bad_request(str(error)) from error
    desk.faults.order(faults)
    return JSONResponse({"faults": desk.faults.report()})


async def _clear(desk: Desk, _request: Request) -> Response:
    desk.faults.clear()
    return JSONResponse({"faults": []})
