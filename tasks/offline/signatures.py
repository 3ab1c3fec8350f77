"""Who signs: the names below a closing, below a rule, and in sentences that swear."""

import re
from collections.abc import Iterator
from itertools import islice

from schema.analysis import DocumentType, Party
from tasks.offline.naming import NAME, ORGANISED, PERSON_LINE, name_only
from tasks.offline.text import Page, Span, shorten

I_DECLARE = re.compile(
    rf"\bI, (?P<name>{NAME}),[^\n]{{0,60}}"
    r"\s?(?:declare|depose|state|swear|being|certify|hereby|am)\b"
)
_SWORN_BY = re.compile(
    rf"(?<![A-Za-z])(?P<name>{NAME}),? (?:who,? )?(?:after |having |upon )?(?:been |being )"
    rf"(?:first |first having been )?duly (?:sworn|affirmed)"
    rf"|appeared(?: before me)?,? (?P<appeared>{NAME})"
    rf"|(?P<says>{NAME}),? (?:says|deposes|states),?(?: and says)?,? (?:under|on) oath"
    rf"|\b[Mm]y name is (?P<called>{NAME})"
)
_ROLE_BEFORE_NAME = re.compile(
    rf"\b(?P<role>Petitioner|Plaintiff|Respondent|Defendant|Movant),? (?P<name>{NAME})"
)
_NAME_THEN_ROLE = re.compile(
    rf"(?<![A-Za-z])(?P<name>{NAME})(?:, (?:the )?|,? is (?:the )?)"
    r"(?P<role>Petitioner|Plaintiff|Respondent|Defendant|Movant)\b(?!'s)"
)
_CLOSING = re.compile(
    r"^(?:yours\s?)?(?:very truly|sincerely|respectfully|love|thanks|many thanks|thank you|cheers|"
    r"best|best wishes|warmly|truly|faithfully|best regards|"
    r"kind regards|regards|warm regards|cordially|mit freundlichen|cordialement|atentamente|"
    r"distinti saluti)"
    r"[a-zA-ZüßÜ ]{0,30}[,.]?$",
    re.IGNORECASE,
)


def signature_lines(page: Page) -> Iterator[Span]:
    """The name below a closing or a rule to sign on; a firm's only where no person's follows."""
    waiting = 0
    firm: Span | None = None
    for line in page.lines[-400:]:
        if _CLOSING.match(line.text) or (line.text.startswith("____") and len(line.text) < 80):
            if firm:
                yield firm
            waiting, firm = 3, None
        elif line.text and waiting:
            waiting -= 1
            if line.text.lower().startswith("/s/") or not line.text.strip("_-. "):
                continue
            if ORGANISED.search(line.text) or "&" in line.text:
                firm = firm or line
                continue
            if firm and not PERSON_LINE.match(line.text.split(",")[0]):
                continue
            yield line
            waiting, firm = 0, None
    if firm:
        yield firm


_MATTERS = frozenset({"estate", "subject", "ward", "trust", "decedent"})
_SAYS = re.compile(
    rf"^[ ]{{0,8}}(?:1\.[ ]{{1,4}})?(?P<name>{NAME}),? "
    r"(?:states|alleges|petitions|represents|shows|respectfully|being)\b",
    re.MULTILINE,
)


def in_sentences(page: Page, known: set[str], kind: DocumentType) -> Iterator[Party]:
    """`Petitioner Mary Smith alleges`, `I, Jane Doe, declare`."""
    for match in islice(_NAME_THEN_ROLE.finditer(page.text[:10_000]), 20):
        name, role = name_only(match["name"]), match["role"].lower()
        if role not in known and " " in name:
            known.add(role)
            yield Party(name=shorten(name, 200), role=role)
    for match in islice(_ROLE_BEFORE_NAME.finditer(page.text[:10_000]), 20):
        name, role = name_only(match["name"]), match["role"].lower()
        if role not in known and " " in name:
            known.add(role)
            yield Party(name=shorten(name, 200), role=role)
    is_petition = kind is DocumentType.PLEADING and "petition" in page.text[:3000].lower()
    if is_petition and known <= _MATTERS:
        says = _SAYS.search(page.text[:10_000])
        name = name_only(says["name"]) if says else ""
        if " " in name:
            yield Party(name=shorten(name, 200), role="petitioner")
    if kind is not DocumentType.AFFIDAVIT:
        return
    text = page.text[:10_000]
    match = I_DECLARE.search(text) or _SWORN_BY.search(text)
    name = name_only(next((group for group in match.groups() if group), "")) if match else ""
    if name:
        declares = re.search(r"\bdeclar(?:e|ant|ation)\b", text, re.IGNORECASE)
        swears = re.search(r"\bsworn\b|\baffiant\b", text, re.IGNORECASE)
        role = "declarant" if declares and not swears else "affiant"
        yield Party(name=shorten(name, 200), role=role)
