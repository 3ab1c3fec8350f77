"""Parties that forms, certificates and reports name beside or below a label."""

import re
from collections.abc import Iterator, Sequence
from itertools import islice

from schema.analysis import DocumentType, Party
from tasks.offline.naming import SUFFIX, trimmed
from tasks.offline.text import Page, is_capitals, shorten

_LINES = 90
_CELL = re.compile(r"\S(?:[^\n]{0,200}?\S)??(?=[ ]{3,}|[ ]{1,2}[|)§]|[ ]{0,2}$)")

_AND_ADDRESS = r"(?: names?(?:,? (?:and )?address[^:\n]{0,40})?)?"
# The words of a label, and the role they name.
_LABELS: tuple[tuple[str, str], ...] = (
    (r"(?:name of )?(?:the )?(?:decedent|deceased)(?:'?s)?(?: (?:full |legal )?name)?", "deceased"),
    (r"(?:full )?name of child|child(?:'s)?(?: (?:full )?name)?|minor(?: child)?", "child"),
    (
        r"mother(?:'s)?(?: (?:current |full |maiden )?(?:legal )?name)?|name of mother|parent 1",
        "mother",
    ),
    (r"father(?:'s)?(?: (?:current |full )?(?:legal )?name)?|name of father|parent 2", "father"),
    (r"(?:name of )?noncustodial parent(?:'s name)?", "noncustodial parent"),
    (r"home ?owner(?:s|\(s\))?|owner(?:s|\(s\))?(?:'s)?(?: name)?", "owner"),
    (r"(?:driver|operator)(?: ?[12])?(?:'s)?(?: name)?", "driver"),
    (r"groom(?:'s)?(?: name)?|name of groom|party a|spouse a", "groom"),
    (r"bride(?:'s)?(?: name)?|name of bride|party b|spouse b", "bride"),
    (r"victim(?:'s)?(?: name)?|complainant(?:'s)?(?: name)?|complainant/victim", "victim"),
    (r"suspect(?:'s)?(?: name)?|arrestee|offender|subject of arrest", "suspect"),
    (r"(?:name of )?grantors?|transferors?", "grantor"),
    (r"(?:name of )?grantees?|transferees?(?: for entry in the register)?", "grantee"),
    (r"trustors?|settlors?", "trustor"),
    (r"(?:duly appointed |successor )?trustee", "trustee"),
    (r"mortgagors?|borrowers?", "borrower"),
    (r"mortgagees?|lenders?", "lender"),
    (r"(?:the )?landlord(?:'s)?(?: name)?|lessor", "landlord"),
    (r"(?:the )?tenants?(?:'s)?(?: names?)?|lessees?", "tenant"),
    (r"(?:the )?donor|principal(?:'s)?(?: name)?", "principal"),
    (r"agent(?:'s)? name|attorney[- ]in[- ]fact", "agent"),
    (r"testator|testatrix", "testator"),
    (r"(?:name of )?applicant(?:'s)?(?: name)?|last name, first[^:\n]{0,12}", "applicant"),
    (r"patient(?:'s)?(?: (?:full )?name)?|name of patient", "patient"),
    (r"(?:name of )?insured(?:'s)?(?: name)?|named insured|policy ?holder", "insured"),
    (r"taxpayer(?:'s)?(?: name)?|recipient'?s name|your first name[^:\n]{0,30}", "taxpayer"),
    (r"employee's (?:first )?name[^:\n]{0,40}|employee(?: name)?", "employee"),
    (r"employer(?:'s)?(?: name[^:\n]{0,30})?|payer'?s name", "employer"),
    (r"seller(?:'s)?(?: name| signature)?|vendor", "seller"),
    (r"buyer(?:'s)?(?: name| signature)?|purchaser", "buyer"),
    (r"claimant(?:'s)?(?: name)?", "claimant"),
    (rf"petitioner(?:'s)?{_AND_ADDRESS}", "petitioner"),
    (rf"respondent(?:'s)?{_AND_ADDRESS}", "respondent"),
    (rf"plaintiff(?:/landlord|\(s\))?(?:'s)?{_AND_ADDRESS}", "plaintiff"),
    (rf"defendant(?:/tenant|\(s\))?(?:'s)?{_AND_ADDRESS}", "defendant"),
    (r"propounding party", "propounding party"),
    (r"responding party", "responding party"),
    (r"beneficiary", "beneficiary"),
    (r"affiant", "affiant"),
)
_LABEL = re.compile(
    r"^(?:[0-9]{1,2}[a-z]?[.)]?\s{1,3})?(?:"
    + "|".join(f"(?P<r{at}>{words})" for at, (words, _) in enumerate(_LABELS))
    + r")(?:\s{1,2}[A-Z]-?[0-9])?(?:\s?\([^()\n]{1,40}\))?\s{0,3}(?P<colon>:?)"
    r"(?:(?:(?<=:)\s{0,40}|\s{2,40})(?P<value>\S.{0,120}))?$",
    re.IGNORECASE,
)
_WORD = r"(?:[A-ZÀ-Þ][\w'’-]{1,24}|[A-Z]\.?|(?:de|la|van|von|der|del|St\.|O')(?=\s))"
_PERSON = re.compile(rf"^{_WORD}(?:,?\s{_WORD}){{1,5}}(?:,?\s(?:Jr|Sr|II|III)\.?)?$")
_COMPANY = re.compile(
    rf"^[A-Z0-9][\w&'#.,/ -]{{1,80}}(?:\b{SUFFIX}|Company|COMPANY|Bank|BANK|Limited|LIMITED)$"
)
_DESCRIBES = re.compile(
    r",?\s(?:(?:an?|the)\s|aged?\b|born\b|d\.?o\.?b|of\s[A-Z0-9]|unmarried|married|single|widow|"
    r"residing|whose|as\s(?:trustee|executor)|husband|wife|individually|et al|[(]|[0-9])|"
    r",\s(?:[0-9]|Unit|Suite|for\s|trustees?\b|executor|grantor)|\s{2,}|[;(|]",
    re.IGNORECASE,
)
_NOT_A_NAME = re.compile(
    r"\b(?:name|date|address|street|county|state of|city|court|number|signature|phone|birth|sex|"
    r"race|relationship|title|see|none|unknown|same|attached|page|party|parties|shall|copy|form|"
    r"law|report|deed|agreement|contract|lease|warranty|quitclaim|consideration|"
    r"department of|information|order|case|initial|last|first|middle)\b",
    re.IGNORECASE,
)
_BESIDE_NUMBER = re.compile(r"\b(?:MRN|DOB|D\.O\.B|Date of Birth|NHS N)", re.IGNORECASE)
_EXPLAINS = re.compile(
    r"^\(?(?:full legal name|name (?:and|&)|address|print|please)", re.IGNORECASE
)
_NAME_LABEL = re.compile(
    r"^(?:full |legal |full legal )?name(?:\s?[:(]\s?last, first.{0,20})?\s?:?"
    r"(?:\s{2}(?P<value>\S.{2,60}))?$",
    re.IGNORECASE,
)
_FIRST_OF_A_UNIT = re.compile(r"^(?:prsn\.? num\.?|person|occupant) 1$|\bdriver\b", re.IGNORECASE)
_CAPITALS_THEN = re.compile(r"(?P<name>[A-Z][A-Z'-]{1,24},? [A-Z'. -]{1,40}?)\s[A-Z][a-z]{2,20}\b")
_SPLIT_NAMES = re.compile(r"\s(?:and|AND|&)\s(?=[A-Z][\w'-]+ [A-Z])|;\s{0,3}")


def labelled_parties(page: Page, kind: DocumentType) -> Iterator[Party]:
    """Names beside a label, in the next cell of its row, or below it in its column."""
    rows = [_cells(page, index) for index in range(min(len(page.lines), _LINES))]
    for index, row in enumerate(rows):
        labels = [_LABEL.match(text) for _, text in row]
        for place, label in enumerate(labels):
            if label is None:
                continue
            column, text = row[place]
            values = _values(rows, index, place, column, label, alone=_is_alone(labels))
            role = next(_LABELS[at][1] for at in range(len(_LABELS)) if label[f"r{at}"])
            if place and not label["colon"] and name_in(row[place - 1][1]):
                continue  # who signs, and as what: the name stands before
            headed = (
                label["colon"] or is_capitals(text) or len(labels) > 1 or label["value"] is None
            )
            name = next((n for value in values if (n := name_in(value))), None)
            if name and headed:
                for one in _SPLIT_NAMES.split(name):
                    yield Party(name=shorten(one, 200), role=role)
    if kind is DocumentType.MEDICAL_RECORD:
        yield from _patient_at_the_head(rows)
    elif kind is DocumentType.FORM:
        yield from islice(_named_in_cells(rows, "applicant"), 1)
    elif kind is DocumentType.POLICE_REPORT:
        yield from _named_in_cells(rows, "driver", after=_FIRST_OF_A_UNIT)


def _is_alone(labels: Sequence[re.Match[str] | None]) -> bool:
    return len(labels) == 1


def _cells(page: Page, index: int) -> list[tuple[int, str]]:
    """The cells of a line, each with the column it begins in."""
    line = page.lines[index]
    indent = page.column(line.start)
    cells = [(m.start(), m[0].strip(" |§")) for m in islice(_CELL.finditer(line.text[:300]), 12)]
    return [(indent + at, text) for at, text in cells if text.strip(")")]


def _values(
    rows: Sequence[Sequence[tuple[int, str]]],
    index: int,
    place: int,
    column: int,
    label: re.Match[str],
    *,
    alone: bool,
) -> Iterator[str]:
    if label["value"]:
        yield label["value"]
        return
    following = rows[index][place + 1 :]
    if following and not _LABEL.match(following[0][1]) and not following[0][1].endswith(":"):
        yield following[0][1]
    for row in rows[index + 1 : index + 4]:
        if not row or _EXPLAINS.match(row[0][1]):
            continue
        near = [text for at, text in row if abs(at - column) <= 8]
        if near or alone:
            yield from near if not alone or len(row) > 1 else [row[0][1]]
            return


def _named_in_cells(
    rows: Sequence[Sequence[tuple[int, str]]], role: str, *, after: re.Pattern[str] | None = None
) -> Iterator[Party]:
    """Whoever stands in the cell after `Name`, below or after a cell that says as what."""
    for row in rows:
        texts = ["", *(text for _, text in row), ""]
        for before, label, value in zip(texts, texts[1:], texts[2:], strict=False):
            label_of_name = _NAME_LABEL.match(label)
            if label_of_name and (after is None or after.search(before)):
                name = name_in(label_of_name["value"] or value)
                if name:
                    yield Party(name=name, role=role)


def _patient_at_the_head(rows: Sequence[Sequence[tuple[int, str]]]) -> Iterator[Party]:
    """The name beside a record's number or a date of birth."""
    for row in rows[:15]:
        texts = [text for _, text in row]
        if len(texts) > 1 and any(_BESIDE_NUMBER.search(text) for text in texts[1:]):
            name = name_in(texts[0])
            if name:
                yield Party(name=name, role="patient")
                return


def name_in(value: str) -> str | None:
    """The name a value begins with, if it is a person's or a company's."""
    begun = _DESCRIBES.split(value.strip(), maxsplit=1)[0]
    capitals = _CAPITALS_THEN.match(begun)
    name = trimmed(capitals["name"] if capitals else begun)
    if not 3 <= len(name) <= 100 or _NOT_A_NAME.search(name):
        return None
    parts = _SPLIT_NAMES.split(name)
    if _COMPANY.match(name):
        return name
    return name if all(_PERSON.match(part) for part in parts) else None
