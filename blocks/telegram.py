"""Telegram: the bot people send documents to, and who may."""

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated

import httpx
from prefect.blocks.core import Block
from pydantic import Field, SecretStr, field_validator

if TYPE_CHECKING:
    from telegram import Bot

TELEGRAM_URL = "https://api.telegram.org"

ANSWER_SECONDS = 30.0

UserId = Annotated[int, Field(gt=0, lt=2**52)]
"""A user's id, which is also that of the private chat with them."""


class Telegram(Block):
    """A bot of Telegram, and the people it listens to. Without it, there is no Telegram."""

    _block_type_name = "ASEAGI Telegram"
    _block_type_slug = "aseagi-telegram"
    _description = "Token of the bot, secret of its webhook, and who may send documents."

    bot_token: SecretStr = Field(title="Bot token", description="From BotFather.")
    webhook_secret: SecretStr = Field(
        title="Webhook secret",
        description="What Telegram sends with every update: 16 to 256 of A-Z, a-z, 0-9, _ and -.",
    )
    allowed_user_ids: list[UserId] = Field(
        default=[],
        description="Who may use the bot; everybody else gets no answer. Digests of bulks go to "
        "all of them.",
    )
    api_url: str = Field(default=TELEGRAM_URL, description="Address of the Bot API.")
    album_seconds: float = Field(
        default=3.0,
        gt=0,
        le=60,
        description="An album is complete when nothing more of it came for so long.",
    )
    digest_documents: int = Field(
        default=20, ge=1, description="So many documents are a bulk, told of when it ended."
    )
    digest_quiet_seconds: float = Field(
        default=60.0, ge=0, description="A bulk has ended when nothing moved for so long."
    )

    @field_validator("bot_token")
    @classmethod
    def _is_token(cls, token: SecretStr) -> SecretStr:
        number, colon, rest = token.get_secret_value().partition(":")
        plain = rest.replace("-", "").replace("_", "")
        if not (colon and number.isdecimal() and number.isascii()) or not (
            plain.isalnum() and plain.isascii()
        ):
            raise ValueError("it is no token of a bot, as 123456:ABC-def; BotFather shows it")
        return token

    @field_validator("webhook_secret")
    @classmethod
    def _is_secret(cls, secret: SecretStr) -> SecretStr:
        text = secret.get_secret_value()
        plain = text.replace("-", "").replace("_", "")
        if not 16 <= len(text) <= 256 or not (plain.isalnum() and plain.isascii()):
            raise ValueError("16 to 256 characters of A-Z, a-z, 0-9, _ and - are wanted")
        return secret

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
