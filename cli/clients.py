"""`aseagi clients`: who may upload through the gateway."""

import hashlib
import secrets
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from cli.connection import use_stack
from cli.console import STATE_DIR, JsonOption, StateDirOption, console, print_json, run
from schema.failures import BadInput

if TYPE_CHECKING:
    from sql.clients import ListedClient

LONGEST_NAME = 100

clients_app = typer.Typer(
    no_args_is_help=False,
    invoke_without_command=True,
    help="""Who may upload through the gateway: programs and people with a token.

**Examples**

- `aseagi clients` — who there is
- `aseagi clients add laptop` — a token for `aseagi add` elsewhere, shown once
- `aseagi clients revoke laptop` — end it
""",
)

NameArgument = Annotated[str, typer.Argument(help="What the client is called.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(clients_app, name="clients")


@clients_app.callback()
def clients(
    context: typer.Context, state: StateDirOption = STATE_DIR, as_json: JsonOption = False
) -> None:
    """List who may upload."""
    if context.invoked_subcommand is not None:
        return
    use_stack(state)
    listed = run(_list())
    if as_json:
        print_json([asdict(one) for one in listed])
        return
    if not listed:
        console.print("Nobody yet; `aseagi clients add NAME` lets somebody in.")
        return
    table = Table("name", "since", "until", "last used", "files")
    for one in listed:
        table.add_row(
            one.name,
            f"{one.created_at:%Y-%m-%d}",
            _until(one),
            f"{one.last_used_at:%Y-%m-%d %H:%M}" if one.last_used_at else "never",
            str(one.uploads),
        )
    console.print(table)


def _until(one: "ListedClient") -> str:
    if one.revoked_at is not None:
        return "revoked"
    return f"{one.expires_at:%Y-%m-%d %H:%M}" if one.expires_at else "no end"


@clients_app.command()
def add(
    name: NameArgument,
    days: Annotated[
        int | None, typer.Option(min=1, max=3650, help="End the token after so many days.")
    ] = None,
    state: StateDirOption = STATE_DIR,
    as_json: JsonOption = False,
) -> None:
    """Let a client in; prints its token, which is shown this once."""
    if not name.strip() or not name.isprintable() or len(name) > LONGEST_NAME:
        raise BadInput(f"A client's name is up to {LONGEST_NAME} printable characters.")
    use_stack(state)
    url, token = run(_add(name, timedelta(days=days) if days else None))
    if as_json:
        print_json({"name": name, "gateway_url": url, "token": token})
        return
    console.print("Shown this once; on the other machine:")
    console.print(f"export ASEAGI_GATEWAY_URL={url}", markup=False, soft_wrap=True)
    console.print(f"export ASEAGI_TOKEN={token}", markup=False, soft_wrap=True)
    console.print("aseagi add FOLDER")


@clients_app.command()
def revoke(name: NameArgument, state: StateDirOption = STATE_DIR) -> None:
    """End every token of that name, at once."""
    use_stack(state)
    if not run(_revoke(name)):
        raise BadInput(f"There is no client {name} with a valid token; see `aseagi clients`.")
    console.print(f"{name} can upload no more", markup=False)


async def _list() -> "list[ListedClient]":
    from blocks.database import Database
    from blocks.loading import load
    from sql.clients import list_clients

    async with (await load(Database)).connect() as db:
        return await list_clients(db)


async def _add(name: str, lifetime: timedelta | None) -> tuple[str, str]:
    from blocks.database import Database
    from blocks.gateway import Gateway
    from blocks.loading import load
    from sql.clients import add_client

    database, gateway = await load(Database), await load(Gateway)
    token = secrets.token_urlsafe(32)
    async with database.connect() as db:
        await add_client(db, name, hashlib.sha256(token.encode()).digest(), lifetime=lifetime)
    return gateway.url, token


async def _revoke(name: str) -> bool:
    from blocks.database import Database
    from blocks.loading import load
    from sql.clients import revoke_client

    async with (await load(Database)).connect() as db:
        return await revoke_client(db, name)
