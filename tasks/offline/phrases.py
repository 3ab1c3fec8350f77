"""What the words of a document say about its type, by weight."""

import re
from collections.abc import Sequence
from functools import lru_cache

from schema.analysis import DocumentType as T

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


@lru_cache(maxsize=1024)
def _phrase(words: str) -> re.Pattern[str]:
    spaced = r"\s{0,3}".join(re.escape(word) for word in words.split())
    left = r"\b" if words[0].isalnum() else ""
    right = r"\b" if words[-1].isalnum() else ""
    return re.compile(left + spaced + right, re.IGNORECASE)


def _place(words: str, texts: Sequence[str]) -> float:
    """Where a phrase stands: 1 on the first page, half on another, which may be an attachment."""
    pattern = _phrase(words)
    if texts and pattern.search(texts[0]):
        return 1.0
    return 0.5 if any(pattern.search(text) for text in texts[1:]) else 0.0


def phrase_scores(texts: Sequence[str]) -> dict[T, float]:
    """How much the words of the pages speak for each type."""
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
