"""Money: what was spent, on what, when."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
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


async def session_cost_so_far(db: Connection, session_id: UUID) -> Decimal:
    """What a session's hosts have cost: as charged, else by our own reckoning, without traffic."""
    charged = await session_cost(db, session_id)
    if charged:
        return charged
    cursor = await db.execute(
        """
        select coalesce(round(sum(dollars_per_hour * extract(epoch from
            coalesce(ended_at, now()) - coalesce(running_at, rented_at, created_at))::numeric
            / 3600), 6), 0)
        from aseagi.gpu_hosts where session_id = %s and state <> 'intended'
        """,
        (session_id,),
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


async def charged_against_budget(db: Connection) -> Decimal:
    """Dollars of this month that count against the budget: all but the fixed costs.

    Without what open hosts may still cost, so it only grows within a month.
    """
    cursor = await db.execute(
        """
        select coalesce(sum(dollars), 0) from aseagi.charges
        where kind not in ('fixed', 'storage')
            and incurred_on >= date_trunc('month', now() at time zone 'utc')
        """
    )
    return (await only_row(cursor))[0]


async def committed_dollars(db: Connection) -> Decimal:
    """What this month has cost beyond the fixed costs, plus what is set aside.

    Set aside is what open hosts and questions to Claude may still cost, and what answers of this
    month that never came may have cost.
    """
    cursor = await db.execute(
        """
        select (select coalesce(sum(dollars), 0) from aseagi.charges
                where kind not in ('fixed', 'storage')
                    and incurred_on >= date_trunc('month', now() at time zone 'utc'))
            + (select coalesce(sum(reserved_dollars), 0) from aseagi.gpu_hosts
                where state <> 'ended')
            + (select coalesce(sum(reserved_dollars), 0) from aseagi.claude_calls
                where state = 'intended' or (state = 'uncertain' and settled_at
                    >= date_trunc('month', now() at time zone 'utc') at time zone 'utc'))
        """
    )
    return (await only_row(cursor))[0]


async def begun_in_vain(db: Connection, *, since: datetime) -> bool:
    """Whether the newest session closed after `since` was refused its host by the budget.

    A session is wanted while the budget is not used up, and refused its host when what the
    host may cost at worst no longer fits (`sql.sessions.begin_attempt`).
    """
    cursor = await db.execute(
        """
        select started_at is null and close_reason like '%%budget%%' from aseagi.ocr_sessions
        where state = 'closed' and closed_at >= %s order by closed_at desc limit 1
        """,
        (since,),
    )
    row = await cursor.fetchone()
    return bool(row and row[0])


@dataclass(frozen=True, slots=True)
class UnsettledHost:
    """A rented host that is gone, whose cost is our own estimate until the bill is final."""

    id: UUID
    session_id: UUID | None
    instance_id: int
    label: str
    gpu_name: str | None
    rehearsal: bool
    rented_on: date
    ended_at: datetime
    gpu_dollars: Decimal
    gpu_seconds: Decimal
    disk_dollars: Decimal
    disk_seconds: Decimal
    is_old: bool
    """Whether it ended so long ago that its bill is final."""


async def unsettled_hosts(db: Connection, *, final_after: timedelta) -> list[UnsettledHost]:
    """Rented hosts that are gone and whose bill was not final when last looked at."""
    async with db.cursor(row_factory=class_row(UnsettledHost)) as cursor:
        await cursor.execute(
            """
            select id, session_id, instance_id::bigint as instance_id, label, gpu_name, rehearsal,
                (rented_at at time zone 'utc')::date as rented_on, ended_at,
                round((dollars_per_hour - disk_dollars_per_hour)
                    * coalesce(extract(epoch from ended_at - running_at), 0)::numeric / 3600, 6)
                    as gpu_dollars,
                coalesce(extract(epoch from ended_at - running_at), 0)::numeric as gpu_seconds,
                round(disk_dollars_per_hour
                    * extract(epoch from ended_at - rented_at)::numeric / 3600, 6) as disk_dollars,
                extract(epoch from ended_at - rented_at)::numeric as disk_seconds,
                ended_at < now() - %s::interval as is_old
            from aseagi.gpu_hosts
            where provider = 'vastai' and state = 'ended' and settled_at is null
                and instance_id is not null
            order by ended_at
            """,
            (final_after,),
        )
        return await cursor.fetchall()


async def charge_host(
    db: Connection,
    host: UnsettledHost,
    parts: Mapping[Kind, tuple[Decimal, Decimal, str]],
    *,
    final: bool,
) -> None:
    """Set what a host cost, by kind: (dollars, quantity, unit). A later bill replaces an earlier.

    A part that the bill does not have cost nothing. `final` closes the account.
    """
    await db.execute("select 1 from aseagi.gpu_hosts where id = %s for update", (host.id,))
    await db.execute(
        "update aseagi.charges set dollars = 0, quantity = 0 where host_id = %s", (host.id,)
    )
    what = f"{'rehearsal, no money: ' if host.rehearsal else ''}{host.gpu_name or 'GPU host'}"
    for kind, (dollars, quantity, unit) in parts.items():
        await db.execute(
            """
            insert into aseagi.charges
                (key, kind, dollars, quantity, unit, what, incurred_on, session_id, host_id)
            values (%s, %s, %s, %s, %s, %s, (%s at time zone 'utc')::date, %s, %s)
            on conflict (key) do update
                set dollars = excluded.dollars, quantity = excluded.quantity
            """,
            (
                f"host:{host.id}:{kind}",
                kind,
                dollars,
                quantity,
                unit,
                what,
                host.ended_at,
                host.session_id,
                host.id,
            ),
        )
    if final:
        await db.execute("update aseagi.gpu_hosts set settled_at = now() where id = %s", (host.id,))


async def is_charged(db: Connection, host_id: UUID) -> bool:
    """Whether anything was charged for the host already."""
    cursor = await db.execute("select 1 from aseagi.charges where host_id = %s limit 1", (host_id,))
    return await cursor.fetchone() is not None


async def charges_of_host(db: Connection, host_id: UUID) -> dict[str, Decimal]:
    """Dollars charged for the host so far, by kind."""
    cursor = await db.execute(
        "select kind, sum(dollars) from aseagi.charges where host_id = %s group by kind", (host_id,)
    )
    return {row[0]: row[1] for row in await cursor.fetchall()}
