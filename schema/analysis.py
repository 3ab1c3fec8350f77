"""What a document means: the answer an analyst gives, human, rule or model.

Versioned: a stored analysis says by which version of this schema it was made.
"""

from datetime import date
from decimal import Decimal
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

ANALYSIS_VERSION = 1


class DocumentType(StrEnum):
    """The fixed taxonomy people filter by; anything finer goes into `subtype`."""

    LETTER = "letter"
    EMAIL = "email"
    COURT_ORDER = "court order"
    JUDGMENT = "judgment"
    MOTION = "motion"
    PLEADING = "pleading"
    AFFIDAVIT = "affidavit"
    NOTICE = "notice"
    CONTRACT = "contract"
    INVOICE = "invoice"
    RECEIPT = "receipt"
    BANK_STATEMENT = "bank statement"
    REPORT = "report"
    FORM = "form"
    PHOTO = "photo"
    OTHER = "other"


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class DatedFact(_Model):
    """A date in the document and what it stands for (`dated`, `filed`, `hearing`, `due`, …)."""

    on: date
    what: str = Field(max_length=200)
    page: int = Field(ge=1)


class Party(_Model):
    """A side of the matter: person or organisation, with its role in the document."""

    name: str = Field(max_length=200)
    role: str = Field(max_length=80, description="plaintiff, defendant, petitioner, sender, …")


class Amount(_Model):
    """A sum of money as written in the document."""

    value: Decimal
    currency: str = Field(min_length=3, max_length=3, description="ISO 4217, e.g. USD.")
    what: str = Field(max_length=200, description="What the sum is for, in the document's words.")
    page: int = Field(ge=1)


class KeyFact(_Model):
    """One fact worth knowing, with the words that support it."""

    fact: str = Field(max_length=500)
    quote: str = Field(max_length=500, description="Verbatim from the page.")
    page: int = Field(ge=1)


class TimelineEntry(_Model):
    """Something that happened, or will, on a date."""

    on: date
    what: str = Field(max_length=500)
    page: int = Field(ge=1)


class Analysis(_Model):
    """The facts of one document."""

    version: int = ANALYSIS_VERSION
    analyst: str = Field(
        max_length=100, description="Who answered: `offline rules 1`, a model's name, a person."
    )
    type: DocumentType
    subtype: str | None = Field(default=None, max_length=100)
    title: str = Field(max_length=300)
    document_date: date | None = None
    dates: list[DatedFact] = []
    parties: list[Party] = []
    people: list[str] = []
    amounts: list[Amount] = []
    summary: str = Field(max_length=4000)
    key_facts: list[KeyFact] = []
    timeline: list[TimelineEntry] = []
    language: str = Field(max_length=20, description="ISO 639-1 code, or `und` if undetermined.")
    confidence: float = Field(
        ge=0, le=1, description="How much a reader may rely on type, title and date."
    )
