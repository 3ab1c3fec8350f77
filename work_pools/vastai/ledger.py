"""What rented hosts cost: our own reckoning at once, the marketplace's bill when it is there.

Between a host's end and its final bill the charge is an estimate (GPU while running,
disk while rented, no traffic), so that the budget is never blind. Each look at the bill
replaces what was charged for a host; after `FINAL_AFTER` the bill is taken as final.
Doing it twice is doing it once.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from blocks.database import Database
from sql.charges import Kind, UnsettledHost, charge_host, is_charged, unsettled_hosts
from sql.connection import Connection
from work_pools.vastai.client import Marketplace
from work_pools.vastai.models import ChargeRow

FINAL_AFTER = timedelta(hours=2)
"""The bill was seen to grow for a while after the instance was gone."""

_KINDS: dict[str, Kind] = {"gpu": "gpu", "disk": "disk", "bwd": "bandwidth", "bwu": "bandwidth"}

Parts = dict[Kind, tuple[Decimal, Decimal, str]]


async def charge_estimates(db: Connection) -> None:
    """Charge our own reckoning for hosts that are gone and not charged yet.

    In the transaction that calls a host gone: its reservation ends there, its charge begins.
    """
    for host in await unsettled_hosts(db, final_after=FINAL_AFTER):
        if not await is_charged(db, host.id):
            await charge_host(db, host, _estimate(host), final=False)


async def settle_charges(
    database: Database, marketplace: Marketplace, *, final_after: timedelta = FINAL_AFTER
) -> int:
    """Charge what the marketplace bills for hosts that are gone; return how many are final now.

    Asks nothing when no host is unsettled. Raises `MarketplaceError` when the bill
    cannot be read: the estimates stay.
    """
    async with database.connect() as db:
        hosts = await unsettled_hosts(db, final_after=final_after)
    if not hosts:
        return 0
    first = min(host.rented_on for host in hosts)
    bill = _by_instance(await marketplace.charges(first, datetime.now(UTC).date()))
    final = 0
    for host in hosts:
        rows = bill.get(host.instance_id)
        if rows is None and not host.is_old:
            continue
        parts = _estimate(host) if rows is None else _billed(rows, host)
        async with database.connect() as db:
            await charge_host(db, host, parts, final=host.is_old)
        final += host.is_old
    return final


def _by_instance(rows: Iterable[ChargeRow]) -> dict[int, list[ChargeRow]]:
    bill: dict[int, list[ChargeRow]] = defaultdict(list)
    for row in rows:
        if row.instance_id is not None:
            bill[row.instance_id].append(row)
    return bill


def _estimate(host: UnsettledHost) -> Parts:
    return {
        "gpu": (host.gpu_dollars, host.gpu_seconds, "second"),
        "disk": (host.disk_dollars, host.disk_seconds, "second"),
    }


def _billed(rows: Sequence[ChargeRow], host: UnsettledHost) -> Parts:
    """The bill by kind. What it does not itemise, credits too, is counted with the GPU.

    So the parts always add up to the bill's own total.
    """
    dollars: dict[Kind, Decimal] = {
        "gpu": Decimal(0),
        "disk": Decimal(0),
        "bandwidth": Decimal(0),
    }
    for row in rows:
        known = Decimal(0)
        for item in row.items:
            kind = _KINDS.get(item.type)
            if kind is not None:
                dollars[kind] += item.amount
                known += item.amount
        dollars["gpu"] += row.amount - known
    return {
        "gpu": (max(dollars["gpu"], Decimal(0)), host.gpu_seconds, "second"),
        "disk": (max(dollars["disk"], Decimal(0)), host.disk_seconds, "second"),
        "bandwidth": (max(dollars["bandwidth"], Decimal(0)), Decimal(1), "bill"),
    }
