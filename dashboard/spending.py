"""The part about money: what the month cost, will cost, and would have cost otherwise."""

from decimal import Decimal
from typing import Literal

import altair as alt
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from blocks.spending import Spending
from dashboard.costs import COMPONENTS, MonthCosts
from dashboard.tables import show_table
from dashboard.wording import dollars, plain

# Reads on light and on dark ground.
_GREY = "#7d8592"
_LIGHT_BLUE = "#93c5fd"
_BLUE = "#3b82f6"

DAYS_HEIGHT_PIXELS = 390
BARS_HEIGHT_PIXELS = 130


def show_spending(costs: MonthCosts, *, spending: Spending, reserved: Decimal) -> None:
    """Draw the month's metrics, comparison, budget, days and components."""
    always_on = Decimal(str(spending.always_on_gpu_dollars_per_month))
    _show_metrics(costs, always_on)
    left, right = st.columns([3, 2], gap="large")
    with left:
        _show_days(costs)
    with right:
        _show_comparison(costs, always_on)
        if costs.is_running:
            budget = Decimal(str(spending.monthly_budget_dollars))
            _show_budget(costs.counted_by_budget, reserved, budget)
        _show_components(costs)
    _show_small_print(costs, spending)


def _show_metrics(costs: MonthCosts, always_on: Decimal) -> None:
    month, output, saved = costs.month, costs.output, costs.saved(always_on)
    total, end, against, document, pages = st.columns(5)
    _show_metric(
        total,
        "This month so far" if costs.is_running else "This month",
        costs.recorded,
        f"{costs.now.day} of {month.days} days" if costs.is_running else "complete",
    )
    _show_metric(
        end,
        f"Projected to {month.last.day} {month.last:%B}" if costs.is_running else "At its end",
        costs.projected,
        f"fixed: {dollars(costs.fixed_dollars_per_month)} a month",
    )
    _show_metric(
        against,
        "Saved against a 24/7 GPU server" if saved >= 0 else "More than a 24/7 GPU server",
        abs(saved),
        f"{abs(saved) / always_on:.1%} of its {dollars(always_on)}" if always_on else "it is free",
        colour="green" if saved >= 0 else "red",
    )
    _show_metric(document, "Per document", costs.per_document, f"{output.documents:,} completed")
    _show_metric(pages, "Per 1,000 pages", costs.per_1000_pages, f"{output.pages:,} pages")


def _show_metric(
    column: DeltaGenerator,
    label: str,
    sum_: Decimal | None,
    note: str,
    *,
    colour: Literal["off", "green", "red"] = "off",
) -> None:
    """One figure; a dash where there is nothing to divide by."""
    column.metric(
        label,
        plain(dollars(sum_)) if sum_ is not None else "–",
        delta=plain(note),
        delta_color=colour,
        delta_arrow="off",
        border=True,
    )


def _show_days(costs: MonthCosts) -> None:
    st.subheader(f"{costs.month} by day", anchor=False)
    by_kind = {one.kind: (rank, one.name) for rank, one in enumerate(COMPONENTS)}
    # A component without a charge only makes the legend longer.
    shown = [one for one in COMPONENTS if costs.of_kind(one.kind)]
    rows = [
        {
            "day": day.day.day,
            "date": day.day.isoformat(),
            "rank": by_kind[day.kind][0],
            "component": by_kind[day.kind][1],
            "dollars": float(day.dollars),
        }
        for day in costs.days
    ]
    chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_bar()
        .encode(
            x=alt.X("day:O")
            .scale(domain=list(range(1, costs.month.days + 1)))
            .axis(labelAngle=0, labelOverlap=True, ticks=False)
            .title(None),
            y=alt.Y("dollars:Q").axis(format="$,.2~f", tickCount=5).title(None),
            color=alt.Color("component:N")
            .scale(domain=[one.name for one in shown], range=[one.colour for one in shown])
            .legend(orient="top", title=None, symbolType="square"),
            order=alt.Order("rank:Q", sort="descending"),
            tooltip=[
                alt.Tooltip("date:N", title="day (UTC)"),
                alt.Tooltip("component:N"),
                alt.Tooltip("dollars:Q", format="$,.4f"),
            ],
        )
        .properties(height=DAYS_HEIGHT_PIXELS)
    )
    st.altair_chart(chart, width="stretch", key="days")


def _show_comparison(costs: MonthCosts, always_on: Decimal) -> None:
    st.subheader("Against a GPU server that always runs", anchor=False)
    ours = f"ASEAGI, {'projected' if costs.is_running else 'charged'}"
    theirs = "24/7 GPU server"
    to_come = costs.projected - costs.recorded
    segments = [
        {"who": theirs, "dollars": float(always_on), "colour": _GREY, "rank": 0},
        {"who": ours, "dollars": float(costs.recorded), "colour": _BLUE, "rank": 1},
        {"who": ours, "dollars": float(to_come), "colour": _LIGHT_BLUE, "rank": 2},
    ]
    ends = [
        {"who": theirs, "end": float(always_on), "label": dollars(always_on)},
        {"who": ours, "end": float(costs.projected), "label": dollars(costs.projected)},
    ]
    who = alt.Y("who:N").sort([ours, theirs]).title(None).axis(labelLimit=200, ticks=False)
    # Room to the right of the longest bar for its sum.
    room = float(max(always_on, costs.projected, Decimal(1))) * 1.18
    bars = (
        alt.Chart(alt.Data(values=segments))
        .mark_bar(cornerRadius=2)
        .encode(
            y=who,
            x=alt.X("dollars:Q").scale(domain=[0, room]).axis(None),
            color=alt.Color("colour:N").scale(None),
            order=alt.Order("rank:Q"),
            tooltip=[alt.Tooltip("who:N", title=" "), alt.Tooltip("dollars:Q", format="$,.2f")],
        )
    )
    labels = (
        alt.Chart(alt.Data(values=ends))
        .mark_text(align="left", dx=6, fontSize=14, fontWeight="bold", color=_GREY)
        .encode(y=who, x=alt.X("end:Q"), text="label:N")
    )
    chart = (bars + labels).properties(height=BARS_HEIGHT_PIXELS)
    st.altair_chart(chart, width="stretch", key="comparison")


def _show_budget(spent: Decimal, reserved: Decimal, budget: Decimal) -> None:
    used = spent + reserved
    text = f"Budget: {dollars(spent)} of {dollars(budget)} spent"
    if reserved:
        text += f", {dollars(reserved)} more set aside for open hosts and Claude"
    if used > budget:
        text += ". **Used up: no session is started, and Claude is asked nothing**"
    share = min(float(used / budget), 1.0) if budget else float(used > 0)
    st.progress(share, text=text.replace("$", r"\$"))


def _show_components(costs: MonthCosts) -> None:
    total = costs.recorded
    rows = [
        {
            "Component": one.name,
            "Dollars": float(cost),
            "Share": float(cost / total * 100) if total else 0.0,
            "Pays for": one.pays_for,
        }
        for one in COMPONENTS
        for cost in [costs.of_kind(one.kind)]
    ]
    show_table(
        rows,
        {
            "Component": st.column_config.TextColumn(width="small"),
            "Dollars": st.column_config.NumberColumn(format="$%.4f", width="small"),
            "Share": st.column_config.ProgressColumn(
                format="%.1f%%", color="blue", min_value=0, max_value=100, width="small"
            ),
            "Pays for": st.column_config.TextColumn(width="medium"),
        },
        key="components",
    )


def _show_small_print(costs: MonthCosts, spending: Spending) -> None:
    own = Decimal(str(spending.own_machine_dollars_per_hour))
    lines = [
        "Charges as recorded, by UTC day; a host's time is charged when it ends, its worst "
        "case is reserved until then. So is that of a question to Claude; if its answer is lost, "
        "until the month is over.",
        f"Hours of a machine of your own count {dollars(own)} each (block aseagi-spending).",
        "Per document and per 1,000 pages: everything the month cost, fixed costs included, "
        "over the documents completed in it and their pages.",
        "The budget limits what sessions and analysis cost; fixed costs and storage are "
        "paid whatever happens, so it does not count them.",
    ]
    if costs.is_running:
        lines.insert(
            1,
            "Projection: what is recorded, plus the fixed price of the days to come, plus "
            "everything else at its average since the month began.",
        )
    st.caption(" ".join(lines).replace("$", r"\$"))
