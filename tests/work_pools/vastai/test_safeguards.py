"""Each safeguard of the money is needed: with it the books are right, without it they are not.

A row names a safeguard, how to take it away, and what happens that it is there for. Every
row is played twice: with the safeguard the same check holds that fails without it. The
table is documented in docs/gpu-hosts.md.
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

import pytest

from sql import sessions
from sql.connection import Connection
from sql.hosts import Host, host_is_gone
from sql.sessions import Begun, find_attempt
from tests.sql.house import House
from tests.work_pools.vastai.rental import IMAGE, REQUIREMENTS, Rental, Site, open_rental
from work_pools.vastai import fleet, ordering
from work_pools.vastai.client import CreateOrder, Marketplace, Outcome
from work_pools.vastai.errors import MarketplaceError
from work_pools.vastai.fleet import Fleet, Turn
from work_pools.vastai.models import Instance
from work_pools.vastai.ordering import NotRented, Orders, Rented, Unsure

LONG = timedelta(hours=1)
BRIEF_SECONDS = 4.0
"""For so long what does not happen without a safeguard is waited for."""

Scenario = Callable[[Rental], Awaitable[None]]
TakeAway = Callable[[pytest.MonkeyPatch, Rental], None]


@dataclass(frozen=True)
class Safeguard:
    """One of them."""

    name: str
    scenario: Scenario
    take_away: TakeAway
    host: tuple[str, ...] | None = None
    """What a host runs, where it is not just asleep."""


# --- What happens, and what must be true afterwards


async def rent(rental: Rental, **changes: Any) -> Begun:
    """A session with a host."""
    begun = await rental.begin(**changes)
    assert isinstance(await rental.rent(begun), Rented)
    return begun


async def is_running(rental: Rental) -> bool:
    return await rental.open_states() == ["running"]


async def all_gone(rental: Rental) -> bool:
    return not any(host["exists"] for host in await rental.rented())


def only(rental: Rental, **kept: timedelta) -> None:
    """Let no patience run out but those named."""
    rental.patience = replace(rental.patience, **({"boot": LONG, "silence": LONG} | kept))


async def the_answer_to_an_order_is_lost(rental: Rental) -> None:
    """The host is its session's: no other row stands for it."""
    begun = await rental.begin()
    await rental.site.order({"on": "create", "kind": "commit-then-drop"})
    assert isinstance(await rental.rent(begun), Unsure)
    await rental.until_quiet()
    rows = await rental.house.rows(
        "select label from aseagi.gpu_hosts where instance_id is not null"
    )
    assert rows == [(begun.label,)]


async def two_sessions_want_the_money_of_one(rental: Rental) -> None:
    """What is reserved stays within the budget."""
    for _ in range(2):
        await rental.house.add_scan()
        new = rental.attempt(reserved_dollars=Decimal(2), budget_dollars=Decimal(3))
        await rental.house.try_begin(new=new)
    reserved = "select sum(reserved_dollars) from aseagi.gpu_hosts where state <> 'ended'"
    assert await rental.house.one(reserved) <= 3


async def two_workers_order_at_once(rental: Rental) -> None:
    """One order at a time is on its way."""
    on_its_way = most = 0
    create = rental.marketplace.create

    async def counted(offer_id: int, order: CreateOrder) -> Outcome:
        nonlocal on_its_way, most
        on_its_way += 1
        most = max(most, on_its_way)
        try:
            await asyncio.sleep(1)  # for another, if it does not wait
            return await create(offer_id, order)
        finally:
            on_its_way -= 1

    rental.marketplace.create = counted
    await asyncio.gather(*[rental.rent(await rental.begin()) for _ in range(2)])
    assert most == 1


async def an_order_follows_one_without_an_answer(rental: Rental) -> None:
    """It waits until the first is settled."""
    rental.patience = replace(rental.patience, order=LONG)
    first, second = await rental.begin(), await rental.begin()
    await rental.site.order({"on": "create", "kind": "commit-then-drop"})
    assert isinstance(await rental.rent(first), Unsure)
    unsettled: list[int] = []
    create = rental.marketplace.create

    ordered = asyncio.Event()

    async def looked_at(offer_id: int, order: CreateOrder) -> Outcome:
        unsettled.append(
            await rental.house.one(
                """
                select count(*) from aseagi.gpu_hosts
                where ordered_at is not null and instance_id is null and state <> 'ended'
                    and id <> %s
                """,
                second.host_id,
            )
        )
        ordered.set()
        return await create(offer_id, order)

    rental.marketplace.create = looked_at
    ordering_second = asyncio.create_task(rental.rent(second))
    # The fleet looks only after a second that would not wait has ordered.
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(ordered.wait(), 3)
    while not ordering_second.done():
        await rental.turn()
        await asyncio.sleep(0.05)
    assert unsettled == [0]


async def a_session_closes(rental: Rental) -> None:
    """Its host goes with it, long before anything else would end it."""
    only(rental)
    begun = await rent(rental)
    await rental.turns_until(lambda: is_running(rental), rental.soon_seconds)
    await rental.house.close(begun.session_id)
    await rental.turns_until(lambda: all_gone(rental), rental.soon_seconds)


async def a_host_says_nothing(rental: Rental) -> None:
    await rent(rental)
    await rental.turns_until(lambda: all_gone(rental), rental.soon_seconds)


async def a_host_does_not_boot(rental: Rental) -> None:
    await rental.site.order({"on": "boot", "kind": "stuck-loading"})
    await rent(rental)
    await rental.turns_until(lambda: all_gone(rental), rental.soon_seconds)


async def a_host_works_for_ever(rental: Rental) -> None:
    only(rental)
    await rent(rental, lifetime=timedelta(seconds=0.5))
    await rental.turns_until(lambda: all_gone(rental), rental.soon_seconds)


async def a_host_costs_too_much(rental: Rental) -> None:
    only(rental)
    await rent(rental, max_dollars=Decimal("0.00001"))
    await rental.turns_until(lambda: all_gone(rental), rental.soon_seconds)


async def an_instance_belongs_to_nobody(rental: Rental) -> None:
    await rental.site.rent_behind_our_back(f"{rental.prefix}nobody")
    await rental.turns_until(lambda: all_gone(rental), rental.soon_seconds)


async def a_host_is_forgotten_by_everybody(rental: Rental) -> None:
    """It ends itself: no turn of the fleet is made."""
    environment = {
        "ASEAGI_MARKETPLACE_URL": rental.site.running.url,
        "ASEAGI_GATEWAY_URL": "http://127.0.0.1:9",
        "ASEAGI_GATEWAY_PATIENCE_SECONDS": "0.5",
        "PREFECT__FLOW_RUN_ID": str(uuid4()),
        "PREFECT_API_URL": "http://127.0.0.1:9/api",
    }
    begun = await rental.begin()
    outcome = await rental.orders.rent(
        begun.host_id, environment=environment, requirements=REQUIREMENTS, image=IMAGE
    )
    assert isinstance(outcome, Rented)
    deadline = asyncio.get_running_loop().time() + 2.5 * rental.soon_seconds
    while not await all_gone(rental):
        assert asyncio.get_running_loop().time() < deadline, "it lives on"
        await asyncio.sleep(0.1)


async def an_earlier_attempt_speaks_up(rental: Rental) -> None:
    """Its token is worth nothing any more."""
    old = uuid4().bytes
    begun = await rental.begin(token_hash=sha256(old).digest())
    again = rental.attempt(flow_run_id=await run_of(rental, begun), run_count=2)
    await rental.house.begin(begun.session_id, new=again)
    async with rental.house.transaction():
        assert await find_attempt(rental.house.db, sha256(old).digest()) is None


async def run_of(rental: Rental, begun: Begun) -> UUID:
    query = "select flow_run_id from aseagi.ocr_sessions where id = %s"
    return await rental.house.one(query, begun.session_id)


async def host_after_host_reads_nothing(rental: Rental) -> None:
    """After the third nothing more is wanted."""
    for _ in range(3):
        await rent(rental)
        await rental.until_quiet()
    assert await rental.house.want() == 0
    assert await rental.paused_reason() is not None


async def the_image_is_not_there(rental: Rental) -> None:
    """No other host would fare better: nothing more is wanted."""
    await rental.site.order({"on": "boot", "kind": "image-error"})
    await rent(rental)
    await rental.until_quiet()
    assert await rental.house.want() == 0


async def the_credit_does_not_reach(rental: Rental) -> None:
    begun = await rental.begin(reserved_dollars=Decimal(2000), budget_dollars=Decimal(5000))
    assert isinstance(await rental.rent(begun), NotRented)
    assert await rental.rented() == []


async def a_destroy_is_believed_done_and_is_not(rental: Rental) -> None:
    await rental.site.order({"on": "destroy", "kind": "no-such-instance", "times": 3})
    await rent(rental)
    await never_called_gone_while_there(rental)


async def the_list_cannot_be_trusted(rental: Rental) -> None:
    only(rental)
    await rent(rental)
    await rental.turns_until(lambda: is_running(rental), rental.soon_seconds)
    await asyncio.sleep(rental.patience.listing.total_seconds())
    await rental.site.order({"on": "list", "kind": "odd-shape", "times": 3})
    for _ in range(3):
        await rental.turn()
        await nobody_called_gone_is_there(rental)
    assert await is_running(rental)


async def never_called_gone_while_there(rental: Rental) -> None:
    """Turns until nothing is left; after each the ledger calls nothing gone that is there."""
    deadline = asyncio.get_running_loop().time() + 3 * rental.soon_seconds
    while not await rental.is_quiet():
        assert asyncio.get_running_loop().time() < deadline
        await rental.turn()
        await nobody_called_gone_is_there(rental)


async def nobody_called_gone_is_there(rental: Rental) -> None:
    there = {str(host["id"]) for host in await rental.rented() if host["exists"]}
    rows = await rental.house.rows("select instance_id from aseagi.gpu_hosts where state = 'ended'")
    assert not there & {row[0] for row in rows}


async def a_machine_failed_lately(rental: Rental) -> None:
    """The next host is on another."""
    for _ in range(2):
        await rent(rental)
        await rental.until_quiet()
    rows = await rental.house.rows("select machine_id from aseagi.gpu_hosts")
    assert len(set(rows)) == 2


# --- Taking safeguards away


def answering(value: Any) -> Callable[..., Awaitable[Any]]:
    """A function that does nothing and answers so."""

    async def answer(*_: Any, **__: Any) -> Any:
        return value

    return answer


def without(target: object, name: str, value: Any) -> TakeAway:
    """Take away what a function does."""
    return lambda patch, _: patch.setattr(target, name, answering(value))


def with_patience(**changes: timedelta) -> TakeAway:
    def take_away(_: pytest.MonkeyPatch, rental: Rental) -> None:
        rental.patience = replace(rental.patience, **changes)

    return take_away


def without_field(name: str) -> TakeAway:
    """Let the fleet not see that of its hosts."""
    seen = fleet.open_hosts

    async def blurred(db: Connection) -> list[Host]:
        return [replace(host, **{name: None}) for host in await seen(db)]

    return lambda patch, _: patch.setattr(fleet, "open_hosts", blurred)


def without_label(patch: pytest.MonkeyPatch, _: Rental) -> None:
    def by_number_alone(hosts: list[Host], instances: list[Instance]) -> dict[str, Instance]:
        by_id = {one.id: one for one in instances}
        return {host.label: by_id[host.instance_id] for host in hosts if host.instance_id in by_id}

    patch.setattr(fleet, "_match", by_number_alone)


def believe_the_destroy(patch: pytest.MonkeyPatch, _: Rental) -> None:
    destroy = Fleet._destroy  # pyright: ignore[reportPrivateUsage]

    async def believed(self: Fleet, host: Host, turn: Turn) -> None:
        await destroy(self, host, turn)
        async with self._database.connect() as db:  # pyright: ignore[reportPrivateUsage]
            await host_is_gone(db, host.id)

    patch.setattr(Fleet, "_destroy", believed)


def believe_the_list(patch: pytest.MonkeyPatch, _: Rental) -> None:
    look = Marketplace.list_instances

    async def whatever_came(self: Marketplace) -> list[Instance]:
        try:
            return list(await look(self))
        except MarketplaceError:
            return []

    patch.setattr(Marketplace, "list_instances", whatever_came)


def without_own_end(patch: pytest.MonkeyPatch, _: Rental) -> None:
    order = Orders.rent

    async def unaware(self: Orders, host_id: UUID, *, environment: dict[str, str], **more: Any):
        own = {k: v for k, v in environment.items() if k != "ASEAGI_MARKETPLACE_URL"}
        return await order(self, host_id, environment=own, **more)

    patch.setattr(Orders, "rent", unaware)


SAFEGUARDS = (
    Safeguard("intent", the_answer_to_an_order_is_lost, without(ordering, "order_host", True)),
    Safeguard("label adoption", the_answer_to_an_order_is_lost, without_label),
    Safeguard(
        "reservation",
        two_sessions_want_the_money_of_one,
        without(sessions, "committed_dollars", Decimal(0)),
    ),
    Safeguard("create lock", two_workers_order_at_once, without(ordering, "hold", True)),
    Safeguard(
        "orders settled first",
        an_order_follows_one_without_an_answer,
        without(ordering, "open_hosts", []),
    ),
    Safeguard("end: session", a_session_closes, without(sessions, "_end_hosts", None)),
    Safeguard("end: idle", a_host_says_nothing, with_patience(silence=LONG)),
    Safeguard("end: boot", a_host_does_not_boot, with_patience(boot=LONG)),
    Safeguard("end: lifetime", a_host_works_for_ever, without_field("deadline_at")),
    Safeguard("end: money", a_host_costs_too_much, without_field("max_dollars")),
    Safeguard("end: reaper", an_instance_belongs_to_nobody, without(Fleet, "_claim_strays", 0)),
    Safeguard(
        "dead-man's switch",
        a_host_is_forgotten_by_everybody,
        without_own_end,
        host=(sys.executable, "-m", "gpu_image.entrypoint"),
    ),
    Safeguard(
        "token binding", an_earlier_attempt_speaks_up, without(sessions, "_end_attempts", None)
    ),
    Safeguard(
        "breaker: barren hosts",
        host_after_host_reads_nothing,
        without(sessions, "_pause_if_barren", False),
    ),
    Safeguard("breaker: image", the_image_is_not_there, without(fleet, "pause", None)),
    Safeguard(
        "credit first", the_credit_does_not_reach, without(Marketplace, "credit", Decimal(10**9))
    ),
    Safeguard("destroy confirmed", a_destroy_is_believed_done_and_is_not, believe_the_destroy),
    Safeguard("no conclusion when blind", the_list_cannot_be_trusted, believe_the_list),
    Safeguard(
        "bad machines avoided",
        a_machine_failed_lately,
        without(ordering, "avoided_machines", set()),
    ),
)


@pytest.fixture(scope="module")
def shared_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site.open(tmp_path_factory.mktemp("market"))
    yield site
    site.running.stop()


@pytest.fixture
def open_site(
    shared_site: Site, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Safeguard], AbstractAsyncContextManager[Site]]:
    """The marketplace of all, or one with hosts that do something."""

    @asynccontextmanager
    async def open_for(safeguard: Safeguard) -> AsyncGenerator[Site]:
        if safeguard.host is None:
            await shared_site.forget_faults()
            yield shared_site
            return
        own = Site.open(tmp_path_factory.mktemp("market"), host_command=safeguard.host)
        try:
            yield own
        finally:
            own.running.stop()

    return open_for


OpenSite = Callable[[Safeguard], AbstractAsyncContextManager[Site]]

each_safeguard = pytest.mark.parametrize(
    "safeguard", SAFEGUARDS, ids=[one.name for one in SAFEGUARDS]
)


@each_safeguard
async def test_with_the_safeguard_the_books_are_right(
    safeguard: Safeguard, open_site: OpenSite, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet, "DESTROY_SECONDS", 0.02)
    async with open_site(safeguard) as site, open_rental(house, site) as rental:
        await safeguard.scenario(rental)


@each_safeguard
async def test_without_the_safeguard_they_are_not(
    safeguard: Safeguard, open_site: OpenSite, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet, "DESTROY_SECONDS", 0.02)
    async with (
        open_site(safeguard) as site,
        open_rental(house, site, soon_seconds=BRIEF_SECONDS) as rental,
    ):
        with monkeypatch.context() as patch:
            safeguard.take_away(patch, rental)
            with pytest.raises(AssertionError):
                await safeguard.scenario(rental)
        # What it cost is not the next test's: nothing stays rented.
        await site.forget_faults()
        await rental.house.change("update aseagi.ocr_sessions set deadline_at = now()")
        rental.patience = replace(rental.patience, silence=timedelta(), boot=timedelta())
        await rental.until_quiet()
