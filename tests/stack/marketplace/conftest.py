"""A marketplace as a real server process, and an HTTP client for it."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from stack.marketplace import RunningMarketplace, Settings, start_marketplace
from stack.servers import reserve_ports
from tests.stack.rehearsals import client_with, keep_files_together, wait_until

SLEEPER = (sys.executable, "-c", "import time; print('reading', flush=True); time.sleep(600)")


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Send each file to one worker: its tests share a marketplace."""
    keep_files_together(items, Path(__file__).parent)


@dataclass
class Site:
    """A running marketplace as its client, and the rehearsal, see it."""

    running: RunningMarketplace
    settings: Settings
    http: httpx.Client
    control: httpx.Client

    def offers(self, **filters: Any) -> list[dict[str, Any]]:
        answer = self.http.post(
            "/api/v0/bundles/", json={"order": [["dph_total", "asc"]], **filters}
        )
        return answer.raise_for_status().json()["offers"]

    def rent(self, ask_id: int | None = None, **order: Any) -> httpx.Response:
        ask = self.offers()[0]["id"] if ask_id is None else ask_id
        body = {"client_id": "me", "image": "ours:1", "disk": 10, "runtype": "args", **order}
        return self.http.put(f"/api/v0/asks/{ask}/", json=body)

    def rented(self, ask_id: int | None = None, **order: Any) -> int:
        return int(self.rent(ask_id, **order).raise_for_status().json()["new_contract"])

    def shown(self, instance_id: int) -> dict[str, Any] | None:
        answer = self.http.get(f"/api/v0/instances/{instance_id}/", params={"owner": "me"})
        return answer.raise_for_status().json()["instances"]

    def listed(self, **parameters: Any) -> dict[str, Any]:
        return self.http.get("/api/v1/instances/", params=parameters).raise_for_status().json()

    def destroy(self, instance_id: int) -> httpx.Response:
        return self.http.delete(f"/api/v0/instances/{instance_id}/")

    def host(self, instance_id: int) -> dict[str, Any]:
        """What is true of an instance."""
        return next(each for each in self.hosts() if each["id"] == instance_id)

    def hosts(self) -> list[dict[str, Any]]:
        return self.control.get("/rehearsal/hosts").raise_for_status().json()["hosts"]

    def meter(self) -> dict[str, Any]:
        return self.control.get("/rehearsal/meter").raise_for_status().json()

    def order(self, *faults: dict[str, Any]) -> None:
        self.control.post("/rehearsal/faults", json=list(faults)).raise_for_status()

    def becomes(self, instance_id: int, status: str | None, seconds: float = 300) -> dict[str, Any]:
        """Wait until an instance has this status; what is true of it then."""
        wait_until(lambda: self.host(instance_id)["actual_status"] == status, seconds)
        return self.host(instance_id)

    def credit(self) -> Decimal:
        return Decimal(str(self.http.get("/api/v0/users/current").json()["credit"]))


def open_site(settings: Settings) -> Site:
    running = start_marketplace(settings)

    return Site(
        running,
        settings,
        client_with(running.api_key, running.url),
        client_with(running.rehearsal_key, running.url),
    )


def settings_in(folder: Path, **changes: Any) -> Settings:
    port = reserve_ports(folder, ("marketplace",))["marketplace"]
    quick = Settings(
        state_dir=folder,
        port=port,
        boot_seconds=0.04,
        rate_limits=False,
        host_command=SLEEPER,
    )
    return replace(quick, **changes)


Open = Callable[..., Site]


@pytest.fixture
def open_market(tmp_path: Path) -> Iterator[Open]:
    """Start marketplaces with settings of one's own; all are stopped at the end."""
    sites: list[Site] = []

    def start(**changes: Any) -> Site:
        site = open_site(settings_in(tmp_path, **changes))
        sites.append(site)
        return site

    yield start
    for site in sites:
        site.running.stop()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = open_site(settings_in(tmp_path_factory.mktemp("market"), credit_dollars=Decimal(1000)))
    yield site
    site.running.stop()


@pytest.fixture
def site(shared: Site) -> Iterator[Site]:
    """The marketplace of this module, afterwards without instances and faults."""
    yield shared
    shared.control.delete("/rehearsal/faults").raise_for_status()
    for host in shared.hosts():
        if host["exists"]:
            shared.destroy(host["id"]).raise_for_status()
