"""Money: what was spent, on what, when."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal
from uuid import UUID

from psycopg.rows import class_row

from sql.connection import Connection, only_row

Kind = Literal["gpu", "disk", "bandwidth", "llm", "storage", "fixed"]


@dataclass(frozen=True, slots=True)
class Charge:
    """One thing paid for. `key` names it, so that recording it twice is recording it once."""

    key: str
    kind: Kind
    dollars: Decimal
    quantity: Decimal
    unit: str
    what: str
    incurred_on: date
    document_id: UUID | None = None
    session_id: UUID | None = None


async def record_charges(db: Connection, charges: Sequence[Charge]) -> int:
    """Record charges not recorded before; return how many were new."""
    new = 0
    for charge in charges:
        cursor = await db.execute(
            """
            insert into aseagi.charges (key, kind, dollars, quantity, unit, what, incurred_on,
                document_id, session_id)
            values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
            on conflict (key) do nothing
            """,
            (
                charge.key,
                charge.kind,
                charge.dollars,
                charge.quantity,
                charge.unit,
                charge.what,
                charge.incurred_on,
                charge.document_id,
                charge.session_id,
            ),
        )
        new += cursor.rowcount
    return new


@dataclass(frozen=True, slots=True)
class DayCost:
    """Dollars of one kind on one day."""

    day: date
    kind: Kind
    dollars: Decimal


async def costs_by_day(db: Connection, *, since: date) -> list[DayCost]:
    """Dollars by day and kind from `since` on."""
    async with db.cursor(row_factory=class_row(DayCost)) as cursor:
        await cursor.execute(
            """
            select incurred_on as day, kind, sum(dollars) as dollars from aseagi.charges
            where incurred_on >= %s group by incurred_on, kind order by incurred_on, kind
            """,
            (since,),
        )
        return await cursor.fetchall()


async def session_cost(db: Connection, session_id: UUID) -> Decimal:
    """What a session has cost so far, as charged."""
    cursor = await db.execute(
        "select coalesce(sum(dollars), 0) from aseagi.charges where session_id = %s", (session_id,)
    )
    row = await only_row(cursor)
    return row[0]


async def last_charged_day(db: Connection, *, kind: Kind) -> date | None:
    """The newest day with a charge of that kind."""
    cursor = await db.execute(
        "select max(incurred_on) from aseagi.charges where kind = %s", (kind,)
    )
    return (await only_row(cursor))[0]


async def month_to_date(db: Connection) -> Decimal:
    """Dollars charged since the first of this month (UTC)."""
    cursor = await db.execute(
        """
        select coalesce(sum(dollars), 0) from aseagi.charges
        where incurred_on >= date_trunc('month', now() at time zone 'utc')
        """
    )
    return (await only_row(cursor))[0]
