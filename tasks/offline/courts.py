"""What a court's paper says of itself: which court, which case, when filed and when served."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

from tasks.offline.dates import FoundDate
from tasks.offline.text import Page, Span, is_capitals, plain, shorten

_CASE_NUMBER = re.compile(
    r"(?<!our )(?<!your )(?<!client )(?<!state )(?<!local )\b(?:(?:case|cause|docket|index|"
    r"civil(?: action)?|court file|file|probate|"
    r"matter|action)\s{0,2}(?:no|number|#)|lead file)\s{0,2}[.:]{0,2}\s{0,8}(?P<number>"
    r"[0-9]{2,4} [A-Z]{1,3} [0-9]{2,8}\b|(?:[A-Z]{1,3} (?=[0-9]))?[A-Z0-9][A-Z0-9:./-]{2,30})",
    re.IGNORECASE,
)
_NUMBER_ALONE = re.compile(
    r"(?:^|[)§|\s])(?:N[oO]\.|(?:Record|Claim|Suit|Court File) No\.?:?)\s{0,3}"
    r"(?P<number>[A-Z0-9][A-Z0-9:./ -]{2,30})\s{0,5}$"
)
_RECEIPT_OF_USCIS = re.compile(
    r"\b(?P<number>(?:EAC|WAC|LIN|SRC|MSC|NBC|YSC|IOE)[0-9]{10})(?![0-9])"
)
_LABEL_OF_NUMBER = re.compile(
    r"\b(?:court file|case|cause|docket|index|file) (?:number|no\.?)\s{0,2}:?$", re.IGNORECASE
)
_NUMBER_BELOW = re.compile(r"(?:^|\s)(?P<number>[A-Z0-9][A-Z0-9:./-]{4,30})$")
_NOT_OF_A_CASE = re.compile(
    r"\b(?:vital (?:records|statistics)|certificate of (?:live )?(?:birth|death|marriage)|"
    r"state file)\b",
    re.IGNORECASE,
)
_ORDINAL = re.compile(r"[0-9]{1,2}(?:st|nd|rd|th)$", re.IGNORECASE)
_OF_SOMETHING_ELSE = re.compile(
    r"\b(?:identification|i\.?d\.?|attorney|atty\.?|bar|licen[cs]e|lic\.?|reg\w*\.?|phone|fax|"
    r"suite|apt\.?|unit|firm|account|acct\.?|policy|invoice|check|parcel|form|lot|box|room)\s{0,3}$",
    re.IGNORECASE,
)
_COURT = re.compile(r"\bcourts?\b", re.IGNORECASE)
_KIND_OF_COURT = re.compile(
    r"\b(?:superior|supreme|district|circuit|county|probate|family|juvenile|municipal|bankruptcy|"
    r"appeals?|claims|common pleas|chancery|surrogate'?s|justice|magistrate|orphans'?|tax|state|"
    r"united states|u\.s\.|city|town|housing|commonwealth)\b",
    re.IGNORECASE,
)
_NOT_THE_COURT = re.compile(
    r"\b(?:clerk|judge|justice of|file[ds]?|reporter|order|motion|notice of|attorneys?|street|"
    r"avenue|rules?|before the court)\b|[.;]$|\b(?:court)(?:house|room)\b",
    re.IGNORECASE,
)
_GOES_ON = re.compile(
    r"^(?:for the |in and for |of the |within and for )?(?:(?:[\w.'-]{1,20}\s){0,4}"
    r"(?:county|district|division|state|department|circuit|parish)\b|(?:county|state|district|"
    r"commonwealth|city) of\b|limited jurisdiction|unlimited jurisdiction).{0,80}$",
    re.IGNORECASE,
)
_OPENS = re.compile(r"^(?:in(?: the)?|at a term of the|before the)\s", re.IGNORECASE)
_EDGE = re.compile(
    r"\s{3,}|\s[|)§]\s|\b(?:case|cause|docket|file|index)\s(?:no|number)\b", re.IGNORECASE
)
_STAMP = re.compile(
    r"^\W{0,5}(?:(?:electronically|e-?|duly)[\s-]?)?(?:filed|received and filed)\b|\bdate filed\b|"
    r"^\W{0,3}filed\s?:|\bfiled(?: on)?\s?:\s",
    re.IGNORECASE,
)
_SERVICE_HEADING = re.compile(
    r"\b(?:certificate|proof|affidavit|declaration|acknowledg(?:e)?ment|return|admission) of "
    r"(?:service|mailing)\b",
    re.IGNORECASE,
)
_SERVED = re.compile(
    r"\b(?:served|serve|mailed|delivered|electronically filed|e-filed|deposited|sent)\b",
    re.IGNORECASE,
)
_SERVED_LABEL = re.compile(
    r"\b(?:date )?served(?: on)?\s?:\s{0,6}$|\bdate of service\s?:\s{0,6}$", re.IGNORECASE
)


@dataclass(frozen=True)
class Found:
    """A name or number and where it stands."""

    text: str
    page: int
    start: int
    end: int


@dataclass(frozen=True)
class Filing:
    """What the head, the stamps and the certificate of service say; None where they do not."""

    court: Found | None
    number: Found | None
    filed: date | None
    served: date | None


def find_filing(pages: Sequence[Page], dates: Sequence[FoundDate]) -> Filing:
    """Court and case number from the head of the first pages, dates from stamp and certificate.

    A date on which something else was filed or served, as running text tells it, is not this
    document's.
    """
    court = next((found for page in pages[:2] for found in _courts(page)), None)
    number = next((found for page in pages[:2] for found in _numbers(page, court)), None)
    filed = next((d.on for d in dates if _is_stamped(pages, d)), None)
    of_a_case = court is not None or number is not None
    served = next((d.on for d in dates if of_a_case and _is_service(pages, d)), None)
    return Filing(court, number, filed, served)


def _courts(page: Page) -> Iterator[Found]:
    written = [line for line in page.lines[:60] if line.text][:22]
    for index, line in enumerate(written):
        head = _cell(line)
        says_so = _COURT.search(head.text) and not _NOT_THE_COURT.search(head.text)
        titled = is_capitals(head.text) or _is_titled(head.text)
        if not (says_so and titled and len(head.text) <= 120):
            continue
        parts, end = [head], head.end
        before = _cell(written[index - 1]) if index else None
        # `STATE OF OHIO` above `PROBATE COURT` says whose court it is.
        if before and re.match(r"(?:state|commonwealth) of \S", before.text, re.IGNORECASE):
            parts.insert(0, before)
        for line_after in written[index + 1 : index + 3]:
            following = _cell(line_after)
            if not _GOES_ON.match(following.text) or len(following.text) > 90:
                break
            parts.append(following)
            end = following.end
        name = ", ".join(plain(part.text).strip(" ,;:*-_") for part in parts)
        if _KIND_OF_COURT.search(name):
            name = _OPENS.sub("", name)
            yield Found(shorten(name, 200), page.number, parts[0].start, end)


def _cell(line: Span) -> Span:
    """The column of a line that names a court, else the first."""
    edges = [0, *(m.end() for m in _EDGE.finditer(line.text))]
    ends = [*(m.start() for m in _EDGE.finditer(line.text)), len(line.text)]
    cells = [(at, line.text[at:end].rstrip(" ,")) for at, end in zip(edges, ends, strict=True)]
    at, text = next((cell for cell in cells if _COURT.search(cell[1])), cells[0])
    return Span(line.start + at, line.start + at + len(text), text)


def _is_titled(line: str) -> bool:
    words = [w for w in line.split() if w.lower() not in {"of", "the", "for", "in", "and"}]
    return len(words) >= 2 and all(w[:1].isupper() for w in words)


def _numbers(page: Page, court: Found | None) -> Iterator[Found]:
    head = page.text[:6000]
    if court is None and _NOT_OF_A_CASE.search(head):
        return  # the file of a registrar
    for match in _CASE_NUMBER.finditer(head):
        number = match["number"].rstrip(".:,-/")
        if any(c.isdigit() for c in number) and not _ORDINAL.match(number):
            yield Found(number, page.number, match.start(), match.end())
    for match in _RECEIPT_OF_USCIS.finditer(head):
        yield Found(match["number"], page.number, match.start(), match.end())
    yield from _below_its_label(page)
    if court is None or court.page != page.number:
        return
    for line in page.lines[: page.line_index(court.end) + 25]:  # in a caption, a bare `No.` will do
        match = _NUMBER_ALONE.search(line.text)
        elsewhere = match and _OF_SOMETHING_ELSE.search(line.text[: match.start() + 1])
        if match and not elsewhere and any(c.isdigit() for c in match["number"]):
            at = line.start + match.start("number")
            number = match["number"].strip(" .:,-/")
            yield Found(number, page.number, at, at + len(number))


def _below_its_label(page: Page) -> Iterator[Found]:
    """A number in the right column of a caption, below `Court File Number`."""
    for label, line in pairwise(page.lines[:40]):
        match = _NUMBER_BELOW.search(line.text) if _LABEL_OF_NUMBER.search(label.text) else None
        if match and sum(c.isdigit() for c in match["number"]) >= 3:
            at = line.start + match.start("number")
            yield Found(match["number"], page.number, at, at + len(match["number"]))


def _is_stamped(pages: Sequence[Page], found: FoundDate) -> bool:
    """A stamp stands in a line of its own: `FILED`, and the date in it or right below."""
    page = pages[found.page - 1]
    if found.what != "filed" or found.page not in {1, len(pages)}:
        return False
    index = page.line_index(found.start)
    line = page.lines[index]
    above = next((x.text for x in reversed(page.lines[max(0, index - 2) : index]) if x.text), "")
    beside = line.text[: found.start - line.start]
    if _STAMP.search(beside):
        return len(line.text) <= 100
    return len(above) <= 60 and bool(_STAMP.search(above)) and len(line.text) <= 60


def _is_service(pages: Sequence[Page], found: FoundDate) -> bool:
    """The first date that a certificate of service says something was served on."""
    page = pages[found.page - 1]
    before = page.text[: found.start]
    line = page.lines[page.line_index(found.start)]
    if _SERVED_LABEL.search(page.text[line.start : found.start]):
        return True
    heading = None
    for heading in _SERVICE_HEADING.finditer(before[-4000:]):  # noqa: B007 - the last one counts
        pass
    if heading is None:
        return False
    sentence = page.sentence_at(found.start)
    return bool(_SERVED.search(sentence.text)) or found.what in {"served", "sent"}
