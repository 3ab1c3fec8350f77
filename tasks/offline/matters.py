"""Whom a matter is about, where it has no sides: estates, wards, marriages, removals."""

import re
from collections.abc import Iterator

from schema.analysis import Party
from tasks.offline.naming import trimmed
from tasks.offline.text import Page, is_capitals, shorten

RIGHT_COLUMN = re.compile(
    r"\)|§|\||\s{3,}(?=\S)|\b(?:case|cause|civil|docket|file|index|probate)\s{0,2}(?:action\s)?"
    r"(?:no|number|#)\b|\bNo\.\s|\bHon\.|\bJudge\b|\bDept\b",
    re.IGNORECASE,
)
IN_RE = re.compile(
    r"(?:\bin\s{1,3}re\b:?|\b(?:in\s{1,3}the\s{1,3})?matter\s{1,3}of\b:?)\s{1,6}"
    r"(?:the\s{1,3})?(?:(?P<what>estate|marriage|guardianship|conservatorship|adoption|trust)"
    r"\s{1,4}of:?\s{1,6}(?:the\s)?)?(?P<name>[^\n,);:(|§]{2,90})",
    re.IGNORECASE,
)
_ESTATE_LINE = re.compile(
    r"^[ ]{0,20}(?P<what>estate)\s{1,3}of:?\s{1,4}(?P<name>[^\n,);:(|§]{2,90})",
    re.IGNORECASE | re.MULTILINE,
)
_NAME_BELOW = re.compile(
    r"^(?:the )?(?P<what>estate|marriage|guardianship|conservatorship|adoption|trust) of$",
    re.IGNORECASE,
)
_SUBJECT_ROLES = {"estate": "estate", "marriage": "spouse", "guardianship": "ward",
                  "conservatorship": "conservatee", "trust": "trust"}  # fmt: skip
_ONLY_A_RESPONDENT = re.compile(r"\bremoval proceedings\b", re.IGNORECASE)
_ALIEN = re.compile(
    r"^[ ]{0,8}RE:[ ]{1,6}(?P<name>[A-Z][A-Z' -]{1,30},[ ][A-Z][A-Z'. -]{1,40}?)[ ]{0,3}$",
    re.MULTILINE,
)
_DECEASED_BELOW = re.compile(
    r"^\W{0,60}deceased\s{0,40}(?:$|[)§|,.])", re.IGNORECASE | re.MULTILINE
)
_CITED = re.compile(r",?\s{1,3}[0-9]{1,4}\s[A-Z]")


def in_re(page: Page) -> Iterator[Party]:
    """Whom a matter is about: an estate, a ward, the spouses of a marriage."""
    head = page.text[:3000]
    match = IN_RE.search(head) or _ESTATE_LINE.search(head)
    if match is None:
        yield from _to_be_removed(head)
        return
    after = head[match.end() :]
    what = (match["what"] or "").lower()
    name = beside = trimmed(RIGHT_COLUMN.split(match["name"])[0])
    if beside == trimmed(match["name"]) and after.startswith(":"):
        name = name.rsplit(" ", 1)[0]  # `Estate of Ann Doe Account: 17`
    begun = _NAME_BELOW.match(name)
    if begun or not name:
        what = begun["what"].lower() if begun else what
        if what == "marriage":
            yield from _spouses_below(after)
            return
        name = _first_below(after)
    if not name[:1].isupper() or len(name.split()) > 10 or _CITED.match(after):
        return
    if what == "marriage":
        for spouse in re.split(r"\s(?:and|AND|&)\s", name)[:2]:
            yield Party(name=shorten(spouse, 200), role="spouse")
    elif what == "estate" and not beside and _DECEASED_BELOW.search(after[:600]):
        yield Party(name=shorten(name, 200), role="decedent")
    elif what in {"estate", "trust"}:
        prefix = what.upper() + " OF" if is_capitals(name) else what.capitalize() + " of"
        yield Party(name=shorten(f"{prefix} {name}", 200), role=_SUBJECT_ROLES[what])
    else:
        yield Party(name=shorten(name, 200), role=_role_in(what, head, after))


def _role_in(what: str, head: str, after: str) -> str:
    if not what and "debtor" in after[:40].lower():
        return "debtor"
    if what not in _SUBJECT_ROLES and _ONLY_A_RESPONDENT.search(head):
        return "respondent"
    return _SUBJECT_ROLES.get(what, "subject")


def _to_be_removed(head: str) -> Iterator[Party]:
    """Whom an immigration court's notice is about: `RE: DOE, JANE`."""
    alien = _ALIEN.search(head) if _ONLY_A_RESPONDENT.search(head) else None
    if alien:
        yield Party(name=trimmed(alien["name"]), role="respondent")


def _first_below(after: str) -> str:
    """The first name in the left column below the words that open the matter."""
    lines = (line.strip(" :*") for line in after.split("\n")[1:6])
    below = (cell for line in lines if (cell := RIGHT_COLUMN.split(line)[0].strip()))
    return trimmed(re.split(r",\s(?i:deceased|an?\s)", next(below, ""))[0])


def _spouses_below(text: str) -> Iterator[Party]:
    """The names above and below an `and`, in the left column of a caption without roles."""
    cells = [trimmed(RIGHT_COLUMN.split(line)[0].strip(" :")) for line in text.split("\n")[:9]]
    written = [cell for cell in cells if cell]
    joined = next((i for i, cell in enumerate(written) if cell.lower() == "and"), 0)
    if not 0 < joined < len(written) - 1:
        return
    for name in (written[joined - 1], written[joined + 1]):
        if is_capitals(name) and 2 <= len(name.split()) <= 5:
            yield Party(name=shorten(name, 200), role="spouse")
