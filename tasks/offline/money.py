"""Sums of money on a page, and what each is for."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice

from schema.analysis import Amount, DocumentType
from tasks.offline.text import OCR_DIGIT, Page, digits, shorten

AMOUNTS_PER_PAGE = 300
AMOUNTS_PER_DOCUMENT = 1000

_CURRENCIES = {
    "us$": "USD", "$": "USD", "usd": "USD", "dollar": "USD", "dollars": "USD", "c$": "CAD",
    "ca$": "CAD", "cad": "CAD", "a$": "AUD", "aud": "AUD", "€": "EUR", "eur": "EUR",
    "euro": "EUR", "euros": "EUR", "£": "GBP", "gbp": "GBP", "chf": "CHF", "¥": "JPY",
    "jpy": "JPY", "₹": "INR", "inr": "INR", "mxn": "MXN",
}  # fmt: skip
_D = OCR_DIGIT
_NUMBER = (
    rf"(?:{_D}{{1,3}}(?:[,.' ]\s?{_D}{{3}}){{1,4}}[.,][ \t]?{_D}{{2}}(?![0-9])"
    rf"|{_D}{{1,3}}(?:[,.']{_D}{{3}}){{1,4}}(?![0-9])"
    rf"|{_D}{{1,6}}\.[0-9]{{1,3}}(?=\s?(?:thousand|million|billion|mio|bn|[mk])\b)"
    rf"|{_D}{{1,12}}[.,]{_D}{{2}}(?![0-9])"
    rf"|{_D}{{1,12}}(?![0-9]))"
)
_SCALES = {"thousand": 1_000, "k": 1_000, "million": 10**6, "m": 10**6, "mio": 10**6,
           "billion": 10**9, "bn": 10**9}  # fmt: skip
_SCALE = r"(?:\s?(?P<scale>thousand|million|billion|mio|bn|[mk])(?![A-Za-z]))?"
_BEFORE = re.compile(
    r"(?P<minus>-\s?)?(?<![A-Za-z])(?P<currency>US\s?\$|CA?\$|A\$|\$|€|£|¥|₹|USD|EUR|GBP|CHF|CAD|AUD|"
    rf"JPY|INR|MXN)\s{{0,2}}(?P<inner>-\s?)?(?P<number>{_NUMBER}){_SCALE}",
    re.IGNORECASE,
)
_AFTER = re.compile(
    rf"(?<![0-9A-Za-z.,$€£/-])(?P<minus>-\s?)?(?P<number>{_NUMBER}){_SCALE}\s{{0,2}}"
    r"(?P<currency>€|£|USD|EUR|GBP|CHF|CAD|AUD|MXN|dollars?|euros?)(?![A-Za-z])",
    re.IGNORECASE,
)
_DOLLAR_READ_AS_S = re.compile(
    rf"(?<![A-Za-z0-9])(?P<currency>S)(?P<number>[0-9]{_D}{{0,2}}(?:,{_D}{{3}}){{0,4}}\.{_D}{{2}})(?![0-9])"
)
_BARE = re.compile(
    rf"(?<![0-9A-Za-z.,/$€£#-])(?P<minus>-\s?)?(?P<number>{_D}{{1,3}}(?:[,.']{_D}{{3}}){{0,4}}[.,]{_D}{{2}}"
    rf"|{_D}{{1,9}}[.,]{_D}{{2}})(?![0-9A-Za-z%/.,-])"
)
_DECIMALS = re.compile(r"[.,]\s?([0-9]{2})$")
_DATE_AT_START = re.compile(r"^\s{0,3}[0-9]{1,4}[/.-][0-9]{1,2}(?:[/.-][0-9]{2,4})?\s{1,10}")
_WITHOUT_SIGN = frozenset({DocumentType.BANK_STATEMENT, DocumentType.INVOICE, DocumentType.RECEIPT})


@dataclass(frozen=True)
class _Found:
    start: int
    end: int
    value: Decimal
    currency: str


def find_amounts(pages: Sequence[Page], kind: DocumentType, language: str) -> list[Amount]:
    """Sums with a currency sign or code; in statements, invoices and receipts bare ones too.

    A bare number there needs two decimals, and takes the currency most used in
    the document, or the dollar in an English one that names none.
    """
    marked = [
        (page, list(islice(_without_overlap(_marked(page.text)), AMOUNTS_PER_PAGE)))
        for page in pages
    ]
    common = Counter(found.currency for _, all_found in marked for found in all_found)
    usual = common.most_common(1)[0][0] if common else "USD" if language == "en" else None
    amounts: dict[tuple[Decimal, str, str, int], Amount] = {}
    for page, found_here in marked:
        found = found_here
        if usual and kind in _WITHOUT_SIGN:
            found = sorted(
                [*found, *_bare(page, found, usual, every=kind is DocumentType.BANK_STATEMENT)],
                key=lambda f: f.start,
            )[:AMOUNTS_PER_PAGE]
        for one in found:
            what = _what_for(page, one, found)
            amount = Amount(
                value=_signed(page, one, kind), currency=one.currency, what=what, page=page.number
            )
            amounts.setdefault((amount.value, one.currency, what, page.number), amount)
        if len(amounts) >= AMOUNTS_PER_DOCUMENT:
            break
    return list(amounts.values())[:AMOUNTS_PER_DOCUMENT]


def _marked(text: str) -> Iterator[_Found]:
    for pattern in (_BEFORE, _AFTER, _DOLLAR_READ_AS_S):
        for match in pattern.finditer(text):
            currency = "$" if match["currency"] == "S" else match["currency"]
            value = _value(match)
            if value is not None:
                code = _CURRENCIES[currency.lower().replace(" ", "")]
                yield _Found(match.start(), match.end(), value, code)


def _bare(page: Page, marked: Sequence[_Found], currency: str, *, every: bool) -> Iterator[_Found]:
    """Numbers with two decimals on lines without a sign; outside statements the last of each."""
    taken = {page.line_index(found.start) for found in marked}
    by_line: dict[int, list[_Found]] = {}
    for match in islice(_BARE.finditer(page.text), AMOUNTS_PER_PAGE * 3):
        index = page.line_index(match.start())
        value = _value(match)
        if value is not None and (every or index not in taken):
            by_line.setdefault(index, []).append(
                _Found(match.start(), match.end(), value, currency)
            )
    for found in by_line.values():
        yield from found if every else found[-1:]


def _without_overlap(found: Iterator[_Found]) -> Iterator[_Found]:
    reached = -1
    for one in sorted(islice(found, 5000), key=lambda f: (f.start, f.start - f.end)):
        if one.start >= reached:
            yield one
            reached = one.end


def _value(match: re.Match[str]) -> Decimal | None:
    raw = match["number"]
    following = match.string[match.end("number") : match.end("number") + 1]
    if following.isalpha():  # the last "digits" were the first letters of a word
        raw = raw.rstrip("OoIl|")
    if not any(c in "0123456789" for c in raw):
        return None
    number = digits(raw)
    scale = match.groupdict().get("scale")
    if scale and number.count(".") == 1 and "," not in number:  # $1.2 million
        return Decimal(re.sub(r"[^0-9.]", "", number)) * _SCALES[scale.lower()]
    cents = _DECIMALS.search(number)
    whole = re.sub(r"[^0-9]", "", number[: cents.start()] if cents else number)
    value = Decimal(f"{whole or '0'}.{cents[1]}" if cents else whole)
    groups = match.groupdict()
    if scale:
        value *= _SCALES[scale.lower()]
    return -value if groups.get("minus") or groups.get("inner") else value


def _signed(page: Page, found: _Found, kind: DocumentType) -> Decimal:
    """In a column of figures, a sum in parentheses is negative."""
    line = page.lines[page.line_index(found.start)].text
    in_parentheses = (
        page.text[: found.start][-1:] == "(" and page.text[found.end : found.end + 1] == ")"
    )
    if kind in _WITHOUT_SIGN and in_parentheses and len(line.split()) <= 8:
        return -abs(found.value)
    return found.value


def _what_for(page: Page, found: _Found, others: Sequence[_Found]) -> str:
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
