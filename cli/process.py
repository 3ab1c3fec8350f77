"""`aseagi process`: have everything that waits read and analysed."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer
from rich.markup import escape
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
from schema.lanes import DAYTIME, Lane

if TYPE_CHECKING:
    from blocks.database import Database
    from blocks.reading import Reading
    from blocks.spending import Spending
    from sql.claude import OpenBatches
    from sql.connection import Connection
    from sql.jobs import QueueCounts, Waiting

LOOK_SECONDS = 0.5
DISPATCH_SECONDS = 5.0
TELL_SECONDS = 5.0
TELL_SECONDS_IN_BATCHES = 60.0
"""How often a line is printed where no bar can move."""

NIGHT_HOURS = 6.0
"""For so long what waits for the night is analysed; as the nightly run, at most."""
WAITING_HOURS = 0.5
NIGHT_SECONDS = 300.0
"""With `--wait` the night is opened again this often, for `WAITING_HOURS` each time."""

SHORT_WAIT = timedelta(minutes=5)
"""What is put off for less is waited for: Claude's API may be busy for a moment."""


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

    Looks for objects in the bucket that nobody told of, takes them in, starts sessions for
    waiting pages, and tries again what was put off. All but the nightly lane happens by itself
    within a minute too. About that lane's documents Claude is asked in batches, at half the
    price: an answer may take hours. Without `--wait`, scans of the nightly lane that are not
    taken in yet still wait for the night.

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
    from sql.controls import open_night
    from sql.jobs import count_queue, stop_waiting
    from tasks.starting import start_unless_about_to

    database, reading, spending = await load(Database), await load(Reading), await load(Spending)
    began = datetime.now(UTC)
    async with database.connect() as db:
        await check_spending(db, spending, await count_queue(db), since=began)
        await open_night(db, hours=WAITING_HOURS if wait else NIGHT_HOURS)
        await stop_waiting(db)
    sweep = await start_unless_about_to("housekeeping/housekeeping")
    await start_unless_about_to("ingest/ingest")
    await wake_analysis(database)
    if wait:
        return await wait_until_done(sweep, seconds=seconds, quiet=quiet)
    await _open_every_lane(database, reading, spending)
    async with database.connect() as db:
        return await count_queue(db)


async def lanes_by_day() -> "Sequence[Lane]":
    """The lanes that are analysed by day: only what costs something waits for the night."""
    from blocks.claude import Claude
    from blocks.loading import load_if_there

    return list(Lane) if await load_if_there(Claude) is None else DAYTIME


async def wake_analysis(database: "Database") -> None:
    """Start the drain of analysis if something is ready for it."""
    from sql.jobs import count_ready_for_analysis
    from tasks.starting import start_unless_about_to

    lanes = await lanes_by_day()
    async with database.connect() as db:
        ready = await count_ready_for_analysis(db, lanes=lanes)
    if ready:
        await start_unless_about_to("analyse/analyse")


async def wait_until_done(
    sweep: UUID | None, *, seconds: float, quiet: bool = False
) -> "QueueCounts":
    """Have every lane read and analysed; show the queue until nothing is left.

    And until `sweep` has looked. Raises `MoneyStops` when what is left may not be paid for or is
    put off, and `RetryLater` when there is still work after `seconds`.
    """
    import anyio
    from prefect.client.orchestration import get_client

    from blocks.database import Database
    from blocks.loading import load
    from blocks.reading import Reading
    from blocks.spending import Spending
    from sql.claude import open_batches
    from sql.controls import open_night
    from sql.jobs import count_queue, jobs_waiting

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
    tell_at = dispatch_at = night_at = 0.0
    with Progress(*columns, console=console, disable=quiet) as progress:
        documents = progress.add_task("documents", total=None, what="")
        pages = progress.add_task("pages    ", total=None, what="")
        async with database.connect() as db, get_client() as client:
            while time.monotonic() < deadline:
                counts, batches = await count_queue(db), await open_batches(db)
                if counts.unfinished:
                    await check_spending(db, spending, counts, since=began)
                if time.monotonic() >= night_at:
                    night_at = time.monotonic() + NIGHT_SECONDS
                    await open_night(db, hours=WAITING_HOURS)
                put_off = await jobs_waiting(db)
                await db.commit()
                doing = _doing(counts, batches, put_off)
                _show(progress, documents, pages, counts, doing)
                if not console.is_terminal and not quiet and time.monotonic() >= tell_at:
                    # A bar is drawn once at its end where there is no terminal.
                    often = TELL_SECONDS_IN_BATCHES if batches.calls else TELL_SECONDS
                    tell_at = time.monotonic() + often
                    console.print(_line(counts, doing), markup=False)
                if not swept and sweep is not None:
                    state = (await client.read_flow_run(sweep)).state
                    swept = state is not None and state.is_final()
                if swept and counts.unfinished == 0:
                    return counts
                if swept:
                    check_waits(counts, put_off, batches)
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


def check_waits(
    counts: "QueueCounts", put_off: "Sequence[Waiting]", batches: "OpenBatches"
) -> None:
    """Raise `MoneyStops`, with the reason, when all that is left is put off for long.

    What is being taken in or read, or is in a batch, goes on by itself.
    """
    under_way = counts.arrivals_waiting or counts.pages_waiting or counts.pages_leased
    jobs = sum(one.jobs for one in put_off)
    if not jobs or under_way or batches.calls or jobs < counts.unfinished:
        return
    if min(one.until for one in put_off) - datetime.now(UTC) < SHORT_WAIT:
        return
    first = put_off[0]
    others = f" {jobs - first.jobs} more wait for other reasons." if jobs > first.jobs else ""
    wait = "1 document waits" if first.jobs == 1 else f"{first.jobs} documents wait"
    raise MoneyStops(
        f"{wait} to be analysed: {first.reason}{others} `aseagi status` shows until when; "
        "`aseagi process` tries at once."
    )


def _show(
    progress: Progress, documents: TaskID, pages: TaskID, counts: "QueueCounts", doing: str
) -> None:
    done = counts.jobs_completed + counts.jobs_failed
    read = counts.pages_done + counts.pages_failed
    progress.update(
        documents,
        completed=done,
        total=done + counts.unfinished,
        what=escape(doing),
    )
    progress.update(
        pages,
        completed=read,
        total=read + counts.pages_waiting + counts.pages_leased,
    )


def _doing(counts: "QueueCounts", batches: "OpenBatches", put_off: "Sequence[Waiting]") -> str:
    if counts.arrivals_waiting:
        return f"taking in {counts.arrivals_waiting}"
    if counts.pages_leased:
        return f"reading {counts.pages_leased} pages"
    if counts.pages_waiting:
        return "waiting for a session"
    if not counts.unfinished:
        return "done"
    if batches.calls:
        return in_batches(batches)
    waits = sum(one.jobs for one in put_off) >= counts.unfinished
    return f"put off for a moment: {put_off[0].reason}" if waits else "analysing"


def in_batches(batches: "OpenBatches") -> str:
    """What is with Claude in batches, in words."""
    questions = "1 question" if batches.calls == 1 else f"{batches.calls} questions"
    where = "a batch" if batches.batches == 1 else f"{batches.batches} batches"
    return f"{questions} with Claude in {where}"


def _line(counts: "QueueCounts", doing: str) -> str:
    done, read = counts.jobs_completed + counts.jobs_failed, counts.pages_done + counts.pages_failed
    pages = read + counts.pages_waiting + counts.pages_leased
    return f"documents {done}/{done + counts.unfinished}, pages {read}/{pages}, {doing}"
