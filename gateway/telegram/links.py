"""Links that end by themselves, made at the moment a message is sent."""

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import escape
from pathlib import PurePosixPath
from uuid import UUID

from blocks.bot import BotSettings
from blocks.bucket import Bucket
from gateway.telegram.wording import LINK_START, LINK_STOP
from schema.files import ENDINGS
from sql.connection import Pool
from sql.telegram_messages import original_of, upload_expires_at

ORIGINAL_LASTS = timedelta(hours=24)
UPLOAD_LASTS = timedelta(hours=24)

_OPEN = re.compile(rf"{LINK_START}(original|upload):([0-9a-f-]+){LINK_STOP}")


@dataclass(frozen=True, slots=True)
class Links:
    """Makes the links that a message leaves open."""

    pool: Pool
    storage: Bucket
    url: str
    settings: BotSettings

    def upload_token(self, update_id: int) -> str:
        """The token of the upload link for an update's file.

        It follows from the update and the webhook's secret: no place keeps it, and it is the
        same whenever the message that shows it is sent again.
        """
        secret = self.settings.webhook_secret.get_secret_value().encode()
        return hmac.new(secret, f"upload link {update_id}".encode(), hashlib.sha256).hexdigest()

    def upload_token_hash(self, update_id: int) -> bytes:
        """What is kept of that token."""
        return hashlib.sha256(self.upload_token(update_id).encode()).digest()

    async def fill_in(self, text: str) -> str:
        """The message with its links."""
        found = list(_OPEN.finditer(text))
        if not found:
            return text
        made: dict[str, str] = {}
        for one in found:
            kind, what = one.groups()
            made[one[0]] = (
                await self._original(UUID(what))
                if kind == "original"
                else await self._upload(int(what))
            )
        return _OPEN.sub(lambda one: made[one[0]], text)

    async def _original(self, document_id: UUID) -> str:
        async with self.pool.connection() as db:
            found = await original_of(db, document_id)
        if found is None:
            return "(it was deleted)"
        link = self.storage.signed_link(
            found.key,
            seconds=int(ORIGINAL_LASTS.total_seconds()),
            save_as=_save_as(found.file_name, found.media_type),
        )
        until = datetime.now(UTC) + ORIGINAL_LASTS
        return f'<a href="{escape(link)}">the original</a> (until {_clock(until)})'

    async def _upload(self, update_id: int) -> str:
        address = f"{self.url.rstrip('/')}/upload/{self.upload_token(update_id)}"
        async with self.pool.connection() as db:
            until = await upload_expires_at(db, self.upload_token_hash(update_id))
        lasts = f" (until {_clock(until)})" if until else ""
        return f"{escape(address)}{lasts}"


def _clock(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%d %B, %H:%M} UTC".lstrip("0")


def _save_as(name: str, media_type: str) -> str:
    """A name that fits into a header: ASCII, without quotes."""
    path = PurePosixPath(name)
    stem = re.sub(r"[^A-Za-z0-9._ ()-]+", "_", path.stem)[:80].strip("._ ") or "document"
    return stem + ENDINGS.get(media_type, "")
