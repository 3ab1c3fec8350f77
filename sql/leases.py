"""Pages lent to hosts.

A page is `waiting`, `leased`, `done` or `failed`. Only this module moves it:

    waiting  --lease_pages-->      leased     attempt counted now: a host that dies has used one
    leased   --complete_pages-->   done       only by the lease that holds it (the fencing token)
    leased   --fail_pages-->       failed     the engine said this page cannot be read
    leased   --release_leases-->   waiting    time over, or its session ended
    leased   --release_leases-->   failed     … for the third time: three hosts are enough
    waiting  --release_leases-->   failed     its document ended three hosts, no page of it read

When a document's last page is settled its job moves to analysis in the same
transaction. A process that dies after any line leaves either the state before it
or the state after it; an unfinished lease runs out.

Rows are locked in one order by all: session, leases, pages, jobs, documents.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from schema.failures import Failure, Stage
from schema.ocr import PageText
from sql.connection import Connection, only_row
from sql.documents import gather_text

MAX_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class LeasedPage:
    """A page in a lease, with what is needed to sign a link to its document."""

    document_id: UUID
    number: int
    attempts: int
    s3_processed_path: str
    media_type: str
    size_bytes: int
    urgent: bool
    """Of lane `now`: somebody waits for it."""


@dataclass(frozen=True, slots=True)
class LeaseRow:
    """A lease and its pages."""

    id: UUID
    expires_at: datetime
    pages: Sequence[LeasedPage]


async def lease_pages(
    db: Connection, *, session_id: UUID, attempt_id: UUID, limit: int, ttl: timedelta
) -> LeaseRow | None:
    """Lease up to `limit` pages of the most urgent lane; None when nothing waits.

    None too when the session is closed: its row is locked, so a close that happens at
    this moment comes before or after, never in between.

    Rows locked by others are skipped, never waited for. Pages that have ended a host
    come after all fresh ones of their lane. A page on its last attempt is lent alone,
    to a session that holds nothing else and gets nothing more until it is settled: a
    page that kills hosts takes no neighbour with it.
    """
    last_chance = MAX_ATTEMPTS - 1
    cursor = await db.execute(
        "select 1 from aseagi.ocr_sessions where id = %s and state = 'running' for update",
        (session_id,),
    )
    if await cursor.fetchone() is None:
        return None
    holds_any, holds_last_chance = await _holds(db, session_id, last_chance)
    if holds_last_chance:
        return None
    async with db.cursor(row_factory=class_row(LeasedPage)) as cursor:
        await cursor.execute(
            """
            select page.document_id, page.number, page.attempts,
                document.s3_processed_path, document.media_type, document.size_bytes,
                page.lane = 'now' as urgent
            from aseagi.pages page join aseagi.documents document on document.id = page.document_id
            where page.state = 'waiting'
            order by page.lane, page.attempts > 0, page.queued_at, page.document_id, page.number
            limit %s
            for update of page skip locked
            """,
            (limit,),
        )
        found = await cursor.fetchall()
    if not found:
        return None
    if found[0].attempts >= last_chance:
        if holds_any:
            return None
        taken = found[:1]
    else:
        taken = [page for page in found if page.attempts < last_chance]
    cursor = await db.execute(
        """
        insert into aseagi.leases (session_id, attempt_id, pages, expires_at)
        values (%s, %s, %s, now() + %s) returning id, expires_at
        """,
        (session_id, attempt_id, len(taken), ttl),
    )
    row = await only_row(cursor)
    await db.execute(
        """
        update aseagi.pages page
        set state = 'leased', lease_id = %s, attempts = attempts + 1, session_id = %s
        from unnest(%s::uuid[], %s::integer[]) as taken (document_id, number)
        where page.document_id = taken.document_id and page.number = taken.number
        """,
        (row[0], session_id, [page.document_id for page in taken], [page.number for page in taken]),
    )
    await db.execute(
        """
        update aseagi.processing_jobs
        set status = 'processing', started_at = coalesce(started_at, now()), attempts = attempts + 1
        where id in (
            select id from aseagi.processing_jobs
            where document_id = any(%s) and status = 'queued' order by id for update
        )
        """,
        (list({page.document_id for page in taken}),),
    )
    await db.execute(
        """
        update aseagi.ocr_sessions set leased = true, leased_fresh = leased_fresh or %s
        where id = %s
        """,
        (any(page.attempts == 0 for page in taken), session_id),
    )
    return LeaseRow(id=row[0], expires_at=row[1], pages=taken)


async def _holds(db: Connection, session_id: UUID, last_chance: int) -> tuple[bool, bool]:
    """Whether the session holds a lease, and whether it holds a page on its last attempt."""
    cursor = await db.execute(
        """
        select exists (select 1 from aseagi.leases where session_id = %(session)s
                and state = 'open'),
            exists (select 1 from aseagi.pages page join aseagi.leases lease
                on lease.id = page.lease_id
                where lease.session_id = %(session)s and page.attempts > %(last_chance)s)
        """,
        {"session": session_id, "last_chance": last_chance},
    )
    held = await only_row(cursor)
    return held[0], held[1]


async def count_waiting_pages(db: Connection) -> int:
    """How many pages nobody holds."""
    cursor = await db.execute("select count(*) from aseagi.pages where state = 'waiting'")
    return int((await only_row(cursor))[0])


async def extend_leases(
    db: Connection, *, attempt_id: UUID, lease_ids: Sequence[UUID], ttl: timedelta
) -> list[LeaseRow]:
    """Give the leases of this attempt that are still open more time; leave out the lost ones.

    None outlives the session's deadline: a host that hangs and still beats ends there.
    """
    cursor = await db.execute(
        """
        update aseagi.leases lease set expires_at = least(now() + %s, session.deadline_at)
        from aseagi.ocr_sessions session
        where lease.id = any(%s) and lease.attempt_id = %s and lease.state = 'open'
            and session.id = lease.session_id
        returning lease.id, lease.expires_at
        """,
        (ttl, list(lease_ids), attempt_id),
    )
    extended = await cursor.fetchall()
    leases: list[LeaseRow] = []
    for lease_id, expires_at in extended:
        async with db.cursor(row_factory=class_row(LeasedPage)) as pages:
            await pages.execute(
                """
                select page.document_id, page.number, page.attempts,
                    document.s3_processed_path, document.media_type, document.size_bytes,
                    page.lane = 'now' as urgent
                from aseagi.pages page
                join aseagi.documents document on document.id = page.document_id
                where page.lease_id = %s order by page.document_id, page.number
                """,
                (lease_id,),
            )
            leases.append(LeaseRow(lease_id, expires_at, await pages.fetchall()))
    return leases


@dataclass(frozen=True, slots=True)
class HeldPage:
    """A page that a lease still holds, with the place of its result."""

    document_id: UUID
    number: int
    s3_processed_path: str


async def held_pages(db: Connection, *, lease_id: UUID, attempt_id: UUID) -> list[HeldPage]:
    """The pages an open lease of this attempt still holds; none for a lease lost or foreign."""
    async with db.cursor(row_factory=class_row(HeldPage)) as cursor:
        await cursor.execute(
            """
            select page.document_id, page.number, document.s3_processed_path
            from aseagi.pages page
            join aseagi.leases lease on lease.id = page.lease_id
            join aseagi.documents document on document.id = page.document_id
            where lease.id = %s and lease.attempt_id = %s and lease.state = 'open'
            """,
            (lease_id, attempt_id),
        )
        return await cursor.fetchall()


async def already_settled(
    db: Connection, *, session_id: UUID, pages: Sequence[tuple[UUID, int]]
) -> int:
    """How many of `pages` this session settled before: a repeated report is no news."""
    cursor = await db.execute(
        """
        select count(*) from aseagi.pages page
        join unnest(%s::uuid[], %s::integer[]) as told (document_id, number)
            on page.document_id = told.document_id and page.number = told.number
        where page.session_id = %s and page.state in ('done', 'failed')
        """,
        ([page[0] for page in pages], [page[1] for page in pages], session_id),
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


@dataclass(frozen=True, slots=True)
class PageOutcome:
    """What a host reports of a page; `words_path` is where its word boxes were stored."""

    document_id: UUID
    number: int
    result: PageText | Failure
    words_path: str | None = None


async def settle_pages(
    db: Connection, *, lease_id: UUID, attempt_id: UUID, outcomes: Sequence[PageOutcome]
) -> tuple[int, list[UUID]]:
    """Store results of pages the lease holds; return (pages stored, documents now fully read).

    The session is locked first, so that it does not end half way through. The lease row is
    locked next, so a lease that runs out at this moment either still counts or is refused
    whole. Documents are locked in order before they are judged complete: two leases that
    finish one document together cannot both miss it.
    """
    await db.execute(
        """
        select 1 from aseagi.ocr_sessions
        where id = (select session_id from aseagi.session_attempts where id = %s)
        for no key update
        """,
        (attempt_id,),
    )
    cursor = await db.execute(
        """
        select 1 from aseagi.leases
        where id = %s and attempt_id = %s and state = 'open' for update
        """,
        (lease_id, attempt_id),
    )
    if await cursor.fetchone() is None:
        return 0, []
    stored = read = 0
    for outcome in outcomes:
        settled = await _settle_page(db, lease_id, outcome)
        stored += settled
        read += settled if isinstance(outcome.result, PageText) else 0
    await db.execute(
        """
        update aseagi.leases set state = 'done', closed_at = now()
        where id = %s and not exists (select 1 from aseagi.pages where lease_id = %s)
        """,
        (lease_id, lease_id),
    )
    await db.execute(
        """
        update aseagi.ocr_sessions set pages_read = pages_read + %s
        where id = (select session_id from aseagi.leases where id = %s)
        """,
        (read, lease_id),
    )
    documents = sorted({outcome.document_id for outcome in outcomes})
    return stored, await finish_documents(db, documents)


async def _settle_page(db: Connection, lease_id: UUID, outcome: PageOutcome) -> int:
    result = outcome.result
    key = (outcome.document_id, outcome.number, lease_id)
    if isinstance(result, Failure):
        cursor = await db.execute(
            """
            update aseagi.pages
            set state = 'failed', lease_id = null, settled_at = now(), error = %s
            where document_id = %s and number = %s and lease_id = %s
            """,
            (Jsonb(result.model_dump(mode="json")), *key),
        )
        return cursor.rowcount
    cursor = await db.execute(
        """
        update aseagi.pages set state = 'done', lease_id = null, settled_at = now(), error = null,
            source = 'ocr', text = %s, engine = %s, words_path = %s, width_pixels = %s,
            height_pixels = %s, rotation_degrees = %s, confidence = %s, seconds = %s, is_blank = %s
        where document_id = %s and number = %s and lease_id = %s
        """,
        (
            result.text,
            result.engine,
            outcome.words_path,
            result.width_pixels,
            result.height_pixels,
            result.rotation_degrees,
            result.confidence if result.words else None,
            result.seconds,
            result.is_blank,
            *key,
        ),
    )
    return cursor.rowcount


async def finish_documents(db: Connection, document_ids: Sequence[UUID]) -> list[UUID]:
    """Move the jobs of settled documents on: to analysis, or to failed if no page was read."""
    if not document_ids:
        return []
    await db.execute(
        "select 1 from aseagi.processing_jobs where document_id = any(%s) order by id for update",
        (list(document_ids),),
    )
    cursor = await db.execute(
        """
        select page.document_id, count(*) filter (where page.state = 'done')
        from aseagi.pages page join aseagi.processing_jobs job using (document_id)
        where page.document_id = any(%s) and job.stage = 'read'
            and job.status in ('queued', 'processing')
        group by page.document_id
        having count(*) filter (where page.state in ('waiting', 'leased')) = 0
        """,
        (list(document_ids),),
    )
    settled = await cursor.fetchall()
    readable: list[UUID] = [row[0] for row in settled if row[1] > 0]
    unreadable: list[UUID] = [row[0] for row in settled if row[1] == 0]
    if readable:
        await gather_text(db, readable)
        await db.execute(
            """
            update aseagi.processing_jobs set stage = 'analyse', ready_at = now()
            where document_id = any(%s)
            """,
            (readable,),
        )
    if unreadable:
        await db.execute(
            """
            update aseagi.processing_jobs job set status = 'failed', completed_at = now(), error = (
                select page.error from aseagi.pages page
                where page.document_id = job.document_id and page.error is not null
                order by page.number limit 1)
            where document_id = any(%s)
            """,
            (unreadable,),
        )
    return readable


async def release_leases(db: Connection, *, session_id: UUID | None = None) -> int:
    """End leases whose time is over, or all those of `session_id`; return how many.

    Their pages wait again, except those that have used their last attempt: these fail,
    with a reason, and their documents go on with the pages that could be read. A lease
    whose results are being stored at this moment is left alone; not so one of `session_id`,
    which is locked: its end waits for them.
    """
    if session_id is not None:
        await db.execute(
            "select 1 from aseagi.ocr_sessions where id = %s for no key update", (session_id,)
        )
    cursor = await db.execute(
        """
        update aseagi.leases set state = 'expired', closed_at = now()
        where id in (
            select id from aseagi.leases
            where state = 'open' and (expires_at < now() or session_id = %(session)s)
            order by id for update skip locked
        )
        returning id
        """,
        {"session": session_id},
    )
    expired = [row[0] for row in await cursor.fetchall()]
    if not expired:
        return 0
    await _remember_hosts(db, expired)
    gave_up = Failure(
        stage=Stage.READ,
        reason=f"The page was given to {MAX_ATTEMPTS} hosts and none finished it.",
        retry_helps=True,
    )
    cursor = await db.execute(
        """
        update aseagi.pages set lease_id = null, session_id = null,
            state = case when attempts >= %(max)s then 'failed' else 'waiting' end,
            settled_at = case when attempts >= %(max)s then now() end,
            error = case when attempts >= %(max)s then %(error)s::jsonb end
        where lease_id = any(%(leases)s)
        returning document_id, state
        """,
        {
            "max": MAX_ATTEMPTS,
            "error": Jsonb(gave_up.model_dump(mode="json")),
            "leases": expired,
        },
    )
    rows = await cursor.fetchall()
    failed = {row[0] for row in rows if row[1] == "failed"}
    failed |= await _give_up_poison(db, sorted({row[0] for row in rows}))
    await finish_documents(db, sorted(failed))
    return len(expired)


async def _remember_hosts(db: Connection, leases: Sequence[UUID]) -> None:
    """Remember which documents' pages these leases held when they ended."""
    await db.execute(
        """
        insert into aseagi.unfinished_reads (document_id, session_id)
        select distinct page.document_id, lease.session_id
        from aseagi.pages page join aseagi.leases lease on lease.id = page.lease_id
        where lease.id = any(%s)
        order by 1, 2
        on conflict do nothing
        """,
        (list(leases),),
    )


async def _give_up_poison(db: Connection, documents: Sequence[UUID]) -> set[UUID]:
    """Fail what waits of documents that ended `MAX_ATTEMPTS` hosts with not one page read.

    One bad page of a document is found by reading it alone, while its neighbours are read.
    Where nothing was ever read the file itself is to blame, and each of its pages would
    take another host.
    """
    reason = f"{MAX_ATTEMPTS} hosts were given pages of this document and none finished one."
    gave_up = Failure(stage=Stage.READ, reason=reason, retry_helps=True)
    cursor = await db.execute(
        """
        update aseagi.pages set state = 'failed', settled_at = now(), error = %(error)s
        where (document_id, number) in (
            select page.document_id, page.number from aseagi.pages page
            where page.document_id = any(%(documents)s) and page.state = 'waiting'
                and (select count(*) from aseagi.unfinished_reads unfinished
                    where unfinished.document_id = page.document_id) >= %(max)s
                and not exists (select 1 from aseagi.pages read
                    where read.document_id = page.document_id and read.state = 'done')
            order by 1, 2 for update skip locked)
        returning document_id
        """,
        {
            "error": Jsonb(gave_up.model_dump(mode="json")),
            "documents": list(documents),
            "max": MAX_ATTEMPTS,
        },
    )
    return {row[0] for row in await cursor.fetchall()}
