"""`aseagi telegram`: tell Telegram where the gateway is, ask what it knows, take it back."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from cli.connection import use_stack
from cli.console import STATE_DIR, JsonOption, StateDirOption, console, print_json, run
from schema.failures import Misconfigured, RetryLater

if TYPE_CHECKING:
    from telegram import Bot

    from blocks.bot import BotSettings

commands = typer.Typer(
    no_args_is_help=True,
    help="""Connect the bot of Telegram with this house (docs/gateway.md).

**Example:** `aseagi telegram set-webhook`, then write `/help` to the bot
""",
)

MAX_CONNECTIONS = 4
"""Updates are written down within milliseconds; more at a time would only wait for each other."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(commands, name="telegram")


@commands.command("set-webhook")
def set_webhook(
    drop_pending: Annotated[
        bool, typer.Option("--drop-pending", help="Forget what was sent before.")
    ] = False,
    state: StateDirOption = STATE_DIR,
    as_json: JsonOption = False,
) -> None:
    """Let Telegram deliver what is sent to the bot to the gateway, and list its commands.

    Safe to repeat. The address is that of the block aseagi-gateway, which Telegram wants to
    begin with https.

    **Example:** `aseagi telegram set-webhook`
    """
    use_stack(state)
    run(_set_webhook(drop_pending=drop_pending, as_json=as_json))


@commands.command()
def status(state: StateDirOption = STATE_DIR, as_json: JsonOption = False) -> None:
    """Show which bot it is, where Telegram delivers to, what waits there and what went wrong.

    **Example:** `aseagi telegram status --json`
    """
    use_stack(state)
    run(_status(as_json=as_json))


@commands.command("remove-webhook")
def remove_webhook(state: StateDirOption = STATE_DIR, as_json: JsonOption = False) -> None:
    """Let Telegram deliver nothing any more; it keeps what is sent for a day.

    **Example:** `aseagi telegram remove-webhook`
    """
    use_stack(state)
    run(_remove_webhook(as_json=as_json))


async def _set_webhook(*, drop_pending: bool, as_json: bool) -> None:
    from blocks.gateway import Gateway
    from blocks.loading import load
    from gateway.telegram.commands import COMMANDS

    gateway = await load(Gateway)
    url = f"{gateway.url.rstrip('/')}/telegram"
    async with _bot() as (settings, bot):
        await bot.set_webhook(
            url,
            secret_token=settings.webhook_secret.get_secret_value(),
            allowed_updates=["message"],
            max_connections=MAX_CONNECTIONS,
            drop_pending_updates=drop_pending,
        )
        await bot.set_my_commands(COMMANDS)
        me = await bot.get_me()
    if as_json:
        print_json({"bot": me.username, "url": url, "allowed": settings.allowed_user_ids})
        return
    console.print(f"@{me.username} delivers to {url}", markup=False, soft_wrap=True)
    if not settings.allowed_user_ids:
        console.print(
            "Nobody may use it yet: put ids of users into ASEAGI_TELEGRAM_ALLOWED_USER_IDS and "
            "run `aseagi deploy --overwrite-blocks`, or into the block aseagi-telegram/aseagi; "
            "then start the gateway again.",
            soft_wrap=True,
        )


async def _status(*, as_json: bool) -> None:
    async with _bot() as (settings, bot):
        me, webhook = await bot.get_me(), await bot.get_webhook_info()
    if as_json:
        print_json(
            {
                "bot": me.username,
                "url": webhook.url,
                "pending": webhook.pending_update_count,
                "last_error": webhook.last_error_message,
                "last_error_at": webhook.last_error_date,
                "allowed": settings.allowed_user_ids,
            }
        )
        return
    console.print(f"bot: @{me.username}", markup=False)
    where = webhook.url or "nowhere; `aseagi telegram set-webhook` sets it"
    console.print(f"delivers to: {where}", markup=False, soft_wrap=True)
    console.print(f"waits at Telegram: {webhook.pending_update_count}")
    allowed = ", ".join(map(str, settings.allowed_user_ids)) or "nobody"
    console.print(f"may use it: {allowed}", soft_wrap=True)
    if webhook.last_error_message and webhook.last_error_date:
        ago = datetime.now(UTC) - webhook.last_error_date
        console.print(
            f"last trouble, {ago.total_seconds() / 60:.0f} minutes ago: "
            f"{webhook.last_error_message}",
            markup=False,
            soft_wrap=True,
        )


async def _remove_webhook(*, as_json: bool) -> None:
    async with _bot() as (_settings, bot):
        await bot.delete_webhook()
        me = await bot.get_me()
    if as_json:
        print_json({"bot": me.username, "url": ""})
        return
    console.print(f"@{me.username} delivers nothing any more.", markup=False)


@asynccontextmanager
async def _bot() -> "AsyncGenerator[tuple[BotSettings, Bot]]":
    """The bot of the block; what Telegram refuses becomes one line."""
    from telegram import error

    from blocks.loading import load_if_there
    from blocks.telegram import Telegram

    block = await load_if_there(Telegram)
    if block is None:
        raise Misconfigured(
            "There is no bot: put ASEAGI_TELEGRAM_BOT_TOKEN into .env (.env.example explains it) "
            "and run `aseagi deploy`."
        )
    settings = block.plain()
    try:
        async with settings.bot() as bot:
            yield settings, bot
    except error.InvalidToken:
        raise Misconfigured(
            "Telegram does not know this bot's token. Correct bot_token in the block "
            "aseagi-telegram/aseagi; BotFather shows it."
        ) from None
    except error.BadRequest as refused:
        raise Misconfigured(
            f"Telegram refuses: {refused}. If it is about the address: it is `url` in the block "
            "aseagi-gateway/aseagi."
        ) from None
    except error.RetryAfter:
        raise RetryLater("Telegram wants to be asked less often. Try again in a minute.") from None
    except error.TelegramError as away:
        raise RetryLater(
            f"Telegram does not answer as it should ({type(away).__name__}). Is api_url in the "
            "block aseagi-telegram/aseagi right? Try again in a minute."
        ) from None
