"""Dates on a page, and what each stands for."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import islice

from schema.analysis import DocumentType
from tasks.offline.text import OCR_DIGIT, Page, digits

DATES_PER_PAGE = 200
DATES_PER_DOCUMENT = 1000

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

_ROLES: tuple[tuple[str, str], ...] = (
    ("period", r"statement period|billing period|period covered|\bperiod\b|for the month of"),
    ("born", r"date\s?of\s?birth|\bd\.?o\.?b\b|\bborn\b"),
    ("died", r"date\s?of\s?death|\bdied\b|\bdeath\b|passed away|\bdeceased\b"),
    ("incident", r"date\s?of\s?(?:incident|accident|loss|injury)|date(?:/time)? occurred"),
    ("incident", r"(?:incident|accident|collision|crash|loss|injury) date"),
    ("visit", r"date\s?of\s?(?:service|visit)|(?:visit|encounter|service|appointment) date"),
    ("discharged", r"date\s?of\s?discharge|discharge date|\bdischarged\b"),
    ("reported", r"date reported|\breported(?: on)?\s?:"),
    ("visit", r"\badmi(?:ssion date|tted)\b|date\s?of\s?(?:admission|exam(?:ination)?)"),
    ("inspected", r"date\s?of\s?inspection|inspect(?:ion date|ed)\b"),
    ("period end", r"(?:statement|billing|cycle) closing date|\bclosing date\b"),
    ("value date", r"date\s?of\s?valu(?:e|ation)|valuation date|effective date of value"),
    ("job date", r"\b(?:job|work|delivery|ship(?:ping|ped)?|order) date\b"),
    ("married", r"\bmarried\b|\bmarriage\b"),
    ("separated", r"\bseparat(?:ed|ion)\b"),
    ("hearing", r"\bhearing\b|\bappear(?:ance)?\b|\bset\s?for\b|\bconference\b|oral argument"),
    ("trial", r"\btrial\b"),
    ("deposition", r"\bdeposition\b"),
    (
        "due",
        r"\bdue\b|\bdeadline\b|no\s?later\s?than|on\s?or\s?before|\bpay(?:able)? by\b|f[äa]llig",
    ),
    ("due", r"zahlbar bis|éch[ée]ance|vencimiento|scadenza|\bbis (?:zum|spätestens)\s{0,2}$"),
    ("due", r"\b(?:by|before|until)\s{0,2}$"),
    ("filed", r"\b(?:e-?)?filed\b|\bfiling\b|\bdocketed\b"),
    ("entered", r"\bentered\b(?! into)|\benter\s?:\s{0,3}$"),
    ("served", r"\bserved\b|\bservice\b"),
    ("sent", r"\bsent\b|\bmailed\b"),
    ("sworn", r"\bsworn\b|\bsubscribed\b|\backnowledged\b|\baffirmed\b"),
    ("signed", r"\bsigned\b|\bexecuted\b|\bsignature\b|so\s?ordered|witness whereof|\bdone\b|/s/"),
    (
        "effective",
        r"\beffective\b|\bas\s?of\b|\bentered into\b|\bcommenc(?:es|ing|ement)\b|made on",
    ),
    ("expires", r"\bexpir(?:es|ed|y|ation)\b|\bends on\b|\bterminates?\b"),
    ("issued", r"\bissued?\b"),
    ("received", r"\breceived\b"),
    ("paid", r"\bpaid\b|\bpayment date\b"),
    ("dated", r"\bdated?\b|\bdatum\b|\bfecha\b|\bdata\b|\bden\s{0,2}$|\ble\s{0,2}$|\bon this\b"),
)
_ROLE_PATTERNS = tuple((role, re.compile(words, re.IGNORECASE)) for role, words in _ROLES)
_VERBS_AFTER = frozenset(
    {"filed", "served", "signed", "died", "paid", "entered", "sent", "received", "issued"}
)
_OPENS_SENTENCE = re.compile(r"(?:^|[.\s])on(?: or about)?\s{0,2}$", re.IGNORECASE)
_CLAUSE = re.compile(r"(?<=[a-z)]{3})[.;]\s|\n\s{0,40}\n")
_SIGNING = re.compile(r"\b(?:this(?: the)?|as of|made on)\s{0,2}$", re.IGNORECASE)
_RANGE_OPENS = re.compile(r"\bfrom\s{1,3}$", re.IGNORECASE)
_RANGE_GOES_ON = re.compile(r"\s{0,3}(?:through|thru|to|until|-)\s", re.IGNORECASE)
_ROW = re.compile(r"[0-9][.,][0-9]{2}\s?(?:-|CR|DR)?$")
_GOES_ON = re.compile(
    r"^.{30,400}\b(?:of|on|by|and|or|the|to|from|until|since|before|after|about)$"
)
_DATE_ALONE = re.compile(
    r"^\W{0,5}(?:date\W{0,4}|(?:mon|tues|wednes|thurs|fri|satur|sun)day,?\s|[A-Z][a-zé]{2,20},\s)?"
    r"\s{0,3}$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class FoundDate:
    """A date on a page, what it stands for, and whether the words around it say so plainly."""

    on: date
    what: str
    page: int
    start: int
    end: int
    plainly: bool


def find_dates(pages: Sequence[Page], language: str) -> list[FoundDate]:
    """All dates in reading order, each with its role, at most `DATES_PER_DOCUMENT`."""
    day_first = _day_first(pages, language)
    found: list[FoundDate] = []
    for page in pages:
        spans = _without_overlap(_spans(page.text, day_first=day_first))
        found.extend(_with_roles(page, list(islice(spans, DATES_PER_PAGE))))
        if len(found) >= DATES_PER_DOCUMENT:
            break
    return found[:DATES_PER_DOCUMENT]


@dataclass(frozen=True)
class _DateSpan:
    start: int
    end: int
    on: date


def _day_first(pages: Sequence[Page], language: str) -> bool:
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


def _spans(text: str, *, day_first: bool) -> Iterator[_DateSpan]:
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


def _numeric(match: re.Match[str], *, day_first: bool) -> Iterator[_DateSpan]:
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


def _range(match: re.Match[str]) -> Iterator[_DateSpan]:
    """`February 1 - March 2, 2024`: the year counts for both ends."""
    month = _MONTHS[_canonical(match["m"])]
    last_month = _MONTHS[_canonical(match["m2"])] if match["m2"] else month
    year, day, last_day = _year(match["y"]), _number(match["d"]), _number(match["d2"])
    first = _date(year - (month > last_month) if year else None, month, day)
    last = _date(year, last_month, last_day)
    if first and last:
        yield _DateSpan(match.start(), match.end("d"), first)
        yield _DateSpan(match.start("m2") if match["m2"] else match.start("d2"), match.end(), last)


def _span(
    match: re.Match[str], year: str, month: int | None, day: int | None
) -> Iterator[_DateSpan]:
    on = _date(_year(year), month, day)
    if on:
        yield _DateSpan(match.start(), match.end(), on)


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


def _without_overlap(spans: Iterable[_DateSpan]) -> Iterator[_DateSpan]:
    reached = -1
    for span in sorted(spans, key=lambda s: (s.start, s.start - s.end)):
        if span.start >= reached:
            yield span
            reached = span.end


def _with_roles(page: Page, spans: list[_DateSpan]) -> Iterator[FoundDate]:
    previous: FoundDate | None = None
    previous_end = 0
    for index, span in enumerate(spans):
        following = spans[index + 1].start if index + 1 < len(spans) else len(page.text)
        between = page.text[previous_end : span.start].strip(" \n,") if previous else None
        if previous and previous.what == "period start" and between in {"-", "to", "through"}:
            role, plainly = "period end", True
        else:
            role, plainly = _role(page, span, previous_end, following, spans)
        previous = FoundDate(span.on, role, page.number, span.start, span.end, plainly)
        previous_end = span.end
        yield previous


def _role(
    page: Page, span: _DateSpan, previous_end: int, following: int, spans: list[_DateSpan]
) -> tuple[str, bool]:
    index = page.line_index(span.start)
    line = page.lines[index]
    prefix = page.text[max(previous_end, line.start, span.start - 120) : span.start]
    starts_line = span.start - line.start <= 2
    # A row of a table, before anything else: the line above it may be the columns' headings.
    if starts_line and _ROW.search(line.text[span.end - line.start :][-20:]):
        return "transaction", True
    before = page.text[max(previous_end, span.start - 120) : span.start] if starts_line else prefix
    runs_on = not starts_line and len(prefix) < 40 and index and line.text[:1].islower()
    if runs_on:
        before = page.text[max(previous_end, span.start - 120) : span.start]
    *_, before = _CLAUSE.split(before) if not starts_line else (_lines_above(before),)
    named = _named_before(page, span, before) or _from_columns(page, index, span, spans)
    if named:
        return named
    after = _CLAUSE.split(page.text[span.end : min(span.end + 90, following)])[0]
    stands_alone = bool(_DATE_ALONE.match(prefix)) and not after.split("\n")[0].strip(" .,;")
    if stands_alone and index and _GOES_ON.search(page.lines[index - 1].text):
        stands_alone = False  # a sentence that was broken before its date
    if stands_alone and page.number == 1 and sum(1 for x in page.lines[:index] if x.text) < 25:
        return "dated", True
    return _role_after(prefix, after)


def _named_before(page: Page, span: _DateSpan, before: str) -> tuple[str, bool] | None:
    """The role that the words before a date give it."""
    named = _nearest_role(before)
    ranges = _RANGE_OPENS.search(before) and _RANGE_GOES_ON.match(page.text[span.end :][:20])
    if ranges and (not named or named[0] not in {"filed", "served", "due"}):
        return "period start", True
    if not named and _SIGNING.search(before) and "of" in page.text[span.start : span.end].split():
        return "signed", True  # this 5th day of March
    if named:
        role, words_before = named
        plainly = words_before <= 3 or bool(_SIGNING.search(before)) or role in {"period", "born"}
        return ("period start" if role == "period" else role), plainly
    return None


def _role_after(prefix: str, after: str) -> tuple[str, bool]:
    """The role that the words after a date give it, or none."""
    if re.match(r"\W{0,3}at\s{1,2}[0-9]{1,2}[:.][0-9]{2}", after):
        return "hearing", False
    if _OPENS_SENTENCE.search(prefix):
        for word in after.lower().split()[:12]:
            if word.strip(",.") in _VERBS_AFTER:
                return word.strip(",."), False
    if re.match(r"\W{0,3}(?:e-?)?filed\b", after, re.IGNORECASE):
        return "filed", True
    return "mentioned", False


def _lines_above(before: str) -> str:
    """The last words before a date that opens its line: only the line right above counts."""
    above = before.rstrip(" ").rsplit("\n", 2)
    return "\n".join(above[-2:]) if len(above) > 1 else before


def _nearest_role(before: str) -> tuple[str, int] | None:
    """The role named closest to the end of `before`, and how many words stand before it."""
    named = sorted(
        (match.end(), match.start(), role)
        for role, pattern in _ROLE_PATTERNS
        for match in islice(pattern.finditer(before), 20)
    )
    if not named:
        return None
    end, start, role = named[-1]
    if role == "dated" and len(named) > 1 and start - named[-2][0] <= 2:
        role = named[-2][2]  # a hearing date is a hearing's
    return role, len(before[:end].rsplit("\n", 1)[-1].split()) - 1


def _from_columns(
    page: Page, index: int, span: _DateSpan, spans: list[_DateSpan]
) -> tuple[str, bool] | None:
    """A row of dates below a row of headings: as many of one as of the other, in order."""
    row = [s for s in spans if page.line_index(s.start) == index]
    if index == 0 or len(row) < 2:
        return None
    heads = page.lines[index - 1].text[:200]
    named = sorted(
        (match.start(), role)
        for role, pattern in _ROLE_PATTERNS
        if role != "dated"
        for match in islice(pattern.finditer(heads), 5)
    )
    dated = [m.start() for m in islice(re.finditer(r"\bdate\b", heads, re.IGNORECASE), 10)]
    labels = [
        next((role for at, role in named if at < start and start - at < 16), "dated")
        for start in dated
    ]
    return (labels[row.index(span)], True) if len(labels) == len(row) else None


_AGREED = ("effective", "dated", "signed", "sworn")
_FILED = ("dated", "signed", "filed", "served")
_DECIDING: dict[DocumentType, tuple[str, ...]] = {
    DocumentType.COURT_ORDER: ("signed", "dated", "entered", "issued", "filed"),
    DocumentType.JUDGMENT: ("signed", "dated", "entered", "issued", "filed"),
    DocumentType.AFFIDAVIT: ("sworn", "signed", "dated", "filed"),
    DocumentType.CONTRACT: _AGREED,
    DocumentType.LEASE: _AGREED,
    DocumentType.SETTLEMENT: _AGREED,
    DocumentType.DEED: ("dated", "signed", "effective", "sworn"),
    DocumentType.WILL: ("signed", "dated", "sworn"),
    DocumentType.POWER_OF_ATTORNEY: ("signed", "dated", "effective", "sworn"),
    DocumentType.BANK_STATEMENT: ("dated", "issued", "period end"),
    DocumentType.EMAIL: ("sent", "dated"),
    DocumentType.RECEIPT: ("dated", "paid", "received", "issued"),
    DocumentType.MOTION: _FILED,
    DocumentType.COMPLAINT: _FILED,
    DocumentType.ANSWER: _FILED,
    DocumentType.PLEADING: _FILED,
    DocumentType.DISCOVERY: _FILED,
    DocumentType.MEDICAL_RECORD: ("discharged", "visit", "dated", "signed"),
    DocumentType.POLICE_REPORT: ("dated", "reported", "issued", "signed"),
    DocumentType.TRANSCRIPT: ("deposition", "hearing", "trial", "dated", "signed"),
    DocumentType.CERTIFICATE: ("issued", "filed", "dated", "signed"),
}
_DECIDING_ELSE = ("dated", "issued", "sent", "signed", "filed", "sworn")
_NEVER_THE_DATE = frozenset(
    {"hearing", "trial", "deposition", "due", "born", "died", "expires", "transaction", "incident"}
)


def document_date(
    dates: Sequence[FoundDate], kind: DocumentType, page_count: int
) -> tuple[date | None, float]:
    """The document's own date and how plainly the text says it is (1 labelled … 0.2 none).

    Labelled dates come first, in the order that suits the type; letters and
    invoices carry theirs at the head, orders at the end. A date that only
    something else bears (a hearing, a birth) is never taken.
    """
    edges = [d for d in dates if d.page in {1, 2, page_count - 1, page_count}]
    deciding = _DECIDING.get(kind, _DECIDING_ELSE)
    for role in deciding:
        for found in edges:
            if found.what == role and found.plainly:
                return found.on, 1.0
    for role in deciding:
        for found in edges:
            if found.what == role:
                return found.on, 0.6
    for found in edges:
        if found.page == 1 and found.what not in _NEVER_THE_DATE:
            return found.on, 0.4
    return None, 0.2
