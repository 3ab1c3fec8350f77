"""Large files on their way to the bucket in parts: `open → done | aborted`.

`done` is written after the store made one object of the parts, which carries the row's id:
a gateway killed between the two leaves an upload that is completed again by its client, or
settled by `tasks.uploads` when its time is over. One killed between the store's beginning
and the row leaves parts that no row stands for; they are found in the store's own list.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from psycopg.rows import class_row

from schema.lanes import Lane
from sql.connection import Connection, only_row


@dataclass(frozen=True, slots=True)
class MultipartUpload:
    """One of them."""

    id: UUID
    client_id: UUID
    submitted_by: str
    key: str
    s3_upload_id: str
    size_bytes: int
    part_bytes: int
    lane: Lane
    note: str | None
    state: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "lane", Lane(self.lane))


_COLUMNS = """
    id, client_id, submitted_by, key, s3_upload_id, size_bytes, part_bytes, lane, note, state
"""


async def begin_multipart(
    db: Connection,
    upload_id: UUID,
    *,
    client_id: UUID,
    submitted_by: str,
    key: str,
    s3_upload_id: str,
    size_bytes: int,
    part_bytes: int,
    lane: Lane,
    note: str | None,
    lifetime: timedelta,
) -> None:
    """Record an upload the store has begun. Commits nothing."""
    await db.execute(
        """
        insert into aseagi.multipart_uploads (id, client_id, submitted_by, key, s3_upload_id,
            size_bytes, part_bytes, lane, note, expires_at)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, now() + %s::interval)
        """,
        (
            *(upload_id, client_id, submitted_by, key, s3_upload_id),
            *(size_bytes, part_bytes, lane, note, lifetime),
        ),
    )


async def open_under(db: Connection, client_id: UUID, key: str) -> list[MultipartUpload]:
    """The client's open uploads that would go to this key."""
    async with db.cursor(row_factory=class_row(MultipartUpload)) as cursor:
        await cursor.execute(
            f"""
            select {_COLUMNS} from aseagi.multipart_uploads
            where client_id = %s and key = %s and state = 'open'
            """,  # noqa: S608
            (client_id, key),
        )
        return await cursor.fetchall()


async def open_s3_uploads(db: Connection) -> set[str]:
    """The store's ids of all open uploads."""
    cursor = await db.execute(
        "select s3_upload_id from aseagi.multipart_uploads where state = 'open'"
    )
    return {row[0] for row in await cursor.fetchall()}


async def count_open(db: Connection, client_id: UUID) -> int:
    """How many uploads in parts the client has begun and not ended."""
    cursor = await db.execute(
        "select count(*) from aseagi.multipart_uploads where client_id = %s and state = 'open'",
        (client_id,),
    )
    return (await only_row(cursor))[0]


async def find_multipart(
    db: Connection, upload_id: UUID, client_id: UUID
) -> MultipartUpload | None:
    """The client's own upload; None for one it does not have."""
    async with db.cursor(row_factory=class_row(MultipartUpload)) as cursor:
        await cursor.execute(
            f"select {_COLUMNS} from aseagi.multipart_uploads where id = %s and client_id = %s",  # noqa: S608
            (upload_id, client_id),
        )
        return await cursor.fetchone()


async def end_multipart(db: Connection, upload_id: UUID, *, state: str) -> None:
    """The upload is `done` or `aborted`; one that ended stays as it is. Commits nothing."""
    await db.execute(
        """
        update aseagi.multipart_uploads set state = %s, settled_at = now()
        where id = %s and state = 'open'
        """,
        (state, upload_id),
    )


async def expired_multiparts(db: Connection, *, limit: int) -> Sequence[MultipartUpload]:
    """Uploads whose time is over: what was sent of them is to be thrown away."""
    async with db.cursor(row_factory=class_row(MultipartUpload)) as cursor:
        await cursor.execute(
            f"""
            select {_COLUMNS} from aseagi.multipart_uploads
            where state = 'open' and expires_at < now() order by expires_at limit %s
            """,  # noqa: S608
            (limit,),
        )
        return await cursor.fetchall()
