"""What `aseagi hosts` and `aseagi costs` say about money."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from uuid import uuid4

import pytest
from psycopg import AsyncConnection
from rich.console import Console

from cli.costs import projection
from cli.hosts import host_table
from sql.connection import Connection
from sql.hosts import host_is_gone, host_rented, host_started, newest_rented_hosts, order_host
from tests.conftest import FreshDatabase
from tests.sql.house import House, new_attempt


@pytest.fixture
async def house(fresh_database: FreshDatabase, db: Connection) -> AsyncGenerator[House]:
    async with await AsyncConnection.connect(fresh_database.dsn(), autocommit=True) as owner:
        yield House(fresh_database.dsn("aseagi_app"), db, owner)


async def said(house: House, *, ended_too: bool = True) -> str:
    async with house.transaction():
        rows = await newest_rented_hosts(house.db, limit=10, ended_too=ended_too)
    console = Console(width=200)
    with console.capture() as captured:
        console.print(host_table(rows))
    return captured.get()


async def test_a_host_is_shown_with_its_price_its_pages_and_what_it_is_doing(house: House) -> None:
    await house.add_scan(3)
    begun = await house.begin(new=replace(new_attempt(uuid4(), provider="vastai"), rehearsal=True))
    assert "an offer is being chosen" in await said(house)
    async with house.transaction():
        await order_host(
            house.db,
            begun.host_id,
            offer_id=1,
            machine_id=2,
            gpu_name="RTX 4090",
            dollars_per_hour=Decimal("0.36"),
            disk_dollars_per_hour=Decimal("0.01"),
        )
        await host_rented(house.db, begun.host_id, instance_id=4711)
        await host_started(house.db, begun.host_id)
    await house.lease(begun, limit=2)
    text = await said(house)
    for word in ("4711", "RTX 4090", "$0.360", "reads 2 pages", "rehearsal, no money"):
        assert word in text
    async with house.transaction():
        await host_is_gone(house.db, begun.host_id, reason="it vanished")
    assert "destroyed: it vanished" in await said(house)
    assert "4711" not in await said(house, ended_too=False)


async def test_a_host_costs_by_the_second_until_it_is_charged(house: House) -> None:
    await house.add_scan()
    begun = await house.begin(new=new_attempt(uuid4(), provider="vastai"))
    await house.change(
        """
        update aseagi.gpu_hosts set state = 'running', instance_id = '1', dollars_per_hour = 3.7,
            disk_dollars_per_hour = 0.1, ordered_at = now(), offer_id = 1,
            rented_at = now() - interval '2 hours', running_at = now() - interval '1 hour'
        where id = %s
        """,
        begun.host_id,
    )
    async with house.transaction():
        (host,) = await newest_rented_hosts(house.db, limit=1)
    assert Decimal("3.80") <= host.dollars < Decimal("3.84")
    assert host.billed_seconds == pytest.approx(3600, abs=30)


def test_the_projection_takes_the_days_so_far_for_the_others() -> None:
    assert projection(Decimal(3), date(2026, 6, 10)) == Decimal("9.00")
    assert projection(Decimal(3), date(2026, 2, 28)) == Decimal("3.00")
