"""What must hold of the fleet's verdict, whatever a ledger row and a listing say."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from sql.hosts import Host
from work_pools.vastai.models import Instance
from work_pools.vastai.verdicts import Adopt, Destroy, End, Gone, Keep, Patience, Started, judge

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
PATIENCE = Patience()
STATUSES = (
    None,
    "created",
    "loading",
    "running",
    "stopped",
    "exited",
    "frozen",
    "offline",
    "unknown",
    "a word never seen before",
)

seconds_ago = st.integers(0, 7200).map(lambda seconds: NOW - timedelta(seconds=seconds))


@st.composite
def hosts(draw: st.DrawFn, *states: str) -> Host:
    """A row as the table's constraints allow it, not long ago."""
    state = draw(st.sampled_from(states or ("intended", "ordered", "booting", "running", "ending")))
    created = draw(seconds_ago)

    def later(than: datetime) -> datetime:
        return than + (NOW - than) * draw(st.floats(0, 1))

    was_ordered = state != "intended"
    is_known = state in ("booting", "running") or (state == "ending" and draw(st.booleans()))
    ordered = later(created) if was_ordered else None
    rented = later(ordered) if ordered and is_known else None
    running = later(rented) if rented and state == "running" else None
    return Host(
        id=UUID(int=1),
        label="aseagi-x-1",
        state=state,
        session_id=UUID(int=2),
        flow_run_id=UUID(int=3),
        instance_id=7 if is_known else None,
        machine_id=5 if was_ordered else None,
        gpu_name="RTX 3090",
        dollars_per_hour=draw(st.decimals("0.05", "3", places=2)),
        disk_dollars_per_hour=Decimal("0.01"),
        reserved_dollars=Decimal(1),
        max_dollars=draw(st.none() | st.decimals("0.01", "5", places=2)),
        created_at=created,
        ordered_at=ordered,
        rented_at=rented,
        running_at=running,
        ending_at=NOW if state == "ending" else None,
        destroy_after=draw(
            st.none() | st.integers(-600, 600).map(lambda s: NOW + timedelta(seconds=s))
        )
        if state == "ending"
        else None,
        destroys=draw(st.integers(0, 20)) if state == "ending" else 0,
        end_reason="closed" if state == "ending" else None,
        failed=False,
        status=None,
        rehearsal=False,
        deadline_at=draw(
            st.none() | st.integers(-3600, 3600).map(lambda s: NOW + timedelta(seconds=s))
        ),
        last_seen_at=draw(st.none() | seconds_ago),
        seen_at=NOW,
    )


@st.composite
def instances(draw: st.DrawFn, *statuses: str | None) -> Instance:
    """What a listing may show of it."""
    states = st.none() | st.sampled_from(("running", "stopped"))
    return Instance(
        id=7,
        label="aseagi-x-1",
        actual_status=draw(st.sampled_from(statuses or STATUSES)),
        intended_status=draw(states),
        cur_state=draw(states),
        next_state=draw(states),
        status_msg=draw(st.none() | st.text(max_size=40)),
    )


@given(hosts(), instances())
def test_a_host_on_the_list_is_never_called_gone(host: Host, instance: Instance) -> None:
    assert not isinstance(judge(host, instance, PATIENCE), Gone)


@given(hosts("booting", "running"))
def test_a_host_too_new_to_be_listed_is_not_missed(host: Host) -> None:
    verdict = judge(host, None, PATIENCE)
    assert isinstance(verdict, Keep if host.age <= PATIENCE.listing else Gone)


@given(hosts("ordered"))
def test_an_order_without_an_answer_is_given_up_only_when_it_is_settled(host: Host) -> None:
    assert host.ordered_at is not None
    settled = NOW - host.ordered_at > PATIENCE.settle
    assert isinstance(judge(host, None, PATIENCE), Gone if settled else Keep)


@given(hosts("ordered", "ending"), instances())
def test_an_instance_under_the_label_of_an_open_order_is_adopted(
    host: Host, instance: Instance
) -> None:
    if host.instance_id is None:
        assert judge(host, instance, PATIENCE) == Adopt(7)


@given(hosts("ending"), instances())
def test_a_host_that_must_end_and_is_listed_is_destroyed_once_its_grace_is_over(
    host: Host, instance: Instance
) -> None:
    if host.instance_id is not None and (host.destroy_after is None or host.destroy_after <= NOW):
        assert judge(host, instance, PATIENCE) == Destroy()


@given(hosts("ending"))
def test_a_host_told_to_go_and_not_listed_is_gone(host: Host) -> None:
    if host.instance_id is not None and host.destroys:
        assert judge(host, None, PATIENCE) == Gone()


@given(hosts("booting", "running"), instances())
def test_no_host_outlives_its_deadline_or_its_money(host: Host, instance: Instance) -> None:
    is_late = host.deadline_at is not None and host.deadline_at < NOW
    is_dear = host.max_dollars is not None and host.dollars_so_far >= host.max_dollars
    if is_late or is_dear:
        assert isinstance(judge(host, instance, PATIENCE), End)


@given(hosts("running"), instances("running"))
def test_a_running_host_that_is_silent_too_long_is_ended(host: Host, instance: Instance) -> None:
    last = max(filter(None, (host.last_seen_at, host.running_at)))
    if NOW - last > PATIENCE.silence:
        assert isinstance(judge(host, instance, PATIENCE), End)


@given(hosts("booting", "running"), instances("stopped", "exited", "frozen", "offline", "unknown"))
def test_a_host_that_stopped_is_ended_whatever_stopped_it(host: Host, instance: Instance) -> None:
    assert isinstance(judge(host, instance, PATIENCE), End)


@given(hosts("booting"), instances(None, "created", "loading", "a word never seen before"))
def test_no_boot_lasts_for_ever(host: Host, instance: Instance) -> None:
    if host.age > PATIENCE.boot:
        assert isinstance(judge(host, instance, PATIENCE), End)


@given(hosts("running"), instances("running"))
def test_a_host_that_reads_within_its_limits_is_left_alone(host: Host, instance: Instance) -> None:
    is_heard = host.last_seen_at is not None and NOW - host.last_seen_at <= PATIENCE.silence
    in_time = host.deadline_at is None or host.deadline_at >= NOW
    affordable = host.max_dollars is None or host.dollars_so_far < host.max_dollars
    if is_heard and in_time and affordable and not instance.is_stopped:
        assert judge(host, instance, PATIENCE) == Keep()


@given(hosts("intended"), st.none() | instances())
def test_an_intent_rents_nothing_and_is_dropped_when_its_worker_died(
    host: Host, instance: Instance | None
) -> None:
    verdict = judge(host, instance, PATIENCE)
    assert isinstance(verdict, End if NOW - host.created_at > PATIENCE.order else Keep)


@given(hosts(), st.none() | instances())
def test_only_what_boots_and_runs_is_called_started(host: Host, instance: Instance | None) -> None:
    if isinstance(judge(host, instance, PATIENCE), Started):
        assert host.state == "booting"
        assert instance is not None
        assert instance.is_running
