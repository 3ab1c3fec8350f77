"""Parties and people: the names in captions, letter heads, signatures and titles."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from schema.analysis import DocumentType, Organisation, Party, Person
from tasks.offline.text import Page, Span, is_capitals, plain, shorten

PARTIES = 20
PEOPLE = 60
ORGANISATIONS = 60

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
_NAME_BELOW = re.compile(
    r"^(?P<what>estate|marriage|guardianship|conservatorship|adoption|trust) of$", re.IGNORECASE
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
    r"\b(?:bank|trust|company|co|inc|corp|llc|llp|ltd|sons|associates|county|city|state|law|"
    r"group|firm|offices|partners|department|services|association)\b|"
    r"^\S+ and\b|\band \S+$",
    re.IGNORECASE,
)
_COMPANY = re.compile(
    rf"(?<![\w&'.-])(?:{_UPPER}[\w&'-]{{0,24}}[ ]|(?:&|of|the) |"
    rf"{_UPPER}[\w&'-]{{1,24}}, (?={_UPPER})){{1,6}}"
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
_A_V_B = re.compile(rf"(?P<a>{_ORGANISATION})\s{{1,2}}(?:v|vs)\.?\s{{1,2}}(?P<b>{_ORGANISATION})")
_TITLED = re.compile(
    r"\b(?P<title>The Honorable|Honorable|Hon\.|HON\.|Magistrate Judge|Chief Judge|Judge|Justice|"
    r"JUDGE|Dr\.|DR\.|Mr\.|MR\.|Mrs\.|MRS\.|Ms\.|MS\.|Prof\.|Attorney|Officer|Detective|Deputy|"
    rf"Frau|Herrn?|Mme|Sra?\.)[ ]{{0,2}}(?P<name>{_NAME})"
)
_WITH_DEGREE = re.compile(
    rf"(?P<name>{_NAME})(?:, ?| {{1,2}})"
    r"(?P<degree>Esq\.?|ESQ\.?|Esquire|M\.?D\b\.?|Ph\.?D\.?|CPA|RN|J\.?D\.)(?![A-Za-z])"
)
_SLASH_S = re.compile(rf"/[sS]/\s{{0,4}}(?P<name>{_NAME})")
_I_DECLARE = re.compile(
    rf"\bI, (?P<name>{_NAME}),[^\n]{{0,60}}"
    r"\s?(?:declare|depose|state|swear|being|certify|hereby|am)\b"
)
_SWORN_BY = re.compile(
    rf"(?<![A-Za-z])(?P<name>{_NAME}),? (?:who,? )?(?:after |having |upon )?(?:been |being )"
    rf"(?:first |first having been )?duly (?:sworn|affirmed)"
    rf"|appeared(?: before me)?,? (?P<appeared>{_NAME})"
    rf"|\b[Mm]y name is (?P<called>{_NAME})"
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
    r"prepared for|tenant|landlord|lessor|lessee|payee|payer|payor|received from|received by|"
    r"plaintiff|defendant|petitioner|respondent|seller|buyer|borrower|lender|employer|employee|"
    r"patient(?: name)?|insured|claimant|von|an|de|para|attention|attn)"
    r"(?:\s?[:.]\s{0,30}|\s{3,30})(?P<value>[^\n]{0,120})$",
    re.IGNORECASE,
)
_FIELD_ROLES = {
    "from": "sender", "von": "sender", "de": "sender", "to": "recipient", "an": "recipient",
    "para": "recipient", "attention": "recipient", "attn": "recipient", "bill to": "billed to",
    "billed to": "billed to", "sold to": "billed to", "client": "client", "customer": "customer",
    "account holder": "account holder", "account name": "account holder",
    "prepared for": "recipient", "received from": "payer", "received by": "issuer",
    "payor": "payer", "patient name": "patient",
}  # fmt: skip
_LABEL_ALONE = re.compile(r"^(?:bill(?:ed)? to|sold to|customer|client)\W{0,3}$", re.IGNORECASE)
_RECEIVED_FROM = re.compile(
    rf"\breceived (?:of|from):?\s{{1,6}}(?P<name>{_NAME})|"
    rf"\b(?:payor|payer)\s?:\s{{0,8}}(?P<payer>{_NAME})",
    re.IGNORECASE,
)
_NEXT_COLUMN = re.compile(
    r"\s{3,}|<|\(|\b(?:to|from|date|fax|phone|invoice|cc)\s?:|"
    r"\s(?-i:[A-Z][a-z]{1,14})\s?:",
    re.IGNORECASE,
)
_SUFFIX = (
    r"(?:Inc|INC|LLC|L\.L\.C|LLP|L\.L\.P|L\.P|LP|P\.C|PC|P\.A|PLLC|Corp|CORP|Co|Ltd|LTD|N\.A|"
    r"Jr|Sr|Esq|III|II)\b\.?"
)
_SIDE = rf"[A-Z](?:[^\n,(;.]|\.(?! ?[A-Z][a-z]+ [a-z])|,(?=\s?{_SUFFIX})|\n(?=\S)){{1,90}}"
_AND_ALL = re.compile(r",? and (?:all|any)\b|, (?:Esq|Landlord|Tenant|Trustee|Manager)\b|,$")
_BETWEEN = re.compile(
    rf"\b(?:by and )?between:?\s{{1,4}}(?P<a>{_SIDE})(?P<da>[,\s(][^;]{{0,200}}?)?"
    rf"\s{{1,3}}and\s{{1,4}}(?P<b>{_SIDE})(?P<db>[,\s(][^;]{{0,160}})?"
)
_CONTRACT_ROLES = (
    "landlord tenant lessor lessee client contractor consultant employer employee seller buyer "
    "purchaser vendor borrower lender grantor grantee licensor licensee company owner principal "
    "agent releasor releasee assignor assignee maker payee guarantor subtenant mortgagor mortgagee "
    "customer supplier franchisor franchisee settlor trustee debtor creditor"
)
_DEFINED_TERM = re.compile(
    r"[(,]\s{0,2}(?:hereinafter |hereafter )?(?:called |referred to as |known as )?(?:the )?"
    rf"\"(?:the )?(?P<role>{'|'.join(_CONTRACT_ROLES.split())})\"",
    re.IGNORECASE,
)
_SIDE_BEGINS = re.compile(
    r"(?:^\s{0,4}|\b(?:between|and|undersigned|by|from|to|of|order of|I|appoint|designate)\b:?,?"
    r"\s{1,4})(?=[A-Z])"
)
_PARAGRAPH = re.compile(r"\n[ \t]{0,60}\n(?=.)")
_OF_A_DEED = re.compile(
    rf"(?P<name>{_NAME}), {{0,2}}(?:the |as )?(?P<role>grantor|grantee|trustor|beneficiary|"
    r"mortgagor|mortgagee|trustee)\b",
)
_SIDE_ENDS = re.compile(
    rf",(?!\s{{0,3}}{_SUFFIX})|\s{{0,3}}\(|\s(?:of|residing|doing)\s|;|\s{{3,}}|\.\s(?=[a-z])"
)
_SIGNS_AS = re.compile(
    rf"^(?P<name>{_NAME}),? {{0,2}}\(?"
    r"(?P<role>Landlord|Lessor|Owner|Trustee|Executor|Lender)\)?\.?$"
)
_STREET = re.compile(
    r"^(?:[0-9]{1,6}(?:-[0-9]+)? [A-Z][\w.' -]{2,60}|P\.? ?O\.? Box .{1,30})"
    r"(?:,.{0,80}|\s{3,}.{0,60})?$",
    re.IGNORECASE,
)
_NOT_ADDRESSED = re.compile(
    r"\b(?:department|dept|attn|attention|via|mail|fax|re|tel|claims|accounts payable|invoice|"
    r"statement|confidential|delivery|hand|page|suite|bill to|fdic|date|prepared for)\b",
    re.IGNORECASE,
)
_ESQUIRE = re.compile(r",? Esq\.?$", re.IGNORECASE)
_DEFINED = re.compile(r"\(\s?(?:the |hereinafter )?\"?(?:the )?(?P<role>[A-Za-z]{3,30})\"?\s?\)")
_NO_NAMES_AT_ALL = (
    "the presiding department court judge attorney esq plaintiff defendant petitioner respondent "
    "and for of in this that these counsel clerk notary public date dated signature signed title "
    "by re case no division county state your honor order motion invoice page statement total "
    "dear sincerely sir madam whom it may concern client tenant landlord account we our I a an "
    "on at as his her its was is has shall will witness exhibit law office offices"
)
_ABBREVIATED = frozenset({"inc.", "corp.", "co.", "ltd.", "esq.", "jr.", "sr.", "bros.", "assn."})
_INITIAL = re.compile(r"^[A-Z]\.$")
_NO_NAMES = frozenset(_NO_NAMES_AT_ALL.split())


_AGREEMENTS = frozenset(
    {DocumentType.CONTRACT, DocumentType.LEASE, DocumentType.SETTLEMENT, DocumentType.DEED,
     DocumentType.POWER_OF_ATTORNEY}
)  # fmt: skip
_FILINGS = frozenset(
    {DocumentType.PLEADING, DocumentType.COMPLAINT, DocumentType.ANSWER, DocumentType.MOTION,
     DocumentType.AFFIDAVIT}
)  # fmt: skip
_ADDRESSED = {
    DocumentType.LETTER: "recipient",
    DocumentType.INVOICE: "billed to",
    DocumentType.BANK_STATEMENT: "account holder",
}
_LABELLED = frozenset(
    {DocumentType.LETTER, DocumentType.EMAIL, DocumentType.INVOICE, DocumentType.RECEIPT,
     DocumentType.BANK_STATEMENT, DocumentType.NOTICE, DocumentType.MEDICAL_RECORD}
)  # fmt: skip
_SIDES = frozenset({"plaintiff", "defendant", "petitioner", "respondent", "party"})


def find_parties(pages: Sequence[Page], kind: DocumentType) -> list[Party]:
    """The sides of the matter, from the caption, or else sender and recipient."""
    if not pages:
        return []
    found: list[Party] = []
    for page in pages[:2]:
        found += [*_caption(page), *_in_re(page)]
        if found:
            break
    if kind in _AGREEMENTS and not found:
        found += _contract_sides(pages[0])
    found = _corresponding(pages, kind, found)
    if not any(party.role not in {"sender", "recipient"} for party in found):
        found += _a_v_b(pages[0])
    if kind in _FILINGS:
        found += _in_sentences(pages[0], {party.role for party in found}, kind)
    return _distinct(_in_mixed_case(found, pages))


def _corresponding(
    pages: Sequence[Page], kind: DocumentType, captioned: Sequence[Party]
) -> list[Party]:
    """With whoever a letter, bill, receipt, statement or notice comes from and goes to."""
    found = list(captioned)
    if kind in _LABELLED or not found:
        found += _fields(pages[0])
    if kind is DocumentType.NOTICE and not any(party.role in _SIDES for party in found):
        found = list(_of_notice(pages, found))
    if kind is DocumentType.BANK_STATEMENT:
        found = [
            p.model_copy(update={"role": "account holder"}) if p.role == "customer" else p
            for p in found
        ]
    if kind is DocumentType.RECEIPT and not any(p.role == "payer" for p in found):
        found += _payer(pages[0])
    if kind in _ADDRESSED and not any(p.role == _ADDRESSED[kind] for p in found):
        found += [Party(name=n, role=_ADDRESSED[kind]) for n in _addressee(pages[0], kind)]
    if kind is DocumentType.LETTER:
        found += _letter(pages, {party.role for party in found})
    if kind in {DocumentType.INVOICE, DocumentType.RECEIPT, DocumentType.BANK_STATEMENT}:
        found += _letter_head(pages[0], kind, {party.role for party in found})
    return found


def find_people(pages: Sequence[Page], parties: Sequence[Party] = ()) -> list[Person]:
    """People by title, degree or signature, in reading order, each once, with their roles."""
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
    roles = {_bare_name(party.name).lower(): party.role for party in parties}
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
    for match in islice(re.finditer(re.escape(_bare_name(name)), text), 10):
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
            name = _trimmed(_NOT_OF_THE_NAME.sub("", plain(match[0])))
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
            if _ORGANISED.search(line.text) or "&" in line.text:
                firm = firm or line
                continue
            if firm and not _PERSON_LINE.match(line.text.split(",")[0]):
                continue
            yield line
            waiting, firm = 0, None
    if firm:
        yield firm


def _name(text: str) -> str:
    """A name without the words that only happened to stand beside it."""
    kept: list[str] = []
    for word in text.split():
        if word.strip(".,").lower() in _NO_NAMES and not _INITIAL.match(word):
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
    blank = False
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
        elif not line:
            blank = True
            continue
        elif _COURT.search(line) or _CAPTION_OPENS.search(line):
            waiting = []
        else:
            if before_versus and not after_versus:
                after_versus = line
            waiting = [line] if blank else [*waiting[-2:], line]
        blank = False
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
    names = _SUBJECT_LABEL.sub("", names[:400]).split(" - ")[0]
    return [Party(name=name, role=role) for name in _split_names(names)]


def _caption_lines(head: str) -> Iterator[str]:
    """The lines of the caption's left column, roles and `v.` on lines of their own; "" if blank."""
    for raw in head.split("\n")[:90]:
        if not raw.strip():
            yield ""
            continue
        line = raw.strip()
        cut = _RIGHT_COLUMN.search(line)
        line = line[: cut.start()] if cut else line
        line = _ROLE_INSIDE.sub(lambda m: f",\n{m['role']}\n", f"{line} ")
        line = _VERSUS_INSIDE.sub("\nv.\n", line)
        for part in line.split("\n"):
            stripped = part.strip(" \t_-*=:(")
            if 2 <= len(stripped) <= 160:
                yield stripped
            elif stripped.lower() == "v":
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
    name, what = _trimmed(match["name"]), (match["what"] or "").lower()
    if head[match.end() : match.end() + 1] == ":":  # `Estate of Ann Doe Account: 17`
        name = name.rsplit(" ", 1)[0]
    name = _trimmed(_RIGHT_COLUMN.split(name)[0])
    begun = _NAME_BELOW.match(name)
    if begun or not name:
        what = begun["what"].lower() if begun else what
        if what == "marriage":
            return  # the caption names the spouses, each with a role
        below = (line.strip() for line in head[match.end() :].split("\n")[1:4])
        below = (_RIGHT_COLUMN.split(line)[0] for line in below if line)
        name = _trimmed(re.split(r",\s(?i:deceased|an?\s)", next(below, ""))[0])
    if not name[:1].isupper() or len(name.split()) > 10:
        return
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
            name = _trimmed(name.split(" - ")[0])
            if len(name) > 1:
                yield Party(name=shorten(name, 200), role="party")


def _in_sentences(page: Page, known: set[str], kind: DocumentType) -> Iterator[Party]:
    """`Petitioner Mary Smith alleges`, `I, Jane Doe, declare`."""
    for match in islice(_ROLE_BEFORE_NAME.finditer(page.text[:10_000]), 20):
        name, role = _name(match["name"]), match["role"].lower()
        if role not in known and " " in name:
            known.add(role)
            yield Party(name=shorten(name, 200), role=role)
    if kind is not DocumentType.AFFIDAVIT:
        return
    text = page.text[:10_000]
    match = _I_DECLARE.search(text) or _SWORN_BY.search(text)
    name = _name(next((group for group in match.groups() if group), "")) if match else ""
    if name:
        declares = re.search(r"\bdeclar(?:e|ant|ation)\b", text, re.IGNORECASE)
        swears = re.search(r"\bsworn\b|\baffiant\b", text, re.IGNORECASE)
        role = "declarant" if declares and not swears else "affiant"
        yield Party(name=shorten(name, 200), role=role)


def _contract_sides(page: Page) -> Iterator[Party]:
    text = page.text[:6000]
    defined: dict[str, Party] = {}
    reached = 0
    for match in islice(_DEFINED_TERM.finditer(text), 8):
        before = text[max(reached, match.start() - 200) : match.start()]
        reached = match.end()
        before = _PARAGRAPH.split(before)[-1]
        starts = [m.end() for m in _SIDE_BEGINS.finditer(before)]
        names = [_trimmed(_SIDE_ENDS.split(before[at:])[0]) for at in starts]
        likely = [name for name in names if _is_named(name)]
        if likely:
            role = match["role"].lower()
            defined.setdefault(role, Party(name=shorten(likely[0], 200), role=role))
    if len(defined) > 1:
        yield from list(defined.values())[:4]
        return
    for match in islice(_OF_A_DEED.finditer(text), 6):
        defined.setdefault(match["role"], Party(name=match["name"], role=match["role"]))
    match = _BETWEEN.search(text)
    if match is None:
        yield from defined.values()
        return
    for side, rest in (("a", match["da"]), ("b", match["db"])):
        name = _trimmed(_DESCRIPTION.sub("", plain(match[side]), count=1))
        term = _DEFINED.search(rest or "")
        if name and name[:1].isupper():
            yield Party(name=shorten(name, 200), role=term["role"].lower() if term else "party")


def _is_named(text: str) -> bool:
    """Whether this can be a side's name: capitals throughout, and not a place or a clause."""
    words = [w for w in text.split() if w.lower() not in {"of", "and", "the", "&", "de", "van"}]
    placed = re.match(r"(?:This|The|That|County|State|City|Section|Agreement)\b|.*[0-9]", text)
    return len(words) >= 2 and not placed and all(not w[0].islower() for w in words)


def _fields(page: Page) -> Iterator[Party]:
    """`From:`, `To:`, `Bill to:` with the name beside or below."""
    for index, line in enumerate(page.lines[:60]):
        text = f"{line.text}:" if _LABEL_ALONE.match(line.text) else line.text
        match = _FIELD.match(text[:200])
        if match is None:
            continue
        value = _AND_ALL.split(_NEXT_COLUMN.split(match["value"])[0])[0]
        if not value.strip(" _.,"):
            value = next((x.text for x in page.lines[index + 1 : index + 3] if x.text), "")
            value = _NEXT_COLUMN.split(value)[0]
        name = _trimmed(value)
        named = any(c.isalpha() for c in name) and not _NOT_ADDRESSED.search(name)
        if named and len(name) <= 120 and not _FIELD.match(name):
            label = " ".join(match["label"].lower().split())
            yield Party(name=shorten(name, 200), role=_FIELD_ROLES.get(label, label))


def _payer(page: Page) -> Iterator[Party]:
    match = _RECEIVED_FROM.search(page.text[:5000])
    name = _name(match["name"] or match["payer"] or "") if match else ""
    if name:
        yield Party(name=shorten(name, 200), role="payer")


def _of_notice(pages: Sequence[Page], found: Sequence[Party]) -> Iterator[Party]:
    """A notice between private people: whoever signs as landlord writes to the tenant."""
    signed = next(
        (
            match
            for page in pages[-2:]
            for line in page.lines[-60:]
            if (match := _SIGNS_AS.match(line.text))
        ),
        None,
    )
    rented = re.search(r"\brent\b|\bpremises\b|\btenancy\b", pages[0].text[:5000], re.IGNORECASE)
    for party in found:
        of_tenant = party.role == "recipient" and rented
        yield party.model_copy(update={"role": "tenant"}) if of_tenant else party
    if signed:
        role = signed["role"].lower()
        yield Party(name=_trimmed(signed["name"]), role="landlord" if role == "owner" else role)


def _addressee(page: Page, kind: DocumentType) -> Iterator[str]:
    """The name above the second address of a page; the first is the writer's own."""
    lines = [line.text for line in page.lines if line.text][:40]
    addressed = [
        index
        for index, line in enumerate(lines)
        if _STREET.match(line) and not (index and _STREET.match(lines[index - 1]))
    ]
    for index in addressed:
        if index < (3 if kind is not DocumentType.BANK_STATEMENT else 1):
            continue
        for line in reversed(lines[max(0, index - 4) : index]):
            name = _trimmed(_NEXT_COLUMN.split(line)[0])
            skipped = _NOT_ADDRESSED.search(name) or any(c.isdigit() for c in name)
            if not skipped and _PROPER_LINE.match(name) and len(name.split()) >= 2:
                if any(name in before for before in lines[: min(2, index)]):
                    break  # the letter head
                yield shorten(_ESQUIRE.sub("", name), 200)
                return


def _letter(pages: Sequence[Page], known: set[str]) -> Iterator[Party]:
    """Who signs a letter, and whom it greets; the address block gives the full name."""
    if "sender" not in known:
        for page in pages[-3:]:
            for line in islice(_signature_lines(page), 1):
                name = _trimmed(line.text)
                if _PROPER_LINE.match(name):
                    yield Party(name=name, role="sender")
                    known.add("sender")
                    break
            if "sender" in known:
                break
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
    surnames = {name.rsplit(" ", 1)[-1] for name in seen if " " in name}
    return [
        party
        for name, party in seen.items()
        if not (party.role == "party" and name in surnames)  # the subject line's `Doe v. Roe`
    ][:PARTIES]
