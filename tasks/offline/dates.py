"""Dates on a page, and what each stands for."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import islice, pairwise

from tasks.offline.date_order import is_day_first
from tasks.offline.text import Page
from tasks.offline.written_dates import (
    DATES_PER_PAGE,
    DateSpan,
    without_overlap,
    written_dates,
)
from tasks.offline.yearless import Years, yearless_dates

DATES_PER_DOCUMENT = 1000
_ROLES: tuple[tuple[str, str], ...] = (
    ("period end", r"\bperiod end(?:ing|s|ed)?\b"),
    ("period", r"statement period|billing period|period covered|\bperiod\b|for the month of"),
    ("recorded", r"\brecorded\b|\brecording date\b"),
    ("printed", r"\bprinted(?: on)?\b|\bprint date\b|\brun date\b|https?://\S{4,300}\s{0,80}$"),
    (
        "begins",
        r"\b(?:commencement|(?:approximate )?start(?:ing)?|beginning|move-?in|possession) date",
    ),
    ("ends", r"\b(?:approximate )?completion date|\bcompleted by\b"),
    ("issued", r"date of issue|d[eé]livrance|expedici[oó]n|fecha de emisi[oó]n|data di rilascio"),
    ("expires", r"date of expir\w{1,7}|caducidad|g[uü]ltig bis|data di scadenza"),
    (
        "born",
        r"date\s?of\s?birth|\bbirth\s?date\b|\bd\.?o\.?b\b|\bborn\b|naissance|nacimiento|nascita|geboren",
    ),
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
    (
        "hearing",
        r"\bdate and time\b|\bhearing\b|\bappear(?:ance)?\b|\bset\s?for\b|\bconference\b|"
        r"oral argument",
    ),
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
    ("served", r"\bserved\b|\bservice\b|\bdelivered to (?:all|the|counsel|opposing)\b"),
    ("sent", r"\bsent\b|\bmailed\b"),
    ("sworn", r"\bsworn\b|\bsubscribed\b|\backnowledged\b|\baffirmed\b"),
    ("signed", r"\bsigned\b|\bexecuted\b|\bsignature\b|so\s?ordered|witness whereof|\bdone\b|/s/"),
    (
        "effective",
        r"\beffective\b|\bas\s?of\b|\bentered into\b|\bcommenc(?:es|ing)\b|made on",
    ),
    ("expires", r"\bexpir(?:es|ed|y|ation)\b|\bends on\b|\bterminates?\b|\bexp\b"),
    ("issued", r"\bissued?\b|\binvoiced\b|\binvoice date\b|\btax point\b|\biss\b"),
    ("received", r"\breceived\b"),
    ("paid", r"\bpaid\b|\bpayment date\b"),
    (
        "dated",
        r"\bdated?\b(?!\s(?:after|before|by|no\s|certain|when|on\s?which))|"
        r"(?:^|\n)\s{0,4}on\s?:|\bdatum\b|"
        r"\bfecha\b|\bdata\b|\bden\s{0,2}$|\ble\s{0,2}$|\bon this\b",
    ),
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
_OF_ANOTHER_PAPER = re.compile(
    r"(?<!this )(?<!above )\b(?:letters?|notice|deed|deed of trust|statement|application|order|"
    r"invoice|report|will|e-?mail|petition|check|cheque|mortgage|note|decision|memo|"
    r"contract|certificate|proposal|estimate|lease|trust|tag|affidavit|judgment|decree|"
    r"correspondence|bill|quote|quotation|policy|permit|subpoena|summons|complaint|"
    r"appraisal|physician|appear|agreement)(?:,| is| was)? dated\s{0,3}$|"
    r"\b(?:an?|the|his|her|its|their|your|our|my|said)\s(?:letter|report|note|order|notice|"
    r"statement|memo)\b[^.;:]{3,60}, dated\s{0,3}$|"
    r"\b(?:I|you|he|she|they|we) signed (?:it )?on\s{0,3}$",
    re.IGNORECASE,
)
_TO = re.compile(
    r"^[\s,]{0,4}(?:-|to|through|thru|until|and ending(?: on)?)[\s:]{0,4}(?:\n[ >]{0,40})?$",
    re.IGNORECASE,
)
_TIME = re.compile(
    r"^[,\s]{0,3}(?:at |@ ?)?[0-9]{1,2}[:.][0-9]{2}(?::[0-9]{2})?(?:\s?[ap]\.?m\.?)?"
    r"(?:\s?(?:[-+][0-9]{4}|[A-Z]{2,4}))?\s{0,3}$",
    re.IGNORECASE,
)
_HEAD = re.compile(r"[^\s|](?:[^|\n]{0,40}?[^\s|])?(?=\s{2,}|\s?\||$)")
_HEADS_OF_A_PAPER = re.compile(
    r"\b(?:statement|invoice|notice|bill(?:ing)?|issue|letter|(?:payment )?due) date\b|"
    r"\bdate (?:of (?:notice|issue|statement|invoice)|due)\b",
    re.IGNORECASE,
)
"""What heads a column that the paper's own dates stand in, and not its transactions."""
_CELL_EDGE = re.compile(r"\n|\s{3,}")
_RECORDERS = re.compile(
    r"\b(?:recorded|recorder'?s?|official records|doc(?:ument)? ?(?:#|no)|instrument (?:#|no))",
    re.IGNORECASE,
)
_ROW = re.compile(r"[0-9][.,][0-9]{2}\s?(?:-|CR|DR)?$")
_GOES_ON = re.compile(
    r"^.{30,400}(?:\b(?:of|on|by|and|or|the|to|from|until|since|before|after|about)|;)$"
)
_DATE_ALONE = re.compile(
    r"^\W{0,5}(?:date\W{0,4}|(?:mon|tue|wed|thu|fri|sat|sun)[a-z]{0,6}[,.]{0,2}\s|[A-Z][a-zé]{2,20},\s)?"
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
    day_first = is_day_first(pages, language)
    found: list[FoundDate] = []
    for page in pages:
        spans = without_overlap(written_dates(page.text, day_first=day_first))
        found.extend(_with_roles(page, list(islice(spans, DATES_PER_PAGE))))
        if len(found) >= DATES_PER_DOCUMENT:
            break
    return found[:DATES_PER_DOCUMENT]


def with_yearless(
    pages: Sequence[Page], dates: Sequence[FoundDate], own: date | None, language: str
) -> list[FoundDate]:
    """With the days whose year the document tells elsewhere, once its own date is known."""
    day_first = is_day_first(pages, language)
    years = Years(own, _period(dates))
    by_page: dict[int, list[FoundDate]] = {}
    for one in dates:
        by_page.setdefault(one.page, []).append(one)
    found: list[FoundDate] = []
    for page in pages:
        here = by_page.get(page.number, [])
        dated = [DateSpan(one.start, one.end, one.on) for one in here]
        more = list(yearless_dates(page, dated, years, day_first=day_first))
        if more:
            spans = without_overlap([*dated, *more])
            here = list(_with_roles(page, list(islice(spans, DATES_PER_PAGE))))
        found.extend(here)
        if len(found) >= DATES_PER_DOCUMENT:
            break
    return found[:DATES_PER_DOCUMENT]


def _period(dates: Sequence[FoundDate]) -> tuple[date, date] | None:
    """The period a statement is for; what is only closed on a date has the month before it."""
    for one, following in pairwise(dates):
        if one.what == "period start" and following.what == "period end" and one.on < following.on:
            return one.on, following.on
    closed = next((one.on for one in dates if one.what == "period end"), None)
    return (closed - timedelta(days=35), closed) if closed else None


def _with_roles(page: Page, spans: list[DateSpan]) -> Iterator[FoundDate]:
    previous: FoundDate | None = None
    previous_end = 0
    for index, span in enumerate(spans):
        following = spans[index + 1].start if index + 1 < len(spans) else len(page.text)
        begins = following - span.end < 24 and _TO.match(page.text[span.end : following])
        between = page.text[previous_end : span.start] if previous else ""
        if previous and previous.what == "period start" and _TO.match(between):
            role, plainly = "period end", True
        else:
            role, plainly = _role(page, span, previous_end, following, spans)
            if begins and role not in {"filed", "served", "due", "hearing", "trial"}:
                role, plainly = "period start", True
        previous = FoundDate(span.on, role, page.number, span.start, span.end, plainly)
        previous_end = span.end
        yield previous


def _role(
    page: Page, span: DateSpan, previous_end: int, following: int, spans: list[DateSpan]
) -> tuple[str, bool]:
    index = page.line_index(span.start)
    line = page.lines[index]
    prefix = page.text[max(previous_end, line.start, span.start - 120) : span.start]
    starts_line = span.start - line.start <= 2
    head = _cell_above(page, index, span) if starts_line else None
    if head and _HEADS_OF_A_PAPER.search(head) and (named := _nearest_role(head)):
        return named[0], True
    # A row of a table, before anything else: the line above it may be the columns' headings.
    if starts_line and _ROW.search(line.text[span.end - line.start :][-20:]):
        return "transaction", True
    before = page.text[max(previous_end, span.start - 120) : span.start] if starts_line else prefix
    runs_on = not starts_line and len(prefix) < 40 and index and line.text[:1].islower()
    if runs_on:
        before = page.text[max(previous_end, span.start - 120) : span.start]
    if starts_line:
        before = head or _lines_above(before)
    else:
        *_, before = _CLAUSE.split(before)
    named = _named_before(page, span, before) or _from_columns(page, index, span, spans)
    if named:
        return named
    after = _CLAUSE.split(page.text[span.end : min(span.end + 90, following)])[0]
    beside = _TIME.sub("", after.split("\n")[0])
    stands_alone = bool(_DATE_ALONE.match(prefix)) and not beside.strip(" .,;")
    if stands_alone and index and _GOES_ON.search(page.lines[index - 1].text):
        stands_alone = False  # a sentence that was broken before its date
    if stands_alone and page.number == 1 and sum(1 for x in page.lines[:index] if x.text) < 25:
        around = " ".join(x.text for x in page.lines[max(0, index - 2) : index + 4])
        stamped = beside != after.split("\n")[0] and _RECORDERS.search(around)
        return ("recorded" if stamped else "dated"), True
    return _role_after(prefix, after)


def _named_before(page: Page, span: DateSpan, before: str) -> tuple[str, bool] | None:
    """The role that the words before a date give it."""
    named = _nearest_role(before)
    ranges = _RANGE_OPENS.search(before) and _RANGE_GOES_ON.match(page.text[span.end :][:20])
    if ranges and (not named or named[0] not in {"filed", "served", "due"}):
        return "period start", True
    if not named and _SIGNING.search(before) and "of" in page.text[span.start : span.end].split():
        return "signed", True  # this 5th day of March
    if named:
        role, words_before = named
        if role in {"dated", "signed"} and _OF_ANOTHER_PAPER.search(" ".join(before.split())):
            return "mentioned", False
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


def _cell_above(page: Page, index: int, span: DateSpan) -> str | None:
    """The head of the column that a date opens, where the line above heads several."""
    above = page.lines[index - 1] if index else None
    if above is None or len(above.text) > 160:
        return None
    at, indent = page.column(span.start), page.column(above.start)
    cells = [m for m in islice(_HEAD.finditer(above.text), 12) if m[0].strip(" |")]
    near = [m for m in cells if abs(indent + m.start() - at) <= 2]
    return f"{near[0][0].strip()}\n" if len(cells) > 1 and near else None


def _nearest_role(before: str) -> tuple[str, int] | None:
    """The role named closest to the end of `before`, and how many words of its cell precede it."""
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
    if before[end:].strip() == ":":
        return role, 0  # a label of its own
    return role, len(_CELL_EDGE.split(before[:end])[-1].split()) - 1


def _from_columns(
    page: Page, index: int, span: DateSpan, spans: list[DateSpan]
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
