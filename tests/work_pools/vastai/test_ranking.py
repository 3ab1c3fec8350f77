"""Which offers will do, and which of them is expected to cost least per page."""

import random
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.work_pools.vastai.test_models import OFFER_FIELDS, rows
from work_pools.vastai.models import Offer
from work_pools.vastai.ranking import PagesPerSecond, WorkAhead, rank
from work_pools.vastai.requirements import Requirements, to_query, unmet
from work_pools.vastai.speeds import PRIOR_WEIGHT_PAGES, UNKNOWN_PAGES_PER_SECOND, expected_speed

WANTED = Requirements(
    max_dollars_per_hour=Decimal("0.60"),
    max_dollars_per_gb=Decimal("0.02"),
    min_hours=3,
    disk_gb=40,
    gpu_names=("RTX 4090", "RTX_3090"),
    min_gpu_memory_gb=24,
    min_compute_capability=8.0,
    min_cuda=12.4,
    min_cpu_cores=4,
    min_reliability=0.98,
    min_down_mbps=200,
    min_up_mbps=50,
    regions_allowed=frozenset({"NO", "se"}),
    regions_denied=frozenset({"RU"}),
)
GOOD: dict[str, Any] = {
    "id": 1,
    "machine_id": 11,
    "gpu_name": "RTX 4090",
    "num_gpus": 1,
    "gpu_ram": 24564,
    "compute_cap": 890,
    "cuda_max_good": Decimal("12.4"),
    "cpu_arch": "amd64",
    "cpu_cores_effective": 8,
    "disk_space": 400,
    "inet_down": 800,
    "inet_up": 400,
    "inet_down_cost": Decimal("0.01"),
    "inet_up_cost": Decimal("0.01"),
    "dph_base": Decimal("0.40"),
    "dph_total": Decimal("0.41"),
    "storage_cost": Decimal("0.18"),
    "is_bid": False,
    "rentable": True,
    "rented": False,
    "external": None,
    "verification": "verified",
    "reliability": Decimal("0.995"),
    "geolocation": "Oslo, NO",
    "duration": 86400,
}
BULK = WorkAhead(
    pages=2000,
    bytes_per_page_down=400_000,
    bytes_per_page_up=10_000,
    image_gb=4,
    startup_seconds=20,
)


def offer(**changes: object) -> Offer:
    return Offer.model_validate(GOOD | changes)


def test_an_offer_that_meets_everything_has_nothing_against_it() -> None:
    assert unmet(offer(), WANTED) == []


NEEDED = sorted(GOOD.keys() - {"id", "cpu_arch", "is_bid", "rented", "external", "dph_total"})


@pytest.mark.parametrize("name", NEEDED)
def test_what_an_offer_does_not_say_counts_as_not_met(name: str) -> None:
    assert unmet(offer(**{name: None}), WANTED)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"gpu_name": "GTX 1080"}, "GTX 1080"),
        ({"num_gpus": 2}, "one GPU"),
        ({"gpu_ram": 16000}, "GPU memory"),
        ({"compute_cap": 750}, "compute capability"),
        ({"cuda_max_good": Decimal("12.3")}, "CUDA"),
        ({"cpu_arch": "arm64"}, "arm64"),
        ({"cpu_cores_effective": 2}, "CPU cores"),
        ({"disk_space": 39}, "disk"),
        ({"inet_down": 199}, "download"),
        ({"inet_up": 0}, "upload"),
        ({"inet_down_cost": Decimal("0.021")}, "download at"),
        ({"inet_up_cost": Decimal("0.021")}, "upload at"),
        ({"inet_up_cost": Decimal(-1)}, "upload costs"),
        ({"dph_base": Decimal("0.595")}, "an hour"),
        ({"dph_total": Decimal("0.61")}, "an hour"),
        ({"dph_base": 0, "storage_cost": 0, "dph_total": 0}, "what it costs"),
        ({"dph_base": Decimal("-0.1"), "dph_total": Decimal("0.4")}, "what it costs"),
        ({"is_bid": True}, "interruptible"),
        ({"rentable": False}, "rentable"),
        ({"rented": True}, "rented"),
        ({"external": True}, "another marketplace"),
        ({"verification": "deverified"}, "deverified"),
        ({"reliability": Decimal("0.97")}, "reliability"),
        ({"geolocation": "Paris, FR"}, "FR"),
        ({"duration": 10799}, "hours"),
    ],
)
def test_each_filter_is_checked_again_and_says_why(changes: dict[str, object], why: str) -> None:
    problems = unmet(offer(**changes), WANTED)
    assert len(problems) == 1
    assert why in problems[0]


def test_a_country_is_denied_even_where_all_others_are_allowed() -> None:
    anywhere = replace(WANTED, regions_allowed=frozenset())
    assert unmet(offer(geolocation="Paris, FR"), anywhere) == []
    assert unmet(offer(geolocation="Moscow, RU"), anywhere) == ["RU is among the countries denied"]


def test_nothing_is_asked_of_a_gpu_that_nobody_asked_for() -> None:
    modest = Requirements(
        max_dollars_per_hour=Decimal(1), max_dollars_per_gb=Decimal(1), min_hours=1
    )
    bare = offer(gpu_name=None, gpu_ram=None, compute_cap=None, cuda_max_good=None)
    assert unmet(bare, modest) == []


def test_a_search_names_every_requirement_in_the_marketplace_s_units() -> None:
    body = to_query(WANTED).body()
    assert body["gpu_name"] == {"in": ["RTX 4090", "RTX 3090"]}
    assert body["duration"] == {"gte": 10800}
    assert body["compute_cap"] == {"gte": 800}
    assert body["gpu_ram"]["gte"] == pytest.approx(22118.4)
    assert body["geolocation"] == {"in": ["NO", "SE"]}
    assert body["allocated_storage"] == 40
    assert body["type"] == "on-demand"
    assert body["verified"] == {"eq": True}


NEAR_THE_EDGE = st.fixed_dictionaries(
    {},
    optional={
        "gpu_name": st.sampled_from(["RTX 4090", "RTX 3090", "RTX 3060"]),
        "gpu_ram": st.sampled_from([22000, 22119, 24564]),
        "compute_cap": st.sampled_from([750, 800, 1200]),
        "cuda_max_good": st.sampled_from([Decimal("12.3"), Decimal("12.4"), 13]),
        "disk_space": st.sampled_from([39, 40, 41]),
        "inet_down": st.sampled_from([199, 200, 5000]),
        "inet_up_cost": st.sampled_from([Decimal("0.02"), Decimal("0.0201"), 0]),
        "dph_total": st.sampled_from([Decimal("0.6"), Decimal("0.601")]),
        "duration": st.sampled_from([10799, 10800, 10**7]),
        "rented": st.booleans(),
    },
)


def meets(has: Any, operator: str, term: Any) -> bool:
    match operator:
        case "eq":
            return has == term
        case "in":
            return has in term
        case "gte":
            return float(has) >= term
        case "lte":
            return float(has) <= term
        case _:
            raise AssertionError(operator)


@given(changes=NEAR_THE_EDGE)
def test_the_search_leaves_out_no_offer_that_would_do(changes: dict[str, Any]) -> None:
    if unmet(offer(**changes), WANTED):
        return
    row: Mapping[str, Any] = GOOD | changes | {"verified": True, "external": False}
    row = row | {"geolocation": "NO"}
    for name, terms in to_query(WANTED).filters.items():
        for operator, term in terms.items():
            assert meets(row[name], operator, term), name


@given(row=rows(OFFER_FIELDS))
def test_a_strange_offer_is_refused_or_priced_but_never_a_crash(row: dict[str, Any]) -> None:
    lenient = Requirements(
        max_dollars_per_hour=Decimal(10**9),
        max_dollars_per_gb=Decimal(10**9),
        min_hours=0,
        disk_gb=10,
        min_reliability=-1e9,
        min_down_mbps=0,
        min_up_mbps=0,
        verified_only=False,
    )
    strange = Offer.model_validate(GOOD | row | {"id": 1})
    ranking = rank([strange], lenient, BULK, {})
    assert len(ranking.best_first) + len(ranking.rejected) == 1
    for ranked in ranking.best_first:
        assert ranked.dollars_per_page.is_finite()
        assert ranked.dollars_per_page >= 0
    for _, why in ranking.rejected:
        assert why


DOLLARS = st.decimals(Decimal("0.05"), Decimal("0.70"), places=3)
OFFERS = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.integers(1, 50),
            "machine_id": st.integers(1, 20),
            "gpu_name": st.sampled_from(["RTX 4090", "RTX 3090", "RTX 3060"]),
            "dph_base": DOLLARS,
            "dph_total": st.none(),
            "inet_down": st.sampled_from([100, 200, 1000]),
            "inet_down_cost": st.sampled_from([Decimal(0), Decimal("0.01"), Decimal("0.03")]),
            "reliability": st.sampled_from([Decimal("0.9"), Decimal("0.99")]),
        }
    ).map(lambda changes: offer(**changes)),
    max_size=12,
    unique_by=lambda offer: offer.id,
)
SPEEDS = st.dictionaries(
    st.sampled_from(["RTX 4090", "RTX 3090"]),
    st.builds(PagesPerSecond, st.floats(0.1, 50), st.integers(0, 10**6)),
)


@given(offers=OFFERS, speeds=SPEEDS, seed=st.integers(), avoided=st.sets(st.integers(1, 20)))
def test_a_ranking_holds_every_offer_once_best_first_whatever_order_they_came_in(
    offers: list[Offer], speeds: dict[str, PagesPerSecond], seed: int, avoided: set[int]
) -> None:
    ranking = rank(offers, WANTED, BULK, speeds, avoided)
    shuffled = random.Random(seed).sample(offers, len(offers))  # noqa: S311
    assert rank(shuffled, WANTED, BULK, speeds, avoided) == ranking
    kept = [ranked.offer for ranked in ranking.best_first]
    refused = [refused for refused, _ in ranking.rejected]
    assert sorted(o.id for o in kept + refused) == sorted(o.id for o in offers)
    costs = [ranked.dollars_per_page for ranked in ranking.best_first]
    assert costs == sorted(costs)
    for ranked in ranking.best_first:
        assert not unmet(ranked.offer, WANTED)
        assert ranked.offer.machine_id not in avoided
        assert abs(ranked.dollars_total - ranked.dollars_per_page * BULK.pages) < Decimal("1e-9")


@given(base=DOLLARS, less=st.decimals(Decimal("0.001"), Decimal("0.049"), places=3))
def test_of_two_offers_alike_the_cheaper_is_taken(base: Decimal, less: Decimal) -> None:
    dear = offer(id=1, dph_base=base, dph_total=None)
    cheap = offer(id=2, dph_base=base - less, dph_total=None)
    generous = replace(WANTED, max_dollars_per_hour=Decimal(2))
    assert rank([dear, cheap], generous, BULK, {}).best_first[0].offer == cheap


def best(job: WorkAhead, *offers: Offer, speeds: Mapping[str, PagesPerSecond] = {}) -> Offer:
    return rank(offers, WANTED, job, speeds).best_first[0].offer


def test_a_dearer_card_that_reads_faster_is_cheaper_per_page() -> None:
    slow = offer(id=1, gpu_name="RTX 3090", dph_base=Decimal("0.20"), dph_total=None)
    fast = offer(id=2, gpu_name="RTX 4090", dph_base=Decimal("0.30"), dph_total=None)
    endless = replace(BULK, pages=500_000)
    assert best(endless, slow, fast) == fast
    measured = {"RTX 4090": PagesPerSecond(6, 100_000), "RTX 3090": PagesPerSecond(12, 100_000)}
    assert best(endless, slow, fast, speeds=measured) == slow


def test_for_few_pages_the_price_of_pulling_the_image_decides() -> None:
    dear_line = offer(id=1, dph_base=Decimal("0.20"), dph_total=None, inet_down_cost="0.02")
    free_line = offer(id=2, dph_base=Decimal("0.45"), dph_total=None, inet_down_cost=0)
    assert best(replace(BULK, pages=10), dear_line, free_line) == free_line
    assert best(replace(BULK, pages=200_000, bytes_per_page_down=0), dear_line, free_line) == (
        dear_line
    )


def test_the_job_s_price_is_the_sum_of_its_parts() -> None:
    simple = offer(
        dph_base=Decimal("0.36"),
        dph_total=None,
        storage_cost=Decimal("0.72"),
        inet_down=800,
        inet_down_cost=Decimal("0.01"),
        inet_up_cost=Decimal("0.02"),
    )
    job = WorkAhead(
        pages=1000,
        bytes_per_page_down=1_000_000,
        bytes_per_page_up=100_000,
        image_gb=4,
        startup_seconds=20,
    )
    wanted = replace(WANTED, disk_gb=50)
    measured = {"RTX 4090": PagesPerSecond(10, 10**12)}
    ranked = rank([simple], wanted, job, measured).best_first[0]
    # 40 s of pulling with a disk of 5 cents an hour, 120 s at 41 cents, 5 GB down, 0.1 GB up.
    pulled = Decimal("0.05") * 40 / 3600
    read = Decimal("0.41") * 120 / 3600
    traffic = Decimal("0.05") + Decimal("0.002")
    assert float(ranked.dollars_total) == pytest.approx(float(pulled + read + traffic))
    assert ranked.seconds == pytest.approx(160)
    assert ranked.source == "measured"
    assert "RTX 4090 in NO" in ranked.reason


def test_a_slow_line_holds_up_reading() -> None:
    slow_line = rank([offer(inet_up=50)], WANTED, replace(BULK, bytes_per_page_up=10**7), {})
    assert slow_line.best_first[0].seconds == pytest.approx(40 + 20 + 3200)


def test_what_a_host_claims_of_its_speed_changes_nothing() -> None:
    boasting = Offer.model_validate(GOOD | {"dlperf": 10**6, "total_flops": 10**6, "score": 10**6})
    assert rank([boasting], WANTED, BULK, {}) == rank([offer()], WANTED, BULK, {})


def test_a_machine_that_failed_lately_is_avoided_and_the_reason_is_given() -> None:
    ranking = rank([offer()], WANTED, BULK, {}, {11})
    assert ranking.best_first == []
    assert ranking.rejected == [(offer(), "its machine failed lately and is avoided")]


@given(speed=st.floats(0.1, 100), pages=st.integers(0, 10**7))
def test_a_measured_speed_counts_as_far_as_the_pages_it_rests_on(speed: float, pages: int) -> None:
    prior = expected_speed("RTX 4090", {}).pages_per_second
    blend = expected_speed("rtx_4090", {"RTX 4090": PagesPerSecond(speed, pages)})
    low, high = sorted((prior, speed))
    assert low * 0.999 <= blend.pages_per_second <= high * 1.001
    assert blend.source == ("measured" if pages >= PRIOR_WEIGHT_PAGES else "published")
    more = expected_speed("RTX 4090", {"RTX 4090": PagesPerSecond(speed, pages + 1000)})
    assert abs(more.pages_per_second - speed) <= abs(blend.pages_per_second - speed) + 1e-9


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan"), float("inf")])
def test_a_speed_that_is_none_counts_for_nothing(speed: float) -> None:
    assert expected_speed("RTX 4090", {"RTX 4090": PagesPerSecond(speed, 10**6)}) == (
        expected_speed("RTX 4090", {})
    )


def test_a_model_without_any_figure_is_taken_for_slow() -> None:
    unheard_of = expected_speed("RTX 9999", {})
    assert unheard_of.pages_per_second == UNKNOWN_PAGES_PER_SECOND
    assert not unheard_of.is_known


@pytest.mark.parametrize("wrong", [{"pages": 0}, {"image_gb": -1}, {"bytes_per_page_up": -1}])
def test_work_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"page|size"):
        replace(BULK, **wrong)
