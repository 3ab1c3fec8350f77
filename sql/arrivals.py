"""What came into `raw/`: provenance, and the queue that ingest drains.

An arrival is (key, ETag, size). Noticing it again changes nothing, so an event, a
listing and a person may all report the same object; nor does it bring back what a person
deleted while its object still lies there (`sql.deletions`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from schema.failures import Failure
from schema.lanes import Lane
from sql.connection import Connection

MAX_ATTEMPTS = 5

SUSPECT = 2
"""Attempts after which a file may be what ends them."""


@dataclass(frozen=True, slots=True)
class SeenObject:
    """An object in `raw/`, as a listing or an event shows it."""

    key: str
    etag: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Arrival:
    """An arrival that waits to be ingested."""

    id: UUID
    key: str
    etag: str
    size_bytes: int
    source: str
    lane: Lane
    attempts: int
    noticed_at: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "lane", Lane(self.lane))


async def notice(
    db: Connection,
    objects: Sequence[SeenObject],
    *,
    source: str,
    lane: Lane = Lane.BULK,
) -> int:
    """Record objects not seen before; return how many were new. Commits nothing.

    One that was superseded and is back with the same bytes is new again.
    """
    if not objects:
        return 0
    cursor = await db.execute(
        """
        insert into aseagi.arrivals as known (key, etag, size_bytes, source, lane)
        select distinct key, etag, size_bytes, %s, %s::aseagi.lane
        from unnest(%s::text[], %s::text[], %s::bigint[]) as seen (key, etag, size_bytes)
        on conflict (key, etag, size_bytes) do update
            set state = 'noticed', settled_at = null, attempts = 0
            where known.state = 'superseded'
        """,
        (
            source,
            lane,
            [seen.key for seen in objects],
            [seen.etag for seen in objects],
            [seen.size_bytes for seen in objects],
        ),
    )
    return cursor.rowcount


async def tell_origin(
    db: Connection, seen: SeenObject, *, source: str, lane: Lane, note: str | None = None
) -> None:
    """Keep who brought an arrival, how urgent it is and what was said of it. Commits nothing.

    Apart from `notice`, because a notification of the store, which knows none of this, may
    have been faster than who put the object there. What is known already stays.
    """
    await db.execute(
        """
        update aseagi.arrivals set
            source = case source when 'bucket' then %s else source end,
            lane = case state when 'noticed' then least(lane, %s::aseagi.lane) else lane end,
            note = coalesce(note, %s)
        where key = %s and etag = %s and size_bytes = %s
        """,
        (source, lane, note, seen.key, seen.etag, seen.size_bytes),
    )


async def find_taken_in(db: Connection, keys: Sequence[str], *, file_hash: str) -> str | None:
    """The key among these under which that very content was taken in."""
    cursor = await db.execute(
        """
        select arrival.key from aseagi.arrivals arrival
        join aseagi.documents document on document.id = arrival.document_id
        where arrival.key = any(%s) and document.file_hash = %s limit 1
        """,
        (list(keys), file_hash),
    )
    row = await cursor.fetchone()
    return row[0] if row else None


async def begin_arrivals(db: Connection, *, limit: int) -> list[Arrival]:
    """Take up to `limit` waiting arrivals, most urgent first, counting the attempt.

    The attempt is counted before the work so that a file that kills its reader has
    used one. Ingest is idempotent, so taking one twice does no harm. One that was begun
    `SUSPECT` times before, never to an end, comes alone: the others' attempts are not its own.
    """
    async with db.cursor(row_factory=class_row(Arrival)) as cursor:
        await cursor.execute(
            """
            with waiting as (
                select id, lane, attempts, noticed_at, key from aseagi.arrivals
                where state = 'noticed' and (waits_until is null or waits_until < now())
                order by lane, attempts, noticed_at, key limit %(limit)s for update skip locked
            ), placed as (
                select id, attempts, row_number() over in_turn as place,
                    first_value(attempts) over in_turn as first_attempts
                from waiting window in_turn as (order by lane, attempts, noticed_at, key)
            )
            update aseagi.arrivals set attempts = attempts + 1
            where id in (select id from placed where place = 1
                or (attempts < %(suspect)s and first_attempts < %(suspect)s))
            returning id, key, etag, size_bytes, source, lane, attempts, noticed_at
            """,
            {"limit": limit, "suspect": SUSPECT},
        )
        return sorted(await cursor.fetchall(), key=lambda one: (one.noticed_at, one.key))


async def count_waiting_arrivals(db: Connection) -> int:
    """How many arrivals ingest would take now."""
    cursor = await db.execute(
        """
        select count(*) from aseagi.arrivals
        where state = 'noticed' and (waits_until is null or waits_until < now())
        """
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def settle_arrival(
    db: Connection,
    arrival_id: UUID,
    *,
    document_id: UUID,
    original_path: str | None,
    source: str,
    submitted_by: str | None,
) -> None:
    """The arrival became (or is one more copy of) that document."""
    await db.execute(
        """
        update aseagi.arrivals set state = 'ingested', settled_at = now(), document_id = %s,
            original_path = %s, source = %s, submitted_by = %s
        where id = %s and state = 'noticed'
        """,
        (document_id, original_path, source, submitted_by, arrival_id),
    )


async def supersede_arrival(db: Connection, arrival_id: UUID) -> None:
    """The object was overwritten or deleted before it was read; a successor arrives itself."""
    await db.execute(
        """
        update aseagi.arrivals set state = 'superseded', settled_at = now()
        where id = %s and state = 'noticed'
        """,
        (arrival_id,),
    )


async def fail_arrival(db: Connection, arrival_id: UUID, failure: Failure) -> None:
    """The object could not be taken in; it stays in `raw/` and can be retried by a person."""
    await db.execute(
        """
        update aseagi.arrivals set state = 'failed', settled_at = now(), error = %s
        where id = %s and state = 'noticed'
        """,
        (Jsonb(failure.model_dump(mode="json")), arrival_id),
    )


async def put_off_arrival(db: Connection, arrival_id: UUID, *, wait: timedelta) -> None:
    """Let an arrival wait that cannot be taken in now, by no fault of its own."""
    await db.execute(
        """
        update aseagi.arrivals set attempts = greatest(attempts - 1, 0), waits_until = now() + %s
        where id = %s and state = 'noticed'
        """,
        (wait, arrival_id),
    )


async def give_attempts_back(db: Connection, arrival_ids: Sequence[UUID]) -> None:
    """These were begun and could not be taken in, by no fault of theirs."""
    await db.execute(
        """
        update aseagi.arrivals set attempts = greatest(attempts - 1, 0)
        where id = any(%s) and state = 'noticed'
        """,
        (list(arrival_ids),),
    )


async def retry_arrivals(db: Connection) -> int:
    """Queue failed arrivals again; return how many."""
    cursor = await db.execute(
        """
        update aseagi.arrivals set state = 'noticed', settled_at = null, error = null, attempts = 0
        where state = 'failed'
        """
    )
    return cursor.rowcount


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of the newest arrival under a key."""

    key: str
    state: str
    document_id: UUID | None


async def find_arrivals(db: Connection, keys: Sequence[str]) -> list[Settled]:
    """The newest arrival of each key that has one."""
    async with db.cursor(row_factory=class_row(Settled)) as cursor:
        await cursor.execute(
            """
            select distinct on (key) key, state, document_id from aseagi.arrivals
            where key = any(%s) order by key, noticed_at desc
            """,
            (list(keys),),
        )
        return await cursor.fetchall()
