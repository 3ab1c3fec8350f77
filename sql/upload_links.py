"""Links with which somebody brings one file, once.

    open --a file arrives--> used (claimed) --stored--> used, with the key it went to
                             claimed by a gateway that died: used, without a key; the
                             person asks for another link

Only the hash of a link's secret is kept.
"""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from psycopg.rows import class_row

from schema.lanes import Lane
from sql.arrivals import SeenObject
from sql.connection import Connection, only_row


@dataclass(frozen=True, slots=True)
class UploadLink:
    """A link that may be used now."""

    id: UUID
    source: str
    submitted_by: str
    matter: str | None
    lane: Lane
    note: str | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "lane", Lane(self.lane))


async def create_link(
    db: Connection,
    *,
    token_hash: bytes,
    source: str,
    submitted_by: str,
    matter: str | None,
    lane: Lane,
    note: str | None,
    ttl: timedelta,
) -> UUID:
    """Record a link that works once, for so long. Commits nothing."""
    cursor = await db.execute(
        """
        insert into aseagi.upload_links (token_hash, source, submitted_by, matter, lane, note,
            expires_at)
        values (%s, %s, %s, %s, %s, %s, now() + %s::interval)
        returning id
        """,
        (token_hash, source, submitted_by, matter, lane, note, ttl),
    )
    return (await only_row(cursor))[0]


async def find_link(db: Connection, token_hash: bytes) -> UploadLink | None:
    """The link, while it may be used."""
    async with db.cursor(row_factory=class_row(UploadLink)) as cursor:
        await cursor.execute(
            """
            select id, source, submitted_by, matter, lane, note from aseagi.upload_links
            where token_hash = %s and used_at is null and expires_at > now()
            """,
            (token_hash,),
        )
        return await cursor.fetchone()


async def claim_link(db: Connection, link_id: UUID) -> bool:
    """Use the link; False if somebody else has. Commits nothing.

    Whether its time is over was asked when the upload began: a large file takes a while.
    """
    cursor = await db.execute(
        """
        update aseagi.upload_links set used_at = now() where id = %s and used_at is null
        """,
        (link_id,),
    )
    return cursor.rowcount > 0


async def give_link_back(db: Connection, link_id: UUID) -> None:
    """The file could not be stored: the link works again. Commits nothing."""
    await db.execute(
        "update aseagi.upload_links set used_at = null where id = %s and key is null", (link_id,)
    )


async def settle_link(db: Connection, link_id: UUID, seen: SeenObject) -> None:
    """The file that came with the link went there. Commits nothing."""
    await db.execute(
        "update aseagi.upload_links set key = %s, etag = %s, size_bytes = %s where id = %s",
        (seen.key, seen.etag, seen.size_bytes, link_id),
    )
