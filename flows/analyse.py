"""The flow `analyse`: drain the documents whose text is there."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import httpx
import psycopg
from prefect import flow
from prefect.artifacts import acreate_table_artifact
from pydantic import BaseModel, Field

from blocks.claude import Claude
from blocks.database import Database
from blocks.loading import load, load_if_there
from blocks.object_storage import ObjectStorage
from blocks.spending import Spending
from schema.failures import AseagiError
from schema.lanes import DAYTIME, Lane
from sql.claude import abandon_all, claude_dollars_since
from sql.connection import Pool
from sql.embeddings import lacks_embeddings
from sql.jobs import AnalysisJob, claim_for_analysis, count_ready_for_analysis
from tasks.analysis import (
    CLAIM_FOR,
    Analysed,
    analyse_by_rules,
    analyse_document,
    embed_what_lacks,
    finish,
    told,
)
from tasks.drains import LINGER_SECONDS, Drain, single_flight
from tasks.meaning import MODEL
from tasks.progress import DrainProgress

if TYPE_CHECKING:
    from tasks.claude.analyst import Finished
    from tasks.claude.draining import Work

BATCH = 24
SETTINGS_SECONDS = 5.0
"""How soon a drain learns that a person set up Claude, or changed how it is asked."""
ARTIFACT_ROWS = 200


class AnalyseReport(BaseModel):
    """What a drain analysed."""

    completed: int = Field(default=0, description="Documents analysed.")
    failed: int = Field(default=0, description="Documents that could not be analysed.")
    incomplete: int = Field(
        default=0, description="Documents completed without all that Claude was asked for."
    )
    embedded: int = Field(
        default=0, description="Finished documents embedded afterwards, for search by meaning."
    )
    another_drain: bool = Field(default=False, description="Another drain was at work.")


@flow(name="analyse", flow_run_name="analyse")
async def analyse(linger_seconds: float = LINGER_SECONDS) -> AnalyseReport:
    """Analyse every document that is read, and whatever is read while this runs.

    With Claude where there is a block for it, and what waits for the night only at night, in
    batches at half the price; else by rules. Then embed finished documents that lack it, for
    search by meaning; analysis embeds its own. One drain runs at a time; a second one ends at
    once, and one whose block was changed ends soon, for the next to go on with the new. Safe to
    kill at any point: a document's analysis and the end of its job are one transaction, and what
    was asked of Claude is on record.

    Args:
        linger_seconds: How long nothing new must come before the drain ends.
    """
    database = await load(Database)
    claude = await load_if_there(Claude)
    analysed: list[Analysed] = []
    embedded, began = 0, datetime.now(UTC)
    async with single_flight(database, "analyse") as drain:
        if drain is None:
            return AnalyseReport(another_drain=True)
        size = 2 if claude is None else 2 + claude.calls_at_a_time
        try:
            async with database.pool(max_size=size) as pool, ends_if_changed(drain, claude):
                if claude is None:
                    await _by_rules(drain, pool, analysed, linger_seconds)
                else:
                    await _with_claude(claude, drain, pool, analysed, linger_seconds)
                async with pool.connection() as db:
                    lacking = await lacks_embeddings(db, model=MODEL)
                if lacking:
                    embedded = await embed_what_lacks(pool)
        finally:
            await _show(analysed, await _claude_dollars(database, began))
    outcomes = Counter(one.outcome for one in analysed)
    return AnalyseReport(
        completed=outcomes["completed"],
        failed=outcomes["failed"],
        incomplete=sum(one.is_incomplete for one in analysed),
        embedded=embedded,
    )


async def _by_rules(
    drain: Drain, pool: Pool, analysed: list[Analysed], linger_seconds: float
) -> None:
    progress = DrainProgress("documents")
    lanes = list(Lane)
    async with pool.connection() as db:
        # Somebody took Claude away: nobody will look after what was asked.
        await abandon_all(db)

    async def fetch() -> list[AnalysisJob]:
        async with pool.connection() as db:
            return await claim_for_analysis(
                db, holder=drain.holder, limit=BATCH, ttl=CLAIM_FOR, lanes=lanes
            )

    async for batch in drain.batches(fetch, linger_seconds=linger_seconds):
        analysed += await analyse_by_rules(batch, len(batch), drain.holder, pool)
        async with pool.connection() as db:
            waiting = await count_ready_for_analysis(db, lanes=lanes)
        await progress.add(len(batch), waiting=waiting)


async def _with_claude(
    claude: Claude,
    drain: Drain,
    pool: Pool,
    analysed: list[Analysed],
    linger_seconds: float,
) -> None:
    # Here and not above: Anthropic's library takes two seconds and 55 MB to load, which who
    # has no Claude need not have.
    from tasks.claude.calling import Caller, limits_of  # noqa: PLC0415
    from tasks.claude.draining import ClaudeDrain  # noqa: PLC0415

    storage, spending = await load(ObjectStorage), await load(Spending)
    progress = DrainProgress("documents")

    async def waiting() -> int:
        async with pool.connection() as db:
            return await count_ready_for_analysis(db, lanes=DAYTIME)

    async def complete(job: AnalysisJob, finished: "Finished") -> None:
        analysed.append(await finish(job, finished, holder=drain.holder, pool=pool))
        await progress.count_one(waiting)

    async def as_task(job: AnalysisJob, work: "Work") -> None:
        await analyse_document(job.document_id.hex[:8], work)

    async with claude.client() as client:
        caller = Caller(claude, client, pool, limits_of(claude, spending), holder=drain.holder)
        asking = ClaudeDrain(drain, caller, storage, complete, around=as_task)
        await asking.run(linger_seconds=linger_seconds)


@contextlib.asynccontextmanager
async def ends_if_changed(
    drain: Drain, claude: Claude | None, *, look_seconds: float = SETTINGS_SECONDS
) -> AsyncGenerator[None]:
    """Let the drain take nothing more once the block is another than it began with."""
    began_with = None if claude is None else claude.model_dump()

    async def watch() -> None:
        while True:
            await asyncio.sleep(look_seconds)
            with contextlib.suppress(AseagiError, httpx.HTTPError):  # Prefect is away: later
                now = await load_if_there(Claude)
                if began_with != (None if now is None else now.model_dump()):
                    drain.stop()
                    return

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def _claude_dollars(database: Database, since: datetime) -> Decimal:
    try:
        async with database.connect() as db:
            return await claude_dollars_since(db, since)
    except (AseagiError, psycopg.Error):
        return Decimal(0)  # the drain ends because the database is away


async def _show(analysed: list[Analysed], dollars: Decimal) -> None:
    """Leave the run's closing table, of a failed run too: what each document is, what failed."""
    failed_first = sorted(analysed, key=lambda one: (not one.reason, one.file_name))
    await acreate_table_artifact(
        key="analysed",
        description=told(analysed, dollars),
        table=[
            {
                "file": one.file_name,
                "outcome": one.outcome,
                "type": one.document_type or "",
                "title": one.title or "",
                "analyst": one.analyst or "",
                "reason": one.reason or "",
            }
            for one in failed_first[:ARTIFACT_ROWS]
        ],
    )
