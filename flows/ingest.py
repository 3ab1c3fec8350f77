"""The flow `ingest`: drain the inbox until nothing new came for a while."""

import asyncio
from collections import Counter
from collections.abc import Sequence

from prefect import flow
from prefect.artifacts import acreate_table_artifact
from pydantic import BaseModel, Field

from blocks.database import Database
from blocks.loading import load
from blocks.object_storage import ObjectStorage
from blocks.reading import Reading
from blocks.spending import Spending
from sql.arrivals import Arrival, begin_arrivals, count_waiting_arrivals, give_attempts_back
from sql.connection import Pool
from tasks.dispatch import dispatch
from tasks.drains import LINGER_SECONDS, single_flight
from tasks.inspector import open_inspector
from tasks.intake import CONCURRENT, StoreAway, Taken, is_away, take_in
from tasks.progress import DrainProgress

BATCH = 24
ARTIFACT_ROWS = 200


class IngestReport(BaseModel):
    """What a drain took in."""

    documents: int = Field(default=0, description="New documents.")
    duplicates: int = Field(default=0, description="Arrivals whose content was known.")
    failed: int = Field(default=0, description="Files that cannot be taken in.")
    superseded: int = Field(default=0, description="Objects overwritten before they were read.")
    pages_to_read: int = Field(default=0, description="Pages queued for a session.")
    another_drain: bool = Field(default=False, description="Another drain was at work.")


@flow(name="ingest", flow_run_name="ingest")
async def ingest(linger_seconds: float = LINGER_SECONDS) -> IngestReport:
    """Take in everything that arrived, and whatever arrives while this runs.

    One drain runs at a time; a second one ends at once. Safe to kill at any point.

    Args:
        linger_seconds: How long nothing new must come before the drain ends.
    """
    database, storage = await load(Database), await load(ObjectStorage)
    reading, spending = await load(Reading), await load(Spending)
    taken: list[Taken] = []
    async with single_flight(database, "ingest") as drain:
        if drain is None:
            return IngestReport(another_drain=True)
        try:
            async with database.pool(max_size=CONCURRENT) as pool, open_inspector() as inspector:
                progress = DrainProgress("files")

                async def fetch() -> list[Arrival]:
                    async with pool.connection() as db:
                        return await begin_arrivals(db, limit=BATCH)

                async for batch in drain.batches(fetch, linger_seconds=linger_seconds):
                    try:
                        taken += await take_in(batch, len(batch), storage, pool, inspector)
                    except StoreAway:
                        await _spare(batch, storage, pool)
                        raise
                    await dispatch(database, reading, spending)
                    async with pool.connection() as db:
                        waiting = await count_waiting_arrivals(db)
                    await progress.add(len(batch), waiting=waiting)
        finally:
            await _show(taken)
    outcomes = Counter(one.outcome for one in taken)
    return IngestReport(
        documents=outcomes["document"],
        duplicates=outcomes["duplicate"],
        failed=outcomes["failed"],
        superseded=outcomes["superseded"],
        pages_to_read=sum(one.pages_to_read for one in taken),
    )


async def _spare(batch: Sequence[Arrival], storage: ObjectStorage, pool: Pool) -> None:
    """Count no attempt of these if the store is away, and not one object of it."""
    if await asyncio.to_thread(is_away, storage):
        async with pool.connection() as db:
            await give_attempts_back(db, [one.id for one in batch])


async def _show(taken: list[Taken]) -> None:
    """Leave the run's closing table, of a failed run too: what came in, what failed and why."""
    failed_first = sorted(taken, key=lambda one: (one.outcome != "failed", one.key))
    await acreate_table_artifact(
        key="taken-in",
        description=f"{len(taken)} arrivals. Taking in costs nothing: the droplet is paid for.",
        table=[
            {
                "file": one.key,
                "outcome": one.outcome,
                "pages": one.pages,
                "to read": one.pages_to_read,
                "reason": one.reason or "",
            }
            for one in failed_first[:ARTIFACT_ROWS]
        ],
    )
