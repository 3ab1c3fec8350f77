"""Parties and people: the names in captions, letter heads, signatures and titles."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from schema.analysis import DocumentType, Party
from tasks.offline.text import Page, Span, is_capitals, plain, shorten

PARTIES = 20
PEOPLE = 60

_ROLES = (
    r"(?:third-party |cross-?|counter-?)?(?:plaintiff|defendant|petitioner|respondent|appellant|"
    r"appellee|claimant|complainant|movant|debtor|creditor|decedent|deceased|intervenor|ward|"
    r"conservatee|garnishee|relator|kläger|beklagte)"
)
_ROLE_LINE = re.compile(
    rf"^(?P<name>[^\n]{{0,150}}?)[\s,;]{{0,4}}\b(?P<role>{_ROLES})(?:\(?e?s\)?|in|r)?"
    r"(?:\s{0,2}[/-]\s{0,2}[A-Za-z-]{1,30})?[.,;:]?\s{0,3}$",
    re.IGNORECASE,
)
_ROLE_INSIDE = re.compile(rf",\s{{0,3}}(?P<role>{_ROLES}s?)\s{{0,2}}[,.;]\s", re.IGNORECASE)
_VERSUS_INSIDE = re.compile(r"[\s,](?:v|vs|V|VS)\.\s|\s-\s?(?:against|v\.?)\s?-\s")
_VERSUS_LINE = re.compile(
    r"^\W{0,3}(?:v|vs|versus|-?\s?against\s?-?|-\s?v\.?\s?-|gegen)\W{0,3}$", re.IGNORECASE
)
_RIGHT_COLUMN = re.compile(
    r"\)|§|\||\s{3,}(?=\S)|\b(?:case|cause|civil|docket|file|index|probate)\s{0,2}(?:action\s)?"
    r"(?:no|number|#)\b|\bNo\.\s|\bHon\.|\bJudge\b|\bDept\b",
    re.IGNORECASE,
)
_COURT = re.compile(
    r"\bcourt\b|\bdivision\b|\b(?:county|district|state|commonwealth) of\b[^,]{0,80}$|"
    r"\bfiled\b|\bclerk\b|\battorneys? (?:for|at)\b|\btel(?:ephone)?\b|\bfax\b|@|\b[0-9]{5}\b",
    re.IGNORECASE,
)
_SUBJECT_LABEL = re.compile(r"^(?:re|subject)\s?:\s{0,3}", re.IGNORECASE)
_COUNSEL = re.compile(r"\b(?:attorneys?|counsel) (?:for|at)\b", re.IGNORECASE)
_CAPTION_OPENS = re.compile(r"^in (?:re|the matter)\b|\bof$", re.IGNORECASE)
_DESCRIPTION = re.compile(
    r",?\s{1,3}(?:an? (?:individual|[A-Z]?[a-z]{2,20} (?:corporation|company|limited|partnership|"
    r"individual|resident)|corporation|limited|minor|married|partnership|nonprofit)|"
    r"individually|et al|as (?:trustee|executor|administrator)|by and through|"
    r"doing business as|d/b/a)\b.{0,200}",
    re.IGNORECASE,
)
_IN_RE = re.compile(
    r"(?:\bin\s{1,3}re\b:?|\b(?:in\s{1,3}the\s{1,3})?matter\s{1,3}of\b:?)\s{1,6}"
    r"(?:the\s{1,3})?(?:(?P<what>estate|marriage|guardianship|conservatorship|adoption|trust)"
    r"\s{1,4}of:?\s{1,6}(?:the\s)?)?(?P<name>[^\n,);:(|§]{2,90})",
    re.IGNORECASE,
)
_ESTATE_LINE = re.compile(
    r"^[ ]{0,20}(?P<what>estate)\s{1,3}of:?\s{1,4}(?P<name>[^\n,);:(|§]{2,90})",
    re.IGNORECASE | re.MULTILINE,
)
_SUBJECT_ROLES = {"estate": "estate", "marriage": "spouse", "guardianship": "ward",
                  "conservatorship": "conservatee", "trust": "trust"}  # fmt: skip

_UPPER = "[A-ZÀ-ÖØ-Þ]"
_WORD = rf"{_UPPER}[A-Za-zÀ-ÖØ-öø-ÿ'-]{{1,24}}"
_NAME = rf"(?:{_UPPER}\. ?)?{_WORD}(?: (?:{_UPPER}\.? |(?:de|la|van|von|der|del) )?{_WORD}){{0,3}}"
_ORGANISATION = (
    rf"{_UPPER}[\w&'.-]{{0,24}}(?:,? (?:[&]|of|and|the|{_UPPER}[\w&'.-]{{0,24}})){{0,7}}"
)
_TWO_PEOPLE = re.compile(rf"^({_NAME}) (?:and|AND) ({_NAME})$")
_ORGANISED = re.compile(
    r"\b(?:bank|trust|company|co|inc|corp|llc|llp|ltd|sons|associates|county|city|state)\b|"
    r"^\S+ and\b|\band \S+$",
    re.IGNORECASE,
)
_A_V_B = re.compile(rf"(?P<a>{_ORGANISATION})\s{{1,2}}(?:v|vs)\.?\s{{1,2}}(?P<b>{_ORGANISATION})")
_TITLED = re.compile(
    r"\b(?P<title>The Honorable|Honorable|Hon\.|HON\.|Magistrate Judge|Chief Judge|Judge|Justice|"
    r"JUDGE|Dr\.|DR\.|Mr\.|MR\.|Mrs\.|MRS\.|Ms\.|MS\.|Prof\.|Attorney|Officer|Detective|Deputy|"
    rf"Frau|Herrn?|Mme|Sra?\.)[ ]{{0,2}}(?P<name>{_NAME})"
)
_WITH_DEGREE = re.compile(
    rf"(?P<name>{_NAME}),? {{0,2}}"
    r"(?P<degree>Esq\.?|ESQ\.?|Esquire|M\.?D\.|Ph\.?D\.?|CPA|RN|J\.?D\.)(?![a-z])"
)
_SLASH_S = re.compile(rf"/[sS]/\s{{0,4}}(?P<name>{_NAME})")
_I_DECLARE = re.compile(
    rf"\bI, (?P<name>{_NAME}),[^\n]{{0,60}}"
    r"\s?(?:declare|depose|state|swear|being|certify|hereby|am)\b"
)
_ROLE_BEFORE_NAME = re.compile(
    rf"\b(?P<role>Petitioner|Plaintiff|Respondent|Defendant|Movant),? (?P<name>{_NAME})"
)
_PERSON_LINE = re.compile(rf"^(?:{_NAME})$")
_PROPER_LINE = re.compile(r"^[A-ZÀ-Þ][\w&'., -]{2,80}$")
_CLOSING = re.compile(
    r"^(?:yours\s?)?(?:very truly|sincerely|respectfully|truly|faithfully|best regards|"
    r"kind regards|regards|warm regards|cordially|mit freundlichen|cordialement|atentamente|"
    r"distinti saluti)"
    r"[a-zA-ZüßÜ ]{0,30}[,.]?$",
    re.IGNORECASE,
)
_DEAR = re.compile(
    r"(?:^|\n)\s{0,20}(?:Dear|Sehr geehrter?|Chère?|Estimad[oa])\s{0,2}"
    r"(?P<name>[^\n,:]{2,60})[,:]?",
    re.IGNORECASE,
)
_FIELD = re.compile(
    r"^(?P<label>from|to|bill(?:ed)? to|sold to|client|customer|account holder|account name|"
    r"prepared for|tenant|landlord|payee|payer|received from|von|an|de|para|attention|attn)"
    r"\s?[:.]\s{0,5}(?P<value>[^\n]{0,120})$",
    re.IGNORECASE,
)
_FIELD_ROLES = {
    "from": "sender", "von": "sender", "de": "sender", "to": "recipient", "an": "recipient",
    "para": "recipient", "attention": "recipient", "attn": "recipient", "bill to": "billed to",
    "billed to": "billed to", "sold to": "billed to", "client": "client", "customer": "customer",
    "account holder": "account holder", "account name": "account holder",
    "prepared for": "recipient", "received from": "payer",
}  # fmt: skip
_NEXT_COLUMN = re.compile(r"\s{3,}|<|\(|\b(?:to|from|date|fax|phone|invoice|cc)\s?:", re.IGNORECASE)
_BETWEEN = re.compile(
    r"\b(?:by and )?between:?\s{1,4}(?P<a>[^\n,(;]{2,90})(?P<da>[,\s(][^;]{0,200}?)?"
    r"\s{1,3}and\s{1,4}(?P<b>[A-Z][^\n,(;.]{1,90})(?P<db>[,\s(][^;]{0,160})?"
)
_DEFINED = re.compile(r"\(\s?(?:the |hereinafter )?\"?(?:the )?(?P<role>[A-Za-z]{3,30})\"?\s?\)")
_NO_NAMES_AT_ALL = (
    "the presiding department court judge attorney esq plaintiff defendant petitioner respondent "
    "and for of in this that these counsel clerk notary public date dated signature signed title "
    "by re case no division county state your honor order motion invoice page statement total "
    "dear sincerely sir madam whom it may concern client tenant landlord account we our I a an "
    "on at as his her its was is has shall will witness exhibit law office offices"
)
_ABBREVIATED = frozenset({"inc.", "corp.", "co.", "ltd.", "esq.", "jr.", "sr.", "bros.", "assn."})
_NO_NAMES = frozenset(_NO_NAMES_AT_ALL.split())


def find_parties(pages: Sequence[Page], kind: DocumentType) -> list[Party]:
    """The sides of the matter, from the caption, or else sender and recipient."""
    if not pages:
        return []
    found: list[Party] = []
    for page in pages[:2]:
        found += [*_caption(page), *_in_re(page)]
        if found:
            break
    if kind is DocumentType.CONTRACT and not found:
        found += _contract_sides(pages[0])
    correspondence = {DocumentType.LETTER, DocumentType.EMAIL, DocumentType.INVOICE}
    accounts = {DocumentType.RECEIPT, DocumentType.BANK_STATEMENT, DocumentType.NOTICE}
    if kind in correspondence | accounts or not found:
        found += _fields(pages[0])
    if kind is DocumentType.LETTER:
        found += _letter(pages, {party.role for party in found})
    if kind in {DocumentType.INVOICE, DocumentType.RECEIPT, DocumentType.BANK_STATEMENT}:
        found += _letter_head(pages[0], kind, {party.role for party in found})
    if not any(party.role not in {"sender", "recipient"} for party in found):
        found += _a_v_b(pages[0])
    if kind in {DocumentType.PLEADING, DocumentType.MOTION, DocumentType.AFFIDAVIT}:
        found += _in_sentences(pages[0], {party.role for party in found}, kind)
    return _distinct(_in_mixed_case(found, pages))


def find_people(pages: Sequence[Page]) -> list[str]:
    """People by title, degree or signature, in reading order, each once."""
    names: dict[str, None] = {}
    for page in pages[:200]:
        for name in islice(_people_on(page), PEOPLE):
            names.setdefault(name)
        if len(names) >= PEOPLE:
            break
    full = [n for n in names if len(_bare_name(n).split()) > 1]
    kept: dict[str, str] = {}
    for name in names:
        bare = _bare_name(name).lower()
        surname_known = " " not in bare and any(
            _bare_name(n).lower().split()[-1] == bare for n in full
        )
        if not surname_known and (bare not in kept or len(name) > len(kept[bare])):
            kept[bare] = name
    return list(kept.values())[:PEOPLE]


def _people_on(page: Page) -> Iterator[str]:
    text = page.text
    found: list[tuple[int, str]] = []
    for match in islice(_TITLED.finditer(text), 200):
        name = _name(match["name"])
        if name:
            title = "Hon." if "hon" in match["title"].lower() else match["title"].capitalize()
            found.append((match.start(), f"{title} {name}"))
    for match in islice(_WITH_DEGREE.finditer(text), 200):
        name = _name(match["name"])
        if name and " " in name:
            found.append((match.start(), f"{name}, {match['degree']}"))
    for pattern in (_SLASH_S, _I_DECLARE):
        for match in islice(pattern.finditer(text), 100):
            name = _name(match["name"])
            if name and " " in name:
                found.append((match.start("name"), name))
    for line in _signature_lines(page):
        name = _name(line.text.split(",")[0])
        if name and " " in name and _PERSON_LINE.match(name) and len(name.split()) <= 4:
            found.append((line.start, name))
    yield from (shorten(name, 120) for _, name in sorted(found))


def _signature_lines(page: Page) -> Iterator[Span]:
    """The first written line below a closing or a rule to sign on."""
    waiting = 0
    for line in page.lines[-400:]:
        if _CLOSING.match(line.text) or (line.text.startswith("____") and len(line.text) < 80):
            waiting = 3
        elif line.text and waiting:
            waiting -= 1
            if line.text.lower().startswith("/s/"):
                continue
            if not line.text.strip("_-. "):
                continue
            yield line
            waiting = 0


def _name(text: str) -> str:
    """A name without the words that only happened to stand beside it."""
    kept: list[str] = []
    for word in text.split():
        if word.strip(".,").lower() in _NO_NAMES:
            break
        kept.append(word)
    while kept and len(kept[-1].strip(".")) < 2:
        kept.pop()
    return " ".join(kept).strip(" ,-'")


def _bare_name(name: str) -> str:
    words = [
        w for w in name.split(",", maxsplit=1)[0].split() if not (w.endswith(".") and len(w) > 2)
    ]
    titles = {"Judge", "Justice", "Honorable", "The", "Attorney", "Officer", "Detective", "Frau",
              "Herr", "Herrn", "Deputy", "Magistrate", "Chief", "Mme"}  # fmt: skip
    return " ".join(w for w in words if w not in titles) or name


def _caption(page: Page) -> Iterator[Party]:
    """`X, Plaintiff, v. Y, Defendant` in one line or many, with a right column or without."""
    waiting: list[str] = []
    before_versus: str | None = None
    after_versus: str | None = None
    sides: list[Party] = []
    for line in _caption_lines(page.text[:8000]):
        side = _ROLE_LINE.match(line)
        if _VERSUS_LINE.match(line):
            before_versus = before_versus or " ".join(waiting[-2:])
            waiting = []
        elif side and not _COUNSEL.search(line):
            sides += _sides(" ".join([*waiting, side["name"]]), side["role"].lower())
            waiting = []
            if before_versus is not None and len({s.role for s in sides}) > 1:
                break
        elif _COURT.search(line) or _CAPTION_OPENS.search(line):
            waiting = []
        else:
            if before_versus and not after_versus:
                after_versus = line
            waiting = [*waiting[-2:], line]
    if before_versus is None:
        # A marriage has two sides and no `v.`; roles in running text are no caption.
        in_matter = _IN_RE.search(page.text[:3000])
        yield from sides if in_matter and len({s.role for s in sides}) > 1 else ()
    elif sides:
        yield from sides
    elif before_versus and after_versus:
        yield from _sides(before_versus, "party")
        yield from _sides(after_versus, "party")


def _sides(names: str, role: str) -> list[Party]:
    names = _SUBJECT_LABEL.sub("", names[:400])
    return [Party(name=name, role=role) for name in _split_names(names)]


def _caption_lines(head: str) -> Iterator[str]:
    """The lines of the caption's left column, with roles and `v.` on lines of their own."""
    head = _ROLE_INSIDE.sub(lambda m: f",\n{m['role']}\n", head)
    head = _VERSUS_INSIDE.sub("\nv.\n", head)
    for raw in head.split("\n")[:90]:
        line = raw.strip()
        cut = _RIGHT_COLUMN.search(line)
        line = (line[: cut.start()] if cut else line).strip(" \t_-*=:(")
        if len(line) >= 2 and len(line) <= 160:
            yield line
        elif line.lower() == "v":
            yield "v."


def _trimmed(name: str) -> str:
    """A name without what surrounds it; the full stop of `Inc.` is its own."""
    name = plain(name).strip(" ,;:-_*'\"")
    last = name.rsplit(" ", 1)[-1]
    return name if "." in last[:-1] or last.lower() in _ABBREVIATED else name.rstrip(". ,")


def _split_names(text: str) -> Iterator[str]:
    for part in re.split(r";\s{0,3}(?:and\s)?|,\s{1,3}and\s|\s&\s(?=[A-Z]+ [A-Z]+,)", text)[:6]:
        name = _trimmed(_DESCRIPTION.sub("", part, count=1))
        if name.lower().startswith("and "):
            name = name[4:]
        if any(c.isalpha() for c in name) and len(name) >= 2:
            both = _TWO_PEOPLE.match(name)
            people = both.groups() if both and not _ORGANISED.search(name) else (name,)
            yield from (shorten(one, 200) for one in people)


def _in_re(page: Page) -> Iterator[Party]:
    head = page.text[:3000]
    match = _IN_RE.search(head) or _ESTATE_LINE.search(head)
    if match is None:
        return
    name = _trimmed(match["name"])
    if not name[:1].isupper() or len(name.split()) > 10:
        return
    what = (match["what"] or "").lower()
    role = _SUBJECT_ROLES.get(what, "subject")
    tail = head[match.end() : match.end() + 40].lower()
    if not what and "debtor" in tail:
        role = "debtor"
    if what == "marriage":
        for spouse in re.split(r"\s(?:and|AND|&)\s", name)[:2]:
            yield Party(name=shorten(spouse, 200), role=role)
    elif what in {"estate", "trust"}:
        prefix = what.upper() + " OF" if is_capitals(name) else what.capitalize() + " of"
        yield Party(name=shorten(f"{prefix} {name}", 200), role=role)
    else:
        yield Party(name=shorten(name, 200), role=role)


def _a_v_b(page: Page) -> Iterator[Party]:
    match = _A_V_B.search(page.text[:6000])
    if match:
        for side in ("a", "b"):
            name = re.sub(r"^(?:Re|RE|In|The Matter Of)\b:?\s", "", match[side])
            name = _trimmed(name)
            if len(name) > 1:
                yield Party(name=shorten(name, 200), role="party")


def _in_sentences(page: Page, known: set[str], kind: DocumentType) -> Iterator[Party]:
    """`Petitioner Mary Smith alleges`, `I, Jane Doe, declare`."""
    for match in islice(_ROLE_BEFORE_NAME.finditer(page.text[:10_000]), 20):
        name, role = _name(match["name"]), match["role"].lower()
        if role not in known and " " in name:
            known.add(role)
            yield Party(name=shorten(name, 200), role=role)
    affiant = _I_DECLARE.search(page.text[:10_000])
    if affiant and kind is DocumentType.AFFIDAVIT and _name(affiant["name"]):
        yield Party(name=shorten(_name(affiant["name"]), 200), role="affiant")


def _contract_sides(page: Page) -> Iterator[Party]:
    match = _BETWEEN.search(page.text[:5000])
    if match is None:
        return
    for side, rest in (("a", match["da"]), ("b", match["db"])):
        name = _trimmed(match[side])
        defined = _DEFINED.search(rest or "")
        if name and name[:1].isupper():
            role = defined["role"].lower() if defined else "party"
            yield Party(name=shorten(name, 200), role=role)


def _fields(page: Page) -> Iterator[Party]:
    """`From:`, `To:`, `Bill to:` with the name beside or below."""
    for index, line in enumerate(page.lines[:60]):
        match = _FIELD.match(line.text[:200])
        if match is None:
            continue
        value = _NEXT_COLUMN.split(match["value"])[0]
        if not value.strip(" _.,"):
            value = next((x.text for x in page.lines[index + 1 : index + 3] if x.text), "")
            value = _NEXT_COLUMN.split(value)[0]
        name = _trimmed(value)
        if any(c.isalpha() for c in name) and len(name) <= 120 and not _FIELD.match(name):
            label = " ".join(match["label"].lower().split())
            yield Party(name=shorten(name, 200), role=_FIELD_ROLES.get(label, label))


def _letter(pages: Sequence[Page], known: set[str]) -> Iterator[Party]:
    """Who signs a letter, and whom it greets; the address block gives the full name."""
    if "sender" not in known:
        for page in pages[-3:]:
            for line in islice(_signature_lines(page), 1):
                name = _trimmed(line.text)
                if _PROPER_LINE.match(name):
                    yield Party(name=name, role="sender")
    if "recipient" in known:
        return
    dear = _DEAR.search(pages[0].text[:6000])
    if dear is None:
        return
    greeted = plain(dear["name"]).strip(" .")
    surname = greeted.split()[-1].lower() if greeted else ""
    block = pages[0].lines[: pages[0].line_index(dear.start("name"))][-14:]
    for line in block:
        text = line.text.split(",")[0]
        if surname and surname in text.lower().split() and _PROPER_LINE.match(text):
            yield Party(name=plain(text), role="recipient")
            return
    if greeted.lower() not in {"sir", "madam", "sir or madam", "counsel", "sirs", "clerk", "all"}:
        yield Party(name=shorten(greeted, 200), role="recipient")


def _letter_head(page: Page, kind: DocumentType, known: set[str]) -> Iterator[Party]:
    """Who printed an invoice or a statement: the first line that is a name."""
    if "sender" in known:
        return
    role = "bank" if kind is DocumentType.BANK_STATEMENT else "issuer"
    for line in [x.text for x in page.lines if x.text][:6]:
        head = _trimmed(re.split(r"\s{3,}", line)[0])
        words = {w.lower().strip(".,:#") for w in head.split()}
        generic = words & {"invoice", "statement", "receipt", "page", "date", "bill", "account"}
        if not generic and _PROPER_LINE.match(head) and not any(c.isdigit() for c in head):
            yield Party(name=shorten(plain(head), 200), role=role)
            return


def _in_mixed_case(parties: Iterable[Party], pages: Sequence[Page]) -> Iterator[Party]:
    """A name in capitals, as the document spells it elsewhere in ordinary letters."""
    text = "\n".join(page.text[:20_000] for page in pages[:5])
    for party in islice(parties, PARTIES * 3):
        if is_capitals(party.name):
            spelled = r"\s{1,3}".join(re.escape(word) for word in party.name.split())
            for match in islice(re.finditer(spelled, text, re.IGNORECASE), 20):
                if not is_capitals(match[0]) and match[0][:1].isupper():
                    yield party.model_copy(update={"name": plain(match[0])})
                    break
            else:
                yield party
        else:
            yield party


def _distinct(parties: Iterable[Party]) -> list[Party]:
    seen: dict[str, Party] = {}
    for party in parties:
        seen.setdefault(" ".join(party.name.lower().split()), party)
    return list(seen.values())[:PARTIES]
