"""The answer an analyst gives: old ones are still read, and a model can be asked for it."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any, cast

import pytest
from pydantic import ValidationError

from schema.analysis import ANALYSIS_VERSION, Amount, Analysis, KeyFact

STORED_1: dict[str, Any] = {
    "version": 1,
    "analyst": "offline rules 1",
    "type": "pleading",
    "subtype": None,
    "title": "PETITION FOR PROBATE OF WILL",
    "document_date": "2024-03-03",
    "dates": [{"on": "2024-01-05", "what": "died", "page": 1}],
    "parties": [{"name": "Mary Smith", "role": "petitioner"}],
    "people": ["Mary Smith", "Hon. Maria T. Lopez"],
    "amounts": [{"value": "450000", "currency": "USD", "what": "an estate worth", "page": 1}],
    "summary": "Petitioner Mary Smith alleges that John Smith died.",
    "key_facts": [{"fact": "Died: 2024-01-05", "quote": "John Smith died on", "page": 1}],
    "timeline": [{"on": "2024-01-05", "what": "John Smith died.", "page": 1}],
    "language": "en",
    "confidence": 0.8,
}
KEYWORDS = {
    "$defs", "$ref", "additionalProperties", "anyOf", "const", "default", "description", "enum",
    "format", "items", "properties", "required", "title", "type",
}  # fmt: skip
"""What structured output of the well-known models understands."""


def test_a_stored_version_1_is_lifted() -> None:
    analysis = Analysis.model_validate(STORED_1)
    assert analysis.version == ANALYSIS_VERSION == 2
    assert [(one.name, one.role) for one in analysis.people] == [
        ("Mary Smith", None),
        ("Hon. Maria T. Lopez", None),
    ]
    assert analysis.key_facts[0].supported
    assert (analysis.timeline[0].quote, analysis.timeline[0].supported) == ("", False)
    assert analysis.obligations == analysis.organisations == analysis.sensitivity == []
    assert Analysis.model_validate(analysis.model_dump(mode="json")) == analysis


def test_a_version_1_that_no_rules_wrote_has_no_supported_quotes() -> None:
    analysis = Analysis.model_validate(STORED_1 | {"analyst": "a person"})
    assert not analysis.key_facts[0].supported


def test_a_version_from_the_future_is_refused() -> None:
    with pytest.raises(ValidationError):
        Analysis.model_validate(STORED_1 | {"version": 3})


def test_lifting_leaves_what_was_stored_as_it_was() -> None:
    before = repr(STORED_1)
    Analysis.model_validate(STORED_1)
    assert repr(STORED_1) == before


def test_the_json_schema_has_plain_types_and_requires_every_field() -> None:
    schema = Analysis.model_json_schema()
    objects = [schema, *(one for one in schema["$defs"].values() if one["type"] == "object")]
    for one in objects:
        assert one["required"] == list(one["properties"])
        assert one["additionalProperties"] is False
    assert set(keywords(schema)) <= KEYWORDS
    assert schema["$defs"]["Amount"]["properties"]["value"]["type"] == "string"


def test_a_model_is_not_asked_whether_its_quotes_are_supported() -> None:
    schema = Analysis.model_json_schema()
    assert all("supported" not in one.get("properties", {}) for one in schema["$defs"].values())
    assert not KeyFact(fact="f", quote="q", page=1).supported


def test_an_answer_that_is_too_long_is_cut_and_not_refused() -> None:
    analysis = Analysis.model_validate(STORED_1 | {"title": "x" * 500, "subtype": "y" * 500})
    assert len(analysis.title) == 300
    assert len(analysis.subtype or "") == 100


@pytest.mark.parametrize(
    "wrong",
    [
        {"confidence": 1.5},
        {"confidence": -0.1},
        {"dates": [{"on": "2024-01-05", "what": "x", "page": 0}]},
        {"amounts": [{"value": "1", "currency": "dollar", "what": "x", "page": 1}]},
        {"amounts": [{"value": "NaN", "currency": "USD", "what": "x", "page": 1}]},
        {"type": "novel"},
        {"surprise": 1},
    ],
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Analysis.model_validate(STORED_1 | {"version": 2, "people": [], "timeline": []} | wrong)


def test_a_sum_keeps_every_digit() -> None:
    amount = Amount(value=Decimal("1250.50"), currency="usd", what="fee", page=1)
    assert amount.model_dump(mode="json")["value"] == "1250.50"
    assert amount.currency == "USD"


def test_dates_are_dates_again() -> None:
    assert Analysis.model_validate(STORED_1).document_date == date(2024, 3, 3)


def keywords(schema: object, *, names: bool = False) -> Iterator[str]:
    """Every keyword of a JSON schema; the names of properties are none."""
    if isinstance(schema, dict):
        for key, value in cast("dict[str, object]", schema).items():
            if not names:
                yield key
            yield from keywords(value, names=not names and key in {"properties", "$defs"})
    elif isinstance(schema, list):
        for value in cast("list[object]", schema):
            yield from keywords(value)
