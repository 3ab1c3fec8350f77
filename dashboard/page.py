"""The page as a whole: costs, then work; and one line instead when a server is away."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import streamlit as st

from dashboard.costs import Month, MonthCosts, months_until_now
from dashboard.data import Settings, load_money, load_work
from dashboard.spending import show_spending
from dashboard.wording import dollars, minute, plain
from dashboard.work import show_work
from schema.failures import AseagiError
from sql.controls import Controls

REFRESH_SECONDS = 10


@st.fragment(run_every=REFRESH_SECONDS)
def show_page(settings: Callable[[], Settings]) -> None:
    """Draw everything, again every `REFRESH_SECONDS`; what is loaded is kept for longer."""
    try:
        _show(settings())
    except AseagiError as error:
        st.error(plain(str(error)), icon=":material/cloud_off:")


def _show(settings: Settings) -> None:
    now = datetime.now(UTC)
    this_month = Month.of(now.date())
    work = load_work(settings.database)
    known = load_money(settings.database, this_month)

    title, picker = st.columns([4, 1], vertical_alignment="bottom")
    title.title("ASEAGI", anchor=False)
    month = picker.selectbox(
        "Month", months_until_now(known.first_charged, now), key="month", format_func=str
    )
    _show_pause(work.controls)

    money = known if month == this_month else load_money(settings.database, month)
    _show_rehearsal(money.rehearsal)
    spending = settings.spending
    show_spending(
        MonthCosts(
            month=month,
            now=now,
            days=money.days,
            output=money.output,
            fixed_dollars_per_month=sum(
                (Decimal(str(one)) for one in spending.fixed_dollars_per_month.values()),
                Decimal(0),
            ),
        ),
        spending=spending,
        reserved=money.reserved,
    )
    st.divider()
    show_work(settings.database, work)


def _show_rehearsal(rehearsal: Decimal) -> None:
    if rehearsal:
        st.info(
            f"**Rehearsal, no money:** {plain(dollars(rehearsal))} of what is shown is for hosts "
            "and answers of the rehearsals of Vast.ai and Claude. Nobody charges it.",
            icon=":material/theater_comedy:",
        )


def _show_pause(controls: Controls) -> None:
    if controls.paused_at is not None:
        st.warning(
            f"**Spending is paused** since {minute(controls.paused_at)} UTC: "
            f"{plain(controls.paused_reason or '')}. No session starts, no page is leased and "
            "Claude is asked nothing until `aseagi resume`.",
            icon=":material/pause_circle:",
        )
