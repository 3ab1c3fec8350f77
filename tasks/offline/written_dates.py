"""Dates as they are written: in figures, in words, in ranges, misread by OCR."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from tasks.offline.number_words import NUMBER_WORD, number_in_words
from tasks.offline.text import OCR_DIGIT, digits

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
MONTH = "(?:{})".format(
    "|".join(_fuzzy(n) for n in sorted(" ".join(_MONTH_NAMES).split(), key=len, reverse=True))
)
WORD_STARTS = r"(?:(?<![A-Za-z])|(?-i:(?<=[a-z])(?=[A-Z])))"
_DAY = OCR_DIGIT + "{1,2}"
_YEAR = f"[12Il|]{OCR_DIGIT}{{3}}"
_NO_DIGIT = "(?![0-9])"
_TH = r"(?:\s?(?:st|nd|rd|th)\b)?"
# What may stand between the parts of a date: a comma, or the end of a line (quoted, perhaps).
_GAP = r"[\s,.]{0,4}(?:\n[ >]{1,40})?"
_BETWEEN = r"[-\s,]{1,4}(?:\n[ >]{1,40})?"
_AD = (
    r"(?:A\.?\s?D\.?,?\s{0,3}|"
    r"(?:in\s{1,3})?the\s{1,3}year\s{1,3}(?:of\s{1,3}our\s{1,3}lord\s{1,3})?)?"
)
_SHORT_YEAR = r"'[0-9]{2}"

_MONTH_DAY_YEAR = re.compile(
    rf"{WORD_STARTS}(?P<m>{MONTH})\.?{_GAP}(?P<d>{_DAY}){_TH}{_GAP}{_AD}"
    rf"(?P<y>{_YEAR}|{_SHORT_YEAR}){_NO_DIGIT}",
    re.IGNORECASE,
)
_DAY_MONTH_YEAR = re.compile(
    rf"(?<![0-9A-Z])(?P<d>{_DAY})(?P<th>\s?(?:st|nd|rd|th|er|\.|º)\)?)?\s{{0,3}}(?:\n[ >]{{1,40}})?"
    rf"(?:day\s{{0,3}}of\s{{0,3}}(?:\n[ >]{{1,40}})?|of\s{{1,3}}|de\s{{1,3}})?"
    rf"(?P<m>{MONTH})\.?(?:\s?/\s?[^\W\d_]{{3,10}})?{_GAP}"
    rf"(?:del?\s{{1,2}})?{_AD}(?P<y>{_YEAR}|{_SHORT_YEAR}){_NO_DIGIT}",
    re.IGNORECASE,
)
_WITH_HYPHENS = re.compile(
    rf"(?<![0-9A-Za-z-])(?:(?P<d>{_DAY})(?P<s>[-/]?)(?P<m>{MONTH})(?P=s)(?P<y>{_YEAR}|[0-9]{{2}})"
    rf"|(?P<m2>{MONTH})(?P<s2>[-/])(?P<d2>{_DAY})(?P=s2)(?P<y2>{_YEAR})"
    rf"|(?P<y3>{_YEAR})(?P<s3>[-/ ])(?P<m3>{MONTH})(?P=s3)(?P<d3>{_DAY}))(?![0-9A-Za-z-])",
    re.IGNORECASE,
)
_ORDINAL = "|".join(word.replace("-", r"[-\s]{1,2}") for word in reversed(_ORDINALS))
_IN_WORDS = re.compile(
    rf"\b(?:(?P<w>{_ORDINAL})(?:\s{{1,2}}\([^()\n]{{1,6}}\))?\s{{1,3}}(?:\n[ ]{{1,40}})?"
    rf"(?:day\s{{1,3}}(?:\n[ ]{{1,40}})?of\s{{1,3}}(?:\n[ ]{{1,40}})?|of\s{{1,3}})"
    rf"|(?P<d>[0-9]{{1,2}})\s?(?:st|nd|rd|th)\s{{1,3}}(?:\n[ ]{{1,40}})?day\s{{1,3}}of\s{{1,3}})"
    rf"(?P<m>{MONTH}){_GAP}(?:in\s{{1,3}}the\s{{1,3}}year{_GAP})?{_AD}"
    rf"(?:(?P<y>{_YEAR}){_NO_DIGIT}|(?P<words>(?:two{_BETWEEN}thousand|nineteen(?:{_BETWEEN}hundred)?|twenty)"
    rf"(?:{_BETWEEN}(?:and{_BETWEEN})?{NUMBER_WORD}\b){{0,3}}))",
    re.IGNORECASE,
)
_ISO = re.compile(
    rf"(?<![0-9A-Za-z-])(?P<y>{_YEAR})(?P<s>[-/.])(?P<m>{_DAY})(?P=s)(?P<d>{_DAY})"
    r"(?:(?![0-9A-Za-z-])|(?=T[0-9]))"
)
_NUMERIC = re.compile(
    rf"(?<![0-9A-Za-z/.-])(?P<a>{_DAY})\s?(?P<s>[/.-])\s?(?P<b>{_DAY})\s?(?P=s)\s?"
    rf"(?P<y>{_YEAR}|[0-9]{{2}})(?![0-9/])(?![.-][0-9])"
)
_RANGE = re.compile(
    rf"{WORD_STARTS}(?P<m>{MONTH})\.?\s{{0,2}}(?P<d>{_DAY}){_TH}\s{{0,2}}"
    rf"(?:-|to|through|thru|until|and|&|or)\s{{0,2}}(?:\n[ >]{{1,40}})?"
    rf"(?P<m2>{MONTH})?\.?\s{{0,2}}(?P<d2>{_DAY}){_TH}{_GAP}(?P<y>{_YEAR}){_NO_DIGIT}",
    re.IGNORECASE,
)
_RANGE_DAY_FIRST = re.compile(
    rf"(?<![0-9A-Z])(?P<d>{_DAY}){_TH}\s{{0,2}}(?P<m>{MONTH})?\s{{0,2}}"
    rf"(?:-|to|until|and|&|or)\s{{0,2}}(?:\n[ >]{{1,40}})?"
    rf"(?P<d2>{_DAY}){_TH}\s{{0,2}}(?P<m2>{MONTH})\.?{_GAP}(?P<y>{_YEAR}){_NO_DIGIT}",
    re.IGNORECASE,
)
_RANGE_IN_FIGURES = re.compile(
    rf"(?<![0-9A-Za-z/.-])(?P<a>{_DAY})/(?P<b>{_DAY})\s{{0,2}}(?:-|to|through|thru)\s{{0,2}}"
    rf"(?P<a2>{_DAY})/(?P<b2>{_DAY})/(?P<y>{_YEAR}|[0-9]{{2}})(?![0-9/])"
)
_DAYS_OF_A_MONTH = re.compile(
    rf"{WORD_STARTS}(?P<m>{MONTH})\.?\s(?P<days>[0-9]{{1,2}}{_TH}(?:,\s{{1,2}}(?:and\s)?[0-9]{{1,2}}"
    rf"{_TH}){{1,6}}(?:,?\s(?:and|&)\s[0-9]{{1,2}}{_TH})?),?{_GAP}(?P<y>{_YEAR}){_NO_DIGIT}",
    re.IGNORECASE,
)

_BIRTH = re.compile(r"(?:\bborn|\bd\.?\s?o\.?\s?b\b|birth(?:\s?date)?)\W{0,12}$", re.IGNORECASE)
_DATE_FOLLOWS = re.compile(
    r"(?:\b(?:dated?|on|born|dob|d\.o\.b\.?|due|from|to|thru|through|until|since|issued?|expires?|"
    r"filed|paid|received|signed)|[0-9]\s?-)\W{0,8}$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class DateSpan:
    """A date and where it stands."""

    start: int
    end: int
    on: date


def written_dates(text: str, *, day_first: bool) -> Iterator[DateSpan]:
    """Every date of a text, in no order; some may overlap."""
    for pattern in (_RANGE, _RANGE_DAY_FIRST):
        for match in pattern.finditer(text):
            yield from _range(match)
    for match in _RANGE_IN_FIGURES.finditer(text):
        yield from _range_in_figures(match, day_first=day_first)
    for match in _DAYS_OF_A_MONTH.finditer(text):
        yield from _days_of_a_month(match)
    for pattern in (_MONTH_DAY_YEAR, _DAY_MONTH_YEAR, _ISO):
        for match in pattern.finditer(text):
            month = match["m"]
            number = month_number(month) if pattern is not _ISO else _number(month)
            has_th = "th" in match.re.groupindex and bool(match["th"])
            day = _number(match["d"], bare_letters=has_th)
            yield from _span(match, match["y"], number, day)
    for match in _WITH_HYPHENS.finditer(text):
        at = next(n for n in ("", "2", "3") if match[f"y{n}"])
        yield from _span(
            match, match[f"y{at}"], month_number(match[f"m{at}"]), _number(match[f"d{at}"])
        )
    for match in _IN_WORDS.finditer(text):
        yield from _in_words(match)
    for match in _NUMERIC.finditer(text):
        yield from _numeric(match, day_first=day_first)


def month_number(name: str) -> int | None:
    """1 to 12, however OCR misread the name."""
    return _MONTHS.get(_canonical(name))


def _numeric(match: re.Match[str], *, day_first: bool) -> Iterator[DateSpan]:
    first, second = _number(match["a"]), _number(match["b"])
    if first is None or second is None:
        return
    if len(match["y"]) == 2 and match["s"] != "/" and not _is_labelled(match):
        return  # the number of a case, a section or a version
    turned = match["s"] == "." or day_first
    month, day = (second, first) if turned else (first, second)
    if month > 12 >= day:
        month, day = day, month
    year = match["y"]
    before = match.string[max(0, match.start() - 30) : match.start()]
    if len(year) == 2 and year > "25" and _BIRTH.search(before):
        year = f"19{year}"  # nobody is born in the years to come
    yield from _span(match, year, month, day)


def _is_labelled(match: re.Match[str]) -> bool:
    """Whether the words right before say that a date follows, or another date's dash."""
    before = match.string[max(0, match.start() - 40) : match.start()]
    return bool(_DATE_FOLLOWS.search(before))


def _range(match: re.Match[str]) -> Iterator[DateSpan]:
    """`February 1 - March 2, 2024`: the year counts for both ends."""
    months = [month_number(match[name]) for name in ("m", "m2") if match[name]]
    month, last_month = months[0], months[-1]
    if month is None or last_month is None:
        return
    year, day, last_day = _year(match["y"]), _number(match["d"]), _number(match["d2"])
    first = _date(year - (month > last_month) if year else None, month, day)
    last = _date(year, last_month, last_day)
    if first and last:
        day_leads = match.start("d") < match.start("m") or not match["m"]
        first_end = match.end("m") if day_leads and match["m"] else match.end("d")
        last_start = min(match.start(name) for name in ("d2", "m2") if match[name])
        yield DateSpan(match.start(), first_end, first)
        yield DateSpan(last_start, match.end(), last)


def _range_in_figures(match: re.Match[str], *, day_first: bool) -> Iterator[DateSpan]:
    """`02/01 - 03/02/2024`."""
    year = _year(match["y"])
    figures = [_number(match[name]) for name in ("a", "b", "a2", "b2")]
    if year is None or None in figures:
        return
    month, day, last_month, last_day = figures
    if day_first:
        month, day, last_month, last_day = day, month, last_day, last_month
    first = _date(year - ((month or 0) > (last_month or 0)), month, day)
    last = _date(year, last_month, last_day)
    if first and last:
        yield DateSpan(match.start(), match.end("b"), first)
        yield DateSpan(match.start("a2"), match.end(), last)


def _days_of_a_month(match: re.Match[str]) -> Iterator[DateSpan]:
    """`May 5, 6 and 7, 2024`."""
    year, month = _year(match["y"]), month_number(match["m"])
    for number in re.finditer(r"[0-9]{1,2}", match["days"]):
        on = _date(year, month, int(number[0]))
        if on:
            at = match.start("days") + number.start()
            yield DateSpan(at, at + len(number[0]), on)


def _in_words(match: re.Match[str]) -> Iterator[DateSpan]:
    """`this twelfth day of October, two thousand eighteen`."""
    ordinal = "-".join(match["w"].lower().replace("-", " ").split()) if match["w"] else ""
    day = _ORDINALS.index(ordinal) + 1 if ordinal else int(match["d"])
    year = match["y"] or str(_year_in_words(match["words"]))
    yield from _span(match, year, month_number(match["m"]), day)


def _year_in_words(words: str) -> int:
    """`two thousand and twelve`, `nineteen hundred ninety-nine`, `twenty eighteen`."""
    century, _, rest = re.sub(r"[-,.\s>]+", " ", words.lower()).partition(" ")
    if century in {"nineteen", "twenty"} and not rest.startswith("hundred"):
        return (1900 if century == "nineteen" else 2000) + (number_in_words(rest) or 0)
    return number_in_words(f"{century} {rest}") or 0


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
    text = text.lstrip("'")
    if sum(c in "0123456789" for c in text) < 2:
        return None
    year = int(digits(text))
    if len(text) == 2:
        year += 2000 if year < 40 else 1900
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
