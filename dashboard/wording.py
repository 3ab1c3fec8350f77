"""Sums, times and reasons as people read them."""

import re
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from schema.failures import Failure

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+!|~:$])")


def dollars(sum_: Decimal) -> str:
    """A sum with as many digits as it deserves: $1,234, $12.34, $0.0123."""
    if sum_ < 0:
        return f"−{dollars(-sum_)}"
    if sum_ >= 1000:
        return f"${sum_:,.0f}"
    if sum_ >= 1 or sum_ == 0:
        return f"${sum_:.2f}"
    return f"${sum_:.4f}"


def plain(text: str) -> str:
    """The text as Markdown that reads exactly so; dollar signs would start a formula."""
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))


def reason(error: dict[str, Any] | None) -> str:
    """A stored failure as one line."""
    if error is None:
        return ""
    failure = Failure.model_validate(error)
    where = f"page {failure.page}: " if failure.page else ""
    return f"{where}{failure.reason}"


def minute(moment: datetime) -> str:
    """A moment to the minute, in UTC like every time on the page."""
    return f"{moment:%d %b %H:%M}"


def duration(time: timedelta) -> str:
    """A length of time in its two largest units."""
    seconds = max(0, round(time.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} min {seconds:02} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min"
