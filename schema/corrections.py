"""What a person says of a document, and how it is laid over what an analyst says.

Guarantee: this is the one place that knows how. Pure: the same analysis and the same words give
the same result, whoever came first.
"""

import datetime
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from schema.analysis import Analysis, DocumentType, Party
from schema.text import Text


class CorrectedField(StrEnum):
    """What a person can correct."""

    TYPE = "type"
    TITLE = "title"
    DATE = "date"
    PARTIES = "parties"
    MATTER = "matter"


Values = Mapping[CorrectedField, object]
"""What is said of each field, as JSON has it."""

_IN_ANALYSIS = {
    CorrectedField.TYPE: "type",
    CorrectedField.TITLE: "title",
    CorrectedField.DATE: "document_date",
    CorrectedField.PARTIES: "parties",
}
"""Where an analysis has what a person corrects; a matter is not the analyst's to say."""

MAY_BE_NONE = (CorrectedField.DATE, CorrectedField.PARTIES, CorrectedField.MATTER)
"""What a document can be without."""


class Said(BaseModel):
    """What a person says: only the fields that were given. None and empty say there is none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: DocumentType = DocumentType.OTHER
    title: Annotated[Text, StringConstraints(min_length=1, max_length=300)] = "?"
    date: datetime.date | None = None
    parties: list[Party] = []
    matter: Annotated[Text, Field(min_length=1, max_length=200)] | None = None

    @property
    def values(self) -> Values:
        """Each field that was given, as JSON has it."""
        given = self.model_dump(mode="json", exclude_unset=True)
        return {field: given[field.value] for field in CorrectedField if field.value in given}


def lay_over(analysis: Analysis, values: Values) -> Analysis:
    """The analysis with what a person says in its place."""
    said = {_IN_ANALYSIS[field]: value for field, value in values.items() if field in _IN_ANALYSIS}
    return Analysis.model_validate(analysis.model_dump(mode="json") | said) if said else analysis


def of_analysis(analysis: Analysis, field: CorrectedField) -> object:
    """What an analysis says of a field, as JSON has it; None for the matter."""
    name = _IN_ANALYSIS.get(field)
    return None if name is None else analysis.model_dump(mode="json", include={name})[name]
