"""Costs that accrue by the day whether documents come or not: droplet, storage."""

from calendar import monthrange
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from prefect import task
from prefect.cache_policies import NO_CACHE

from blocks.database import Database
from sql.charges import Charge, last_charged_day, record_charges

LONGEST_GAP = timedelta(days=92)
"""Days made up for after an outage; a longer one was not an outage."""


def fixed_charges(
    dollars_per_month: Mapping[str, float], *, first: date, last: date
) -> list[Charge]:
    """One charge per cost and day from `first` to `last`: the month's price over its days."""
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    return [
        Charge(
            key=f"fixed:{name}:{day.isoformat()}",
            kind="fixed",
            dollars=(Decimal(str(dollars)) / monthrange(day.year, day.month)[1]).quantize(
                Decimal("0.000001")
            ),
            quantity=Decimal(1),
            unit="day",
            what=name,
            incurred_on=day,
        )
        for day in days
        for name, dollars in dollars_per_month.items()
    ]


@task(
    name="accrue fixed costs",
    task_run_name="accrue fixed costs",
    cache_policy=NO_CACHE,
    retries=2,
    retry_delay_seconds=2,
)
async def accrue_fixed_costs(database: Database, dollars_per_month: Mapping[str, float]) -> int:
    """Charge every day up to today that was not charged yet; return how many charges were new."""
    today = datetime.now(UTC).date()
    async with database.connect() as db:
        last = await last_charged_day(db, kind="fixed")
        first = max(last, today - LONGEST_GAP) if last else today
        return await record_charges(db, fixed_charges(dollars_per_month, first=first, last=today))
