"""What came from Telegram: a queue of updates, gathered into pieces of work.

States, and what a kill at any point costs, are drawn in migration 0009.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from sql.connection import Connection, only_row

MAX_ATTEMPTS = 10
"""A gateway that is killed uses one of whatever it had begun, and that is innocent as a rule:
pictures are decoded in a process of their own, and nothing is whole in memory."""
LONGEST_WAIT = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class NewUpdate:
    """An update as it is written down."""

    update_id: int
    chat_id: int
    message_id: int
    album: str | None
    has_file: bool
    message: dict[str, Any]


async def record_update(db: Connection, new: NewUpdate) -> bool:
    """Write an update down; False if it was there already. Commits nothing."""
    cursor = await db.execute(
        """
        insert into aseagi.telegram_updates
            (update_id, chat_id, message_id, album, has_file, message, lead)
        values (%(id)s, %(chat)s, %(message_id)s, %(album)s, %(has_file)s, %(message)s,
            case when %(album)s::text is null then %(id)s::bigint end)
        on conflict (update_id) do nothing
        """,
        {
            "id": new.update_id,
            "chat": new.chat_id,
            "message_id": new.message_id,
            "album": new.album,
            "has_file": new.has_file,
            "message": Jsonb(new.message),
        },
    )
    return cursor.rowcount == 1


async def close_albums(db: Connection, *, quiet: timedelta) -> int:
    """Let albums of which nothing new came for `quiet` become work; return how many pieces.

    By the database's clock and rows, so that a restart loses no album. A piece of an album that
    was closed before is work of its own, and late.
    """
    cursor = await db.execute(
        """
        with complete as (
            select chat_id, album, min(update_id) as first from aseagi.telegram_updates
            where lead is null group by chat_id, album having max(received_at) < now() - %s
        )
        update aseagi.telegram_updates piece
        set late = closed.before,
            lead = case when closed.before then piece.update_id else complete.first end
        from complete cross join lateral (
            select exists (
                select from aseagi.telegram_updates earlier
                where earlier.chat_id = complete.chat_id and earlier.album = complete.album
                    and earlier.lead is not null) as before
        ) as closed
        where piece.lead is null
            and piece.chat_id = complete.chat_id and piece.album = complete.album
        """,
        (quiet,),
    )
    return cursor.rowcount


@dataclass(frozen=True, slots=True)
class Piece:
    """One update of a piece of work."""

    update_id: int
    lead: int
    chat_id: int
    message_id: int
    message: dict[str, Any]
    late: bool
    attempts: int
    waits: int


@dataclass(frozen=True, slots=True)
class Work:
    """What is done in one go: one update, or the pieces of an album in their order."""

    pieces: Sequence[Piece]

    @property
    def lead(self) -> int:
        """The update that stands for the work."""
        return self.pieces[0].lead

    @property
    def chat_id(self) -> int:
        """Where it came from."""
        return self.pieces[0].chat_id

    @property
    def attempts(self) -> int:
        """How often it was begun, this time included: the fencing token of whoever does it."""
        return next(piece.attempts for piece in self.pieces if piece.update_id == self.lead)

    @property
    def exhausted(self) -> bool:
        """Whether it was begun so often that it will not end by itself."""
        return self.attempts > MAX_ATTEMPTS


async def claim_work(db: Connection, *, limit: int, ttl: timedelta) -> list[Work]:
    """Take up to `limit` pieces of work, counting the attempt.

    What was begun least often first, so that one that kills its worker holds nobody up. Rows
    that others hold are skipped. A claim that runs out is free again.
    """
    cursor = await db.execute(
        """
        update aseagi.telegram_updates
        set attempts = attempts + 1, claimed_until = now() + %s
        where update_id in (
            select update_id from aseagi.telegram_updates
            where settled_at is null and lead = update_id and due_at <= now()
                and (claimed_until is null or claimed_until < now())
            order by attempts, update_id limit %s for update skip locked
        )
        returning update_id
        """,
        (ttl, limit),
    )
    leads = sorted(row[0] for row in await cursor.fetchall())
    if not leads:
        return []
    async with db.cursor(row_factory=class_row(Piece)) as pieces:
        await pieces.execute(
            """
            select update_id, lead, chat_id, message_id, message, late, attempts, waits
            from aseagi.telegram_updates where lead = any(%s) order by message_id, update_id
            """,
            (leads,),
        )
        found = await pieces.fetchall()
    return [Work([piece for piece in found if piece.lead == lead]) for lead in leads]


async def settle_work(db: Connection, work: Work) -> bool:
    """End it; False if it is not this attempt's to end any more. Commits nothing."""
    cursor = await db.execute(
        """
        update aseagi.telegram_updates set settled_at = now(), claimed_until = null
        where update_id = %s and attempts = %s and settled_at is null
        """,
        (work.lead, work.attempts),
    )
    if cursor.rowcount == 0:
        return False
    await db.execute(
        """
        update aseagi.telegram_updates set settled_at = now()
        where lead = %s and settled_at is null
        """,
        (work.lead,),
    )
    return True


async def put_off_work(
    db: Connection, work: Work, *, at_least: timedelta = timedelta(0), counts: bool
) -> None:
    """Let it wait, longer each time; the attempt stays counted if it `counts`."""
    await db.execute(
        """
        update aseagi.telegram_updates
        set claimed_until = null, waits = waits + 1, attempts = attempts - %(uncounted)s,
            due_at = now() + greatest(%(at_least)s, least(
                %(longest)s, interval '1 second' * 2 ^ least(waits, 20)))
        where update_id = %(lead)s and attempts = %(attempts)s and settled_at is null
        """,
        {
            "uncounted": 0 if counts else 1,
            "at_least": at_least,
            "longest": LONGEST_WAIT,
            "lead": work.lead,
            "attempts": work.attempts,
        },
    )


async def something_waits(db: Connection) -> bool:
    """Whether anything may become due within a few seconds."""
    cursor = await db.execute(
        """
        select exists (select from aseagi.telegram_updates where settled_at is null
            and due_at < now() + interval '5 seconds')
        """
    )
    return bool((await only_row(cursor))[0])


async def free_claims(db: Connection) -> int:
    """Give back what a gateway that is gone had begun; return how much.

    For a gateway that starts. Should another still work, both do the same thing, and one settles.
    """
    cursor = await db.execute(
        "update aseagi.telegram_updates set claimed_until = null where claimed_until is not null"
    )
    return cursor.rowcount


async def forget_settled(db: Connection, *, older_than: timedelta) -> int:
    """Delete what was settled long ago, with what was said of it; return how many updates."""
    cursor = await db.execute(
        "delete from aseagi.telegram_updates where settled_at < now() - %s", (older_than,)
    )
    forgotten = cursor.rowcount
    await db.execute(
        "delete from aseagi.telegram_replies where ended_at < now() - %s", (older_than,)
    )
    await db.execute(
        """
        delete from aseagi.telegram_messages message
        where created_at < now() - %s and (given_up is not null or shown = wanted)
            and not exists (select from aseagi.telegram_replies where message = message.id)
        """,
        (older_than,),
    )
    return forgotten
