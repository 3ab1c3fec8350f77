"""Analyse documents whose text is there: by rules, or with Claude.

The rules (`tasks/offline_analyst`) need no network and cost nothing. What they cannot find they
leave out, and they sign what they found (`Analysis.analyst`). Claude (`tasks/claude`) is asked
where there is a block for it; a document that it gives no answer about keeps what Claude said of
it before, else gets the answer of the rules, with the reason beside it. With its analysis each
page is embedded (`tasks/meaning`), so that search finds it by what it is about.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

from prefect import task
from prefect.cache_policies import NO_CACHE

from schema.analysis import Analysis
from schema.failures import AseagiError, Failure, Stage
from sql.connection import Pool
from sql.corrections import analysis_of
from sql.embeddings import Embedding, documents_without_embeddings, store_embeddings
from sql.jobs import AnalysisJob, complete_job, fail_job
from tasks.blank_documents import analysis_of_blank
from tasks.meaning import MODEL, embed
from tasks.offline_analyst import analyse_offline

if TYPE_CHECKING:
    from tasks.claude.analyst import Finished

CLAIM_FOR = timedelta(minutes=5)
"""A drain that dies gives its documents back after this long."""

BACKFILL = 8
"""So many documents are embedded at a time; one may have two thousand pages."""


@dataclass(frozen=True, slots=True)
class Analysed:
    """What became of a document: `completed`, `failed`, or `lost` to another drain.

    One that is completed may have a reason too: what is missing in its analysis.
    """

    document_id: UUID
    file_name: str
    outcome: str
    document_type: str | None = None
    title: str | None = None
    analyst: str | None = None
    reason: str | None = None

    @property
    def is_incomplete(self) -> bool:
        """Whether it was completed without all that Claude was asked for."""
        return self.outcome == "completed" and self.reason is not None


def told(analysed: Sequence[Analysed], dollars: Decimal) -> str:
    """In words: how many documents, by which analyst, and what Claude cost meanwhile."""
    by = Counter(one.analyst or "nobody" for one in analysed if one.outcome == "completed")
    parts = [f"{count} by {analyst}" for analyst, count in by.most_common()]
    if failed := sum(one.outcome == "failed" for one in analysed):
        parts.append(f"{failed} failed")
    if lost := sum(one.outcome == "lost" for one in analysed):
        parts.append(f"{lost} another drain's")
    said = "1 document" if len(analysed) == 1 else f"{len(analysed)} documents"
    said += f": {', '.join(parts)}." if parts else "."
    if incomplete := sum(one.is_incomplete for one in analysed):
        said += f" {incomplete} without all that Claude was asked for."
    return said + (f" Claude cost ${dollars:.4f}." if dollars else "")


@task(
    name="analyse",
    task_run_name="analyse {documents} documents",
    cache_policy=NO_CACHE,
    retries=2,
    retry_delay_seconds=[1, 5],
    retry_jitter_factor=0.5,
)
async def analyse_by_rules(
    jobs: Sequence[AnalysisJob],
    documents: int,  # noqa: ARG001 - shown in the task run's name
    holder: UUID,
    pool: Pool,
) -> list[Analysed]:
    """Analyse and complete a batch. Retried when the database is away; idempotent by the claims.

    A batch, not a document, is a task: each task run costs Prefect more than these rules do.
    """
    return [await finish(job, None, holder=holder, pool=pool) for job in jobs]


@task(name="analyse document", task_run_name="analyse {document}", cache_policy=NO_CACHE)
async def analyse_document(
    document: str,  # noqa: ARG001 - shown in the task run's name
    work: Callable[[], Awaitable[None]],
) -> None:
    """Have Claude analyse one document. Not retried: what is missing is found by the next claim."""
    await work()


async def finish(
    job: AnalysisJob, finished: "Finished | None", *, holder: UUID, pool: Pool
) -> Analysed:
    """Complete a claimed document with what Claude made of it, else with what the rules find.

    Where Claude has no answer now and had one before, that one is kept, and the failure says so.
    """
    failure = finished.failure if finished else None
    try:
        analysis = finished.analysis if finished else None
        if analysis is None and failure is not None:
            analysis = await _by_claude_before(job, pool)
            failure = _kept(failure) if analysis else failure
        if analysis is None:
            analysis = await asyncio.to_thread(_by_rules, job)
        embeddings = await asyncio.to_thread(_embed_all, job.pages)
    except Exception as error:  # noqa: BLE001 - one bad document never stops a batch
        known = isinstance(error, AseagiError)
        reason = str(error) if known else f"The analyst failed ({type(error).__name__})."
        failure = Failure(stage=Stage.ANALYSE, reason=reason[:500], retry_helps=not known)
        async with pool.connection() as db:
            await fail_job(db, job.id, failure, holder=holder)
        return Analysed(job.document_id, job.file_name, "failed", reason=failure.reason)
    async with pool.connection() as db:
        stored = await complete_job(db, job, analysis, holder=holder, failure=failure)
        if stored:
            await store_embeddings(db, job.document_id, embeddings, model=MODEL)
    return _told(job, analysis, failure, stored=stored)


def _by_rules(job: AnalysisJob) -> Analysis:
    if job.is_blank:
        return analysis_of_blank(len(job.pages))
    return analyse_offline(job.pages, file_name=job.file_name)


async def _by_claude_before(job: AnalysisJob, pool: Pool) -> Analysis | None:
    async with pool.connection() as db:
        analysis = await analysis_of(db, job.document_id)
    return None if analysis is None or analysis.is_by_rules else analysis


def _kept(failure: Failure) -> Failure:
    return failure.model_copy(
        update={"reason": f"{failure.reason[:450]} Its earlier analysis is kept."}
    )


def _told(
    job: AnalysisJob, analysis: Analysis, failure: Failure | None, *, stored: bool
) -> Analysed:
    return Analysed(
        job.document_id,
        job.file_name,
        "completed" if stored else "lost",
        document_type=analysis.type.value,
        title=analysis.title,
        analyst=analysis.analyst,
        reason=failure.reason if failure else None,
    )


@task(
    name="embed",
    cache_policy=NO_CACHE,
    retries=2,
    retry_delay_seconds=[1, 5],
    retry_jitter_factor=0.5,
)
async def embed_what_lacks(pool: Pool) -> int:
    """Embed finished documents that were never embedded with this model; how many there were.

    Those that were there before search by meaning was, before the model changed, or whose
    analysis failed. Retried when the database is away; idempotent: a document is one transaction.
    """
    embedded: set[UUID] = set()
    while True:
        async with pool.connection() as db:
            found = await documents_without_embeddings(db, model=MODEL, limit=BACKFILL)
        # One that is found again was stored and still lacks it: trying on would never end.
        documents = [document for document in found if document.document_id not in embedded]
        if not documents:
            return len(embedded)
        for document in documents:
            embeddings = await asyncio.to_thread(_embed_all, document.pages)
            async with pool.connection() as db:
                await store_embeddings(db, document.document_id, embeddings, model=MODEL)
            embedded.add(document.document_id)


def _embed_all(pages: Sequence[str]) -> list[Embedding | None]:
    return [embed(page) for page in pages]
