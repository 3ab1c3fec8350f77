"""`aseagi costs`: this month's money by day and kind, and where the month is heading."""

from calendar import monthrange
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from cli.connection import use_stack
from cli.console import STATE_DIR, JsonOption, StateDirOption, console, print_json, run

if TYPE_CHECKING:
    from sql.charges import DayCost
    from sql.claude import ClaudeMonth


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(costs)


def costs(state: StateDirOption = STATE_DIR, as_json: JsonOption = False) -> None:
    """Show what this month has cost, by day and kind, and what it will at this rate.

    And what Claude was asked for it.

    **Example:** `aseagi costs --json`
    """
    use_stack(state)
    run(_costs(as_json=as_json))


@dataclass(frozen=True, slots=True)
class Month:
    """The dollars of a month so far."""

    so_far: Decimal
    projected: Decimal
    """At this rate until the month's last day; the first day tells little."""
    budget: Decimal
    against_budget: Decimal
    """Without fixed costs."""


def projection(so_far: Decimal, today: date) -> Decimal:
    """What the whole month costs if its other days cost what those until today did."""
    days = monthrange(today.year, today.month)[1]
    return (so_far * days / today.day).quantize(Decimal("0.01"))


async def _costs(*, as_json: bool) -> None:
    from blocks.database import Database
    from blocks.loading import load
    from blocks.spending import Spending
    from sql.charges import charged_against_budget, costs_by_day, month_to_date
    from sql.claude import claude_month

    database, spending = await load(Database), await load(Spending)
    today = datetime.now(UTC).date()
    async with database.connect() as db:
        days = await costs_by_day(db, since=today.replace(day=1))
        so_far = await month_to_date(db)
        counted = await charged_against_budget(db)
        claude = await claude_month(db)
    month = Month(
        so_far=so_far,
        projected=projection(so_far, today),
        budget=Decimal(str(spending.monthly_budget_dollars)),
        against_budget=counted,
    )
    if as_json:
        print_json(
            {
                "month": asdict(month),
                "days": [asdict(day) for day in days],
                "claude": asdict(claude),
            }
        )
        return
    console.print(_table(days))
    console.print(f"this month so far: ${month.so_far:.2f}; at this rate ${month.projected:.2f}")
    console.print(f"of the budget of ${month.budget:.2f}: ${month.against_budget:.2f} used")
    for line in claude_lines(claude):
        console.print(line)


def claude_lines(claude: "ClaudeMonth") -> list[str]:
    """What Claude answered this month, and what may have been paid for nothing."""
    lines: list[str] = []
    if claude.answered:
        cached = claude.cache_read_tokens / max(claude.input_tokens, 1)
        answers = "1 answer" if claude.answered == 1 else f"{claude.answered:,} answers"
        tokens = f"{claude.input_tokens:,} in and {claude.output_tokens:,} out tokens"
        lines.append(
            f"Claude: {answers}, {tokens} ({cached:.0%} from cache), ${claude.dollars:.4f}"
        )
    if claude.uncertain:
        lost = (
            "1 answer was lost on the way; it may"
            if claude.uncertain == 1
            else f"{claude.uncertain:,} answers were lost on the way; they may"
        )
        lines.append(
            f"{lost} have cost up to ${claude.uncertain_dollars:.4f} more, which the limits count"
        )
    return lines


def _table(days: "Sequence[DayCost]") -> Table:
    kinds = sorted({day.kind for day in days})
    by_day: dict[date, dict[str, Decimal]] = defaultdict(dict)
    for day in days:
        by_day[day.day][day.kind] = day.dollars
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("day", no_wrap=True)
    for column in (*kinds, "together"):
        table.add_column(column, justify="right", no_wrap=True)
    for when, spent in by_day.items():
        cells = [f"${spent[kind]:.4f}" if kind in spent else "" for kind in kinds]
        table.add_row(when.isoformat(), *cells, f"${sum(spent.values(), Decimal(0)):.4f}")
    return table
