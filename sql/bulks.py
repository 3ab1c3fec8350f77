"""What ended since it was last told of, when nothing moves any more: the digest of a bulk."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from psycopg.rows import class_row
from psycopg.sql import SQL

from sql.connection import Connection, only_row

REASONS = 5


@dataclass(frozen=True, slots=True)
class Reason:
    """Why so many documents failed."""

    reason: str
    documents: int


@dataclass(frozen=True, slots=True)
class Bulk:
    """What ended in a time, and what the time cost."""

    done: int
    failed: int
    pages: int
    reasons: Sequence[Reason]
    """Of the failures, the most frequent first, `REASONS` at most."""
    put_off: int
    """Documents that wait for longer: for the night, for money."""
    dollars: Decimal
    """As charged, and open hosts by our own reckoning."""
    since: datetime


# Not told of yet, and not sent in a chat, whose sender was told already.
_ENDED = SQL("""
    with ended as (
        select job.document_id, job.status, job.error ->> 'reason' as reason, job.completed_at
        from aseagi.processing_jobs job
        where job.completed_at > %(since)s and not exists (
            select from aseagi.arrivals arrival
            join aseagi.telegram_files file on file.key = arrival.key
                and file.etag = arrival.etag and file.size_bytes = arrival.size_bytes
            where arrival.document_id = job.document_id)
        union all
        select null, 'failed', arrival.error ->> 'reason', arrival.settled_at
        from aseagi.arrivals arrival
        where arrival.state = 'failed' and arrival.settled_at > %(since)s and not exists (
            select from aseagi.telegram_files file where file.key = arrival.key
                and file.etag = arrival.etag and file.size_bytes = arrival.size_bytes)
    )
""")


@dataclass(frozen=True, slots=True)
class _Counts:
    done: int
    failed: int
    pages: int
    settled: bool


async def take_bulk(db: Connection, *, at_least: int, quiet: timedelta) -> Bulk | None:
    """What ended since the last digest, once: None while work goes on or too little ended.

    Nothing moves when no arrival waits, no job but those put off and those that wait for the
    night is unfinished, and nothing ended for `quiet`. A job that ends at this very moment is
    still seen at work, so none is left out. Commits nothing: say it in the same transaction.
    """
    cursor = await db.execute(
        "select id, until from aseagi.telegram_digests order by id desc limit 1"
    )
    last, since = await only_row(cursor)
    if await _moves(db):
        return None
    async with db.cursor(row_factory=class_row(_Counts)) as counted:
        await counted.execute(
            SQL("""
            {ended}
            select count(*) filter (where status = 'completed') as done,
                count(*) filter (where status = 'failed') as failed,
                coalesce(sum(document.page_count), 0)::integer as pages,
                coalesce(max(ended.completed_at) < now() - %(quiet)s, false) as settled
            from ended left join aseagi.documents document on document.id = ended.document_id
            """).format(ended=_ENDED),
            {"since": since, "quiet": quiet},
        )
        counts = await only_row(counted)
    if counts.done + counts.failed < at_least or not counts.settled:
        return None
    dollars = await _dollars_since(db, since)
    cursor = await db.execute(
        """
        insert into aseagi.telegram_digests (follows, until, done, failed, dollars)
        values (%s, now(), %s, %s, %s) on conflict (follows) do nothing
        """,
        (last, counts.done, counts.failed, dollars),
    )
    if cursor.rowcount == 0:
        return None
    return Bulk(
        done=counts.done,
        failed=counts.failed,
        pages=counts.pages,
        reasons=await _reasons(db, since),
        put_off=await _put_off(db),
        dollars=dollars,
        since=since,
    )


async def _moves(db: Connection) -> bool:
    cursor = await db.execute(
        """
        select exists (select from aseagi.arrivals where state = 'noticed') or exists (
            select from aseagi.processing_jobs
            where status in ('queued', 'processing')
                and (waits_until is null or waits_until < now() + interval '5 minutes')
                and (lane <> 'nightly' or exists (
                    select from aseagi.controls where night_until > now())))
        """
    )
    return bool((await only_row(cursor))[0])


async def _reasons(db: Connection, since: datetime) -> list[Reason]:
    async with db.cursor(row_factory=class_row(Reason)) as cursor:
        await cursor.execute(
            SQL("""
            {ended}
            select coalesce(reason, 'unknown') as reason, count(*) as documents from ended
            where status = 'failed' group by 1 order by 2 desc, 1 limit %(most)s
            """).format(ended=_ENDED),
            {"since": since, "most": REASONS},
        )
        return await cursor.fetchall()


async def _put_off(db: Connection) -> int:
    cursor = await db.execute(
        "select count(*) from aseagi.processing_jobs where status in ('queued', 'processing')"
    )
    return int((await only_row(cursor))[0])


async def _dollars_since(db: Connection, since: datetime) -> Decimal:
    cursor = await db.execute(
        """
        select (select coalesce(sum(dollars), 0) from aseagi.charges
                where created_at > %(since)s and kind not in ('fixed', 'storage'))
            + (select coalesce(round(sum(dollars_per_hour * extract(epoch from
                    now() - greatest(coalesce(running_at, created_at), %(since)s))::numeric
                    / 3600), 6), 0)
                from aseagi.gpu_hosts host
                where state not in ('intended', 'ended') and not exists (
                    select from aseagi.charges where host_id = host.id))
        """,
        {"since": since},
    )
    dollars: Decimal = (await only_row(cursor))[0]
    return dollars
