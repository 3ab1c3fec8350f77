"""`aseagi process --wait` never waits for what will not come."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from psycopg import AsyncConnection

from blocks.spending import Spending
from cli.process import check_spending
from schema.failures import MoneyStops
from sql.connection import Connection
from sql.controls import pause
from sql.jobs import count_queue
from sql.sessions import NotBegun
from tests.conftest import FreshDatabase
from tests.sql.house import House, new_attempt

SPENDING = Spending(monthly_budget_dollars=10)
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


@pytest.fixture
async def house(fresh_database: FreshDatabase, db: Connection) -> AsyncGenerator[House]:
    async with await AsyncConnection.connect(fresh_database.dsn(), autocommit=True) as owner:
        yield House(fresh_database.dsn("aseagi_app"), db, owner)


async def check(house: House) -> None:
    await check_spending(house.db, SPENDING, await count_queue(house.db), since=LONG_AGO)
    await house.db.commit()


async def charge(house: House, dollars: str, kind: str = "gpu") -> None:
    await house.change(
        """
        insert into aseagi.charges (key, kind, dollars, quantity, unit, what, incurred_on)
        values (gen_random_uuid()::text, %s, %s::numeric, 1, 'hour', 'a host',
            (now() at time zone 'utc')::date)
        """,
        kind,
        dollars,
    )


async def test_the_wait_goes_on_while_there_is_money(house: House) -> None:
    await house.add_scan()
    await charge(house, "9.99")
    await charge(house, "1000", kind="fixed")
    await check(house)


async def test_a_pause_ends_the_wait(house: House) -> None:
    await house.add_scan()
    await pause(house.db, reason="too dear")
    with pytest.raises(MoneyStops, match=r"paused \(too dear\)\. `aseagi resume`"):
        await check(house)


async def test_a_budget_used_up_ends_the_wait_once_no_session_is_open(house: House) -> None:
    await house.add_scan()
    await house.want()
    await charge(house, "10.01")
    await check(house)
    await house.change("update aseagi.ocr_sessions set state = 'closed', closed_at = now(), "
                       "close_reason = 'over'")  # fmt: skip
    with pytest.raises(MoneyStops, match="monthly_budget_dollars"):
        await check(house)


async def test_a_host_that_the_rest_of_the_budget_does_not_pay_for_ends_the_wait(
    house: House,
) -> None:
    await house.add_scan()
    attempt = new_attempt(uuid4(), reserved_dollars="2", budget_dollars="1.50")
    assert isinstance(await house.try_begin(new=attempt), NotBegun)
    with pytest.raises(MoneyStops, match="monthly_budget_dollars"):
        await check(house)


async def test_a_budget_used_up_does_not_matter_when_no_page_waits(house: House) -> None:
    await charge(house, "10.01")
    await check(house)
