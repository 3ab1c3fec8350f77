"""What pages are read on and what that costs, as far as the house knows: for `aseagi estimate`.

Prices are those of the hosts rented last, speeds those that offers are ranked by. Where nothing
was rented yet, a host costs what it may cost and reads as fast as is published of an RTX 4080.
Imports Prefect: import it when its address is known.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from blocks.loading import load_if_there
from blocks.reading import Reading
from blocks.spending import Spending
from blocks.vast_account import VastAccount
from cli.hosts import wishes
from sql.charges import charges_of_host
from sql.connection import Connection
from sql.hosts import MeasuredSpeed, RentedHost, measured_speeds, newest_rented_hosts
from tasks.estimating import OWN_CPU_PAGES_PER_SECOND, Reader
from work_pools.vastai.ordering import SPEEDS_SINCE
from work_pools.vastai.speeds import PUBLISHED_PAGES_PER_SECOND, PagesPerSecond, expected_speed

LATEST_HOSTS = 20
"""Hosts rented last, whose prices are taken for the next ones'."""


@dataclass(frozen=True, slots=True)
class Basis:
    """What pages are read on, and in words where that is known from."""

    reader: Reader
    told: str


async def basis_of(db: Connection, reading: Reading, spending: Spending) -> Basis:
    """What the pages of this house are read on. Raises `Misconfigured` as `cli.hosts.wishes`."""
    if not reading.rents:
        return own_machine(reading, spending)
    _, image = await wishes(None)
    account = await load_if_there(VastAccount)
    is_rehearsal = account is not None and account.is_rehearsal
    hosts = [
        host
        for host in await newest_rented_hosts(db, limit=LATEST_HOSTS)
        if host.rehearsal == is_rehearsal and host.gpu_name is not None and host.billed_seconds > 0
    ]
    charges = [await charges_of_host(db, host.id) for host in hosts if host.state == "ended"]
    traffic = [one.get("bandwidth", Decimal(0)) for one in charges if one]
    return rented(
        reading,
        spending,
        hosts,
        await measured_speeds(db, since=SPEEDS_SINCE),
        image_gb=image.gigabytes,
        starting_seconds=image.startup_seconds,
        traffic=traffic,
        is_rehearsal=is_rehearsal,
    )


def own_machine(reading: Reading, spending: Spending) -> Basis:
    """A machine of one's own costs what is said of it: nothing, if nothing is."""
    on_cpu = reading.engine.startswith("rapidocr")
    speed = OWN_CPU_PAGES_PER_SECOND if on_cpu else PUBLISHED_PAGES_PER_SECOND
    per_hour = Decimal(str(spending.own_machine_dollars_per_hour))
    reader = Reader(
        pages_per_second=speed,
        dollars_per_hour=per_hour,
        starting_seconds=0.0,
        idle_seconds=reading.idle_seconds,
        session_seconds=reading.session_minutes * 60.0,
        max_session_dollars=per_hour * reading.session_minutes / 60,
        max_hosts=reading.max_hosts,
        pages_per_session=reading.pages_per_session,
    )
    if not per_hour:
        return Basis(reader, "pages are read on a machine of your own, for nothing")
    return Basis(
        reader,
        f"{speed:g} pages/s on a machine of your own at ${per_hour:.2f}/h, "
        f"{reading.idle_seconds} s of waiting a session",
    )


def rented(
    reading: Reading,
    spending: Spending,
    hosts: Sequence[RentedHost],
    measured: Sequence[MeasuredSpeed],
    *,
    image_gb: float,
    starting_seconds: float,
    traffic: Sequence[Decimal],
    is_rehearsal: bool,
) -> Basis:
    """Rented hosts cost what the latest ones did; before there are any, what they may."""
    speeds = {
        one.gpu_name: PagesPerSecond(one.pages / one.billed_seconds, one.pages)
        for one in measured
        if one.billed_seconds > 0
    }
    expected = [expected_speed(host.gpu_name, speeds) for host in hosts]
    per_gb = Decimal(str(spending.max_dollars_per_gb))
    if hosts:
        speed = len(expected) / sum(1 / one.pages_per_second for one in expected)
        per_hour = sum((host.dollars_per_hour for host in hosts), Decimal(0)) / len(hosts)
        known = "measured" if all(one.source == "measured" for one in expected) else "published"
        price = f"${per_hour:.3f}/h, the mean of the hosts rented last ({len(hosts)})"
    else:
        speed, known = PUBLISHED_PAGES_PER_SECOND, "published"
        per_hour = Decimal(str(spending.max_dollars_per_hour))
        price = f"${per_hour:.2f}/h, the most that a host may cost"
    pull = sum(traffic, Decimal(0)) / len(traffic) if traffic else per_gb * Decimal(str(image_gb))
    reader = Reader(
        pages_per_second=speed,
        dollars_per_hour=per_hour,
        starting_seconds=starting_seconds,
        idle_seconds=reading.idle_seconds,
        session_seconds=reading.session_minutes * 60.0,
        max_session_dollars=Decimal(str(spending.max_dollars_per_host)),
        max_hosts=reading.max_hosts,
        pages_per_session=reading.pages_per_session,
        dollars_to_pull=pull,
        dollars_per_gb=per_gb,
    )
    rehearsal = " (the marketplace is a rehearsal, no money)" if is_rehearsal else ""
    return Basis(
        reader,
        f"{speed:.1f} pages/s ({known}) at {price}{rehearsal}; each session {starting_seconds:.0f} "
        f"s of start, {reading.idle_seconds} s of waiting and ${pull:.3f} of traffic, and "
        f"${per_gb}/GB for the files",
    )
