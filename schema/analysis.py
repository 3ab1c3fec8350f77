"""What a document means: the answer an analyst gives, human, rule or model.

Versioned: a stored analysis says by which version of this schema it was made, and an
older one is lifted when it is read. `Analysis.model_json_schema()` is what a model is
asked to answer in: plain types, every field required, what may be missing is nullable,
and no keywords that structured output knows nothing of. Lengths are therefore not
refused but cut.
"""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import SkipJsonSchema

ANALYSIS_VERSION: Final = 2

RULES: Final = "offline rules"
"""How the name of an analyst begins that is no model and no person."""


class DocumentType(StrEnum):
    """The fixed taxonomy people filter by; anything finer goes into `subtype`."""

    LETTER = "letter"
    EMAIL = "email"
    COURT_ORDER = "court order"
    JUDGMENT = "judgment"
    MOTION = "motion"
    COMPLAINT = "complaint"
    ANSWER = "answer"
    PLEADING = "pleading"
    """Petitions, replies, stipulations, and whatever else opens or answers a claim."""
    DISCOVERY = "discovery"
    """Interrogatories, requests for production or admission, and the answers to them."""
    AFFIDAVIT = "affidavit"
    TRANSCRIPT = "transcript"
    SUBPOENA = "subpoena"
    NOTICE = "notice"
    CONTRACT = "contract"
    SETTLEMENT = "settlement"
    LEASE = "lease"
    DEED = "deed"
    WILL = "will"
    """Wills, codicils and trusts."""
    POWER_OF_ATTORNEY = "power of attorney"
    INVOICE = "invoice"
    RECEIPT = "receipt"
    BANK_STATEMENT = "bank statement"
    TAX_FORM = "tax form"
    MEDICAL_RECORD = "medical record"
    POLICE_REPORT = "police report"
    REPORT = "report"
    CERTIFICATE = "certificate"
    """Of birth, death, marriage, incorporation."""
    ID_DOCUMENT = "id document"
    FORM = "form"
    PHOTO = "photo"
    OTHER = "other"


class Sensitivity(StrEnum):
    """Why a document must be handled with care, or redacted before it is filed."""

    MINOR_NAMED = "minor named"
    MEDICAL = "medical"
    FINANCIAL_ACCOUNT = "financial account"
    SOCIAL_SECURITY_NUMBER = "social security number"
    DATE_OF_BIRTH = "date of birth"
    IDENTITY_DOCUMENT = "identity document"
    """The number of a passport or driver's license."""
    ABUSE = "abuse"
    """Violence in a family, or sexual offences."""
    PRIVILEGED = "privileged"
    SEALED = "sealed"
    CONFIDENTIAL = "confidential"


def _at_most(limit: int) -> AfterValidator:
    return AfterValidator(
        lambda text: text if len(text) <= limit else text[: limit - 1].rstrip() + "…"
    )


def _is(holds: Callable[[Any], bool], otherwise: str) -> AfterValidator:
    def checked(value: object) -> object:
        if not holds(value):
            raise ValueError(otherwise)
        return value

    return AfterValidator(checked)


Name = Annotated[str, _at_most(200)]
Role = Annotated[str, _at_most(80)]
Phrase = Annotated[str, _at_most(200)]
Sentence = Annotated[str, _at_most(500)]
Quote = Annotated[
    str,
    AfterValidator(lambda text: text[:500]),
    Field(description="Verbatim from the page, at most 500 characters."),
]
PageNumber = Annotated[int, _is(lambda number: number >= 1, "pages are counted from 1")]


def _plain(value: object) -> object:
    """A sum as people write it, without dollar sign and separators; in brackets it is negative."""
    if not isinstance(value, str):
        return value
    digits = value.replace(",", "").replace("$", "").replace(" ", "")
    return f"-{digits[1:-1]}" if digits.startswith("(") and digits.endswith(")") else digits


MOST_MONEY = Decimal(10) ** 15
"""No sum of money is as large: longer runs of digits are numbers of other things."""

Value = Annotated[
    Decimal,
    BeforeValidator(_plain),
    WithJsonSchema({"type": "string", "description": "Digits with a decimal point: -1250.00"}),
]
Currency = Annotated[
    str,
    AfterValidator(str.upper),
    _is(lambda code: len(code) == 3, "a currency has three letters"),
    Field(description="ISO 4217, e.g. USD."),
]


def _require_all(json_schema: dict[str, Any]) -> None:
    json_schema["required"] = list(json_schema.get("properties", {}))


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra=_require_all)


class Quoted(_Model):
    """Something the document says, with the words that say it."""

    quote: Quote
    page: PageNumber
    supported: SkipJsonSchema[bool] = False
    """Whether the quote was found on its page (tasks/quotes.py); not for the analyst to say."""


class DatedFact(_Model):
    """A date in the document and what it stands for (`dated`, `filed`, `hearing`, `due`, …)."""

    on: date
    what: Phrase
    page: PageNumber


class Party(_Model):
    """A side of the matter: person or organisation, with its role in the document."""

    name: Name
    role: Annotated[Role, Field(description="plaintiff, defendant, petitioner, sender, …")]


class Person(_Model):
    """Someone named, with the role in the document where it gives one."""

    name: Name
    role: Annotated[
        Role | None, Field(description="judge, attorney, witness, plaintiff, child, …")
    ] = None


class Organisation(_Model):
    """A company, authority or firm named, with its role where the document gives one."""

    name: Name
    role: Role | None = None


class Amount(_Model):
    """A sum of money as written in the document."""

    value: Value
    currency: Currency
    what: Annotated[Phrase, Field(description="What the sum is for, in the document's words.")]
    page: PageNumber


class KeyFact(Quoted):
    """One fact worth knowing, with the words that support it."""

    fact: Sentence


class TimelineEntry(Quoted):
    """Something that happened, or will, on a date."""

    on: date
    what: Sentence


class Obligation(Quoted):
    """Who must do what, and by when; or a deadline that binds whoever it concerns."""

    who: Annotated[
        Name | None, Field(description="As the document names them; null if it does not.")
    ] = None
    what: Sentence
    due: date | None = None
    deadline: Annotated[
        Phrase | None,
        Field(description="The time allowed in the document's words: within 30 days of service."),
    ] = None


class Whole(_Model):
    """What a document is as a whole."""

    type: DocumentType
    subtype: Annotated[str, _at_most(100)] | None = None
    title: Annotated[str, _at_most(300)]
    document_date: Annotated[
        date | None, Field(description="The document's own date: signed, sent, issued.")
    ] = None
    filing_date: Annotated[
        date | None, Field(description="When this document was filed, by its stamp or clerk.")
    ] = None
    service_date: Annotated[date | None, Field(description="When this document was served.")] = None
    court: Name | None = None
    case_number: Annotated[str, _at_most(100)] | None = None
    summary: Annotated[str, _at_most(4000)]
    language: Annotated[
        str, _at_most(20), Field(description="ISO 639-1 code, or `und` if undetermined.")
    ]
    confidence: Annotated[
        float,
        _is(lambda share: 0 <= share <= 1, "confidence is between 0 and 1"),
        Field(description="0 to 1: how much a reader may rely on type, title and date."),
    ]


class Analysis(Whole):
    """The facts of one document."""

    version: Literal[2] = ANALYSIS_VERSION
    analyst: Annotated[
        str,
        _at_most(100),
        Field(description="Who answered: `offline rules 2`, a model's name, a person."),
    ]
    dates: list[DatedFact] = []
    parties: list[Party] = []
    people: list[Person] = []
    organisations: list[Organisation] = []
    amounts: list[Amount] = []
    key_facts: list[KeyFact] = []
    timeline: list[TimelineEntry] = []
    obligations: list[Obligation] = []
    sensitivity: list[Sensitivity] = []

    @property
    def is_by_rules(self) -> bool:
        """Whether rules answered, not a model or a person."""
        return self.analyst.startswith(RULES)

    @model_validator(mode="before")
    @classmethod
    def _lift(cls, data: object) -> object:
        """Read version 1: people had no roles, timelines no quotes, and nothing was checked.

        Its quotes count as supported where rules made them, which copy from the page.
        """
        if not isinstance(data, dict):
            return data
        old = cast("dict[str, Any]", data)
        if old.get("version") != 1:
            return old
        copied = str(old.get("analyst", "")).startswith(RULES)
        return old | {
            "version": ANALYSIS_VERSION,
            "people": [{"name": name} for name in old.get("people", [])],
            "key_facts": [fact | {"supported": copied} for fact in old.get("key_facts", [])],
            "timeline": [entry | {"quote": ""} for entry in old.get("timeline", [])],
        }
