"""A month's figures, computed from its charges. Days and months are UTC."""

from calendar import monthrange
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from sql.charges import DayCost, Kind
from sql.dashboard import Output


class Month(NamedTuple):
    """A calendar month; compares and sorts by time."""

    year: int
    number: int

    @staticmethod
    def of(day: date) -> "Month":
        """The month of a day."""
        return Month(day.year, day.month)

    @property
    def days(self) -> int:
        """How many days it has."""
        return monthrange(self.year, self.number)[1]

    @property
    def first(self) -> date:
        """Its first day."""
        return date(self.year, self.number, 1)

    @property
    def last(self) -> date:
        """Its last day."""
        return date(self.year, self.number, self.days)

    @property
    def begins(self) -> datetime:
        """Its first moment."""
        return datetime(self.year, self.number, 1, tzinfo=UTC)

    @property
    def ends(self) -> datetime:
        """The first moment after it."""
        return self.begins + timedelta(days=self.days)

    def __str__(self) -> str:
        return f"{self.first:%B %Y}"


def months_until_now(first: date | None, now: datetime) -> list[Month]:
    """This month and those before it down to the first one with a charge, newest first."""
    this = Month.of(now.date())
    months = [this]
    oldest = min(this, Month.of(first)) if first else this
    while months[-1] > oldest:
        months.append(Month.of(months[-1].first - timedelta(days=1)))
    return months


@dataclass(frozen=True, slots=True)
class Component:
    """A kind of cost as people see it; the colour reads on light and on dark ground."""

    kind: Kind
    name: str
    colour: str
    pays_for: str


COMPONENTS = (
    Component("gpu", "GPU", "#3b82f6", "hosts, by the second"),
    Component("disk", "Disk", "#06b6d4", "disks of hosts"),
    Component("bandwidth", "Bandwidth", "#8b5cf6", "bytes to and from hosts"),
    Component("llm", "LLM", "#f59e0b", "tokens of the analysis"),
    Component("storage", "Storage", "#10b981", "bytes kept beyond the flat price"),
    Component("fixed", "Fixed", "#94a3b8", "server and storage, paid every day"),
)
"""Every kind of charge, in the order shown."""

OUTSIDE_BUDGET: frozenset[Kind] = frozenset({"fixed", "storage"})
"""Kinds that stopping sessions cannot save, so that the budget does not count them."""


@dataclass(frozen=True, slots=True)
class MonthCosts:
    """What a month cost, what it will have cost at its end, and what came out of it."""

    month: Month
    now: datetime
    days: Sequence[DayCost]
    output: Output
    fixed_dollars_per_month: Decimal

    @property
    def is_running(self) -> bool:
        """True for the month we are in."""
        return self.month == Month.of(self.now.date())

    @property
    def recorded(self) -> Decimal:
        """Every charge of the month."""
        return sum((day.dollars for day in self.days), Decimal(0))

    def of_kind(self, kind: Kind) -> Decimal:
        """The charges of one kind."""
        return sum((day.dollars for day in self.days if day.kind == kind), Decimal(0))

    @property
    def counted_by_budget(self) -> Decimal:
        """The charges that the monthly budget limits."""
        return sum((day.dollars for day in self.days if day.kind not in OUTSIDE_BUDGET), Decimal(0))

    @property
    def projected(self) -> Decimal:
        """What the month will have cost at its end.

        Days to come are charged their fixed price; everything else goes on at its average
        since the month began. A day's beginning is no average: it takes a whole day.
        """
        if not self.is_running:
            return self.recorded
        fixed_per_day = self.fixed_dollars_per_month / self.month.days
        fixed_to_come = fixed_per_day * (self.month.days - self.now.day)
        elapsed = max((self.now - self.month.begins) / timedelta(days=1), 1.0)
        growth = Decimal(self.month.days / elapsed) - 1
        return self.recorded + fixed_to_come + (self.recorded - self.of_kind("fixed")) * growth

    def saved(self, always_on_dollars: Decimal) -> Decimal:
        """How much less the month costs than a server that always runs; negative if more."""
        return always_on_dollars - self.projected

    @property
    def per_document(self) -> Decimal | None:
        """Everything the month cost, shared by the documents completed in it; None for none."""
        return self.recorded / self.output.documents if self.output.documents else None

    @property
    def per_1000_pages(self) -> Decimal | None:
        """Everything the month cost, per 1,000 pages completed in it; None for none."""
        return self.recorded * 1000 / self.output.pages if self.output.pages else None
