"""The market itself, without HTTP: offers, rentals, the lives of instances, credit.

All changes happen in one event loop, each written to the store before it is answered.
What happens by itself (booting, a host that ends, credit that runs out) happens in
tasks of this module; `close` ends all of them and every host.
"""

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from stack.marketplace.catalogue import Machine, make_catalogue, offer_row
from stack.marketplace.clock import Clock
from stack.marketplace.faults import FAULTS, Fault, FaultBook
from stack.marketplace.hosts import KEY_VARIABLE, Hosts, image_environment, kill_holders
from stack.marketplace.instances import GPU_BILLED, SETTLED, Instance, Moment, NotAllowed, Status
from stack.marketplace.meter import disk_dollars_per_hour
from stack.marketplace.orders import ARGS_RUNTYPE, Order
from stack.marketplace.query import Query, select
from stack.marketplace.refusals import (
    Refused,
    insufficient_credit,
    invalid,
    no_such_instance,
    offer_taken,
)
from stack.marketplace.settings import NOTICE, Settings
from stack.marketplace.store import Store
from stack.rehearsal.faults import read_faults

FIRST_INSTANCE_ID = 7_000_001
WATCH_SECONDS = 0.5
"""How often, in real seconds, the clock is kept and the credit looked at."""

_log = logging.getLogger(__name__)

_FAILURES: Mapping[str, tuple[Status, str]] = {
    "offline": (Status.OFFLINE, "Host is offline"),
    "outbid": (Status.STOPPED, "Outbid: paused until the bid is the highest again"),
    "stopped": (Status.STOPPED, "Stopped"),
    "frozen": (Status.FROZEN, "Frozen by the host"),
    "unknown": (Status.UNKNOWN, "No heartbeat from the host"),
    "exited": (Status.EXITED, "Container exited"),
    "running": (Status.RUNNING, "success, running"),
}
"""What a running instance can be made to become."""


@dataclass(frozen=True, slots=True)
class Seen:
    """An instance as a client sees it, which may be a while ago."""

    instance: Instance
    moment: Moment


class Market:
    """One account's view of a market, and the market's view of that account."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self.settings = settings
        self._store = store
        self.clock = Clock(scale=settings.time_scale, reading_us=store.clock_us())
        self.faults = FaultBook(
            [] if settings.faults_file is None else read_faults(settings.faults_file, FAULTS)
        )
        self._initial_credit = Decimal(store.fact("credit") or settings.credit_dollars)
        store.keep_fact("credit", str(self._initial_credit))
        self._machines = {machine.ask_id: machine for machine in make_catalogue()}
        self._instances = {instance.id: instance for instance in store.instances()}
        self._hosts = Hosts(settings.host_command, settings.state_dir / "hosts", self._host_ended)
        self._lives: dict[int, asyncio.Task[None]] = {}
        self._watch: asyncio.Task[None] | None = None
        # What is over cannot cost more: its amount is computed once.
        self._settled_dollars: dict[int, Decimal] = {}

    def open(self) -> None:
        """Begin, inside the event loop: what ran when the last marketplace ended has exited."""
        kill_holders(instance.api_key for instance in self._instances.values() if instance.exists)
        for instance in self._instances.values():
            if not instance.exists or instance.status in SETTLED:
                continue
            if instance.status in GPU_BILLED:
                self._change(
                    instance,
                    actual_status=Status.EXITED,
                    cur_state="stopped",
                    status_msg="The marketplace was restarted",
                )
            elif instance.now.cur_state == "running":
                self._live(instance, self._boot(instance))
        self._watch = asyncio.create_task(self._watch_clock_and_credit())

    async def close(self) -> None:
        """End every host and every task; running instances have exited."""
        for task in (self._watch, *self._lives.values()):
            if task is not None:
                task.cancel()
        for instance in self._instances.values():
            if instance.exists and instance.status in GPU_BILLED:
                self._change(
                    instance,
                    actual_status=Status.EXITED,
                    cur_state="stopped",
                    status_msg="The marketplace was stopped",
                )
        await self._hosts.end_all()
        self._keep_clock()
        self._store.close()

    # Offers

    def search(self, query: Query) -> list[Mapping[str, Any]]:
        """Offers that match, priced with the disk asked for."""
        now, taken = time.time(), self._taken()
        rows = [
            offer_row(
                machine,
                now=now,
                rented=machine.machine_id in taken,
                is_bid=query.is_bid,
                allocated_gigabytes=query.storage_gigabytes,
            )
            for machine in self._machines.values()
        ]
        return select(rows, query)

    def gpu_types(self) -> list[dict[str, Any]]:
        """Every GPU model there is, with its memory in MiB."""
        models = {
            machine.facts["gpu_name"]: machine.facts["gpu_ram"]
            for machine in self._machines.values()
        }
        return [{"name": name, "gpu_ram": ram} for name, ram in sorted(models.items())]

    def machine_of(self, ask_id: int) -> Machine | None:
        """The machine an offer is on."""
        return self._machines.get(ask_id)

    def _taken(self) -> set[int]:
        return {each.machine_id for each in self._instances.values() if each.exists}

    # Rentals

    def rent(self, ask_id: int, order: Order, *, even_if_taken: bool = False) -> Instance:
        """Rent, and begin to boot.

        A bid below the machine's least makes a stopped instance: see `bid_too_low`.

        Raises:
            Refused: the offer is gone, the credit used up, or the disk too large.
        """
        machine = self._machines.get(ask_id)
        if machine is None or (machine.machine_id in self._taken() and not even_if_taken):
            raise offer_taken(ask_id, "410" if order.cancels_if_unavailable else "404")
        if float(order.disk) > machine.disk_gigabytes:
            raise invalid(f"error 400/3467: disk: only {machine.disk_gigabytes} GB are there")
        if self.credit_dollars() <= 0:
            raise insufficient_credit()
        instance = self._new_instance(machine, order)
        self._instances[instance.id] = instance
        if order.price is not None and order.price < machine.min_bid_dollars:
            instance.history[0] = instance.now.model_copy(update=_stopped("Bid is too low"))
        self._store.save(instance)
        if instance.now.cur_state == "running":
            self._live(instance, self._boot(instance))
        return instance

    def stop_as_outbid(self, instance: Instance) -> None:
        """Stop an instance that has not begun to boot, as a bid that is too low does."""
        self._end_life(instance)
        self._change(instance, **_stopped("Bid is too low"))

    def _new_instance(self, machine: Machine, order: Order) -> Instance:
        instance_id = max(self._instances, default=FIRST_INSTANCE_ID - 1) + 1
        now = time.time()
        first = Moment(
            clock_us=self.clock.now_us(),
            epoch=now,
            label=order.label or None,
            gpu_dollars_per_hour=(machine.dollars_per_hour if order.price is None else order.price),
        )
        return Instance(
            id=instance_id,
            ask_id=machine.ask_id,
            machine_id=machine.machine_id,
            api_key=secrets.token_hex(32),
            image=order.image or f"template/{order.template_hash_id}",
            runtype=order.runtype or "ssh_proxy",
            args=[*order.args, *([order.args_str] if order.args_str else [])],
            onstart=order.onstart,
            env=order.env,
            disk_gigabytes=order.disk,
            is_bid=order.price is not None,
            end_date=now + machine.available_seconds,
            disk_dollars_per_hour=disk_dollars_per_hour(
                order.disk, machine.storage_dollars_per_gb_month
            ),
            down_dollars_per_gb=machine.down_dollars_per_gb,
            up_dollars_per_gb=machine.up_dollars_per_gb,
            host={
                **machine.facts,
                "min_bid": float(machine.min_bid_dollars),
                "storage_cost": float(machine.storage_dollars_per_gb_month),
                "inet_down_cost": float(machine.down_dollars_per_gb),
                "inet_up_cost": float(machine.up_dollars_per_gb),
            },
            history=[first],
        )

    def destroy(self, instance_id: int) -> None:
        """End an instance for good. Its bill is final; its host is ended soon after.

        Raises:
            Refused: there is no such instance.
        """
        instance = self.existing(instance_id)
        self._end_life(instance)
        self._change(instance, exists=False, cur_state="destroyed", next_state="destroyed")
        self._hosts.end(instance_id)

    def set_state(self, instance_id: int, state: str) -> None:
        """Stop or start.

        Raises:
            Refused: no such instance or state, or no credit to start with.
        """
        instance = self.existing(instance_id)
        if state == "stopped":
            self._end_life(instance)
            self._change(instance, **_stopped("Stopped"))
            self._hosts.end(instance_id)
        elif state == "running":
            if self.credit_dollars() <= 0:
                raise insufficient_credit()
            if instance.status in (Status.STOPPED, Status.EXITED):
                self._change(
                    instance,
                    actual_status=Status.LOADING,
                    cur_state="running",
                    next_state="running",
                    intended_status="running",
                    status_msg="Starting",
                )
                self._live(instance, self._boot(instance))
        else:
            raise invalid(f"error 400/3467: state: {state} is neither running nor stopped")

    def set_label(self, instance_id: int, label: str | None) -> None:
        """Change or remove the label. Raises `Refused`."""
        if label is not None and len(label) > 256:
            raise invalid("error 400/3467: label exceeds 256 characters")
        self._change(self.existing(instance_id), label=label or None)

    def set_bid(self, instance_id: int, dollars_per_hour: Decimal) -> None:
        """Change the price of an interruptible from now on. Raises `Refused`."""
        instance = self.existing(instance_id)
        if not instance.is_bid:
            raise invalid("error 400/3467: not an interruptible instance")
        self._change(instance, gpu_dollars_per_hour=dollars_per_hour)

    def fail(self, instance_id: int, state: str) -> None:
        """Make an instance's host fail now, as `running` faults do. Raises `Refused`."""
        instance = self.existing(instance_id)
        if state not in _FAILURES:
            raise invalid(f"no state {state!r}; there are: {', '.join(sorted(_FAILURES))}")
        status, message = _FAILURES[state]
        self._end_life(instance)
        changes: dict[str, object] = {"actual_status": status, "status_msg": message}
        if status is Status.STOPPED:
            changes = _stopped(message)
        elif status is Status.EXITED:
            changes["cur_state"] = "stopped"
        self._change(instance, **changes)
        if status is Status.FROZEN:
            self._hosts.freeze(instance_id)
        elif status is Status.RUNNING:
            self._hosts.thaw(instance_id)
        elif status not in GPU_BILLED:
            self._hosts.end(instance_id)

    def move_bytes(self, instance_id: int, *, down: int, up: int) -> None:
        """Bill traffic. Raises `Refused`."""
        instance = self.existing(instance_id)
        instance.move_bytes(down=down, up=up)
        self._store.save(instance)

    # What is seen

    def existing(self, instance_id: int) -> Instance:
        """The instance, unless it was destroyed. Raises `Refused`."""
        instance = self._instances.get(instance_id)
        if instance is None or not instance.exists:
            raise no_such_instance(instance_id)
        return instance

    def ever(self) -> list[Instance]:
        """Every instance there ever was, oldest first."""
        return list(self._instances.values())

    def seen(self) -> list[Seen]:
        """What a client sees now: what existed the read lag ago, as it was then."""
        lag_us = int(self.settings.read_lag_seconds * 1_000_000)
        then = self.clock.now_us() - lag_us
        seen = ((each, each.now if lag_us == 0 else each.at(then)) for each in self.ever())
        return [Seen(each, at) for each, at in seen if at is not None and at.exists]

    def owner_of(self, key: str) -> Instance | None:
        """The existing instance whose key this is."""
        for instance in self._instances.values():
            if instance.exists and secrets.compare_digest(instance.api_key.encode(), key.encode()):
                return instance
        return None

    def pid(self, instance: Instance) -> int | None:
        """The process of the instance's host, if it has one."""
        return self._hosts.pid(instance.id)

    def log_file(self, instance: Instance) -> Path:
        """Where its host writes."""
        return self._hosts.log_file(instance.id)

    # Money

    def billed_dollars(self) -> Decimal:
        """What all instances that ever were have cost by now."""
        now = self.clock.now_us()
        total = Decimal(0)
        for instance in self._instances.values():
            settled = self._settled_dollars.get(instance.id)
            if settled is None:
                settled = instance.bill(now).total_dollars
                if not instance.exists:
                    self._settled_dollars[instance.id] = settled
            total += settled
        return total

    def credit_dollars(self) -> Decimal:
        """What is left of the credit; negative when storage went on without it."""
        return self._initial_credit - self.billed_dollars()

    # What happens by itself

    async def _boot(self, instance: Instance) -> None:
        """From created (or started again) to running, unless a fault says otherwise."""
        quarter = self.settings.boot_seconds / 4
        if instance.status is None:
            struck = self.faults.strike("boot", facts_of(instance))
            instance.boot_fault = None if struck is None else struck.kind
        fault = instance.boot_fault
        if fault == "stuck-null":
            self._store.save(instance)
            return
        if instance.status is None:
            await self.clock.sleep(quarter)
            self._change(instance, actual_status=Status.CREATED, status_msg="Creating container")
        if fault == "oci-error":
            self._change(
                instance,
                cur_state="stopped",
                status_msg=(
                    "Error response from daemon: failed to create task for container: failed "
                    "to create shim task: OCI runtime create failed: runc create failed: "
                    "unable to start container process: nvidia-container-cli: device error"
                ),
            )
            return
        if instance.status is Status.CREATED:
            await self.clock.sleep(quarter)
            instance.move_bytes(down=self.settings.image_bytes, up=0)
            self._change(
                instance, actual_status=Status.LOADING, status_msg=f"Pulling {instance.image}"
            )
        if fault == "image-error":
            self._change(
                instance,
                status_msg=(
                    f"Error response from daemon: manifest for {instance.image} not found: "
                    "manifest unknown: manifest unknown"
                ),
            )
            return
        if fault == "stuck-loading":
            self._store.save(instance)
            return
        await self.clock.sleep(quarter * 2)
        await self._run(instance)

    async def _run(self, instance: Instance) -> None:
        """Start the host; say that it runs when it does."""
        message = f"success, running {instance.image}/{instance.runtype} ({NOTICE})"
        has_process = instance.runtype == ARGS_RUNTYPE and instance.boot_fault != "exited-at-once"
        if has_process:
            try:
                await self._hosts.start(instance.id, _environment(instance))
            except OSError as error:
                self._change(
                    instance,
                    actual_status=Status.EXITED,
                    cur_state="stopped",
                    status_msg=f"The host command cannot be started: {error.strerror}",
                )
                return
        self._change(instance, actual_status=Status.RUNNING, status_msg=message)
        if instance.boot_fault == "exited-at-once":
            self._host_ended(instance.id, 1)
            return
        struck = self.faults.strike("running", facts_of(instance))
        if struck is not None:
            await self._fail_later(instance, struck)

    async def _fail_later(self, instance: Instance, fault: Fault) -> None:
        await self.clock.sleep(fault.seconds)
        # This task is the instance's life, which a failure ends: it must not end itself.
        self._lives.pop(instance.id, None)
        if instance.status not in GPU_BILLED:
            return
        with contextlib.suppress(Refused, NotAllowed):
            self.fail(instance.id, fault.kind)

    def _host_ended(self, instance_id: int, code: int) -> None:
        """A host's first process has ended by itself."""
        instance = self._instances[instance_id]
        if instance.exists and instance.status in GPU_BILLED:
            self._change(
                instance,
                actual_status=Status.EXITED,
                cur_state="stopped",
                status_msg=f"Container exited with code {code} ({NOTICE})",
            )

    async def _watch_clock_and_credit(self) -> None:
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            self._keep_clock()
            if self.credit_dollars() > 0:
                continue
            for instance in self.ever():
                if instance.exists and instance.status not in SETTLED:
                    _log.warning("no credit left: instance %d is stopped", instance.id)
                    self.set_state(instance.id, "stopped")

    def _keep_clock(self) -> None:
        self._store.keep_fact("clock_us", str(self.clock.now_us()))

    def _live(self, instance: Instance, life: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(life)
        self._lives[instance.id] = task

        def forget(done: asyncio.Task[None]) -> None:
            if self._lives.get(instance.id) is done:
                del self._lives[instance.id]
            if not done.cancelled() and (error := done.exception()) is not None:
                _log.error("instance %d: %r", instance.id, error)

        task.add_done_callback(forget)

    def _end_life(self, instance: Instance) -> None:
        task = self._lives.pop(instance.id, None)
        if task is not None:
            task.cancel()

    def _change(self, instance: Instance, **changes: object) -> None:
        try:
            instance.happen(self.clock.now_us(), time.time(), **changes)
        except NotAllowed as error:
            raise invalid(f"error 400/3468: {error}") from error
        self._store.save(instance)


def facts_of(instance: Instance) -> dict[str, object]:
    """What a fault can match an instance by."""
    return {
        "label": instance.now.label,
        "machine_id": instance.machine_id,
        "offer_id": instance.ask_id,
        "instance_id": instance.id,
    }


def _stopped(message: str) -> dict[str, object]:
    return {
        "actual_status": Status.STOPPED,
        "cur_state": "stopped",
        "next_state": "stopped",
        "intended_status": "stopped",
        "status_msg": message,
    }


def _environment(instance: Instance) -> dict[str, str]:
    """All a host's process gets."""
    given = {name: value for name, value in instance.env.items() if not name.startswith("-")}
    return {
        **image_environment(),
        **given,
        "CONTAINER_ID": str(instance.id),
        KEY_VARIABLE: instance.api_key,
        "VAST_CONTAINERLABEL": f"C.{instance.id}",
        "GPU_COUNT": str(instance.host["num_gpus"]),
    }
