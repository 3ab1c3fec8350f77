"""`aseagi process`: have everything that waits read and analysed."""

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from cli.connection import use_stack
from cli.console import STATE_DIR, JsonOption, StateDirOption, console, print_json, run
from schema.failures import MoneyStops, RetryLater
from schema.lanes import Lane

if TYPE_CHECKING:
    from blocks.database import Database
    from blocks.reading import Reading
    from blocks.spending import Spending
    from sql.connection import Connection
    from sql.jobs import QueueCounts

LOOK_SECONDS = 0.5
DISPATCH_SECONDS = 5.0
TELL_SECONDS = 5.0
"""How often a line is printed where no bar can move."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(process)


def process(
    wait: Annotated[
        bool, typer.Option("--wait", help="Show a live bar, and return when all is done.")
    ] = False,
    timeout_minutes: Annotated[
        float, typer.Option(help="With --wait: give up waiting after so long.")
    ] = 24 * 60,
    state: StateDirOption = STATE_DIR,
    as_json: JsonOption = False,
) -> None:
    """Read and analyse everything that waits, what waits for the night too: bulk process.

    Looks for objects in the bucket that nobody told of, takes them in, and starts
    sessions for waiting pages. All but the nightly lane happens by itself within a
    minute too. Without `--wait`, files of the nightly lane that are not taken in yet
    still wait for the night.

    **Example:** `aseagi process --wait`
    """
    use_stack(state)
    counts = run(_process(wait=wait, seconds=timeout_minutes * 60, quiet=as_json))
    if as_json:
        print_json(
            {
                "unfinished": counts.unfinished,
                "completed": counts.jobs_completed,
                "failed": counts.jobs_failed + counts.arrivals_failed,
            }
        )
    elif wait:
        console.print(
            f"{counts.jobs_completed} documents completed, "
            f"{counts.jobs_failed + counts.arrivals_failed} failed in all"
        )
    else:
        console.print(f"{counts.unfinished} documents under way; `aseagi status` shows more.")


async def _process(*, wait: bool, seconds: float, quiet: bool) -> "QueueCounts":
    from blocks.database import Database
    from blocks.loading import load
    from blocks.reading import Reading
    from blocks.spending import Spending
    from sql.jobs import count_queue
    from tasks.starting import start_unless_about_to

    database, reading, spending = await load(Database), await load(Reading), await load(Spending)
    began = datetime.now(UTC)
    async with database.connect() as db:
        await check_spending(db, spending, await count_queue(db), since=began)
    sweep = await start_unless_about_to("housekeeping/housekeeping")
    await start_unless_about_to("ingest/ingest")
    if wait:
        return await wait_until_done(sweep, seconds=seconds, quiet=quiet)
    await _open_every_lane(database, reading, spending)
    async with database.connect() as db:
        return await count_queue(db)


async def wait_until_done(
    sweep: UUID | None, *, seconds: float, quiet: bool = False
) -> "QueueCounts":
    """Have every lane read; show the queue until nothing is left and `sweep` has looked.

    Raises `MoneyStops` when what is left may not be paid for, and `RetryLater` when there
    is still work after `seconds`.
    """
    import anyio
    from prefect.client.orchestration import get_client

    from blocks.database import Database
    from blocks.loading import load
    from blocks.reading import Reading
    from blocks.spending import Spending
    from sql.jobs import count_queue

    database, reading, spending = await load(Database), await load(Reading), await load(Spending)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[what]}"),
    )
    began = datetime.now(UTC)
    deadline = time.monotonic() + seconds
    swept = sweep is None
    tell_at = dispatch_at = 0.0
    with Progress(*columns, console=console, disable=quiet) as progress:
        documents = progress.add_task("documents", total=None, what="")
        pages = progress.add_task("pages    ", total=None, what="")
        async with database.connect() as db, get_client() as client:
            while time.monotonic() < deadline:
                counts = await count_queue(db)
                if counts.unfinished:
                    await check_spending(db, spending, counts, since=began)
                await db.commit()
                _show(progress, documents, pages, counts)
                if not console.is_terminal and not quiet and time.monotonic() >= tell_at:
                    # A bar is drawn once at its end where there is no terminal.
                    tell_at = time.monotonic() + TELL_SECONDS
                    console.print(_line(counts))
                if not swept and sweep is not None:
                    state = (await client.read_flow_run(sweep)).state
                    swept = state is not None and state.is_final()
                if swept and counts.unfinished == 0:
                    return counts
                if counts.pages_waiting and time.monotonic() >= dispatch_at:
                    dispatch_at = time.monotonic() + DISPATCH_SECONDS
                    await _open_every_lane(database, reading, spending)
                await anyio.sleep(LOOK_SECONDS)
    raise RetryLater(f"There is still work after {seconds:.0f} s; `aseagi status` shows what.")


async def _open_every_lane(database: "Database", reading: "Reading", spending: "Spending") -> None:
    """Start sessions for pages of any lane, as the night does: a person wants them now."""
    from tasks.dispatch import dispatch

    await dispatch(database, reading, spending, lanes=list(Lane))


async def check_spending(
    db: "Connection", spending: "Spending", counts: "QueueCounts", *, since: datetime
) -> None:
    """Raise `MoneyStops`, with the way out, when nothing that waits will be paid for.

    Sessions that are open are given the time to end; `since` is when the caller began.
    """
    from decimal import Decimal

    from sql.charges import begun_in_vain, charged_against_budget
    from sql.controls import read_controls

    controls = await read_controls(db)
    if controls.paused:
        raise MoneyStops(
            f"Spending is paused ({controls.paused_reason}). `aseagi resume` allows it again."
        )
    if not counts.pages_waiting or counts.sessions_open:
        return
    budget, spent = spending.monthly_budget_dollars, await charged_against_budget(db)
    if spent > Decimal(str(budget)) or await begun_in_vain(db, since=since):
        raise MoneyStops(
            f"{counts.pages_waiting} pages wait, and what is left of this month's budget "
            f"(${spent:.2f} of ${budget:.2f} are spent) does not pay for reading them. They are "
            "read next month, or when monthly_budget_dollars in the block "
            "aseagi-spending/aseagi is raised."
        )


def _show(progress: Progress, documents: TaskID, pages: TaskID, counts: "QueueCounts") -> None:
    done = counts.jobs_completed + counts.jobs_failed
    read = counts.pages_done + counts.pages_failed
    progress.update(
        documents,
        completed=done,
        total=done + counts.unfinished,
        what=_doing(counts),
    )
    progress.update(
        pages,
        completed=read,
        total=read + counts.pages_waiting + counts.pages_leased,
    )


def _doing(counts: "QueueCounts") -> str:
    if counts.arrivals_waiting:
        return f"taking in {counts.arrivals_waiting}"
    if counts.pages_leased:
        return f"reading {counts.pages_leased} pages"
    if counts.pages_waiting:
        return "waiting for a session"
    return "analysing" if counts.unfinished else "done"


def _line(counts: "QueueCounts") -> str:
    done, read = counts.jobs_completed + counts.jobs_failed, counts.pages_done + counts.pages_failed
    pages = read + counts.pages_waiting + counts.pages_leased
    return f"documents {done}/{done + counts.unfinished}, pages {read}/{pages}, {_doing(counts)}"
