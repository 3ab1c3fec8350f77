"""Save blocks from settings in the environment, for the first time or on request.

People may edit blocks in the Prefect UI afterwards: seeding leaves a block that
exists alone unless told to overwrite it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from prefect.blocks.core import Block
from pydantic import SecretStr, ValidationError

from blocks.claude import Claude
from blocks.database import Database
from blocks.gateway import Gateway
from blocks.loading import NAME
from blocks.object_storage import ObjectStorage, make_credentials
from blocks.reading import Reading
from blocks.spending import Spending
from blocks.telegram import Telegram
from blocks.vast_account import VAST_URL, VastAccount
from schema.failures import Misconfigured

ALL_BLOCKS: tuple[type[Block], ...] = (
    Database,
    ObjectStorage,
    Gateway,
    Reading,
    Spending,
    VastAccount,
    Claude,
    Telegram,
)


@dataclass(frozen=True, slots=True)
class Seeded:
    """What happened to one block: `created`, `overwritten` or `kept`."""

    slug: str
    outcome: str


def _required(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "").strip()
    if not value:
        raise Misconfigured(f"{name} is not set. Put it into .env; .env.example explains it.")
    return value


def blocks_from_environment(environment: Mapping[str, str]) -> list[Block]:
    """Build every block from `ASEAGI_*` variables; raises `Misconfigured` naming one that is
    missing or wrong."""
    try:
        return _blocks(environment)
    except ValidationError as error:
        raise Misconfigured(_what_is_wrong(error)) from None  # it may hold a secret


def _what_is_wrong(error: ValidationError) -> str:
    """The first thing that is wrong, by its variable; the value itself is not repeated."""
    first = error.errors(include_input=False, include_url=False)[0]
    field = str(first["loc"][0]) if first["loc"] else ""
    variable = f"{_PREFIXES.get(error.title, 'ASEAGI_')}{field.upper()}"
    reason = first["msg"].removeprefix("Value error, ")
    return f"{variable} is wrong: {reason}. Correct it in .env; .env.example explains it."


_PREFIXES = {
    "Reading": "ASEAGI_READING_",
    "Claude": "ASEAGI_CLAUDE_",
    "Telegram": "ASEAGI_TELEGRAM_",
    "VastAccount": "ASEAGI_VAST_",
}
"""How the variables of a block begin, where it is not by `ASEAGI_` alone."""


def _blocks(environment: Mapping[str, str]) -> list[Block]:
    credentials = make_credentials(
        endpoint_url=environment.get("ASEAGI_S3_ENDPOINT_URL") or None,
        region=environment.get("ASEAGI_S3_REGION", "us-east-1"),
        access_key=_required(environment, "ASEAGI_S3_ACCESS_KEY"),
        secret_key=SecretStr(_required(environment, "ASEAGI_S3_SECRET_KEY")),
    )
    gateway_url = _required(environment, "ASEAGI_GATEWAY_URL").rstrip("/")
    if urlsplit(gateway_url).scheme not in {"http", "https"}:
        raise Misconfigured("ASEAGI_GATEWAY_URL must begin with https:// (or http:// on loopback).")
    reading = {
        field: environment[variable]
        for field in Reading.model_fields
        if (variable := f"ASEAGI_READING_{field.upper()}") in environment
    }
    spending = {
        field: environment[variable]
        for field in (
            "monthly_budget_dollars",
            "own_machine_dollars_per_hour",
            "max_dollars_per_hour",
            "max_dollars_per_gb",
            "max_dollars_per_host",
        )
        if (variable := f"ASEAGI_{field.upper()}") in environment
    }
    # Renting is not for everybody: without a key there is no account.
    account = environment.get("ASEAGI_VAST_API_KEY", "").strip()
    rented = [
        VastAccount(
            url=environment.get("ASEAGI_VAST_URL", VAST_URL).rstrip("/"),
            api_key=SecretStr(account),
        )
    ]
    # Nor is Claude: without a key, rules analyse.
    claude = {
        field: environment[variable].strip()
        for field in Claude.model_fields
        if field != "models" and (variable := f"ASEAGI_CLAUDE_{field.upper()}") in environment
    }
    asked = [Claude.model_validate(claude)] if claude.get("api_key") else []
    return [
        Database(
            dsn=SecretStr(_required(environment, "ASEAGI_DATABASE_URL")),
            dashboard_dsn=SecretStr(_required(environment, "ASEAGI_DATABASE_DASHBOARD_URL")),
        ),
        ObjectStorage(credentials=credentials, bucket=_required(environment, "ASEAGI_S3_BUCKET")),
        Gateway(
            url=gateway_url,
            s3_events_token=SecretStr(_required(environment, "ASEAGI_S3_EVENTS_TOKEN")),
        ),
        Reading.model_validate(reading),
        Spending.model_validate(spending),
        *(rented if account else []),
        *asked,
        *_telegram(environment),
    ]


def _telegram(environment: Mapping[str, str]) -> list[Telegram]:
    """The bot, for who has one: without a token there is no Telegram."""
    told = {
        field: environment[variable].strip()
        for field in Telegram.model_fields
        if (variable := f"ASEAGI_TELEGRAM_{field.upper()}") in environment
    }
    if not told.get("bot_token"):
        return []
    if not told.get("webhook_secret"):
        raise Misconfigured(
            "ASEAGI_TELEGRAM_WEBHOOK_SECRET is not set: any long random string of A-Z, a-z, 0-9, "
            "_ and -. Put it into .env; .env.example explains it."
        )
    users = told.pop("allowed_user_ids", "").replace(",", " ").split()
    return [Telegram.model_validate({**told, "allowed_user_ids": users})]


async def seed_blocks(environment: Mapping[str, str], *, overwrite: bool) -> list[Seeded]:
    """Register the block types and save the blocks; existing ones stay unless `overwrite`."""
    seeded: list[Seeded] = []
    for block in blocks_from_environment(environment):
        kind = type(block)
        await kind.aregister_type_and_schema()
        exists = await _exists(kind)
        if exists and not overwrite:
            seeded.append(Seeded(kind.get_block_type_slug(), "kept"))
            continue
        await block.asave(NAME, overwrite=overwrite)
        seeded.append(Seeded(kind.get_block_type_slug(), "overwritten" if exists else "created"))
    return seeded


async def _exists(kind: type[Block]) -> bool:
    try:
        await kind.aload(NAME, validate=False)
    except ValueError:
        return False
    return True
