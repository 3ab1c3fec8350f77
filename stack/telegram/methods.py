"""The methods of the Bot API, as far as they are rehearsed."""

import re
import time
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from stack.telegram.doors import Call, Method
from stack.telegram.entities import parse
from stack.telegram.refusals import Refused, bad_request, blocked

MOST_FILE_BYTES = 20 * 1024 * 1024
WEBHOOK_PORTS = {443, 80, 88, 8443}
_SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")
_COMMAND = re.compile(r"[a-z0-9_]{1,32}")


class _ReplyParameters(BaseModel):
    message_id: int
    allow_sending_without_reply: bool = False


class _LinkPreview(BaseModel):
    model_config = ConfigDict(extra="forbid")

    is_disabled: bool = False
    url: str | None = None
    prefer_small_media: bool = False
    prefer_large_media: bool = False
    show_above_text: bool = False


class _Command(BaseModel):
    command: str
    description: Annotated[str, Field(min_length=1, max_length=256)]


_REPLY, _PREVIEW = TypeAdapter(_ReplyParameters), TypeAdapter(_LinkPreview)
_COMMANDS, _NAMES = TypeAdapter(list[_Command]), TypeAdapter(list[str])


async def _get_me(call: Call) -> object:
    return {**call.desk.bot, "can_join_groups": True, "can_read_all_group_messages": False}


async def _set_webhook(call: Call) -> object:
    url = call.text("url") or ""
    if url:
        _check_url(url)
    secret = call.text("secret_token")
    if secret is not None and not _SECRET.fullmatch(secret):
        raise bad_request("secret token contains unallowed characters")
    most = call.text("max_connections") or "40"
    if not most.isdecimal() or not 1 <= int(most) <= 100:
        raise bad_request("max_connections must be between 1 and 100")
    allowed = call.value("allowed_updates", _NAMES)
    if allowed is None:  # then the previous setting stays
        allowed = call.desk.books.webhook().get("allowed_updates", [])
    if call.text("drop_pending_updates") in {"true", "True"}:
        call.desk.books.drop_pending()
    call.desk.books.set_webhook(
        {
            "url": url,
            "secret_token": secret,
            "allowed_updates": allowed,
            "max_connections": int(most),
        }
        if url
        else {}
    )
    call.desk.deliveries.last_error = None
    call.desk.deliveries.wake()
    return True


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise bad_request("bad webhook: invalid webhook URL specified") from None
    if parts.scheme == "http" and parts.hostname in {"127.0.0.1", "localhost"}:
        return  # as a Bot API server of one's own allows
    if parts.scheme != "https":
        raise bad_request("bad webhook: An HTTPS URL must be provided for webhook")
    if (port or 443) not in WEBHOOK_PORTS:
        raise bad_request("bad webhook: Webhook can be set up only on ports 80, 88, 443 or 8443")
    if not parts.hostname:
        raise bad_request("bad webhook: invalid webhook URL specified")


async def _delete_webhook(call: Call) -> object:
    if call.text("drop_pending_updates") in {"true", "True"}:
        call.desk.books.drop_pending()
    call.desk.books.set_webhook({})
    return True


async def _webhook_info(call: Call) -> object:
    webhook = call.desk.books.webhook()
    info: dict[str, Any] = {
        "url": webhook.get("url", ""),
        "has_custom_certificate": False,
        "pending_update_count": call.desk.books.count_pending(),
    }
    if webhook:
        info["max_connections"] = webhook["max_connections"]
        if webhook["allowed_updates"]:
            info["allowed_updates"] = webhook["allowed_updates"]
    if (failed := call.desk.deliveries.last_error) is not None:
        info["last_error_date"], info["last_error_message"] = failed
    return info


async def _get_file(call: Call) -> object:
    file = call.desk.books.file(call.needed("file_id", "file_id not specified"))
    if file is None:
        raise bad_request("wrong file_id or the file is temporarily unavailable")
    if file.size > MOST_FILE_BYTES:
        raise bad_request("file is too big")
    return {
        "file_id": file.file_id,
        "file_unique_id": file.unique_id,
        "file_size": file.size,
        "file_path": file.path,
    }


async def _send_message(call: Call) -> object:
    chat_id, user = _chat(call)
    parsed = parse(call.needed("text", "message text is empty"), call.text("parse_mode"))
    call.value("link_preview_options", _PREVIEW)
    answers = call.value("reply_parameters", _REPLY)
    books = call.desk.books
    message: dict[str, Any] = {
        "message_id": 0,
        "from": call.desk.bot,
        "chat": chat_of(user),
        "date": int(time.time()),
        "text": parsed.text,
    }
    if answers is not None:
        found = books.message(chat_id, answers.message_id)
        if found is not None:
            message["reply_to_message"] = {
                name: value for name, value in found[0].items() if name != "reply_to_message"
            }
        elif not answers.allow_sending_without_reply:
            raise bad_request("message to be replied not found")
    if parsed.entities:
        message["entities"] = parsed.entities
    message["message_id"] = books.next_message_id(chat_id)
    books.keep_message(chat_id, message, by_bot=True)
    return message


async def _edit_message(call: Call) -> object:
    chat_id, _user = _chat(call)
    number = call.needed("message_id", "message identifier is not specified")
    found = call.desk.books.message(chat_id, int(number)) if number.isdecimal() else None
    if found is None:
        raise bad_request("message to edit not found")
    message, by_bot = found
    if not by_bot:
        raise bad_request("message can't be edited")
    parsed = parse(call.needed("text", "message text is empty"), call.text("parse_mode"))
    call.value("link_preview_options", _PREVIEW)
    if parsed.text == message["text"] and parsed.entities == message.get("entities", []):
        raise bad_request(
            "message is not modified: specified new message content and reply markup are exactly "
            "the same as a current content and reply markup of the message"
        )
    return call.desk.books.edit_message(chat_id, int(number), parsed)


async def _set_commands(call: Call) -> object:
    commands = call.value("commands", _COMMANDS)
    if commands is None or len(commands) > 100:
        raise bad_request("can't parse commands JSON object")
    for one in commands:
        if not _COMMAND.fullmatch(one.command):
            raise Refused(400, "Bad Request: BOT_COMMAND_INVALID")
    call.desk.books.set_commands([one.model_dump() for one in commands])
    return True


async def _get_commands(call: Call) -> object:
    return call.desk.books.commands()


def _chat(call: Call) -> tuple[int, dict[str, Any]]:
    """The chat a call concerns: one whose user has written to the bot."""
    text = call.needed("chat_id", "chat_id is empty")
    user = call.desk.books.chat(int(text)) if text.lstrip("-").isdecimal() else None
    if user is None:
        raise bad_request("chat not found")
    if user["blocked"]:
        raise blocked()
    return int(text), user


def chat_of(user: dict[str, Any]) -> dict[str, Any]:
    """A user's private chat."""
    named = {name: user[name] for name in ("first_name", "last_name", "username") if name in user}
    return {"id": user["id"], **named, "type": "private"}


METHODS: dict[str, Method] = {
    "getMe": _get_me,
    "setWebhook": _set_webhook,
    "deleteWebhook": _delete_webhook,
    "getWebhookInfo": _webhook_info,
    "getFile": _get_file,
    "sendMessage": _send_message,
    "editMessageText": _edit_message,
    "setMyCommands": _set_commands,
    "getMyCommands": _get_commands,
}
"""By their names."""
