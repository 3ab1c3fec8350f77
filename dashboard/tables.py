"""Rows as tables."""

from collections.abc import Mapping, Sequence
from typing import Literal

import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

ROWS_WITHOUT_SCROLLING = 12
LONG_TABLE_PIXELS = 460
STATE_PIXELS = 105

_STATE_COLOURS: Mapping[str, Literal["gray", "blue", "green", "red"]] = {
    "queued": "gray",
    "processing": "blue",
    "completed": "green",
    "failed": "red",
    "wanted": "gray",
    "intended": "gray",
    "running": "blue",
    "closed": "green",
    "ended": "green",
}


def show_table(
    rows: Sequence[Mapping[str, object]], columns: Mapping[str, ColumnConfig], *, key: str
) -> None:
    """Draw rows; a long table scrolls within itself. `key` keeps its place on a refresh."""
    st.dataframe(  # pyright: ignore[reportUnknownMemberType]
        rows,
        hide_index=True,
        height="content" if len(rows) <= ROWS_WITHOUT_SCROLLING else LONG_TABLE_PIXELS,
        key=key,
        placeholder="",
        column_config=dict(columns),
    )


def state_column() -> ColumnConfig:
    """A column of states, each of them a list of one, in its colour."""
    return st.column_config.MultiselectColumn(
        width=STATE_PIXELS, options=_STATE_COLOURS.keys(), color=list(_STATE_COLOURS.values())
    )
