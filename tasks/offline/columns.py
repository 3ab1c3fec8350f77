"""What the columns of a table hold: which of the figures in a row are money."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tasks.offline.text import Page

_MONEY = (
    r"amounts?(?: (?:due|paid|billed|charged|owed))?|totals?|line total|unit price|unit cost|"
    r"price(?: each)?|rate|each|ext(?:\.|ended|ension)?|cost|charges?|net|gross|balance|debits?|"
    r"credits?|payments?|adjustments?|fees?|value|paid|due|unit|vat|tax|deposits?|withdrawals?|"
    r"current|this period|ytd|year to date|subtotal|sum|patient|insurance|paid (?:in|out)|"
    r"money (?:in|out)|principal|interest|escrow|arrears|rent|received|"
    r"adj\.?|ins\.? paid|plan paid|pt\.? paid|write-?offs?|co-?pay|coinsurance|discounts?|amt\.?|"
    r"you owe|subtotal|replacement cost|rcv|acv|depreciation|allowed|billed|owed|monthly|annual"
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


@dataclass(frozen=True)
class Column:
    """A column of figures: where its head stands in the line, and whether it holds money."""

    start: int
    end: int
    money: bool


def columns_above(page: Page, index: int) -> Sequence[Column]:
    """The columns of figures that the nearest head above a line names, from left to right."""
    for above in range(index - 1, max(-1, index - _ROWS), -1):
        line = page.lines[above]
        if line.text and len(line.text) <= _LONGEST_HEAD and not any(map(str.isdigit, line.text)):
            named = list(_COLUMN.finditer(line.text))
            words = sum(len(match[0].split()) for match in named)
            if len(named) >= 2 and words * 2 >= len(line.text.split()):
                after_text = [i for i, match in enumerate(named) if match["text"]]
                figures = named[after_text[-1] + 1 :] if after_text else named
                indent = page.column(line.start)
                return [
                    Column(indent + match.start(), indent + match.end(), match["money"] is not None)
                    for match in figures
                ]
    return []


def holds_money(columns: Sequence[Column], place: int, figures: int, at: tuple[int, int]) -> bool:
    """Whether the figure at a place from the right, in a row of so many, is money.

    In a row with cells left empty the column it stands under decides, and where that is not
    plain only the last is certain.
    """
    if figures >= len(columns):
        return place < len(columns) and columns[-1 - place].money
    if all(column.money for column in columns):
        return place < len(columns)
    under = [c for c in columns if at[0] < c.end + 2 and c.start - 2 < at[1]]
    if len(under) == 1:
        return under[0].money
    return place == 0 and columns[-1].money
