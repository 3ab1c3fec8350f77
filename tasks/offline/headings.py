"""What a heading calls a document."""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice

from schema.analysis import DocumentType as T
from tasks.offline.heading_words import HEADINGS
from tasks.offline.text import Page, Span, is_capitals

CELLS_PER_LINE = 12

_WHOSE = re.compile(
    r"^(?:the\s)?(?:plaintiff|defendant|petitioner|respondent|claimant|appellant|appellee|movant|"
    r"tenant|landlord|mother|father|husband|wife)(?:s'|'?s)?,?'?\s",
    re.IGNORECASE,
)
_COLUMN_EDGE = re.compile(r"[)§|]|\s{3,}")
COURT_LINE = re.compile(
    r"\bcourt\b|\bcounty of\b|\bdivision\b|\bdistrict of\b|"
    r"^(?:state|commonwealth) of\b",
    re.IGNORECASE,
)
_NO_HEADING = re.compile(
    r"\bjury\b|^\W{0,2}chief complaint|\brange of motion\b|^(?:important|privacy) notice|"
    r"\breporter'?s certificate\b|\bcertificate of (?:conference|compliance|interested)|"
    r"\bby order of\b|\bin order\b|\bnotice to (?:person|the agent|agent|principal|borrower|buyer|"
    r"consumers?)\b|\bdate of notice\b|\bfor court use\b|\bin response\b|\breply to\W{0,2}$|"
    r"\b(?:motion|order|notice|report|complaint|invoice|lease) (?:date|seq|no|number|type)\b|"
    r"\bmortgage (?:servic\w+|compan\w+|corp\w*|bank\w*|group|lending|llc|inc)\b|"
    r"^notice to (?:plead|defend|respondent|defendant|plaintiff)\W{0,3}$|"
    r"^[0-9]{1,4}[/.-][0-9]|^(?:assessment|evaluation|response|form [A-Z0-9-]{2,10})$|"
    r"^lr \S|\bfederal reserve\b|\bcertification$",
    re.IGNORECASE,
)
_ASKS_OR_TELLS = re.compile(
    r"\binterrogator(?:y|ies)\b|\brequests? "
    r"(?:for (?:production|admissions?|inspection)|to (?:produce|admit))",
    re.IGNORECASE,
)
_RELEASES = re.compile(r"\bagreement\b.{0,40}\brelease\b", re.IGNORECASE)
_JUDGES = re.compile(
    r"\border\b.{0,20}\band (?:final |default |consent |money )?judgment\b", re.IGNORECASE
)
_OPENS_IN_SMALL = re.compile(
    r"(?:lasting|enduring|general|durable) power of attorney|assured shorthold tenancy|"
    r"notice (?:of|to|seeking)|statement of (?:claim|account)|particulars of claim|"
    r"certificate of|certified copy|witness statement|tenancy agreement|application (?:for|to)",
    re.IGNORECASE,
)
_LABEL = re.compile(r"[:]|\b(?:no|number)\.?\s{0,2}[0-9#]", re.IGNORECASE)


@lru_cache(maxsize=256)
def _heading_words(choices: tuple[str, ...]) -> tuple[re.Pattern[str], tuple[str, ...]]:
    spaced = "|".join(r"\s{0,2}".join(re.escape(w) for w in c.split()) for c in choices)
    return re.compile(rf"\b(?:{spaced})\b", re.IGNORECASE), tuple(_squash(c) for c in choices)


def _squash(text: str) -> str:
    return "".join(c for c in text.lower().replace("0", "o").replace("1", "l") if c.isalpha())


def heading_of(pages: Sequence[Page], scores: dict[T, float]) -> tuple[Span | None, T | None]:
    """The line that names the document, if one does, and the type it names."""
    weaker: tuple[Span, T] | None = None
    # A second page names the document only when the first is as good as blank.
    for page in pages[: 1 if pages and len(pages[0].text.split()) >= 20 else 2]:
        for line in _standing_alone(page):
            said = type_in(line.text)
            if said is None:
                continue
            if is_capitals(line.text) or scores.get(said):
                whole = _whole_heading(page, line)
                return whole, _by_the_whole(whole.text, said)
            weaker = weaker or (line, said)
    if weaker and not any(score >= 3 for score in scores.values()):
        return weaker
    return None, None


def _by_the_whole(heading: str, said: T) -> T:
    """What the rest of a heading makes of its first words: answers to interrogatories."""
    if said in {T.PLEADING, T.ANSWER, T.FORM} and _ASKS_OR_TELLS.search(heading):
        return T.DISCOVERY
    if said is T.CONTRACT and _RELEASES.search(heading):
        return T.SETTLEMENT
    if said is T.COURT_ORDER and _JUDGES.search(heading):
        return T.JUDGMENT
    return said


def _standing_alone(page: Page) -> Iterator[Span]:
    seen = 0
    for line in page.lines:
        if not line.text:
            continue
        seen += 1
        if seen > 45:
            return
        for cell in islice(_cells(line), CELLS_PER_LINE):
            stops = (",", ";") if is_capitals(cell.text) else (".", ",", ";")
            ends_well = not cell.text.endswith(stops)
            if len(cell.text) <= 90 and ends_well and not COURT_LINE.search(cell.text):
                yield cell


def type_in(line: str, *, anywhere: bool = False) -> T | None:
    """The type a heading names; in mixed case it must begin with it or be short."""
    if (_LABEL.search(line) or _NO_HEADING.search(line)) and not anywhere:
        return None
    line = _WHOSE.sub("", line)
    squashed = _squash(line)
    best: tuple[int, T] | None = None
    for words, kind in HEADINGS:
        pattern, squashed_words = _heading_words(words)
        if not any(word in squashed for word in squashed_words):
            continue
        match = pattern.search(line)
        at = match.start() if match else None
        if (
            at is None
            and squashed.startswith(squashed_words)
            and any(_runs_into(w, squashed) for w in squashed_words)
        ):
            at = 0
        # `SHORT FORM POWER OF ATTORNEY` is what follows the form.
        before = at is not None and (best is None or at < best[0])
        if at is not None and best is not None and T.FORM in {kind, best[1]}:
            before = best[1] is T.FORM and (before or best[0] > 0)
        if at is not None and before:
            best = (at, kind)
    if best is None:
        return None
    words_in_line = len(line.split())
    if anywhere or is_capitals(line):
        return best[1] if words_in_line <= 16 else None
    if best[0] == 0 and words_in_line <= 8 and _OPENS_IN_SMALL.match(line):
        return best[1]
    titled = sum(w[:1].isupper() for w in line.split()) >= 0.6 * words_in_line
    short = words_in_line <= 8 or (words_in_line <= 12 and best[0] <= 12)
    return best[1] if titled and short else None


def _runs_into(words: str, squashed: str) -> bool:
    """Whether a heading without spaces begins with these words: no `REPORTER` with `REPORT`."""
    if len(words) < 5 or not squashed.startswith(words):
        return False
    return not squashed[len(words) :].startswith(("er", "ed", "ing", "s"))


def _cells(line: Span) -> Iterator[Span]:
    """The columns of a line, as captions have them: parties left, the heading right."""
    at = 0
    for edge in (*_COLUMN_EDGE.finditer(line.text), None):
        text = line.text[at : edge.start() if edge else len(line.text)]
        start = line.start + at + len(text) - len(text.lstrip())
        stripped = text.strip(" \t-_*=#|")
        if is_capitals(stripped):
            stripped = stripped.rstrip(":")
        if stripped:
            yield Span(start, start + len(stripped), stripped)
        at = edge.end() if edge else at


def _whole_heading(page: Page, heading: Span) -> Span:
    """The heading with the lines in capitals it runs on to, in its own column."""
    parts = [heading.text]
    if not is_capitals(heading.text):
        return heading
    index = page.line_index(heading.start)
    in_column = heading.start - page.lines[index].start > 2
    for line in page.lines[index + 1 : index + (6 if in_column else 3)]:
        cells = list(_cells(line))
        if in_column and _COLUMN_EDGE.search(line.text) and line.text.endswith((")", "|", "§")):
            continue
        text = cells[-1].text if cells else ""
        alone = len(cells) == 1 or in_column
        if not alone or not is_capitals(text) or _LABEL.search(text) or len(text) > 90:
            break
        if COURT_LINE.search(text):
            break
        parts.append(text)
    return Span(heading.start, heading.end, " ".join(parts))
