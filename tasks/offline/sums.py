"""Sums of money as they are written: with a sign or code, in words, in accountants' style."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice

from tasks.offline.number_words import NUMBER_WORD, number_in_words
from tasks.offline.text import OCR_DIGIT, digits

_MOST = 5000

_CURRENCIES = {
    "us$": "USD", "$": "USD", "usd": "USD", "dollar": "USD", "dollars": "USD", "bucks": "USD",
    "buck": "USD", "c$": "CAD", "ca$": "CAD", "cad": "CAD", "cdn$": "CAD", "cad$": "CAD",
    "usd$": "USD", "a$": "AUD", "au$": "AUD", "aud": "AUD", "nzd": "NZD", "€": "EUR", "eur": "EUR",
    "euro": "EUR", "euros": "EUR", "£": "GBP", "gbp": "GBP", "pounds": "GBP", "chf": "CHF",
    "¥": "JPY", "jpy": "JPY", "₹": "INR", "inr": "INR", "mxn": "MXN",
}  # fmt: skip
DOLLARS = frozenset({"$", "dollar", "dollars", "bucks", "buck"})
"""Signs and words that any country with dollars uses for its own."""
_D = OCR_DIGIT
# OCR puts a space after the point; a sentence that ends with a sum does too: `$500. 29 U.S.C.`
_POINT = rf"(?:[.,]|\.[ \t](?=00|{_D}{{2}}[ \t]{{0,40}}(?:\n|$|[ ]{{2}}|[,;)])))"
_NUMBER = (
    rf"(?:{_D}{{1,3}}(?:[,.' ]\s?{_D}{{3}}){{1,4}}{_POINT}{_D}{{2}}(?![0-9])"
    rf"|{_D}{{1,3}}(?:[,.']{_D}{{3}}){{1,4}}(?![0-9])"
    rf"|{_D}{{1,6}}\.[0-9]{{1,3}}(?=\s?(?:thousand|million|billion|mio|bn|mm|[mk])\b)"
    rf"|0?\.[0-9]{{3,4}}(?![0-9])"
    rf"|{_D}{{0,12}}[.,]{_D}{{2}}(?![0-9])"
    rf"|{_D}{{1,12}}(?![0-9]))"
)
_SCALES = {"thousand": 1_000, "k": 1_000, "million": 10**6, "m": 10**6, "mio": 10**6, "mm": 10**6,
           "billion": 10**9, "bn": 10**9}  # fmt: skip
_SCALE = r"(?:\s?(?P<scale>thousand|million|billion|mio|bn|mm|[mk])(?![A-Za-z]))?"
_TRAILING = r"(?P<trailing>\s?CR\b|-(?=\s{0,3}(?:$|\n|[ ]{2})|[ ][A-Za-z]|[ ][0-9]))?"
_BEFORE = re.compile(
    r"(?P<minus>(?<![0-9A-Za-z])-|(?<![0-9A-Za-z]\s)(?<![0-9A-Za-z])-\s)?"
    r"(?:(?<![A-Za-z])|(?-i:(?<=[a-z]))(?=[$€£]))"
    r"(?P<currency>US\s?\$|(?-i:CA?|CDN|CAD ?|AU?|USD ?)\$|\$|€|£|¥|₹|"
    rf"USD|EUR|GBP|CHF|CAD|AUD|NZD|JPY|INR|MXN)\s{{0,2}}(?P<inner>-\s?|\((?=[0-9.,]{{1,14}}\)))?"
    rf"(?P<number>{_NUMBER}){_SCALE}"
    rf"(?:\s?(?P<code>USD|CAD|AUD|NZD|CDN)(?![A-Za-z]))?{_TRAILING}",
    re.IGNORECASE,
)
_AFTER = re.compile(
    rf"(?<![0-9A-Za-z.,$€£/-])(?P<minus>-\s?)?(?P<number>{_NUMBER}){_SCALE}\s{{0,2}}"
    r"(?P<currency>€|£|USD|EUR|GBP|CHF|CAD|AUD|NZD|MXN|dollars?|euros?|bucks?|"
    r"pounds(?= sterling))"
    rf"(?![A-Za-z]){_TRAILING}",
    re.IGNORECASE,
)
_FRENCH = re.compile(
    r"(?<![0-9A-Za-z.,$])(?P<minus>-\s?)?(?P<number>[0-9]{1,3}(?:[ ][0-9]{3}){0,3},[0-9]{2})\s?"
    r"(?P<currency>\$)(?!\s?[0-9])"
)
_DOLLAR_READ_AS_S = re.compile(
    rf"(?<![A-Za-z0-9])(?P<currency>S)(?P<number>[0-9]{_D}{{0,2}}(?:,{_D}{{3}}){{0,4}}\.{_D}{{2}})(?![0-9])"
)
_IN_WORDS = re.compile(
    rf"\b(?P<words>{NUMBER_WORD}(?:(?:[-\s]|\sand\s|,\s){{1,2}}{NUMBER_WORD}\b){{0,12}})"
    r"(?:\sand\s(?:no|(?P<cents>[0-9]{1,2}))/100(?:ths)?)?\s{1,2}(?P<currency>dollars?|euros?|bucks)\b"
    r"(?!\s(?:and\s)?[a-z-]{3,20}\scents)(?!(?:\sand\s[^($€£\n]{3,20})?\s{0,3}(?:\([^)\n]{0,12}[0-9]|[$€£]))",
    re.IGNORECASE,
)
_DECIMALS = re.compile(r"[.,]\s?([0-9]{2})$")


@dataclass(frozen=True)
class WrittenSum:
    """A sum and where it stands; `dollars` when any country's dollar may be meant."""

    start: int
    end: int
    value: Decimal
    currency: str
    dollars: bool = False


def marked_sums(text: str) -> Iterator[WrittenSum]:
    """Sums with a currency's sign, code or name, in reading order, none twice."""
    reached = -1
    found = islice(_marked(text), _MOST)
    for one in sorted(found, key=lambda f: (f.start, f.start - f.end)):
        if one.start >= reached:
            yield one
            reached = one.end


def _marked(text: str) -> Iterator[WrittenSum]:
    for pattern in (_BEFORE, _AFTER, _FRENCH, _DOLLAR_READ_AS_S):
        for match in pattern.finditer(text):
            said = match["currency"].lower().replace(" ", "")
            sign = "$" if said == "s" else said
            value = value_of(match)
            if value is not None:
                code = match.groupdict().get("code")
                currency = code.upper().replace("CDN", "CAD") if code else _CURRENCIES[sign]
                own = sign in DOLLARS and not code
                yield WrittenSum(match.start(), match.end(), value, currency, own)
    for match in _IN_WORDS.finditer(text):
        whole = number_in_words(match["words"])
        sign = match["currency"].lower()
        if whole:
            value = Decimal(f"{whole}.{int(match['cents'] or 0):02}")
            yield WrittenSum(match.start(), match.end(), value, _CURRENCIES[sign], sign in DOLLARS)


def value_of(match: re.Match[str]) -> Decimal | None:
    """The value of what a pattern found, negative where a minus or `CR` stands at it."""
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
    if re.match(r"0?\.[0-9]{3,4}$", number):  # a rate: $0.585 a mile
        return Decimal(number)
    cents = _DECIMALS.search(number)
    whole = re.sub(r"[^0-9]", "", number[: cents.start()] if cents else number)
    value = Decimal(f"{whole or '0'}.{cents[1]}" if cents else whole)
    groups = match.groupdict()
    if scale:
        value *= _SCALES[scale.lower()]
    return -value if any(groups.get(sign) for sign in ("minus", "inner", "trailing")) else value
