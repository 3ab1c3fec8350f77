"""What the dashboard reads, every query bounded: a page of rows, or a count off an index.

Works as the role `aseagi_dashboard`, which can only read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from psycopg.rows import class_row

from schema.failures import Failure
from schema.unread import unread
from sql.charges import DayCost
from sql.connection import Connection, only_row

Status = Literal["queued", "processing", "completed", "failed"]

STATUSES: tuple[Status, ...] = ("queued", "processing", "completed", "failed")
"""The states of a job, in the order a document goes through them."""

MATTERS_SHOWN = 500


async def first_charged_day(db: Connection) -> date | None:
    """The oldest day with a charge."""
    cursor = await db.execute("select min(incurred_on) from aseagi.charges")
    return (await only_row(cursor))[0]


async def costs_between(db: Connection, first: date, last: date) -> list[DayCost]:
    """Dollars by day and kind from `first` to `last`, both counted."""
    async with db.cursor(row_factory=class_row(DayCost)) as cursor:
        await cursor.execute(
            """
            select incurred_on as day, kind, sum(dollars) as dollars from aseagi.charges
            where incurred_on between %s and %s
            group by incurred_on, kind order by incurred_on, kind
            """,
            (first, last),
        )
        return await cursor.fetchall()


async def rehearsal_dollars_between(db: Connection, first: date, last: date) -> Decimal:
    """Dollars from `first` to `last` that rehearsals of marketplace and Claude are said to cost."""
    cursor = await db.execute(
        """
        with chosen as (
            select dollars, host_id,
                case when key like 'claude:%%' then substr(key, 8)::uuid end as call_id
            from aseagi.charges where incurred_on between %s and %s
        )
        select (select coalesce(sum(chosen.dollars), 0) from chosen
                join aseagi.gpu_hosts host on host.id = chosen.host_id where host.rehearsal)
            + (select coalesce(sum(chosen.dollars), 0) from chosen
                join aseagi.claude_calls call on call.id = chosen.call_id where call.rehearsal)
        """,
        (first, last),
    )
    return (await only_row(cursor))[0]


async def reserved_dollars(db: Connection) -> Decimal:
    """What is set aside: for hosts that have not ended, and for Claude.

    Of Claude's, open questions, and this month's whose answers never came.
    """
    cursor = await db.execute(
        """
        select (select coalesce(sum(reserved_dollars), 0) from aseagi.gpu_hosts
                where state <> 'ended')
            + (select coalesce(sum(reserved_dollars), 0) from aseagi.claude_calls
                where state = 'intended' or (state = 'uncertain' and settled_at
                    >= date_trunc('month', now() at time zone 'utc') at time zone 'utc'))
        """
    )
    return (await only_row(cursor))[0]


@dataclass(frozen=True, slots=True)
class Output:
    """What came out: completed documents and the pages they have."""

    documents: int
    pages: int


async def completed_between(db: Connection, since: datetime, before: datetime) -> Output:
    """The documents completed in that time."""
    async with db.cursor(row_factory=class_row(Output)) as cursor:
        await cursor.execute(
            """
            select count(*) as documents, coalesce(sum(document.page_count), 0) as pages
            from aseagi.processing_jobs job
            join aseagi.documents document on document.id = job.document_id
            where job.status = 'completed' and job.completed_at >= %s and job.completed_at < %s
            """,
            (since, before),
        )
        return await only_row(cursor)


@dataclass(frozen=True, slots=True)
class Counts:
    """How much of everything there is, by state."""

    jobs_queued: int
    jobs_processing: int
    jobs_completed: int
    jobs_failed: int
    arrivals_waiting: int
    arrivals_failed: int
    pages: int
    pages_waiting: int
    pages_leased: int
    pages_failed: int

    @property
    def pages_done(self) -> int:
        """Pages that were read."""
        return self.pages - self.pages_waiting - self.pages_leased - self.pages_failed

    @property
    def is_empty(self) -> bool:
        """True while nothing was ever added."""
        return not (self.jobs or self.arrivals_waiting or self.arrivals_failed)

    @property
    def jobs(self) -> int:
        """All documents: each has one job."""
        return self.jobs_queued + self.jobs_processing + self.jobs_completed + self.jobs_failed


async def count_everything(db: Connection) -> Counts:
    """Count jobs, arrivals and pages.

    Pages done are what is left of all pages: those are counted off the primary key,
    while looking at each one's state would read every page's text.
    """
    async with db.cursor(row_factory=class_row(Counts)) as cursor:
        await cursor.execute(
            """
            select
                count(*) filter (where status = 'queued') as jobs_queued,
                count(*) filter (where status = 'processing') as jobs_processing,
                count(*) filter (where status = 'completed') as jobs_completed,
                count(*) filter (where status = 'failed') as jobs_failed,
                (select count(*) from aseagi.arrivals where state = 'noticed') as arrivals_waiting,
                (select count(*) from aseagi.arrivals where state = 'failed') as arrivals_failed,
                (select count(*) from aseagi.pages) as pages,
                (select count(*) from aseagi.pages where state = 'waiting') as pages_waiting,
                (select count(*) from aseagi.pages where lease_id is not null) as pages_leased,
                (select count(*) from aseagi.pages where state = 'failed') as pages_failed
            from aseagi.processing_jobs
            """
        )
        return await only_row(cursor)


async def list_matters(db: Connection) -> list[str]:
    """The matters there are, in order; each found by one step in the index."""
    cursor = await db.execute(
        """
        with recursive known as (
            (select matter from aseagi.documents where matter is not null order by matter limit 1)
            union all
            select (select document.matter from aseagi.documents document
                where document.matter > known.matter order by document.matter limit 1)
            from known where known.matter is not null
        )
        select matter from known where matter is not null limit %s
        """,
        (MATTERS_SHOWN,),
    )
    return [row[0] for row in await cursor.fetchall()]


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the list of documents, newest first: the last one already shown."""

    created_at: datetime
    id: UUID


@dataclass(frozen=True, slots=True)
class DocumentLine:
    """A document as the dashboard lists it."""

    id: UUID
    file_name: str
    matter: str | None
    document_type: str | None
    title: str | None
    document_date: date | None
    page_count: int
    pages_done: int
    pages_failed: int
    status: str
    error: dict[str, Any] | None
    analysis_failure: dict[str, Any] | None
    seconds: float | None
    cost_dollars: Decimal
    created_at: datetime
    part_of: str | None
    """The container it came in: a ZIP's or an e-mail's name."""
    failed_pages: Sequence[int]
    """Those that could not be read."""
    page_error: dict[str, Any] | None
    """Why the first of them could not be."""

    @property
    def unread(self) -> str | None:
        """Which pages could not be read, and why; None if all were, or none was."""
        first = Failure.model_validate(self.page_error) if self.page_error else None
        return unread(self.failed_pages, self.page_count, first) if self.pages_done else None

    @property
    def place(self) -> Place:
        """Where this document stands in the list."""
        return Place(self.created_at, self.id)


# Two ways to the newest rows, each along an index. A job is created with its document, in
# one transaction, so both have the same time.
_NEWEST_BY_STATUS = """
    select newest.document_id as id, newest.created_at
    from unnest(%(statuses)s::text[]) as wanted (status)
    cross join lateral (
        select document_id, created_at from aseagi.processing_jobs
        where status = wanted.status and created_at <= %(before)s
            and (created_at, document_id) < (%(before)s, %(before_id)s)
        order by created_at desc, document_id desc limit %(limit)s
    ) as newest
    order by created_at desc, id desc limit %(limit)s
"""
_NEWEST_OF_MATTER = """
    select document.id, document.created_at from aseagi.documents document
    join aseagi.processing_jobs job on job.document_id = document.id
    where document.matter = %(matter)s and job.status = any(%(statuses)s::text[])
        and document.created_at <= %(before)s
        and (document.created_at, document.id) < (%(before)s, %(before_id)s)
    order by document.created_at desc, document.id desc limit %(limit)s
"""

# A session's bill is shared out by pages: a document pays for those of it the session read.
_LINES = """
    with chosen as materialized (__CHOSEN__),
    reads as materialized (
        select page.document_id, page.session_id, count(*) as pages,
            count(*) filter (where page.state = 'done') as done,
            count(*) filter (where page.state = 'failed') as failed
        from aseagi.pages page where page.document_id in (select id from chosen)
        group by page.document_id, page.session_id
    ), bills as (
        select charge.session_id, sum(charge.dollars) as dollars from aseagi.charges charge
        where charge.session_id in (select session_id from reads) and charge.document_id is null
        group by charge.session_id
    ), shares as (
        select reads.document_id, sum(reads.done)::integer as done,
            sum(reads.failed)::integer as failed,
            sum(bills.dollars * reads.pages / greatest(session.pages_read, reads.pages)) as dollars
        from reads
        left join bills on bills.session_id = reads.session_id
        left join aseagi.ocr_sessions session on session.id = reads.session_id
        group by reads.document_id
    ), own as (
        select document_id, sum(dollars) as dollars from aseagi.charges
        where document_id in (select id from chosen) group by document_id
    )
    select document.id, document.file_name, document.matter, document.document_type,
        document.title, document.document_date, document.page_count,
        coalesce(shares.done, 0) as pages_done, coalesce(shares.failed, 0) as pages_failed,
        job.status, job.error, job.results -> 'analysis_failure' as analysis_failure,
        extract(epoch from job.completed_at - case job.analysis_round
            when 0 then job.created_at else coalesce(job.ready_at, job.created_at) end)::float
            as seconds,
        coalesce(shares.dollars, 0) + coalesce(own.dollars, 0) as cost_dollars,
        document.created_at, coalesce(broken.numbers, '{}') as failed_pages,
        broken.error as page_error,
        (select parent.file_name from aseagi.members member
            join aseagi.documents parent on parent.id = member.parent_id
            where member.file_hash = document.file_hash
            order by parent.created_at, parent.id limit 1) as part_of
    from chosen
    join aseagi.documents document on document.id = chosen.id
    join aseagi.processing_jobs job on job.document_id = chosen.id
    left join shares on shares.document_id = chosen.id
    left join own on own.document_id = chosen.id
    left join lateral (
        select array_agg(number order by number) as numbers,
            (array_agg(error order by number))[1] as error
        from aseagi.pages where document_id = chosen.id and state = 'failed'
    ) as broken on true
    order by document.created_at desc, document.id desc
"""
_LINES_BY_STATUS = _LINES.replace("__CHOSEN__", _NEWEST_BY_STATUS)
_LINES_OF_MATTER = _LINES.replace("__CHOSEN__", _NEWEST_OF_MATTER)


async def newest_documents(
    db: Connection,
    *,
    matter: str | None = None,
    statuses: Sequence[Status] = STATUSES,
    after: Place | None = None,
    limit: int,
) -> list[DocumentLine]:
    """Documents with state and cost, newest first, those that follow `after`."""
    async with db.cursor(row_factory=class_row(DocumentLine)) as cursor:
        await cursor.execute(
            _LINES_BY_STATUS if matter is None else _LINES_OF_MATTER,
            {
                "matter": matter,
                "statuses": list(statuses),
                "before": after.created_at if after else datetime.max.replace(tzinfo=UTC),
                "before_id": after.id if after else UUID(int=0),
                "limit": limit,
            },
        )
        return await cursor.fetchall()


@dataclass(frozen=True, slots=True)
class FailedArrival:
    """A file that could not be taken in, with its reason."""

    key: str
    size_bytes: int
    source: str
    noticed_at: datetime
    error: dict[str, Any]


async def failed_arrivals(db: Connection, *, limit: int) -> list[FailedArrival]:
    """Arrivals that failed, newest first."""
    async with db.cursor(row_factory=class_row(FailedArrival)) as cursor:
        await cursor.execute(
            """
            select key, size_bytes, source, noticed_at, error from aseagi.arrivals
            where state = 'failed' order by settled_at desc limit %s
            """,
            (limit,),
        )
        return await cursor.fetchall()


@dataclass(frozen=True, slots=True)
class SessionLine:
    """A session as the dashboard lists it."""

    id: UUID
    state: str
    lane: str
    origin: str
    engine: str | None
    pages_read: int
    created_at: datetime
    started_at: datetime | None
    last_seen_at: datetime | None
    closed_at: datetime | None
    close_reason: str | None
    cost_dollars: Decimal


async def newest_sessions(db: Connection, *, limit: int) -> list[SessionLine]:
    """Open sessions first, then closed ones, newest first."""
    async with db.cursor(row_factory=class_row(SessionLine)) as cursor:
        await cursor.execute(
            """
            with newest as materialized (
                select * from aseagi.ocr_sessions
                order by state = 'closed', created_at desc, id limit %s
            ), bills as (
                select session_id, sum(dollars) as dollars from aseagi.charges
                where session_id in (select id from newest) group by session_id
            )
            select newest.id, state, lane, origin, engine, pages_read, created_at, started_at,
                last_seen_at, closed_at, close_reason,
                coalesce(bills.dollars, 0) as cost_dollars
            from newest left join bills on bills.session_id = newest.id
            order by state = 'closed', created_at desc, newest.id
            """,
            (limit,),
        )
        return await cursor.fetchall()


@dataclass(frozen=True, slots=True)
class HostLine:
    """A host as the dashboard lists it."""

    label: str
    state: str
    provider: str
    machine: str | None
    gpu_name: str | None
    dollars_per_hour: Decimal
    reserved_dollars: Decimal
    created_at: datetime
    running_at: datetime | None
    ended_at: datetime | None
    end_reason: str | None
    error: dict[str, Any] | None


async def newest_hosts(db: Connection, *, limit: int) -> list[HostLine]:
    """Hosts that have not ended first, then the others, newest first."""
    async with db.cursor(row_factory=class_row(HostLine)) as cursor:
        await cursor.execute(
            """
            select label, state, provider, machine, gpu_name, dollars_per_hour,
                reserved_dollars, created_at, running_at, ended_at, end_reason, error
            from aseagi.gpu_hosts
            order by state = 'ended', created_at desc, label limit %s
            """,
            (limit,),
        )
        return await cursor.fetchall()
