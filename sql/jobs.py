"""Jobs: the work on one document, and the queue that analysis drains.

queued --lease_pages--> processing --complete_job--> completed --analyse_again--> queued
                                   --fail_job-->     failed --retry_jobs--> queued

A claimed job may also be given back unfinished: `put_off_job` lets it wait, with a reason, until
a later time; `release_job` gives it back at once, to go on when its batch with Claude is answered.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg.rows import class_row
from psycopg.sql import SQL
from psycopg.types.json import Jsonb

from schema.analysis import RULES, Analysis
from schema.failures import Failure, Stage
from schema.lanes import Lane
from sql.connection import Connection, only_row
from sql.corrections import store_analysis

MAX_ANALYSIS_ATTEMPTS = 3

FIRST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(minutes=30)

_READY = SQL("""
    stage = 'analyse' and status in ('queued', 'processing')
        and (claimed_until is null or claimed_until < now())
        and (waits_until is null or waits_until < now())
        and (lane = any(%(lanes)s::aseagi.lane[]) or exists (
            select 1 from aseagi.controls where night_until > now()) or exists (
            select 1 from aseagi.claude_calls mine
            where mine.document_id = job.document_id and mine.round = job.analysis_round))
        and not exists (
            select 1 from aseagi.claude_calls mine
            where mine.document_id = job.document_id and mine.batch is not null
                and mine.state = 'intended')
""")
"""What can be analysed now: of these lanes, at night of all, and whatever was begun already.
What is in a batch waits for it."""


@dataclass(frozen=True, slots=True)
class AnalysisJob:
    """A document whose text is there and whose facts are wanted."""

    id: UUID
    document_id: UUID
    file_name: str
    pages: Sequence[str]
    """The text of each page; empty for one that could not be read."""
    lane: Lane
    round: int
    attempts: int
    """How often it was claimed without anything to show for it, this claim included."""
    waits: int
    """How often in a row it was put off."""
    media_type: str
    original_path: str
    """Where its bytes are in the bucket."""
    file_hash: str
    scanned: Sequence[bool]
    """For each page, whether its text is not the file's own but read from a picture."""
    words_paths: Sequence[str | None]
    """Where in the bucket the words of each page are, with their places."""
    blank: Sequence[bool] = ()
    """For each page, whether nothing is on it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "lane", Lane(self.lane))

    @property
    def is_blank(self) -> bool:
        """Whether nothing is on any of its pages: there is nothing to analyse."""
        return bool(self.blank) and all(self.blank)


async def claim_for_analysis(
    db: Connection, *, holder: UUID, limit: int, ttl: timedelta, lanes: Sequence[Lane]
) -> list[AnalysisJob]:
    """Claim up to `limit` jobs whose pages are read; a claim that runs out is free again.

    Jobs of other lanes at night (`sql.controls.open_night`), or if their analysis was begun
    already. The attempt is counted now, so a document that kills its analyst has used one; after
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
            SQL("""
            with claimed as (
                update aseagi.processing_jobs
                set analysis_attempts = analysis_attempts + 1,
                    claimed_by = %(holder)s, claimed_until = now() + %(ttl)s,
                    waits_until = null, waits_for = null,
                    status = 'processing', started_at = coalesce(started_at, now())
                where id in (
                    select id from aseagi.processing_jobs job where {ready}
                    order by lane, priority desc, ready_at
                    limit %(limit)s for update skip locked
                )
                returning id, document_id, ready_at, lane, analysis_round, analysis_attempts,
                    waits
            )
            select claimed.id, claimed.document_id, document.file_name,
                array(select coalesce(page.text, '') from aseagi.pages page
                    where page.document_id = claimed.document_id order by page.number) as pages,
                claimed.lane, claimed.analysis_round as round,
                claimed.analysis_attempts as attempts, claimed.waits, document.media_type,
                document.s3_processed_path as original_path, document.file_hash,
                array(select page.source not in ('text layer', 'file') is not false
                    from aseagi.pages page
                    where page.document_id = claimed.document_id order by page.number) as scanned,
                array(select page.words_path from aseagi.pages page
                    where page.document_id = claimed.document_id order by page.number)
                    as words_paths,
                array(select page.is_blank from aseagi.pages page
                    where page.document_id = claimed.document_id order by page.number) as blank
            from claimed join aseagi.documents document on document.id = claimed.document_id
            order by claimed.ready_at
            """).format(ready=_READY),
            {"holder": holder, "ttl": ttl, "limit": limit, "lanes": list(lanes)},
        )
        return await cursor.fetchall()


async def complete_job(
    db: Connection,
    job: AnalysisJob,
    analysis: Analysis,
    *,
    holder: UUID,
    failure: Failure | None = None,
) -> bool:
    """Store the analysis and complete the job in one transaction; False if the claim was lost.

    What people corrected stays (`sql.corrections`).

    `failure` says what is missing in the analysis, or why it is not by the analyst asked first.
    """
    cursor = await db.execute(
        """
        update aseagi.processing_jobs job
        set status = 'completed', stage = 'done', completed_at = now(), claimed_by = null,
            claimed_until = null, waits = 0, results = (
                select jsonb_build_object(
                    'pages', count(*),
                    'pages_failed', count(*) filter (where state = 'failed'),
                    'failed_pages', coalesce(
                        jsonb_agg(number order by number) filter (where state = 'failed'), '[]'),
                    'engines', coalesce(jsonb_agg(distinct engine)
                        filter (where engine is not null), '[]'),
                    'analyst', %(analyst)s::text,
                    'analysis_failure', %(failure)s::jsonb)
                from aseagi.pages where document_id = job.document_id)
        where id = %(id)s and claimed_by = %(holder)s and status = 'processing'
        """,
        {
            "id": job.id,
            "holder": holder,
            "analyst": analysis.analyst,
            "failure": Jsonb(failure.model_dump(mode="json")) if failure else None,
        },
    )
    if cursor.rowcount == 0:
        return False
    if failure is None or not failure.retry_helps:
        # Else what was answered is kept for another try at the rest.
        await db.execute(
            "delete from aseagi.claude_answers where document_id = %s", (job.document_id,)
        )
    await store_analysis(db, job.document_id, analysis)
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


async def renew_claim(db: Connection, job_id: UUID, *, holder: UUID, ttl: timedelta) -> bool:
    """Keep a claimed job for longer; False if the claim was lost."""
    cursor = await db.execute(
        """
        update aseagi.processing_jobs set claimed_until = now() + %s
        where id = %s and claimed_by = %s and status = 'processing'
        """,
        (ttl, job_id, holder),
    )
    return cursor.rowcount == 1


async def hold_job(db: Connection, job_id: UUID, *, holder: UUID, ttl: timedelta) -> bool:
    """Keep a claimed job that only waits for others now; False if the claim was lost.

    Its attempt no longer counts: whoever dies from here on does not die of this document.
    """
    cursor = await db.execute(
        """
        update aseagi.processing_jobs set claimed_until = now() + %s,
            analysis_attempts = greatest(analysis_attempts - 1, 0)
        where id = %s and claimed_by = %s and status = 'processing'
        """,
        (ttl, job_id, holder),
    )
    return cursor.rowcount == 1


async def release_job(db: Connection, job_id: UUID, *, holder: UUID) -> None:
    """Give back a job that was held: others go on with it."""
    await db.execute(
        """
        update aseagi.processing_jobs set claimed_by = null, claimed_until = null
        where id = %s and claimed_by = %s
        """,
        (job_id, holder),
    )


async def put_off_job(
    db: Connection,
    job: AnalysisJob,
    reason: str,
    *,
    holder: UUID,
    wait: timedelta | None = None,
    at_least: timedelta = timedelta(0),
) -> None:
    """Let a claimed job wait, with a reason; its attempt is not counted.

    Without `wait` it waits longer each time, from a minute up to half an hour and never less than
    `at_least`, and these are counted (`AnalysisJob.waits`).
    """
    growing = max(min(FIRST_WAIT * 2 ** min(job.waits, 10), LONGEST_WAIT), at_least)
    delay = growing if wait is None else wait
    await db.execute(
        """
        update aseagi.processing_jobs
        set claimed_by = null, claimed_until = null,
            analysis_attempts = greatest(analysis_attempts - 1, 0),
            waits_until = now() + %s, waits_for = %s, waits = waits + %s
        where id = %s and claimed_by = %s
        """,
        (delay, reason[:500], 1 if wait is None else 0, job.id, holder),
    )


async def put_off_all(db: Connection, reason: str, *, wait: timedelta) -> int:
    """Let every unclaimed job that could be analysed wait; return how many.

    Those in a batch wait for that: it may be answered all the same.
    """
    cursor = await db.execute(
        """
        update aseagi.processing_jobs job set waits_until = now() + %s, waits_for = %s
        where stage = 'analyse' and status in ('queued', 'processing')
            and (claimed_until is null or claimed_until < now())
            and (waits_until is null or waits_until < now() + %s)
            and not exists (
                select 1 from aseagi.claude_calls mine
                where mine.document_id = job.document_id and mine.batch is not null
                    and mine.state = 'intended')
        """,
        (wait, reason[:500], wait),
    )
    return cursor.rowcount


async def stop_waiting(db: Connection) -> int:
    """Let every job that was put off go on now; return how many."""
    cursor = await db.execute(
        """
        update aseagi.processing_jobs set waits_until = null, waits_for = null
        where waits_until is not null and status in ('queued', 'processing')
        """
    )
    return cursor.rowcount


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many unfinished jobs wait for one reason, and when the first of them goes on."""

    reason: str
    jobs: int
    until: datetime


async def jobs_waiting(db: Connection, *, limit: int | None = None) -> list[Waiting]:
    """Jobs that were put off, by reason, the most first; all reasons unless limited."""
    async with db.cursor(row_factory=class_row(Waiting)) as cursor:
        await cursor.execute(
            """
            select waits_for as reason, count(*) as jobs, min(waits_until) as until
            from aseagi.processing_jobs
            where status in ('queued', 'processing') and waits_until > now()
            group by waits_for order by 2 desc, 1 limit %s
            """,
            (limit,),
        )
        return await cursor.fetchall()


async def count_put_off(db: Connection, *, at_least: timedelta) -> int:
    """Unfinished jobs that go on no sooner than that."""
    cursor = await db.execute(
        """
        select count(*) from aseagi.processing_jobs
        where status in ('queued', 'processing') and waits_until > now() + %s
        """,
        (at_least,),
    )
    return int((await only_row(cursor))[0])


async def retry_jobs(db: Connection, *, document_id: UUID | None = None) -> int:
    """Start failed jobs again (or one of them, failed or complete with something missing).

    Missing are failed pages, and an analysis that failed where trying again can help. Failed
    pages wait again with their attempts forgotten; pages that were read stay
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
                and (job.status = 'failed' or (job.status = 'completed' and (
                    (job.results #>> '{analysis_failure,retry_helps}')::boolean
                    or exists (
                        select 1 from aseagi.pages page
                        where page.document_id = job.document_id and page.state = 'failed'))))
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
            analysis_round = analysis_round + 1, waits = 0, waits_until = null, waits_for = null,
            stage = case when document_id in (select document_id from pages)
                then 'read' else 'analyse' end,
            ready_at = case when document_id in (select document_id from pages)
                then null else now() end
        where id in (select id from chosen)
        """,
        {"one": document_id},
    )
    return cursor.rowcount


async def analyse_again(
    db: Connection,
    *,
    document_ids: Sequence[UUID] | None = None,
    matter: str | None = None,
    by_rules_only: bool = False,
) -> int:
    """Queue completed documents for another analysis; all of them unless narrowed.

    Each keeps its analysis, and is found and exported by it, until the new one is stored. What
    waits, is being analysed or has failed is left alone, and so are archives, which have no
    pages. In its new round nothing counts that was asked before. Returns how many were queued.
    """
    cursor = await db.execute(
        """
        with chosen as (
            select job.id, job.document_id from aseagi.processing_jobs job
            join aseagi.documents document on document.id = job.document_id
            where job.status = 'completed' and document.page_count > 0
                and (%(ids)s::uuid[] is null or document.id = any(%(ids)s))
                and (%(matter)s::text is null or document.matter = %(matter)s)
                and (%(by)s::text is null or document.analysis ->> 'analyst' like %(by)s || '%%')
            for update of job
        ), forgotten as (
            delete from aseagi.claude_answers
            where document_id in (select document_id from chosen)
        )
        update aseagi.processing_jobs job
        set status = 'queued', stage = 'analyse', ready_at = now(), completed_at = null,
            claimed_by = null, claimed_until = null, analysis_attempts = 0,
            analysis_round = analysis_round + 1, waits = 0, waits_until = null, waits_for = null
        where id in (select id from chosen)
        """,
        {
            "ids": list(document_ids) if document_ids is not None else None,
            "matter": matter,
            "by": RULES if by_rules_only else None,
        },
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


async def count_incomplete_since(db: Connection, since: datetime) -> int:
    """Jobs completed after `since` whose analysis lacks something that Claude was asked for."""
    cursor = await db.execute(
        """
        select count(*) from aseagi.processing_jobs
        where status = 'completed' and completed_at >= %s
            and jsonb_typeof(results -> 'analysis_failure') = 'object'
        """,
        (since,),
    )
    return int((await only_row(cursor))[0])


async def count_ready_for_analysis(db: Connection, *, lanes: Sequence[Lane]) -> int:
    """Jobs that `claim_for_analysis` would find."""
    cursor = await db.execute(
        SQL("select count(*) from aseagi.processing_jobs job where {ready}").format(ready=_READY),
        {"lanes": list(lanes)},
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
