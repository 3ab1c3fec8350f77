"""Bring chats to show what they should: send what is new, edit what has changed.

One call at a time to each chat, and then a rest: Telegram takes about one message a second
per chat. What it refuses for good is given up, what it refuses for now is tried again; a
pause it asks for is kept by the database, so that a restart keeps it too.
"""

import asyncio
import logging
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from gateway.telegram.links import Links
from gateway.telegram.trouble import where
from sql.connection import Pool
from sql.telegram_messages import ToTell, give_up, next_to_tell, rest_chat, told, try_later

if TYPE_CHECKING:
    from telegram import Bot

log = logging.getLogger("aseagi.gateway.telegram")

CHAT_REST = timedelta(seconds=1)
EDIT_REST = timedelta(seconds=2)
CHATS_AT_A_TIME = 4
TELL_SECONDS = 45.0
TRIES = 2
REFUSED_TOKEN_WAIT = timedelta(seconds=60)


@dataclass
class Teller:
    """Tells chats what they do not show yet."""

    pool: Pool
    bot: "Bot"
    links: Links
    _rests_until: dict[int, float] = field(default_factory=dict[int, float])

    async def tell(self) -> int:
        """Tell each chat that may be told the next thing; return how many there were."""
        async with self.pool.connection() as db:
            waiting = await next_to_tell(db, limit=100)
        now = asyncio.get_running_loop().time()
        self._rests_until = {
            chat: until for chat, until in self._rests_until.items() if until > now
        }
        due = [one for one in waiting if one.chat_id not in self._rests_until][:CHATS_AT_A_TIME]
        await asyncio.gather(*(self._tell_one(message) for message in due))
        return len(waiting)

    async def _tell_one(self, message: ToTell) -> None:
        from telegram import error  # noqa: PLC0415 - see `blocks.bot`

        try:
            async with asyncio.timeout(TELL_SECONDS):
                message_id = await self._send_or_edit(message)
        except error.RetryAfter as asked:
            await self._rest(message, _seconds(asked.retry_after))
        except error.InvalidToken:
            log.warning("Telegram refuses the bot's token; see the block aseagi-telegram/aseagi")
            await self._rest(message, REFUSED_TOKEN_WAIT)
        except (error.Forbidden, error.ChatMigrated) as refused:
            await self._give_up(message, str(refused))
        except error.BadRequest as refused:
            if "not modified" in str(refused).lower() and message.message_id is not None:
                await self._told(message, message.message_id)
            else:
                await self._give_up(message, str(refused))
        except (error.TelegramError, TimeoutError) as away:
            log.warning("chat %d cannot be told now: %s", message.chat_id, type(away).__name__)
            async with self.pool.connection() as db:
                await try_later(db, message)
        except Exception as mistake:  # noqa: BLE001 - of one message, which others need not wait for
            log.warning("message %d cannot be told: %s", message.id, where(mistake))
            await self._try_again_or_give_up(message)
        else:
            await self._told(message, message_id)
        self._rests_until[message.chat_id] = (
            asyncio.get_running_loop().time() + CHAT_REST.total_seconds()
        )

    async def _send_or_edit(self, message: ToTell) -> int:
        from telegram import LinkPreviewOptions, ReplyParameters  # noqa: PLC0415

        text = await self.links.fill_in(message.wanted)
        no_preview = LinkPreviewOptions(is_disabled=True)
        if message.message_id is not None:
            await self.bot.edit_message_text(
                text,
                chat_id=message.chat_id,
                message_id=message.message_id,
                parse_mode="HTML",
                link_preview_options=no_preview,
            )
            return message.message_id
        answers = (
            None
            if message.reply_to is None
            else ReplyParameters(message.reply_to, allow_sending_without_reply=True)
        )
        sent = await self.bot.send_message(
            message.chat_id,
            text,
            parse_mode="HTML",
            reply_parameters=answers,
            link_preview_options=no_preview,
        )
        return sent.message_id

    async def _told(self, message: ToTell, message_id: int) -> None:
        async with self.pool.connection() as db:
            await told(db, message, message_id=message_id, rest=EDIT_REST)

    async def _try_again_or_give_up(self, message: ToTell) -> None:
        """For an error that nobody foresaw: it may have been sent, so not again and again."""
        if message.attempts >= TRIES:
            await self._give_up(message, "an error nobody foresaw")
            return
        async with self.pool.connection() as db:
            await try_later(db, message)

    async def _rest(self, message: ToTell, wait: timedelta) -> None:
        async with self.pool.connection() as db:
            await rest_chat(db, message.chat_id, wait)

    async def _give_up(self, message: ToTell, refused: str) -> None:
        # What follows a colon may repeat a part of the message.
        reason = refused.partition(":")[0]
        log.warning("message %d is given up: %s", message.id, reason)
        async with self.pool.connection() as db:
            await give_up(db, message, reason)


def _seconds(wait: int | timedelta) -> timedelta:
    return wait if isinstance(wait, timedelta) else timedelta(seconds=wait)
