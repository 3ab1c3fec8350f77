"""Rented hosts: the ledger of what is ordered, runs, must end, and has ended.

    intended --order_host-->    ordered   committed before the request is sent
    ordered  --order_refused--> intended  the marketplace said no: nothing was rented
    ordered  --host_rented-->   booting   the instance is known
    booting  --host_started-->  running   its container runs
    any      --end_host-->      ending    it must be destroyed (`intended`: ended at once)
    ending   --host_is_gone-->  ended     a successful listing no longer shows it
    ordered  --host_is_gone-->  ended     … or never showed it, long enough after the order

`sql.sessions` writes the intent, with its reservation, and ends hosts with their session.
Every change names the state it starts from, so two processes that look after the same
host do once what either would do; each returns whether it was the one.

Times are Postgres' own: `Host.seen_at` is its clock, and no other is compared with it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from psycopg.rows import class_row

from sql.connection import Connection, only_row


@dataclass(frozen=True, slots=True)
class Host:
    """A rented host that is not known to be gone."""

    id: UUID
    label: str
    state: str
    session_id: UUID | None
    flow_run_id: UUID | None
    instance_id: int | None
    machine_id: int | None
    gpu_name: str | None
    dollars_per_hour: Decimal
    disk_dollars_per_hour: Decimal
    reserved_dollars: Decimal
    max_dollars: Decimal | None
    created_at: datetime
    ordered_at: datetime | None
    rented_at: datetime | None
    running_at: datetime | None
    ending_at: datetime | None
    destroy_after: datetime | None
    destroys: int
    end_reason: str | None
    failed: bool
    status: str | None
    rehearsal: bool
    deadline_at: datetime | None
    """When its session must be over."""
    last_seen_at: datetime | None
    """When it last spoke to the gateway; its session's beginning, if it never did."""
    seen_at: datetime
    """When this was read."""

    @property
    def age(self) -> timedelta:
        """Since it was rented; zero before."""
        return self.seen_at - self.rented_at if self.rented_at else timedelta()

    @property
    def dollars_so_far(self) -> Decimal:
        """What it has cost by our own reckoning, without traffic: disk always, GPU running."""
        gpu_hours = _hours(self.seen_at - self.running_at) if self.running_at else Decimal(0)
        gpu_per_hour = self.dollars_per_hour - self.disk_dollars_per_hour
        return gpu_per_hour * gpu_hours + self.disk_dollars_per_hour * _hours(self.age)


def _hours(span: timedelta) -> Decimal:
    return Decimal(str(span.total_seconds())) / 3600


_HOST = """
    select host.id, host.label, host.state, host.session_id, attempt.flow_run_id,
        host.instance_id::bigint as instance_id, host.machine_id, host.gpu_name,
        host.dollars_per_hour, host.disk_dollars_per_hour, host.reserved_dollars,
        host.max_dollars, host.created_at, host.ordered_at, host.rented_at, host.running_at,
        host.ending_at, host.destroy_after, host.destroys, host.end_reason, host.failed,
        host.status, host.rehearsal, session.deadline_at, session.last_seen_at,
        now() as seen_at
    from aseagi.gpu_hosts host
    left join aseagi.session_attempts attempt on attempt.id = host.attempt_id
    left join aseagi.ocr_sessions session on session.id = host.session_id
    where host.provider = 'vastai'
"""


async def open_hosts(db: Connection) -> list[Host]:
    """Every rented host not known to be gone, oldest first."""
    async with db.cursor(row_factory=class_row(Host)) as cursor:
        await cursor.execute(f"{_HOST} and host.state <> 'ended' order by host.created_at")
        return await cursor.fetchall()


@dataclass(frozen=True, slots=True)
class RentedHost:
    """A rented host as people look at it, gone or not."""

    id: UUID
    label: str
    state: str
    instance_id: int | None
    gpu_name: str | None
    dollars_per_hour: Decimal
    created_at: datetime
    age_seconds: float
    """From the intent to rent it until it was gone, or until now."""
    billed_seconds: float
    """Of its GPU: while its container ran."""
    dollars: Decimal
    """As charged; before that our own reckoning, without traffic."""
    reserved_dollars: Decimal
    pages_read: int
    pages_held: int
    """Lent to it right now."""
    status: str | None
    end_reason: str | None
    rehearsal: bool


async def newest_rented_hosts(
    db: Connection, *, limit: int, ended_too: bool = True
) -> list[RentedHost]:
    """Hosts that are not gone first, then the others, newest first."""
    async with db.cursor(row_factory=class_row(RentedHost)) as cursor:
        await cursor.execute(
            """
            select host.id, host.label, host.state, host.instance_id::bigint as instance_id,
                host.gpu_name, host.dollars_per_hour, host.created_at,
                extract(epoch from coalesce(host.ended_at, now()) - host.created_at)::float
                    as age_seconds,
                seconds.running::float as billed_seconds,
                round(coalesce(
                    (select sum(dollars) from aseagi.charges where host_id = host.id),
                    ((host.dollars_per_hour - host.disk_dollars_per_hour) * seconds.running
                        + host.disk_dollars_per_hour * seconds.rented) / 3600
                ), 6) as dollars,
                host.reserved_dollars, coalesce(session.pages_read, 0) as pages_read,
                (select count(*) from aseagi.pages page
                    join aseagi.leases lease on lease.id = page.lease_id
                    where lease.session_id = host.session_id and lease.state = 'open'
                        and page.state = 'leased') as pages_held,
                host.status, host.end_reason, host.rehearsal
            from aseagi.gpu_hosts host
            left join aseagi.ocr_sessions session on session.id = host.session_id
            cross join lateral (
                select coalesce(extract(epoch from
                        coalesce(host.ended_at, now()) - host.running_at), 0)::numeric as running,
                    coalesce(extract(epoch from
                        coalesce(host.ended_at, now()) - host.rented_at), 0)::numeric as rented
            ) seconds
            where host.provider = 'vastai' and (%s or host.state <> 'ended')
            order by host.state = 'ended', host.created_at desc, host.label limit %s
            """,
            (ended_too, limit),
        )
        return await cursor.fetchall()


async def find_host(db: Connection, host_id: UUID) -> Host | None:
    """One rented host, whatever its state."""
    async with db.cursor(row_factory=class_row(Host)) as cursor:
        await cursor.execute(f"{_HOST} and host.id = %s", (host_id,))
        return await cursor.fetchone()


async def find_host_by_label(db: Connection, label: str) -> Host | None:
    """One rented host, whatever its state."""
    async with db.cursor(row_factory=class_row(Host)) as cursor:
        await cursor.execute(f"{_HOST} and host.label = %s", (label,))
        return await cursor.fetchone()


async def count_open_hosts(db: Connection) -> int:
    """How many rented hosts are not known to be gone."""
    cursor = await db.execute(
        "select count(*) from aseagi.gpu_hosts where provider = 'vastai' and state <> 'ended'"
    )
    return int((await only_row(cursor))[0])


async def order_host(
    db: Connection,
    host_id: UUID,
    *,
    offer_id: int,
    machine_id: int | None,
    gpu_name: str | None,
    dollars_per_hour: Decimal,
    disk_dollars_per_hour: Decimal,
) -> bool:
    """The order is about to be sent; False when the host is not wanted any more.

    Commit before sending. The reservation made with the intent stays: it was the worst.
    """
    cursor = await db.execute(
        """
        update aseagi.gpu_hosts host
        set state = 'ordered', ordered_at = now(), offer_id = %s, machine_id = %s, gpu_name = %s,
            dollars_per_hour = %s, disk_dollars_per_hour = %s
        where id = %s and state = 'intended'
            and (select paused_at is null from aseagi.controls)
            and exists (select 1 from aseagi.pages where state = 'waiting')
        """,
        (offer_id, machine_id, gpu_name, dollars_per_hour, disk_dollars_per_hour, host_id),
    )
    return cursor.rowcount == 1


async def order_refused(db: Connection, host_id: UUID) -> bool:
    """The marketplace refused: nothing was rented, another offer may be ordered."""
    cursor = await db.execute(
        """
        update aseagi.gpu_hosts set state = 'intended', ordered_at = null
        where id = %s and state = 'ordered' and instance_id is null
        """,
        (host_id,),
    )
    return cursor.rowcount == 1


async def host_rented(db: Connection, host_id: UUID, *, instance_id: int) -> bool:
    """The instance of an order is known; one that must end by now is only remembered."""
    cursor = await db.execute(
        """
        update aseagi.gpu_hosts
        set state = case when state = 'ordered' then 'booting' else state end,
            instance_id = %s, rented_at = coalesce(rented_at, now())
        where id = %s and instance_id is null and state in ('ordered', 'ending')
        """,
        (str(instance_id), host_id),
    )
    return cursor.rowcount == 1


async def host_started(db: Connection, host_id: UUID) -> bool:
    """Its container runs: its GPU is billed from now."""
    cursor = await db.execute(
        """
        update aseagi.gpu_hosts set state = 'running', running_at = now()
        where id = %s and state = 'booting'
        """,
        (host_id,),
    )
    return cursor.rowcount == 1


async def note_status(db: Connection, statuses: Mapping[UUID, str]) -> None:
    """What the marketplace says of each host, for people to read."""
    for host_id, status in statuses.items():
        await db.execute(
            "update aseagi.gpu_hosts set status = %s where id = %s and status is distinct from %s",
            (status, host_id, status),
        )


async def end_host(db: Connection, host_id: UUID, *, reason: str, failed: bool = False) -> bool:
    """It must be destroyed now; `failed` has its machine avoided for a while."""
    cursor = await db.execute(
        """
        update aseagi.gpu_hosts
        set state = case when state = 'intended' then 'ended' else 'ending' end,
            ended_at = case when state = 'intended' then now() end,
            settled_at = case when state = 'intended' then now() end,
            ending_at = now(), destroy_after = now(), end_reason = %s, failed = %s
        where id = %s and state in ('intended', 'ordered', 'booting', 'running')
        """,
        (reason, failed, host_id),
    )
    return cursor.rowcount == 1


async def count_destroy(db: Connection, host_id: UUID) -> None:
    """The marketplace is about to be told to destroy it, once more."""
    await db.execute(
        "update aseagi.gpu_hosts set destroys = destroys + 1 where id = %s", (host_id,)
    )


async def host_is_gone(db: Connection, host_id: UUID, *, reason: str | None = None) -> bool:
    """A successful listing does not show it; `reason` says why, unless that is known."""
    cursor = await db.execute(
        """
        update aseagi.gpu_hosts
        set state = 'ended', ended_at = now(), end_reason = coalesce(end_reason, %s),
            ending_at = coalesce(ending_at, now()), failed = failed or %s,
            settled_at = case when instance_id is null then now() end
        where id = %s and state not in ('intended', 'ended')
        """,
        (reason or "gone", reason is not None, host_id),
    )
    return cursor.rowcount == 1


async def record_stray(
    db: Connection,
    *,
    label: str,
    instance_id: int,
    machine_id: int | None,
    gpu_name: str | None,
    dollars_per_hour: Decimal,
    disk_dollars_per_hour: Decimal,
    rehearsal: bool,
) -> None:
    """An instance with a label of ours that no row knows: it gets one, and must end.

    A second instance under one order's label is one too: its row's label says so.
    """
    await db.execute(
        """
        insert into aseagi.gpu_hosts (provider, label, state, instance_id, machine_id, gpu_name,
            dollars_per_hour, disk_dollars_per_hour, reserved_dollars, rehearsal, ordered_at,
            rented_at, running_at, ending_at, destroy_after, end_reason)
        values ('vastai', %(label)s || '#' || %(instance)s, 'ending', %(instance)s, %(machine)s,
            %(gpu)s, %(dollars)s, %(disk)s, %(dollars)s, %(rehearsal)s, now(), now(), now(),
            now(), now(), 'no session owns it')
        on conflict do nothing
        """,
        {
            "label": label,
            "instance": str(instance_id),
            "machine": machine_id,
            "gpu": gpu_name,
            "dollars": dollars_per_hour,
            "disk": disk_dollars_per_hour,
            "rehearsal": rehearsal,
        },
    )


async def reopen_hosts(db: Connection, instance_ids: Sequence[int]) -> set[int]:
    """Hosts believed gone that a listing shows all the same: they must end again."""
    cursor = await db.execute(
        """
        update aseagi.gpu_hosts
        set state = 'ending', ended_at = null, settled_at = null, ending_at = now(),
            destroy_after = now()
        where provider = 'vastai' and state = 'ended' and instance_id = any(%s)
        returning instance_id::bigint
        """,
        ([str(one) for one in instance_ids],),
    )
    return {row[0] for row in await cursor.fetchall()}


async def avoided_machines(db: Connection, *, within: timedelta) -> set[int]:
    """Machines whose host failed us lately."""
    cursor = await db.execute(
        """
        select distinct machine_id from aseagi.gpu_hosts
        where failed and machine_id is not null and created_at > now() - %s::interval
        """,
        (within,),
    )
    return {row[0] for row in await cursor.fetchall()}


@dataclass(frozen=True, slots=True)
class MeasuredSpeed:
    """Pages the gateway accepted from hosts of one GPU model, and the seconds they were billed."""

    gpu_name: str
    pages: int
    billed_seconds: float


async def measured_speeds(db: Connection, *, since: timedelta) -> list[MeasuredSpeed]:
    """Accepted pages and billed seconds by GPU model, of hosts that are gone."""
    async with db.cursor(row_factory=class_row(MeasuredSpeed)) as cursor:
        await cursor.execute(
            """
            select host.gpu_name, sum(session.pages_read)::bigint as pages,
                sum(extract(epoch from host.ended_at - host.running_at))::float as billed_seconds
            from aseagi.gpu_hosts host join aseagi.ocr_sessions session
                on session.id = host.session_id
            where host.provider = 'vastai' and host.state = 'ended' and host.gpu_name is not null
                and host.running_at is not null and session.pages_read > 0
                and host.ended_at > now() - %s::interval
            group by host.gpu_name
            """,
            (since,),
        )
        return await cursor.fetchall()


async def count_waiting_work(db: Connection) -> tuple[int, int]:
    """Pages nobody holds, and the bytes of the documents they are in, for the ranking."""
    cursor = await db.execute(
        """
        select count(*), coalesce(sum(document.size_bytes / greatest(document.page_count, 1)), 0)
        from aseagi.pages page join aseagi.documents document on document.id = page.document_id
        where page.state = 'waiting'
        """
    )
    row = await only_row(cursor)
    return int(row[0]), int(row[1])
