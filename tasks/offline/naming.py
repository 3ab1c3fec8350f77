"""How names of people and organisations are written, and what only stands beside them."""

import re
from collections.abc import Iterator

from tasks.offline.text import plain, shorten

DESCRIPTION = re.compile(
    r",?\s{1,3}(?:an? (?:individual|[A-Z]?[a-z]{2,20} (?:corporation|company|limited|partnership|"
    r"individual|resident)|corporation|limited|minor|married|partnership|nonprofit)|"
    r"individually|et al|h/w|his wife|her husband|husband and wife|wife and husband|"
    r"as (?:trustee|executor|administrator)|by and through|"
    r"doing business as|d/b/a)\b.{0,200}",
    re.IGNORECASE,
)
UPPER = "[A-ZÀ-ÖØ-Þ]"
_WORD = rf"{UPPER}[A-Za-zÀ-ÖØ-öø-ÿ'-]{{1,24}}"
NAME = rf"(?:{UPPER}\. ?)?{_WORD}(?: (?:{UPPER}\.? |(?:de|la|van|von|der|del) )?{_WORD}){{0,3}}"
ORGANISATION = rf"{UPPER}[\w&'.-]{{0,24}}(?:,? (?:[&]|of|and|the|{UPPER}[\w&'.-]{{0,24}})){{0,7}}"
_TWO_PEOPLE = re.compile(rf"^({NAME}) (?:and|AND) ({NAME})$")
ORGANISED = re.compile(
    r"\b(?:bank|trust|company|co|inc|corp|llc|llp|ltd|sons|associates|county|city|state|law|"
    r"group|firm|offices|partners|department|services|association)\b|"
    r"^\S+ and\b|\band \S+$",
    re.IGNORECASE,
)
PERSON_LINE = re.compile(rf"^(?:{NAME})$")
PROPER_LINE = re.compile(r"^[A-ZÀ-Þ][\w&'., -]{2,80}$")
NEXT_COLUMN = re.compile(
    r"\s{3,}|<|\(|\b(?:to|from|date|fax|phone|invoice|cc)\s?:|"
    r"\s(?-i:[A-Z][a-z]{1,14})(?:\s(?:#|No\.?))?\s?:",
    re.IGNORECASE,
)
SUFFIX = (
    r"(?:Inc|INC|LLC|L\.L\.C|LLP|L\.L\.P|L\.P|LP|P\.C|PC|P\.A|PLLC|Corp|CORP|Co|Ltd|LTD|N\.A|"
    r"Jr|Sr|Esq|III|II)\b\.?"
)
_NO_NAMES_AT_ALL = (
    "the presiding department court judge attorney esq plaintiff defendant petitioner respondent "
    "and for of in this that these counsel clerk notary public date dated signature signed title "
    "by re case no division county state your honor order motion invoice page statement total "
    "dear sincerely sir madam whom it may concern client tenant landlord account we our I a an "
    "on at as his her its was is has shall will witness exhibit law office offices"
)
_ABBREVIATED = frozenset({"inc.", "corp.", "co.", "ltd.", "esq.", "jr.", "sr.", "bros.", "assn."})
_AFTER_COMPANY = re.compile(
    rf"(\b(?:Inc|INC|LLC|L\.L\.C|LLP|Corp|CORP|Co|CO|Ltd|LTD|N\.A)\b\.?)"
    rf"(?:,?\s(?:and|AND)\s|,\s)(?=[A-Z])"
    rf"(?!(?:AN?|THE|ITS|AS|IN|BY|DBA|FKA|D/B/A|ET|ON|FOR|INDIVIDUAL\w*|SUCCESSOR|{SUFFIX})(?![A-Za-z]))"
)
_IN_A_LIST = re.compile(
    rf"^(?P<first>(?:{UPPER}[\w'-]{{0,24}}\.?(?:\s|$)){{2,4}}$)|"
    r"^(?:an?|the|by|as|in|his|her|its|individual\w*|guardian|trustee|executor|executrix|deceased|"
    rf"administrat\w*|personal|pro|minor|et|husband|wife|successor|{SUFFIX})(?![A-Za-z])",
    re.IGNORECASE,
)
_INITIAL = re.compile(r"^[A-Z]\.$")
_NO_NAMES = frozenset(_NO_NAMES_AT_ALL.split())


def name_only(text: str) -> str:
    """A name without the words that only happened to stand beside it."""
    kept: list[str] = []
    for word in text.split():
        if word.strip(".,").lower() in _NO_NAMES and not _INITIAL.match(word):
            break
        kept.append(word)
    while kept and len(kept[-1].strip(".")) < 2:
        kept.pop()
    return " ".join(kept).strip(" ,-'")


def bare_name(name: str) -> str:
    """A name without titles and degrees."""
    words = [
        w for w in name.split(",", maxsplit=1)[0].split() if not (w.endswith(".") and len(w) > 2)
    ]
    titles = {"Judge", "Justice", "Honorable", "The", "Attorney", "Officer", "Detective", "Frau",
              "Herr", "Herrn", "Deputy", "Magistrate", "Chief", "Mme"}  # fmt: skip
    return " ".join(w for w in words if w not in titles) or name


def trimmed(name: str) -> str:
    """A name without what surrounds it; the full stop of `Inc.` is its own."""
    name = plain(name).strip(" ,;:-_*'\"")
    last = name.rsplit(" ", 1)[-1]
    return name if "." in last[:-1] or last.lower() in _ABBREVIATED else name.rstrip(". ,")


def _listed(text: str) -> str:
    """`ANN DOE, ACME TOOL COMPANY` is a list, where a person's name comes first."""
    first, comma, rest = text.partition(", ")
    begun, following = _IN_A_LIST.match(first), _IN_A_LIST.match(rest)
    person = begun is not None and begun["first"] and not ORGANISED.search(first)
    described = following is not None and not following["first"]
    if not comma or not person or described or len(rest.split(",")[0].split()) < 2:
        return text
    return f"{first}; {_listed(rest)}"


def split_names(text: str) -> Iterator[str]:
    """The names of a list, without what describes them."""
    text = _listed(_AFTER_COMPANY.sub(r"\1; ", text))
    for part in re.split(
        r";\s{0,3}(?:and\s)?|,\s{1,3}and\s|(?<=[A-Z]{3} [A-Z]{3})\s&\s(?=[A-Z]+ [A-Z]+,)", text
    )[:6]:
        name = trimmed(DESCRIPTION.sub("", part, count=1))
        if name.lower().startswith("and "):
            name = name[4:]
        if any(c.isalpha() for c in name) and len(name) >= 2:
            both = _TWO_PEOPLE.match(name)
            people = both.groups() if both and not ORGANISED.search(name) else (name,)
            yield from (shorten(one, 200) for one in people)
