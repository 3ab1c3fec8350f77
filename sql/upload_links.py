"""One-time upload links: with one, somebody brings one file, once, without a login."""

from datetime import timedelta
from uuid import UUID

from schema.lanes import Lane
from sql.connection import Connection, only_row


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
    """A link that works once, for `ttl`; only the hash of its token is kept. Commits nothing.

    The same token again is the same link, which is not made to last longer.
    """
    cursor = await db.execute(
        """
        insert into aseagi.upload_links as known
            (token_hash, source, submitted_by, matter, lane, note, expires_at)
        values (%s, %s, %s, %s, %s, %s, now() + %s)
        on conflict (token_hash) do update set source = known.source
        returning id
        """,
        (token_hash, source, submitted_by, matter, lane, note, ttl),
    )
    link_id: UUID = (await only_row(cursor))[0]
    return link_id
