from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from dashboard.costs import Month, MonthCosts, months_until_now
from dashboard.wording import dollars
from sql.connection import connect
from sql.dashboard import (
    Output,
    completed_between,
    costs_between,
    first_charged_day,
    rehearsal_dollars_between,
    reserved_dollars,
)
from tests.dashboard.conftest import Rows

JULY = Month(2026, 7)
AFTER_TEN_DAYS = datetime(2026, 7, 11, tzinfo=UTC)
"""Ten whole days of July have passed."""


async def july(dsn: str, *, now: datetime = AFTER_TEN_DAYS, fixed: str = "31") -> MonthCosts:
    async with connect(dsn) as db:
        return MonthCosts(
            month=JULY,
            now=now,
            days=await costs_between(db, JULY.first, JULY.last),
            output=await completed_between(db, JULY.begins, JULY.ends),
            fixed_dollars_per_month=Decimal(fixed),
        )


async def test_a_month_costs_the_sum_of_its_charges_and_of_no_other_months(
    rows: Rows, dashboard_dsn: str
) -> None:
    rows.charge("gpu", 100, date(2026, 6, 30))
    rows.charge("gpu", 0.25, date(2026, 7, 1))
    rows.charge("llm", 0.0123, date(2026, 7, 31))
    rows.charge("fixed", 100, date(2026, 8, 1))

    costs = await july(dashboard_dsn)

    assert costs.recorded == Decimal("0.2623")
    assert costs.of_kind("llm") == Decimal("0.0123")


async def test_the_projection_adds_the_fixed_days_to_come_and_goes_on_with_the_rest(
    rows: Rows, dashboard_dsn: str
) -> None:
    for day in range(1, 12):
        rows.charge("fixed", 1, date(2026, 7, day))
    rows.charge("gpu", 3, date(2026, 7, 2))
    rows.charge("llm", 2, date(2026, 7, 9))

    costs = await july(dashboard_dsn, fixed="31")

    # 11 fixed days charged, 20 to come at $1; $5 in 10 of 31 days.
    assert costs.recorded == Decimal(16)
    assert round(costs.projected, 6) == Decimal("46.5")
    assert round(costs.saved(Decimal(800)), 6) == Decimal("753.5")


async def test_the_first_hours_of_a_month_are_not_blown_up_to_a_month(
    rows: Rows, dashboard_dsn: str
) -> None:
    rows.charge("gpu", 1, date(2026, 7, 1))

    costs = await july(dashboard_dsn, now=datetime(2026, 7, 1, 0, 10, tzinfo=UTC), fixed="0")

    assert round(costs.projected, 6) == 31


async def test_a_month_that_is_over_comes_to_what_it_cost(rows: Rows, dashboard_dsn: str) -> None:
    rows.charge("gpu", 3, date(2026, 7, 2))

    costs = await july(dashboard_dsn, now=datetime(2026, 8, 2, tzinfo=UTC))

    assert not costs.is_running
    assert costs.projected == Decimal(3)


async def test_documents_and_pages_share_everything_the_month_cost(
    rows: Rows, dashboard_dsn: str
) -> None:
    last_of_june = datetime(2026, 6, 30, 23, tzinfo=UTC)
    rows.document(pages=30, added=last_of_june, completed=datetime(2026, 7, 1, tzinfo=UTC))
    rows.document(pages=10)
    rows.document(pages=500, added=last_of_june, completed=last_of_june)
    rows.document("failed", pages=500)
    rows.document("processing", pages=500)
    rows.charge("gpu", 0.5, date(2026, 7, 3))
    rows.charge("fixed", 1.5, date(2026, 7, 3))

    costs = await july(dashboard_dsn)

    assert costs.output == Output(documents=2, pages=40)
    assert costs.per_document == Decimal(1)
    assert costs.per_1000_pages == Decimal(50)


async def test_where_nothing_was_completed_there_is_no_cost_per_document(
    rows: Rows, dashboard_dsn: str
) -> None:
    rows.charge("fixed", 1.5, date(2026, 7, 3))

    costs = await july(dashboard_dsn)

    assert costs.per_document is None
    assert costs.per_1000_pages is None


async def test_the_budget_counts_what_stopping_sessions_would_save(
    rows: Rows, dashboard_dsn: str
) -> None:
    for kind in ("gpu", "disk", "bandwidth", "llm", "storage", "fixed"):
        rows.charge(kind, 1, date(2026, 7, 3))
    session = rows.session("running", created=AFTER_TEN_DAYS)
    rows.host(session, created=AFTER_TEN_DAYS, reserved_dollars=0.75)

    costs = await july(dashboard_dsn)
    async with connect(dashboard_dsn) as db:
        reserved = await reserved_dollars(db)

    assert costs.counted_by_budget == Decimal(4)
    assert reserved == Decimal("0.75")


async def test_what_is_set_aside_for_claude_counts_like_what_is_set_aside_for_hosts(
    rows: Rows, dashboard_dsn: str
) -> None:
    now = datetime.now(UTC)
    rows.host(rows.session("running", created=now), created=now, reserved_dollars=0.75)
    rows.call("intended", reserved_dollars=0.02)
    rows.call("uncertain", reserved_dollars=0.03)
    rows.call("uncertain", reserved_dollars=5, settled=now - timedelta(days=32))
    rows.call("unserved", reserved_dollars=5)
    rows.call("served", reserved_dollars=5)

    async with connect(dashboard_dsn) as db:
        assert await reserved_dollars(db) == Decimal("0.80")


async def test_what_rehearsals_are_said_to_cost_is_that_of_hosts_and_of_claude(
    rows: Rows, dashboard_dsn: str
) -> None:
    session = rows.session(created=AFTER_TEN_DAYS)
    rehearsed = rows.host(session, created=AFTER_TEN_DAYS, reserved_dollars=1, rehearsal=True)
    rows.charge("gpu", 1, date(2026, 7, 3), host=rehearsed)
    rows.charge("gpu", 7, date(2026, 7, 3))
    rows.charge("llm", 0.25, date(2026, 7, 3), call=rows.call(rehearsal=True))
    rows.charge("llm", 9, date(2026, 7, 3), call=rows.call())
    rows.charge("llm", 9, date(2026, 6, 30), call=rows.call(rehearsal=True))

    async with connect(dashboard_dsn) as db:
        said = await rehearsal_dollars_between(db, JULY.first, JULY.last)

    assert said == Decimal("1.25")


async def test_months_go_back_to_the_first_charge(rows: Rows, dashboard_dsn: str) -> None:
    rows.charge("fixed", 1, date(2025, 11, 20))

    async with connect(dashboard_dsn) as db:
        first = await first_charged_day(db)

    now = datetime(2026, 1, 5, tzinfo=UTC)
    assert months_until_now(first, now) == [Month(2026, 1), Month(2025, 12), Month(2025, 11)]
    assert months_until_now(None, now) == [Month(2026, 1)]


def test_sums_have_as_many_digits_as_they_deserve() -> None:
    sums = ("1234.5", "800", "12.346", "1", "0.0123", "0", "-2.5")

    said = [dollars(Decimal(one)) for one in sums]

    assert said == ["$1,234", "$800.00", "$12.35", "$1.00", "$0.0123", "$0.00", "−$2.50"]
