"""Telegram: the bot people send documents to, and who may."""

from typing import Annotated

from prefect.blocks.core import Block
from pydantic import Field, SecretStr, field_validator

from blocks.bot import TELEGRAM_URL, BotSettings
from blocks.secret import QUIET

UserId = Annotated[int, Field(gt=0, lt=2**52)]
"""A user's id, which is also that of the private chat with them."""


class Telegram(Block):
    """A bot of Telegram, and the people it listens to. Without it, there is no Telegram."""

    model_config = QUIET
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

    def plain(self) -> BotSettings:
        """The same bot for code that knows nothing of Prefect."""
        return BotSettings.model_validate(
            {name: getattr(self, name) for name in BotSettings.model_fields}
        )
