"""The parties of a document: from its caption, its terms, its labels or its signatures."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from schema.analysis import DocumentType, Party
from tasks.offline.agreements import contract_sides
from tasks.offline.captions import a_v_b, caption
from tasks.offline.correspondence import contractor_at_the_head, corresponding
from tasks.offline.declared import declared
from tasks.offline.forms import labelled_parties
from tasks.offline.matters import in_re
from tasks.offline.signatures import in_sentences
from tasks.offline.text import Page, is_capitals, plain

PARTIES = 20
_AGREEMENTS = frozenset(
    {DocumentType.CONTRACT, DocumentType.LEASE, DocumentType.SETTLEMENT, DocumentType.DEED,
     DocumentType.POWER_OF_ATTORNEY}
)  # fmt: skip
_FILINGS = frozenset(
    {DocumentType.PLEADING, DocumentType.COMPLAINT, DocumentType.ANSWER, DocumentType.MOTION,
     DocumentType.AFFIDAVIT}
)  # fmt: skip

_FORMS = frozenset(
    {DocumentType.CERTIFICATE, DocumentType.FORM, DocumentType.POLICE_REPORT, DocumentType.REPORT,
     DocumentType.MEDICAL_RECORD, DocumentType.TAX_FORM, DocumentType.DEED, DocumentType.LEASE,
     DocumentType.NOTICE, DocumentType.WILL, DocumentType.POWER_OF_ATTORNEY,
     DocumentType.ID_DOCUMENT, DocumentType.DISCOVERY, DocumentType.JUDGMENT,
     DocumentType.COURT_ORDER, DocumentType.CONTRACT, DocumentType.SETTLEMENT,
     DocumentType.OTHER, DocumentType.COMPLAINT, DocumentType.ANSWER}
)  # fmt: skip
_SIDES = frozenset({"plaintiff", "defendant", "petitioner", "respondent", "claimant"})
_OF_A_TRUST = frozenset({"grantor", "settlor", "trustor", "trustee"})
_CUSTOMERS = frozenset({"owner", "customer", "client"})
_VAGUE = frozenset({"party", "subject", "spouse"})


def find_parties(pages: Sequence[Page], kind: DocumentType) -> list[Party]:
    """The sides of the matter, from the caption, or else sender and recipient."""
    if not pages:
        return []
    found: list[Party] = []
    for page in pages[:2]:
        found += [*caption(page), *in_re(page)]
        if found:
            break
    if kind in _AGREEMENTS and not found:
        found += contract_sides(pages[0])
    if kind in _FORMS and not any(party.role in _SIDES for party in found):
        found += labelled_parties(pages[0], kind)
    if kind is DocumentType.CONTRACT and found and {p.role for p in found} <= _CUSTOMERS:
        found += contractor_at_the_head(pages[0])
    found += declared(pages[0], kind)
    if kind is DocumentType.WILL and not found:
        found += [party for party in contract_sides(pages[0]) if party.role in _OF_A_TRUST]
    found = corresponding(pages, kind, found)
    if not any(party.role not in {"sender", "recipient"} for party in found):
        found += a_v_b(pages[0])
    if kind in _FILINGS:
        found += in_sentences(pages[0], {party.role for party in found}, kind)
    return _distinct(_in_mixed_case(found, pages))


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
        key = " ".join(sorted(re.sub(r"[^\w'&-]+", " ", party.name.lower()).split()))
        if key not in seen:
            seen[key] = party
        elif seen[key].role in _VAGUE and party.role not in _VAGUE:
            seen[key] = seen[key].model_copy(update={"role": party.role})
    full = [party.name.lower() for party in seen.values() if " " in party.name]
    surnames = {name.rsplit(" ", 1)[-1] for name in full} | {
        n.split(",")[0] for n in full if "," in n
    }
    return [
        party
        for party in seen.values()  # not the subject line's `Doe v. Roe`
        if not (party.role == "party" and party.name.lower() in surnames)
    ][:PARTIES]
