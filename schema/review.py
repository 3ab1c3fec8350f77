"""Why a document wants a person's eye, and how much."""

from enum import StrEnum


class Reason(StrEnum):
    """One reason; the value is what is stored with a review."""

    FAILED = "failed"
    PAGES_FAILED = "pages failed"
    ANALYSIS_INCOMPLETE = "analysis incomplete"
    ANALYSIS_DOUBTFUL = "analysis doubtful"
    PAGES_DOUBTFUL = "pages doubtful"
    QUOTES_NOT_FOUND = "quotes not found"
    NO_DATE = "no date"
    TYPE_OTHER = "type other"


WEIGHTS = {
    Reason.FAILED: 100,
    Reason.PAGES_FAILED: 60,
    Reason.ANALYSIS_DOUBTFUL: 40,
    Reason.QUOTES_NOT_FOUND: 35,
    Reason.ANALYSIS_INCOMPLETE: 30,
    Reason.PAGES_DOUBTFUL: 25,
    Reason.NO_DATE: 15,
    Reason.TYPE_OTHER: 15,
}
"""How bad each is; a document with more weight stands before one with less."""
