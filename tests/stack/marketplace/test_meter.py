from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from stack.marketplace.instances import NEXT, Instance, Moment, NotAllowed, Status
from stack.marketplace.meter import Rates, Span, bill, disk_dollars_per_hour

HOUR_US = 3_600_000_000
RATES = Rates(Decimal("0.01"), Decimal("0.02"), Decimal("0.005"))
dollars = st.decimals(min_value=0, max_value=200, places=4)
lengths = st.integers(min_value=0, max_value=10**15)


def instance(gpu: str = "0.36", **changes: object) -> Instance:
    return Instance(
        id=1,
        ask_id=2,
        machine_id=3,
        api_key="key",
        image="ours:1",
        runtype="args",
        args=[],
        onstart=None,
        env={},
        disk_gigabytes=Decimal(10),
        is_bid=False,
        end_date=1e10,
        disk_dollars_per_hour=Decimal("0.0036"),
        down_dollars_per_gb=Decimal("0.02"),
        up_dollars_per_gb=Decimal("0.01"),
        host={},
        history=[Moment(clock_us=0, epoch=0, gpu_dollars_per_hour=Decimal(gpu))],
    ).model_copy(update=changes)


def live(one: Instance, *steps: tuple[float, Status]) -> Instance:
    """Let it become each status at each second."""
    for second, status in steps:
        one.happen(int(second * 1_000_000), second, actual_status=status)
    return one


BOOTED = ((1, Status.CREATED), (2, Status.LOADING), (10, Status.RUNNING))


def test_the_gpu_is_billed_only_while_running_and_the_disk_from_creation() -> None:
    one = live(instance(), *BOOTED)
    now = one.bill(110_000_000)
    assert now.gpu_microseconds == 100_000_000
    assert now.disk_microseconds == 110_000_000
    assert now.gpu_dollars == Decimal("0.010000")
    assert now.disk_dollars == Decimal("0.000110")


def test_a_stopped_instance_bills_its_disk_on() -> None:
    one = live(instance(), *BOOTED, (20, Status.STOPPED))
    before, after = one.bill(20_000_000), one.bill(3_620_000_000)
    assert after.gpu_dollars == before.gpu_dollars
    assert after.disk_dollars - before.disk_dollars == Decimal("0.003600")


def test_frozen_and_silent_hosts_are_billed_as_running_ones() -> None:
    for status in (Status.FROZEN, Status.UNKNOWN):
        one = live(instance(), *BOOTED, (20, status))
        assert one.bill(30_000_000).gpu_microseconds == 20_000_000


def test_a_bill_never_changes_after_the_end() -> None:
    one = live(instance(), *BOOTED)
    one.move_bytes(down=10**9, up=10**8)
    one.happen(60_000_000, 60, exists=False)
    final = one.bill(60_000_000)
    assert final.down_dollars == Decimal("0.02")
    assert final.up_dollars == Decimal("0.001")
    assert one.bill(10**15) == final
    try:
        one.move_bytes(down=1, up=0)
    except NotAllowed:
        return
    raise AssertionError("traffic was billed to an instance that is gone")


def test_a_new_bid_is_billed_from_then_on() -> None:
    one = live(instance("0.36"), *BOOTED)
    one.happen(20_000_000, 20, gpu_dollars_per_hour=Decimal("3.6"))
    assert one.bill(30_000_000).gpu_dollars == Decimal("0.001") + Decimal("0.01")


@given(dollars, st.lists(lengths, max_size=20))
def test_splitting_a_time_changes_no_amount(rate: Decimal, pieces: list[int]) -> None:
    parts = [Span(piece, rate) for piece in pieces]
    whole = bill([Span(sum(pieces), rate)], rates=RATES, bytes_down=0, bytes_up=0)
    assert bill(parts, rates=RATES, bytes_down=0, bytes_up=0) == whole


@given(dollars, lengths, lengths)
def test_a_bill_only_grows(rate: Decimal, first: int, more: int) -> None:
    earlier = bill([Span(first, rate)], rates=RATES, bytes_down=first, bytes_up=0)
    later = bill([Span(first + more, rate)], rates=RATES, bytes_down=first + more, bytes_up=0)
    assert later.total_dollars >= earlier.total_dollars


@given(dollars, lengths)
def test_an_amount_is_within_half_a_microdollar_of_the_truth(rate: Decimal, length: int) -> None:
    charged = bill([Span(length, rate)], rates=RATES, bytes_down=0, bytes_up=0).gpu_dollars
    assert abs(charged * HOUR_US - rate * length) * 2 * 10**6 <= HOUR_US


def test_a_disk_costs_a_720th_of_its_month_per_hour() -> None:
    assert disk_dollars_per_hour(Decimal(36), Decimal("0.2")) == Decimal("0.01")


@given(st.lists(st.sampled_from(Status), max_size=30), st.data())
def test_no_history_bills_more_gpu_than_disk_or_visits_a_forbidden_state(
    wanted: list[Status], data: st.DataObject
) -> None:
    one = instance()
    clock_us = 0
    for status in wanted:
        clock_us += data.draw(st.integers(0, 10**9))
        before = one.status
        try:
            one.happen(clock_us, 0, actual_status=status)
        except NotAllowed:
            assert one.status == before
            assert status not in NEXT[before]
        else:
            assert status == before or status in NEXT[before]
    now = one.bill(clock_us)
    assert 0 <= now.gpu_microseconds <= now.disk_microseconds == clock_us


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=6))
def test_history_tells_what_was_true_at_any_time(steps: list[int]) -> None:
    one = instance()
    clock_us = 0
    path = (Status.CREATED, Status.LOADING, Status.RUNNING, Status.EXITED, Status.LOADING)
    for step, status in zip(steps, path, strict=False):
        clock_us += step + 1
        one.happen(clock_us, 0, actual_status=status)
        seen = one.at(clock_us)
        earlier = one.at(clock_us - 1)
        assert seen is not None
        assert seen.actual_status == status
        assert earlier is not None
        assert earlier.actual_status != status
    assert one.at(-1) is None


def test_an_instance_survives_being_written_and_read_to_the_last_digit() -> None:
    one = live(instance("0.123456"), *BOOTED)
    again = Instance.model_validate_json(one.model_dump_json())
    assert again == one
    assert again.bill(10**14) == one.bill(10**14)
