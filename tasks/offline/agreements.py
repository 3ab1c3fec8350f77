"""The sides of an agreement, by the terms that define them."""

import re
from collections.abc import Iterator
from itertools import islice

from schema.analysis import Party
from tasks.offline.forms import name_in
from tasks.offline.naming import DESCRIPTION, NAME, SUFFIX, trimmed
from tasks.offline.text import Page, plain, shorten

_SIDE = rf"[A-Z](?:[^\n,(;.]|\.(?! ?[A-Z][a-z]+ [a-z])|,(?=\s?{SUFFIX})|\n(?=\S)){{1,90}}"
_BETWEEN = re.compile(
    rf"\b(?:by and )?between:?\s{{1,4}}(?P<a>{_SIDE})(?P<da>[,\s(][^;]{{0,200}}?)?"
    rf"\s{{1,3}}and\s{{1,4}}(?P<b>{_SIDE})(?P<db>[,\s(][^;]{{0,160}})?"
)
_CONTRACT_ROLES = (
    "landlord tenant lessor lessee client contractor consultant employer employee seller buyer "
    "purchaser vendor borrower lender grantor grantee licensor licensee company owner principal "
    "agent releasor releasee assignor assignee maker payee guarantor subtenant mortgagor mortgagee "
    "customer supplier franchisor franchisee settlor trustor trustee debtor creditor"
)
_DEFINED_TERM = re.compile(
    r"[(,]\s{0,2}(?:hereinafter |hereafter )?(?:called |referred to as |known as )?(?:the )?"
    rf"\"(?:the )?(?P<role>{'|'.join(_CONTRACT_ROLES.split())})s?\"",
    re.IGNORECASE,
)
_SIDE_BEGINS = re.compile(
    r"(?:^[ ]{0,12}|:\s{1,4}|"
    r"\b(?:between|and|undersigned|by|from|to|of|order of|I|appoint|designate|discharge)\b:?,?"
    r"\s{1,4})(?=[A-Z])",
    re.MULTILINE,
)
_NO_SIDE = re.compile(
    r"(?:This|The|That|KNOW|Know|County|State|City|Section|Agreement|DECLARATION)\b|.*[0-9]|"
    r".* (?:AGREEMENT|LEASE|DEED|NOTE|CLAIMS)$"
)
"""A heading, a place or a clause, where a side's name could stand."""
_PARAGRAPH = re.compile(r"\n[ \t]{0,60}\n(?=.)")
_OF_A_DEED = re.compile(
    rf"(?P<name>{NAME}), {{0,2}}(?:the |as )?(?P<role>grantor|grantee|trustor|beneficiary|"
    r"mortgagor|mortgagee|trustee)\b",
)
_SIDE_ENDS = re.compile(
    rf",(?!\s{{0,3}}{SUFFIX})|\s{{0,3}}\(|\s(?:of|residing|doing)\s|;|\s{{3,}}|\.\s(?=[a-z])"
)
_TWO_SIDES = re.compile(r"\s(?:and|AND)\s(?=[A-Z])")
_GRANTS = re.compile(
    r"\b(?:do(?:es)?\s)?(?:hereby\s)(?:grant|convey|quit ?claim|remise|bargain|sell|transfer)"
    r"(?:\(?s\)?)?\b[^.;\"]{0,90}?\b(?:to|unto):?\s{1,12}(?P<to>[A-Z][^;.]{4,160})",
    re.IGNORECASE,
)
_GRANTOR = re.compile(
    rf"(?:^|[\s,])(?P<name>{NAME}(?: and {NAME})?)(?:,[^.;\n]{{0,80}})?,?\s{{0,4}}$"
)
_CALLED = re.compile(
    rf",\s{{1,4}}(?:the |as )?(?P<role>{'|'.join(_CONTRACT_ROLES.split())})s?\b", re.IGNORECASE
)
_DEFINED = re.compile(r"\(\s?(?:the |hereinafter )?\"?(?:the )?(?P<role>[A-Za-z]{3,30})\"?\s?\)")


def contract_sides(page: Page) -> Iterator[Party]:
    """The sides that an agreement defines, or else those it says it is between."""
    text = page.text[:6000]
    defined: dict[str, list[Party]] = {}
    reached = 0
    for match in islice(_DEFINED_TERM.finditer(text), 8):
        before = text[max(reached, match.start() - 320) : match.start()]
        reached = match.end()
        before = _PARAGRAPH.split(before)[-1]
        starts = [m.end() for m in _SIDE_BEGINS.finditer(before)]
        names = [trimmed(_SIDE_ENDS.split(before[at:])[0]) for at in starts]
        likely = [name for name in names if _is_named(name)]
        if likely:
            role = match["role"].lower()
            names = _TWO_SIDES.split(likely[0])
            names = names if all(len(name.split()) > 1 for name in names) else likely[:1]
            defined.setdefault(role, [Party(name=shorten(name, 200), role=role) for name in names])
    if len(defined) > 1:
        yield from [party for parties in defined.values() for party in parties][:6]
        return
    for match in islice(_OF_A_DEED.finditer(text), 6):
        defined.setdefault(match["role"], [Party(name=match["name"], role=match["role"])])
    match = _BETWEEN.search(text)
    if match is None:
        yield from [party for parties in defined.values() for party in parties]
        yield from _granting(text) if not defined else ()
        return
    for side, rest in (("a", match["da"]), ("b", match["db"])):
        name = trimmed(DESCRIPTION.sub("", plain(match[side]), count=1))
        term = _DEFINED.search(rest or "") or _CALLED.search(rest or "")
        names = _TWO_SIDES.split(name)
        if term is None or any(len(one.split()) < 2 for one in names):
            names = [name]
        for one in names:
            if one[:1].isupper():
                yield Party(name=shorten(one, 200), role=term["role"].lower() if term else "party")


def _granting(text: str) -> Iterator[Party]:
    """Who grants what is conveyed, in the lines above the granting words, and to whom."""
    granted = _GRANTS.search(text)
    if granted is None:
        return
    beside = _GRANTOR.search(text[max(0, granted.start() - 240) : granted.start()])
    above = [line.strip() for line in text[: granted.start()].split("\n") if line.strip()]
    by = next((name for line in reversed(above[-4:]) if (name := name_in(line))), None)
    if beside and " " in beside["name"]:
        by = beside["name"]
    to = name_in(" ".join(granted["to"].split()))
    for names, role in ((by, "grantor"), (to, "grantee")):
        for name in _TWO_SIDES.split(names or ""):
            if len(name.split()) > 1:
                yield Party(name=shorten(name, 200), role=role)


def _is_named(text: str) -> bool:
    """Whether this can be a side's name: capitals throughout, and not a place or a clause."""
    words = [w for w in text.split() if w.lower() not in {"of", "and", "the", "&", "de", "van"}]
    placed = _NO_SIDE.match(text)
    return len(words) >= 2 and not placed and all(not w[0].islower() for w in words)
