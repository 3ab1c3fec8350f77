"""`POST /telegram`: updates, as Telegram delivers them.

Guarantees: the secret is checked before a byte of the body is read; an update of somebody
who may not use the bot leaves nothing but a line in the log; what is answered 200 is
written down, or is nothing that ever could be worked on. Telegram repeats the rest.
"""

import hmac
import json
import logging

from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import ValidationError

from gateway.callers import Caller, introduce
from gateway.telegram.service import TelegramService
from gateway.telegram.updates import Message, Numbered, Update
from sql.telegram_updates import NewUpdate, record_update

log = logging.getLogger("aseagi.gateway.telegram")
router = APIRouter(tags=["telegram"])

SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105 - the name of a header
LIMIT_BYTES = 1024 * 1024
"""An update may hold another message, the one it answers."""


@router.post("/telegram")
async def receive_update(request: Request) -> Response:
    """Write an update down, once, and answer at once; it is worked on behind the answer."""
    service = _service(request)
    wanted = service.settings.webhook_secret.get_secret_value()
    if not hmac.compare_digest(request.headers.get(SECRET_HEADER, "").encode(), wanted.encode()):
        raise HTTPException(401, "The secret token is missing or wrong.")
    introduce(request, Caller("telegram"))
    message, update_id = _understood(await request.body())
    if message is None or not _is_heard(service, message, update_id):
        return Response()
    async with service.pool.connection() as db:
        await record_update(
            db,
            NewUpdate(
                update_id=update_id,
                chat_id=message.chat.id,
                message_id=message.message_id,
                album=message.media_group_id if message.has_file else None,
                has_file=message.has_file,
                message=message.model_dump(mode="json", by_alias=True, exclude_none=True),
            ),
        )
    service.wake()
    return Response()


def _service(request: Request) -> TelegramService:
    service: TelegramService | None = getattr(request.app.state, "telegram", None)
    if service is None:
        raise HTTPException(404, "There is no Telegram here.")
    return service


def _understood(body: bytes) -> tuple[Message | None, int]:
    """The message of an update and its number; no message if it is something else.

    Something else is answered 200 all the same: Telegram would repeat it, and hold back what
    follows.
    """
    told = _storable(body)
    try:
        update = Update.model_validate_json(told)
    except ValidationError:
        try:
            number = Numbered.model_validate_json(told).update_id
        except ValidationError:
            raise HTTPException(400, "This is no update of Telegram.") from None
        log.warning("update %d is of a kind that is not understood", number)
        return None, number
    return update.message, update.update_id


def _storable(body: bytes) -> bytes:
    """The same JSON without halves of characters, which no strict reader takes."""
    try:
        return json.dumps(json.loads(body), ensure_ascii=False).encode("utf-8", "replace")
    except (ValueError, RecursionError):
        raise HTTPException(400, "This is no update of Telegram.") from None


def _is_heard(service: TelegramService, message: Message, update_id: int) -> bool:
    """Whether its sender may use the bot, and nobody else would read the answers."""
    if not service.settings.allows(message.sender.id):
        log.warning("update %d is of user %d, who is not allowed", update_id, message.sender.id)
        return False
    if not message.is_private:
        log.warning("update %d comes from chat %d, not a private one", update_id, message.chat.id)
        return False
    return True
