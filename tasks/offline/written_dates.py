"""Dates as they are written: in figures, in words, in ranges, misread by OCR."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import islice

from tasks.offline.text import OCR_DIGIT, Page, digits

DATES_PER_PAGE = 200
_MONTH_NAMES: tuple[str, ...] = (
    "january jan januar janvier janv enero gennaio gen",
    "february feb febr februar février fevrier févr febrero febbraio",
    "march mar märz maerz marz mars marzo",
    "april apr avril abril aprile avr abr",
    "may mai mayo maggio",
    "june jun juni juin junio giugno",
    "july jul juli juillet julio luglio",
    "august aug août aout agosto",
    "september sept sep septembre septiembre settembre",
    "october oct oktober okt octobre octubre ottobre",
    "november nov novembre noviembre",
    "december dec dezember dez décembre decembre diciembre dicembre",
)
_ORDINAL_WORDS: str = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth "
    "fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth twenty-first "
    "twenty-second twenty-third twenty-fourth twenty-fifth twenty-sixth twenty-seventh "
    "twenty-eighth twenty-ninth thirtieth thirty-first"
)
_ORDINALS: Sequence[str] = _ORDINAL_WORDS.split()
_LOOKALIKES = str.maketrans({"i": "l", "1": "l", "|": "l", "0": "o"})


def _canonical(word: str) -> str:
    return word.lower().translate(_LOOKALIKES)


def _fuzzy(word: str) -> str:
    spelled = {"i": "[il1|]", "l": "[il1|]", "o": "[o0]"}
    return "".join(spelled.get(letter, letter) for letter in word)


_MONTHS = {
    _canonical(name): number
    for number, names in enumerate(_MONTH_NAMES, start=1)
    for name in names.split()
}
_MONTH = "(?:{})".format(
    "|".join(_fuzzy(n) for n in sorted(" ".join(_MONTH_NAMES).split(), key=len, reverse=True))
)
_WORD_STARTS = r"(?:(?<![A-Za-z])|(?-i:(?<=[a-z])(?=[A-Z])))"
_DAY = OCR_DIGIT + "{1,2}"
_YEAR = f"[12Il|]{OCR_DIGIT}{{3}}"
_NO_DIGIT = "(?![0-9])"
_TH = r"(?:\s?(?:st|nd|rd|th)\b)?"
_MONTH_DAY_YEAR = re.compile(
    rf"{_WORD_STARTS}(?P<m>{_MONTH})\.?[\s,]{{0,3}}(?P<d>{_DAY}){_TH}[\s,.]{{0,4}}(?P<y>{_YEAR}){_NO_DIGIT}",
    re.IGNORECASE,
)
_DAY_MONTH_YEAR = re.compile(
    rf"(?<![0-9A-Z])(?P<d>{_DAY})(?P<th>\s?(?:st|nd|rd|th|er|\.|º))?\s{{0,3}}"
    rf"(?:day\s{{0,3}}of\s{{0,3}}|of\s{{1,3}}|de\s{{1,3}})?(?P<m>{_MONTH})\.?\s{{0,2}},?\s{{0,3}}"
    rf"(?:del?\s{{1,2}})?(?P<y>{_YEAR}){_NO_DIGIT}",
    re.IGNORECASE,
)
_ORDINAL_DAY = re.compile(
    rf"\b(?P<w>{'|'.join(reversed(_ORDINALS))})\s{{1,3}}day\s{{1,3}}of\s{{1,3}}(?P<m>{_MONTH})"
    rf",?\s{{0,3}}(?P<y>{_YEAR}){_NO_DIGIT}",
    re.IGNORECASE,
)
_ISO = re.compile(
    rf"(?<![0-9A-Za-z-])(?P<y>{_YEAR})(?P<s>[-/.])(?P<m>{_DAY})(?P=s)(?P<d>{_DAY})(?![0-9A-Za-z-])"
)
_NUMERIC = re.compile(
    rf"(?<![0-9A-Za-z/.-])(?P<a>{_DAY})\s?(?P<s>[/.-])\s?(?P<b>{_DAY})\s?(?P=s)\s?"
    rf"(?P<y>{_YEAR}|[0-9]{{2}})(?![0-9/])(?![.-][0-9])"
)
_RANGE = re.compile(
    rf"{_WORD_STARTS}(?P<m>{_MONTH})\.?\s{{0,2}}(?P<d>{_DAY}){_TH}\s{{0,2}}"
    rf"(?:-|to|through|thru|until|and)\s{{0,2}}"
    rf"(?P<m2>{_MONTH})?\.?\s{{0,2}}(?P<d2>{_DAY}){_TH}[\s,]{{0,3}}(?P<y>{_YEAR}){_NO_DIGIT}",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class DateSpan:
    """A date and where it stands."""

    start: int
    end: int
    on: date


def is_day_first(pages: Sequence[Page], language: str) -> bool:
    """Whether 03/04/2024 is the third of April: another language, or another date shows it."""
    day_first = month_first = False
    for page in pages[:20]:
        for match in islice(_NUMERIC.finditer(page.text), DATES_PER_PAGE):
            if match["s"] == "/":
                day_first |= int(digits(match["a"])) > 12
                month_first |= int(digits(match["b"])) > 12
    if day_first != month_first:
        return day_first
    return language in {"de", "fr", "es", "it"}


def written_dates(text: str, *, day_first: bool) -> Iterator[DateSpan]:
    """Every date of a text, in no order; some may overlap."""
    for match in _RANGE.finditer(text):
        yield from _range(match)
    for pattern in (_MONTH_DAY_YEAR, _DAY_MONTH_YEAR, _ISO):
        for match in pattern.finditer(text):
            month = match["m"]
            number = _MONTHS.get(_canonical(month)) if pattern is not _ISO else _number(month)
            has_th = "th" in match.re.groupindex and bool(match["th"])
            day = _number(match["d"], bare_letters=has_th)
            yield from _span(match, match["y"], number, day)
    for match in _ORDINAL_DAY.finditer(text):
        day = _ORDINALS.index(match["w"].lower()) + 1
        yield from _span(match, match["y"], _MONTHS.get(_canonical(match["m"])), day)
    for match in _NUMERIC.finditer(text):
        yield from _numeric(match, day_first=day_first)


def _numeric(match: re.Match[str], *, day_first: bool) -> Iterator[DateSpan]:
    first, second = _number(match["a"]), _number(match["b"])
    if first is None or second is None:
        return
    if len(match["y"]) == 2 and match["s"] == "-":
        return
    turned = match["s"] == "." or day_first
    month, day = (second, first) if turned else (first, second)
    if month > 12 >= day:
        month, day = day, month
    yield from _span(match, match["y"], month, day)


def _range(match: re.Match[str]) -> Iterator[DateSpan]:
    """`February 1 - March 2, 2024`: the year counts for both ends."""
    month = _MONTHS[_canonical(match["m"])]
    last_month = _MONTHS[_canonical(match["m2"])] if match["m2"] else month
    year, day, last_day = _year(match["y"]), _number(match["d"]), _number(match["d2"])
    first = _date(year - (month > last_month) if year else None, month, day)
    last = _date(year, last_month, last_day)
    if first and last:
        yield DateSpan(match.start(), match.end("d"), first)
        yield DateSpan(match.start("m2") if match["m2"] else match.start("d2"), match.end(), last)


def _span(
    match: re.Match[str], year: str, month: int | None, day: int | None
) -> Iterator[DateSpan]:
    on = _date(_year(year), month, day)
    if on:
        yield DateSpan(match.start(), match.end(), on)


def _number(text: str, *, bare_letters: bool = False) -> int | None:
    """`l5` is 15, but `l` alone is a letter unless its place says otherwise (`lst day of`)."""
    return int(digits(text)) if bare_letters or any(c in "0123456789" for c in text) else None


def _year(text: str) -> int | None:
    if sum(c in "0123456789" for c in text) < 2:
        return None
    year = int(digits(text))
    if len(text) == 2:
        year += 2000 if year < 50 else 1900
    return year if 1800 <= year <= 2100 else None


def _date(year: int | None, month: int | None, day: int | None) -> date | None:
    if year is None or month is None or day is None:
        return None
    try:
        return date(year, month, day)
    except ValueError:
        return None


def without_overlap(spans: Iterable[DateSpan]) -> Iterator[DateSpan]:
    """In reading order, of those that overlap the first and longest."""
    reached = -1
    for span in sorted(spans, key=lambda s: (s.start, s.start - s.end)):
        if span.start >= reached:
            yield span
            reached = span.end
