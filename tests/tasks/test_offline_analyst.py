import time
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schema.analysis import Analysis, DocumentType, Sensitivity
from tasks.offline_analyst import ANALYST, analyse_offline

ORDER = """FILED
March 4, 2024
Clerk of the Superior Court

IN THE SUPERIOR COURT OF THE STATE OF CALIFORNIA
COUNTY OF ALAMEDA

JANE DOE,                          )
                                   )   Case No. RG23-012345
          Plaintiff,               )
                                   )   ORDER GRANTING MOTION TO
     v.                            )   COMPEL DISCOVERY
                                   )
ACME LOGISTICS, INC., a Delaware   )
corporation,                       )
          Defendant.               )

This matter came before the Court on February 28, 2024 on Plaintiff's motion to
compel. Having considered the papers, and good cause appearing, IT IS HEREBY
ORDERED that the motion is GRANTED.

Defendant Acme Logistics, Inc. shall produce all documents no later than
March 22, 2024 and shall pay sanctions of $1,250.00 to Plaintiff. A further hearing
is set for April 15, 2024 at 9:30 a.m. in Department 12.

IT IS SO ORDERED this 5th day of March, 2024.

______________________________
Hon. Maria T. Lopez
Judge of the Superior Court
"""

LETTER = """SMITH & JONES LLP
100 Main Street, Suite 400
Springfield, IL 62701

March 3, 2024

Mr. Robert Brown
55 Oak Avenue
Springfield, IL 62704

Re: Return of security deposit, 12 Elm Street

Dear Mr. Brown:

This firm represents Ms. Jane Doe. In your letter dated February 2, 2024, you refused to
return the security deposit of $2,400.00. Under the lease, the deposit was due on January
31, 2024. Please pay the full amount by March 20, 2024, or our client will file suit.

Sincerely,

/s/ Anna Smith
Anna Smith, Esq.
"""

INVOICE = """INVOICE
Smith & Jones LLP
Invoice No. 2024-0117
Invoice Date: 02/29/2024
Due Date: 03/30/2024

Bill To:
Jane Doe
12 Elm Street

Description                     Hours   Rate      Amount
Drafting of complaint            3.50   $300.00   $1,050.00
Filing fee                                        $435.00

Total due                                         $1,485.00
"""

STATEMENT = """First Springfield Bank
Account Statement
Account holder: Jane Doe
Statement period: February 1, 2024 through February 29, 2024

Beginning balance      1,204.11
02/03/2024 Deposit payroll      2,500.00     3,704.11
02/10/2024 Check 1042 rent     -1,200.00     2,504.11
Ending balance      2,504.11
"""

PETITION = """IN THE PROBATE COURT OF COOK COUNTY, ILLINOIS

IN RE ESTATE OF JOHN SMITH,            No. 2024 P 001122
Deceased.

PETITION FOR PROBATE OF WILL AND
FOR LETTERS TESTAMENTARY

Petitioner Mary Smith alleges that John Smith died on January 5, 2024, leaving an estate
worth approximately $450,000.

Dated: 3 March 2024
/s/ Mary Smith
"""


def analysed(*pages: str, file_name: str = "scan_0001.pdf") -> Analysis:
    return analyse_offline(pages, file_name=file_name)


def dates_of(analysis: Analysis) -> dict[date, str]:
    return {fact.on: fact.what for fact in analysis.dates}


def parties_of(analysis: Analysis) -> set[tuple[str, str]]:
    return {(party.name, party.role) for party in analysis.parties}


def test_an_order_yields_what_was_ordered_by_whom_and_by_when() -> None:
    order = analysed(ORDER)
    assert order.type is DocumentType.COURT_ORDER
    assert order.title == "ORDER GRANTING MOTION TO COMPEL DISCOVERY"
    assert order.document_date == date(2024, 3, 5)
    assert dates_of(order) == {
        date(2024, 3, 4): "filed",
        date(2024, 2, 28): "mentioned",
        date(2024, 3, 22): "due",
        date(2024, 4, 15): "hearing",
        date(2024, 3, 5): "signed",
    }
    assert parties_of(order) == {("JANE DOE", "plaintiff"), ("Acme Logistics, Inc.", "defendant")}
    assert [(one.name, one.role) for one in order.people] == [("Hon. Maria T. Lopez", "judge")]
    assert [(a.value, a.currency) for a in order.amounts] == [(Decimal("1250.00"), "USD")]
    assert "sanctions" in order.amounts[0].what
    assert "Case number: RG23-012345" in [fact.fact for fact in order.key_facts]
    assert order.analyst == ANALYST


def test_a_letter_yields_sender_recipient_subject_and_its_own_date() -> None:
    letter = analysed(LETTER)
    assert letter.type is DocumentType.LETTER
    assert letter.title == "Return of security deposit, 12 Elm Street"
    assert letter.document_date == date(2024, 3, 3)
    assert dates_of(letter)[date(2024, 3, 20)] == "due"
    assert parties_of(letter) == {("Anna Smith, Esq.", "sender"), ("Mr. Robert Brown", "recipient")}
    assert "Ms. Jane Doe" in [one.name for one in letter.people]


def test_an_invoice_yields_its_rows_total_and_due_date() -> None:
    invoice = analysed(INVOICE)
    assert invoice.type is DocumentType.INVOICE
    assert invoice.document_date == date(2024, 2, 29)
    assert dates_of(invoice)[date(2024, 3, 30)] == "due"
    what = {amount.value: amount.what for amount in invoice.amounts}
    assert what[Decimal("1050.00")] == "Drafting of complaint"
    assert what[Decimal("1485.00")] == "Total due"
    assert ("Smith & Jones LLP", "issuer") in parties_of(invoice)
    assert ("Jane Doe", "billed to") in parties_of(invoice)
    assert "$1,485.00" in invoice.summary


def test_a_statement_yields_amounts_without_a_sign_and_the_end_of_its_period() -> None:
    statement = analysed(STATEMENT)
    assert statement.type is DocumentType.BANK_STATEMENT
    assert statement.document_date == date(2024, 2, 29)
    assert dates_of(statement)[date(2024, 2, 3)] == "transaction"
    assert {Decimal("1204.11"), Decimal("-1200.00")} <= {a.value for a in statement.amounts}
    assert parties_of(statement) == {
        ("Jane Doe", "account holder"),
        ("First Springfield Bank", "bank"),
    }


def test_an_estate_is_a_party_and_so_is_the_petitioner() -> None:
    petition = analysed(PETITION)
    assert petition.type is DocumentType.PLEADING
    assert petition.title == "PETITION FOR PROBATE OF WILL AND FOR LETTERS TESTAMENTARY"
    assert petition.document_date == date(2024, 3, 3)
    assert parties_of(petition) == {
        ("ESTATE OF JOHN SMITH", "estate"),
        ("Mary Smith", "petitioner"),
    }
    assert dates_of(petition)[date(2024, 1, 5)] == "died"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("ORDER DENYING MOTION TO DISMISS\nThe motion is denied.", DocumentType.COURT_ORDER),
        ("MOTION FOR SUMMARY JUDGMENT\nPlaintiff moves this Court.", DocumentType.MOTION),
        ("NOTICE OF HEARING\nPlease take notice.", DocumentType.NOTICE),
        ("AFFIDAVIT IN SUPPORT OF MOTION\nI, Jane Doe, swear.", DocumentType.AFFIDAVIT),
        ("DEFAULT JUDGMENT\nJudgment is entered for Plaintiff.", DocumentType.JUDGMENT),
        ("COMPLAINT FOR DAMAGES\nPlaintiff alleges:", DocumentType.COMPLAINT),
        ("Residential Lease Agreement\nThis agreement binds us.", DocumentType.LEASE),
        ("RECEIPT\nReceived from Jane Doe $20.00", DocumentType.RECEIPT),
        ("INCIDENT REPORT\nThe officer arrived at noon.", DocumentType.REPORT),
        ("O R D E R\nIt is ordered that the motion is denied.", DocumentType.COURT_ORDER),
        ("0RDERGRANTING MOTION\nITISHEREBY ORDERED", DocumentType.COURT_ORDER),
        (
            "From: A <a@b.c>\nTo: C <c@b.c>\nSent: March 4, 2024\nSubject: Hearing",
            DocumentType.EMAIL,
        ),
        ("Rechnung\nRechnungsnummer 17\nBetrag 20,00 EUR", DocumentType.INVOICE),
        (
            "Ann Poe <a@b.c>   Fri, May 3, 2019 at 4:12 PM\nTo: r@b.c\nHi, all well?",
            DocumentType.EMAIL,
        ),
        (
            "I, THE SECRETARY, DO HEREBY CERTIFY that it is IN GOOD STANDING",
            DocumentType.CERTIFICATE,
        ),
        ("Tom,\n\nI move out in June.\n\nThanks,\n\nAnn Poe\n", DocumentType.LETTER),
        ("Subtotal 3.48\nTax 0.24\nTotal 3.72\nVISA 3.72", DocumentType.RECEIPT),
        ("CIVIL DOCKET FOR CASE #: 1:18-cv-1\n05/03/2018 1 COMPLAINT", DocumentType.OTHER),
        ("lorem ipsum", DocumentType.OTHER),
    ],
)
def test_the_heading_and_the_phrases_decide_the_type(text: str, kind: DocumentType) -> None:
    assert analysed(text).type is kind


@pytest.mark.parametrize(
    ("heading", "kind"),
    [
        ("PETITIONER'S MOTION FOR TEMPORARY ORDERS", DocumentType.MOTION),
        ("PLAINTIFFS' EX PARTE APPLICATION", DocumentType.MOTION),
        ("NOTICE OF MOTION AND MOTION TO STRIKE", DocumentType.MOTION),
        ("RESPONDENT'S ANSWER TO PETITION", DocumentType.ANSWER),
        ("FIRST AMENDED COMPLAINT", DocumentType.COMPLAINT),
        ("CROSS-COMPLAINT FOR INDEMNITY", DocumentType.COMPLAINT),
        ("PETITION FOR DISSOLUTION OF MARRIAGE", DocumentType.PLEADING),
        ("REPLY TO OPPOSITION", DocumentType.PLEADING),
        ("ANSWERS TO INTERROGATORIES", DocumentType.DISCOVERY),
        ("ANSWERS TO FORM A UNIFORM INTERROGATORIES", DocumentType.DISCOVERY),
        ("NOTICE TO PLEAD\n\nANSWER TO COMPLAINT WITH NEW MATTER", DocumentType.ANSWER),
        ("STATEMENT OF HOSPITAL SERVICES", DocumentType.INVOICE),
        ("DAILY NOTE / PROGRESS REPORT", DocumentType.MEDICAL_RECORD),
        ("ASSIGNMENT OF MORTGAGE", DocumentType.DEED),
        ("CERTIFICATION OF TRUST", DocumentType.WILL),
        ("PLAINTIFF'S FIRST REQUESTS FOR PRODUCTION", DocumentType.DISCOVERY),
        ("DEPOSITION OF JANE DOE", DocumentType.TRANSCRIPT),
        ("NOTICE OF DEPOSITION OF JANE DOE", DocumentType.NOTICE),
        ("REPORTER'S TRANSCRIPT OF PROCEEDINGS", DocumentType.TRANSCRIPT),
        ("DEPOSITION SUBPOENA", DocumentType.SUBPOENA),
        ("ORDER ON MOTION TO QUASH SUBPOENA", DocumentType.COURT_ORDER),
        ("WRIT OF EXECUTION", DocumentType.COURT_ORDER),
        ("SETTLEMENT AGREEMENT AND MUTUAL RELEASE", DocumentType.SETTLEMENT),
        ("RELEASE OF ALL CLAIMS", DocumentType.SETTLEMENT),
        ("QUITCLAIM DEED", DocumentType.DEED),
        ("DEED OF TRUST", DocumentType.DEED),
        ("LAST WILL AND TESTAMENT OF JOHN DOE", DocumentType.WILL),
        ("FIRST CODICIL", DocumentType.WILL),
        ("DURABLE POWER OF ATTORNEY", DocumentType.POWER_OF_ATTORNEY),
        ("COMMERCIAL SUBLEASE", DocumentType.LEASE),
        ("DISCHARGE SUMMARY", DocumentType.MEDICAL_RECORD),
        ("RADIOLOGY REPORT", DocumentType.MEDICAL_RECORD),
        ("ARREST REPORT", DocumentType.POLICE_REPORT),
        ("CERTIFICATE OF DEATH", DocumentType.CERTIFICATE),
        ("DRIVER LICENSE", DocumentType.ID_DOCUMENT),
        ("SHORT FORM POWER OF ATTORNEY", DocumentType.POWER_OF_ATTORNEY),
        ("DECLARATION OF JANE DOE", DocumentType.AFFIDAVIT),
        ("PROOF OF SERVICE BY MAIL", DocumentType.AFFIDAVIT),
        ("SUMMONS", DocumentType.NOTICE),
        ("COMPLAINT FOR DAMAGES:", DocumentType.COMPLAINT),
        ("DEFENDANT'S OBJECTIONS AND RESPONSES TO INTERROGATORIES", DocumentType.DISCOVERY),
        ("RESPONSES TO FORM INTERROGATORIES, SET ONE", DocumentType.DISCOVERY),
        ("ORDER FOR JUDGMENT", DocumentType.JUDGMENT),
        ("ORDER ON MOTION FOR DEFAULT JUDGMENT", DocumentType.COURT_ORDER),
        ("PARTICULARS OF CLAIM", DocumentType.COMPLAINT),
        ("STATEMENT OF CLAIM", DocumentType.COMPLAINT),
        ("DEFENCE AND COUNTERCLAIM", DocumentType.ANSWER),
        ("NOTICE OF APPLICATION", DocumentType.MOTION),
        ("WITNESS STATEMENT OF JANE DOE", DocumentType.AFFIDAVIT),
        ("STATUTORY DECLARATION", DocumentType.AFFIDAVIT),
        ("SEVERANCE AGREEMENT AND GENERAL RELEASE", DocumentType.SETTLEMENT),
        ("ASSURED SHORTHOLD TENANCY AGREEMENT", DocumentType.LEASE),
        ("Lasting power of attorney for financial decisions", DocumentType.POWER_OF_ATTORNEY),
        ("LIVING WILL", DocumentType.POWER_OF_ATTORNEY),
        ("PURCHASE ORDER", DocumentType.CONTRACT),
        ("CERTIFICATE OF NATURALIZATION", DocumentType.CERTIFICATE),
        ("PATIENT STATEMENT", DocumentType.INVOICE),
        ("PERMANENT RESIDENT", DocumentType.ID_DOCUMENT),
        ("AUTHORIZATION FOR RELEASE OF INFORMATION", DocumentType.FORM),
    ],
)
def test_the_taxonomy_follows_the_headings_of_the_trade(heading: str, kind: DocumentType) -> None:
    assert analysed(f"{heading}\nSome words that say nothing in particular.").type is kind


def test_an_incident_report_is_the_polices_when_officers_speak_in_it() -> None:
    heading = "INCIDENT REPORT\n"
    assert analysed(f"{heading}The forklift tipped over.").type is DocumentType.REPORT
    officers = "Reporting officer: A. Poe, badge 12, Springfield Police Department."
    assert analysed(heading + officers).type is DocumentType.POLICE_REPORT


def test_an_order_says_which_court_which_case_and_when_it_was_filed() -> None:
    order = analysed(ORDER)
    assert order.court == "SUPERIOR COURT OF THE STATE OF CALIFORNIA, COUNTY OF ALAMEDA"
    assert order.case_number == "RG23-012345"
    assert order.filing_date == date(2024, 3, 4)
    assert order.service_date is None


def test_filing_and_service_of_another_paper_are_not_this_ones() -> None:
    motion = (
        "SUPERIOR COURT OF OHIO\nCase No. 24-17\nMOTION TO DISMISS\n"
        "The complaint was filed on March 1, 2024 and served on March 9, 2024.\n"
    )
    assert analysed(motion).filing_date is None
    assert analysed(motion).service_date is None
    certificate = "CERTIFICATE OF SERVICE\nI mailed a copy to all counsel on April 2, 2024.\n"
    assert analysed(motion, certificate).service_date == date(2024, 4, 2)


def test_an_obligation_says_who_must_do_what_by_when_in_words_of_the_page() -> None:
    first, *_ = analysed(ORDER).obligations
    assert first.who == "Defendant Acme Logistics, Inc."
    assert first.what.startswith("produce all documents no later than")
    assert first.due == date(2024, 3, 22)
    assert first.supported
    hearing = next(one for one in analysed(ORDER).obligations if one.due == date(2024, 4, 15))
    assert hearing.who is None


@pytest.mark.parametrize(
    ("text", "who", "due", "deadline"),
    [
        ("Tenant shall vacate the premises by May 1, 2024.", "Tenant", date(2024, 5, 1), None),
        (
            "Defendant must serve its answer within thirty (30) days after service of this order.",
            "Defendant",
            None,
            "within thirty (30) days after service of this order",
        ),
        ("You are commanded to appear and testify on May 1, 2024.", "You", date(2024, 5, 1), None),
        ("IT IS ORDERED that Carl Bell pay $50.00 a month to Ann.", "Carl Bell", None, None),
        ("Please remit the balance to us within 10 days.", None, None, "within 10 days"),
    ],
)
def test_sentences_that_bind_are_obligations(
    text: str, who: str | None, due: date | None, deadline: str | None
) -> None:
    (obligation,) = analysed(text).obligations
    assert (obligation.who, obligation.due, obligation.deadline) == (who, due, deadline)


@pytest.mark.parametrize(
    "text",
    [
        "The term Premises shall mean the house and the garden behind it.",
        "This agreement shall be governed by the laws of Ohio and no other.",
        "The motion came on for hearing on March 1, 2024.\nDated: March 5, 2024",
    ],
)
def test_sentences_that_bind_no_one_are_not(text: str) -> None:
    assert analysed(text).obligations == []


@pytest.mark.parametrize(
    ("text", "flag"),
    [
        ("SSN: 123-45-6789", Sensitivity.SOCIAL_SECURITY_NUMBER),
        ("Account number: XXXX-1234", Sensitivity.FINANCIAL_ACCOUNT),
        ("the minor child, Emma, lives with her mother", Sensitivity.MINOR_NAMED),
        ("Date of birth: March 3, 1980", Sensitivity.DATE_OF_BIRTH),
        ("Patient: Doe. Diagnosis: fracture. Medication: none.", Sensitivity.MEDICAL),
        ("PRIVILEGED AND CONFIDENTIAL", Sensitivity.PRIVILEGED),
        ("This exhibit is FILED UNDER SEAL.", Sensitivity.SEALED),
        ("Driver's license no. D1234567", Sensitivity.IDENTITY_DOCUMENT),
        ("a history of domestic violence", Sensitivity.ABUSE),
    ],
)
def test_what_must_be_handled_with_care_is_flagged(text: str, flag: Sensitivity) -> None:
    assert flag in analysed(text).sensitivity


def test_an_ordinary_letter_has_no_flag() -> None:
    assert analysed(LETTER).sensitivity == []


def test_organisations_are_named_with_the_role_they_have_as_parties() -> None:
    found = {(one.name, one.role) for one in analysed(ORDER).organisations}
    assert ("Acme Logistics, Inc.", "defendant") in {
        (name.title().replace("Inc.", "Inc."), role) for name, role in found
    }
    assert "SMITH & JONES LLP" in [one.name for one in analysed(LETTER).organisations]


@pytest.mark.parametrize(
    "written",
    [
        "March 3, 2024",
        "March3,2024",
        "MARCH 3RD, 2024",
        "March\n3, 2024",
        "Mar. 3 2024",
        "3 March 2024",
        "3rd day of March, 2024",
        "third day of March, 2024",
        "03/03/2024",
        "3/3/24",
        "2024-03-03",
        "O3/O3/2O24",
        "3. März 2024",
        "3 mars 2024",
        "3 de marzo de 2024",
        "3 marzo 2024",
        "third of March, 2024",
        "THIRD DAY OF MARCH, A.D. 2024",
        "third day of March, two thousand twenty-four",
        "3rd day of March in the year of our Lord 2024",
        "03-MAR-2024",
        "03MAR24",
        "3-Mar-24",
        "Mar. 3, '24",
        "2024-MAR-03",
        "2024-03-03T09:30:00Z",
        "03 MAR/MARS 2024",
        "March\n                3, 2024",
        "03-03-24",
    ],
)
def test_a_date_is_read_however_it_is_written(written: str) -> None:
    assert analysed(f"Dated: {written}").document_date == date(2024, 3, 3)


@pytest.mark.parametrize(
    ("text", "on"),
    [
        ("Dated: 03/04/2024", date(2024, 3, 4)),
        ("Dated: 03/04/2024, paid 25/04/2024", date(2024, 4, 3)),
        ("Der Betrag ist von der Firma und von dem Mieter.\nDatum: 03.04.2024", date(2024, 4, 3)),
        ("Dated: Marchl5, 2O24", date(2024, 3, 15)),
        ("Dated: 02/30/2024", None),
        ("Case No. 2024-01-12345 and 555-12-3456", None),
    ],
)
def test_an_ambiguous_or_impossible_date_is_settled_by_the_text(text: str, on: date | None) -> None:
    assert analysed(text).document_date == on


@pytest.mark.parametrize(
    ("cue", "on"),
    [
        ("Leeds LS1 4AP, VAT at 20%", date(2024, 4, 3)),
        ("Dublin 8, Co. Kildare, VAT no. IE123", date(2024, 4, 3)),
        ("Troy, OH 45373", date(2024, 3, 4)),
        ("Fill in as DD/MM/YYYY", date(2024, 4, 3)),
        ("Fill in as MM/DD/YYYY, Leeds LS1 4AP, VAT", date(2024, 3, 4)),
    ],
)
def test_the_country_or_the_form_says_whether_the_day_comes_first(cue: str, on: date) -> None:
    assert analysed(f"{cue}\nDated: 03/04/2024").document_date == on


@pytest.mark.parametrize(
    ("text", "dates"),
    [
        ("May 5, 6 and 7, 2024", [5, 6, 7]),
        ("5-7 May 2024", [5, 7]),
        ("05/05 - 05/07/2024", [5, 7]),
        ("Closing is still May 9", [9]),
        ("He wrote on May 3 and again on May 9, 2024", [3, 9]),
        ("I paid her on 5/2", [2]),
        ("The deposit is due 5/1", [1]),
        ("Missed 5/3 (no ride); MD f/u 5/9", [3, 9]),
        ("OFFICE USE: approved by RG 5/9", [9]),
        ("Pain 3/10 at rest, MMT 3/5, roof 5/12 pitch", []),
        ("Strength 5/5, open 24/7, on 1/2 of the land", []),
        ("due every May 5", []),
        ("May 5 of each year", []),
        ("this 5th day of May, 20__", []),
        ("14 May Street", []),
    ],
)
def test_a_day_takes_its_year_from_the_dates_around_it_or_is_left_out(
    text: str, dates: list[int]
) -> None:
    found = {fact.on for fact in analysed(f"Dated: May 20, 2024\n\n{text}").dates}
    assert found == {date(2024, 5, day) for day in [20, *dates]}


def test_rows_of_a_statement_take_their_year_from_its_period() -> None:
    statement = analysed(
        "BANK STATEMENT\nYour account by date\nStatement period 12/15/2023 - 01/14/2024\n"
        "12/20 12/21 DEPOSIT      100.00\n01/03 01/04 CHECK 204     20.00-\n"
    )
    assert statement.document_date == date(2024, 1, 14)
    assert {date(2023, 12, 20), date(2023, 12, 21), date(2024, 1, 3)} <= set(dates_of(statement))
    assert Decimal("-20.00") in {amount.value for amount in statement.amounts}


def test_the_line_numbers_of_pleading_paper_are_not_read() -> None:
    lines = ["JANE DOE,", "     Plaintiff,", "v.", "ACME CORP.,", "     Defendant.",
             "COMPLAINT FOR DAMAGES", "Plaintiff was hurt on or about December",
             "3, 2023 and claims", "$5,000."]  # fmt: skip
    page = "\n".join(f"{number:2}  {line}" for number, line in enumerate(lines, start=1))
    complaint = analysed(page)
    assert complaint.type is DocumentType.COMPLAINT
    assert parties_of(complaint) == {("JANE DOE", "plaintiff"), ("ACME CORP.", "defendant")}
    assert [fact.on for fact in complaint.dates] == [date(2023, 12, 3)]


@pytest.mark.parametrize(
    ("text", "value", "currency"),
    [
        ("a fee of $1,250.00 was paid", "1250.00", "USD"),
        ("a fee of $l,25O.00 was paid", "1250.00", "USD"),
        ("a fee of S1,250.00 was paid", "1250.00", "USD"),
        ("a fee of $ 1,250 was paid", "1250", "USD"),
        ("about $1.2 million", "1200000", "USD"),
        ("1.250,50 EUR zahlen", "1250.50", "EUR"),
        ("€1,250.50", "1250.50", "EUR"),
        ("£99", "99", "GBP"),
        ("5,000 dollars", "5000", "USD"),
        ("credit of -$50.00", "-50.00", "USD"),
        ("$5, 20 people came", "5", "USD"),
        ("paid 50 bucks", "50", "USD"),
        ("$.58 per mile", "0.58", "USD"),
        ("$0.585 per mile", "0.585", "USD"),
        ("lent him five hundred dollars", "500.00", "USD"),
        ("Two Thousand Five and 50/100 Dollars ($2,005.50)", "2005.50", "USD"),
        ("credit $120.00-", "-120.00", "USD"),
        ("payment $45.00 CR", "-45.00", "USD"),
        ("Less deductible ($500.00)", "-500.00", "USD"),
        ("the sum of Five Dollars ($5.00)", "5.00", "USD"),
        ("a loss of $(500.00)", "-500.00", "USD"),
        ("lost wages, less disability benefits paid\nof ($500.00)", "-500.00", "USD"),
        ("sales exceed $500,000. 29 U.S.C. § 203", "500000", "USD"),
        ("a fee of $1,250. 00 was paid", "1250.00", "USD"),
        ("fixed at$6,314.01 as of today", "6314.01", "USD"),
        ("$1,200 CAD", "1200", "CAD"),
        ("Toronto, Ontario M5V 2T6: $200.00", "200.00", "CAD"),
    ],
)
def test_a_sum_is_read_with_its_currency(text: str, value: str, currency: str) -> None:
    (amount,) = analysed(text).amounts
    assert (amount.value, amount.currency) == (Decimal(value), currency)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("IMMIGRATION COURT\nFile No.: A 202-440-115", "A 202-440-115"),
        ("IMMIGRATION COURT\nLEAD FILE: 261-414-332", "261-414-332"),
        ("Receipt Number   | Case Type\nSRC2090761443    | I130", "SRC2090761443"),
        ("ONTARIO           Court File Number\nSuperior Court     FC-23-0000337",
         "FC-23-0000337"),
        ("CIRCUIT COURT    CASE NO.\n6th CIRCUIT       18-871234-DM", "18-871234-DM"),
        ("Identification No. 83222\nCOURT OF COMMON PLEAS OF ERIE COUNTY\n:  NO. 11233-2018",
         "11233-2018"),
        ("CERTIFICATE OF LIVE BIRTH\nSTATE FILE NUMBER 155-21-086911", None),
    ],
)  # fmt: skip
def test_a_case_number_is_read_beside_or_below_its_label(text: str, number: str | None) -> None:
    assert analysed(text).case_number == number


def test_a_company_whose_employee_signs_is_the_sender() -> None:
    page = (
        "ACME INSURANCE COMPANY\nPO Box 1\n\nDear Ms. Poe:\n\nWe paid.\n\nSincerely,\n\nTom Roe\n"
    )
    assert ("ACME INSURANCE COMPANY", "sender") in parties_of(analysed(f"{page}Claims Adjuster"))
    assert ("Tom Roe", "sender") in parties_of(analysed(page))


def test_a_dash_between_two_sums_makes_neither_negative() -> None:
    values = [amount.value for amount in analysed("between $5.00 - $6.00 or $7-$8").amounts]
    assert values == [5, 6, 7, 8]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("INVOICE\nQty Part Each Ext\n2 Hose 14.50 29.00\nTotal $29.00",
         ["14.50", "29.00", "29.00"]),
        ("INVOICE\nHours  Rate  Amount\n1.40  300.00  420.00\nTotal 1.40  $420.00",
         ["300.00", "420.00", "420.00"]),
        ("JUDGMENT\nPrincipal  $450.00\nCosts  75.00\nTOTAL  $525.00",
         ["450.00", "75.00", "525.00"]),
        ("Form 1040 Income Tax Return\n7 Wages . . 7   36,452.\n12 Loss . . 12  (633.)\n"
         "6d Exemptions claimed 1", ["36452", "-633"]),
        ("RECEIPT\n2 @ 12.99 EA SOIL  25.98\nSUBTOTAL  25.98\nTAX 5.5%  1.43\nTOTAL  27.41",
         ["12.99", "25.98", "25.98", "1.43", "27.41"]),
        ("Register of Actions\nFiling fee assessed         435.00\nPayment received      (435.00)\n"
         "Balance     0.00", ["435.00", "-435.00", "0.00"]),
        ("LABORATORY REPORT\nFees  1.20\nCharges  5.10\nsee the chart of the lab", []),
        ("ORDER\nBase support $742.00   Child care   210.00", ["742.00", "210.00"]),
        ("INVOICE\nDate  Description  Charge  Ins Paid  Adj  Balance\n"
         "04/02/22  VISIT  245.00  -120.00  -65.00  60.00",
         ["245.00", "-120.00", "-65.00", "60.00"]),
        ("DEED\nfor $10.00, thence East 125.00 feet, as in Rule 55.01", ["10.00"]),
    ],
)  # fmt: skip
def test_a_table_tells_which_of_its_figures_are_money(text: str, values: list[str]) -> None:
    found = [
        amount.value for amount in analysed(f"The paper of the court is for you.\n{text}").amounts
    ]
    assert found == [Decimal(value) for value in values]


@pytest.mark.parametrize(
    ("text", "parties"),
    [
        (
            "Jane Doe, Plaintiff, v. Acme Corp., Defendant.\nMOTION TO DISMISS",
            {("Jane Doe", "plaintiff"), ("Acme Corp.", "defendant")},
        ),
        (
            "SUPERIOR COURT\nSTATE OF TEXAS,\nPlaintiff,\nvs.\nJOHN ROE,\nDefendant.",
            {("STATE OF TEXAS", "plaintiff"), ("JOHN ROE", "defendant")},
        ),
        ("In re Estate of John Smith, Deceased", {("Estate of John Smith", "estate")}),
        (
            "In re the Marriage of Ann Bell and Carl Bell",
            {("Ann Bell", "spouse"), ("Carl Bell", "spouse")},
        ),
        (
            "In the Matter of the Marriage of\nANN BELL, Petitioner,\nand\nCARL BELL, Respondent.",
            {("ANN BELL", "petitioner"), ("CARL BELL", "respondent")},
        ),
        (
            "COURT\nACME LLC,\nPlaintiff,\n-against-\nTOM ROE and NORA ROE,\nDefendants.",
            {("ACME LLC", "plaintiff"), ("TOM ROE", "defendant"), ("NORA ROE", "defendant")},
        ),
        (
            "COURT\nTOM ROE and NORA ROE, h/w,\nPlaintiffs,\nv.\nACME PARKING, INC., ANN LANGE,\n"
            "JOHN DOES 1-5, and ABC CORPS. 1-5,\nDefendants.",
            {
                ("TOM ROE", "plaintiff"),
                ("NORA ROE", "plaintiff"),
                ("ACME PARKING, INC.", "defendant"),
                ("ANN LANGE", "defendant"),
            },
        ),
        (
            "(610) 555-0112      Attorney for Defendant\n________\nACME LLC      :  COURT\n"
            "      v.      :\nTOM ROE       :  NO. 2021-01234\n________\n"
            "DEFENDANT'S ANSWER TO PLAINTIFF'S COMPLAINT",
            {("ACME LLC", "plaintiff"), ("TOM ROE", "defendant")},
        ),
        (
            "IMMIGRATION COURT\nIn the Matter of:         )\n          )\nANN POE,     )\n"
            "In Removal Proceedings",
            {("ANN POE", "respondent")},
        ),
        (
            "Estate of          )   No. 2022P001\n                   )\nANN POE,           )\n"
            "        Deceased   )\nPETITION FOR PROBATE\nTom Roe states under penalty that:",
            {("ANN POE", "decedent"), ("Tom Roe", "petitioner")},
        ),
        (
            'LEASE AGREEMENT\nmade between Robert Brown ("Landlord") and Jane Doe ("Tenant").',
            {("Robert Brown", "landlord"), ("Jane Doe", "tenant")},
        ),
    ],
)
def test_the_caption_names_the_parties(text: str, parties: set[tuple[str, str]]) -> None:
    assert parties_of(analysed(text)) == parties


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (LETTER, "en"),
        ("Der Mieter hat die Miete für den Monat nicht gezahlt und ist im Verzug.", "de"),
        ("Le locataire est en retard et les loyers du mois sont dus par la caution.", "fr"),
        ("El inquilino y los vecinos del edificio se quejan por el ruido de la calle.", "es"),
        ("Il conduttore non ha pagato il canone e gli oneri della casa per il mese.", "it"),
        ("4711 0815", "und"),
    ],
)
def test_the_language_is_voted_for_or_undetermined(text: str, language: str) -> None:
    assert analysed(text).language == language


def test_every_quote_stands_on_its_page_and_every_summary_sentence_in_the_text() -> None:
    pages = [ORDER, LETTER, INVOICE, STATEMENT, PETITION]
    analysis = analysed(*pages)
    assert analysis.key_facts
    for fact in analysis.key_facts:
        assert fact.quote in pages[fact.page - 1]
    text = " ".join(" ".join(pages).split())
    for sentence in analysed(ORDER).summary.split(". "):
        assert sentence.rstrip(".") in text


def test_the_timeline_tells_in_the_documents_words_and_by_date() -> None:
    timeline = analysed(ORDER).timeline
    assert [entry.on for entry in timeline] == sorted(entry.on for entry in timeline)
    assert timeline[-1].what == (
        "A further hearing is set for April 15, 2024 at 9:30 a.m. in Department 12."
    )


def test_facts_carry_the_page_they_stand_on() -> None:
    analysis = analysed(
        "ORDER\nThe hearing is set for April 15, 2024.", "", "A fee of $5.00 is due."
    )
    assert analysis.dates[0].page == 1
    assert analysis.amounts[0].page == 3


def test_an_attached_invoice_does_not_make_a_letter_an_invoice() -> None:
    assert analysed(LETTER, INVOICE).type is DocumentType.LETTER


def test_confidence_falls_as_evidence_does() -> None:
    plain = analysed(ORDER).confidence
    undated = analysed("ORDER\nIt is so ordered, after argument by both sides " * 3).confidence
    by_name_only = analysed("illegible", file_name="Invoice March.pdf").confidence
    nothing = analysed("", file_name="IMG_2231.jpg").confidence
    assert 0.9 >= plain > undated > by_name_only > nothing


def test_without_text_the_title_is_the_cleaned_file_name() -> None:
    analysis = analysed(file_name="inbox/lease_signed.2023.pdf")
    assert analysis.title == "Lease signed 2023"
    assert analysis.type is DocumentType.LEASE
    assert analysis.summary == "No readable text."


FRAGMENTS = st.sampled_from(
    [*"$€-.,:;()§|\n\t\x00\ud800 lO19", "March ", "3, ", "2024", "03/04/", "v.", " Plaintiff,\n",
     "In re ", "Estate of ", "Dear ", "Sincerely,\n", "/s/ ", "Hon. ", "ORDER\n", "Total due ",
     "1,250.00", "between ", " and ", "From: ", "Case No. ", "Ünal ", "ﬁ", "９", "İ"]
)  # fmt: skip


@settings(max_examples=80)
@example(pages=["MARCH 0i"], file_name="")
@given(
    pages=st.lists(
        st.one_of(st.text(st.characters(exclude_categories=[])), st.lists(FRAGMENTS).map("".join)),
        max_size=4,
    ),
    file_name=st.text(st.characters(exclude_categories=[]), max_size=40),
)
def test_any_text_gives_a_valid_analysis_with_verbatim_quotes(
    pages: list[str], file_name: str
) -> None:
    analysis = analyse_offline(pages, file_name=file_name)
    assert Analysis.model_validate_json(analysis.model_dump_json()) == analysis
    assert "\\u0000" not in analysis.model_dump_json()
    for quoted in (*analysis.key_facts, *analysis.timeline, *analysis.obligations):
        assert quoted.quote in pages[quoted.page - 1]


@pytest.mark.parametrize(
    "pattern",
    [
        *("Aa", "$1,", "l|Oo0", "March 1 ", "v.\nA\n", "A, ", "\n", "between A and "),
        *("A shall pay ", "Case No. ", "Ab & ", "1 Main St\n", "COURT\n", 'Ab ("Tenant") '),
        *("FILED March 1, 2024\n", "account 1-", "minor A", "A within a ", "of the ", "1-"),
        *("one hundred ", "5/5 ", "fifth day of ", "Amount Total\n1.00\n", "Child: A B\n", "1 a\n"),
        "CERTIFICATE OF SERVICE March 1, 2024\n",
    ],
)
def test_a_hostile_page_of_200_000_characters_is_read_in_time(pattern: str) -> None:
    page = (pattern * 200_000)[:200_000]
    started = time.process_time()
    analyse_offline([page], file_name="hostile.pdf")
    assert time.process_time() - started < 60


def test_a_document_of_2_000_pages_is_analysed_in_time() -> None:
    started = time.process_time()
    analyse_offline([LETTER, INVOICE] * 1000, file_name="file.pdf")
    assert time.process_time() - started < 60


def test_the_number_of_the_next_line_is_not_taken_for_cents() -> None:
    page = "10 Q. What did you pay him?\n11 A. I paid him $5,500.\n12 Q. In cash?\n13 A. By check."
    assert [amount.value for amount in analysed(page).amounts] == [Decimal(5500)]


@pytest.mark.parametrize(
    ("text", "parties"),
    [
        (
            "CERTIFICATE OF DEATH\n1. DECEDENT'S LEGAL NAME (First, Last)    2. SEX\n"
            "   ANN MAY POE                             F",
            {("ANN MAY POE", "deceased")},
        ),
        (
            "MARRIAGE CERTIFICATE\nGROOM   Tom Roe      age 29\nBRIDE   Ann Poe      age 27",
            {("Tom Roe", "groom"), ("Ann Poe", "bride")},
        ),
        (
            "WARRANTY DEED\n   GRANTOR                    GRANTEE\n"
            "   ANN POE, unmarried         TOM ROE\n   1 Elm St                   2 Oak St",
            {("ANN POE", "grantor"), ("TOM ROE", "grantee")},
        ),
        (
            "QUITCLAIM DEED\nFor value received, Ann Poe, a single woman, does hereby remise and "
            "quitclaim unto Tom Roe and Nora Roe, husband and wife, the land.",
            {("Ann Poe", "grantor"), ("Tom Roe", "grantee"), ("Nora Roe", "grantee")},
        ),
        (
            "WARRANTY DEED\nmade between ANN POE and BOB POE, husband and wife, Grantors, and\n"
            "ACME, LLC, a Maine company, Grantee.",
            {("ANN POE", "grantor"), ("BOB POE", "grantor"), ("ACME, LLC", "grantee")},
        ),
        (
            'RELEASE OF ALL CLAIMS\nthe undersigned, Ann Poe ("Releasor"), does forever discharge '
            'Tom Roe and Acme Insurance Company ("Releasees") from claims.',
            {
                ("Ann Poe", "releasor"),
                ("Tom Roe", "releasee"),
                ("Acme Insurance Company", "releasee"),
            },
        ),
        (
            'DECLARATION OF TRUST\n     Ann Poe, of Pima County, Arizona ("Grantor"), has given to '
            'Tom Roe ("Trustee") the property.',
            {("Ann Poe", "grantor"), ("Tom Roe", "trustee")},
        ),
        (
            "PASSPORT\nSurname / Nom\nPOE\nGiven Names / Prenoms\nANN MAY\nSex  F",
            {("ANN MAY POE", "holder")},
        ),
        (
            "RENTAL APPLICATION\nFull name  Ann Poe          Birth date  1/2/80",
            {("Ann Poe", "applicant")},
        ),
        (
            "CRASH REPORT\nPrsn. Num. 1   Name: Last, First   POE, ANN M. Injury   A",
            {("POE, ANN M", "driver")},
        ),
        (
            "LAST WILL AND TESTAMENT\nOF\nANN POE\nI, ANN POE, declare this my will.",
            {("ANN POE", "testator")},
        ),
        (
            "POWER OF ATTORNEY\nI, Ann Poe, of Troy, appoint Tom Roe, of Ohio, my agent.",
            {("Ann Poe", "principal"), ("Tom Roe", "agent")},
        ),
        (
            "IN THE HIGH COURT\nB E T W E E N :\n   ACME LIMITED\n                     Claimant\n"
            "   - and -\n   TOM ROE\n                     Defendant\nORDER",
            {("ACME LIMITED", "claimant"), ("TOM ROE", "defendant")},
        ),
        (
            "ANN POE          §   IN THE DISTRICT COURT\nVS.              §\nTOM ROE          §\n"
            "DEFENDANT'S ANSWER TO PLAINTIFF'S PETITION",
            {("ANN POE", "plaintiff"), ("TOM ROE", "defendant")},
        ),
    ],
)
def test_forms_and_instruments_name_their_parties(text: str, parties: set[tuple[str, str]]) -> None:
    assert parties_of(analysed(text)) == parties


def test_what_stands_right_of_a_caption_is_no_ones_name() -> None:
    page = (
        "ANN POE,                                MOTION TO EXTEND TIME\n        Plaintiff,\n"
        "     v.                                 AND TO EXCEED\n"
        "                                        THE PAGE LIMIT\nACME CORP.,\n        Defendant."
    )
    assert parties_of(analysed(page)) == {("ANN POE", "plaintiff"), ("ACME CORP.", "defendant")}


@pytest.mark.parametrize(
    ("text", "on"),
    [
        ("WILL\nrevoking my will dated May 3, 2010. Signed this 5th day of May, 2020.", 2020),
        ("POWER OF ATTORNEY\nthe one I signed on May 3, 2010.\nSigned this 5th day of May, 2020",
         2020),
        ("INVOICE\nDate In 5/3/2019   Invoiced 5/5/2020", 2020),
        ("ANSWER\nIt is admitted that a proposal\ndated May 3, 2010 was signed.\nDate: 5/5/2020",
         2020),
        ("MOTION\nThe letter of the physician, dated May 3, 2010, moves the trial to a date after "
         "June 1, 2020.\nDate: 5/5/2020", 2020),
        ("COMMERCIAL LEASE\nDate:  May 5, 2020\nCommencement Date:   June 1, 2020", 2020),
        ("CONTRACT\nOwner(s): Ann May Poe Roe       Date: 5/5/2020\n"
         "Approximate start date: 6/1/2020", 2020),
        ("GRANT DEED\nDOC # 2020-011\n          05/12/2020 08:00 AM\nOfficial Records\n"
         "Dated: May 5, 2020", 2020),
        ("PASSPORT\nFecha de nacimiento\n01 Feb 1980\nFecha de expedicion\n05 May 2020", 2020),
        ("BILLING STATEMENT\nStatement Date   Due Date      Amount Due\n"
         "05/05/2020       06/04/2020    $ 412.18", 2020),
        ("Register of Actions\nDate Filed: 01/05/2019\nhttps://courts.example.gov/c?id=1   "
         "5/5/2020 4:12 PM", 2020),
        ("From: A <a@b.c>\nTo: B <b@b.c>\nSubject: x\nDate: Fri, 5 May 2020 09:30:00\n\n"
         "I sent the bills 5/3/2019", 2020),
    ],
)  # fmt: skip
def test_the_date_of_another_paper_is_not_this_ones(text: str, on: int) -> None:
    assert analysed(text).document_date == date(on, 5, 5)
