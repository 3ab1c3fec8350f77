"""`aseagi process --wait` never waits for what will not come."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from psycopg import AsyncConnection

from blocks.spending import Spending
from cli.process import check_spending, check_waits, in_batches
from schema.failures import MoneyStops
from schema.lanes import Lane
from sql.claude import OpenBatches, open_batches
from sql.connection import Connection
from sql.controls import pause
from sql.jobs import claim_for_analysis, count_queue, jobs_waiting, put_off_job
from sql.sessions import NotBegun
from tests.conftest import FreshDatabase
from tests.sql.house import TTL, House, new_attempt, new_document

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


async def put_off(house: House, *reasons: str, minutes: float = 10) -> None:
    """A document for each reason, put off with it."""
    for reason in reasons:
        await house.add(new_document("x"))
        holder = uuid4()
        async with house.transaction():
            [job] = await claim_for_analysis(
                house.db, holder=holder, limit=1, ttl=TTL, lanes=list(Lane)
            )
            await put_off_job(house.db, job, reason, holder=holder, wait=timedelta(minutes=minutes))


async def look_whether_to_wait(house: House) -> None:
    async with house.transaction():
        counts, waiting = await count_queue(house.db), await jobs_waiting(house.db)
        check_waits(counts, waiting, await open_batches(house.db))


async def test_the_wait_ends_with_the_reason_when_all_that_is_left_is_put_off(
    house: House,
) -> None:
    await look_whether_to_wait(house)
    await put_off(house, "No credit.", "No credit.", "It is too dear.")
    with pytest.raises(
        MoneyStops,
        match=r"^2 documents wait to be analysed: No credit\. 1 more wait for other reasons\. ",
    ):
        await look_whether_to_wait(house)


async def test_the_wait_goes_on_while_something_else_goes_on(house: House) -> None:
    await put_off(house, "No credit.")
    scan = await house.add_scan()
    await look_whether_to_wait(house)
    host = await house.begin()
    lease = await house.lease(host)
    await look_whether_to_wait(house)
    await house.settle(host, lease)
    assert await house.job(scan) == ("processing", "analyse")
    await look_whether_to_wait(house)


async def test_what_is_put_off_for_a_minute_is_waited_for(house: House) -> None:
    await put_off(house, "No credit.")
    await put_off(house, "Claude is overloaded.", minutes=1)
    await look_whether_to_wait(house)


async def test_a_batch_is_waited_for(house: House) -> None:
    await put_off(house, "No credit.")
    await house.change(
        "insert into aseagi.claude_batches (size, holder) values (12, gen_random_uuid())"
    )
    await look_whether_to_wait(house)


def test_a_batch_is_told_in_words() -> None:
    assert in_batches(OpenBatches(1, 12, None)) == "12 questions with Claude in a batch"
    assert in_batches(OpenBatches(2, 1, None)) == "1 question with Claude in 2 batches"
