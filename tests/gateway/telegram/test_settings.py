"""The bot in `.env`: who has none needs nothing, and what is wrong is said in one line."""

import logging

import pytest
from pydantic import SecretStr, ValidationError

from blocks.bot import TELEGRAM_URL, BotSettings
from blocks.seeding import blocks_from_environment
from blocks.telegram import Telegram
from schema.failures import Misconfigured

TOKEN = "123456789:AAE-rehearsal_token_of_35_characters"
NEEDED = {
    "ASEAGI_DATABASE_URL": "postgresql://app@/aseagi",
    "ASEAGI_DATABASE_DASHBOARD_URL": "postgresql://dashboard@/aseagi",
    "ASEAGI_S3_ACCESS_KEY": "key",
    "ASEAGI_S3_SECRET_KEY": "secret",
    "ASEAGI_S3_BUCKET": "bucket",
    "ASEAGI_GATEWAY_URL": "https://aseagi.example.org",
    "ASEAGI_S3_EVENTS_TOKEN": "token",
}
WITH_A_BOT = NEEDED | {
    "ASEAGI_TELEGRAM_BOT_TOKEN": TOKEN,
    "ASEAGI_TELEGRAM_WEBHOOK_SECRET": "a-secret-of-the-webhook",
    "ASEAGI_TELEGRAM_ALLOWED_USER_IDS": "17, 4711",
}


def bots_of(environment: dict[str, str]) -> list[Telegram]:
    return [one for one in blocks_from_environment(environment) if isinstance(one, Telegram)]


def test_without_a_token_there_is_no_bot() -> None:
    assert bots_of(NEEDED) == []
    assert bots_of(WITH_A_BOT | {"ASEAGI_TELEGRAM_BOT_TOKEN": " "}) == []


def test_the_bot_listens_to_whom_it_is_told_to() -> None:
    [bot] = bots_of(WITH_A_BOT)
    assert bot.allowed_user_ids == [17, 4711]
    assert bot.plain().allows(17)
    assert not bot.plain().allows(18)
    assert bot.api_url == TELEGRAM_URL


def test_a_bot_without_a_secret_of_its_webhook_is_a_clear_line() -> None:
    with pytest.raises(Misconfigured, match="ASEAGI_TELEGRAM_WEBHOOK_SECRET is not set"):
        bots_of(WITH_A_BOT | {"ASEAGI_TELEGRAM_WEBHOOK_SECRET": ""})


@pytest.mark.parametrize(
    "wrong",
    [
        {"bot_token": "nonsense"},
        {"bot_token": "123:"},
        {"bot_token": "123:a/../b"},
        {"webhook_secret": "short"},
        {"webhook_secret": "with spaces in it, which is not allowed"},
        {"allowed_user_ids": [0]},
        {"allowed_user_ids": [-100_200_300]},
    ],
)
def test_what_cannot_be_is_refused_without_being_repeated(wrong: dict[str, object]) -> None:
    right = {"bot_token": TOKEN, "webhook_secret": "a-secret-of-the-webhook"}
    with pytest.raises(ValidationError) as caught:
        Telegram.model_validate(right | wrong)
    assert all(
        str(value) not in str(caught.value) for value in wrong.values() if isinstance(value, str)
    )


def test_a_wrong_line_of_the_settings_is_named_and_its_value_is_not_repeated() -> None:
    with pytest.raises(Misconfigured, match="ASEAGI_TELEGRAM_BOT_TOKEN is wrong: it is no") as said:
        bots_of(WITH_A_BOT | {"ASEAGI_TELEGRAM_BOT_TOKEN": "nonsense"})
    assert "nonsense" not in str(said.value)
    assert said.value.__cause__ is None
    with pytest.raises(Misconfigured, match="ASEAGI_READING_LEASE_SECONDS is wrong"):
        bots_of(NEEDED | {"ASEAGI_READING_LEASE_SECONDS": "soon"})
    with pytest.raises(Misconfigured, match="ASEAGI_MONTHLY_BUDGET_DOLLARS is wrong"):
        bots_of(NEEDED | {"ASEAGI_MONTHLY_BUDGET_DOLLARS": "-1"})


async def test_a_used_bot_silences_what_logs_addresses() -> None:
    logging.getLogger("httpx").setLevel(logging.INFO)
    block = Telegram(
        bot_token=SecretStr(TOKEN), webhook_secret=SecretStr("a-secret-of-the-webhook")
    )
    plain = BotSettings.model_validate_json(block.plain().model_dump_json())
    assert TOKEN not in repr(plain)
    async with plain.bot():
        assert not logging.getLogger("httpx").isEnabledFor(logging.INFO)
        assert not logging.getLogger("httpcore.http11").isEnabledFor(logging.DEBUG)
