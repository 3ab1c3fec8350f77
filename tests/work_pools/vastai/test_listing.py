"""Listing, destroying, searching, credit and charges: what is said, and what is not believed."""

import json
import logging
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from schema.failures import Misconfigured, RetryLater
from tests.work_pools.vastai.conftest import API_KEY, Market
from work_pools.vastai.client import AlreadyGone, Destroyed, Marketplace
from work_pools.vastai.errors import BadKey, Blind, NotDestroyed, Unavailable
from work_pools.vastai.requirements import SearchQuery

LIST = "/api/v1/instances/"
CHARGES = "/api/v0/charges/"
SEARCH = "/api/v0/bundles/"
CREDIT = "/api/v0/users/current/"
ONE = "/api/v0/instances/5/"
WRONG_KEY = {"success": False, "error": "auth_error", "msg": f"Invalid user key {API_KEY}"}


def page(ids: Sequence[int], *, total: int | None = None, token: str | None = None) -> Any:
    rows = [{"id": n, "label": f"host-{n}", "actual_status": "running"} for n in ids]
    body = {"success": True, "instances_found": len(rows), "instances": rows, "next_token": token}
    return body if total is None else body | {"total_instances": total}


async def test_sixty_instances_on_three_pages_are_all_listed(
    market: Market, marketplace: Marketplace
) -> None:
    market.answers("GET", LIST, page(range(1, 26), total=60, token="a"))
    market.answers("GET", LIST, page(range(26, 51), total=60, token="b"))
    market.answers("GET", LIST, page(range(51, 61), total=60))
    assert [instance.id for instance in await marketplace.list_instances()] == list(range(1, 61))
    assert [r.query.get("after_token") for r in market.received] == [None, "a", "b"]


async def test_an_empty_list_means_that_nothing_is_rented(
    market: Market, marketplace: Marketplace
) -> None:
    market.answers("GET", LIST, page([], total=0))
    assert await marketplace.list_instances() == []


@pytest.mark.parametrize(
    ("status", "body"),
    [
        pytest.param(410, {"success": False, "error": "deprecated_endpoint"}, id="410"),
        pytest.param(404, {"error": "not_found"}, id="404"),
        pytest.param(400, {"error": "invalid_request"}, id="400"),
        pytest.param(429, "API requests too frequent", id="429"),
        pytest.param(500, {"success": False}, id="500"),
        pytest.param(502, "<html>Bad Gateway</html>", id="502"),
        pytest.param(200, "<html>maintenance</html>", id="HTML"),
        pytest.param(200, "", id="nothing"),
        pytest.param(200, [], id="a bare list"),
        pytest.param(200, {"success": True}, id="no list"),
        pytest.param(200, {"instances": None}, id="null"),
        pytest.param(200, {"instances": {}}, id="an object"),
        pytest.param(200, {"success": False, "instances": []}, id="success denied"),
        pytest.param(200, {"instances": [{"label": "x"}]}, id="a row without id"),
        pytest.param(200, {"instances": [{"id": True}]}, id="an id that is none"),
        pytest.param(200, {"instances": ["x"]}, id="a row that is none"),
        pytest.param(200, page([1], total=2), id="fewer rows than announced"),
        pytest.param(200, page([1, 2], total=1), id="more rows than announced"),
        pytest.param(200, page([1, 1], total=2), id="a row twice"),
        pytest.param(200, page([1, 2]) | {"instances_found": 3}, id="page cut short"),
        pytest.param(200, page([], token="a"), id="an empty page before another"),
        pytest.param(200, page([1]) | {"next_token": 7}, id="a token that is none"),
        pytest.param(200, '{"instances": [{"id": 1},]}', id="not quite JSON"),
        pytest.param(302, "", id="a redirect"),
    ],
)
async def test_a_list_that_cannot_be_trusted_is_blind_and_never_empty(
    market: Market, impatient: Marketplace, status: int, body: object
) -> None:
    market.answers("GET", LIST, body, status=status)
    with pytest.raises(Blind) as blind:
        await impatient.list_instances()
    assert isinstance(blind.value, RetryLater)


async def test_an_odd_value_in_a_row_does_not_hide_the_others(
    market: Market, marketplace: Marketplace
) -> None:
    rows = '{"id": 1, "dph_total": NaN, "gpu_util": 1e99999999999999999999}, {"id": 2, "label": {}}'
    market.answers("GET", LIST, f'{{"instances": [{rows}], "total_instances": 2}}')
    assert [instance.id for instance in await marketplace.list_instances()] == [1, 2]


async def test_a_failure_on_a_later_page_is_blind_too(
    market: Market, impatient: Marketplace
) -> None:
    market.answers("GET", LIST, page(range(1, 26), total=30, token="a"))
    market.answers("GET", LIST, "oops", status=503)
    with pytest.raises(Blind, match="503"):
        await impatient.list_instances()


async def test_pages_that_go_round_in_circles_are_blind(
    market: Market, marketplace: Marketplace
) -> None:
    market.answers("GET", LIST, page([1], token="a"))
    market.answers("GET", LIST, page([2], token="b"))
    market.answers("GET", LIST, page([1], token="a"))
    with pytest.raises(Blind, match="end"):
        await marketplace.list_instances()


async def test_a_passing_trouble_while_listing_is_waited_out(
    market: Market, marketplace: Marketplace
) -> None:
    market.answers("GET", LIST, "too frequent", status=429, headers={"Retry-After": "0"})
    market.answers("GET", LIST, "<html>", status=502)
    market.answers("GET", LIST, page([1], total=1))
    assert [instance.id for instance in await marketplace.list_instances()] == [1]


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_refused_key_is_a_setting_to_mend_and_is_not_shown(
    market: Market, marketplace: Marketplace, status: int
) -> None:
    market.answers("GET", LIST, WRONG_KEY, status=status)
    with pytest.raises(BadKey) as refused:
        await marketplace.list_instances()
    assert isinstance(refused.value, Misconfigured)
    assert API_KEY not in str(refused.value)


async def test_only_the_very_label_is_found_even_if_the_marketplace_ignores_the_filter(
    market: Market, marketplace: Marketplace
) -> None:
    market.answers("GET", LIST, page([1, 12], total=2))
    assert [instance.id for instance in await marketplace.find_by_label("host-1")] == [1]
    assert json.loads(market.received[0].query["select_filters"]) == {"label": {"in": ["host-1"]}}


async def test_a_destroy_is_confirmed_by_the_marketplace(
    market: Market, marketplace: Marketplace
) -> None:
    market.answers("DELETE", ONE, {"success": True})
    assert await marketplace.destroy(5) == Destroyed(5)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (429, "API requests too frequent: endpoint threshold=3.0"),
        (502, "<html>Bad Gateway</html>"),
        (200, {"success": False, "error": "try_again"}),
        (200, "<html>ok</html>"),
        (404, "<html>no such page</html>"),
        (400, {"success": False, "error": "invalid_args"}),
    ],
)
async def test_a_destroy_is_repeated_until_it_is_confirmed(
    market: Market, marketplace: Marketplace, status: int, body: object
) -> None:
    market.answers("DELETE", ONE, body, status=status)
    market.answers("DELETE", ONE, body, status=status)
    market.answers("DELETE", ONE, {"success": True})
    assert await marketplace.destroy(5, patience_seconds=30) == Destroyed(5)


@pytest.mark.parametrize("code", ["no_such_instance", "not_found"])
async def test_an_instance_the_marketplace_does_not_know_is_already_gone(
    market: Market, marketplace: Marketplace, code: str
) -> None:
    market.answers("DELETE", ONE, {"success": False, "error": code}, status=404)
    assert await marketplace.destroy(5) == AlreadyGone(5)


async def test_a_404_for_a_wrong_key_is_not_taken_for_an_instance_that_is_gone(
    market: Market, marketplace: Marketplace
) -> None:
    market.answers("DELETE", ONE, WRONG_KEY, status=404)
    with pytest.raises(BadKey):
        await marketplace.destroy(5)


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, {"success": False, "error": "busy"}), (404, "<html>"), (503, ""), (200, {}), (200, "")],
)
async def test_a_destroy_that_is_never_confirmed_says_that_the_host_may_still_cost_money(
    market: Market, marketplace: Marketplace, status: int, body: object
) -> None:
    market.answers("DELETE", ONE, body, status=status)
    with pytest.raises(NotDestroyed, match="instance 5"):
        await marketplace.destroy(5, patience_seconds=0.05)


async def test_a_destroy_without_patience_is_sent_once(
    market: Market, marketplace: Marketplace
) -> None:
    market.answers("DELETE", ONE, {"success": True})
    assert await marketplace.destroy(5, patience_seconds=0) == Destroyed(5)


async def test_the_credit_is_exact(market: Market, marketplace: Marketplace) -> None:
    market.answers("GET", CREDIT, '{"id": 1, "credit": 12.300000000000000001}')
    assert await marketplace.credit() == Decimal("12.300000000000000001")


@pytest.mark.parametrize("body", [{}, {"credit": None}, {"credit": "much"}, {"credit": True}])
async def test_a_credit_that_is_not_said_is_not_zero(
    market: Market, marketplace: Marketplace, body: object
) -> None:
    market.answers("GET", CREDIT, body)
    with pytest.raises(Unavailable):
        await marketplace.credit()


def charge(n: int, amount: object = 0.25) -> dict[str, Any]:
    item = {"type": "gpu", "amount": 0.2, "description": "0.5 hours at $0.4/hour"}
    row = {"source": f"instance-{n}", "amount": amount, "type": "instance", "start": 1, "end": 2}
    return row | {"metadata": {"label": f"host-{n}"}, "items": [item]}


async def test_charges_of_all_pages_are_exact_and_name_their_instance(
    market: Market, marketplace: Marketplace
) -> None:
    market.answers(
        "GET", CHARGES, {"results": [charge(1, 38.421)], "count": 1, "total": 2, "next_token": "n"}
    )
    market.answers("GET", CHARGES, {"results": [charge(2)], "count": 1, "total": 2})
    rows = await marketplace.charges(date(2026, 1, 1), date(2026, 1, 31))
    assert [(row.instance_id, row.label, row.amount) for row in rows] == [
        (1, "host-1", Decimal("38.421")),
        (2, "host-2", Decimal("0.25")),
    ]
    assert [(item.type, item.amount) for item in rows[0].items] == [("gpu", Decimal("0.2"))]
    filters = json.loads(market.received[0].query["select_filters"])
    assert filters["day"] == {"gte": 1767225600, "lte": 1769903999}


@pytest.mark.parametrize(
    "body",
    [
        {"results": [charge(1, "unknown")]},
        {"results": [charge(1)], "total": 2},
        {"results": [charge(1), charge(1)], "total": 2},
        {"success": False, "msg": "bad range"},
        {"results": None},
    ],
)
async def test_charges_are_complete_or_an_error(
    market: Market, marketplace: Marketplace, body: object
) -> None:
    market.answers("GET", CHARGES, body)
    with pytest.raises(Unavailable):
        await marketplace.charges(date(2026, 1, 1), date(2026, 1, 31))


async def test_a_charge_whose_parts_cannot_be_read_is_not_taken_for_one_without_parts(
    market: Market, marketplace: Marketplace
) -> None:
    odd = charge(1) | {"items": [{"type": "gpu", "amount": "?"}], "metadata": None}
    market.answers("GET", CHARGES, {"results": [odd]})
    with pytest.raises(Unavailable):
        await marketplace.charges(date(2026, 1, 1), date(2026, 1, 31))


async def test_a_label_that_is_not_confirmed_is_an_error(
    market: Market, marketplace: Marketplace
) -> None:
    market.answers("PUT", ONE, {"success": True})
    await marketplace.label(5, "adopted")
    assert market.received[0].body == {"label": "adopted"}
    market.answers("PUT", ONE, {"success": False, "error": "no_such_instance"})
    await marketplace.label(5, "adopted")
    with pytest.raises(Unavailable, match="no_such_instance"):
        await marketplace.label(5, "adopted")


def offers(ids: Sequence[int]) -> list[dict[str, Any]]:
    return [{"id": n, "dph_total": n / 1000} for n in ids]


ANY = SearchQuery({"dph_total": {"lte": 0.5}}, disk_gb=20)


async def test_a_search_that_is_cut_off_goes_on_from_the_last_price(
    market: Market, marketplace: Marketplace
) -> None:
    market.answers("POST", SEARCH, {"offers": offers(range(1, 65))})
    market.answers("POST", SEARCH, {"offers": offers(range(64, 100))})
    found = await marketplace.search(ANY)
    assert [offer.id for offer in found] == list(range(1, 100))
    first, second = (r.body for r in market.received)
    assert first["dph_total"] == {"lte": 0.5}
    assert second["dph_total"] == {"lte": 0.5, "gte": 0.064}
    assert first["allocated_storage"] == 20
    assert first["order"] == [["dph_total", "asc"]]


async def test_a_search_that_brings_nothing_new_ends(
    market: Market, marketplace: Marketplace
) -> None:
    market.answers("POST", SEARCH, {"offers": offers(range(1, 65))})
    assert len(await marketplace.search(ANY)) == 64
    assert len(market.received) == 2


async def test_an_offer_without_a_number_is_left_out_and_a_bare_one_is_understood(
    market: Market, marketplace: Marketplace
) -> None:
    market.answers("POST", SEARCH, {"offers": [{"gpu_name": "RTX 4090"}, {"id": 2}, 3]})
    market.answers("POST", SEARCH, {"offers": {"id": 9}})
    assert [offer.id for offer in await marketplace.search(ANY)] == [2]
    assert [offer.id for offer in await marketplace.search(ANY)] == [9]


async def test_when_the_day_s_searches_are_used_up_nothing_is_repeated(
    market: Market, marketplace: Marketplace
) -> None:
    market.answers("POST", SEARCH, {"error": "search_quota_exceeded"}, status=429)
    with pytest.raises(Unavailable, match="search_quota_exceeded"):
        await marketplace.search(ANY)
    assert len(market.received) == 1


async def test_no_log_line_and_no_address_holds_the_key(
    market: Market, marketplace: Marketplace, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    market.answers("DELETE", ONE, f"{API_KEY} too frequent", status=429)
    market.answers("DELETE", ONE, {"success": False, "msg": f"try again, {API_KEY}"})
    market.answers("DELETE", ONE, {"success": True})
    await marketplace.destroy(5, patience_seconds=30)
    ours = [record.getMessage() for record in caplog.records if record.name != "uvicorn.error"]
    assert any("[secret]" in line for line in ours)
    assert not any(API_KEY in line for line in ours)
    assert not any(API_KEY in r.path or API_KEY in str(r.query) for r in market.received)
