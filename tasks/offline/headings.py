"""What a heading calls a document."""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from schema.analysis import DocumentType as T
from tasks.offline.text import Page, Span, is_capitals

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
_WHOSE = re.compile(
    r"^(?:the\s)?(?:plaintiff|defendant|petitioner|respondent|claimant|appellant|appellee|movant|"
    r"tenant|landlord|mother|father|husband|wife)(?:s'|'?s)?,?'?\s",
    re.IGNORECASE,
)
_COLUMN_EDGE = re.compile(r"[)§|]|\s{3,}")
COURT_LINE = re.compile(
    r"\bcourt\b|\bcounty of\b|\bdivision\b|\bdistrict of\b|"
    r"^(?:state|commonwealth) of\b",
    re.IGNORECASE,
)
_LABEL = re.compile(r"[:]|\b(?:no|number)\.?\s{0,2}[0-9#]", re.IGNORECASE)


@lru_cache(maxsize=64)
def _heading_words(words: str) -> tuple[re.Pattern[str], tuple[str, ...]]:
    choices = words.split("|")
    spaced = "|".join(r"\s{0,2}".join(re.escape(w) for w in c.split()) for c in choices)
    return re.compile(rf"\b(?:{spaced})\b", re.IGNORECASE), tuple(_squash(c) for c in choices)


def _squash(text: str) -> str:
    return "".join(c for c in text.lower().replace("0", "o").replace("1", "l") if c.isalpha())


def heading_of(pages: Sequence[Page], scores: dict[T, float]) -> tuple[Span | None, T | None]:
    """The line that names the document, if one does, and the type it names."""
    weaker: tuple[Span, T] | None = None
    # A second page names the document only when the first is as good as blank.
    for page in pages[: 1 if pages and len(pages[0].text.split()) >= 20 else 2]:
        for line in _standing_alone(page):
            said = type_in(line.text)
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
            if len(cell.text) <= 90 and ends_well and not COURT_LINE.search(cell.text):
                yield cell


def type_in(line: str, *, anywhere: bool = False) -> T | None:
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
        if COURT_LINE.search(text):
            break
        parts.append(text)
    return Span(heading.start, heading.end, " ".join(parts))
