"""Whom letters, bills, receipts, statements and notices come from and go to."""

import re
from collections.abc import Iterator, Sequence
from itertools import islice

from schema.analysis import DocumentType, Party
from tasks.offline.naming import (
    NAME,
    NEXT_COLUMN,
    ORGANISED,
    PROPER_LINE,
    SUFFIX,
    name_only,
    trimmed,
)
from tasks.offline.signatures import signature_lines
from tasks.offline.text import Page, plain, shorten

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
_ADDRESS_FOLLOWS = re.compile(r",\s{1,3}(?=[0-9]{1,6}\s|P\.?\s?O\.?\s?Box|Unit |Suite )")
_CUSTODIAN = re.compile(
    r"^(?:the )?custodian of (?:the )?records?\W{0,3}(?:(?:for|of)\s)?", re.IGNORECASE
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
    rf"\breceived (?:of|from):?\s{{1,6}}(?P<name>{NAME})|"
    rf"\b(?:payor|payer)\s?:\s{{0,8}}(?P<payer>{NAME})",
    re.IGNORECASE,
)
_AND_ALL = re.compile(r",? and (?:all|any)\b|, (?:Esq|Landlord|Tenant|Trustee|Manager)\b|,$")
_SIGNS_AS = re.compile(
    rf"^(?P<name>{NAME}),? {{0,2}}\(?"
    r"(?P<role>Landlord|Lessor|Owner|Trustee|Executor|Lender)\)?\.?$"
)
_STREET = re.compile(
    r"^(?:(?:(?:Flat|Apt\.?|Unit|Suite) \w{1,5}, ?)?[0-9]{1,6}(?:-[0-9]+)? [A-Z][\w.' -]{2,60}|"
    r"P\.? ?O\.? Box .{1,30})"
    r"(?:,.{0,80}|\s{3,}.{0,60})?$",
    re.IGNORECASE,
)
_NOT_ADDRESSED = re.compile(
    r"\b(?:department|dept|attn|attention|via|mail|fax|re|tel|claims|accounts payable|invoice|"
    r"statement|confidential|delivery|hand|page|suite|bill to|fdic|date|prepared for)\b",
    re.IGNORECASE,
)
_EMPLOYED = re.compile(
    r"\b(?:manager|adjuster|representative|specialist|claims|examiner|collections?|supervisor|"
    r"customer service|coordinator|underwriter)\b",
    re.IGNORECASE,
)
"""What stands below the name of who signs for a company."""
_TITLE = re.compile(r"^(?:Mr|Mrs|Ms|Miss|Dr)\.?\s(?=[A-Z])")
_ESQUIRE = re.compile(r",? Esq\.?$", re.IGNORECASE)
_ADDRESSED = {
    DocumentType.LETTER: "recipient",
    DocumentType.INVOICE: "billed to",
    DocumentType.BANK_STATEMENT: "account holder",
}
_LABELLED = frozenset(
    {DocumentType.LETTER, DocumentType.EMAIL, DocumentType.INVOICE, DocumentType.RECEIPT,
     DocumentType.BANK_STATEMENT, DocumentType.NOTICE, DocumentType.MEDICAL_RECORD,
     DocumentType.SUBPOENA}
)  # fmt: skip
_SIDES = frozenset({"plaintiff", "defendant", "petitioner", "respondent", "party"})


def corresponding(
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
        found += _of_letter(pages, {party.role for party in found})
    if kind in {DocumentType.INVOICE, DocumentType.RECEIPT, DocumentType.BANK_STATEMENT}:
        found += _letter_head(pages[0], kind, {party.role for party in found})
    return found


def _fields(page: Page) -> Iterator[Party]:
    """`From:`, `To:`, `Bill to:` with the name beside or below."""
    for index, line in enumerate(page.lines[:60]):
        text = f"{line.text}:" if _LABEL_ALONE.match(line.text) else line.text
        match = _FIELD.match(text[:200])
        if match is None:
            continue
        value = _AND_ALL.split(NEXT_COLUMN.split(match["value"])[0])[0]
        value = _ADDRESS_FOLLOWS.split(_CUSTODIAN.sub("", value))[0]
        if not value.strip(" _.,"):
            value = next((x.text for x in page.lines[index + 1 : index + 3] if x.text), "")
            value = NEXT_COLUMN.split(value)[0]
        name = trimmed(value)
        named = (
            any(c.isalpha() for c in name)
            and name[:1].isupper()
            and not _NOT_ADDRESSED.search(name)
        )
        if named and len(name) <= 120 and not _FIELD.match(name):
            label = " ".join(match["label"].lower().split())
            yield Party(name=shorten(name, 200), role=_FIELD_ROLES.get(label, label))


def _payer(page: Page) -> Iterator[Party]:
    match = _RECEIVED_FROM.search(page.text[:5000])
    name = name_only(match["name"] or match["payer"] or "") if match else ""
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
        yield Party(name=trimmed(signed["name"]), role="landlord" if role == "owner" else role)


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
            name = trimmed(NEXT_COLUMN.split(line)[0])
            name = _TITLE.sub("", name) if kind is DocumentType.BANK_STATEMENT else name
            skipped = _NOT_ADDRESSED.search(name) or any(c.isdigit() for c in name)
            if not skipped and PROPER_LINE.match(name) and len(name.split()) >= 2:
                if any(name in before for before in lines[: min(2, index)]):
                    break  # the letter head
                yield shorten(_ESQUIRE.sub("", name), 200)
                return


def _of_letter(pages: Sequence[Page], known: set[str]) -> Iterator[Party]:
    """Who signs a letter, and whom it greets; the address block gives the full name."""
    if "sender" not in known:
        for page in pages[-3:]:
            for line in islice(signature_lines(page), 1):
                name = trimmed(line.text)
                below = [x.text for x in page.lines[page.line_index(line.start) + 1 :] if x.text]
                if below and _EMPLOYED.search(below[0][:60]):
                    name = next(_company_at_the_head(pages[0]), name)
                if PROPER_LINE.match(name):
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
        if surname and surname in text.lower().split() and PROPER_LINE.match(text):
            yield Party(name=plain(text), role="recipient")
            return
    if greeted.lower() not in {"sir", "madam", "sir or madam", "counsel", "sirs", "clerk", "all"}:
        yield Party(name=shorten(greeted, 200), role="recipient")


def contractor_at_the_head(page: Page) -> Iterator[Party]:
    """Whose printed form a contract is that names only its owner or customer."""
    for name in islice(_company_at_the_head(page), 1):
        yield Party(name=shorten(name, 200), role="contractor")


def _company_at_the_head(page: Page) -> Iterator[str]:
    for line in [x.text for x in page.lines if x.text][:2]:
        name = trimmed(NEXT_COLUMN.split(line)[0])
        if ORGANISED.search(name) or re.search(rf"\b{SUFFIX}$|\bInsurance$|\bCredit\b", name):
            yield name


def _letter_head(page: Page, kind: DocumentType, known: set[str]) -> Iterator[Party]:
    """Who printed an invoice or a statement: the first line that is a name."""
    if "sender" in known:
        return
    role = "bank" if kind is DocumentType.BANK_STATEMENT else "issuer"
    for line in [x.text for x in page.lines if x.text][:6]:
        head = trimmed(re.split(r"\s{3,}", line)[0])
        words = {w.lower().strip(".,:#") for w in head.split()}
        generic = words & {"invoice", "statement", "receipt", "page", "date", "bill", "account"}
        if not generic and PROPER_LINE.match(head) and not any(c.isdigit() for c in head):
            yield Party(name=shorten(plain(head), 200), role=role)
            return
