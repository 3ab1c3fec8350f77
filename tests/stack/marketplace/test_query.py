from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from stack.marketplace.catalogue import make_catalogue, offer_row
from stack.marketplace.query import MOST_OFFERS, parse_query, select

ANY: dict[str, Any] = {"verified": {}, "rentable": {}, "rented": {}}
"""A query that leaves out nothing."""


def rows(storage: str = "5", *, rented: frozenset[int] = frozenset()) -> list[dict[str, Any]]:
    return [
        offer_row(
            machine,
            now=1_000_000.0,
            rented=machine.machine_id in rented,
            is_bid=False,
            allocated_gigabytes=Decimal(storage),
        )
        for machine in make_catalogue()
    ]


ROWS = rows()


def search(body: dict[str, Any], offers: list[dict[str, Any]] | None = None) -> list[Any]:
    return list(select(ROWS if offers is None else offers, parse_query(body)))


def test_the_catalogue_is_the_same_every_time_and_no_two_offers_share_a_machine() -> None:
    machines = make_catalogue()
    assert machines == make_catalogue()
    assert len({machine.machine_id for machine in machines}) == len(machines) >= 80
    assert len({machine.ask_id for machine in machines}) == len(machines)


def test_numbers_may_be_strings() -> None:
    as_text = search({"gpu_ram": {"gte": "20000"}, "dph_total": {"lt": "0.5"}})
    assert as_text == search({"gpu_ram": {"gte": 20000.0}, "dph_total": {"lt": 0.5}})
    assert as_text
    assert all(row["gpu_ram"] >= 20000 and row["dph_total"] < 0.5 for row in as_text)


def test_what_the_command_line_client_sends_is_understood() -> None:
    found = search(
        {
            "verified": {"eq": True},
            "external": {"eq": False},
            "rentable": {"eq": True},
            "gpu_name": {"eq": "RTX 4090"},
            "gpu_ram": {"gte": 20000.0},
            "dph_total": {"lt": "5"},
            "duration": {"gte": 172800.0},
            "order": [["dph_total", "asc"]],
            "type": "on-demand",
            "allocated_storage": 5.0,
        }
    )
    assert len(found) > 1
    assert {row["gpu_name"] for row in found} == {"RTX 4090"}
    prices = [row["dph_total"] for row in found]
    assert prices == sorted(prices)


def test_an_unknown_field_is_ignored() -> None:
    assert search({"colour_of_case": {"eq": "red"}}) == search({})


def test_unverified_and_rented_offers_are_left_out_unless_asked_for() -> None:
    machine = next(row["machine_id"] for row in rows() if row["verification"] == "verified")
    offers = rows(rented=frozenset({machine}))
    usual = search({}, offers)
    assert {row["verification"] for row in usual} == {"verified"}
    assert machine not in {row["machine_id"] for row in usual}
    asked = search({"rented": {"eq": True}, "rentable": {"eq": False}}, offers)
    assert [row["machine_id"] for row in asked] == [machine]
    unverified = search({"verified": {"eq": "false"}}, offers)
    assert {row["verification"] for row in unverified} == {"unverified", "deverified"}


def test_never_more_than_64_offers_whatever_the_limit() -> None:
    assert len(search({**ANY, "limit": 3000})) == MOST_OFFERS == 64
    assert len(search({**ANY, "limit": "7"})) == 7
    assert len(rows()) > 64


def test_the_disk_asked_for_is_in_the_price_and_must_be_there() -> None:
    offers = rows("200")
    found = search({**ANY, "allocated_storage": 200}, offers)
    assert found
    for row in found:
        assert row["disk_space"] >= 200
        expected = row["dph_base"] + 200 * row["storage_cost"] / 720
        assert abs(row["dph_total"] - expected) < 1e-9


def test_an_offer_is_found_again_by_ask_contract_id_and_not_by_id() -> None:
    wanted = search({})[0]["id"]
    assert [row["id"] for row in search({"ask_contract_id": {"eq": wanted}})] == [wanted]
    assert search({"id": {"eq": wanted}}) == []


def test_lists_and_places_can_be_asked_for() -> None:
    found = search({**ANY, "geolocation": {"in": ["SE", "NO"]}, "gpu_name": {"notin": ["L4"]}})
    assert found
    assert {row["geolocation"][-2:] for row in found} <= {"SE", "NO"}
    assert "L4" not in {row["gpu_name"] for row in found}


def test_a_missing_value_satisfies_no_comparison_and_sorts_last() -> None:
    found = search({**ANY, "cpu_cores": {"gt": 0}})
    assert found
    assert None not in {row["cpu_cores"] for row in found}
    ordered = search({**ANY, "order": [["cpu_cores", "desc"]], "limit": 64}, rows()[:40])
    known = [row["cpu_cores"] for row in ordered if row["cpu_cores"] is not None]
    assert known == sorted(known, reverse=True)
    assert [row["cpu_cores"] for row in ordered][: len(known)] == known


numbers = st.one_of(st.integers(-10, 10**6), st.floats(allow_nan=False, allow_infinity=False))
words = st.sampled_from(["", "eq", "gte", "in", "12", "1e400", "nan", "asc", "desc", "true"])
junk = st.recursive(
    st.one_of(st.none(), st.booleans(), words, numbers),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(words, inner, max_size=3)),
    max_leaves=8,
)
fields = st.sampled_from(
    ["gpu_ram", "verified", "order", "limit", "type", "allocated_storage", "x"]
)


@given(st.dictionaries(fields, junk))
def test_no_query_makes_the_search_fail(body: dict[str, Any]) -> None:
    assert len(search(body)) <= MOST_OFFERS


@given(numbers)
def test_below_and_not_below_part_the_market(bound: float) -> None:
    below = search({**ANY, "dph_total": {"lt": bound}}, ROWS[:60])
    others = search({**ANY, "dph_total": {"gte": str(bound)}}, ROWS[:60])
    assert len(below) + len(others) == 60
