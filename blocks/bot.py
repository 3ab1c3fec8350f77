"""The bot of Telegram as plain code: its client, and whom it listens to.

Knows nothing of Prefect, so that the gateway need not hold it in memory. The block
`blocks.telegram` is where a person says which bot it is.
"""

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
from pydantic import BaseModel

from blocks.secret import Secret

if TYPE_CHECKING:
    from telegram import Bot

TELEGRAM_URL = "https://api.telegram.org"

ANSWER_SECONDS = 30.0


class BotSettings(BaseModel, frozen=True):
    """A bot, and how it works; what each field means is said in the block."""

    bot_token: Secret
    webhook_secret: Secret
    allowed_user_ids: list[int]
    api_url: str
    album_seconds: float
    digest_documents: int
    digest_quiet_seconds: float

    def allows(self, user_id: int) -> bool:
        """Whether this user may use the bot."""
        return user_id in self.allowed_user_ids

    @asynccontextmanager
    async def bot(self) -> AsyncGenerator["Bot"]:
        """The client of the Bot API, closed at the end; it calls nothing by itself.

        Its addresses hold the token: what logs addresses is silenced.
        """
        # Not at the top: its 180 modules are 25 MB that who has no bot need not pay.
        from telegram import Bot  # noqa: PLC0415
        from telegram.request import HTTPXRequest  # noqa: PLC0415

        silence_addresses()
        request = HTTPXRequest(
            connection_pool_size=8,
            connect_timeout=10,
            read_timeout=ANSWER_SECONDS,
            write_timeout=ANSWER_SECONDS,
            pool_timeout=ANSWER_SECONDS,
        )
        address = self.api_url.strip().rstrip("/")
        bot = Bot(
            self.bot_token.get_secret_value(),
            base_url=f"{address}/bot",
            base_file_url=f"{address}/file/bot",
            request=request,
            get_updates_request=request,
        )
        await request.initialize()
        try:
            yield bot
        finally:
            await request.shutdown()

    def downloads(self) -> httpx.AsyncClient:
        """A client for the bytes of files; close it after use."""
        silence_addresses()
        return httpx.AsyncClient(
            timeout=httpx.Timeout(ANSWER_SECONDS, connect=10), follow_redirects=False
        )


def silence_addresses() -> None:
    """Keep libraries from logging the addresses they call: each holds the bot's token."""
    for name in ("httpx", "httpcore", "telegram"):
        logger = logging.getLogger(name)
        if logger.level < logging.WARNING:
            logger.setLevel(logging.WARNING)
