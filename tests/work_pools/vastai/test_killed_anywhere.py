"""The worker or the fleet is killed at every step: nothing is leaked, and work goes on.

Each round is a house of its own, so that many run at once: a process of the house dies at
its n-th step (`doomed`), and all that follows is what any other process would do.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from itertools import count

import pytest
from psycopg import AsyncConnection

from sql.connection import connect
from sql.sessions import close_session
from tests.conftest import TEMPLATE, DatabaseServer, FreshDatabase
from tests.sql.house import House
from tests.work_pools.vastai.doomed import (
    KILLED,
    SURVIVED,
    Doom,
    look_after_and_die,
    rent_and_die,
)
from tests.work_pools.vastai.rental import Rental, Site, open_rental
from work_pools.vastai.ordering import Rented, Unsure

pytestmark = pytest.mark.xdist_group("vastai-kills")

AT_ONCE = 8
MANY = 1_000
"""More steps than there are: who is to die there survives."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site.open(tmp_path_factory.mktemp("market"))
    yield site
    site.running.stop()


@asynccontextmanager
async def new_rental(postgres: DatabaseServer, site: Site) -> AsyncGenerator[Rental]:
    """A house with a database of its own."""
    with postgres.database(TEMPLATE) as name:
        fresh = FreshDatabase(postgres, name)
        async with (
            connect(fresh.dsn("aseagi_app")) as db,
            await AsyncConnection.connect(fresh.dsn(), autocommit=True) as owner,
            open_rental(House(fresh.dsn("aseagi_app"), db, owner), site) as rental,
        ):
            yield rental


def doom(rental: Rental, at_step: int) -> Doom:
    running = rental.site.running
    return Doom(rental.house.app_dsn, running.url, running.api_key, at_step)


async def rounds_until_one_survives(
    one_round: Callable[[int], Awaitable[int]], steps: Iterable[int]
) -> int:
    """Play the rounds, several at once, until one survives; return how many were killed."""
    killed = 0
    waiting = iter(steps)
    while True:
        batch = [step for step, _ in zip(waiting, range(AT_ONCE), strict=False)]
        codes = await asyncio.gather(*map(one_round, batch))
        assert set(codes) <= {KILLED, SURVIVED}, codes
        killed += codes.count(KILLED)
        if SURVIVED in codes:
            return killed


async def next_session_rents(rental: Rental) -> None:
    """Work goes on; the other houses may take the best offers first, a few times."""
    outcomes: list[object] = []
    while not outcomes or not isinstance(outcomes[-1], Rented):
        assert len(outcomes) < 6, outcomes
        outcomes.append(await rental.rent(await rental.begin()))


@pytest.mark.parametrize(
    ("fault", "every"), [(None, 1), ("commit-then-502", 2), ("offer-taken", 2)]
)
async def test_a_worker_killed_at_any_step_of_renting_leaks_nothing(
    postgres: DatabaseServer, site: Site, fault: str | None, every: int
) -> None:
    async def one_round(step: int) -> int:
        async with new_rental(postgres, site) as rental:
            begun = await rental.begin()
            if fault is not None:
                match = {"label": begun.label}
                await site.order({"on": "create", "kind": fault, "match": match})
            code = await rent_and_die(doom(rental, step), begun.host_id)
            await rental.until_quiet()
            await rental.check_the_books()
            # The turn to order, which the dead may hold, runs out.
            await rental.house.change("update aseagi.drains set expires_at = now()")
            await next_session_rents(rental)
            await rental.until_quiet()
            await rental.check_the_books()
            return code

    killed = await rounds_until_one_survives(one_round, count(1, every))
    assert killed * every >= 15, "an order has more steps than that"


async def test_a_fleet_killed_at_any_step_leaks_nothing(
    postgres: DatabaseServer, site: Site
) -> None:
    """It has a host to destroy, an order to settle and a stray to find."""
    one_orders = asyncio.Lock()  # or one house takes the offer that another is about to order

    async def one_round(step: int) -> int:
        async with new_rental(postgres, site) as rental:
            async with one_orders:
                ended = await rental.begin()
                assert isinstance(await rental.rent(ended), Rented)
                unanswered = await rental.begin()
                match = {"label": unanswered.label}
                await site.order({"on": "create", "kind": "commit-then-502", "match": match})
                assert isinstance(await rental.rent(unanswered), Unsure)
                await site.rent_behind_our_back(f"{rental.prefix}nobody")
            async with rental.house.transaction():
                await close_session(rental.house.db, ended.session_id, reason="read")
            code = await look_after_and_die(doom(rental, step), ended.host_id)
            await rental.until_quiet()
            await rental.check_the_books()
            assert len(await rental.rented()) == 3
            return code

    # Every step of the first turns, where each does something else; then some of the many.
    steps = [*range(1, 37), *range(37, 200, 19), MANY]
    killed = await rounds_until_one_survives(one_round, steps)
    assert killed >= 36
