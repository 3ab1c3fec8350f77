"""From a file on disk to an arrival: what every way into the gateway ends with.

In this order, each step safe to repeat and to be killed after:

1. Put the bytes into the bucket, never over others (`blocks.inbox`). Killed here: the
   object is found by a notification or the watch, with all but its note.
2. Record the arrival with its note, in one transaction with whatever else must be true
   then (`also`).
3. Wake ingest; a lost event is made good by the sweep.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path

from blocks.inbox import Content, Origin
from blocks.wakeups import object_created
from gateway.services import Services
from schema.uploads import Outcome, Uploaded
from sql.arrivals import SeenObject, notice, tell_origin
from sql.connection import Connection
from sql.documents import find_by_hash

Also = Callable[[Connection, SeenObject], Awaitable[None]]


async def store(
    using: Services,
    path: Path,
    content: Content,
    *,
    key: str,
    origin: Origin,
    note: str | None = None,
    also: Also | None = None,
) -> Uploaded:
    """Take the file into the inbox and record its arrival; doing it again changes nothing."""
    put = await using.spool.put(using.storage, path, key, content, origin)
    seen = SeenObject(put.stored.key, put.stored.etag, put.stored.size_bytes)
    async with using.pool.connection() as db:
        document_id = await find_by_hash(db, content.sha256)
        new = await record(db, seen, origin=origin, note=note)
        if also is not None:
            await also(db, seen)
    if new:
        object_created(seen.key, size_bytes=seen.size_bytes)
    known = document_id is not None or not put.new
    return Uploaded(
        outcome=Outcome.DUPLICATE if known else Outcome.DOCUMENT,
        key=seen.key,
        size_bytes=seen.size_bytes,
        sha256=content.sha256,
        document_id=document_id,
    )


async def record(db: Connection, seen: SeenObject, *, origin: Origin, note: str | None) -> bool:
    """Record the arrival and what was said of it; whether it is new. Commits nothing."""
    new = await notice(db, [seen], source=origin.source, lane=origin.lane)
    await tell_origin(db, seen, source=origin.source, lane=origin.lane, note=note)
    return new > 0
