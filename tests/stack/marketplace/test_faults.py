"""What the real marketplace was seen to do wrong, this one does when it is told to."""

from collections.abc import Callable, Mapping
from typing import Any

import httpx
import psutil
import pytest

from stack.marketplace.faults import KINDS, Fault, FaultBook
from stack.marketplace.limits import LIMITS, RateLimits
from tests.stack.marketplace.conftest import Site
from tests.stack.rehearsals import wait_until

Open = Callable[..., Site]


def existing(site: Site) -> list[dict[str, Any]]:
    return [host for host in site.hosts() if host["exists"]]


def test_commit_then_502_leaves_an_instance_nobody_was_told_of(site: Site) -> None:
    site.order({"on": "create", "kind": "commit-then-502"})
    answer = site.rent(label="ours|lost")
    assert answer.status_code == 502
    assert "new_contract" not in answer.text
    assert [host["label"] for host in existing(site)] == ["ours|lost"]
    assert site.rent().status_code == 200


def test_commit_then_drop_cuts_the_connection_after_renting(site: Site) -> None:
    site.order({"on": "create", "kind": "commit-then-drop"})
    ask = site.offers()[0]["id"]
    with pytest.raises(httpx.TransportError):
        site.rent(ask, label="ours|lost")
    assert [host["label"] for host in existing(site)] == ["ours|lost"]


def test_a_timeout_after_commit_leaves_an_instance(site: Site) -> None:
    site.order({"on": "create", "kind": "timeout-after-commit", "seconds": 30})
    ask = site.offers()[0]["id"]
    with pytest.raises(httpx.ReadTimeout):
        site.http.put(f"/api/v0/asks/{ask}/", json={"image": "ours:1"}, timeout=0.3)
    wait_until(lambda: [host["offer_id"] for host in existing(site)] == [ask])


def test_a_too_low_bid_on_order_has_a_contract_in_its_error(site: Site) -> None:
    site.order({"on": "create", "kind": "bid-too-low"})
    answer = site.rent()
    assert answer.status_code == 400
    host = site.host(answer.json()["new_contract"])
    assert (host["actual_status"], host["cur_state"]) == ("stopped", "stopped")


@pytest.mark.parametrize(
    ("fault", "status", "text"),
    [
        ({"kind": "offer-taken"}, 404, "3603"),
        ({"kind": "offer-taken", "shape": "410"}, 410, "3907"),
        ({"kind": "offer-taken", "shape": "400"}, 400, "no_such_ask"),
        ({"kind": "insufficient-credit"}, 400, "insufficient_credit"),
        ({"kind": "rate-limited"}, 429, "API requests too frequent"),
        ({"kind": "rate-limited", "shape": "json"}, 429, '"retry_after":2'),
        ({"kind": "error-500"}, 500, "<html>"),
        ({"kind": "success-false"}, 200, '"success":false'),
        ({"kind": "auth-404"}, 404, "auth_error"),
    ],
)
def test_a_create_that_is_refused_rents_nothing(
    site: Site, fault: Mapping[str, object], status: int, text: str
) -> None:
    site.order({"on": "create", **fault})
    answer = site.rent()
    assert answer.status_code == status
    assert text in answer.text
    assert existing(site) == []


@pytest.mark.parametrize(
    ("kind", "status", "text"),
    [
        ("410", 410, "deprecated_endpoint"),
        ("429", 429, "too frequent"),
        ("500", 500, "<html>"),
        ("html-200", 200, "<html>"),
        ("odd-shape", 200, '"total_instances":0'),
        ("auth-404", 404, "auth_error"),
    ],
)
def test_a_listing_that_fails_never_says_that_there_is_nothing(
    site: Site, kind: str, status: int, text: str
) -> None:
    site.rented(runtype="ssh")
    site.order({"on": "list", "kind": kind})
    answer = site.http.get("/api/v1/instances/")
    assert answer.status_code == status
    assert text in answer.text
    assert '"instances"' not in answer.text
    assert len(site.listed()["instances"]) == 1


@pytest.mark.parametrize(
    ("kind", "status", "text", "is_gone"),
    [
        ("429", 429, "too frequent", False),
        ("500", 500, "<html>", False),
        ("auth-404", 404, "Invalid user key", False),
        ("success-false", 200, '"success":false', False),
        ("no-such-instance", 404, "no_such_instance", False),
        ("commit-then-500", 500, "<html>", True),
    ],
)
def test_a_destroy_that_fails(site: Site, kind: str, status: int, text: str, is_gone: bool) -> None:
    instance_id = site.rented(label="ours|7", runtype="ssh")
    site.order({"on": "destroy", "kind": kind, "match": {"label": "ours|*"}})
    answer = site.destroy(instance_id)
    assert answer.status_code == status
    assert text in answer.text
    assert site.host(instance_id)["exists"] is not is_gone


def test_searches_fail_as_the_real_ones(site: Site) -> None:
    site.order(*({"on": "search", "kind": kind} for kind in ("429", "quota", "empty")))
    first, second, third = (site.http.post("/api/v0/bundles/", json={}) for _ in range(3))
    assert (first.status_code, second.status_code) == (429, 429)
    assert second.json()["error"] == "search_quota_exceeded"
    assert third.json() == {"offers": []}


@pytest.mark.parametrize(
    ("kind", "status", "state", "message"),
    [
        ("stuck-loading", "loading", "running", "Pulling"),
        ("image-error", "loading", "running", "manifest unknown"),
        ("oci-error", "created", "stopped", ": OCI runtime create failed:"),
        ("exited-at-once", "exited", "stopped", "exited"),
    ],
)
def test_a_boot_that_fails_never_has_a_host(
    site: Site, kind: str, status: str, state: str, message: str
) -> None:
    site.order({"on": "boot", "kind": kind})
    instance_id = site.rented()
    wait_until(lambda: message in (site.host(instance_id)["status_msg"] or ""))
    host = site.becomes(instance_id, status)
    assert (host["cur_state"], host["pid"]) == (state, None)


def test_a_boot_that_never_begins_bills_its_disk_alone(open_market: Open) -> None:
    site = open_market(time_scale=1000.0)
    site.order({"on": "boot", "kind": "stuck-null"})
    instance_id = site.rented()
    wait_until(lambda: site.host(instance_id)["disk_seconds"] > 60)
    host = site.host(instance_id)
    assert (host["actual_status"], host["status_msg"], host["gpu_seconds"]) == (None, None, 0)


@pytest.mark.parametrize(
    ("kind", "status", "is_billed", "has_process"),
    [
        ("offline", "offline", False, False),
        ("outbid", "stopped", False, False),
        ("frozen", "frozen", True, True),
        ("unknown", "unknown", True, True),
        ("exited", "exited", False, False),
    ],
)
def test_a_running_host_that_fails(
    site: Site, kind: str, status: str, is_billed: bool, has_process: bool
) -> None:
    site.order({"on": "running", "kind": kind})
    instance_id = site.rented()
    failed = site.becomes(instance_id, status)
    assert (failed["pid"] is not None) == has_process
    if kind == "frozen":
        process = psutil.Process(failed["pid"])
        wait_until(lambda: process.status() == psutil.STATUS_STOPPED)
    wait_until(lambda: site.host(instance_id)["disk_seconds"] > failed["disk_seconds"])
    assert (site.host(instance_id)["gpu_seconds"] > failed["gpu_seconds"]) == is_billed
    assert site.destroy(instance_id).status_code == 200


def test_a_host_can_be_made_to_fail_now(site: Site) -> None:
    instance_id = site.rented()
    site.becomes(instance_id, "running")
    path = f"/rehearsal/hosts/{instance_id}/state"
    site.control.post(path, json={"state": "offline"}).raise_for_status()
    assert site.host(instance_id)["actual_status"] == "offline"
    assert site.control.post(path, json={"state": "on holiday"}).status_code == 400
    assert site.http.post(path, json={"state": "exited"}).status_code == 404


def test_an_order_that_makes_no_sense_is_refused_with_what_there_is(site: Site) -> None:
    answer = site.control.post("/rehearsal/faults", json=[{"on": "list", "kind": "offline"}])
    assert answer.status_code == 400
    assert "html-200" in answer.json()["msg"]
    assert site.control.get("/rehearsal/faults").json() == {"faults": []}


def test_every_fault_can_be_ordered() -> None:
    for on, kinds in KINDS.items():
        for kind in kinds:
            assert Fault.model_validate({"on": on, "kind": kind}).times == 1


def test_faults_strike_as_often_and_as_late_as_ordered() -> None:
    book = FaultBook(
        [
            Fault(on="list", kind="500", times=2, after=1),
            Fault(on="destroy", kind="429", times=None, match={"machine_id": 7}),
        ]
    )
    assert [book.strike("list") is not None for _ in range(5)] == [False, True, True, False, False]
    assert book.strike("destroy", {"machine_id": 8}) is None
    assert all(book.strike("destroy", {"machine_id": 7}) is not None for _ in range(9))
    book.clear()
    assert book.strike("destroy", {"machine_id": 7}) is None


def test_a_refused_create_closes_that_door_for_twelve_seconds() -> None:
    now = 1000.0
    limits = RateLimits(lambda: now)
    assert limits.refuse_for("create", "key") is None
    now += 4
    assert limits.refuse_for("create", "key") == 12.0
    assert limits.refuse_for("create", "another key") is None
    now += 11.9
    assert limits.refuse_for("create", "key") is not None
    now += 12
    assert limits.refuse_for("create", "key") is None


def test_ten_searches_a_minute_pass() -> None:
    now = 1000.0
    limits = RateLimits(lambda: now)
    assert LIMITS["search"].calls == 10
    assert [limits.refuse_for("search", "key") is None for _ in range(11)] == [True] * 10 + [False]
    now += 60
    assert limits.refuse_for("search", "key") is None
    assert limits.refuse_for("no such endpoint", "key") is None
