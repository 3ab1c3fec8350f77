"""Documents that people delete: what goes at once, what is still to go, and the audit of it.

A deletion is

    asked --its objects were removed--> objects gone --looked at once more--> done

What happens, in this order, and if the process dies there:

    `ask_deletion`        one transaction: the audit row, and the document leaves every table
                          (pages, search, embeddings, jobs, answers of Claude, chats). Killed
                          before its commit, nothing happened. After it nothing finds the
                          document, its pages are lent to nobody, and results that come for them
                          are refused: no row holds them. What it cost stays on record. Its
                          arrivals stay, as `deleted`, so that an object which still lies in an
                          inbox is not taken in again.
    objects are removed   (`tasks.deleting`) by whoever asked, else within a minute by
                          housekeeping; as often as it takes.
    `objects_gone`        the arrivals go too: what is put under these keys from now on arrives.
    looked at once more   after `LATE`: what was being written when it was asked (words of a page,
                          an export) has reached the bucket by then, and is removed.
    `deletion_done`       the end. The audit row stays for ever.

Until then the same content is not taken in: `hold_off` refuses it, and its arrival waits. So
nobody's new document ever loses its objects to an old deletion. Afterwards it is a new document.

Rows are locked in the order that `sql.leases` names; before them the calls to Claude, as
whoever settles one does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from psycopg.rows import class_row

from schema.failures import RetryLater
from sql.arrivals import SeenObject
from sql.connection import Connection, only_row

LATE = timedelta(minutes=5)
"""Longer than a write takes that was under way: the store's client gives up before."""

TOLD_INSTEAD = "This document was deleted."
"""What a chat shows where it was told of a document."""


class BeingDeleted(RetryLater):
    """The same content is just being deleted; it can be taken in when that is over."""


@dataclass(frozen=True, slots=True)
class Deletion:
    """A document that was deleted, as it is kept on record."""

    id: UUID
    document_id: UUID
    file_hash: str
    file_name: str
    matter: str | None
    asked_by: str
    why: str | None
    state: str
    arrived_at: datetime
    asked_at: datetime
    objects_gone_at: datetime | None
    done_at: datetime | None
    pages: int
    arrivals: int
    objects: int
    exports: Sequence[str]


_DELETION = """
    select id, document_id, file_hash, file_name, matter, asked_by, why, state, arrived_at,
        asked_at, objects_gone_at, done_at, pages, arrivals, objects, exports
    from aseagi.deletions
"""


async def ask_deletion(
    db: Connection,
    document_id: UUID,
    *,
    by: str,
    why: str | None = None,
    matter: str | None = None,
) -> UUID | None:
    """Take a document out of every table; return the deletion, None if there is no document.

    With `matter`, none either if it belongs to another by now. Commits nothing. Deleting again
    what is deleted changes nothing.
    """
    await _lock(db, document_id)
    cursor = await db.execute(
        """
        insert into aseagi.deletions (document_id, file_hash, file_name, matter, asked_by, why,
            arrived_at, pages, arrivals)
        select id, file_hash, file_name, matter, %(by)s, %(why)s, created_at, page_count,
            (select count(*) from aseagi.arrivals where document_id = document.id)
        from aseagi.documents document
        where id = %(document)s and (%(matter)s::text is null or matter = %(matter)s)
        returning id
        """,
        {"by": by, "why": why, "document": document_id, "matter": matter},
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    deletion: UUID = row[0]
    await _forget_in_chats(db, document_id)
    await db.execute(
        """
        with brought as (
            select key from aseagi.arrivals where document_id = %(document)s
        ), linked as (
            update aseagi.upload_links set note = null
            where key in (select key from brought) and note is not null
        ), uploaded as (
            update aseagi.multipart_uploads set note = null
            where key in (select key from brought) and note is not null
        )
        update aseagi.arrivals
        set state = 'deleted', deletion_id = %(deletion)s, document_id = null, note = null,
            original_path = null, submitted_by = null
        where document_id = %(document)s
        """,
        {"document": document_id, "deletion": deletion},
    )
    leases = await db.execute(
        """
        select distinct lease_id from aseagi.pages
        where document_id = %s and lease_id is not null
        """,
        (document_id,),
    )
    held: list[UUID] = [row[0] for row in await leases.fetchall()]
    await db.execute("delete from aseagi.documents where id = %s", (document_id,))
    await db.execute(
        """
        update aseagi.leases lease set state = 'done', closed_at = now()
        where id = any(%s) and state = 'open'
            and not exists (select from aseagi.pages where lease_id = lease.id)
        """,
        (held,),
    )
    return deletion


async def _lock(db: Connection, document_id: UUID) -> None:
    """Lock all that goes: whoever has some of it ends first, whoever comes finds nothing."""
    for statement in (
        "select from aseagi.claude_calls where document_id = %s order by id for update",
        """
        select from aseagi.leases where id in (
            select lease_id from aseagi.pages where document_id = %s and lease_id is not null)
        order by id for update
        """,
        "select from aseagi.pages where document_id = %s order by number for update",
        "select from aseagi.processing_jobs where document_id = %s for update",
        "select from aseagi.documents where id = %s for update",
    ):
        await db.execute(statement.encode(), (document_id,))


async def _forget_in_chats(db: Connection, document_id: UUID) -> None:
    """What was brought in chats, and what they were told of it.

    A message that links to the document (`gateway.telegram.wording.original`) is edited, and so
    is one about nothing else. What they showed is forgotten here at once, delivered or not.
    """
    cursor = await db.execute(
        """
        delete from aseagi.telegram_files where update_id in (
            select file.update_id from aseagi.telegram_files file
            left join aseagi.upload_links link on link.id = file.link_id
            join aseagi.arrivals arrival on arrival.key = coalesce(file.key, link.key)
                and arrival.etag = coalesce(file.etag, link.etag)
                and arrival.size_bytes = coalesce(file.size_bytes, link.size_bytes)
            where arrival.document_id = %s)
        returning update_id, reply_id
        """,
        (document_id,),
    )
    brought = await cursor.fetchall()
    cursor = await db.execute(
        """
        update aseagi.telegram_replies reply set ended_at = coalesce(ended_at, now())
        where id = any(%s)
            and not exists (select from aseagi.telegram_files where reply_id = reply.id)
        returning message
        """,
        ([row[1] for row in brought],),
    )
    empty: list[int] = [row[0] for row in await cursor.fetchall()]
    await db.execute(
        """
        update aseagi.telegram_messages
        set wanted = %(instead)s, shown = case when shown is not null then '' end
        where wanted <> %(instead)s
            and (wanted like %(link)s or shown like %(link)s or id = any(%(empty)s))
        """,
        {"instead": TOLD_INSTEAD, "link": f"%original:{document_id}%", "empty": empty},
    )
    # What was written with it; of an album, with every piece.
    await db.execute(
        """
        update aseagi.telegram_updates set message = '{}'
        where settled_at is not null and lead = any(%s)
        """,
        ([row[0] for row in brought],),
    )


async def hold_off(db: Connection, file_hash: str, *, since: datetime) -> None:
    """Raise `BeingDeleted` if this content was being deleted at any time since.

    Call it after the document's row was inserted, in the same transaction: a deletion that could
    still touch it was committed before that row could be, and is seen. `since` is from before
    its bytes were copied.
    """
    cursor = await db.execute(
        """
        select exists (select from aseagi.deletions
            where file_hash = %s and (state <> 'done' or done_at >= %s))
        """,
        (file_hash, since),
    )
    if (await only_row(cursor))[0]:
        raise BeingDeleted("The same content is just being deleted; it is taken in after that.")


async def open_deletions(db: Connection, *, limit: int) -> list[Deletion]:
    """Deletions that have something to do now, oldest first."""
    async with db.cursor(row_factory=class_row(Deletion)) as cursor:
        await cursor.execute(
            _DELETION
            + """
            where state = 'asked' or (state = 'objects gone' and asked_at < now() - %s)
            order by asked_at, id limit %s
            """,
            (LATE, limit),
        )
        return await cursor.fetchall()


async def inbox_objects(db: Connection, deletion: UUID) -> list[SeenObject]:
    """The objects that a deleted document arrived as."""
    async with db.cursor(row_factory=class_row(SeenObject)) as cursor:
        await cursor.execute(
            "select key, etag, size_bytes from aseagi.arrivals where deletion_id = %s order by key",
            (deletion,),
        )
        return await cursor.fetchall()


async def take_turn(db: Connection, deletion: UUID, *, state: str) -> bool:
    """Whether it is in that state, and nobody else is removing its objects.

    Nobody is until the transaction ends: a process that slept and goes on must not remove what
    came when all was over.
    """
    cursor = await db.execute(
        "select from aseagi.deletions where id = %s and state = %s for update skip locked",
        (deletion, state),
    )
    return cursor.rowcount == 1


async def objects_gone(
    db: Connection, deletion: UUID, *, objects: int, exports: Sequence[str]
) -> None:
    """Its objects were removed: so many, and these exports. Once; commits nothing."""
    cursor = await db.execute(
        """
        update aseagi.deletions set state = 'objects gone', objects_gone_at = now(),
            objects = objects + %s, exports = %s
        where id = %s and state = 'asked'
        """,
        (objects, list(exports), deletion),
    )
    if cursor.rowcount:
        await db.execute("delete from aseagi.arrivals where deletion_id = %s", (deletion,))


async def deletion_done(
    db: Connection, deletion: UUID, *, objects: int, exports: Sequence[str]
) -> bool:
    """It was looked at once more, and so much came late; False if that is known. Commits nothing.

    Only when it is due: what comes late may take `LATE` to come.
    """
    cursor = await db.execute(
        """
        update aseagi.deletions set state = 'done', done_at = now(), objects = objects + %s,
            exports = exports || %s::text[]
        where id = %s and state = 'objects gone' and asked_at < now() - %s
        """,
        (objects, list(exports), deletion, LATE),
    )
    return cursor.rowcount == 1


async def list_deletions(
    db: Connection,
    *,
    ids: Sequence[UUID] | None = None,
    file_hash: str | None = None,
    limit: int | None = None,
) -> list[Deletion]:
    """What was deleted, newest first; all of it unless narrowed."""
    async with db.cursor(row_factory=class_row(Deletion)) as cursor:
        await cursor.execute(
            _DELETION
            + """
            where (%(ids)s::uuid[] is null or id = any(%(ids)s))
                and (%(hash)s::text is null or file_hash = %(hash)s)
            order by asked_at desc, id limit %(limit)s
            """,
            {"ids": list(ids) if ids is not None else None, "hash": file_hash, "limit": limit},
        )
        return await cursor.fetchall()
