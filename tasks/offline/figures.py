"""Figures that are money without saying so: in the columns of bills, statements and tax forms."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from schema.analysis import DocumentType
from tasks.offline.columns import Column, columns_above, holds_money
from tasks.offline.sums import WrittenSum, value_of
from tasks.offline.text import OCR_DIGIT, Page

FIGURES_PER_PAGE = 900

_D = OCR_DIGIT
_BARE = re.compile(
    rf"(?<![0-9A-Za-z.,/$€£#-])(?P<minus>-\s?)?"
    rf"(?P<number>{_D}{{1,3}}(?:[,.']{_D}{{3}}){{0,4}}[.,]{_D}{{2}}|{_D}{{0,9}}[.,]{_D}{{2}})"
    r"(?P<trailing>-(?![0-9A-Za-z-])|[ ]?CR\b)?(?![0-9A-Za-z%/,-])(?!\.[0-9])"
)
_OTHER_FIGURE = re.compile(r"[0-9]\s?%|(?<![0-9.,])[0-9]{1,4}\.[0-9]{3,4}(?![0-9.,])")
_WHOLE_AT_END = re.compile(
    r"(?<![0-9A-Za-z.,/$€£#-])(?P<minus>-)?\(?"
    r"(?P<number>[0-9]{1,3}(?:,[0-9]{3}){1,3}|[0-9]{1,9}(?=\.)|(?<=\s\s)[0-9]{3,9}(?=$))\.?\)?\s{0,3}$"
)
_LINE_OF_A_FORM = re.compile(
    r"^\s{0,12}(?:[A-Z][a-z]{1,12} {1,12})?(?P<line>[0-9]{1,2}[a-z]?)\b.{3,200}\s(?P=line)\s{1,20}"
    r"(?P<minus>-)?\(?(?P<number>[0-9]{1,9}(?:,[0-9]{3}){0,3}(?:\.[0-9]{2})?)\.?\)?\s{0,3}$"
)
_LARGE = re.compile(r"-?\s?[0-9]{3}|-?\s?[0-9]{1,3}[,.][0-9]{3}")
"""What is rather a sum than hours or a number of things."""
_ROW_ENDS = re.compile(r"^[\s)*|]{0,8}(?:CR|DR|[A-Z]{1,2})?\s{0,4}$")
_NOT_MONEY = re.compile(
    r"(?<![0-9]\s)\b(?:hours?|hrs|qty|quantity|units?|feet|ft|acres?|lots?|weight|wt|kg|lbs?|miles?|"
    r"odometer|mileage|population|square|sq|score|gpa|age|years?|page|section|rev|version|degrees?|"
    r"time|sf|yield|mi|km|kwh|gal(?:lons)?|usage|reading|exchange rate|apr|"
    r"(?<=[A-Za-z])%|§+|rules?|sec|p|r|art|"
    r"stat|code|ann|exhibit|ex|chapter|para|clause|no)\s{0,3}[:.]{0,40}\s{0,20}$",
    re.IGNORECASE,
)
_MEASURE_FOLLOWS = re.compile(
    r"\s{0,2}(?:hours?|hrs?|feet|ft|acres?|lbs?|kg|miles?|mi|km|kwh|gal|sq|degrees?|days?|mg|ml|%)\b",
    re.IGNORECASE,
)
_LESS = re.compile(
    r"\b(?:less|minus|credits?|payments?|paid|deduct\w{0,5}|adjust\w{0,6}|discount|refund|loss|deficit|"
    r"depreciation|deductible|withh\w{2,5}|applied|write-?off|allowance|contractual)\b",
    re.IGNORECASE,
)
_IN_FULL = re.compile(
    r"\b(?:dollars?|pounds|euros?|sum of|amount of|cents)\b[^a-z]{0,20}$", re.IGNORECASE
)
_TAKEN_OFF = re.compile(
    r"(?:^|[,;.]\s{1,3})(?:less|minus)\b(?:\s[a-z][a-z'-]{0,20}){0,7}\s\($", re.IGNORECASE
)
_EACH = re.compile(r"(?<![0-9A-Za-z.])[0-9]{1,4}(?:\.[0-9]{1,3})?\s?(?:ea\.?\s)?@\s{0,2}$")
"""`2 @ 4.50`: what each costs."""
_GAP_BEFORE = re.compile(r"\s{2}(?P<label>\S(?:[^\n]{0,28}\S)?)\s{2,40}$")
_OF_MONEY = re.compile(
    r"\b(?:payments?|fees?|balance|amount (?:due|paid)|charges?|financial assessment|owed|paid|"
    r"deposits?|refunds?|arrears|total (?:due|paid|cost))\b",
    re.IGNORECASE,
)
_WIDEST = 24
"""Letters of a line's end that a whole sum can take."""
_NEIGHBOURS = 4
"""Lines apart that two rows of one table may stand."""
_BILLS = frozenset({DocumentType.INVOICE, DocumentType.RECEIPT})


@dataclass(frozen=True)
class _Figure:
    start: int
    end: int
    match: re.Match[str] | None
    """None for a sum with a sign of its own, and for a share."""


def bare_sums(
    page: Page, marked: Sequence[WrittenSum], kind: DocumentType, currency: str
) -> Iterator[WrittenSum]:
    """Figures with two decimals where a row of a table has its sums; whole ones on tax forms.

    In a statement every one counts. Else the columns' heads say which do, or it ends a row,
    on a bill or beside another row that ends with a sum.
    """
    rows = _rows(page, marked)
    signed = {page.line_index(one.start) for one in marked}
    sum_ends = {index for index, row in rows.items() if _ends_row(page, index, row[-1])}
    for index, row in rows.items():
        bare = any(figure.match for figure in row)
        columns: Sequence[Column] = columns_above(page, index) if bare else []
        for place, figure in enumerate(reversed(row)):
            if figure.match is None:
                continue
            beside = index in signed and place == 0 and _ends_its_cell(page, index, figure)
            if beside or _is_money(page, index, figure, place, len(row), columns, kind, sum_ends):
                value = value_of(figure.match)
                if value is not None:
                    yield WrittenSum(figure.start, figure.end, value, currency)
    yield from _whole_sums(page, kind, currency, sum_ends, {i for i, row in rows.items() if row})


def _rows(page: Page, marked: Sequence[WrittenSum]) -> dict[int, list[_Figure]]:
    """The figures of each line from left to right, those with a sign and shares among them."""
    taken = [_Figure(one.start, one.end, None) for one in marked]
    inside = {at for one in taken for at in (one.start, one.end)}
    spans = [(one.start, one.end) for one in taken]
    found = list(taken)
    at = 0
    for match in islice(_BARE.finditer(page.text), FIGURES_PER_PAGE):
        while at < len(spans) and spans[at][1] <= match.start():
            at += 1
        overlaps = at < len(spans) and spans[at][0] < match.end()
        if not overlaps and match.start() not in inside:
            found.append(_Figure(match.start(), match.end(), match))
    shares = islice(_OTHER_FIGURE.finditer(page.text), FIGURES_PER_PAGE)
    found += [_Figure(match.start(), match.end(), None) for match in shares]
    rows: dict[int, list[_Figure]] = {}
    for one in sorted(found, key=lambda f: f.start):
        rows.setdefault(page.line_index(one.start), []).append(one)
    return rows


def _ends_row(page: Page, index: int, figure: _Figure) -> bool:
    line = page.lines[index]
    return bool(_ROW_ENDS.match(page.text[figure.end : max(figure.end, line.end)]))


def _ends_its_cell(page: Page, index: int, figure: _Figure) -> bool:
    """Whether a figure ends its line after a short label and a gap, as a signed one does before."""
    cell = _GAP_BEFORE.search(page.text[page.lines[index].start : figure.start])
    label = cell["label"] if cell else ""
    told = any(c.isalpha() for c in label) and not _NOT_MONEY.search(label)
    return told and _ends_row(page, index, figure)


def _is_money(
    page: Page,
    index: int,
    figure: _Figure,
    place: int,
    figures: int,
    columns: Sequence[Column],
    kind: DocumentType,
    sum_ends: set[int],
) -> bool:
    if kind is DocumentType.BANK_STATEMENT:
        return True
    line = page.lines[index]
    label = page.text[max(line.start, figure.start - 120) : figure.start]
    if _MEASURE_FOLLOWS.match(page.text[figure.end : figure.end + 10]):
        return False
    if _EACH.search(label):
        return True
    if columns or _NOT_MONEY.search(label):
        told = 0 < len(columns) <= figures or not _NOT_MONEY.search(label)
        at = page.column(figure.start), page.column(figure.end)
        return bool(columns) and told and holds_money(columns, place, figures, at)
    if kind is DocumentType.TAX_FORM:
        return True
    if place > 0 and not _LARGE.match(page.text[figure.start : figure.end]):
        return False
    ends = index in sum_ends
    if kind in _BILLS:
        return ends or len(line.text.split()) <= 12
    labelled = any(c.isalpha() for c in label)
    return ends and labelled and len(label.split()) <= 9 and _has_neighbour(index, sum_ends)


def _has_neighbour(index: int, sum_ends: set[int]) -> bool:
    return any(index + by in sum_ends for by in range(-_NEIGHBOURS, _NEIGHBOURS + 1) if by)


def _whole_sums(
    page: Page, kind: DocumentType, currency: str, sum_ends: set[int], taken: set[int]
) -> Iterator[WrittenSum]:
    """Whole dollars at the end of a tax form's lines, or of a row between rows with sums."""
    for index, line in enumerate(page.lines):
        text = line.text[:300]
        if index in taken or not text or text[-1] not in "0123456789.)":
            continue
        begin = 0
        match = _LINE_OF_A_FORM.match(text) if kind is DocumentType.TAX_FORM else None
        if match is None:
            begin = max(0, len(text) - _WIDEST)
            match = _WHOLE_AT_END.search(text[begin:])
            if match is None or not _is_told(
                page, index, text[: begin + match.start()], kind, sum_ends
            ):
                continue
            if match[0].strip().isdigit() and not _is_under_money(page, index, text):
                continue  # a year, a number of people, a postal code
        value = value_of(match)
        if value is not None:
            start = line.start + begin + match.start("number")
            yield WrittenSum(start, line.start + begin + match.end("number"), value, currency)


def _is_told(page: Page, index: int, label: str, kind: DocumentType, sum_ends: set[int]) -> bool:
    """Whether a labelled row can end in a whole sum here."""
    if not any(c.isalpha() for c in label) or _NOT_MONEY.search(label):
        return False
    between = index - 1 in sum_ends and index + 1 in sum_ends
    under = between or _is_under_money(page, index, page.lines[index].text[:300])
    return kind is DocumentType.TAX_FORM or under


def _is_under_money(page: Page, index: int, text: str) -> bool:
    """Whether a row ends, after a gap, in a figure below a column of money."""
    if not re.search(r"\s{2}-?\(?[0-9,]{3,12}\)?$", text):
        return False
    columns = columns_above(page, index)
    return bool(columns) and columns[-1].money


def tells_of_money(page: Page) -> bool:
    """Whether a paper without any sign has rows of sums: two or more that speak of payments."""
    rows = {page.line_index(match.start()) for match in islice(_BARE.finditer(page.text), 200)}
    spoken = sum(
        bool(_OF_MONEY.search(line.text)) and bool(re.search(r"\.[0-9]{2}\)?$", line.text[-12:]))
        for line in (page.lines[index] for index in rows)
    )
    return spoken >= 2


def is_in_brackets(page: Page, found: WrittenSum) -> bool:
    """Whether a sum stands in the brackets that make it negative, not in a sentence's."""
    line = page.lines[page.line_index(found.start)]
    before = page.text[line.start : found.start]
    after = page.text[found.end : max(found.end, line.end)]
    if not before.endswith("(") or not after.lstrip(".").startswith(")"):
        return False
    if _TAKEN_OFF.search(page.text[max(0, found.start - 120) : found.start].replace("\n", " ")):
        return True
    label = before[:-1]
    if _IN_FULL.search(label) or not _ROW_ENDS.match(after.lstrip(".")[1:].split("  ")[0]):
        return False
    in_column = (
        not label.strip() or label.endswith("  ") or bool(re.search(r"[.\s]{3}$|[$€£]\s?$", label))
    )
    return in_column or (len(label.split()) <= 8 and bool(_LESS.search(label)))
