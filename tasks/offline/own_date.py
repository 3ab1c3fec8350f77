"""Which of its dates is the document's own."""

from collections.abc import Sequence
from datetime import date

from schema.analysis import DocumentType
from tasks.offline.dates import FoundDate

_AGREED = ("effective", "dated", "signed", "sworn", "begins")
_FILED = ("dated", "signed", "filed", "served")
_DECIDING: dict[DocumentType, tuple[str, ...]] = {
    DocumentType.COURT_ORDER: ("signed", "dated", "entered", "issued", "filed"),
    DocumentType.JUDGMENT: ("signed", "dated", "entered", "issued", "filed"),
    DocumentType.AFFIDAVIT: ("sworn", "signed", "dated", "filed"),
    DocumentType.CONTRACT: _AGREED,
    DocumentType.LEASE: _AGREED,
    DocumentType.SETTLEMENT: _AGREED,
    DocumentType.DEED: ("dated", "signed", "effective", "sworn"),
    DocumentType.WILL: ("signed", "dated", "sworn"),
    DocumentType.POWER_OF_ATTORNEY: ("signed", "dated", "effective", "sworn"),
    DocumentType.BANK_STATEMENT: ("dated", "issued", "period end"),
    DocumentType.INVOICE: ("issued", "dated", "sent"),
    DocumentType.EMAIL: ("sent", "dated"),
    DocumentType.RECEIPT: ("dated", "paid", "received", "issued"),
    DocumentType.MOTION: _FILED,
    DocumentType.COMPLAINT: _FILED,
    DocumentType.ANSWER: _FILED,
    DocumentType.PLEADING: _FILED,
    DocumentType.DISCOVERY: _FILED,
    DocumentType.MEDICAL_RECORD: ("discharged", "visit", "dated", "signed"),
    DocumentType.POLICE_REPORT: ("dated", "reported", "issued", "signed"),
    DocumentType.TRANSCRIPT: ("deposition", "hearing", "trial", "dated", "signed"),
    DocumentType.CERTIFICATE: ("issued", "filed", "dated", "signed"),
    DocumentType.ID_DOCUMENT: ("issued", "dated"),
    DocumentType.OTHER: ("printed", "dated", "issued", "sent", "signed", "filed", "sworn"),
}
_MAIL_HEAD = 900
"""Letters within which a mail says when it was sent, before any that it answers."""
_DECIDING_ELSE = ("dated", "issued", "sent", "signed", "filed", "sworn")
_NEVER_THE_DATE = frozenset(
    {
        "hearing",
        "trial",
        "deposition",
        "due",
        "born",
        "died",
        "expires",
        "transaction",
        "incident",
        "begins",
        "ends",
    }
)


def document_date(
    dates: Sequence[FoundDate], kind: DocumentType, page_count: int
) -> tuple[date | None, float]:
    """The document's own date and how plainly the text says it is (1 labelled … 0.2 none).

    Labelled dates come first, in the order that suits the type; letters and
    invoices carry theirs at the head, orders at the end. A date that only
    something else bears (a hearing, a birth) is never taken.
    """
    if kind is DocumentType.EMAIL:
        headed = next((d for d in dates if d.page == 1 and d.start < _MAIL_HEAD), None)
        if headed and headed.what not in _NEVER_THE_DATE:
            return headed.on, 1.0 if headed.plainly else 0.6
    edges = [d for d in dates if d.page in {1, 2, page_count - 1, page_count}]
    deciding = _DECIDING.get(kind, _DECIDING_ELSE)
    for role in deciding:
        for found in edges:
            if found.what == role and found.plainly:
                return found.on, 1.0
    for role in deciding:
        for found in edges:
            if found.what == role:
                return found.on, 0.6
    for found in edges:
        if found.page == 1 and found.what not in _NEVER_THE_DATE:
            return found.on, 0.4
    return None, 0.2
