"""The flow `nightly`: read and analyse what waited for the night, then tell what was done."""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from prefect import flow
from prefect.artifacts import acreate_markdown_artifact
from pydantic import BaseModel, Field

from blocks.database import Database
from blocks.loading import load
from blocks.object_storage import ObjectStorage
from blocks.reading import Reading
from blocks.spending import Spending
from schema.lanes import Lane
from sql.charges import month_to_date
from sql.claude import claude_dollars_since
from sql.controls import open_night, read_controls
from sql.jobs import (
    FailedJob,
    QueueCounts,
    count_incomplete_since,
    count_put_off,
    count_queue,
    count_unfinished,
    failed_since,
)
from tasks.dispatch import close_lost_sessions, dispatch
from tasks.drains import single_flight
from tasks.exporting import failure_text
from tasks.fixed_costs import accrue_fixed_costs
from tasks.progress import DrainProgress
from tasks.watch import watch_bucket

LOOK_SECONDS = 15.0
NOT_TONIGHT = timedelta(minutes=5)
"""What is put off for longer waits for money or a person, not for the night."""


class NightlyReport(BaseModel):
    """How the night went."""

    completed: int = Field(description="Jobs completed, of all time.")
    failed_tonight: int = Field(description="Jobs that failed during this run.")
    incomplete_tonight: int = Field(
        description="Jobs completed during this run without all that Claude was asked for."
    )
    unfinished: int = Field(description="Jobs of any lane left when the run ended.")
    claude_dollars: float = Field(description="What Claude's answers cost during this run.")
    month_dollars: float = Field(description="Cost of the month so far.")


@flow(name="nightly", flow_run_name="nightly")
async def nightly(longest_hours: float = 6) -> NightlyReport:
    """Open the nightly lane, wait until it is empty, and leave a digest.

    While the night is open, the `analyse` drain analyses this lane too: with Claude in batches.

    Safe to kill: pages and jobs wait in Postgres, and tomorrow's run finds them.

    Args:
        longest_hours: When to stop waiting; what is left waits for the next night.
    """
    started, began = time.monotonic(), datetime.now(UTC)
    database, storage = await load(Database), await load(ObjectStorage)
    reading, spending = await load(Reading), await load(Spending)
    async with single_flight(database, "nightly") as turn:
        if turn is not None:
            async with database.connect() as db:
                await open_night(db, hours=longest_hours)
            await watch_bucket(storage, database)
            await accrue_fixed_costs(database, spending.fixed_dollars_per_month)
        progress, done = DrainProgress("documents"), await _finished(database)
        while turn is not None and not turn.lost and await _work_waits(database):
            if time.monotonic() - started > longest_hours * 3600:
                break
            await close_lost_sessions(database)
            await dispatch(database, reading, spending, lanes=list(Lane))
            finished = await _finished(database)
            await progress.add(finished - done, waiting=await _unfinished(database))
            done = finished
            await asyncio.sleep(LOOK_SECONDS)
    return await _digest(database, began)


async def _work_waits(database: Database) -> bool:
    async with database.connect() as db:
        paused = (await read_controls(db)).paused
        put_off = await count_put_off(db, at_least=NOT_TONIGHT)
    return not paused and await _unfinished(database) > put_off


async def _unfinished(database: Database) -> int:
    async with database.connect() as db:
        return await count_unfinished(db, lanes=list(Lane))


async def _finished(database: Database) -> int:
    async with database.connect() as db:
        counts = await count_queue(db)
    return counts.jobs_completed + counts.jobs_failed


async def _digest(database: Database, began: datetime) -> NightlyReport:
    async with database.connect() as db:
        counts = await count_queue(db)
        failed = await failed_since(db, began)
        incomplete = await count_incomplete_since(db, began)
        claude = await claude_dollars_since(db, began)
        dollars = await month_to_date(db)
    await acreate_markdown_artifact(
        key="digest",
        description="The morning digest",
        markdown=told(counts, failed, incomplete=incomplete, claude=claude, month=dollars),
    )
    return NightlyReport(
        completed=counts.jobs_completed,
        failed_tonight=len(failed),
        incomplete_tonight=incomplete,
        unfinished=counts.unfinished,
        claude_dollars=float(claude),
        month_dollars=float(dollars),
    )


def told(
    counts: QueueCounts,
    failed: Sequence[FailedJob],
    *,
    incomplete: int,
    claude: Decimal,
    month: Decimal,
) -> str:
    """The morning digest: what was done, what failed or lacks something, what it cost."""
    of_it = f", Claude ${claude:.4f} of it tonight" if claude else ""
    lines = [
        f"**{counts.jobs_completed} documents done**, {counts.unfinished} unfinished, "
        f"{len(failed)} failed tonight. The month has cost ${month:.2f} so far{of_it}."
    ]
    if incomplete:
        lines += [
            "",
            f"Completed tonight without all that Claude was asked for: {incomplete}. `aseagi show` "
            "says what is missing and why, `aseagi retry` asks again where that can help.",
        ]
    if failed:
        lines += ["", "| file | why |", "|---|---|"]
        lines += [f"| {one.file_name} | {failure_text(one.error)} |" for one in failed]
    return "\n".join(lines)
