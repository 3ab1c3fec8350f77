"""Jobs: the work on one document, and the queue that analysis drains.

queued --lease_pages--> processing --complete_job--> completed
                                   --fail_job-->     failed --retry_jobs--> queued
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from schema.analysis import Analysis
from schema.failures import Failure, Stage
from schema.lanes import Lane
from sql.connection import Connection, only_row

MAX_ANALYSIS_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class AnalysisJob:
    """A document whose text is there and whose facts are wanted."""

    id: UUID
    document_id: UUID
    file_name: str
    pages: Sequence[str]


async def claim_for_analysis(
    db: Connection, *, holder: UUID, limit: int, ttl: timedelta, lanes: Sequence[Lane]
) -> list[AnalysisJob]:
    """Claim up to `limit` jobs whose pages are read; a claim that runs out is free again.

    The attempt is counted now, so a document that kills its analyst has used one; after
    `MAX_ANALYSIS_ATTEMPTS` it fails, with the reason, and the others go on.
    """
    gave_up = Failure(
        stage=Stage.ANALYSE,
        reason=f"Its analysis was begun {MAX_ANALYSIS_ATTEMPTS} times and never finished.",
        retry_helps=True,
    )
    await db.execute(
        """
        update aseagi.processing_jobs set status = 'failed', completed_at = now(), error = %s,
            claimed_by = null, claimed_until = null
        where stage = 'analyse' and status in ('queued', 'processing')
            and analysis_attempts >= %s and claimed_until < now()
        """,
        (Jsonb(gave_up.model_dump(mode="json")), MAX_ANALYSIS_ATTEMPTS),
    )
    async with db.cursor(row_factory=class_row(AnalysisJob)) as cursor:
        await cursor.execute(
            """
            with claimed as (
                update aseagi.processing_jobs
                set analysis_attempts = analysis_attempts + 1,
                    claimed_by = %(holder)s, claimed_until = now() + %(ttl)s,
                    status = 'processing', started_at = coalesce(started_at, now())
                where id in (
                    select id from aseagi.processing_jobs
                    where stage = 'analyse' and status in ('queued', 'processing')
                        and (claimed_until is null or claimed_until < now())
                        and lane = any(%(lanes)s::aseagi.lane[])
                    order by lane, priority desc, ready_at
                    limit %(limit)s for update skip locked
                )
                returning id, document_id, ready_at
            )
            select claimed.id, claimed.document_id, document.file_name,
                array(select coalesce(page.text, '') from aseagi.pages page
                    where page.document_id = claimed.document_id order by page.number) as pages
            from claimed join aseagi.documents document on document.id = claimed.document_id
            order by claimed.ready_at
            """,
            {"holder": holder, "ttl": ttl, "limit": limit, "lanes": list(lanes)},
        )
        return await cursor.fetchall()


async def complete_job(
    db: Connection, job: AnalysisJob, analysis: Analysis, *, holder: UUID
) -> bool:
    """Store the analysis and complete the job in one transaction; False if the claim was lost."""
    cursor = await db.execute(
        """
        update aseagi.processing_jobs job
        set status = 'completed', stage = 'done', completed_at = now(), claimed_by = null,
            claimed_until = null, results = (
                select jsonb_build_object(
                    'pages', count(*),
                    'pages_failed', count(*) filter (where state = 'failed'),
                    'failed_pages', coalesce(
                        jsonb_agg(number order by number) filter (where state = 'failed'), '[]'),
                    'engines', coalesce(jsonb_agg(distinct engine)
                        filter (where engine is not null), '[]'),
                    'analyst', %(analyst)s::text)
                from aseagi.pages where document_id = job.document_id)
        where id = %(id)s and claimed_by = %(holder)s and status = 'processing'
        """,
        {"id": job.id, "holder": holder, "analyst": analysis.analyst},
    )
    if cursor.rowcount == 0:
        return False
    await db.execute(
        """
        update aseagi.documents
        set analysis = %s, title = %s, document_type = %s, document_date = %s where id = %s
        """,
        (
            Jsonb(analysis.model_dump(mode="json")),
            analysis.title,
            analysis.type.value,
            analysis.document_date,
            job.document_id,
        ),
    )
    return True


async def fail_job(db: Connection, job_id: UUID, failure: Failure, *, holder: UUID) -> None:
    """The document could not be analysed; its text stays searchable."""
    await db.execute(
        """
        update aseagi.processing_jobs set status = 'failed', completed_at = now(), error = %s,
            claimed_by = null, claimed_until = null
        where id = %s and claimed_by = %s
        """,
        (Jsonb(failure.model_dump(mode="json")), job_id, holder),
    )


async def retry_jobs(db: Connection, *, document_id: UUID | None = None) -> int:
    """Start failed jobs again (or one of them, failed or complete with failed pages).

    Failed pages wait again with their attempts forgotten; pages that were read stay
    read. Documents that could not be taken in (no pages) are left alone: only another
    file can help there. Returns how many jobs were queued.
    """
    cursor = await db.execute(
        """
        with chosen as (
            select job.id, job.document_id from aseagi.processing_jobs job
            join aseagi.documents document on document.id = job.document_id
            where document.page_count > 0
                and (%(one)s::uuid is null or job.document_id = %(one)s)
                and (job.status = 'failed' or (job.status = 'completed' and exists (
                    select 1 from aseagi.pages page
                    where page.document_id = job.document_id and page.state = 'failed')))
            for update of job
        ), pages as (
            update aseagi.pages set state = 'waiting', attempts = 0, error = null,
                settled_at = null, queued_at = now()
            where state = 'failed' and document_id in (select document_id from chosen)
            returning document_id
        ), forgotten as (
            delete from aseagi.unfinished_reads
            where document_id in (select document_id from chosen)
        )
        update aseagi.processing_jobs job
        set status = 'queued', error = null, completed_at = null, claimed_by = null,
            claimed_until = null, analysis_attempts = 0,
            stage = case when document_id in (select document_id from pages)
                then 'read' else 'analyse' end,
            ready_at = case when document_id in (select document_id from pages)
                then null else now() end
        where id in (select id from chosen)
        """,
        {"one": document_id},
    )
    return cursor.rowcount


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """How much of everything there is."""

    arrivals_waiting: int
    jobs_queued: int
    jobs_processing: int
    jobs_completed: int
    jobs_failed: int
    arrivals_failed: int
    pages_waiting: int
    pages_leased: int
    pages_done: int
    pages_failed: int
    sessions_open: int

    @property
    def unfinished(self) -> int:
        """Documents and arrivals that are not at their end."""
        return self.arrivals_waiting + self.jobs_queued + self.jobs_processing


async def count_queue(db: Connection) -> QueueCounts:
    """Count jobs, pages, arrivals and sessions by state."""
    async with db.cursor(row_factory=class_row(QueueCounts)) as cursor:
        await cursor.execute(
            """
            select
                (select count(*) from aseagi.arrivals where state = 'noticed') as arrivals_waiting,
                (select count(*) from aseagi.arrivals where state = 'failed') as arrivals_failed,
                count(*) filter (where status = 'queued') as jobs_queued,
                count(*) filter (where status = 'processing') as jobs_processing,
                count(*) filter (where status = 'completed') as jobs_completed,
                count(*) filter (where status = 'failed') as jobs_failed,
                (select count(*) from aseagi.pages where state = 'waiting') as pages_waiting,
                (select count(*) from aseagi.pages where state = 'leased') as pages_leased,
                (select count(*) from aseagi.pages where state = 'done') as pages_done,
                (select count(*) from aseagi.pages where state = 'failed') as pages_failed,
                (select count(*) from aseagi.ocr_sessions where state <> 'closed')
                    as sessions_open
            from aseagi.processing_jobs
            """
        )
        return await only_row(cursor)


@dataclass(frozen=True, slots=True)
class FailedJob:
    """A job that failed, with its reason, for reports."""

    document_id: UUID
    file_name: str
    completed_at: datetime
    error: dict[str, Any]


async def failed_since(db: Connection, since: datetime, *, limit: int = 50) -> list[FailedJob]:
    """Jobs that failed after `since`, newest first."""
    async with db.cursor(row_factory=class_row(FailedJob)) as cursor:
        await cursor.execute(
            """
            select job.document_id, document.file_name, job.completed_at, job.error
            from aseagi.processing_jobs job
            join aseagi.documents document on document.id = job.document_id
            where job.status = 'failed' and job.completed_at >= %s
            order by job.completed_at desc limit %s
            """,
            (since, limit),
        )
        return await cursor.fetchall()


async def count_ready_for_analysis(db: Connection) -> int:
    """Jobs whose pages are read and that nobody has claimed."""
    cursor = await db.execute(
        """
        select count(*) from aseagi.processing_jobs
        where stage = 'analyse' and status in ('queued', 'processing')
            and (claimed_until is null or claimed_until < now())
        """
    )
    return int((await only_row(cursor))[0])


async def count_unfinished(db: Connection, *, lanes: Sequence[Lane]) -> int:
    """Jobs of those lanes that are not at their end."""
    cursor = await db.execute(
        """
        select count(*) from aseagi.processing_jobs
        where status in ('queued', 'processing') and lane = any(%s::aseagi.lane[])
        """,
        (list(lanes),),
    )
    return int((await only_row(cursor))[0])
