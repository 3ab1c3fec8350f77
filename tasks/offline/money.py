"""Sums of money on a page, and what each is for."""

import re
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from itertools import islice

from schema.analysis import MOST_MONEY, Amount, DocumentType
from tasks.offline.country import Country, country_of
from tasks.offline.figures import bare_sums, is_in_brackets, tells_of_money
from tasks.offline.sums import WrittenSum, marked_sums
from tasks.offline.text import Page, shorten

AMOUNTS_PER_PAGE = 300
AMOUNTS_PER_DOCUMENT = 1000

_MONEY_OF = {
    Country.CANADA: "CAD", Country.BRITAIN: "GBP", Country.IRELAND: "EUR", Country.AUSTRALIA: "AUD",
}  # fmt: skip
_OWN_DOLLARS = frozenset({"CAD", "AUD"})
_DATE_AT_START = re.compile(r"^\s{0,3}[0-9]{1,4}[/.-][0-9]{1,2}(?:[/.-][0-9]{2,4})?\s{1,10}")
_MEASURING = frozenset(
    {DocumentType.MEDICAL_RECORD, DocumentType.POLICE_REPORT, DocumentType.REPORT}
)
"""Papers with figures in rows that measure, and cost nothing."""
_WITHOUT_SIGN = frozenset({DocumentType.BANK_STATEMENT, DocumentType.INVOICE, DocumentType.RECEIPT})


def find_amounts(pages: Sequence[Page], kind: DocumentType, language: str) -> list[Amount]:
    """Sums with a currency's sign, code or name, and figures where a table has its sums.

    A dollar is that of the paper's country. A figure without a sign takes the currency most
    used in the document, or the country's in an English one that names none.
    """
    country = country_of(pages)
    known = language == "en" or (language == "und" and country is not None)
    at_home = _MONEY_OF.get(country or Country.UNITED_STATES, "USD")
    marked = [
        (page, [_at_home(one, at_home) for one in islice(marked_sums(page.text), AMOUNTS_PER_PAGE)])
        for page in pages
    ]
    common = Counter(found.currency for _, all_found in marked for found in all_found)
    usual = common.most_common(1)[0][0] if common else at_home if known else None
    bare = usual is not None and (
        bool(common)
        or kind in {*_WITHOUT_SIGN, DocumentType.TAX_FORM}
        or (kind not in _MEASURING and any(tells_of_money(page) for page in pages[:20]))
    )
    amounts: dict[tuple[Decimal, str, str, int], Amount] = {}
    for page, found_here in marked:
        found = found_here
        if usual and bare:
            figures = bare_sums(page, found, kind, usual)
            found = sorted([*found, *figures], key=lambda f: f.start)[:AMOUNTS_PER_PAGE]
        for one in found:
            what = _what_for(page, one, found)
            value = _signed(page, one, kind)
            if abs(value) >= MOST_MONEY:
                continue
            amount = Amount(value=value, currency=one.currency, what=what, page=page.number)
            amounts.setdefault((amount.value, one.currency, what, page.number), amount)
        if len(amounts) >= AMOUNTS_PER_DOCUMENT:
            break
    return list(amounts.values())[:AMOUNTS_PER_DOCUMENT]


def _at_home(found: WrittenSum, currency: str) -> WrittenSum:
    if not found.dollars or currency not in _OWN_DOLLARS:
        return found
    return WrittenSum(found.start, found.end, found.value, currency)


def _signed(page: Page, found: WrittenSum, kind: DocumentType) -> Decimal:
    """In a column of figures, a sum in parentheses is negative."""
    line = page.lines[page.line_index(found.start)].text
    in_parentheses = (
        page.text[: found.start][-1:] == "(" and page.text[found.end : found.end + 1] == ")"
    )
    in_a_row = kind in _WITHOUT_SIGN and in_parentheses and len(line.split()) <= 8
    return -abs(found.value) if in_a_row or is_in_brackets(page, found) else found.value


def _what_for(page: Page, found: WrittenSum, others: Sequence[WrittenSum]) -> str:
    """The label of the row, or in running text the words around the sum."""
    index = page.line_index(found.start)
    line = page.lines[index]
    begin = max(line.start, found.start - 300)
    first = min((o.start for o in others if begin <= o.start <= found.start), default=found.start)
    label = _label(page.text[begin:first]) or _label(page.text[begin : found.start])
    after = page.text[found.end : min(found.end + 60, max(line.end, found.end))]
    is_row = len(re.findall(r"[A-Za-z]{2,40}", after)) <= 1 and len(label.split()) <= 8
    if is_row and any(c.isalpha() for c in label):
        return shorten(label, 200)
    sentence = page.sentence_at(found.start)
    if is_row and found.end - found.start >= line.end - line.start - 2:
        above = next(
            (x.text for x in reversed(page.lines[max(0, index - 2) : index]) if x.text), ""
        )
        if any(c.isalpha() for c in above):
            return shorten(_label(above) or above, 200)
    before = page.text[max(sentence.start, found.start - 70) : found.start]
    after = page.text[found.end : max(found.end, min(sentence.end, found.end + 50))]
    words_before = before.split()
    words_after = after.split() if any(c.isalnum() for c in after) else []
    if found.start - 70 > sentence.start:
        words_before = words_before[1:]
    if found.end + 50 < sentence.end:
        words_after = words_after[:-1]
    gap = ["…"] if words_before and words_after else []
    around = " ".join([*words_before, *gap, *words_after])
    return shorten(around.strip(" .,;:()"), 200) or "amount"


def _label(text: str) -> str:
    """A row's label without date, dot leaders and the opening of the figure."""
    text = _DATE_AT_START.sub("", text)
    text = re.sub(r"[.\s_]{3,}", " ", text.strip())
    text = re.sub(r"\s[0-9]{1,4}[.,][0-9]{1,2}$", "", text)
    return " ".join(text.split()).strip(" .:;,-(=|$€£")
