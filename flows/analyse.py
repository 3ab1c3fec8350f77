"""The flow `analyse`: drain the documents whose text is there."""

from collections import Counter

from prefect import flow
from prefect.artifacts import acreate_table_artifact
from pydantic import BaseModel, Field

from blocks.database import Database
from blocks.loading import load
from schema.lanes import Lane
from sql.embeddings import lacks_embeddings
from sql.jobs import AnalysisJob, claim_for_analysis, count_ready_for_analysis
from tasks.analysis import CLAIM_FOR, Analysed, analyse_documents, embed_what_lacks
from tasks.drains import LINGER_SECONDS, single_flight
from tasks.meaning import MODEL
from tasks.progress import DrainProgress

BATCH = 24
ARTIFACT_ROWS = 200


class AnalyseReport(BaseModel):
    """What a drain analysed."""

    completed: int = Field(default=0, description="Documents analysed.")
    failed: int = Field(default=0, description="Documents that could not be analysed.")
    embedded: int = Field(
        default=0, description="Finished documents embedded afterwards, for search by meaning."
    )
    another_drain: bool = Field(default=False, description="Another drain was at work.")


@flow(name="analyse", flow_run_name="analyse")
async def analyse(linger_seconds: float = LINGER_SECONDS) -> AnalyseReport:
    """Analyse every document that is read, and whatever is read while this runs.

    Then embed finished documents that lack it, for search by meaning; analysis embeds its own.
    One drain runs at a time; a second one ends at once. Safe to kill at any point: a
    document's analysis and the end of its job are one transaction.

    Args:
        linger_seconds: How long nothing new must come before the drain ends.
    """
    database = await load(Database)
    analysed: list[Analysed] = []
    embedded = 0
    async with single_flight(database, "analyse") as drain:
        if drain is None:
            return AnalyseReport(another_drain=True)
        holder = drain.holder
        try:
            async with database.pool(max_size=2) as pool:
                progress = DrainProgress("documents")

                async def fetch() -> list[AnalysisJob]:
                    async with pool.connection() as db:
                        return await claim_for_analysis(
                            db, holder=holder, limit=BATCH, ttl=CLAIM_FOR, lanes=list(Lane)
                        )

                async for batch in drain.batches(fetch, linger_seconds=linger_seconds):
                    analysed += await analyse_documents(batch, len(batch), holder, pool)
                    async with pool.connection() as db:
                        waiting = await count_ready_for_analysis(db)
                    await progress.add(len(batch), waiting=waiting)
                async with pool.connection() as db:
                    lacking = await lacks_embeddings(db, model=MODEL)
                if lacking:
                    embedded = await embed_what_lacks(pool)
        finally:
            await _show(analysed)
    outcomes = Counter(one.outcome for one in analysed)
    return AnalyseReport(
        completed=outcomes["completed"], failed=outcomes["failed"], embedded=embedded
    )


async def _show(analysed: list[Analysed]) -> None:
    """Leave the run's closing table, of a failed run too: what each document is, what failed."""
    failed_first = sorted(analysed, key=lambda one: (one.outcome != "failed", one.file_name))
    await acreate_table_artifact(
        key="analysed",
        description=f"{len(analysed)} documents. The offline analyst costs nothing.",
        table=[
            {
                "file": one.file_name,
                "outcome": one.outcome,
                "type": one.document_type or "",
                "title": one.title or "",
                "reason": one.reason or "",
            }
            for one in failed_first[:ARTIFACT_ROWS]
        ],
    )
