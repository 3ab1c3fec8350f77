"""Make the sample documents: `python -m samples.make`.

Two invented matters with what really arrives: clean scans, a fax, phone photos, a
sideways page, born-digital and mixed PDFs, a duplicate and a broken file. Beside
each stands its exact text; `manifest.json` says what should become of it. The
result is committed; run this again only after changing it. People, firms, courts'
case numbers and amounts are fictitious.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from samples import paper
from samples.paper import Sheet
from schema.analysis import DocumentType

HERE = Path(__file__).parent
SMITH, MILLER = "smith-v-jones", "estate-of-miller"
SCAN_DPI = 150


@dataclass(frozen=True)
class Sample:
    """A made document and what should become of it; one entry of the manifest."""

    path: str
    matter: str
    outcome: Literal["completed", "failed", "duplicate"]
    type: DocumentType | None
    title: str | None
    document_date: str | None
    pages: int | None
    ocr_pages: int
    clean: bool


def main() -> None:
    """Write every sample, its text and the manifest."""
    made = [
        _demand_letter(),
        _order_to_compel(),
        _motion(),
        _repair_invoice(),
        _towing_receipt(),
        _insurer_fax(),
        _settlement_agreement(),
        _same_letter_again(),
        _bank_statement(),
        _affidavit_of_heirship(),
        _judgment_photo(),
        _notice_to_creditors(),
        _broken_appraisal(),
    ]
    manifest = json.dumps([asdict(sample) for sample in made], indent=2)
    (HERE / "manifest.json").write_text(manifest + "\n", encoding="utf-8")
    size = sum((HERE / sample.path).stat().st_size for sample in made)
    print(f"{len(made)} documents, {size / 1e6:.2f} MB")


def _write(
    matter: str,
    name: str,
    content: bytes,
    sheets: Sequence[Sheet],
    *,
    type_: DocumentType,
    title: str,
    dated: str,
    ocr_pages: int,
    outcome: Literal["completed", "duplicate"] = "completed",
    clean: bool = True,
) -> Sample:
    folder = HERE / matter
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)
    # A form feed between pages, as text tools expect.
    truth = "\n\f".join("\n".join(sheet.truth) + "\n" for sheet in sheets).replace("\n\n\f", "\n\f")
    # Not beside it: a text is a document, too, to who adds the folder.
    truths = HERE / "truth" / matter
    truths.mkdir(parents=True, exist_ok=True)
    (truths / f"{name}.txt").write_text(truth, encoding="utf-8")
    return Sample(
        path=f"{matter}/{name}",
        matter=matter,
        outcome=outcome,
        type=type_,
        title=title,
        document_date=dated,
        pages=len(sheets),
        ocr_pages=ocr_pages,
        clean=clean,
    )


def _scan(sheet: Sheet, *, seed: int, skew_degrees: float = 0.0, dpi: int = SCAN_DPI) -> paper.Gray:
    return paper.scanned(paper.rendered(sheet, dpi=dpi), seed=seed, skew_degrees=skew_degrees)


def _caption(sheet: Sheet, court: str, left: Sequence[str], right: Sequence[str]) -> None:
    """A court paper's head: the court, then the parties beside the case number."""
    sheet.lines(court, align="center", bold=True)
    sheet.gap(12)
    for index, party in enumerate(left):
        cells = [(0.0, party), (230.0, ")")]
        if index < len(right):
            cells.append((250.0, right[index]))
        sheet.row(cells)
    sheet.gap(14)


def _smith_caption(sheet: Sheet) -> None:
    _caption(
        sheet,
        """SUPERIOR COURT OF THE STATE OF CALIFORNIA
        COUNTY OF ALAMEDA""",
        ["MARGARET A. SMITH,", "Plaintiff,", "v.", "DANIEL R. JONES,", "Defendant."],
        ["Case No. RG24-118207", "Dept. 17", "Hon. Patricia L. Moreno"],
    )


def _letter_sheet() -> Sheet:
    sheet = Sheet()
    sheet.line("HARGROVE & LINDEN LLP", align="center", bold=True, size=16)
    sheet.line("1400 Broadway, Suite 2100, Oakland, California 94612", align="center", size=10)
    sheet.rule()
    sheet.gap(18)
    sheet.lines(
        """March 4, 2024
        Daniel R. Jones
        2218 Webster Street
        Alameda, California 94501"""
    )
    sheet.gap(12)
    sheet.line("Re: Smith v. Jones - Demand for Payment", bold=True)
    sheet.gap(8)
    sheet.line("Dear Mr. Jones:")
    sheet.gap(4)
    sheet.paragraph(
        "This firm represents Margaret A. Smith in connection with the collision of November 18, "
        "2023 at the intersection of Park Street and Encinal Avenue. The police report places "
        "sole responsibility with you: you entered the intersection against a red signal while "
        "using a telephone."
    )
    sheet.paragraph(
        "As a result Ms. Smith suffered a fractured wrist, was unable to work for nine weeks, and "
        "lost the use of her vehicle. Her medical expenses to date are $18,642.75, her lost wages "
        "are $11,250.00, and the repair of her vehicle cost $6,318.40."
    )
    sheet.paragraph(
        "We hereby demand payment of $36,211.15 within thirty days of the date of this letter. "
        "If payment is not received by April 3, 2024, we are instructed to file suit without "
        "further notice. Please preserve all telephone records, photographs and correspondence "
        "relating to the collision."
    )
    sheet.paragraph("Kindly direct all further communication to the undersigned.")
    sheet.gap(6)
    sheet.lines(
        """Very truly yours,
        Eleanor K. Hargrove
        Attorney for Margaret A. Smith"""
    )
    return sheet


def _demand_letter() -> Sample:
    sheet = _letter_sheet()
    return _write(
        SMITH,
        "demand-letter.png",
        paper.png(_scan(sheet, seed=1)),
        [sheet],
        type_=DocumentType.LETTER,
        title="Demand for Payment",
        dated="2024-03-04",
        ocr_pages=1,
    )


def _same_letter_again() -> Sample:
    sheet = _letter_sheet()
    return _write(
        SMITH,
        "Letter to Jones (copy).png",
        (HERE / SMITH / "demand-letter.png").read_bytes(),
        [sheet],
        type_=DocumentType.LETTER,
        title="Demand for Payment",
        dated="2024-03-04",
        ocr_pages=0,
        outcome="duplicate",
    )


def _order_to_compel() -> Sample:
    sheet = Sheet()
    _smith_caption(sheet)
    sheet.line("ORDER GRANTING MOTION TO COMPEL", align="center", bold=True)
    sheet.gap(8)
    sheet.paragraph(
        "The motion of plaintiff Margaret A. Smith to compel further responses to requests for "
        "production came on regularly for hearing on September 12, 2024, in Department 17. "
        "Eleanor K. Hargrove appeared for plaintiff and Thomas W. Beckett appeared for defendant. "
        "Having considered the papers and the arguments of counsel, and good cause appearing, "
        "IT IS HEREBY ORDERED:",
        indent=36,
    )
    sheet.paragraph(
        "1. The motion is GRANTED. Defendant shall serve complete, verified responses to Requests "
        "4 through 11, without objection, no later than October 4, 2024."
    )
    sheet.paragraph(
        "2. Defendant shall produce his cellular telephone records for November 18, 2023 between "
        "4:00 p.m. and 7:00 p.m."
    )
    sheet.paragraph(
        "3. Monetary sanctions are imposed against defendant in the amount of $1,860.00, payable "
        "to counsel for plaintiff within twenty days."
    )
    sheet.line("IT IS SO ORDERED.")
    sheet.gap(16)
    sheet.row([(0, "Dated: September 16, 2024"), (250, "Patricia L. Moreno")])
    sheet.row([(250, "Judge of the Superior Court")])
    return _write(
        SMITH,
        "order-granting-motion-to-compel.jpg",
        paper.jpeg(_scan(sheet, seed=2, skew_degrees=0.4), quality=60),
        [sheet],
        type_=DocumentType.COURT_ORDER,
        title="Order Granting Motion to Compel",
        dated="2024-09-16",
        ocr_pages=1,
    )


def _motion() -> Sample:
    first, second, third = Sheet(), Sheet(), Sheet()
    first.lines(
        """Eleanor K. Hargrove (SBN 204118)
        HARGROVE & LINDEN LLP
        Attorneys for Plaintiff Margaret A. Smith"""
    )
    first.gap(14)
    _smith_caption(first)
    first.line("NOTICE OF MOTION AND MOTION TO COMPEL", align="center", bold=True)
    first.gap(8)
    first.paragraph(
        "TO DEFENDANT AND HIS ATTORNEY OF RECORD: PLEASE TAKE NOTICE that on September 12, 2024, "
        "at 9:00 a.m., in Department 17 of this court, plaintiff will move for an order compelling "
        "defendant Daniel R. Jones to serve further responses to Requests for Production, Set One, "
        "and for monetary sanctions of $1,860.00."
    )
    first.paragraph(
        "The motion is made on the ground that the responses served on June 28, 2024 are evasive "
        "and incomplete, and is based on this notice, the attached memorandum, the declaration of "
        "counsel, and the file in this action."
    )
    first.line("Dated: July 22, 2024")
    second.line("MEMORANDUM OF POINTS AND AUTHORITIES", align="center", bold=True)
    second.gap(8)
    second.line("I. INTRODUCTION", bold=True)
    second.paragraph(
        "This is an action for personal injuries. Plaintiff contends that defendant was using a "
        "telephone when he entered the intersection against a red signal. Whether he was doing so "
        "can be settled by a single document: the record of his carrier for that afternoon. "
        "Defendant has refused to produce it.",
        indent=36,
    )
    second.line("II. STATEMENT OF FACTS", bold=True)
    second.paragraph(
        "Plaintiff served Requests for Production, Set One, by mail on May 24, 2024. Defendant "
        "answered every request with the same sentence: vague, ambiguous and overbroad. Counsel "
        "wrote on July 3 and again on July 11, 2024, and telephoned twice. No supplement was "
        "served, and no privilege log was provided.",
        indent=36,
    )
    third.line("III. ARGUMENT", bold=True)
    third.paragraph(
        "A party may move for an order compelling further responses where an objection is without "
        "merit or too general. The requests at issue are limited to one day and one telephone "
        "number, and they bear directly on liability. Boilerplate objections do not suffice.",
        indent=36,
    )
    third.line("IV. CONCLUSION", bold=True)
    third.paragraph(
        "For these reasons plaintiff respectfully requests that the court grant the motion, order "
        "verified responses within twenty days, and award sanctions against defendant.",
        indent=36,
    )
    third.gap(12)
    third.lines(
        """Respectfully submitted,
        HARGROVE & LINDEN LLP
        By: Eleanor K. Hargrove
        Attorneys for Plaintiff"""
    )
    sheets = [first, second, third]
    skews = (0.3, -0.6, 0.2)
    pages = [
        paper.picture(_scan(sheet, seed=30 + index, skew_degrees=skew))
        for index, (sheet, skew) in enumerate(zip(sheets, skews, strict=True))
    ]
    return _write(
        SMITH,
        "motion-to-compel-scan.pdf",
        paper.pdf(pages),
        sheets,
        type_=DocumentType.MOTION,
        title="Notice of Motion and Motion to Compel",
        dated="2024-07-22",
        ocr_pages=3,
    )


def _repair_invoice() -> Sample:
    sheet = Sheet(font="Helvetica", size=11)
    sheet.line("BAYSIDE COLLISION CENTER", bold=True, size=17)
    sheet.lines(
        """915 Clement Avenue, Alameda, CA 94501
        Telephone (510) 555-0142"""
    )
    sheet.gap(14)
    sheet.line("INVOICE", bold=True, size=15)
    sheet.row([(0, "Invoice No. 20977"), (300, "Date: January 9, 2024")])
    sheet.row([(0, "Bill to: Margaret A. Smith"), (300, "Due: February 8, 2024")])
    sheet.row([(0, "Vehicle: 2019 Honda Civic"), (300, "License: 8KLM204")])
    sheet.rule()
    sheet.row([(0, "Description"), (-300, "Qty"), (-380, "Price"), (-468, "Amount")], bold=True)
    for description, quantity, price, amount in (
        ("Front bumper cover, replace", "1", "684.00", "684.00"),
        ("Right headlamp assembly", "1", "912.50", "912.50"),
        ("Right fender, replace and align", "1", "437.25", "437.25"),
        ("Radiator support, straighten", "1", "560.00", "560.00"),
        ("Body labor, hours", "22", "98.00", "2,156.00"),
        ("Paint labor, hours", "9", "98.00", "882.00"),
        ("Paint and materials", "1", "318.60", "318.60"),
    ):
        sheet.row([(0, description), (-300, quantity), (-380, price), (-468, amount)])
    sheet.rule()
    sheet.row([(300, "Subtotal"), (-468, "$5,950.35")])
    sheet.row([(300, "Sales tax"), (-468, "$368.05")])
    sheet.row([(300, "Total due"), (-468, "$6,318.40")], bold=True)
    sheet.gap(20)
    sheet.paragraph(
        "Payment is due within thirty days. A charge of 1.5% per month applies to overdue "
        "balances. Repairs are warranted for twelve months. Thank you for your business."
    )
    return _write(
        SMITH,
        "repair-invoice.png",
        paper.png(_scan(sheet, seed=4)),
        [sheet],
        type_=DocumentType.INVOICE,
        title="Invoice No. 20977",
        dated="2024-01-09",
        ocr_pages=1,
    )


def _towing_receipt() -> Sample:
    sheet = Sheet(font="Helvetica", size=14)
    sheet.line("EAST BAY TOWING & RECOVERY", bold=True, align="center", size=20)
    sheet.line("3301 Alvarado Street, San Leandro, CA 94577", align="center")
    sheet.gap(16)
    sheet.line("RECEIPT", bold=True, align="center", size=20)
    sheet.row([(0, "Receipt No. 55831"), (290, "11/18/2023")])
    sheet.row([(0, "Received from"), (140, "Margaret A. Smith")])
    sheet.row([(0, "Vehicle"), (140, "2019 Honda Civic, blue")])
    sheet.row([(0, "Towed from"), (140, "Park Street and Encinal Avenue")])
    sheet.row([(0, "Towed to"), (140, "Bayside Collision Center")])
    sheet.rule()
    sheet.row([(0, "Hookup fee"), (-468, "$145.00")])
    sheet.row([(0, "Mileage, 6 miles at $9.50"), (-468, "$57.00")])
    sheet.row([(0, "Roadside cleanup"), (-468, "$40.00")])
    sheet.row([(0, "Total paid"), (-468, "$242.00")], bold=True)
    sheet.gap(14)
    sheet.row([(0, "Paid by credit card ending 4471")])
    sheet.gap(10)
    sheet.paragraph(
        "Vehicles left in storage longer than three days are charged $65.00 per day. Keep this "
        "receipt: it is required to release the vehicle and for any insurance claim."
    )
    photo = paper.photographed(paper.rendered(sheet, dpi=170), seed=5, size=(1500, 1900))
    return _write(
        SMITH,
        "IMG_4127 towing receipt.jpg",
        paper.jpeg(photo, quality=68),
        [sheet],
        type_=DocumentType.RECEIPT,
        title="Towing Receipt No. 55831",
        dated="2023-11-18",
        ocr_pages=1,
    )


def _insurer_fax() -> Sample:
    sheet = Sheet(font="Courier", size=11)
    sheet.line("FAX FROM: PACIFIC MUTUAL INSURANCE    04/15/2024 14:06   PAGE 1 OF 1", size=9)
    sheet.gap(12)
    sheet.lines(
        """PACIFIC MUTUAL INSURANCE COMPANY
        Claims Department
        P.O. Box 7720, Sacramento, CA 95826"""
    )
    sheet.gap(12)
    sheet.lines(
        """April 15, 2024
        Hargrove & Linden LLP
        Attention: Eleanor K. Hargrove
        Claim Number: PM-2023-778140
        Insured: Daniel R. Jones
        Date of Loss: November 18, 2023"""
    )
    sheet.gap(12)
    sheet.line("Dear Ms. Hargrove:")
    sheet.gap(4)
    sheet.paragraph(
        "We have reviewed your demand of March 4, 2024 on behalf of Margaret A. Smith. "
        "Our insured denies that he was using a telephone and states that the signal was "
        "yellow. On the present record we are unable to accept full liability."
    )
    sheet.paragraph(
        "Without any admission, we offer $14,500.00 in full settlement of all claims. "
        "This offer remains open until May 15, 2024 and expires without further notice."
    )
    sheet.paragraph(
        "Please send complete medical records and proof of lost wages so that we may "
        "continue our evaluation."
    )
    sheet.lines(
        """Sincerely,
        Robert T. Ellison
        Senior Claims Examiner"""
    )
    fax = paper.faxed(paper.rendered(sheet, dpi=SCAN_DPI + 50), seed=6, skew_degrees=-2.3)
    return _write(
        SMITH,
        "fax-insurance-response.png",
        paper.png(fax, bilevel=True),
        [sheet],
        type_=DocumentType.LETTER,
        title="Response to Demand, Claim PM-2023-778140",
        dated="2024-04-15",
        ocr_pages=1,
        clean=False,
    )


def _settlement_agreement() -> Sample:
    first, second = Sheet(), Sheet()
    first.line("SETTLEMENT AGREEMENT AND MUTUAL RELEASE", align="center", bold=True, size=14)
    first.gap(14)
    first.paragraph(
        "This Settlement Agreement is entered into as of November 22, 2024 between Margaret A. "
        "Smith, an individual residing in Alameda County, California, and Daniel R. Jones, an "
        "individual residing in Alameda County, California, together the Parties."
    )
    first.line("RECITALS", bold=True)
    first.paragraph(
        "A. Smith filed an action against Jones in the Superior Court of California, County of "
        "Alameda, Case No. RG24-118207, arising from a collision on November 18, 2023."
    )
    first.paragraph(
        "B. The Parties wish to resolve the action and all claims relating to the collision "
        "without further expense and without admission of liability."
    )
    first.line("AGREEMENT", bold=True)
    first.paragraph(
        "1. Payment. Jones shall cause to be paid to Smith the sum of $29,750.00, in two "
        "installments: $15,000.00 on or before December 13, 2024, and $14,750.00 on or before "
        "January 31, 2025."
    )
    first.paragraph(
        "2. Dismissal. Within ten days after receipt of the second installment Smith shall file "
        "a request for dismissal of the entire action with prejudice."
    )
    second.paragraph(
        "3. Release. Upon full payment each Party releases the other, and the insurers and heirs "
        "of the other, from all claims known or unknown arising from the collision."
    )
    second.paragraph(
        "4. Confidentiality. The terms of this Agreement are confidential, except as required by "
        "law or for tax and insurance purposes."
    )
    second.paragraph(
        "5. Default. If an installment is not paid when due, the unpaid balance becomes payable "
        "at once and bears interest at ten percent per year."
    )
    second.paragraph(
        "6. Governing law. This Agreement is governed by the laws of the State of California."
    )
    second.gap(16)
    second.row([(0, "Margaret A. Smith"), (250, "Daniel R. Jones")])
    second.row([(0, "Dated: November 22, 2024"), (250, "Dated: November 22, 2024")])
    return _write(
        SMITH,
        "settlement-agreement.pdf",
        paper.pdf([first, second]),
        [first, second],
        type_=DocumentType.SETTLEMENT,
        title="Settlement Agreement and Mutual Release",
        dated="2024-11-22",
        ocr_pages=0,
    )


def _bank_statement() -> Sample:
    sheet = Sheet(font="Helvetica", size=10.5)
    sheet.line("CASCADE COMMUNITY BANK", bold=True, size=16)
    sheet.line("P.O. Box 1180, Portland, Oregon 97207")
    sheet.gap(12)
    sheet.line("ACCOUNT STATEMENT", bold=True, size=13)
    sheet.row([(0, "Estate of Harold J. Miller"), (280, "Account: 00418-72265")])
    sheet.row([(0, "c/o Susan E. Miller, Personal Representative")])
    sheet.row([(0, "Statement period: 05/01/2024 - 05/31/2024")])
    sheet.rule()
    places = (0.0, 70.0, -320.0, -394.0, -468.0)
    _table_row(sheet, places, ("Date", "Description", "Debit", "Credit", "Balance"), bold=True)
    for entry in (
        ("05/01/2024", "Opening balance", "", "", "48,210.36"),
        ("05/02/2024", "Social Security reclaimed", "1,914.00", "", "46,296.36"),
        ("05/06/2024", "Check 1041 Rose City Funeral Home", "7,845.20", "", "38,451.16"),
        ("05/09/2024", "Deposit rent Unit B", "", "1,650.00", "40,101.16"),
        ("05/13/2024", "Check 1042 County Clerk filing fee", "594.00", "", "39,507.16"),
        ("05/15/2024", "Northwest Natural Gas", "88.47", "", "39,418.69"),
        ("05/20/2024", "Deposit brokerage dividend", "", "412.93", "39,831.62"),
        ("05/22/2024", "Check 1043 Appraisal services", "1,200.00", "", "38,631.62"),
        ("05/28/2024", "Property tax second half", "2,317.80", "", "36,313.82"),
        ("05/31/2024", "Interest earned", "", "3.06", "36,316.88"),
    ):
        _table_row(sheet, places, entry)
    sheet.rule()
    _table_row(sheet, places, ("", "Closing balance", "", "", "$36,316.88"), bold=True)
    sheet.gap(16)
    sheet.paragraph(
        "Please examine this statement promptly and report any error within sixty days. Member "
        "FDIC. Questions: call 1-800-555-0177 Monday through Friday."
    )
    return _write(
        MILLER,
        "bank-statement-2024-05.png",
        paper.png(_scan(sheet, seed=9)),
        [sheet],
        type_=DocumentType.BANK_STATEMENT,
        title="Account Statement May 2024",
        dated="2024-05-31",
        ocr_pages=1,
    )


def _table_row(
    sheet: Sheet, places: Sequence[float], cells: Sequence[str], *, bold: bool = False
) -> None:
    pairs = zip(places, cells, strict=True)
    sheet.row([(place, text) for place, text in pairs if text], bold=bold, size=10)


def _miller_caption(sheet: Sheet) -> None:
    _caption(
        sheet,
        """IN THE CIRCUIT COURT OF THE STATE OF OREGON
        FOR THE COUNTY OF MULTNOMAH""",
        ["In the Matter of the Estate of", "HAROLD J. MILLER,", "Deceased."],
        ["Case No. 24PB03391", "Probate Department"],
    )


def _affidavit_of_heirship() -> Sample:
    sheet = Sheet()
    _miller_caption(sheet)
    sheet.line("AFFIDAVIT OF HEIRSHIP", align="center", bold=True)
    sheet.gap(8)
    sheet.lines(
        """STATE OF OREGON
        COUNTY OF MULTNOMAH"""
    )
    sheet.gap(8)
    sheet.paragraph("I, Walter P. Greene, being first duly sworn, depose and say:")
    sheet.paragraph(
        "1. I was acquainted with Harold J. Miller for forty-one years. He died at Portland, "
        "Oregon on March 17, 2024 at the age of eighty-three."
    )
    sheet.paragraph(
        "2. The decedent was married once, to Dorothy Miller, who died on August 2, 2016. He did "
        "not remarry."
    )
    sheet.paragraph(
        "3. Two children were born of the marriage: Susan E. Miller, of Portland, Oregon, and "
        "James H. Miller, of Boise, Idaho. Both are living and of full age. There were no adopted "
        "children and no children of deceased children."
    )
    sheet.paragraph(
        "4. I have no interest in the estate and make this affidavit of my own knowledge."
    )
    sheet.gap(10)
    sheet.line("Walter P. Greene")
    sheet.paragraph(
        "Subscribed and sworn to before me on April 11, 2024. Linda M. Okafor, Notary Public for "
        "Oregon. My commission expires June 30, 2026."
    )
    sideways = np.ascontiguousarray(np.rot90(_scan(sheet, seed=10, skew_degrees=-0.5)))
    return _write(
        MILLER,
        "affidavit-of-heirship-sideways.pdf",
        paper.pdf([paper.picture(sideways)]),
        [sheet],
        type_=DocumentType.AFFIDAVIT,
        title="Affidavit of Heirship",
        dated="2024-04-11",
        ocr_pages=1,
    )


def _judgment_photo() -> Sample:
    sheet = Sheet(size=13)
    _miller_caption(sheet)
    sheet.line("GENERAL JUDGMENT OF FINAL DISTRIBUTION", align="center", bold=True)
    sheet.gap(8)
    sheet.paragraph(
        "The final account and petition of Susan E. Miller, personal representative, came before "
        "the court on January 27, 2025. The court finds that notice was given as required by law, "
        "that all claims and taxes have been paid, and that no objection has been filed."
    )
    sheet.paragraph(
        "NOW, THEREFORE, IT IS ADJUDGED that the final account is approved; that attorney fees of "
        "$6,400.00 are allowed to Beaumont Law Group; and that the residue of the estate, valued "
        "at $412,875.19, shall be distributed in equal shares to Susan E. Miller and James H. "
        "Miller."
    )
    sheet.paragraph(
        "Upon filing of receipts the personal representative shall be discharged and the bond "
        "exonerated."
    )
    sheet.gap(12)
    sheet.row([(0, "Signed: January 29, 2025"), (240, "Katherine D. Wu")])
    sheet.row([(240, "Circuit Court Judge")])
    photo = paper.photographed(paper.rendered(sheet, dpi=170), seed=11, size=(1500, 1900))
    # The phone was held sideways: stored turned, and noted in EXIF to be turned back.
    stored = np.ascontiguousarray(np.rot90(photo))
    return _write(
        MILLER,
        "PXL_20250130 judgment.jpg",
        paper.jpeg(stored, quality=68, exif_orientation=6),
        [sheet],
        type_=DocumentType.JUDGMENT,
        title="General Judgment of Final Distribution",
        dated="2025-01-29",
        ocr_pages=1,
    )


def _notice_to_creditors() -> Sample:
    first, second = Sheet(), Sheet()
    _miller_caption(first)
    first.line("NOTICE TO INTERESTED PERSONS", align="center", bold=True)
    first.gap(8)
    first.paragraph(
        "NOTICE IS HEREBY GIVEN that Susan E. Miller has been appointed personal representative "
        "of the above estate. All persons having claims against the estate are required to "
        "present them, with vouchers attached, to the personal representative at 620 SW Fifth "
        "Avenue, Suite 900, Portland, Oregon 97204, within four months after the date of first "
        "publication of this notice, or the claims may be barred."
    )
    first.paragraph(
        "All persons whose rights may be affected by the proceedings may obtain additional "
        "information from the records of the court, the personal representative, or the attorney "
        "for the personal representative, Beaumont Law Group."
    )
    first.line("Dated and first published April 22, 2024.")
    second.line("AFFIDAVIT OF PUBLICATION", align="center", bold=True, size=14)
    second.line("The Daily Register, Portland, Oregon", align="center")
    second.gap(12)
    second.paragraph(
        "I, Karen L. Fitch, being first duly sworn, say that I am the legal clerk of The Daily "
        "Register, a newspaper of general circulation in Multnomah County, and that the notice "
        "in the Estate of Harold J. Miller was published in the entire issue of the newspaper "
        "for three successive weeks: April 22, April 29 and May 6, 2024."
    )
    second.paragraph("The fee charged for publication was $187.50. Order number 60412.")
    second.paragraph(
        "Subscribed and sworn to before me on May 7, 2024. Peter J. Alvarez, Notary Public."
    )
    return _write(
        MILLER,
        "notice-with-proof-of-publication.pdf",
        paper.pdf([first, paper.picture(_scan(second, seed=12, skew_degrees=0.7))]),
        [first, second],
        type_=DocumentType.NOTICE,
        title="Notice to Interested Persons",
        dated="2024-04-22",
        ocr_pages=1,
    )


def _broken_appraisal() -> Sample:
    sheet = Sheet()
    sheet.line("APPRAISAL REPORT", align="center", bold=True)
    sheet.paragraph("Single family residence at 4127 NE Fremont Street, Portland, Oregon.")
    # As an interrupted download leaves it. A lenient reader would still show the page.
    whole = paper.pdf([paper.picture(_scan(sheet, seed=13, dpi=72))])
    cut_short = whole[: len(whole) - 600]
    name = "appraisal-report-incomplete-download.pdf"
    (HERE / MILLER).mkdir(exist_ok=True)
    (HERE / MILLER / name).write_bytes(cut_short)
    return Sample(
        path=f"{MILLER}/{name}",
        matter=MILLER,
        outcome="failed",
        type=None,
        title=None,
        document_date=None,
        pages=None,
        ocr_pages=0,
        clean=False,
    )


if __name__ == "__main__":
    main()
