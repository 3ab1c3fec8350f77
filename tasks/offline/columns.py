"""What the columns of a table hold: which of the figures in a row are money."""

import re
from collections.abc import Sequence

from tasks.offline.text import Page

_MONEY = (
    r"amounts?(?: (?:due|paid|billed|charged|owed))?|totals?|line total|unit price|unit cost|"
    r"price(?: each)?|rate|each|ext(?:\.|ended|ension)?|cost|charges?|net|gross|balance|debits?|"
    r"credits?|payments?|adjustments?|fees?|value|paid|due|unit|vat|tax|deposits?|withdrawals?|"
    r"current|this period|ytd|year to date|subtotal|sum|patient|insurance|paid (?:in|out)|"
    r"money (?:in|out)|principal|interest|escrow|arrears|rent|received|"
    r"replacement cost|rcv|acv|depreciation|allowed|billed|owed|monthly|annual"
)
_COUNT = (
    r"hours?|hrs\.?|qty\.?|quantity|units|vat rate|tax rate|vat %|days?|miles|mileage|weight|%|apr|"
    r"percent|time|age|u/m|uom"
)
_TEXT = (
    r"date|description|no\.|code|item|atty|tkpr|timekeeper|ref(?:erence)?|type|particulars|details|"
    r"check|cheque|service|services|procedure|part|activity|earnings|deductions?|transaction|name|account|category"
)
_COLUMN = re.compile(
    rf"\b(?:(?P<count>{_COUNT})|(?P<text>{_TEXT})|(?P<money>{_MONEY}))(?![A-Za-z%])", re.IGNORECASE
)
_LONGEST_HEAD = 160
_ROWS = 60
"""Lines below a head that it may still speak for."""


def money_columns(page: Page, index: int) -> Sequence[bool] | None:
    """For the columns of figures named above a line, whether each holds money; None without."""
    for above in range(index - 1, max(-1, index - _ROWS), -1):
        text = page.lines[above].text
        if text and not any(c.isdigit() for c in text) and len(text) <= _LONGEST_HEAD:
            named = list(_COLUMN.finditer(text))
            words = sum(len(match[0].split()) for match in named)
            if len(named) >= 2 and words * 2 >= len(text.split()):
                after_text = [i for i, match in enumerate(named) if match["text"]]
                figures = named[after_text[-1] + 1 :] if after_text else named
                return [match["money"] is not None for match in figures] or None
    return None


def holds_money(columns: Sequence[bool], place: int, figures: int) -> bool:
    """Whether the figure at a place from the right, in a row of so many, is money.

    In a row with a cell left empty only the last column is certain.
    """
    if place >= len(columns):
        return False
    if figures < len(columns) and not all(columns):
        return place == 0 and columns[-1]
    return columns[-1 - place]
