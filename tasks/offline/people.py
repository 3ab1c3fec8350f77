"""People and organisations named anywhere, with the roles that the text gives them."""

import re
from collections.abc import Iterator, Sequence
from itertools import islice

from schema.analysis import Organisation, Party, Person
from tasks.offline.naming import NAME, PERSON_LINE, UPPER, bare_name, name_only, trimmed
from tasks.offline.signatures import I_DECLARE, signature_lines
from tasks.offline.text import Page, plain, shorten

PEOPLE = 60
ORGANISATIONS = 60
_COMPANY = re.compile(
    rf"(?<![\w&'.-])(?:{UPPER}[\w&'-]{{0,24}}[ ]|(?:&|of|the) |"
    rf"{UPPER}[\w&'-]{{1,24}}, (?={UPPER})){{1,6}}"
    r"(?:Bank|BANK|Trust Company|Hospital|HOSPITAL|University|UNIVERSITY|Department|DEPARTMENT|"
    r"Insurance Company|Law Group|LAW GROUP|Association|ASSOCIATION|Company|COMPANY|Corporation|"
    r"CORPORATION|Medical Group|MEDICAL GROUP|Agency|AGENCY|Institute|"
    r"(?:[A-Z][\w']{1,20},? )?(?:LLC|LLP|PLLC|Inc\.?|INC\.?|Corp\.?|CORP\.?|Ltd\.?|L\.P\.|P\.C\.|"
    r"P\.A\.|N\.A\.|Co\.))(?![\w])"
)
_OFFICE = re.compile(r"^(?!(?:police|fire|sheriff|health|justice)\b)\S+ department$", re.IGNORECASE)
_NOT_OF_THE_NAME = re.compile(
    r"^(?:(?:the|of|and|by|for|to|from|with|between|plaintiff|defendant|petitioner|respondent|this|"
    r"dear|re|that|when|if|in|at|on|an?|customer|client|lessor|lessee)\b[\s:,]{0,3}){1,4}",
    re.IGNORECASE,
)
_TITLES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"^(?:Hon|Judge|Justice|The Honorable|Magistrate|Chief Judge)"), "judge"),
    (re.compile(r", (?:Esq|ESQ|Esquire|J\.?D)|^Attorney"), "attorney"),
    (re.compile(r", M\.?D|^Dr\."), "doctor"),
    (re.compile(r"^(?:Officer|Detective|Deputy)"), "officer"),
)
_SAID_AFTER: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r",?\s{1,9}(?:Attorneys?|Counsel) for\b", re.IGNORECASE), "attorney"),
    (re.compile(r"\s{0,4}[,(]?\s{0,4}\(?(?:SBN|Bar No)", re.IGNORECASE), "attorney"),
    (
        re.compile(r",?\s{1,9}(?:United States District |Presiding )?Judge\b", re.IGNORECASE),
        "judge",
    ),
    (re.compile(r",?\s{1,9}(?:Deputy )?Clerk\b", re.IGNORECASE), "clerk"),
    (re.compile(r",?\s{1,9}Notary Public\b", re.IGNORECASE), "notary"),
    (re.compile(r",?\s{1,9}Guardian ad Litem\b", re.IGNORECASE), "guardian ad litem"),
    (re.compile(r",?\s{1,9}(?:Executor|Personal Representative)\b", re.IGNORECASE), "executor"),
    (re.compile(r",?\s{1,9}Trustee\b", re.IGNORECASE), "trustee"),
    (re.compile(r",?\s{1,9}Landlord\b", re.IGNORECASE), "landlord"),
    (re.compile(r",?\s{1,9}pro se\b", re.IGNORECASE), "self-represented"),
)
_TITLED = re.compile(
    r"\b(?P<title>The Honorable|Honorable|Hon\.|HON\.|Magistrate Judge|Chief Judge|Judge|Justice|"
    r"JUDGE|Dr\.|DR\.|Mr\.|MR\.|Mrs\.|MRS\.|Ms\.|MS\.|Prof\.|Attorney|Officer|Detective|Deputy|"
    rf"Frau|Herrn?|Mme|Sra?\.)[ ]{{0,2}}(?P<name>{NAME})"
)
_WITH_DEGREE = re.compile(
    rf"(?P<name>{NAME})(?:, ?| {{1,2}})"
    r"(?P<degree>Esq\.?|ESQ\.?|Esquire|M\.?D\b\.?|Ph\.?D\.?|CPA|RN|J\.?D\.)(?![A-Za-z])"
)
_SLASH_S = re.compile(rf"/[sS]/\s{{0,4}}(?P<name>{NAME})")


def find_people(pages: Sequence[Page], parties: Sequence[Party] = ()) -> list[Person]:
    """People by title, degree or signature, in reading order, each once, with their roles."""
    names: dict[str, None] = {}
    for page in pages[:200]:
        for name in islice(_people_on(page), PEOPLE):
            names.setdefault(name)
        if len(names) >= PEOPLE:
            break
    full = [n for n in names if len(bare_name(n).split()) > 1]
    kept: dict[str, str] = {}
    for name in names:
        bare = bare_name(name).lower()
        surname_known = " " not in bare and any(
            bare_name(n).lower().split()[-1] == bare for n in full
        )
        if not surname_known and (bare not in kept or len(name) > len(kept[bare])):
            kept[bare] = name
    roles = {bare_name(party.name).lower(): party.role for party in parties}
    text = "\n".join(page.text[:20_000] for page in pages[:20])
    return [
        Person(name=name, role=roles.get(bare) or _role_of(name, text))
        for bare, name in list(kept.items())[:PEOPLE]
    ]


def _role_of(name: str, text: str) -> str | None:
    """The role that a title, a degree, or the words right after the name give someone."""
    for words, role in _TITLES:
        if words.search(name):
            return role
    for match in islice(re.finditer(re.escape(bare_name(name)), text), 10):
        for words, role in _SAID_AFTER:
            if words.match(text[match.end() : match.end() + 60]):
                return role
    return None


def find_organisations(pages: Sequence[Page], parties: Sequence[Party]) -> list[Organisation]:
    """Companies, firms, banks and authorities by what their names end in, each once."""
    roles = {_organisation_key(party.name): party.role for party in parties}
    found: dict[str, Organisation] = {}
    for page in pages[:200]:
        for match in islice(_COMPANY.finditer(page.text), 100):
            name = trimmed(_NOT_OF_THE_NAME.sub("", plain(match[0])))
            key = _organisation_key(name)
            if len(name.split()) >= 2 and key not in found and not _OFFICE.match(name):
                found[key] = Organisation(name=shorten(name, 200), role=roles.get(key))
        if len(found) >= ORGANISATIONS:
            break
    return list(found.values())[:ORGANISATIONS]


def _organisation_key(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())


def _people_on(page: Page) -> Iterator[str]:
    text = page.text
    found: list[tuple[int, str]] = []
    for match in islice(_TITLED.finditer(text), 200):
        name = name_only(match["name"])
        if name:
            title = "Hon." if "hon" in match["title"].lower() else match["title"].capitalize()
            found.append((match.start(), f"{title} {name}"))
    for match in islice(_WITH_DEGREE.finditer(text), 200):
        name = name_only(match["name"])
        if name and " " in name:
            found.append((match.start(), f"{name}, {match['degree']}"))
    for pattern in (_SLASH_S, I_DECLARE):
        for match in islice(pattern.finditer(text), 100):
            name = name_only(match["name"])
            if name and " " in name:
                found.append((match.start("name"), name))
    for line in signature_lines(page):
        name = name_only(line.text.split(",")[0])
        if name and " " in name and PERSON_LINE.match(name) and len(name.split()) <= 4:
            found.append((line.start, name))
    yield from (shorten(name, 120) for _, name in sorted(found))
