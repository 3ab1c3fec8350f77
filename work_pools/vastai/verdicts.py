"""What to do about one host, from what the ledger and a listing say. Pure: no clock, no I/O.

The four ends of a host meet here: its session closed (the ledger says `ending`), it
idles or is silent, its lifetime or money is spent, and whatever else the marketplace
reports of it. Stopped, outbid, frozen, exited, offline: all are destroyed, none is
ever started again.
"""

from dataclasses import dataclass
from datetime import timedelta

from sql.hosts import Host
from work_pools.vastai.models import Instance


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long the fleet waits for what."""

    order: timedelta = timedelta(minutes=6)
    """From the intent to the order: longer than renting ever takes."""
    settle: timedelta = timedelta(minutes=5)
    """From an order without an answer until it is believed to have rented nothing: longer
    than the request may take, plus the time until a new instance is listed."""
    listing: timedelta = timedelta(minutes=2)
    """Until a new instance is on the list."""
    boot: timedelta = timedelta(minutes=12)
    """From renting to running: image pull and start."""
    silence: timedelta = timedelta(minutes=5)
    """A running host that does not speak to the gateway for so long idles at our cost."""
    avoid_machine: timedelta = timedelta(hours=24)
    alarm_after_destroys: int = 10
    """Told so often to destroy a host that is still listed, a person must know."""


@dataclass(frozen=True, slots=True)
class Keep:
    """All is as it should be."""


@dataclass(frozen=True, slots=True)
class Adopt:
    """The instance of an order whose answer was lost, or has not come yet."""

    instance_id: int


@dataclass(frozen=True, slots=True)
class Started:
    """Its container runs."""


@dataclass(frozen=True, slots=True)
class End:
    """It must be destroyed. `failed`: by no wish of ours; `hopeless`: another would fail too."""

    reason: str
    failed: bool = True
    hopeless: bool = False


@dataclass(frozen=True, slots=True)
class Destroy:
    """It should be gone and is not: tell the marketplace, again."""


@dataclass(frozen=True, slots=True)
class Gone:
    """It is on no list any more. `reason` is None when it was meant to go."""

    reason: str | None = None


Verdict = Keep | Adopt | Started | End | Destroy | Gone


def judge(host: Host, instance: Instance | None, patience: Patience) -> Verdict:
    """What to do about `host`; `instance` is what a listing made after the row was read shows."""
    match host.state:
        case "intended":
            waited = host.seen_at - host.created_at
            if waited > patience.order:
                return End("the worker died before it ordered a host", failed=False)
            return Keep()
        case "ordered" | "ending" if host.instance_id is None:
            return _judge_order(host, instance, patience)
        case "ending":
            return _judge_ending(host, instance, patience)
        case _:
            return _judge_rented(host, instance, patience)


def _judge_order(host: Host, instance: Instance | None, patience: Patience) -> Verdict:
    if instance is not None:
        return Adopt(instance.id)
    if host.ordered_at is None or host.seen_at - host.ordered_at > patience.settle:
        return Gone("the answer to the order was lost, and no instance appeared")
    return Keep()


def _judge_ending(host: Host, instance: Instance | None, patience: Patience) -> Verdict:
    # Absence proves nothing of an instance so new that it may not be listed yet. One that was
    # seen running has been listed: it ended itself before it was told to.
    may_be_unlisted = host.running_at is None and host.age <= patience.listing
    if instance is None and (host.destroys > 0 or not may_be_unlisted):
        return Gone()
    stopped = instance is not None and (instance.is_stopped or instance.is_lost)
    if host.destroy_after is None or host.seen_at >= host.destroy_after or stopped:
        return Destroy()
    return Keep()


def _judge_rented(host: Host, instance: Instance | None, patience: Patience) -> Verdict:
    if instance is None:
        if host.age <= patience.listing:
            return Keep()
        return Gone("it vanished from the marketplace")
    end = _end_of(host, instance, patience)
    if end is not None:
        return end
    if host.state == "booting" and instance.is_running:
        return Started()
    return Keep()


def _end_of(host: Host, instance: Instance, patience: Patience) -> End | None:
    failure = instance.failure_kind
    if failure is not None:
        said = " ".join((instance.status_msg or "").split())[:200]
        return End(f"{failure}: {said}", hopeless=not failure.another_host_may_help)
    if instance.is_stopped or instance.is_lost:
        return End(f"its instance is {_state(instance)}")
    if host.deadline_at is not None and host.seen_at > host.deadline_at:
        return End("its lifetime is over", failed=False)
    if host.max_dollars is not None and host.dollars_so_far >= host.max_dollars:
        return End(f"it has cost the ${host.max_dollars:.2f} that one host may", failed=False)
    if host.state == "booting":
        if not instance.is_running and host.age > patience.boot:
            return End(f"it was not running after {_minutes(patience.boot)}")
        return None
    last = max(filter(None, (host.last_seen_at, host.running_at)), default=host.seen_at)
    if host.seen_at - last > patience.silence:
        return End(f"it did not speak to the gateway for {_minutes(patience.silence)}")
    return None


def _state(instance: Instance) -> str:
    return "stopped" if instance.is_running else instance.status


def _minutes(span: timedelta) -> str:
    seconds = span.total_seconds()
    return f"{seconds / 60:g} minutes" if seconds >= 60 else f"{seconds:g} seconds"
