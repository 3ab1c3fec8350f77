"""Documents: one row per distinct content, with its pages and its job."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from schema.analysis import Analysis
from schema.failures import Failure
from schema.lanes import Lane
from schema.unread import unread
from sql.connection import Connection, only_row
from sql.deletions import hold_off


@dataclass(frozen=True, slots=True)
class NewDocument:
    """A file taken in for the first time. `pages` holds the text of each page that has a good
    one, from where `page_source` says, None where the page must be read. One with an `analysis`
    needs no other and is complete."""

    file_hash: str
    file_name: str
    media_type: str
    size_bytes: int
    s3_raw_path: str
    s3_processed_path: str
    matter: str | None
    lane: Lane
    pages: Sequence[str | None]
    failure: Failure | None = None
    page_source: str = "text layer"
    analysis: Analysis | None = None


async def find_by_hash(db: Connection, file_hash: str) -> UUID | None:
    """The document with that content, if it is known."""
    cursor = await db.execute("select id from aseagi.documents where file_hash = %s", (file_hash,))
    row = await cursor.fetchone()
    return row[0] if row else None


async def insert_document(
    db: Connection, new: NewDocument, *, looked_at: datetime | None = None
) -> tuple[UUID, bool]:
    """Insert document, pages and job, or find the twin; return (id, whether it is new).

    Four outcomes for the job: a failure is `failed` at once; what is analysed already is
    `completed`; nothing to read goes straight to analysis; otherwise its pages wait for a
    session. Commits nothing.

    `looked_at` is when, by the database's clock, its object was about to be copied. Raises
    `BeingDeleted` if the same content was being deleted at any time since, or is now.
    """
    while True:
        document_id = await _insert(db, new)
        if document_id is not None:
            await hold_off(db, new.file_hash, since=looked_at or datetime.now(UTC))
            await _insert_pages(db, document_id, new)
            await _insert_job(db, document_id, new)
            if new.analysis is not None:
                await _keep_analysis(db, document_id, new.analysis)
            return document_id, True
        # Held until this transaction ends; one that is just being deleted is waited for.
        twin = await db.execute(
            "select id from aseagi.documents where file_hash = %s for key share", (new.file_hash,)
        )
        if (row := await twin.fetchone()) is not None:
            return row[0], False


@dataclass(frozen=True, slots=True)
class TakenIn:
    """How much of its file a document holds."""

    failed: bool
    """It could not be taken in at all."""
    members: int
    """Files that were taken out of it, and those that were not."""
    refused: int


async def taken_in(db: Connection, document_id: UUID) -> TakenIn:
    """How much of its file a document holds."""
    async with db.cursor(row_factory=class_row(TakenIn)) as cursor:
        await cursor.execute(
            """
            select exists (select from aseagi.processing_jobs job
                    join aseagi.documents document on document.id = job.document_id
                    where document_id = %(one)s and status = 'failed' and page_count = 0
                ) as failed,
                count(file_hash) as members, count(refused) as refused
            from aseagi.members where parent_id = %(one)s
            """,
            {"one": document_id},
        )
        return await only_row(cursor)


async def lock_job(db: Connection, document_id: UUID) -> None:
    """Hold a document's job until the transaction ends."""
    await db.execute(
        "select from aseagi.processing_jobs where document_id = %s for update", (document_id,)
    )


async def revive_document(db: Connection, document_id: UUID, new: NewDocument) -> bool:
    """Give a document that could not be taken in the pages that its file has. Commits nothing.

    False if nothing is to be given: it has pages by now, or cannot be taken in this time either.
    """
    if new.failure is not None:
        return False
    cursor = await db.execute(
        """
        delete from aseagi.processing_jobs job using aseagi.documents document
        where document.id = job.document_id and document_id = %s and status = 'failed'
            and page_count = 0
        """,
        (document_id,),
    )
    if cursor.rowcount == 0:
        return False
    await db.execute(
        "update aseagi.documents set media_type = %s, page_count = %s where id = %s",
        (new.media_type, len(new.pages), document_id),
    )
    await _insert_pages(db, document_id, new)
    await _insert_job(db, document_id, new)
    return True


async def _insert(db: Connection, new: NewDocument) -> UUID | None:
    cursor = await db.execute(
        """
        insert into aseagi.documents (file_hash, file_name, media_type, size_bytes, page_count,
            s3_raw_path, s3_processed_path, matter)
        values (%s, %s, %s, %s, %s, %s, %s, %s)
        on conflict (file_hash) do nothing
        returning id
        """,
        (
            new.file_hash,
            new.file_name,
            new.media_type,
            new.size_bytes,
            len(new.pages),
            new.s3_raw_path,
            new.s3_processed_path,
            new.matter,
        ),
    )
    row = await cursor.fetchone()
    return row[0] if row else None


async def _insert_pages(db: Connection, document_id: UUID, new: NewDocument) -> None:
    texts = list(new.pages)
    await db.execute(
        """
        insert into aseagi.pages (document_id, number, lane, state, text, source, settled_at)
        select %s, number, %s,
            case when text is null then 'waiting' else 'done' end,
            text,
            case when text is null then null else %s end,
            case when text is null then null else now() end
        from unnest(%s::integer[], %s::text[]) as page (number, text)
        """,
        (document_id, new.lane, new.page_source, list(range(1, len(texts) + 1)), texts),
    )


async def _insert_job(db: Connection, document_id: UUID, new: NewDocument) -> None:
    failed, completed = new.failure is not None, new.analysis is not None
    ready = not failed and all(text is not None for text in new.pages)
    status = "failed" if failed else "completed" if completed else "queued"
    stage = "done" if completed else "analyse" if ready else "read"
    await db.execute(
        """
        insert into aseagi.processing_jobs
            (document_id, file_path, lane, status, stage, ready_at, completed_at, error)
        values (%(document)s, %(path)s, %(lane)s, %(status)s, %(stage)s,
            case when %(ready)s then now() end, case when %(ended)s then now() end, %(error)s)
        """,
        {
            "document": document_id,
            "path": new.s3_raw_path,
            "lane": new.lane,
            "status": status,
            "stage": stage,
            "ready": ready,
            "ended": failed or completed,
            "error": Jsonb(new.failure.model_dump(mode="json")) if new.failure else None,
        },
    )
    if ready:
        await gather_text(db, [document_id])


async def _keep_analysis(db: Connection, document_id: UUID, analysis: Analysis) -> None:
    """Keep what is known of a new document: no person corrected anything of it yet."""
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
            document_id,
        ),
    )


async def gather_text(db: Connection, document_ids: Sequence[UUID]) -> None:
    """Write each document's whole text from its pages, separated by form feeds."""
    await db.execute(
        """
        update aseagi.documents set ocr_text = whole.text
        from (
            select document_id, string_agg(coalesce(text, ''), E'\\f' order by number) as text
            from aseagi.pages where document_id = any(%s) group by document_id
        ) as whole
        where id = whole.document_id
        """,
        (list(document_ids),),
    )


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """A document as people see it in lists: what it is, where it stands, what it cost."""

    id: UUID
    file_name: str
    matter: str | None
    media_type: str
    file_hash: str
    original_path: str | None
    part_of: str | None
    """The container it came in, if it came in one."""
    notes: str | None
    """What people said of it when they brought it."""
    s3_raw_path: str
    s3_processed_path: str
    page_count: int
    pages_done: int
    pages_failed: int
    status: str
    stage: str
    lane: str
    document_type: str | None
    title: str | None
    document_date: date | None
    created_at: datetime
    completed_at: datetime | None
    seconds: float | None
    cost_dollars: Decimal
    analysis: dict[str, Any] | None
    analysis_failure: dict[str, Any] | None
    """What the analysis lacks, or why it is not by the analyst asked first."""
    error: dict[str, Any] | None
    failed_pages: Sequence[int]
    """Those that could not be read."""
    page_error: dict[str, Any] | None
    """Why the first of them could not be."""

    @property
    def unread(self) -> str | None:
        """Which pages could not be read, and why; None if all were, or none was."""
        first = Failure.model_validate(self.page_error) if self.page_error else None
        return unread(self.failed_pages, self.page_count, first) if self.pages_done else None


# The session's bill is shared out by pages: a document pays for the pages of it the session read.
_DOCUMENT_ROWS = """
    with session_costs as (
        select session_id, sum(dollars) as dollars from aseagi.charges
        where session_id is not null and document_id is null group by session_id
    ), session_pages as (
        select session_id, count(*) as pages from aseagi.pages
        where session_id in (select session_id from session_costs) group by session_id
    ), page_costs as (
        select page.document_id, sum(cost.dollars / read.pages) as dollars
        from aseagi.pages page
        join session_pages read using (session_id)
        join session_costs cost using (session_id)
        group by page.document_id
    ), own_costs as (
        select document_id, sum(dollars) as dollars from aseagi.charges
        where document_id is not null group by document_id
    ), counts as (
        select document_id, count(*) filter (where state = 'done') as done,
            count(*) filter (where state = 'failed') as failed,
            array_agg(number order by number) filter (where state = 'failed') as failed_pages
        from aseagi.pages group by document_id
    )
    select document.id, document.file_name, document.matter, document.media_type,
        document.file_hash,
        (select original_path from aseagi.arrivals where document_id = document.id
            order by noticed_at limit 1) as original_path,
        (select parent.file_name from aseagi.members member
            join aseagi.documents parent on parent.id = member.parent_id
            where member.file_hash = document.file_hash
            order by parent.created_at, parent.id limit 1) as part_of,
        (select string_agg(note, E'\\n' order by noticed_at) from aseagi.arrivals
            where document_id = document.id) as notes,
        document.s3_raw_path, document.s3_processed_path, document.page_count,
        coalesce(counts.done, 0) as pages_done, coalesce(counts.failed, 0) as pages_failed,
        job.status, job.stage, job.lane, document.document_type, document.title,
        document.document_date, document.created_at, job.completed_at,
        extract(epoch from job.completed_at - case job.analysis_round
            when 0 then job.created_at else coalesce(job.ready_at, job.created_at) end)::float
            as seconds,
        coalesce(page_costs.dollars, 0) + coalesce(own_costs.dollars, 0) as cost_dollars,
        document.analysis, job.results -> 'analysis_failure' as analysis_failure, job.error,
        coalesce(counts.failed_pages, '{}') as failed_pages,
        (select error from aseagi.pages where document_id = document.id
            and number = counts.failed_pages[1]) as page_error
    from aseagi.documents document
    join aseagi.processing_jobs job on job.document_id = document.id
    left join counts on counts.document_id = document.id
    left join page_costs on page_costs.document_id = document.id
    left join own_costs on own_costs.document_id = document.id
"""


async def now_of(db: Connection) -> datetime:
    """The time by the database's clock."""
    cursor = await db.execute("select clock_timestamp()")
    return (await only_row(cursor))[0]


async def list_documents(
    db: Connection,
    *,
    matter: str | None = None,
    ids: Sequence[UUID] | None = None,
    limit: int | None = None,
) -> list[DocumentRow]:
    """Documents with their state, oldest first; all of them unless narrowed."""
    async with db.cursor(row_factory=class_row(DocumentRow)) as cursor:
        await cursor.execute(
            _DOCUMENT_ROWS
            + """
            where (%(matter)s::text is null or document.matter = %(matter)s)
                and (%(ids)s::uuid[] is null or document.id = any(%(ids)s))
            order by document.created_at, document.file_name, document.id
            limit %(limit)s
            """,
            {"matter": matter, "ids": list(ids) if ids is not None else None, "limit": limit},
        )
        return await cursor.fetchall()


async def count_documents(db: Connection, ids: Collection[UUID]) -> int:
    """How many of these documents there are."""
    cursor = await db.execute(
        "select count(*) from aseagi.documents where id = any(%s)", (list(ids),)
    )
    return (await only_row(cursor))[0]


async def find_by_prefix(db: Connection, prefix: str) -> list[UUID]:
    """Documents whose id begins with `prefix` (people copy the first eight characters).

    None's does with what is no beginning of an id, least of all with nothing.
    """
    if not re.fullmatch(r"[0-9a-f][0-9a-f-]*", prefix.lower()):
        return []
    cursor = await db.execute(
        "select id from aseagi.documents where id::text like %s limit 3", (f"{prefix.lower()}%",)
    )
    return [row[0] for row in await cursor.fetchall()]


@dataclass(frozen=True, slots=True)
class PageRow:
    """A page as people see it."""

    number: int
    state: str
    source: str | None
    engine: str | None
    confidence: float | None
    text: str | None
    error: dict[str, Any] | None
    rotation_degrees: int | None
    is_blank: bool


async def list_pages(db: Connection, document_id: UUID) -> list[PageRow]:
    """The pages of a document in order."""
    async with db.cursor(row_factory=class_row(PageRow)) as cursor:
        await cursor.execute(
            """
            select number, state, source, engine, confidence, text, error, rotation_degrees,
                is_blank
            from aseagi.pages where document_id = %s order by number
            """,
            (document_id,),
        )
        return await cursor.fetchall()


async def page_states(db: Connection, document_id: UUID) -> list[str]:
    """The states of a document's pages, in order."""
    cursor = await db.execute(
        "select state from aseagi.pages where document_id = %s order by number", (document_id,)
    )
    return [row[0] for row in await cursor.fetchall()]


async def delete_document(db: Connection, document_id: UUID) -> None:
    """Forget a document with its pages and its job; its objects in the bucket stay."""
    await db.execute("delete from aseagi.documents where id = %s", (document_id,))
