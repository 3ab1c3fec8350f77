"""Dates without a year, where the document tells the year."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import islice

from tasks.offline.text import OCR_DIGIT, Page, digits
from tasks.offline.written_dates import (
    DATES_PER_PAGE,
    MONTH,
    WORD_STARTS,
    DateSpan,
    month_number,
)

_GAP = r"\s{1,3}(?:\n[ >]{1,40})?"
_NO_YEAR = (
    r"(?![0-9A-Za-z])(?!\s?[:/][0-9])(?!\.[0-9])"
    r"(?![\s,.]{0,4}(?:\n[ >]{1,40})?(?:of\s{1,3}|A\.?D\.?\s{0,3})?"
    r"(?:[12][0-9OIl]{3}\b|'[0-9]{2}|20_|two\b))"
    r"(?!\s(?:st|street|ave|avenue|road|rd|drive|lane|way|blvd|be|not|pages?)\b)"
)
_MONTH_DAY = re.compile(
    rf"{WORD_STARTS}(?=(?-i:[A-Z]))(?P<m>{MONTH})\.?{_GAP}(?P<d>{OCR_DIGIT}{{1,2}})"
    rf"(?:\s?(?:st|nd|rd|th)\b)?{_NO_YEAR}",
    re.IGNORECASE,
)
_DAY_MONTH = re.compile(
    rf"(?<![0-9A-Za-z$€£.,/-])(?P<d>[0-9]{{1,2}})(?:\s?(?:st|nd|rd|th))?"
    rf"(?:\sday)?(?:\sof)?[ -]?(?=(?-i:[A-Z]))(?P<m>{MONTH})\b{_NO_YEAR}",
    re.IGNORECASE,
)
_IN_A_ROW = re.compile(
    r"^[ >]{0,12}(?P<a>[0-9]{1,2})(?P<s>[/-])(?P<b>[0-9]{1,2})"
    r"(?:[ ]{1,8}(?P<a2>[0-9]{1,2})(?P=s)(?P<b2>[0-9]{1,2}))?(?=[ ]{1,40}\S)",
    re.MULTILINE,
)
_BESIDE_A_SUM = re.compile(
    r"(?<![0-9/.,-])(?P<a>[0-9]{1,2})/(?P<b>[0-9]{1,2})"
    r"(?=[ ]{1,20}-?\$?[0-9][0-9,]{0,9}\.[0-9]{2}\b)"
)
_IN_PROSE = re.compile(
    r"\b(?:on|by|due|visit|appt|appointment|missed|f/u|follow-?up|seen|no-?show|call(?:ed)?|recheck|"
    r"rec'?d|received|sent|faxed|mailed|signed|approved|paid|returned|by (?-i:[A-Z]{2,3})|"
    r"since|until|through|before|after|dated?)(?: about)?:?\s{1,2}"
    r"(?P<a>[0-9]{1,2})/(?P<b>[0-9]{1,2})(?![0-9/%\"'])"
    r"(?!\s{0,2}(?:of|inch|in\.|miles?|share|interest|majority|hours?|tea|table|cups?|scale)\b)",
    re.IGNORECASE,
)
_EVERY_YEAR = re.compile(
    r"\b(?:each|every)\s+(?:\w+\s+)?year|\bannually\b|\byearly\b", re.IGNORECASE
)
_EVERY = re.compile(r"\b(?:every|each|annual)\s{1,3}$", re.IGNORECASE)
_JOINS = re.compile(r"^[\s,]{0,3}(?:(?:and|or|to|through|thru|until|&|-)\b|[-&,])")
_SENTENCE_ENDS = re.compile(r"[a-z)]{2}[.;]\s|\n\s{0,40}\n")


@dataclass(frozen=True)
class Years:
    """What tells the year: the document's own date, and the period that it states."""

    own: date | None
    period: tuple[date, date] | None


@dataclass(frozen=True)
class _Day:
    start: int
    end: int
    month: int
    day: int
    in_table: bool


def yearless_dates(
    page: Page, dated: Sequence[DateSpan], years: Years, *, day_first: bool
) -> Iterator[DateSpan]:
    """The days of a page whose year another date tells, in no order."""
    for day in _days(page.text, day_first=day_first):
        if any(one.start < day.end and day.start < one.end for one in dated):
            continue
        on = _in_its_year(page.text, day, dated, years)
        if on:
            yield DateSpan(day.start, day.end, on)


def _days(text: str, *, day_first: bool) -> Iterator[_Day]:
    for pattern in (_MONTH_DAY, _DAY_MONTH):
        for match in islice(pattern.finditer(text), DATES_PER_PAGE):
            month = month_number(match["m"])
            known = any(c in "0123456789" for c in match["d"])
            comes_back = _EVERY_YEAR.search(text[match.end() : match.end() + 60]) or _EVERY.search(
                text[max(0, match.start() - 20) : match.start()]
            )
            if month and known and not comes_back:
                yield _Day(
                    match.start(), match.end(), month, int(digits(match["d"])), in_table=False
                )
    rows = list(islice(_IN_A_ROW.finditer(text), DATES_PER_PAGE))
    for match in rows if len(rows) > 1 else ():
        yield from _in_figures(match, "", day_first=day_first, in_table=True)
        if match["a2"]:
            yield from _in_figures(match, "2", day_first=day_first, in_table=True)
    for match in islice(_BESIDE_A_SUM.finditer(text), DATES_PER_PAGE):
        yield from _in_figures(match, "", day_first=day_first, in_table=True)
    for match in islice(_IN_PROSE.finditer(text), DATES_PER_PAGE):
        yield from _in_figures(match, "", day_first=day_first, in_table=False)


def _in_figures(
    match: re.Match[str], which: str, *, day_first: bool, in_table: bool
) -> Iterator[_Day]:
    first, second = int(match[f"a{which}"]), int(match[f"b{which}"])
    month, day = (second, first) if day_first else (first, second)
    if 1 <= month <= 12 and 1 <= day <= 31:
        start, end = match.start(f"a{which}"), match.end(f"b{which}")
        yield _Day(start, end, month, day, in_table)


def _in_its_year(text: str, day: _Day, dated: Sequence[DateSpan], years: Years) -> date | None:
    """The date that shares its year with one beside it, else within the period, else nearest."""
    if not day.in_table:
        following = next((d for d in dated if d.start >= day.end), None)
        between = text[day.end : following.start][:80] if following else ""
        if following and len(between) < 60 and _JOINS.match(between) and not _ends(between):
            return _latest_until(day, following.on)
        before = next((d for d in reversed(dated) if d.end <= day.start), None)
        if before and day.start - before.end < 120 and not _ends(text[before.end : day.start]):
            return _nearest(day, before.on)
    if years.period:
        begin, end = years.period
        for year in (begin.year, end.year):
            on = _on(year, day)
            if on and begin - timedelta(days=20) <= on <= end + timedelta(days=45):
                return on
    near = years.own or (years.period[1] if years.period else None)
    return _nearest(day, near) if near else None


def _ends(between: str) -> bool:
    return bool(_SENTENCE_ENDS.search(between))


def _latest_until(day: _Day, until: date) -> date | None:
    """`December 20 and January 3, 2020`: the first was in the year before."""
    return _on(until.year - ((day.month, day.day) > (until.month, until.day)), day)


def _nearest(day: _Day, near: date) -> date | None:
    around = [on for year in (near.year - 1, near.year, near.year + 1) if (on := _on(year, day))]
    return min(around, key=lambda on: abs(on - near), default=None)


def _on(year: int, day: _Day) -> date | None:
    try:
        return date(year, day.month, day.day)
    except ValueError:
        return None
