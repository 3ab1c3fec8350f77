"""Hundreds of sessions on rented hosts, with random faults: what they cost beyond the ideal.

    python -m bench.soak --sessions 300

A house on a real Postgres rents on the rehearsal marketplace, whose clock runs 60 times
faster; so do all our patiences. Documents come at random moments. The marketplace loses
answers, denies successes, lets hosts hang, vanish and fail; workers die; hosts say nothing
or die in mid-document; somebody rents behind our back; and a person resumes what a breaker
stopped. Real are the dispatcher's SQL, the orders, two fleets beside each other, the ledger
and the bill. A host is a coroutine that lends pages and settles them as a session does.

At the end no host is left, every cent billed is in the ledger under its own row, and every
page was read once or given up after three hosts (`Rental.check_the_books`). The ideal is
what the reading alone cost: pages times seconds a page, at the price of the host that read it.
"""

import argparse
import asyncio
import contextlib
import logging
import random
import tempfile
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
from psycopg import AsyncConnection
from rich.console import Console
from rich.table import Table

from bench.results import Figure, write_results
from schema.lanes import Lane
from sql import sessions
from sql.connection import Connection, connect
from sql.controls import read_controls, resume
from sql.leases import lease_pages, release_leases, settle_pages
from sql.migrate import migrate
from sql.sessions import (
    Begun,
    begin_attempt,
    close_if_idle,
    close_session,
    mark_seen,
    open_sessions,
    want_sessions,
)
from stack.postgres import start_postgres
from tests.sql.house import House, all_read
from tests.work_pools.vastai.rental import IMAGE, REQUIREMENTS, Rental, Site, open_rental
from work_pools.vastai import fleet, ordering
from work_pools.vastai.errors import MarketplaceError
from work_pools.vastai.ledger import settle_charges
from work_pools.vastai.ordering import NotRented
from work_pools.vastai.verdicts import Patience

SCALE = 60
"""Seconds of the marketplace's clock, and of all our patiences, in a real one."""
LIFETIME = timedelta(hours=1) / SCALE
BOOT_SECONDS = 30.0
READ_LAG_SECONDS = 5.0
PAGE_SECONDS = 2.0
"""To read one page, on the marketplace's clock."""
LEASE_PAGES = 10
PAGES_PER_SESSION = 30
MAX_HOSTS = 8
LOOK_SECONDS = 0.2
"""Real seconds between turns of whatever looks again and again."""
QUIET_SECONDS = 60.0

FAULTS: tuple[tuple[str, str], ...] = (
    *(("create", kind) for kind in ("commit-then-502", "commit-then-drop", "offer-taken")),
    *(("create", kind) for kind in ("429", "500", "html-200", "rented-twice", "bid-too-low")),
    *(("boot", kind) for kind in ("stuck-null", "stuck-loading", "oci-error", "exited-at-once")),
    *(("running", kind) for kind in ("offline", "outbid", "frozen", "unknown", "exited")),
    *(("list", kind) for kind in ("429", "500", "odd-shape", "410", "auth-404")),
    *(("destroy", kind) for kind in ("auth-404", "success-false", "429", "no-such-instance")),
    ("destroy", "commit-then-500"),
    ("search", "500"),
    ("search", "empty"),
)
RARE_FAULTS = (("boot", "image-error"), ("create", "insufficient-credit"))
"""They stop all spending until a person resumes."""


@dataclass
class Report:
    """What happened, and what it cost."""

    sessions: int = 0
    hosts: int = 0
    barren_hosts: int = 0
    """Rented, and not one page read."""
    pages_done: int = 0
    pages_failed: int = 0
    faults: Counter[str] = field(default_factory=Counter[str])
    resumed: int = 0
    billed: Decimal = Decimal(0)
    ideal: Decimal = Decimal(0)
    billed_barren: Decimal = Decimal(0)
    seconds: float = 0.0

    @property
    def beyond(self) -> Decimal:
        """Dollars billed beyond the reading alone."""
        return self.billed - self.ideal


def compressed(patience: Patience) -> Patience:
    """The same patience on a clock that runs `SCALE` times faster."""
    spans: dict[str, Any] = {
        one.name: value / SCALE
        for one in fields(patience)
        if one.name != "avoid_machine"
        and isinstance(value := getattr(patience, one.name), timedelta)
    }
    # A day without a machine that failed is longer than the marketplace has machines for.
    return replace(patience, **spans, avoid_machine=timedelta(minutes=20) / SCALE)


class Soak:
    """One house, and all that happens to it."""

    def __init__(self, rental: Rental, *, at_least: int, seed: int) -> None:
        self._rental = rental
        self._at_least = at_least
        self._chance = random.Random(seed)  # noqa: S311 - reproducible faults, not secrets
        self._report = Report()
        self._calm = asyncio.Event()
        """No new faults: what waits still must be read."""
        self._over = asyncio.Event()
        self._alive: set[str] = set()

    async def run(self, tell: Callable[[str], None] = print) -> Report:
        """Everything at once, until enough sessions closed; then until nothing is left."""
        started = time.monotonic()
        async with asyncio.TaskGroup() as self._group:
            for turn in (
                self._dispatch,
                self._rental.turn,
                self._rental.turn,
                self._settle,
                self._run_hosts,
                self._person,
                self._mischief,
            ):
                self._group.create_task(self._again(turn))
            await self._documents_come(tell)
            self._calm.set()
            await self._rental.site.forget_faults()
            await self._until(self._all_pages_settled, "pages wait still")
            self._over.set()
            self._alive.clear()
        await self._rental.until_quiet(QUIET_SECONDS)
        await self._rental.check_the_books()
        await self._add_up()
        self._report.seconds = time.monotonic() - started
        return self._report

    async def _again(self, turn: Callable[[], Any]) -> None:
        while not self._over.is_set():
            await turn()
            await asyncio.sleep(LOOK_SECONDS * self._chance.uniform(0.5, 1.5))

    async def _until(self, holds: Callable[[], Any], otherwise: str) -> None:
        deadline = time.monotonic() + QUIET_SECONDS * 2
        while not await holds():
            if time.monotonic() > deadline:
                raise AssertionError(f"{otherwise}: {await self._rental.describe()}")
            await asyncio.sleep(LOOK_SECONDS)

    @asynccontextmanager
    async def _db(self) -> AsyncGenerator[Connection]:
        async with self._rental.database.connect() as db:
            yield db

    async def _documents_come(self, tell: Callable[[str], None]) -> None:
        told = 0
        closed = "select count(*) from aseagi.ocr_sessions where state = 'closed'"
        while (done := await self._rental.house.one(closed)) < self._at_least:
            if done >= told + 25:
                told = done
                tell(f"{done} of {self._at_least} sessions, {self._report.faults.total()} faults")
            for _ in range(self._chance.randint(0, 5)):
                await self._rental.house.add_scan(self._chance.randint(1, 40))
            await asyncio.sleep(self._chance.uniform(0, 1.0))

    async def _all_pages_settled(self) -> bool:
        query = "select count(*) from aseagi.pages where state in ('waiting', 'leased')"
        return await self._rental.house.one(query) == 0

    async def _dispatch(self) -> None:
        async with self._db() as db:
            await release_leases(db)
        async with self._db() as db:
            await want_sessions(
                db,
                lanes=(Lane.NOW, Lane.BULK),
                max_hosts=MAX_HOSTS,
                pages_per_session=PAGES_PER_SESSION,
                session_dollars=Decimal("0.5"),
                budget_dollars=Decimal(500),
            )
        async with self._db() as db:
            wanted = [one.id for one in await open_sessions(db) if one.state == "wanted"]
        for session_id in wanted:
            work = self._work(session_id)
            if self._chance.random() < 0.05:
                work = self._killed(work)
            self._group.create_task(work)
        # A session begins in its task; until it has, it would be started again.
        await asyncio.sleep(LOOK_SECONDS)

    async def _killed(self, work: Any) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(work, self._chance.uniform(0.01, 0.3))

    async def _work(self, session_id: UUID) -> None:
        """What the worker does for a session."""
        rental = self._rental
        new = rental.attempt(
            flow_run_id=uuid4(), budget_dollars=Decimal(500), max_hosts=MAX_HOSTS,
            lifetime=LIFETIME,
        )  # fmt: skip
        async with self._db() as db:
            begun = await begin_attempt(db, new, session_id=session_id)
        if not isinstance(begun, Begun):
            return
        outcome = await rental.orders.rent(
            begun.host_id, environment={}, requirements=REQUIREMENTS, image=IMAGE
        )
        if isinstance(outcome, NotRented):
            async with self._db() as db:
                await close_session(db, begun.session_id, reason=outcome.reason)

    async def _settle(self) -> None:
        with contextlib.suppress(MarketplaceError):
            await settle_charges(self._rental.database, self._rental.marketplace)

    async def _run_hosts(self) -> None:
        """Let the hosts that the marketplace runs do what hosts do, and no others."""
        running = {
            host["label"]: host["id"]
            for host in await self._rental.rented()
            if host["exists"] and host["actual_status"] == "running"
        }
        for label in running.keys() - self._alive:
            self._group.create_task(self._host(label))
        self._alive = set(running)

    async def _host(self, label: str) -> None:
        rows = await self._rental.house.rows(
            "select session_id, attempt_id from aseagi.gpu_hosts where label = %s", label
        )
        if not rows:
            return  # rented behind our back
        session_id, attempt_id = rows[0]
        fate, leases, born = self._chance.random(), 0, time.monotonic()
        if fate < 0.04:
            return  # it never speaks
        while label in self._alive:
            async with self._db() as db:
                await mark_seen(db, session_id)
                lease = await lease_pages(
                    db,
                    session_id=session_id,
                    attempt_id=attempt_id,
                    limit=LEASE_PAGES,
                    ttl=timedelta(minutes=5) / SCALE,
                )
            if lease is None:
                async with self._db() as db:
                    over = time.monotonic() > born + LIFETIME.total_seconds() * 0.8
                    if await close_if_idle(
                        db, session_id, reason="nothing left to read", must_close=over
                    ):
                        return
                await asyncio.sleep(LOOK_SECONDS)
                continue
            leases += 1
            if fate > 0.96 and leases == 2:
                return  # it hangs with pages in its hands
            await asyncio.sleep(len(lease.pages) * PAGE_SECONDS / SCALE)
            if label not in self._alive:
                return
            async with self._db() as db:
                await settle_pages(
                    db, lease_id=lease.id, attempt_id=attempt_id, outcomes=all_read(lease)
                )

    async def _person(self) -> None:
        async with self._db() as db:
            if (await read_controls(db)).paused:
                self._report.resumed += 1
                await resume(db)

    async def _mischief(self) -> None:
        if self._calm.is_set():
            return
        luck = self._chance.random()
        if luck < 0.15:
            on, kind = self._chance.choice(RARE_FAULTS if luck < 0.002 else FAULTS)
            fault: dict[str, Any] = {"on": on, "kind": kind, "times": self._chance.randint(1, 4)}
            if on == "running":
                fault |= {"seconds": self._chance.uniform(0, 60), "times": 1}
            if on in ("create", "boot"):
                fault["times"] = 1
            await self._rental.site.order(fault)
            self._report.faults[f"{on}: {kind}"] += 1
        elif luck < 0.155:
            # The faults that were ordered strike this order too.
            with contextlib.suppress(httpx.HTTPError, LookupError, ValueError):
                await self._rental.site.rent_behind_our_back(f"{self._rental.prefix}{uuid4().hex}")
            self._report.faults["rented behind our back"] += 1

    async def _add_up(self) -> None:
        report, house = self._report, self._rental.house
        hosts = await self._rental.rented()
        rows = await house.rows(
            """
            select host.instance_id, host.dollars_per_hour, coalesce(session.pages_read, 0)
            from aseagi.gpu_hosts host
            left join aseagi.ocr_sessions session on session.id = host.session_id
            where host.instance_id is not null
            """
        )
        read = {int(number): pages for number, _, pages in rows}
        report.hosts = len(hosts)
        report.billed = sum((Decimal(host["total_dollars"]) for host in hosts), Decimal(0))
        report.ideal = sum(
            (dollars * pages * Decimal(PAGE_SECONDS) / 3600 for _, dollars, pages in rows),
            Decimal(0),
        )
        report.barren_hosts = sum(1 for host in hosts if not read.get(host["id"]))
        report.billed_barren = sum(
            (Decimal(host["total_dollars"]) for host in hosts if not read.get(host["id"])),
            Decimal(0),
        )
        report.sessions = await house.one("select count(*) from aseagi.ocr_sessions")
        states = dict(
            await house.rows("select state, count(*) from aseagi.pages group by state")  # pyright: ignore[reportArgumentType]
        )
        report.pages_done, report.pages_failed = states.get("done", 0), states.get("failed", 0)


@asynccontextmanager
async def soaking(house: House, folder: Path) -> AsyncGenerator[Rental]:
    """The house at a marketplace whose clock runs fast."""
    site = await asyncio.to_thread(
        Site.open,
        folder,
        boot_seconds=BOOT_SECONDS,
        time_scale=float(SCALE),
        read_lag_seconds=READ_LAG_SECONDS,
    )
    try:
        async with open_rental(
            house,
            site,
            patience=compressed(Patience()),
            wait_seconds=ordering.WAIT_SECONDS / SCALE,
        ) as rental:
            yield rental
    finally:
        site.running.stop()


def hurry(change: Callable[[object, str, Any], None] = setattr) -> None:
    """Let waits that are no patience of the fleet's be as short as the clock demands."""
    change(sessions, "FIRST_HOLD_OFF", sessions.FIRST_HOLD_OFF / SCALE)
    change(sessions, "LONGEST_HOLD_OFF", sessions.LONGEST_HOLD_OFF / SCALE)
    change(fleet, "DESTROY_SECONDS", 0.2)
    change(ordering, "LOOK_SECONDS", 0.1)


async def _bench(count: int, seed: int, tell: Callable[[str], None]) -> Report:
    with tempfile.TemporaryDirectory(prefix="aseagi-soak-") as name:
        folder = Path(name)
        server = start_postgres(folder / "postgres")
        try:
            server.create_database_if_missing("soak")
            migrate(server.dsn("soak"))
            app = server.dsn("soak", "aseagi_app")
            async with (
                connect(app) as db,
                await AsyncConnection.connect(server.dsn("soak"), autocommit=True) as owner,
                soaking(House(app, db, owner), folder / "market") as rental,
            ):
                return await Soak(rental, at_least=count, seed=seed).run(tell)
        finally:
            server.stop()


def _show(report: Report, console: Console) -> None:
    table = Table(title="Rehearsal, no money", show_header=False)
    for what, value in (
        ("sessions", report.sessions),
        ("hosts rented", report.hosts),
        ("hosts that read nothing", report.barren_hosts),
        ("pages read", report.pages_done),
        ("pages given up after three hosts", report.pages_failed),
        ("faults", report.faults.total()),
        ("times a person had to resume", report.resumed),
        ("billed", f"${report.billed:.4f}"),
        ("ideal: the reading alone", f"${report.ideal:.4f}"),
        ("beyond the ideal", f"${report.beyond:.4f}"),
        ("  of hosts that read nothing", f"${report.billed_barren:.4f}"),
        ("billed / ideal", f"{report.billed / report.ideal:.2f}"),
        ("real seconds", f"{report.seconds:.0f}"),
    ):
        table.add_row(what, str(value))
    console.print(table)


def main() -> None:
    """Run the soak; fails when an invariant does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    logging.getLogger("aseagi").setLevel(logging.ERROR)
    console = Console()
    hurry()
    report = asyncio.run(_bench(options.sessions, options.seed, console.print))
    _show(report, console)
    write_results(
        "soak",
        {
            "sessions": Figure(report.sessions, "sessions"),
            "hosts": Figure(report.hosts, "hosts"),
            "faults": Figure(report.faults.total(), "faults"),
            "dollars_billed": Figure(float(report.billed), "$"),
            "dollars_ideal": Figure(float(report.ideal), "$"),
            "dollars_beyond_ideal": Figure(float(report.beyond), "$"),
            "billed_over_ideal": Figure(float(report.billed / report.ideal), "ratio"),
        },
    )


if __name__ == "__main__":
    main()
