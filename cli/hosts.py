"""`aseagi hosts`: what is rented, what would be rented now and why, and ending it by hand."""

import time
from collections.abc import Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import anyio
import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from cli.connection import use_stack
from cli.console import STATE_DIR, JsonOption, StateDirOption, console, print_json, run
from schema.failures import BadInput, Misconfigured, RetryLater

if TYPE_CHECKING:
    from blocks.vast_account import VastAccount
    from sql.hosts import Host, RentedHost
    from work_pools.vastai.knobs import VastJobConfiguration
    from work_pools.vastai.ordering import Image
    from work_pools.vastai.ranking import Ranking
    from work_pools.vastai.requirements import Requirements

HOSTS_SHOWN = 50
OFFERS_SHOWN = 10
DESTROY_SECONDS = 180.0
LOOK_SECONDS = 2.0

hosts_app = typer.Typer(
    name="hosts",
    invoke_without_command=True,
    rich_markup_mode="markdown",
    help="""Rented GPU hosts: what is rented, what would be, and ending it by hand.

**Examples**

- `aseagi hosts` — price, age, cost so far, and what each host is doing
- `aseagi hosts --all` — those that are gone too
- `aseagi hosts offers` — what would be rented now, best first, and why
- `aseagi hosts destroy 4711` — close its session and end it; `--all` ends every one
""",
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(hosts_app)


@hosts_app.callback()
def hosts(
    context: typer.Context,
    all_of_them: Annotated[bool, typer.Option("--all", help="Those that are gone too.")] = False,
    state: StateDirOption = STATE_DIR,
    as_json: JsonOption = False,
) -> None:
    """Show what is rented. Reads the ledger, so it answers while the marketplace does not."""
    if context.invoked_subcommand is None:
        use_stack(state)
        run(_hosts(ended_too=all_of_them, as_json=as_json))


@hosts_app.command()
def offers(
    limit: Annotated[int, typer.Option(min=1, help="Offers to show.")] = OFFERS_SHOWN,
    deployment: Annotated[
        str | None, typer.Option(help="Whose pool's wishes to use; default: the one that reads.")
    ] = None,
    state: StateDirOption = STATE_DIR,
    as_json: JsonOption = False,
) -> None:
    """Show what would be rented for the pages that wait now, best first, and why."""
    use_stack(state)
    run(_offers(limit, deployment, as_json=as_json))


@hosts_app.command()
def destroy(
    host: Annotated[str | None, typer.Argument(help="Instance number or label.")] = None,
    all_of_them: Annotated[bool, typer.Option("--all", help="Every host.")] = False,
    state: StateDirOption = STATE_DIR,
) -> None:
    """End a host: its session is closed, its pages wait again, its instance is destroyed.

    Returns when a listing of the marketplace shows that it is gone. While pages wait, a new
    session may rent another host; `aseagi pause` first if it must not.
    """
    if (host is None) != all_of_them:
        raise BadInput("Name one host (`aseagi hosts` lists them), or say --all.")
    use_stack(state)
    run(_destroy(host))


async def newest(*, ended_too: bool) -> "list[RentedHost]":
    """Rented hosts, those not gone first."""
    from blocks.database import Database
    from blocks.loading import load
    from sql.hosts import newest_rented_hosts

    database = await load(Database)
    async with database.connect() as db:
        return await newest_rented_hosts(db, limit=HOSTS_SHOWN, ended_too=ended_too)


async def wait_until_gone(*, seconds: float) -> bool:
    """Wait while anything is rented, at most that long; whether nothing is."""
    deadline = time.monotonic() + seconds
    with console.status("") as status:
        while rented := await newest(ended_too=False):
            if time.monotonic() > deadline:
                return False
            doing = "; ".join(
                f"host {row.instance_id or row.label} {_doing(row)}" for row in rented
            )
            status.update(doing)
            await anyio.sleep(LOOK_SECONDS)
    return True


def host_table(rows: "Sequence[RentedHost]") -> Table:
    """Instance, GPU, price, age, seconds billed, cost, and what each is doing."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("instance", no_wrap=True)
    table.add_column("GPU", no_wrap=True)
    for column in ("per hour", "age", "GPU billed", "pages", "cost"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("what it is doing", overflow="fold")
    for row in rows:
        table.add_row(
            str(row.instance_id or "-"),
            Text(row.gpu_name or "-"),
            f"${row.dollars_per_hour:.3f}",
            f"{row.age_seconds:.0f} s",
            f"{row.billed_seconds:.0f} s",
            str(row.pages_read),
            f"${row.dollars:.4f}",
            Text(_doing(row)),
        )
    return table


def _doing(row: "RentedHost") -> str:
    match row.state:
        case "intended":
            doing = "an offer is being chosen"
        case "ordered":
            doing = "ordered, not answered yet"
        case "booting":
            doing = f"boots ({row.status or 'no status yet'})"
        case "running":
            doing = f"reads {row.pages_held} pages" if row.pages_held else "waits for pages"
        case "ending":
            doing = f"is being destroyed: {row.end_reason or 'its session closed'}"
        case _:
            ended = "destroyed" if row.instance_id is not None else "never rented"
            doing = f"{ended}: {row.end_reason or 'its session closed'}"
    return f"{doing} (rehearsal, no money)" if row.rehearsal else doing


async def _hosts(*, ended_too: bool, as_json: bool) -> None:
    rows = await newest(ended_too=ended_too)
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    if not rows:
        console.print("Nothing is rented." if not ended_too else "Nothing was ever rented.")
        return
    console.print(host_table(rows))
    owed = sum((row.reserved_dollars for row in rows if row.state != "ended"), Decimal(0))
    if owed:
        console.print(f"reserved against the budget for hosts not gone yet: ${owed:.2f}")


async def _offers(limit: int, deployment: str | None, *, as_json: bool) -> None:
    from blocks.database import Database
    from blocks.loading import load
    from work_pools.vastai.connecting import marketplace
    from work_pools.vastai.ordering import Orders

    database, account = await load(Database), await account_there()
    requirements, image = await wishes(deployment)
    with console.status("asking the marketplace"):
        async with marketplace(account) as market:
            ranking = await Orders(database, market).offers(requirements, image)
    if as_json:
        print_json(_ranking_dict(ranking, limit))
        return
    console.print(_ranking_table(ranking, limit))
    if ranking.rejected:
        offer, why = ranking.rejected[0]
        console.print(
            f"{len(ranking.rejected)} offers will not do, e.g. {offer.gpu_name}: {why}",
            markup=False,
        )


async def account_there() -> "VastAccount":
    """The marketplace account; raises `Misconfigured` where none is set."""
    from blocks.loading import load_if_there
    from blocks.vast_account import VastAccount

    account = await load_if_there(VastAccount)
    if account is None:
        raise Misconfigured(
            "No marketplace account is set: fill in ASEAGI_VAST_API_KEY and run `aseagi deploy`."
        )
    return account


async def wishes(deployment: str | None) -> "tuple[Requirements, Image]":
    """What a deployment asks of a host (its pool's form, filled in); else the one that reads."""
    from datetime import timedelta

    from blocks.loading import load
    from blocks.reading import Reading
    from blocks.spending import Spending

    reading, spending = await load(Reading), await load(Spending)
    configuration = await _configuration(deployment or reading.deployment)
    lifetime = timedelta(minutes=reading.session_minutes)
    return configuration.requirements(spending, lifetime), configuration.to_order()


async def _configuration(deployment_name: str) -> "VastJobConfiguration":
    from prefect.client.orchestration import get_client

    from work_pools.vastai.knobs import VastJobConfiguration

    async with get_client() as client:
        deployment = await client.read_deployment_by_name(deployment_name)
        pool = await client.read_work_pool(deployment.work_pool_name or "")
        if pool.type != "vastai":
            raise Misconfigured(
                f"Pages are read by {deployment_name}, which rents nothing (pool {pool.name!r} is "
                f"of type {pool.type!r}): set ASEAGI_READING_DEPLOYMENT=ocr/vast-gpu."
            )
        return await VastJobConfiguration.from_template_and_values(
            pool.base_job_template, deployment.job_variables or {}, client=client
        )


def _ranking_table(ranking: "Ranking", limit: int) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in ("offer", "machine"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("expected for the pages that wait", justify="right", no_wrap=True)
    table.add_column("seconds", justify="right", no_wrap=True)
    table.add_column("why", overflow="fold")
    for ranked in ranking.best_first[:limit]:
        table.add_row(
            str(ranked.offer.id),
            str(ranked.offer.machine_id or "-"),
            f"${ranked.dollars_total:.5f}",
            f"{ranked.seconds:.0f}",
            Text(ranked.reason),
        )
    return table


def _ranking_dict(ranking: "Ranking", limit: int) -> dict[str, Any]:
    return {
        "best_first": [
            {
                "offer_id": ranked.offer.id,
                "machine_id": ranked.offer.machine_id,
                "gpu_name": ranked.offer.gpu_name,
                "dollars_total": ranked.dollars_total,
                "dollars_per_page": ranked.dollars_per_page,
                "seconds": ranked.seconds,
                "why": ranked.reason,
            }
            for ranked in ranking.best_first[:limit]
        ],
        "rejected": [
            {"offer_id": offer.id, "gpu_name": offer.gpu_name, "why": why}
            for offer, why in ranking.rejected
        ],
    }


async def _destroy(wanted: str | None) -> None:
    from blocks.database import Database
    from blocks.loading import load
    from sql.hosts import end_host, find_host, open_hosts
    from sql.sessions import close_session
    from work_pools.vastai.connecting import marketplace
    from work_pools.vastai.fleet import Fleet

    database, account = await load(Database), await account_there()
    async with database.connect() as db:
        chosen = [host for host in await open_hosts(db) if _is_wanted(host, wanted)]
    if not chosen:
        if wanted is None:
            console.print("Nothing is rented.")
            return
        raise BadInput(f"No host {wanted} is rented; `aseagi hosts` lists those that are.")
    for host in chosen:
        async with database.connect() as db:
            if host.session_id is not None:
                await close_session(db, host.session_id, reason="destroyed by hand")
            await end_host(db, host.id, reason="destroyed by hand")
    deadline = time.monotonic() + DESTROY_SECONDS
    left = {host.id for host in chosen}
    with console.status("destroying") as status:
        async with marketplace(account) as market:
            fleet = Fleet(database, market, rehearsal=account.is_rehearsal)
            while True:
                await fleet.look_after()
                async with database.connect() as db:
                    found = [await find_host(db, host_id) for host_id in left]
                left = {host.id for host in found if host is not None and host.state != "ended"}
                if not left or time.monotonic() > deadline:
                    break
                status.update(f"destroying; {len(left)} still on the marketplace's list")
                await anyio.sleep(LOOK_SECONDS)
    if left:
        raise RetryLater(
            f"{len(left)} of {len(chosen)} hosts are not confirmed gone. The worker and the "
            "housekeeping go on trying; look at the account if this stays so."
        )
    console.print(f"{len(chosen)} destroyed; the marketplace does not list them any more.")


def _is_wanted(host: "Host", wanted: str | None) -> bool:
    return wanted is None or wanted in {str(host.instance_id), host.label}
