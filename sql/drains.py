"""Single flight: a drain holds its name for a while, renews it, and gives it back.

A killed holder loses the name when its time is over; nobody waits longer than that.
"""

from datetime import timedelta
from uuid import UUID

from sql.connection import Connection


async def hold(db: Connection, name: str, *, holder: UUID, ttl: timedelta) -> bool:
    """Take or renew `name` for `holder`; False while another holds it."""
    cursor = await db.execute(
        """
        insert into aseagi.drains as mine (name, holder, expires_at)
        values (%(name)s, %(holder)s, now() + %(ttl)s)
        on conflict (name) do update
            set holder = excluded.holder, expires_at = excluded.expires_at
            where mine.holder = excluded.holder or mine.expires_at < now()
        returning name
        """,
        {"name": name, "holder": holder, "ttl": ttl},
    )
    return await cursor.fetchone() is not None


async def release(db: Connection, name: str, *, holder: UUID) -> None:
    """Give `name` back; no effect if another holds it by now."""
    await db.execute("delete from aseagi.drains where name = %s and holder = %s", (name, holder))


async def is_held(db: Connection, name: str) -> bool:
    """Whether a drain of that name is at work (or died less than its time ago)."""
    cursor = await db.execute(
        "select 1 from aseagi.drains where name = %s and expires_at >= now()", (name,)
    )
    return await cursor.fetchone() is not None
