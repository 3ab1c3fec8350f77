"""Rows of the marketplace: odd ones are understood as far as they go."""

import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from work_pools.vastai.models import FailureKind, Instance, Offer, Status

"""For machines that are busy with other things."""

ODD = [None, True, False, 0, -1, 7, 24564, 10**400, -(10**400), 0.5, float("nan"), float("inf")]
WORDS = ["0.25", "-1", "1e999", "NaN", "", "running", "EXITED", "RTX 4090", "Oslo, NO", "\x00é"]
SCALARS = st.one_of(
    st.sampled_from([*ODD, *WORDS]),
    st.integers(-5, 5000),
    st.floats(),
    st.decimals(allow_nan=False, allow_infinity=False),
)
JUNK = st.one_of(
    SCALARS,
    st.lists(SCALARS, max_size=2),
    st.dictionaries(st.sampled_from(["a", "id"]), SCALARS, max_size=2),
)


def rows(names: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from([*names, "a_new_field"]), JUNK, max_size=12)


OFFER_FIELDS = [name for name in Offer.model_fields if name != "id"]
INSTANCE_FIELDS = [name for name in Instance.model_fields if name != "id"]


@given(number=st.integers(1, 10**15), row=rows(OFFER_FIELDS), disk_gb=st.integers(1, 1000))
def test_whatever_an_offer_says_it_can_be_read_and_holds_only_finite_numbers(
    number: int, row: dict[str, Any], disk_gb: int
) -> None:
    offer = Offer.model_validate(row | {"id": number})
    assert offer.id == number
    for value in offer.model_dump().values():
        assert not isinstance(value, float | Decimal) or math.isfinite(value)
    price = offer.dollars_per_hour(disk_gb)
    assert (price is None) == (offer.dph_base is None or offer.storage_cost is None)


@given(number=st.integers(1, 10**15), row=rows(INSTANCE_FIELDS))
def test_whatever_an_instance_says_it_can_be_read_and_has_a_status(
    number: int, row: dict[str, Any]
) -> None:
    instance = Instance.model_validate(row | {"id": number})
    assert instance.id == number
    assert instance.status
    assert isinstance(instance.is_stopped, bool)
    assert instance.failure_kind in {None, *FailureKind}
    _ = instance.started_at


@pytest.mark.parametrize("number", [None, "x", True, 0, -3, 1.5, [1], ""])
def test_a_row_without_identity_is_an_error(number: object) -> None:
    with pytest.raises(ValidationError):
        Instance.model_validate({"id": number})
    with pytest.raises(ValidationError):
        Offer.model_validate({})


def test_money_is_exact() -> None:
    offer = Offer.model_validate(
        {"id": 1, "dph_base": Decimal("0.1"), "storage_cost": Decimal("0.72"), "dph_total": 0}
    )
    assert offer.dollars_per_hour(100) == Decimal("0.2")


def test_the_dearer_of_two_prices_counts() -> None:
    told = {"id": 1, "dph_base": "0.10", "storage_cost": "0.72", "dph_total": "0.5"}
    assert Offer.model_validate(told).dollars_per_hour(100) == Decimal("0.5")


@pytest.mark.parametrize(
    ("geolocation", "country"),
    [
        ("Oslo, NO", "NO"),
        ("Quebec, Montreal,  ca ", "CA"),
        ("SE", "SE"),
        ("California, United States", None),
        ("", None),
        (None, None),
    ],
)
def test_the_country_is_a_code_or_unknown(geolocation: str | None, country: str | None) -> None:
    assert Offer(id=1, geolocation=geolocation).country == country


def test_an_instance_without_status_is_being_provisioned_and_an_unknown_one_keeps_its_word() -> (
    None
):
    assert Instance(id=1).status == Status.PROVISIONING
    assert Instance(id=1, actual_status="RESTARTING").status == "restarting"
    assert not Instance(id=1, actual_status="restarting").is_stopped
    assert Instance(id=1, actual_status="running").is_running


@pytest.mark.parametrize(
    "instance",
    [
        Instance(id=1, actual_status="exited"),
        Instance(id=1, actual_status="stopped"),
        Instance(id=1, actual_status="frozen"),
        Instance(
            id=1,
            actual_status="running",
            cur_state="stopped",
            intended_status="stopped",
            next_state="stopped",
        ),
    ],
)
def test_a_stopped_or_outbid_instance_is_stopped_whatever_else_it_says(instance: Instance) -> None:
    assert instance.is_stopped


def test_an_instance_still_being_set_up_is_not_stopped() -> None:
    assert not Instance(id=1).is_stopped
    assert not Instance(id=1, cur_state="stopped", intended_status="running").is_stopped


@pytest.mark.parametrize("status", ["offline", "unknown"])
def test_an_instance_nobody_hears_of_is_lost(status: str) -> None:
    assert Instance(id=1, actual_status=status).is_lost


@pytest.mark.parametrize(
    ("message", "kind", "another_helps"),
    [
        ("manifest unknown: manifest unknown", FailureKind.IMAGE, False),
        ("pull access denied for x, repository does not exist", FailureKind.IMAGE, False),
        ("failed to resolve reference docker.io/x: not found", FailureKind.IMAGE, False),
        ("unauthorized: authentication required", FailureKind.IMAGE, False),
        (
            "failed to resolve reference docker.io/x: dial tcp 1.2.3.4:443: i/o timeout",
            FailureKind.REGISTRY,
            True,
        ),
        ("toomanyrequests: You have reached your pull rate limit.", FailureKind.REGISTRY, True),
        (
            "Error response from daemon: OCI runtime create failed: runc create failed",
            FailureKind.CONTAINER,
            True,
        ),
        ("write /var/lib/docker: no space left on device", FailureKind.CONTAINER, True),
    ],
)
def test_why_a_container_does_not_start_decides_whether_another_host_may_help(
    message: str, kind: FailureKind, another_helps: bool
) -> None:
    failed = Instance(id=1, actual_status="created", status_msg=message)
    assert failed.failure_kind is kind
    assert kind.another_host_may_help is another_helps


def test_what_a_running_instance_said_while_it_started_is_no_failure() -> None:
    told = "unauthorized: first try; success, running aseagi"
    assert Instance(id=1, actual_status="running", status_msg=told).failure_kind is None
    assert (
        Instance(id=1, actual_status="loading", status_msg="Pulling fs layer").failure_kind is None
    )
