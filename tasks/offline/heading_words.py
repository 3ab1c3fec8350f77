"""What words in a heading say about a document's type."""

from schema.analysis import DocumentType as T

# The earliest in the heading wins ("ORDER GRANTING MOTION" is an order); at the same place
# the first in this table.
_TABLE: tuple[tuple[str, T], ...] = (
    (
        "civil docket|criminal docket|docket sheet|docket report|case docket|"
        "register of actions|court docket",
        T.OTHER,
    ),
    (
        "earnings statement|statement of earnings|earnings and deductions|pay stub|pay slip|"
        "payslip|pay advice|pay statement",
        T.OTHER,
    ),
    (
        "notice of motion|notice of application|notice of cross motion|request for order",
        T.MOTION,
    ),
    (
        "notice of civil claim",
        T.COMPLAINT,
    ),
    (
        "notice to produce|notice to admit",
        T.DISCOVERY,
    ),
    (
        "notice of assessment|notice of reassessment",
        T.TAX_FORM,
    ),
    (
        "subpoena|witness summons|summons to witness",
        T.SUBPOENA,
    ),
    (
        "notice|summons|citation|writ of summons|statutory demand|entry of appearance",
        T.NOTICE,
    ),
    (
        "proposed order|order appointing",
        T.COURT_ORDER,
    ),
    (
        "order for judgment|order and judgment|order of judgment|order and final judgment|"
        "reasons for judgment",
        T.JUDGMENT,
    ),
    (
        "work order|repair order",
        T.INVOICE,
    ),
    (
        "purchase order|offer to purchase",
        T.CONTRACT,
    ),
    (
        "money order|order confirmation|order summary",
        T.RECEIPT,
    ),
    (
        "order form",
        T.FORM,
    ),
    (
        "order|minute entry|civil minutes|memorandum opinion|opinion and order|"
        "memorandum decision|decision and|ruling|endorsement|letters testamentary|"
        "letters of administration|letters of guardianship",
        T.COURT_ORDER,
    ),
    (
        "injunction|writ of|search warrant|bench warrant|arrest warrant|warrant of arrest|"
        "warrant for arrest",
        T.COURT_ORDER,
    ),
    (
        "beschluss",
        T.COURT_ORDER,
    ),
    (
        "judgment|judgement|decree|verdict|urteil|opinion of the court|"
        "findings of fact and conclusions of law",
        T.JUDGMENT,
    ),
    (
        "motion|ex parte application|memorandum of points|memorandum of law|application to|"
        "application notice|application for leave|application for temporary",
        T.MOTION,
    ),
    (
        "memorandum in support|memorandum in opposition|brief in support|brief in opposition|"
        "trial brief|opening brief|skeleton argument",
        T.MOTION,
    ),
    (
        "answers to interrogatories|answer to interrogatories|responses to requests|"
        "answers to form|answers to uniform|answers to plaintiffs|answers to defendants",
        T.DISCOVERY,
    ),
    (
        "responses to interrogatories|response to request|responses to request|"
        "requests for inspection",
        T.DISCOVERY,
    ),
    (
        "interrogatories|request for production|requests for production|request to produce|"
        "requests to produce",
        T.DISCOVERY,
    ),
    (
        "request for admissions|requests for admission|request for admission|"
        "requests to admit|request to admit|demand for production|demand for inspection",
        T.DISCOVERY,
    ),
    (
        "discovery requests|discovery responses|privilege log|initial disclosures|"
        "expert disclosures|list of documents|affidavit of documents|"
        "request for further information",
        T.DISCOVERY,
    ),
    (
        "tax transcript|account transcript|wage and income transcript",
        T.TAX_FORM,
    ),
    (
        "transcript|deposition of|videotaped deposition|oral deposition|"
        "examination before trial|examination for discovery|examination under oath|"
        "reporters record",
        T.TRANSCRIPT,
    ),
    (
        "affidavit of probable cause|probable cause affidavit",
        T.POLICE_REPORT,
    ),
    (
        "affidavit|witness statement|statutory declaration|sworn statement|affirmation|"
        "unsworn declaration",
        T.AFFIDAVIT,
    ),
    (
        "declaration of trust",
        T.WILL,
    ),
    (
        "declarations page|policy declarations",
        T.CONTRACT,
    ),
    (
        "declaration|verification|proof of service|certificate of service|"
        "certificate of mailing|acknowledgment of service|return of service",
        T.AFFIDAVIT,
    ),
    (
        "settlement agreement|settlement and release|stipulation of settlement|"
        "stipulation and settlement|minutes of settlement|terms of settlement|"
        "memorandum of settlement|deed of settlement|mediated settlement",
        T.SETTLEMENT,
    ),
    (
        "release of all claims|general release|mutual release|release of claims|"
        "full and final release|release and waiver|release and settlement|"
        "release and indemnity|full release",
        T.SETTLEMENT,
    ),
    (
        "compromise and release|compromise agreement|covenant not to sue",
        T.SETTLEMENT,
    ),
    (
        "settlement statement|closing disclosure|closing statement",
        T.FORM,
    ),
    (
        "settlement",
        T.SETTLEMENT,
    ),
    (
        "complaint|cross-complaint|statement of claim|particulars of claim|civil bill|"
        "indictment|criminal information|bill of indictment",
        T.COMPLAINT,
    ),
    (
        "klageschrift|klage|demanda",
        T.COMPLAINT,
    ),
    (
        "answer|general denial|statement of defence|statement of defense|"
        "defence and counterclaim|defence|response to civil claim",
        T.ANSWER,
    ),
    (
        "petition for alien relative|immigrant petition",
        T.FORM,
    ),
    (
        "petition|counterclaim|reply|response|responses|opposition|objection|objections|cross-petition|"
        "rejoinder|traverse",
        T.PLEADING,
    ),
    (
        "stipulation|demand for|bill of particulars|replication|joint status report|"
        "proposed findings|praecipe",
        T.PLEADING,
    ),
    (
        "invoice|statement of funeral|bill for services|"
        "statement of services|rechnung|facture|factura|fattura|"
        "fee note|itemized bill|itemised bill|itemized statement|billing statement|"
        "patient statement|patient bill|hospital bill|medical bill|statement of charges|"
        "utility bill|electric bill|water bill|gas bill|tax bill|your bill|bill of costs|"
        "fee statement|final bill|statement for services|statement for professional services|"
        "statement of hospital services|statement of medical services|hospital statement|"
        "statement of physician services|statement of legal services|physician statement|"
        "statement of professional services|guarantor statement|account invoice|"
        "property tax statement",
        T.INVOICE,
    ),
    (
        "payment receipt|receipt|quittung|reçu|recibo|ricevuta|payment confirmation|"
        "confirmation of payment|proof of payment|deposit slip|payment acknowledgment|"
        "wire transfer confirmation",
        T.RECEIPT,
    ),
    (
        "statement of account rendered",
        T.INVOICE,
    ),
    (
        "bank statement|account statement|statement of account|kontoauszug|"
        "mortgage statement|loan statement|monthly statement|account summary|"
        "investment statement|transaction history|account history",
        T.BANK_STATEMENT,
    ),
    (
        "checking statement|savings statement|relevé de compte|estado de cuenta|"
        "current account|everyday checking|your statement",
        T.BANK_STATEMENT,
    ),
    (
        "member statement|"
        "credit card statement|brokerage statement|statement of accounts|statement of your account",
        T.BANK_STATEMENT,
    ),
    (
        "certification of trust|certificate of trust",
        T.WILL,
    ),
    (
        "benefit verification letter|award letter|benefit letter",
        T.LETTER,
    ),
    (
        "living will",
        T.POWER_OF_ATTORNEY,
    ),
    (
        "last will|codicil|living trust|revocable trust|family trust|trust agreement|"
        "will and testament|last testament|irrevocable trust",
        T.WILL,
    ),
    (
        "power of attorney|powers of attorney|health care directive|healthcare directive|"
        "advance directive|health care proxy|healthcare proxy|health care surrogate|"
        "enduring power|lasting power|personal directive|representation agreement|"
        "poder notarial",
        T.POWER_OF_ATTORNEY,
    ),
    (
        "warranty deed|quitclaim deed|quit claim deed|grant deed|deed of trust|trust deed|"
        "deed|mortgage|indenture|transfer of whole|transfer of part|conveyance|"
        "satisfaction of mortgage|easement|assignment of mortgage|assignment of deed of trust|"
        "release of mortgage|discharge of mortgage",
        T.DEED,
    ),
    (
        "lease agreement|lease|sublease|rental agreement|mietvertrag|tenancy agreement|"
        "residential tenancy|assured shorthold|rental contract|room rental",
        T.LEASE,
    ),
    (
        "insurance policy|policy schedule|schedule of insurance|evidence of property insurance",
        T.CONTRACT,
    ),
    (
        "agreement|contract|promissory note|bill of sale|memorandum of understanding|"
        "letter of intent|statement of work|terms and conditions|guaranty|personal guarantee|"
        "operating agreement|bylaws|by-laws|assignment of|addendum|i o u|offer of employment",
        T.CONTRACT,
    ),
    (
        "vertrag|contrat|contrato|contratto",
        T.CONTRACT,
    ),
    (
        "tax return|wage and tax statement|income tax|tax calculation|self assessment|"
        "miscellaneous income|nonemployee compensation|mortgage interest statement|"
        "statement of remuneration paid|end of year certificate|"
        "details of employee leaving work|employment detail summary|interest income|"
        "form 1040|form 1099|form 1098|form w-2|form w-9|form w-4|form 941|schedule k-1|"
        "schedule c|p60|p45|p11d|t4",
        T.TAX_FORM,
    ),
    (
        "medical examiners certificate",
        T.CERTIFICATE,
    ),
    (
        "medical record|medical records|progress note|progress notes|discharge summary|"
        "discharge instructions|medical report|medical certificate|patient record|"
        "patient chart|treatment record|treatment notes|session note|therapy note|daily note|"
        "treatment note|soap note|office note|chart note|nursing note|plan of care",
        T.MEDICAL_RECORD,
    ),
    (
        "emergency department|emergency room|operative report|operative note|clinic note|"
        "clinical note|radiology report|imaging report|mri report|laboratory report|"
        "lab report|lab results|laboratory results|office visit|procedure note|"
        "patient care report|immunization record|vaccination record|prescription|triage",
        T.MEDICAL_RECORD,
    ),
    (
        "pathology report|history and physical|consultation note|consultation report|"
        "after visit summary|visit summary|physical therapy|psychiatric evaluation|"
        "initial evaluation|admission note|nursing notes|autopsy report|dental record|"
        "clinic letter",
        T.MEDICAL_RECORD,
    ),
    (
        "police report|arrest report|offense report|offence report|crime report|"
        "case supplement|booking report|booking sheet|custody record|general occurrence|"
        "incident investigation report|"
        "occurrence report|supplemental report|supplementary report|offense incident|"
        "incident offense",
        T.POLICE_REPORT,
    ),
    (
        "collision report|crash report|traffic accident report|probable cause statement|"
        "traffic collision|police accident report|motor vehicle accident report|"
        "statement of probable cause",
        T.POLICE_REPORT,
    ),
    (
        "certification of counsel|attorney certification",
        T.AFFIDAVIT,
    ),
    (
        "certificate of birth|certificate of live birth|birth certificate|"
        "certified copy of an entry|certification of birth|certification of vital record",
        T.CERTIFICATE,
    ),
    (
        "certificate of death|death certificate|marriage certificate|marriage license|"
        "licence and certificate",
        T.CERTIFICATE,
    ),
    (
        "certificate of marriage|certificate of incorporation|certificate of title|apostille|"
        "certificate of|this certifies that|diploma",
        T.CERTIFICATE,
    ),
    (
        "certificate of good standing|articles of incorporation|articles of organization",
        T.CERTIFICATE,
    ),
    (
        "driver license|drivers license|driver's license|driving licence|driver's licence|"
        "identification card|identity card|passport|permanent resident|resident card|"
        "employment authorization card|social security card|learner permit|residence permit|"
        "health card",
        T.ID_DOCUMENT,
    ),
    (
        "report|appraisal|inventory|evaluation|assessment|memorandum|minutes|gutachten|"
        "survey|home study|audit",
        T.REPORT,
    ),
    (
        "fax transmittal|facsimile|fax cover|telefax|fax",
        T.LETTER,
    ),
    (
        "form|application|questionnaire|intake|claim form|worksheet|cover sheet|checklist|"
        "enrollment|authorization|authorisation|consent to treatment|informed consent|"
        "proof of claim",
        T.FORM,
    ),
)
HEADINGS: tuple[tuple[tuple[str, ...], T], ...] = tuple(
    (tuple(words.split("|")), kind) for words, kind in _TABLE
)
"""Words that head a document, with the type they name."""
