"""What the words of a document say about its type, by weight."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

from schema.analysis import DocumentType as T

# What the text says anywhere, by weight. Spaces may be missing, as OCR leaves them.
_PHRASES: dict[T, tuple[tuple[str, float], ...]] = {
    T.OTHER: (
        ("docket text", 3), ("civil docket for case", 6), ("criminal docket for case", 6),
        ("register of actions", 4), ("party information", 2), ("case information", 1),
        ("docket entries", 3), ("events & orders of the court", 4), ("case summary", 1.5),
        ("events and hearings", 2), ("financial information", 1), ("docket information", 3),
    ),
    T.EMAIL: (
        ("original message", 1.5),
        ("sent from my iphone", 3),
        ("forwarded message", 2.5),
        ("sent from my", 1),
    ),
    T.ID_DOCUMENT: (
        ("hgt", 2),
        ("eyes", 1.5),
        ("given names", 1.5),
        ("nationality", 1),
        ("passport no", 3),
        ("p<", 2),
        ("endorsements", 0.5),
        ("date of expiry", 1.5),
        ("restrictions", 0.5),
        ("donor", 0.5),
    ),
    T.COURT_ORDER: (
        ("upon hearing", 2),
        ("upon reading", 2),
        ("the court orders that", 4),
        ("this court orders", 4),
        ("it is hereby directed", 3),
        ("the following order is made", 3),
        ("by the court", 1.5),
        ("it is hereby ordered", 4), ("it is ordered", 4), ("it is so ordered", 3),
        ("so ordered", 2), ("the court orders", 3), ("the court finds", 2),
        ("having considered", 1.5), ("is granted", 1), ("is denied", 1),
    ),
    T.JUDGMENT: (
        ("it is adjudged", 4),
        ("judgment for the plaintiff", 2),
        ("judgment for the claimant", 3),
        ("have and recover", 3),
        ("let judgment be entered", 3),
        ("it is this day adjudged", 4),
        ("adjudged and decreed", 4), ("judgment is entered", 4), ("judgment is hereby", 4),
        ("im namen des volkes", 5),
    ),
    T.MOTION: (
        ("moves this court", 4), ("respectfully moves", 4), ("moves the court", 4),
        ("moves for an order", 4), ("movant", 1.5), ("in support of this motion", 2),
        ("this motion", 1.5),
    ),
    T.COMPLAINT: (
        ("plaintiff prays", 2),
        ("prays judgment", 3),
        ("general allegations", 2),
        ("first cause of action", 3),
        ("claims damages", 2),
        ("the claimant claims", 4),
        ("the plaintiff claims", 4),
        ("particulars of negligence", 3),
        ("statement of truth", 0.5),
        ("grand jury charges", 4),
        ("against the peace", 3),
        ("incurred damages", 1),
        ("complaining of", 2),
        ("for his complaint", 3),
        ("for its complaint", 3),
        ("for her complaint", 3),
        ("nature of the action", 2),
        ("plaintiff alleges", 3), ("prayer for relief", 2.5), ("cause of action", 2),
        ("count i", 1.5), ("jury demand", 2), ("demand for jury trial", 2),
        ("jurisdiction and venue", 2), ("prays for judgment", 3), ("plaintiff demands", 2),
        ("complains of defendant", 3),
    ),
    T.ANSWER: (
        ("denies each", 3),
        ("denies knowledge or information", 3),
        ("admits paragraph", 2),
        ("denied for want of", 2),
        ("the defendant denies", 2.5),
        ("is admitted", 1),
        ("is denied", 0.5),
        ("is not admitted", 2),
        ("required to prove", 1.5),
        ("save as aforesaid", 2),
        ("save as expressly admitted", 3),
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
        ("you are ordered to appear", 4),
        ("appear as a witness", 2),
        ("you are commanded", 4), ("we command you", 4), ("duces tecum", 3),
        ("custodian of records", 1.5), ("you are hereby commanded", 4),
    ),
    T.AFFIDAVIT: (
        ("make oath and say", 4),
        ("sworn before me", 2),
        ("commissioner for oaths", 1.5),
        ("statement of truth", 0.5),
        ("i believe that the facts stated in this witness statement", 3),
        ("solemnly and sincerely declare", 4),
        ("says under oath", 3),
        ("i am over the age", 1.5),
        ("deposes and says", 3.5),
        ("being duly sworn", 4), ("being first duly sworn", 4), ("under penalty of perjury", 2.5),
        ("affiant", 2), ("subscribed and sworn", 2.5), ("further affiant sayeth", 3),
        ("i have personal knowledge", 2),
    ),
    T.NOTICE: (
        ("notice to end", 3),
        ("notice to vacate", 3),
        ("notice of termination", 2.5),
        ("notice of default", 2),
        ("take notice", 2),
        ("you must", 0.5),
        ("this notice", 1.5),
        ("hereby given notice", 3),
        ("you are required to", 1),
        ("notice to quit", 3),
        ("receipt number", 0.3),
        ("notice date", 2),
        ("you have been sued", 4),
        ("a lawsuit has been filed against you", 4),
        ("please take notice", 4), ("you are hereby notified", 4), ("notice is hereby given", 4),
        ("you are notified", 3),
    ),
    T.CONTRACT: (
        ("the borrower", 1),
        ("the buyer", 1),
        ("the seller", 1),
        ("whereas", 1),
        ("it is agreed", 2),
        ("policy number", 0.5),
        ("coverage", 1),
        ("deductible", 1),
        ("policy period", 2.5),
        ("limits of liability", 2),
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
        ("rent", 0.5),
        ("tenancy", 1.5),
        ("shall pay as rent", 2),
        ("this lease", 2.5), ("the landlord", 1), ("the tenant", 1), ("security deposit", 1),
        ("leased premises", 2), ("lessor", 1.5), ("lessee", 1.5), ("monthly rent", 1.5),
    ),
    T.DEED: (
        ("to have and to hold", 0.5),
        ("convey unto", 2),
        ("does hereby grant", 1),
        ("hereby grants", 2),
        ("hereby remises", 2),
        ("land registry", 2),
        ("register of deeds", 2),
        ("fee simple", 1.5),
        ("title number", 2),
        ("transferor", 2),
        ("transferee", 2),
        ("grantor", 2), ("grantee", 2), ("convey and warrant", 3), ("remise, release", 3),
        ("quitclaim", 2.5), ("bargain and sell", 2), ("to have and to hold", 2),
    ),
    T.WILL: (
        ("per stirpes", 2),
        ("i revoke", 2),
        ("i appoint", 1),
        ("testator", 2),
        ("testatrix", 2),
        ("this is my will", 4),
        ("this is the last will", 4),
        ("i bequeath", 2),
        ("my last will", 4), ("i give, devise", 3), ("i devise and bequeath", 3),
        ("my executor", 2), ("revoke all", 2), ("of sound mind", 2), ("this codicil", 4),
    ),
    T.POWER_OF_ATTORNEY: (
        ("attorney-in-fact", 3), ("attorney in fact", 3), ("this power of attorney", 4),
        ("durable power", 2), ("my agent", 1.5),
    ),
    T.TAX_FORM: (
        ("form 1099", 3),
        ("1099-misc", 3),
        ("form 1040", 3),
        ("form w-2", 3),
        ("tax calculation", 2),
        ("tax due", 1),
        ("profit or loss from business", 3),
        ("gross receipts", 1),
        ("omb no. 1545", 3),
        ("payer's tin", 3),
        ("employer identification number", 1),
        ("national insurance number", 1),
        ("tax deducted", 2),
        ("canada revenue agency", 1.5),
        ("hm revenue", 1.5),
        ("medicare wages", 3),
        ("notice of assessment", 3),
        ("tax code", 1),
        ("total payment and tax", 1.5),
        ("internal revenue service", 2), ("department of the treasury", 2), ("taxable income", 2),
        ("adjusted gross income", 2.5), ("tax year", 1), ("filing status", 2.5),
        ("federal income tax withheld", 3), ("wages, tips", 3),
    ),
    T.MEDICAL_RECORD: (
        ("sig:", 2),
        ("referring physician", 2),
        ("dx", 1),
        ("pain scale", 1.5),
        ("pt reports", 2),
        ("tolerated well", 2),
        ("plan of care", 2),
        ("arom", 2),
        ("dea", 1),
        ("dob", 0.5),
        ("hpi", 2),
        ("allergies", 1.5),
        ("nkda", 2),
        ("icd-10", 1.5),
        ("impression:", 1.5),
        ("subjective", 1.5),
        ("objective", 1),
        ("specimen", 2),
        ("reference range", 2.5),
        ("mg", 0.5),
        ("electronically signed by", 1),
        ("refill", 1),
        ("nhs number", 2.5),
        ("dear dr", 1),
        ("chief complaint", 3), ("diagnosis", 1.5), ("medications", 1.5), ("assessment", 0.5),
        ("date of service", 1), ("patient name", 1.5), ("patient:", 1.5), ("mrn", 2),
        ("history of present illness", 3), ("vital signs", 2), ("blood pressure", 1.5),
        ("attending physician", 2), ("physical exam", 2), ("range of motion", 1),
        ("follow up", 0.5), ("discharged", 1), ("surgery", 0.5),
    ),
    T.POLICE_REPORT: (
        ("an garda", 2),
        ("police", 1.5),
        ("stolen", 1),
        ("hrs", 0.5),
        ("offense", 1),
        ("complainant", 0.5),
        ("case number", 0.3),
        ("narrative", 1),
        ("patrol", 1.5),
        ("garda", 1.5),
        ("constable", 1.5),
        ("pc ", 0.5),
        ("responded to", 1),
        ("victim:", 1),
        ("units", 0.2),
        ("incident number", 1),
        ("at fault", 0.5),
        ("vehicle 1", 1.5),
        ("unit 1", 1),
        ("reporting officer", 3), ("police department", 2), ("badge", 2), ("sheriff", 1),
        ("suspect", 1.5), ("victim", 1), ("investigating officer", 3), ("dispatched", 1.5),
        ("incident no", 1.5), ("arrested", 1), ("miranda", 2), ("citation issued", 1.5),
    ),
    T.CERTIFICATE: (
        ("do hereby certify", 3),
        ("this is to certify", 4),
        ("certify that", 0.5),
        ("in good standing", 2),
        ("given under", 1),
        ("issued this", 1),
        ("date issued", 1),
        ("seal of", 0.5),
        ("place of death", 2),
        ("apostille", 3),
        ("true and correct copy of the record", 2),
        ("registered in", 1),
        ("cause of death", 3), ("place of birth", 1.5), ("registrar", 2), ("vital records", 3),
        ("vital statistics", 3), ("certified copy", 1),
    ),
    T.INVOICE: (
        ("current charges", 2.5),
        ("repair order", 2.5),
        ("mileage in", 1),
        ("part no", 1),
        ("total charges", 1.5),
        ("contractual adjustment", 2),
        ("patient payment", 1.5),
        ("paying by credit card", 2.5),
        ("separate bill", 1),
        ("account balance", 1),
        ("service address", 2),
        ("kwh", 2),
        ("please pay", 1),
        ("pay this amount", 2.5),
        ("patient responsibility", 2.5),
        ("detach and return", 2),
        ("amount enclosed", 1.5),
        ("past due", 0.5),
        ("for professional services", 2),
        ("balance forward", 1),
        ("hours rate", 1),
        ("make checks payable", 1.5),
        ("qty", 1),
        ("unit price", 1.5),
        ("total amount due", 1.5),
        ("vat reg", 1.5),
        ("statement of services", 2),
        ("invoice no", 3), ("invoice number", 3), ("invoice date", 3), ("invoice #", 3),
        ("bill to", 2.5), ("billed to", 2), ("amount due", 1.5), ("total due", 1.5),
        ("balance due", 1.5), ("payment terms", 1.5), ("remit to", 1.5), ("net 30", 1.5),
        ("rechnungsnummer", 4), ("rechnungsdatum", 3), ("numéro de facture", 4),
    ),
    T.RECEIPT: (
        ("auth code", 2.5),
        ("approval code", 2.5),
        ("card ending", 1),
        ("cashier", 2),
        ("merchant copy", 3),
        ("customer copy", 3),
        ("change due", 2),
        ("return policy", 2),
        ("thank you for shopping", 3),
        ("register", 0.5),
        ("payment method", 1),
        ("amount paid", 1.5),
        ("amount tendered", 3),
        ("paid by", 1),
        ("received with thanks", 2.5),
        ("transaction id", 1),
        ("received from", 2.5), ("payment received", 2.5), ("receipt no", 3.5),
        ("cash tendered", 3),
        ("change due", 2.5), ("thank you for your purchase", 3),
        ("thank you for your payment", 2.5),
        ("paid in full", 1.5), ("receipt number", 3.5), ("subtotal", 0.5),
    ),
    T.BANK_STATEMENT: (
        ("balance brought forward", 3),
        ("balance carried forward", 3),
        ("paid in", 1),
        ("paid out", 1),
        ("sort code", 1),
        ("direct debit", 1),
        ("available credit", 2),
        ("interest charged", 1.5),
        ("payment due date", 0.5),
        ("beginning balance", 3), ("ending balance", 3), ("opening balance", 3),
        ("closing balance", 3), ("statement period", 3), ("account number", 1),
        ("previous balance", 2), ("current balance", 1.5), ("annual percentage yield", 2),
        ("overdraft", 1), ("member fdic", 2), ("minimum payment due", 2.5), ("credit limit", 2),
        ("statement date", 1), ("closing date", 1), ("account activity", 2), ("daily balance", 2),
        ("withdrawals", 1.5), ("deposits", 1.5), ("account summary", 1.5), ("new balance", 1),
        ("kontostand", 3),
    ),
    T.LETTER: (
        ("yours sincerely", 3.5),
        ("yours etc", 1),
        ("love,", 1),
        ("regards,", 1),
        ("we act for", 1),
        ("i write to", 1),
        ("i am writing", 1.5),
        ("we are writing", 1.5),
        ("our ref", 1),
        ("your ref", 1),
        ("sincerely", 2.5),
        ("very truly yours", 3.5), ("yours truly", 3), ("yours faithfully", 3.5),
        ("best regards", 1.5), ("kind regards", 1.5), ("respectfully yours", 3),
        ("enclosure", 1), ("via certified mail", 1.5), ("to whom it may concern", 3),
        ("sehr geehrte", 3), ("mit freundlichen grüßen", 3.5), ("mit freundlichen gruessen", 3.5),
        ("madame, monsieur", 3), ("estimado", 2.5), ("estimada", 2.5), ("atentamente", 2.5),
        ("egregio", 2), ("distinti saluti", 3), ("cordialement", 2),
    ),
    T.REPORT: (
        ("present:", 1),
        ("meeting was called to order", 4),
        ("motion carried", 3),
        ("minutes of", 2),
        ("seconded", 2),
        ("adjourned", 1.5),
        ("in attendance", 1.5),
        ("quorum", 2),
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
_MAIL_PRINTED = re.compile(
    r"(?:^|\n)[ ]{0,20}[^\n<>@]{2,60} <[^\s<>@]{1,60}@[^\s<>@]{1,60}>[^\n]{0,120}"
    r"(?:\n[^\n]{0,120}){0,2}?\n[ ]{0,10}(?:To|An|Cc)\s?:",
)
"""How a mail program prints who wrote, without `From:`."""
_MAIL_QUOTED = re.compile(r"(?:^|\n)[ >]{0,10}On [^\n]{8,120}(?:\n[ >]{0,10}[^\n]{0,80})? wrote:")
_LETTER_CLOSES = re.compile(
    r"\n[ ]{0,60}(?:many thanks|thanks|thank you|(?:with )?(?:best|kind|warm)?(?:est)? ?"
    r"(?:regards|wishes)|love|cheers|respectfully|yours|best|sincerely|cordially)[ ]?,[ ]{0,4}\n"
    r"(?:[ ]{0,60}\n){0,4}"
    r"[ ]{0,60}[A-Z][^\n]{1,50}(?:\n|$)",
    re.IGNORECASE,
)
_GREETED_BY_NAME = re.compile(
    r"\n[ ]{0,20}\n[ ]{0,8}(?:(?:Hi|Hello|Mr|Mrs|Ms|Dr)\.? )?[A-Z][a-z]{1,14}"
    r"(?: [A-Z][a-z]{1,14})?[,:][ ]{0,3}\n"
)
_TILL_ROLL = (
    re.compile(r"\bsub\s?-?total\b", re.IGNORECASE),
    re.compile(r"\b(?:tax|vat|gst|hst)\b", re.IGNORECASE),
    re.compile(
        r"\b(?:visa|mastercard|amex|debit|cash|change|tend(?:er(?:ed)?)?|auth|contactless)\b",
        re.IGNORECASE,
    ),
)
"""What a till prints: a sum before tax, the tax, and how it was paid."""
_FORM_NUMBER = re.compile(r"(?:^|\n)\s{0,20}(?:Form|FORM)\s{1,2}[A-Z0-9][A-Z0-9-]{1,12}\b")


@lru_cache(maxsize=1024)
def _phrase(words: str) -> tuple[str, re.Pattern[str]]:
    spaced = r"\s{0,3}".join(re.escape(word) for word in words.split())
    left = r"\b" if words[0].isalnum() else ""
    right = r"\b" if words[-1].isalnum() else ""
    return "".join(words.split()), re.compile(left + spaced + right, re.IGNORECASE)


@dataclass(frozen=True)
class _Searched:
    """A page's text, and the same in small letters without spaces: most phrases are not there."""

    text: str
    squashed: str

    @classmethod
    def of(cls, text: str) -> Self:
        return cls(text, "".join(text.lower().split()))

    def has(self, words: str) -> bool:
        squashed, pattern = _phrase(words)
        return squashed in self.squashed and bool(pattern.search(self.text))


def _place(words: str, pages: Sequence[_Searched]) -> float:
    """Where a phrase stands: 1 on the first page, half on another, which may be an attachment."""
    if pages and pages[0].has(words):
        return 1.0
    return 0.5 if any(page.has(words) for page in pages[1:]) else 0.0


def phrase_scores(texts: Sequence[str]) -> dict[T, float]:
    """How much the words of the pages speak for each type."""
    scores: dict[T, float] = {}
    searched = [_Searched.of(text) for text in texts]
    for kind, phrases in _PHRASES.items():
        score = sum(weight * _place(words, searched) for words, weight in phrases)
        if score:
            scores[kind] = score
    first = texts[0] if texts else ""
    if _LETTER_OPENS.search(first[:4000]):
        scores[T.LETTER] = scores.get(T.LETTER, 0.0) + 3.5
    if _LETTER_CLOSES.search(first[-1500:]) or _LETTER_CLOSES.search(first[:4000]):
        scores[T.LETTER] = scores.get(T.LETTER, 0.0) + 2.0
    if _GREETED_BY_NAME.search(first[:2500]):
        scores[T.LETTER] = scores.get(T.LETTER, 0.0) + 1.5
    if all(word.search(first[:4000]) for word in _TILL_ROLL):
        scores[T.RECEIPT] = scores.get(T.RECEIPT, 0.0) + 2.5
    if _FORM_NUMBER.search(first[:1500]):
        scores[T.FORM] = scores.get(T.FORM, 0.0) + 2.5
    mail = {match[1].lower() for match in _MAIL_HEAD.finditer(first[:2500])}
    if {"from", "to"} <= mail and ("subject" in mail or "sent" in mail):
        scores[T.EMAIL] = 6.0 + len(mail)
    elif _MAIL_PRINTED.search(first[:3000]) or (
        "@" in first[:1500] and {"subject", "date"} <= mail and mail & {"from", "to"}
    ):
        scores[T.EMAIL] = scores.get(T.EMAIL, 0.0) + 6.0
    if _MAIL_QUOTED.search(first[:6000]):
        scores[T.EMAIL] = scores.get(T.EMAIL, 0.0) + 3.0
    return scores
