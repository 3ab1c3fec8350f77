"""What kind of document it is, and what it calls itself."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePath

from schema.analysis import DocumentType as T
from tasks.offline.text import Page, Span, is_capitals, plain, shorten

# What a heading says. The earliest in the heading wins ("ORDER GRANTING MOTION" is an order);
# at the same place the first in this table.
_HEADINGS: tuple[tuple[str, T], ...] = (
    ("notice of motion", T.MOTION),
    ("subpoena", T.SUBPOENA),
    ("notice", T.NOTICE),
    ("summons|citation", T.NOTICE),
    ("proposed order", T.COURT_ORDER),
    ("order", T.COURT_ORDER),
    ("injunction|writ of|search warrant|bench warrant|arrest warrant", T.COURT_ORDER),
    ("beschluss", T.COURT_ORDER),
    ("judgment|judgement|decree|verdict|urteil", T.JUDGMENT),
    ("motion|ex parte application|memorandum of points|memorandum of law|application to", T.MOTION),
    ("memorandum in support|memorandum in opposition|brief in support", T.MOTION),
    ("answers to interrogatories|answer to interrogatories|responses to requests", T.DISCOVERY),
    ("responses to interrogatories|response to request|responses to request", T.DISCOVERY),
    ("interrogatories|request for production|requests for production", T.DISCOVERY),
    ("request for admissions|requests for admission|demand for production", T.DISCOVERY),
    ("discovery requests|discovery responses|privilege log|initial disclosures", T.DISCOVERY),
    ("transcript|deposition of|videotaped deposition|oral deposition", T.TRANSCRIPT),
    ("affidavit", T.AFFIDAVIT),
    ("declaration of trust", T.WILL),
    ("declaration|verification|proof of service|certificate of service", T.AFFIDAVIT),
    ("settlement agreement|settlement and release|stipulation of settlement", T.SETTLEMENT),
    ("release of all claims|general release|mutual release|release of claims", T.SETTLEMENT),
    ("compromise and release|compromise agreement|settlement", T.SETTLEMENT),
    ("complaint|cross-complaint", T.COMPLAINT),
    ("klageschrift|klage|demanda", T.COMPLAINT),
    ("answer|general denial", T.ANSWER),
    ("petition|counterclaim|reply|response|opposition|objection|objections", T.PLEADING),
    ("stipulation|demand for|bill of particulars|replication", T.PLEADING),
    ("invoice|bill for services|statement of services|rechnung|facture|factura|fattura", T.INVOICE),
    ("payment receipt|receipt|quittung|reçu|recibo|ricevuta", T.RECEIPT),
    ("bank statement|account statement|statement of account|kontoauszug", T.BANK_STATEMENT),
    ("checking statement|savings statement|relevé de compte|estado de cuenta", T.BANK_STATEMENT),
    ("credit card statement|brokerage statement|statement of accounts", T.BANK_STATEMENT),
    ("last will|codicil|living trust|revocable trust|trust agreement", T.WILL),
    (
        "power of attorney|health care directive|advance directive|health care proxy",
        T.POWER_OF_ATTORNEY,
    ),
    ("warranty deed|quitclaim deed|grant deed|deed of trust|trust deed|deed|mortgage", T.DEED),
    ("lease agreement|lease|sublease|rental agreement|mietvertrag", T.LEASE),
    ("agreement|contract|promissory note|bill of sale|memorandum of understanding", T.CONTRACT),
    ("vertrag|contrat|contrato|contratto", T.CONTRACT),
    ("tax return|wage and tax statement|income tax|tax transcript", T.TAX_FORM),
    (
        "medical record|medical records|progress note|progress notes|discharge summary",
        T.MEDICAL_RECORD,
    ),
    (
        "emergency department|operative report|clinic note|clinical note|radiology report",
        T.MEDICAL_RECORD,
    ),
    (
        "pathology report|history and physical|consultation note|after visit summary",
        T.MEDICAL_RECORD,
    ),
    ("police report|arrest report|offense report|crime report|case supplement", T.POLICE_REPORT),
    (
        "collision report|crash report|traffic accident report|probable cause statement",
        T.POLICE_REPORT,
    ),
    ("certificate of birth|certificate of live birth|birth certificate", T.CERTIFICATE),
    ("certificate of death|death certificate|marriage certificate", T.CERTIFICATE),
    ("certificate of marriage|certificate of incorporation|certificate of title", T.CERTIFICATE),
    ("certificate of good standing|articles of incorporation", T.CERTIFICATE),
    ("driver license|driver's license|identification card|passport", T.ID_DOCUMENT),
    ("report|appraisal|inventory|evaluation|assessment|memorandum|minutes|gutachten", T.REPORT),
    ("fax transmittal|facsimile|fax cover|telefax|fax", T.LETTER),
    ("form|application|questionnaire|intake|claim form|worksheet", T.FORM),
)

# What the text says anywhere, by weight. Spaces may be missing, as OCR leaves them.
_PHRASES: dict[T, tuple[tuple[str, float], ...]] = {
    T.COURT_ORDER: (
        ("it is hereby ordered", 4), ("it is ordered", 4), ("it is so ordered", 3),
        ("so ordered", 2), ("the court orders", 3), ("the court finds", 2),
        ("having considered", 1.5), ("is granted", 1), ("is denied", 1),
    ),
    T.JUDGMENT: (
        ("adjudged and decreed", 4), ("judgment is entered", 4), ("judgment is hereby", 4),
        ("im namen des volkes", 5),
    ),
    T.MOTION: (
        ("moves this court", 4), ("respectfully moves", 4), ("moves the court", 4),
        ("moves for an order", 4), ("movant", 1.5), ("in support of this motion", 2),
        ("this motion", 1.5),
    ),
    T.COMPLAINT: (
        ("plaintiff alleges", 3), ("prayer for relief", 2.5), ("cause of action", 2),
        ("count i", 1.5), ("jury demand", 2), ("demand for jury trial", 2),
        ("jurisdiction and venue", 2), ("prays for judgment", 3), ("plaintiff demands", 2),
        ("complains of defendant", 3),
    ),
    T.ANSWER: (
        ("affirmative defense", 3), ("general denial", 3), ("denies each and every", 3.5),
        ("denies the allegations", 3), ("answers the complaint", 3), ("admits the allegations", 2),
        ("lacks knowledge or information", 2),
    ),
    T.PLEADING: (
        ("comes now", 2), ("wherefore", 1.5), ("petitioner alleges", 3),
        ("petitioner prays", 3), ("petitioner requests", 2),
    ),
    T.DISCOVERY: (
        ("interrogatory no", 3), ("request no", 1.5), ("propounding party", 4),
        ("responding party", 3), ("requests for production", 1), ("request for admission", 2),
        ("answer under oath", 2), ("possession, custody or control", 1),
    ),
    T.TRANSCRIPT: (
        ("the witness:", 3), ("by mr.", 0.5), ("direct examination", 2), ("cross-examination", 2),
        ("court reporter", 2), ("certified shorthand reporter", 3), ("the deponent", 2),
        ("proceedings were had", 3), ("the court:", 1.5),
    ),
    T.SUBPOENA: (
        ("you are commanded", 4), ("we command you", 4), ("duces tecum", 3),
        ("custodian of records", 1.5), ("you are hereby commanded", 4),
    ),
    T.AFFIDAVIT: (
        ("being duly sworn", 4), ("being first duly sworn", 4), ("under penalty of perjury", 2.5),
        ("affiant", 2), ("subscribed and sworn", 2.5), ("further affiant sayeth", 3),
        ("i have personal knowledge", 2),
    ),
    T.NOTICE: (
        ("please take notice", 4), ("you are hereby notified", 4), ("notice is hereby given", 4),
        ("you are notified", 3),
    ),
    T.CONTRACT: (
        ("this agreement", 2), ("the parties agree", 2.5), ("in witness whereof", 2),
        ("governing law", 1.5), ("hereinafter", 1), ("entire agreement", 2), ("witnesseth", 2),
        ("mutual covenants", 2), ("dieser vertrag", 2.5), ("promises to pay", 3),
        ("this contract", 2), ("for value received", 2),
    ),
    T.SETTLEMENT: (
        ("this settlement", 3), ("release and forever discharge", 3), ("no admission of", 1.5),
        ("settle all", 2), ("settlement amount", 2.5), ("settlement payment", 2.5),
    ),
    T.LEASE: (
        ("this lease", 2.5), ("the landlord", 1), ("the tenant", 1), ("security deposit", 1),
        ("leased premises", 2), ("lessor", 1.5), ("lessee", 1.5), ("monthly rent", 1.5),
    ),
    T.DEED: (
        ("grantor", 2), ("grantee", 2), ("convey and warrant", 3), ("remise, release", 3),
        ("quitclaim", 2.5), ("bargain and sell", 2), ("to have and to hold", 2),
    ),
    T.WILL: (
        ("my last will", 4), ("i give, devise", 3), ("i devise and bequeath", 3),
        ("my executor", 2), ("revoke all", 2), ("of sound mind", 2), ("this codicil", 4),
    ),
    T.POWER_OF_ATTORNEY: (
        ("attorney-in-fact", 3), ("attorney in fact", 3), ("this power of attorney", 4),
        ("durable power", 2), ("my agent", 1.5),
    ),
    T.TAX_FORM: (
        ("internal revenue service", 2), ("department of the treasury", 2), ("taxable income", 2),
        ("adjusted gross income", 2.5), ("tax year", 1), ("filing status", 2.5),
        ("federal income tax withheld", 3), ("wages, tips", 3),
    ),
    T.MEDICAL_RECORD: (
        ("chief complaint", 3), ("diagnosis", 1.5), ("medications", 1.5), ("assessment", 0.5),
        ("date of service", 1), ("patient name", 1.5), ("patient:", 1.5), ("mrn", 2),
        ("history of present illness", 3), ("vital signs", 2), ("blood pressure", 1.5),
        ("attending physician", 2), ("physical exam", 2), ("range of motion", 1),
        ("follow up", 0.5), ("discharged", 1), ("surgery", 0.5),
    ),
    T.POLICE_REPORT: (
        ("reporting officer", 3), ("police department", 2), ("badge", 2), ("sheriff", 1),
        ("suspect", 1.5), ("victim", 1), ("investigating officer", 3), ("dispatched", 1.5),
        ("incident no", 1.5), ("arrested", 1), ("miranda", 2), ("citation issued", 1.5),
    ),
    T.CERTIFICATE: (
        ("cause of death", 3), ("place of birth", 1.5), ("registrar", 2), ("vital records", 3),
        ("vital statistics", 3), ("certified copy", 1),
    ),
    T.INVOICE: (
        ("invoice no", 3), ("invoice number", 3), ("invoice date", 3), ("invoice #", 3),
        ("bill to", 2.5), ("billed to", 2), ("amount due", 1.5), ("total due", 1.5),
        ("balance due", 1.5), ("payment terms", 1.5), ("remit to", 1.5), ("net 30", 1.5),
        ("rechnungsnummer", 4), ("rechnungsdatum", 3), ("numéro de facture", 4),
    ),
    T.RECEIPT: (
        ("received from", 2.5), ("payment received", 2.5), ("receipt no", 3.5),
        ("cash tendered", 3),
        ("change due", 2.5), ("thank you for your purchase", 3),
        ("thank you for your payment", 2.5),
        ("paid in full", 1.5), ("receipt number", 3.5), ("subtotal", 0.5),
    ),
    T.BANK_STATEMENT: (
        ("beginning balance", 3), ("ending balance", 3), ("opening balance", 3),
        ("closing balance", 3), ("statement period", 3), ("account number", 1),
        ("previous balance", 2), ("current balance", 1.5), ("annual percentage yield", 2),
        ("overdraft", 1), ("member fdic", 2), ("minimum payment due", 2.5), ("credit limit", 2),
        ("statement date", 1), ("closing date", 1), ("account activity", 2), ("daily balance", 2),
        ("withdrawals", 1.5), ("deposits", 1.5), ("account summary", 1.5), ("new balance", 1),
        ("kontostand", 3),
    ),
    T.LETTER: (
        ("sincerely", 2.5),
        ("very truly yours", 3.5), ("yours truly", 3), ("yours faithfully", 3.5),
        ("best regards", 1.5), ("kind regards", 1.5), ("respectfully yours", 3),
        ("enclosure", 1), ("via certified mail", 1.5), ("to whom it may concern", 3),
        ("sehr geehrte", 3), ("mit freundlichen grüßen", 3.5), ("mit freundlichen gruessen", 3.5),
        ("madame, monsieur", 3), ("estimado", 2.5), ("estimada", 2.5), ("atentamente", 2.5),
        ("egregio", 2), ("distinti saluti", 3), ("cordialement", 2),
    ),
    T.REPORT: (
        ("executive summary", 3), ("findings", 1), ("conclusions", 1), ("recommendations", 1),
        ("this report", 2), ("i was retained", 2), ("i was asked to", 1.5), ("report date", 1.5),
        ("date of report", 1.5), ("prepared by", 1), ("my opinion", 1.5), ("our opinion", 1.5),
        ("methodology", 1.5), ("incident report", 2),
    ),
    T.FORM: (
        ("check all that apply", 3), ("check one", 2), ("please print", 2.5), ("form approved", 2),
        ("for official use only", 2.5), ("for office use only", 2.5), ("omb no", 2.5),
        ("[ ]", 1), ("☐", 1),
    ),
}  # fmt: skip
_LETTER_OPENS = re.compile(r"(?:^|\n)\s{0,20}Dear\s{0,2}[A-Z][^\n]{1,60}[,:]", re.IGNORECASE)
_MAIL_HEAD = re.compile(r"(?:^|\n)[ >]{0,10}(From|To|Cc|Sent|Date|Subject)\s?:", re.IGNORECASE)
_FORM_NUMBER = re.compile(r"(?:^|\n)\s{0,20}(?:Form|FORM)\s{1,2}[A-Z0-9][A-Z0-9-]{1,12}\b")
_SUBJECT = re.compile(
    r"(?:^|\n)[ ]{0,20}(?:Re|RE|Subject|SUBJECT|Betreff|Betr|Objet|Asunto|Oggetto)\s?[:.]\s{0,3}"
    r"(?P<subject>[^\n]{3,200})"
)
_WHOSE = re.compile(
    r"^(?:the\s)?(?:plaintiff|defendant|petitioner|respondent|claimant|appellant|appellee|movant|"
    r"tenant|landlord|mother|father|husband|wife)(?:s'|'?s)?,?'?\s",
    re.IGNORECASE,
)
_COLUMN_EDGE = re.compile(r"[)§|]|\s{3,}")
_COURT_LINE = re.compile(
    r"\bcourt\b|\bcounty of\b|\bdivision\b|\bdistrict of\b|"
    r"^(?:state|commonwealth) of\b",
    re.IGNORECASE,
)
_LABEL = re.compile(r"[:]|\b(?:no|number)\.?\s{0,2}[0-9#]", re.IGNORECASE)
_IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".heic", ".webp", ".tif", ".tiff"})

_SUBTYPES = re.compile(
    r"\b(order (?:granting|denying)|protective order|restraining order|scheduling order|"
    r"order to show cause|"
    r"retainer agreement|settlement agreement|lease agreement|lease|promissory note|"
    r"power of attorney|demand letter|"
    r"summons|subpoena|motion to dismiss|motion to compel|motion for summary judgment|"
    r"motion in limine|motion for continuance|motion to suppress|last will and testament|"
    r"petition for probate|petition for dissolution|police report|incident report|"
    r"notice of hearing|notice of appeal|notice of deposition|default judgment|"
    r"medical report|appraisal report|appraisal|inventory|memorandum|death certificate|"
    r"birth certificate|proof of service|certificate of service|fax)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Kind:
    """A document's type, how sure the rules are of it (0 to 1), and its subtype."""

    type: T
    certainty: float
    subtype: str | None
    heading: str | None


@lru_cache(maxsize=1024)
def _phrase(words: str) -> re.Pattern[str]:
    spaced = r"\s{0,3}".join(re.escape(word) for word in words.split())
    left = r"\b" if words[0].isalnum() else ""
    right = r"\b" if words[-1].isalnum() else ""
    return re.compile(left + spaced + right, re.IGNORECASE)


@lru_cache(maxsize=64)
def _heading_words(words: str) -> tuple[re.Pattern[str], tuple[str, ...]]:
    choices = words.split("|")
    spaced = "|".join(r"\s{0,2}".join(re.escape(w) for w in c.split()) for c in choices)
    return re.compile(rf"\b(?:{spaced})\b", re.IGNORECASE), tuple(_squash(c) for c in choices)


def _squash(text: str) -> str:
    return "".join(c for c in text.lower().replace("0", "o").replace("1", "l") if c.isalpha())


def kind_of(pages: Sequence[Page], file_name: str) -> Kind:
    """Decide the type from its headings, then from the phrases of the first and last pages.

    Certainty: a heading that says it 0.8, and phrases that agree up to 1;
    phrases alone up to 0.75, less when another type is close; the file name
    alone 0.3; nothing 0.1.
    """
    texts = [page.text[:30_000] for page in (*pages[:3], *pages[3:][-1:])]
    scores = _phrase_scores(texts)
    heading, said = _heading(pages, scores)
    said = _REFINED.get(said, said) if said and _says_more(said, scores) else said
    subject = _SUBJECT.search(texts[0][:6000]) if texts else None
    subtype = _subtype(heading.text if heading else "", subject["subject"] if subject else "")
    if said and heading and not _is_letter(said, scores):
        agreeing = min(scores.get(said, 0.0), 4.0) / 4.0
        rival = max((s for t, s in scores.items() if t is not said), default=0.0)
        if scores.get(said, 0.0) or rival < 6 or is_capitals(heading.text):
            return Kind(said, round(0.8 + 0.2 * agreeing, 2), subtype, heading.text)
    ranked = sorted(scores.items(), key=lambda item: -item[1])
    if ranked and ranked[0][1] >= 2:
        best, score = ranked[0]
        lead = score - (ranked[1][1] if len(ranked) > 1 else 0.0)
        certainty = 0.35 + 0.2 * min(score, 6) / 6 + 0.2 * min(lead, 4) / 4
        return Kind(best, round(certainty, 2), subtype, None)
    named = _type_in(re.sub(r"[_\W]+", " ", PurePath(file_name).stem), anywhere=True)
    if named:
        return Kind(named, 0.3, subtype, None)
    letters = sum(c.isalpha() for text in texts for c in text[:2000])
    if letters < 20 and PurePath(file_name).suffix.lower() in _IMAGE_SUFFIXES:
        return Kind(T.PHOTO, 0.3, None, None)
    return Kind(T.OTHER, 0.1, subtype, None)


_REFINED = {T.REPORT: T.POLICE_REPORT, T.FORM: T.TAX_FORM, T.CONTRACT: T.LEASE}
"""What a general heading becomes when the text plainly speaks of the narrower kind."""


def _says_more(said: T, scores: dict[T, float]) -> bool:
    narrower = _REFINED.get(said)
    return narrower is not None and scores.get(narrower, 0.0) >= max(4.0, scores.get(said, 0.0))


def _is_letter(said: T, scores: dict[T, float]) -> bool:
    """A greeting and a closing make a letter, whatever a line in capitals announces."""
    return said is not T.LETTER and scores.get(T.LETTER, 0.0) >= 6 > 2 * scores.get(said, 0.0)


def _place(words: str, texts: Sequence[str]) -> float:
    """Where a phrase stands: 1 on the first page, half on another, which may be an attachment."""
    pattern = _phrase(words)
    if texts and pattern.search(texts[0]):
        return 1.0
    return 0.5 if any(pattern.search(text) for text in texts[1:]) else 0.0


def _phrase_scores(texts: Sequence[str]) -> dict[T, float]:
    scores: dict[T, float] = {}
    for kind, phrases in _PHRASES.items():
        score = sum(weight * _place(words, texts) for words, weight in phrases)
        if score:
            scores[kind] = score
    first = texts[0] if texts else ""
    if _LETTER_OPENS.search(first[:4000]):
        scores[T.LETTER] = scores.get(T.LETTER, 0.0) + 3.5
    if _FORM_NUMBER.search(first[:1500]):
        scores[T.FORM] = scores.get(T.FORM, 0.0) + 3
    mail = {match[1].lower() for match in _MAIL_HEAD.finditer(first[:2500])}
    if {"from", "to"} <= mail and ("subject" in mail or "sent" in mail):
        scores[T.EMAIL] = 6.0 + len(mail)
    return scores


def _heading(pages: Sequence[Page], scores: dict[T, float]) -> tuple[Span | None, T | None]:
    """The line that names the document, if one does, and the type it names."""
    weaker: tuple[Span, T] | None = None
    # A second page names the document only when the first is as good as blank.
    for page in pages[: 1 if pages and len(pages[0].text.split()) >= 20 else 2]:
        for line in _standing_alone(page):
            said = _type_in(line.text)
            if said is None:
                continue
            if is_capitals(line.text) or scores.get(said):
                return _whole_heading(page, line), said
            weaker = weaker or (line, said)
    if weaker and not any(score >= 3 for score in scores.values()):
        return weaker
    return None, None


def _standing_alone(page: Page) -> Iterator[Span]:
    seen = 0
    for line in page.lines:
        if not line.text:
            continue
        seen += 1
        if seen > 45:
            return
        for cell in _cells(line):
            ends_well = not cell.text.endswith((".", ",", ";"))
            if len(cell.text) <= 90 and ends_well and not _COURT_LINE.search(cell.text):
                yield cell


def _type_in(line: str, *, anywhere: bool = False) -> T | None:
    """The type a heading names; in mixed case it must begin with it or be short."""
    if _LABEL.search(line) and not anywhere:
        return None
    line = _WHOSE.sub("", line)
    squashed = _squash(line)
    best: tuple[int, T] | None = None
    for words, kind in _HEADINGS:
        pattern, squashed_words = _heading_words(words)
        match = pattern.search(line)
        at = match.start() if match else None
        if at is None and any(_runs_into(w, squashed) for w in squashed_words):
            at = 0
        if at is not None and (best is None or at < best[0]):
            best = (at, kind)
    if best is None:
        return None
    words_in_line = len(line.split())
    if anywhere or is_capitals(line):
        return best[1] if words_in_line <= 16 else None
    titled = sum(w[:1].isupper() for w in line.split()) >= 0.6 * words_in_line
    return best[1] if titled and words_in_line <= 8 else None


def _runs_into(words: str, squashed: str) -> bool:
    """Whether a heading without spaces begins with these words: no `REPORTER` with `REPORT`."""
    if len(words) < 5 or not squashed.startswith(words):
        return False
    return not squashed[len(words) :].startswith(("er", "ed", "ing", "s"))


def _cells(line: Span) -> Iterator[Span]:
    """The columns of a line, as captions have them: parties left, the heading right."""
    at = 0
    for edge in (*_COLUMN_EDGE.finditer(line.text), None):
        text = line.text[at : edge.start() if edge else len(line.text)]
        start = line.start + at + len(text) - len(text.lstrip())
        stripped = text.strip(" \t-_*=#|")
        if stripped:
            yield Span(start, start + len(stripped), stripped)
        at = edge.end() if edge else at


def _whole_heading(page: Page, heading: Span) -> Span:
    """The heading with the lines in capitals it runs on to, in its own column."""
    parts = [heading.text]
    if not is_capitals(heading.text):
        return heading
    index = page.line_index(heading.start)
    in_column = heading.start - page.lines[index].start > 2
    for line in page.lines[index + 1 : index + (6 if in_column else 3)]:
        cells = list(_cells(line))
        if in_column and _COLUMN_EDGE.search(line.text) and line.text.endswith((")", "|", "§")):
            continue
        text = cells[-1].text if cells else ""
        alone = len(cells) == 1 or in_column
        if not alone or not is_capitals(text) or _LABEL.search(text) or len(text) > 90:
            break
        if _COURT_LINE.search(text):
            break
        parts.append(text)
    return Span(heading.start, heading.end, " ".join(parts))


def _subtype(heading: str, subject: str) -> str | None:
    match = _SUBTYPES.search(heading) or _SUBTYPES.search(subject)
    return match[1].lower() if match else None


def title_of(pages: Sequence[Page], kind: Kind, file_name: str) -> tuple[str, float]:
    """What the document calls itself, and how far that can be relied on.

    The heading (1.0), else the subject line (0.9), else whom a letter greets
    or a first line in capitals (0.6), else the cleaned file name (0.3).
    """
    first = pages[0].text[:6000] if pages else ""
    subject = _SUBJECT.search(first)
    by_subject = kind.type in {T.LETTER, T.EMAIL} or kind.heading is None
    if subject and by_subject and plain(subject["subject"]):
        return shorten(plain(subject["subject"]), 300), 0.9
    if kind.heading:
        return shorten(plain(kind.heading), 300), 1.0
    for line in pages[0].lines[:15] if pages else []:
        says_it = is_capitals(line.text) and 2 <= len(line.text.split()) <= 12
        says_it &= sum(c.isdigit() for c in line.text) <= 4
        if says_it and kind.type not in {T.LETTER, T.EMAIL} and not _COURT_LINE.search(line.text):
            return shorten(plain(line.text), 300), 0.6
    return _from_name(file_name), 0.3


def _from_name(file_name: str) -> str:
    stem = PurePath(plain(file_name[-400:]).replace("\\", "/")).stem
    words = plain(re.sub(r"[_\s.]+", " ", stem)).strip(" -")
    return shorten(words[:1].upper() + words[1:], 300) if words else "Untitled document"
