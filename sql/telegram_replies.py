"""What a chat sent within a short time, and what became of each file of it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg.rows import class_row

from sql.arrivals import SeenObject
from sql.connection import Connection, only_row
from sql.telegram_messages import say


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file that somebody sent, as the chat is told of it."""

    update_id: int
    message_id: int
    name: str
    remark: str | None = None


async def reply_of(db: Connection, update_id: int) -> UUID | None:
    """The reply that tells of an update's file already."""
    cursor = await db.execute(
        "select reply_id from aseagi.telegram_files where update_id = %s", (update_id,)
    )
    row = await cursor.fetchone()
    return row[0] if row else None


async def open_reply(
    db: Connection, chat_id: int, new: NewFile, *, text: str, join: timedelta
) -> UUID:
    """Tell of a file in the chat's newest reply if that is young, else in a new one.

    Safe to repeat: an update's file is told of once. `text` is what a new reply says at first.
    Commits nothing.
    """
    known = await reply_of(db, new.update_id)
    if known is not None:
        return known
    cursor = await db.execute(
        """
        update aseagi.telegram_replies set joined_at = now()
        where id = (
            select id from aseagi.telegram_replies
            where chat_id = %s and shared and ended_at is null and joined_at > now() - %s
            order by opened_at desc limit 1 for update
        ) and ended_at is null
        returning id
        """,
        (chat_id, join),
    )
    row = await cursor.fetchone()
    reply_id: UUID = (
        row[0] if row else await _new_reply(db, chat_id, new.message_id, text, shared=True)
    )
    await add_file(db, reply_id, new)
    return reply_id


async def _new_reply(
    db: Connection, chat_id: int, reply_to: int, text: str, *, shared: bool
) -> UUID:
    message = await say(db, chat_id, text, reply_to=reply_to)
    cursor = await db.execute(
        """
        insert into aseagi.telegram_replies (chat_id, message, shared) values (%s, %s, %s)
        returning id
        """,
        (chat_id, message, shared),
    )
    reply_id: UUID = (await only_row(cursor))[0]
    return reply_id


async def add_file(db: Connection, reply_id: UUID, new: NewFile) -> None:
    """Tell of a file in that reply, by the name it has now. Commits nothing."""
    await db.execute(
        """
        insert into aseagi.telegram_files (update_id, reply_id, message_id, name, remark)
        values (%s, %s, %s, %s, %s)
        on conflict (update_id) do update set name = excluded.name, remark = excluded.remark
        """,
        (new.update_id, reply_id, new.message_id, new.name, new.remark),
    )


async def keep_stored(db: Connection, update_id: int, seen: SeenObject) -> None:
    """The file lies in the inbox. Commits nothing."""
    await db.execute(
        """
        update aseagi.telegram_files
        set key = %s, etag = %s, size_bytes = %s, waits = null where update_id = %s
        """,
        (seen.key, seen.etag, seen.size_bytes, update_id),
    )


async def keep_refused(db: Connection, update_id: int, reason: str) -> None:
    """The file cannot be taken; the reason is for the sender. Commits nothing."""
    await db.execute(
        """
        update aseagi.telegram_files set refused = %s, waits = null
        where update_id = %s and key is null
        """,
        (reason[:500], update_id),
    )


async def keep_waiting(db: Connection, update_id: int, reason: str) -> None:
    """The file cannot be fetched now; the reason is for the sender."""
    await db.execute(
        "update aseagi.telegram_files set waits = %s where update_id = %s and key is null",
        (reason[:500], update_id),
    )


async def keep_link(
    db: Connection, chat_id: int, new: NewFile, link_id: UUID, *, text: str
) -> None:
    """The file is brought through an upload link, told of in a message of its own.

    So that what was sent with it need not wait for it. Commits nothing.
    """
    reply_id = await _new_reply(db, chat_id, new.message_id, text, shared=False)
    await db.execute(
        """
        insert into aseagi.telegram_files (update_id, reply_id, message_id, name, link_id)
        values (%s, %s, %s, %s, %s)
        on conflict (update_id) do update set reply_id = excluded.reply_id,
            link_id = excluded.link_id, waits = null
        """,
        (new.update_id, reply_id, new.message_id, new.name, link_id),
    )


async def end_empty_replies(db: Connection, chat_id: int) -> None:
    """End replies whose every file is told of elsewhere: too large, as it turned out."""
    await db.execute(
        """
        with empty as (
            update aseagi.telegram_replies reply set ended_at = now()
            where chat_id = %s and ended_at is null and not exists (
                    select from aseagi.telegram_files where reply_id = reply.id)
            returning message
        )
        update aseagi.telegram_messages set wanted = 'Too large for Telegram: use the link below.'
        where id in (select message from empty)
        """,
        (chat_id,),
    )


@dataclass(frozen=True, slots=True)
class OpenReply:
    """A reply that is not at its end."""

    id: UUID
    chat_id: int
    message: int
    wanted: str
    more_comes: bool
    """Whether the chat sent files that are not told of yet."""


async def open_replies(db: Connection, *, after: UUID | None, limit: int) -> list[OpenReply]:
    """The next replies not at their end, by id, so that each has its turn."""
    async with db.cursor(row_factory=class_row(OpenReply)) as cursor:
        await cursor.execute(
            """
            select reply.id, reply.chat_id, reply.message, message.wanted,
                reply.shared and exists (
                    select from aseagi.telegram_updates coming
                    where coming.chat_id = reply.chat_id and coming.settled_at is null
                        and coming.has_file) as more_comes
            from aseagi.telegram_replies reply
            join aseagi.telegram_messages message on message.id = reply.message
            where reply.ended_at is null and reply.id > %s order by reply.id limit %s
            """,
            (after or UUID(int=0), limit),
        )
        return await cursor.fetchall()


@dataclass(frozen=True, slots=True)
class SentFile:
    """A file somebody sent, and where what it became stands."""

    update_id: int
    message_id: int
    name: str
    remark: str | None
    waits: str | None
    refused: str | None
    is_link: bool
    link_expired: bool
    stored: bool
    arrival_state: str | None
    arrival_error: dict[str, Any] | None
    known_before: bool
    """Whether the document was there before this was sent."""
    document_id: UUID | None
    status: str | None
    stage: str | None
    lane: str | None
    job_waits_for: str | None
    job_waits_until: datetime | None
    job_error: dict[str, Any] | None
    pages: int
    pages_settled: int
    pages_failed: int

    @property
    def ended(self) -> bool:
        """Whether nothing more happens to it."""
        return (
            self.refused is not None
            or (self.is_link and self.link_expired and not self.stored)
            or self.arrival_state in {"failed", "superseded"}
            or self.status in {"completed", "failed"}
        )


async def files_of(db: Connection, reply_id: UUID) -> list[SentFile]:
    """The files of a reply, in the order they were sent."""
    async with db.cursor(row_factory=class_row(SentFile)) as cursor:
        await cursor.execute(
            """
            with file as (
                select file.*, link.id is not null as is_link,
                    coalesce(link.key is null and (link.expires_at < now()
                        or link.used_at < now() - interval '1 hour'), false) as link_expired,
                    coalesce(file.key, link.key) as its_key,
                    coalesce(file.etag, link.etag) as its_etag,
                    coalesce(file.size_bytes, link.size_bytes) as its_size
                from aseagi.telegram_files file
                left join aseagi.upload_links link on link.id = file.link_id
                where file.reply_id = %s
            )
            select file.update_id, file.message_id, file.name, file.remark, file.waits,
                file.refused, file.is_link, file.link_expired, file.its_key is not null as stored,
                arrival.state as arrival_state, arrival.error as arrival_error,
                coalesce(arrival.noticed_at < file.created_at or exists (
                    select from aseagi.arrivals earlier
                    where earlier.document_id = arrival.document_id and earlier.id <> arrival.id
                        and earlier.noticed_at < arrival.noticed_at), false) as known_before,
                arrival.document_id, job.status, job.stage, job.lane::text as lane,
                case when job.waits_until > now() then job.waits_for end as job_waits_for,
                job.waits_until as job_waits_until, job.error as job_error,
                coalesce(document.page_count, 0) as pages,
                counts.settled as pages_settled, counts.failed as pages_failed
            from file
            left join aseagi.arrivals arrival on arrival.key = file.its_key
                and arrival.etag = file.its_etag and arrival.size_bytes = file.its_size
            left join aseagi.documents document on document.id = arrival.document_id
            left join aseagi.processing_jobs job on job.document_id = arrival.document_id
            cross join lateral (
                select count(*) filter (where state in ('done', 'failed')) as settled,
                    count(*) filter (where state = 'failed') as failed
                from aseagi.pages where pages.document_id = arrival.document_id
            ) as counts
            order by file.message_id, file.update_id
            """,
            (reply_id,),
        )
        return await cursor.fetchall()


async def lock_reply(db: Connection, reply_id: UUID) -> bool:
    """Keep a reply from being joined until the transaction ends; False if it is at its end."""
    cursor = await db.execute(
        "select from aseagi.telegram_replies where id = %s and ended_at is null for update",
        (reply_id,),
    )
    return cursor.rowcount == 1


async def end_reply(db: Connection, reply_id: UUID) -> None:
    """Everything in it is at its end. Commits nothing; lock it first."""
    await db.execute(
        "update aseagi.telegram_replies set ended_at = now() where id = %s", (reply_id,)
    )
