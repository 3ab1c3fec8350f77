"""The official Vast.ai command line drives the marketplace, and their views agree.

Judged by what it prints as JSON and by the marketplace's state: its exit code is 0
for most failures.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from stack.processes import plain_environment
from tests.stack.marketplace.conftest import Site, open_site, settings_in
from tests.stack.rehearsals import wait_until

PROGRAM = Path(
    os.environ.get("ASEAGI_TEST_VASTAI")
    or Path(os.environ.get("VIRTUAL_ENV") or sys.prefix) / "vastai" / "bin" / "vastai"
)


class VastAi:
    """The program, with a home of its own, pointed at a marketplace."""

    def __init__(self, site: Site, home: Path) -> None:
        assert PROGRAM.exists(), f"{PROGRAM} is missing; run: make vastai"
        self._env = {
            **plain_environment(),
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / "config"),
            "XDG_CACHE_HOME": str(home / "cache"),
            "XDG_STATE_HOME": str(home / "state"),
            "VAST_URL": site.running.url,
            "VAST_API_KEY": site.running.api_key,
            "VASTAI_NO_UPDATE_CHECK": "1",
        }

    def __call__(self, *arguments: str) -> Any:
        """What it prints as JSON."""
        printed = self.text("--raw", *arguments)
        try:
            return json.loads(printed)
        except ValueError:
            pytest.fail(f"vastai {' '.join(arguments)} printed no JSON: {printed}")

    def text(self, *arguments: str) -> str:
        """All it prints."""
        return subprocess.run(
            [str(PROGRAM), "--retry", "1", *arguments],
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        ).stdout


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = open_site(settings_in(tmp_path_factory.mktemp("market"), time_scale=50.0))
    yield site
    site.running.stop()


@pytest.fixture(scope="module")
def vastai(market: Site, tmp_path_factory: pytest.TempPathFactory) -> VastAi:
    return VastAi(market, tmp_path_factory.mktemp("home"))


def test_the_official_client_sees_what_is_true_from_search_to_charges(
    market: Site, vastai: VastAi
) -> None:
    user = vastai("show", "user")
    assert user["credit"] == 25
    assert user["username"] == "rehearsal, no money"

    query = "gpu_name=RTX_4090 gpu_ram>=20 dph<5 verified=any"
    found = vastai("search", "offers", query, "-o", "dph", "--storage", "10")
    prices = [offer["dph_total"] for offer in found]
    assert len(found) > 2
    assert prices == sorted(prices)
    assert {offer["gpu_name"] for offer in found} == {"RTX 4090"}

    # A create of the client's own, then enough others for a second page.
    ask = str(found[0]["id"])
    created = vastai(
        *("create", "instance", ask, "--image", "ours:1", "--disk", "10", "--label", "ours-1"),
        *("--env", "-e GREETING=hello", "--args", "one", "two"),
    )
    assert created["success"] is True
    rented = int(created["new_contract"])
    asks = [offer["id"] for offer in market.offers()[:26]]
    others = [market.rented(each, runtype="ssh") for each in asks]
    host = market.becomes(rented, "running")
    assert (host["offer_id"], host["label"], host["image"]) == (found[0]["id"], "ours-1", "ours:1")

    listed = vastai("show", "instances")
    assert sorted(row["id"] for row in listed) == sorted([rented, *others])
    assert len(listed) == 27
    shown = vastai("show", "instance", str(rented))
    assert (shown["id"], shown["label"], shown["actual_status"]) == (rented, "ours-1", "running")
    assert shown["extra_env"] == {"GREETING": "hello"}
    assert shown["image_args"] == ["one", "two"]

    vastai.text("label", "instance", str(rented), "ours-2")
    assert market.host(rented)["label"] == "ours-2"

    vastai.text("stop", "instance", str(others[0]))
    assert market.host(others[0])["cur_state"] == "stopped"

    vastai.text("destroy", "instance", str(rented), "-y")
    assert market.host(rented)["exists"] is False
    assert rented not in [row["id"] for row in vastai("show", "instances")]

    charges = vastai("show", "invoices-v1", "--charges", "--limit", "100")
    assert charges["total"] == 27
    row = next(row for row in charges["results"] if row["source"] == f"instance-{rented}")
    assert row["metadata"] == {"label": "ours-2"}
    assert Decimal(str(row["amount"])) == Decimal(market.host(rented)["total_dollars"]) > 0


def test_the_official_client_reads_a_hosts_log(market: Site, vastai: VastAi) -> None:
    instance_id = market.rented(market.offers()[0]["id"])
    market.becomes(instance_id, "running")
    log = market.settings.state_dir / "hosts" / f"{instance_id}.log"
    wait_until(lambda: "reading" in log.read_text())
    assert "reading" in vastai.text("logs", str(instance_id))
    market.destroy(instance_id).raise_for_status()


def test_a_create_the_official_client_retries_leaves_two_instances(
    market: Site, vastai: VastAi, tmp_path: Path
) -> None:
    """Why our own client sends a create exactly once: this one does not."""
    before = {host["id"] for host in market.hosts()}
    ask = str(market.offers()[0]["id"])
    market.order(
        {"on": "create", "kind": "commit-then-502"}, {"on": "create", "kind": "rented-twice"}
    )
    vastai("--retry", "3", "create", "instance", ask, "--image", "ours:1", "--disk", "10")
    made = [host for host in market.hosts() if host["id"] not in before]
    assert [host["offer_id"] for host in made] == [int(ask), int(ask)]
    assert all(host["exists"] for host in made)


def test_it_wants_no_key_for_what_the_client_asks_at_its_start(market: Site) -> None:
    assert httpx.get(f"{market.running.url}/api/v0/gpu_types/", timeout=60).json()["gpu_types"]
