"""The paths of the real API, against a marketplace that is a process of its own."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import partial
from typing import Any

import httpx
import pytest

from tests.stack.marketplace.conftest import Site
from tests.stack.rehearsals import wait_until

Open = Callable[..., Site]


def test_it_says_everywhere_that_it_is_a_rehearsal(site: Site) -> None:
    user = site.http.get("/api/v0/users/current")
    assert user.headers["x-rehearsal"] == "no money"
    assert user.json()["username"] == "rehearsal, no money"
    assert "no money" in httpx.get(site.running.url, timeout=60).text
    instance_id = site.rented()
    assert "no money" in site.becomes(instance_id, "running")["status_msg"]


def test_without_a_key_or_with_a_wrong_one_nothing_is_told(site: Site) -> None:
    path = f"{site.running.url}/api/v1/instances/"
    nobody = httpx.get(path, timeout=60)
    assert (nobody.status_code, nobody.json()["error"]) == (403, "auth_error")
    site.rented(runtype="ssh")
    for wrong in (b"Bearer wrong", "Bearer é".encode()):
        stranger = httpx.get(path, headers={b"Authorization": wrong}, timeout=60)
        assert stranger.status_code == 404
        assert stranger.json() == {
            "success": False,
            "error": "auth_error",
            "msg": "Invalid user key",
        }


def test_the_account_key_does_not_open_the_rehearsals_own_paths(site: Site) -> None:
    assert site.http.get("/rehearsal/hosts").status_code == 404
    assert site.http.get("/api/v0/instances/nonsense/").status_code == 404


def test_the_search_answers_exactly_application_json(site: Site) -> None:
    answer = site.http.post("/api/v0/bundles/", json={})
    assert answer.headers["content-type"] == "application/json"
    newer = site.http.put("/api/v0/search/asks/", json={"select_cols": ["*"], "q": {"limit": 3}})
    assert len(newer.json()["offers"]) == 3


def test_an_offer_is_gone_while_rented_and_back_afterwards(site: Site) -> None:
    ask = site.offers()[0]["id"]
    instance_id = site.rented(ask)
    assert ask not in [offer["id"] for offer in site.offers()]
    site.destroy(instance_id).raise_for_status()
    assert ask in [offer["id"] for offer in site.offers()]


def test_an_offer_that_is_gone_is_refused_as_the_real_one_does(site: Site) -> None:
    ask = site.offers()[0]["id"]
    site.rented(ask)
    cancelled = site.rent(ask, cancel_unavail=True)
    assert (cancelled.status_code, cancelled.json()["error"]) == (410, "no_such_ask")
    assert "3907" in cancelled.json()["msg"]
    kept = site.rent(ask, cancel_unavail=False)
    assert (kept.status_code, kept.json()["error"]) == (404, "invalid_args")
    assert "error 404/3603: no_such_ask" in kept.json()["msg"]
    assert len([host for host in site.hosts() if host["exists"]]) == 1


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"price": 0}, "invalid_price"),
        ({"price": 500}, "invalid_price"),
        ({"disk": 2}, "invalid_args"),
        ({"disk": 10**7}, "invalid_args"),
        ({"label": "x" * 257}, "invalid_args"),
        ({"image": None}, "invalid_args"),
        ({"image": "x" * 1025}, "invalid_args"),
        ({"onstart": "x" * 4000, "args": ["y" * 100]}, "invalid_args"),
        ({"env": {"NAME": "x" * 300}}, "invalid_args"),
        ({"env": {f"NAME_{n}": "x" * 240 for n in range(140)}}, "invalid_args"),
    ],
)
def test_a_senseless_order_is_refused_and_rents_nothing(
    site: Site, wrong: dict[str, Any], error: str
) -> None:
    before = len(site.hosts())
    answer = site.rent(**wrong)
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert answer.json()["success"] is False
    assert len(site.hosts()) == before


def test_a_bid_that_is_too_low_is_an_error_with_a_stopped_contract(site: Site) -> None:
    answer = site.rent(price=0.002)
    assert answer.status_code == 400
    assert answer.json()["success"] is False
    instance_id = answer.json()["new_contract"]
    row = site.shown(instance_id)
    assert row is not None
    assert {row["cur_state"], row["next_state"], row["intended_status"]} == {"stopped"}
    assert site.host(instance_id)["gpu_seconds"] == 0
    wait_until(lambda: site.host(instance_id)["disk_seconds"] > 0)


def test_a_bid_is_billed_at_its_price_and_can_be_changed(site: Site) -> None:
    offer = site.offers(type="bid")[0]
    assert offer["is_bid"] is True
    assert offer["dph_base"] == offer["min_bid"]
    instance_id = site.rented(offer["id"], price=1.5)
    row = site.shown(instance_id)
    assert row is not None
    assert (row["is_bid"], row["dph_base"]) == (True, 1.5)
    path = f"/api/v0/instances/bid_price/{instance_id}/"
    site.http.put(path, json={"client_id": "me", "price": 2.5}).raise_for_status()
    row = site.shown(instance_id)
    assert row is not None
    assert row["dph_base"] == 2.5


def test_an_instance_goes_from_nothing_to_running(site: Site) -> None:
    instance_id = site.rented(label="ours|1")
    host = site.becomes(instance_id, "running")
    states = [state["actual_status"] for state in host["states"]]
    assert states == [None, "created", "loading", "running"]
    row = site.shown(instance_id)
    assert row is not None
    assert row["label"] == "ours|1"
    assert row["status_msg"].startswith("success, running ours:1/args")
    assert row["extra_env"] == []
    assert row["start_date"] > 1e9


def test_the_old_listing_is_gone(site: Site) -> None:
    answer = site.http.get("/api/v0/instances/")
    assert answer.status_code == 410
    assert answer.json()["error"] == "deprecated_endpoint"


def test_a_listing_pages_to_the_end_even_while_instances_are_destroyed(site: Site) -> None:
    ids = [site.rented(offer["id"], runtype="ssh") for offer in site.offers()[:12]]
    first = site.listed(limit="5")
    assert [row["id"] for row in first["instances"]] == ids[:5]
    assert (first["instances_found"], first["total_instances"]) == (5, 12)
    site.destroy(ids[4]).raise_for_status()
    found: list[int] = []
    token = first["next_token"]
    while token:
        page = site.listed(limit="5", after_token=token)
        found += [row["id"] for row in page["instances"]]
        token = page["next_token"]
    assert found == ids[5:]


def test_a_listing_never_has_more_than_25_rows_and_5_unless_asked(site: Site) -> None:
    for offer in site.offers()[:27]:
        site.rented(offer["id"], runtype="ssh")
    assert len(site.listed(limit="100")["instances"]) == 25
    assert len(site.listed()["instances"]) == 5
    assert len(site.listed(limit="0")["instances"]) == 5


def test_a_listing_filters_and_counts_labels(site: Site) -> None:
    asks = [offer["id"] for offer in site.offers()[:4]]
    one = site.rented(asks[0], label="ours|a", runtype="ssh")
    site.rented(asks[1], label="theirs", runtype="ssh")
    site.rented(asks[2], runtype="ssh")
    found = site.listed(select_filters='{"label":{"in":["ours|a"]}}')
    assert [row["id"] for row in found["instances"]] == [one]
    everything = site.listed(order_by='[{"col":"id","dir":"desc"}]')
    assert everything["label_counts"] == {"ours|a": 1, "theirs": 1, "": 1}
    assert everything["instances"][-1]["id"] == one
    some = site.listed(select_cols='["id","no_such_column"]')["instances"][0]
    assert set(some) == {"id", "no_such_column"}
    assert some["no_such_column"] is None


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"select_filters": '{"dph_total":{"lt":1}}'}, "invalid_request"),
        ({"select_filters": "label=x"}, "invalid_request"),
        ({"select_filters": '{"label":"x"}'}, "invalid_request"),
        ({"select_filters": "[]"}, "invalid_request"),
        ({"order_by": '["id"]'}, "invalid_request"),
        ({"order_by": '[{"col":"colour"}]'}, "invalid_request"),
        ({"after_token": "nonsense"}, "invalid_token"),
        ({"limit": "many"}, "invalid_request"),
    ],
)
def test_a_senseless_listing_is_refused(site: Site, parameters: dict[str, str], error: str) -> None:
    site.rented(runtype="ssh")
    answer = site.http.get("/api/v1/instances/", params=parameters)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


def test_a_label_can_be_changed(site: Site) -> None:
    instance_id = site.rented(label="before")
    path = f"/api/v0/instances/{instance_id}/"
    site.http.put(path, json={"label": "after"}).raise_for_status()
    assert site.host(instance_id)["label"] == "after"


def test_destroying_twice_says_that_it_is_gone(site: Site) -> None:
    instance_id = site.rented()
    assert site.destroy(instance_id).json()["success"] is True
    assert site.shown(instance_id) is None
    again = site.destroy(instance_id)
    assert (again.status_code, again.json()["error"]) == (404, "no_such_instance")
    assert site.host(instance_id)["destroyed_at"] is not None


def test_many_are_destroyed_and_created_at_once(site: Site) -> None:
    asks = [offer["id"] for offer in site.offers()[:3]]
    answer = site.http.post(
        "/api/v0/asks/bulk/", json={"ids": asks, "image": "ours:1", "runtype": "ssh", "disk": 10}
    )
    ids = [each["new_contract"] for each in answer.json()["results"]]
    assert len(site.listed()["instances"]) == 3
    site.http.request("DELETE", "/api/v0/instances/", json={"instance_ids": ids}).raise_for_status()
    assert site.listed()["instances"] == []


def test_a_stopped_instance_can_be_started_again(site: Site) -> None:
    instance_id = site.rented()
    site.becomes(instance_id, "running")
    path = f"/api/v0/instances/{instance_id}/"
    site.http.put(path, json={"state": "stopped"}).raise_for_status()
    stopped = site.host(instance_id)
    assert stopped["cur_state"] == stopped["intended_status"] == "stopped"
    assert stopped["pid"] is None
    site.http.put(path, json={"state": "running"}).raise_for_status()
    assert site.becomes(instance_id, "running")["pid"] is not None


def test_an_instances_own_key_can_only_stop_start_or_destroy_that_instance(site: Site) -> None:
    asks = [offer["id"] for offer in site.offers()[:2]]
    created = site.rent(asks[0]).json()
    own, other = created["new_contract"], site.rented(asks[1])
    key = {"Authorization": f"Bearer {created['instance_api_key']}"}
    url = site.running.url

    def status(method: str, path: str, body: object = None) -> int:
        return httpx.request(method, f"{url}{path}", headers=key, json=body, timeout=60).status_code

    assert status("GET", "/api/v1/instances/") == 403
    assert status("GET", f"/api/v0/instances/{own}/") == 403
    assert status("POST", "/api/v0/bundles/", {}) == 403
    assert status("GET", "/api/v0/users/current/") == 403
    assert status("DELETE", f"/api/v0/instances/{other}/") == 403
    assert status("PUT", f"/api/v0/instances/{own}/", {"label": "mine"}) == 400
    assert status("PUT", f"/api/v0/instances/{own}/", {"state": "stopped"}) == 200
    assert status("PUT", f"/api/v0/instances/{own}/", {"state": "running"}) == 200
    assert status("DELETE", f"/api/v0/instances/{own}/") == 200
    assert site.host(own)["exists"] is False
    assert site.host(other)["exists"] is True
    assert status("DELETE", f"/api/v0/instances/{own}/") == 404


def test_charges_credit_and_meter_agree_to_the_microdollar(open_market: Open) -> None:
    site = open_market(time_scale=1000)
    asks = [offer["id"] for offer in site.offers(inet_down_cost={"gt": 0})[:3]]
    ids = [site.rented(ask, label=f"ours|{ask}") for ask in asks]
    for instance_id in ids:
        site.becomes(instance_id, "running")
    traffic = {"down_bytes": 3 * 10**9, "up_bytes": 10**8}
    site.control.post(f"/rehearsal/hosts/{ids[0]}/traffic", json=traffic).raise_for_status()
    for instance_id in ids:
        site.destroy(instance_id).raise_for_status()

    days = '{"day":{"gte":0,"lte":99999999999}}'
    rows: list[dict[str, Any]] = []
    token = ""
    while True:
        answer = site.http.get(
            "/api/v0/charges/", params={"select_filters": days, "limit": 2, "after_token": token}
        ).json()
        rows += answer["results"]
        token = answer["next_token"]
        if not token:
            break
    meter = site.meter()
    assert sorted(str(row["source"]) for row in rows) == [f"instance-{each}" for each in ids]
    for row in rows:
        billed = meter["instances"][str(row["source"]).removeprefix("instance-")]
        assert Decimal(str(row["amount"])) == Decimal(billed["total_dollars"])
        items: list[dict[str, Any]] = row["items"]
        assert [item["type"] for item in items] == ["gpu", "disk", "bwd", "bwu"]
        assert sum(Decimal(str(item["amount"])) for item in items) == Decimal(str(row["amount"]))
    total = sum(Decimal(str(row["amount"])) for row in rows)
    assert total == Decimal(meter["billed_dollars"]) > 0
    assert site.credit() == 25 - total
    assert site.meter()["billed_dollars"] == meter["billed_dollars"]


def test_charges_need_days(site: Site) -> None:
    answer = site.http.get("/api/v0/charges/", params={"select_filters": '{"day":{"gte":1}}'})
    assert answer.status_code == 400
    future = '{"day":{"gte":99999999998,"lte":99999999999}}'
    nothing = site.http.get("/api/v0/charges/", params={"select_filters": future}).json()
    assert (nothing["results"], nothing["total"], nothing["next_token"]) == ([], 0, None)


def test_image_pulls_are_billed_if_that_is_set(open_market: Open) -> None:
    site = open_market(image_bytes=5 * 10**9)
    instance_id = site.rented(site.offers(inet_down_cost={"gt": 0})[0]["id"])
    host = site.becomes(instance_id, "running")
    assert host["bytes_down"] == 5 * 10**9
    assert Decimal(host["bwd_dollars"]) > 0


def test_when_credit_is_used_up_hosts_stop_and_nothing_is_rented(open_market: Open) -> None:
    site = open_market(time_scale=100_000, credit_dollars=Decimal("0.5"), boot_seconds=1)
    instance_id = site.rented()
    host = site.becomes(instance_id, "stopped")
    assert host["pid"] is None
    assert site.credit() <= 0
    refused = site.rent()
    assert refused.status_code == 400
    assert refused.json()["error"] == "insufficient_credit"


def at_once(*calls: Callable[[], httpx.Response]) -> list[httpx.Response]:
    """What is answered to calls made side by side, the accepted ones first."""
    with ThreadPoolExecutor(len(calls)) as threads:
        answering = [threads.submit(call) for call in calls]
    return sorted((one.result() for one in answering), key=lambda answer: answer.status_code)


def test_calls_too_frequent_are_refused_and_not_carried_out(open_market: Open) -> None:
    site = open_market(rate_limits=True)
    asks = [offer["id"] for offer in site.offers()[:2]]
    first, refused = at_once(*(partial(site.rent, ask) for ask in asks))
    assert (first.status_code, refused.status_code) == (200, 429)
    instance_id = first.json()["new_contract"]
    assert re.fullmatch(r"API requests too frequent: endpoint threshold=\d+\.\d", refused.text)
    assert len(site.hosts()) == 1
    twice = at_once(*[partial(site.destroy, instance_id)] * 2)
    assert [answer.status_code for answer in twice] == [200, 429]
    days = {"select_filters": '{"day":{"gte":0,"lte":9999999999}}'}
    charges = partial(site.http.get, "/api/v0/charges/", params=days)
    answers = at_once(*[charges] * 5)
    assert answers[0].status_code == 200
    frequent = answers[-1]
    assert frequent.status_code == 429
    assert frequent.json()["retry_after"] == int(frequent.headers["retry-after"])


def test_reads_lag_behind_the_truth_if_that_is_set(open_market: Open) -> None:
    site = open_market(read_lag_seconds=3600)
    instance_id = site.rented()
    site.becomes(instance_id, "running")
    assert site.listed()["instances"] == []
    assert site.shown(instance_id) is None


def test_a_destroyed_instance_is_still_listed_while_reads_lag(open_market: Open) -> None:
    # An hour of lag, which passes at once or not at all.
    rich = {"read_lag_seconds": 3600, "credit_dollars": Decimal(1_000_000)}
    site = open_market(**rich, time_scale=100_000)
    instance_id = site.rented()
    wait_until(lambda: site.shown(instance_id) is not None)
    site.running.stop()
    site = open_market(**rich)
    site.destroy(instance_id).raise_for_status()
    assert site.shown(instance_id) is not None
    site.running.stop()
    site = open_market(**rich, time_scale=100_000)
    wait_until(lambda: site.shown(instance_id) is None)


def test_gpu_names_are_told_without_a_key(site: Site) -> None:
    names = httpx.get(f"{site.running.url}/api/v0/gpu_names/unique/", timeout=60).json()[
        "gpu_names"
    ]
    assert "RTX 4090" in names
