"""The one switch that stops all spending, and the row that serialises decisions about sessions."""

from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from sql.connection import Connection, only_row


@dataclass(frozen=True, slots=True)
class Controls:
    """Whether spending is paused, since when and why."""

    paused_at: datetime | None
    paused_reason: str | None

    @property
    def paused(self) -> bool:
        """True while nothing may be spent."""
        return self.paused_at is not None


async def read_controls(db: Connection) -> Controls:
    """Look at the switch without locking it."""
    async with db.cursor(row_factory=class_row(Controls)) as cursor:
        await cursor.execute("select paused_at, paused_reason from aseagi.controls")
        return await only_row(cursor)


async def lock_controls(db: Connection) -> Controls:
    """Lock the row until the transaction ends: one decision about sessions at a time."""
    async with db.cursor(row_factory=class_row(Controls)) as cursor:
        await cursor.execute("select paused_at, paused_reason from aseagi.controls for update")
        return await only_row(cursor)


async def pause(db: Connection, *, reason: str) -> None:
    """Stop all spending; pausing twice keeps the first time and reason."""
    await db.execute(
        """
        update aseagi.controls set paused_at = now(), paused_reason = %s
        where paused_at is null
        """,
        (reason,),
    )


async def resume(db: Connection) -> None:
    """Allow spending again, and forget the failures the breaker counted until now."""
    await db.execute(
        "update aseagi.controls set paused_at = null, paused_reason = null, resumed_at = now()"
    )


async def open_night(db: Connection, *, hours: float) -> None:
    """Let what waits for the night be analysed from now on, for so many hours at least."""
    await db.execute(
        """
        update aseagi.controls
        set night_until = greatest(night_until, now() + make_interval(secs => %s))
        """,
        (hours * 3600,),
    )


async def read_namespace(db: Connection) -> str:
    """Twelve hexadecimal digits in the label of every host of this house, and of no other."""
    cursor = await db.execute("select namespace from aseagi.controls")
    return (await only_row(cursor))[0]
