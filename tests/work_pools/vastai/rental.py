"""A house that rents: its database, a rehearsal marketplace, and what must be true of both.

    site = Site.open(folder)            the marketplace, a process of its own
    rental = Rental(house, site, ...)   one house at it; many houses may share a site
    begun = await rental.begin()        a session with a waiting and a leased page
    await rental.rent(begun)            as the worker does
    await rental.until_quiet()          the fleet's turns, until nothing is left to do
    await rental.check_the_books()      the invariants of money, hosts, pages and sessions

What is rented and what it costs is asked of the marketplace itself (`/rehearsal`), and
never of our own client. Labels begin with the namespace of the test's own database, so
tests that share a marketplace do not see each other's hosts.
"""

import asyncio
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from pydantic import SecretStr

from blocks.database import Database
from sql.controls import read_controls
from sql.sessions import Begun, NewAttempt
from stack.marketplace import RunningMarketplace, Settings, start_marketplace
from stack.servers import reserve_ports
from tests.sql.house import House
from work_pools.vastai.client import Marketplace, Paces
from work_pools.vastai.errors import MarketplaceError
from work_pools.vastai.fleet import Fleet, Turn, label_prefix
from work_pools.vastai.ledger import settle_charges
from work_pools.vastai.ordering import Image, NotRented, Orders, Rented, Unsure
from work_pools.vastai.requirements import Requirements
from work_pools.vastai.verdicts import Patience

SLEEPER = (sys.executable, "-S", "-c", "import time; time.sleep(600)")

REQUIREMENTS = Requirements(
    max_dollars_per_hour=Decimal(2), max_dollars_per_gb=Decimal("0.1"), min_hours=1, disk_gb=20
)
IMAGE = Image("registry.example/ocr:1", gigabytes=5, startup_seconds=30)

PATIENCE = Patience(
    order=timedelta(seconds=1),
    settle=timedelta(seconds=0.6),
    listing=timedelta(seconds=0.4),
    boot=timedelta(seconds=1),
    silence=timedelta(seconds=0.3),
)
"""Minutes become seconds; the order between them stays: an order is settled by the time it
is no longer waited for."""

Transport = Callable[[], httpx.AsyncBaseTransport]


@dataclass
class Site:
    """A running marketplace as the rehearsal's owner sees it."""

    running: RunningMarketplace
    settings: Settings

    @classmethod
    def open(cls, folder: Path, **changes: Any) -> "Site":
        """Start one that boots hosts in an instant; its hosts sleep."""
        port = reserve_ports(folder, ("marketplace",))["marketplace"]
        quick = Settings(
            state_dir=folder,
            port=port,
            boot_seconds=0.04,
            rate_limits=False,
            credit_dollars=Decimal(1000),
            host_command=SLEEPER,
        )
        settings = replace(quick, **changes)
        return cls(start_marketplace(settings), settings)

    def kill_and_restart(self) -> None:
        """A power cut: its hosts die, what it answered is remembered."""
        self.running.kill()
        self.running = start_marketplace(self.settings)

    async def control(self, method: str, path: str, **request: Any) -> Any:
        """Ask the rehearsal's own paths."""
        headers = {"Authorization": f"Bearer {self.running.rehearsal_key}"}
        async with httpx.AsyncClient(
            base_url=self.running.url, headers=headers, timeout=60
        ) as http:
            answer = await http.request(method, path, **request)
        return answer.raise_for_status().json()

    async def hosts(self, prefix: str = "") -> list[dict[str, Any]]:
        """Every instance there ever was whose label begins so."""
        found = (await self.control("GET", "/rehearsal/hosts"))["hosts"]
        return [each for each in found if (each["label"] or "").startswith(prefix)]

    async def order(self, *faults: dict[str, Any]) -> None:
        """Let these faults strike."""
        await self.control("POST", "/rehearsal/faults", json=list(faults))

    async def forget_faults(self) -> None:
        """Let no more strike."""
        await self.control("DELETE", "/rehearsal/faults")

    async def rent_behind_our_back(self, label: str) -> int:
        """Rent as somebody with the account's key; the instance's number."""
        headers = {"Authorization": f"Bearer {self.running.api_key}"}
        async with httpx.AsyncClient(
            base_url=self.running.url, headers=headers, timeout=60
        ) as http:
            order = {"order": [["dph_total", "asc"]]}
            offers = (await http.post("/api/v0/bundles/", json=order)).json()["offers"]
            body = {"image": "ours:1", "disk": 10, "runtype": "args", "label": label}
            answer = await http.put(f"/api/v0/asks/{offers[0]['id']}/", json=body)
        return int(answer.raise_for_status().json()["new_contract"])


@dataclass
class Rental:
    """One house, its client of the marketplace, its orders and its fleet."""

    house: House
    site: Site
    database: Database
    marketplace: Marketplace
    patience: Patience
    namespace: str
    wait_seconds: float = 20.0
    soon_seconds: float = 120.0
    """For so long what must come soon is waited for."""
    unconfirmed: list[str] = field(default_factory=list[str])

    @property
    def prefix(self) -> str:
        """How every label of this house begins."""
        return label_prefix(self.namespace)

    @property
    def fleet(self) -> Fleet:
        """As any process would make it: it remembers nothing between turns."""
        return Fleet(self.database, self.marketplace, rehearsal=True, patience=self.patience)

    @property
    def orders(self) -> Orders:
        """The same."""
        return Orders(
            self.database,
            self.marketplace,
            patience=self.patience,
            wait_seconds=self.wait_seconds,
        )

    def attempt(self, **changes: Any) -> NewAttempt:
        """What the worker decides before it rents."""
        attempt = NewAttempt(
            flow_run_id=uuid4(),
            run_count=1,
            token_hash=sha256(uuid4().bytes).digest(),
            lifetime=timedelta(hours=1),
            provider="vastai",
            label=f"{self.prefix}{uuid4().hex}",
            dollars_per_hour=Decimal("0.5"),
            reserved_dollars=Decimal("0.5"),
            budget_dollars=Decimal(50),
            max_hosts=100,
            max_dollars=Decimal(5),
            rehearsal=True,
        )
        return replace(attempt, **changes)

    async def begin(self, **changes: Any) -> Begun:
        """A session that may rent: one page of its document is lent to it, one waits."""
        await self.house.add_scan(2)
        begun = await self.house.begin(new=self.attempt(**changes))
        await self.house.lease(begun, limit=1)
        return begun

    async def rent(self, begun: Begun) -> Rented | Unsure | NotRented:
        """Rent the session's host."""
        return await self.orders.rent(
            begun.host_id, environment={}, requirements=REQUIREMENTS, image=IMAGE
        )

    async def turn(self) -> Turn | None:
        """One turn of the fleet; None when the marketplace could not be seen."""
        try:
            turn = await self.fleet.look_after()
        except MarketplaceError:
            return None
        self.unconfirmed.extend(turn.unconfirmed)
        return turn

    async def turns_until(self, holds: Callable[[], Any], seconds: float = 300) -> None:
        """Turns of the fleet until the awaited condition holds."""
        deadline = time.monotonic() + seconds
        while not await holds():
            assert time.monotonic() < deadline, f"did not happen in time: {await self.describe()}"
            await self.turn()
            await asyncio.sleep(0.02)

    async def until_quiet(self, seconds: float = 300) -> None:
        """Turns of the fleet until ledger, list and truth have nothing of ours left."""
        await self.turns_until(self.is_quiet, seconds)

    async def is_quiet(self) -> bool:
        """Whether nothing of ours is rented, by the ledger, the list and the truth."""
        if await self.open_states():
            return False
        if any(host["exists"] for host in await self.rented()):
            return False
        try:
            listed = await self.marketplace.list_instances()
        except MarketplaceError:
            return False
        return not any((one.label or "").startswith(self.prefix) for one in listed)

    async def rented(self) -> list[dict[str, Any]]:
        """Every instance of ours there ever was, by the marketplace's own books."""
        return await self.site.hosts(self.prefix)

    async def open_states(self) -> list[str]:
        """The states of hosts that the ledger does not call ended."""
        rows = await self.house.rows(
            "select state from aseagi.gpu_hosts where state <> 'ended' order by created_at"
        )
        return [row[0] for row in rows]

    async def paused_reason(self) -> str | None:
        """Why spending is paused; None while it is not."""
        async with self.house.transaction():
            return (await read_controls(self.house.db)).paused_reason

    async def describe(self) -> str:
        """What is there, for the message of a failed test."""
        ledger = await self.house.rows(
            """
            select state, instance_id, destroys, end_reason, status from aseagi.gpu_hosts
            order by created_at
            """
        )
        truth = [(host["id"], host["actual_status"]) for host in await self.rented()]
        return f"ledger {ledger}, marketplace {truth}"

    async def check_the_books(self) -> None:
        """The invariants: no host, no lent page, no open session; every cent in the ledger."""
        await self.check_hosts()
        await settle_charges(self.database, self.marketplace, final_after=timedelta(0))
        await self.check_money()
        await self.check_work()

    async def check_hosts(self) -> None:
        """No instance of ours is left, and each there ever was has exactly one row."""
        truth = await self.rented()
        assert [host["id"] for host in truth if host["exists"]] == []
        rows = await self.house.rows(
            "select instance_id from aseagi.gpu_hosts where instance_id is not null"
        )
        assert sorted(int(row[0]) for row in rows) == sorted(host["id"] for host in truth)
        assert await self.open_states() == []

    async def check_money(self) -> None:
        """Each host is charged what it was billed, nothing is reserved, no account is open."""
        billed = {
            host["id"]: Decimal(host["total_dollars"])
            for host in await self.rented()
            if Decimal(host["total_dollars"])
        }
        charged = await self.house.rows(
            """
            select host.instance_id, sum(charge.dollars) from aseagi.charges charge
            join aseagi.gpu_hosts host on host.id = charge.host_id
            group by host.instance_id having sum(charge.dollars) > 0
            """
        )
        assert {int(row[0]): row[1] for row in charged} == billed
        total = await self.house.one("select coalesce(sum(dollars), 0) from aseagi.charges")
        assert total == sum(billed.values(), Decimal(0))
        unsettled = "select count(*) from aseagi.gpu_hosts where settled_at is null"
        assert await self.house.one(unsettled) == 0
        reserved = (
            "select coalesce(sum(reserved_dollars), 0) from aseagi.gpu_hosts where state <> 'ended'"
        )
        assert await self.house.one(reserved) == 0

    async def check_work(self) -> None:
        """Every page waits again or is settled, every session is closed."""
        pages = await self.house.rows("select distinct state from aseagi.pages")
        assert {row[0] for row in pages} <= {"waiting", "done", "failed"}
        leases = "select count(*) from aseagi.leases where state = 'open'"
        assert await self.house.one(leases) == 0
        sessions = await self.house.rows(
            "select close_reason from aseagi.ocr_sessions where state <> 'closed'"
        )
        assert sessions == []


def database_at(app_dsn: str) -> Database:
    """The block as the program loads it."""
    return Database(dsn=SecretStr(app_dsn), dashboard_dsn=SecretStr(app_dsn))


@asynccontextmanager
async def open_rental(
    house: House,
    site: Site,
    *,
    patience: Patience = PATIENCE,
    transport: Transport | None = None,
    **changes: Any,
) -> AsyncGenerator[Rental]:
    """A house at that marketplace."""
    async with Marketplace(
        site.running.url,
        site.running.api_key,
        transport=transport() if transport else None,
        paces=Paces.unpaced(),
        # Long enough for a busy machine to repeat a request a few times.
        patience_seconds=1.0,
    ) as marketplace:
        # Databases of tests are copies of one: each gets a namespace, as a migration gives it.
        namespace = uuid4().hex[:12]
        await house.change("update aseagi.controls set namespace = %s", namespace)
        yield Rental(
            house, site, database_at(house.app_dsn), marketplace, patience, namespace, **changes
        )
