"""`aseagi show`: a document as the lawyer wants to see it."""

from datetime import date
from typing import Any

import pytest

from cli.console import console
from cli.show import page_line, print_analysis
from schema.analysis import Analysis, DocumentType, KeyFact, Obligation, Person, Sensitivity
from sql.documents import PageRow

ORDER = Analysis(
    analyst="a test",
    type=DocumentType.COURT_ORDER,
    title="Order",
    court="Superior Court of California",
    case_number="RG23-012345",
    filing_date=date(2024, 3, 4),
    people=[Person(name="Maria Lopez", role="judge")],
    summary="The motion is granted.",
    obligations=[
        Obligation(
            who="Defendant",
            what="produce all documents",
            due=date(2024, 3, 22),
            quote="Defendant shall produce all documents",
            page=2,
            supported=True,
        )
    ],
    key_facts=[KeyFact(fact="A fine of a million", quote="pay $1,000,000", page=1)],
    sensitivity=[Sensitivity.SEALED],
    language="en",
    confidence=0.8,
)


def shown(analysis: Analysis) -> str:
    with console.capture() as capture:
        print_analysis(analysis)
    return " ".join(capture.get().split())


def page(**how: Any) -> PageRow:
    told: dict[str, Any] = dict.fromkeys(("confidence", "text", "error", "rotation_degrees"))
    told |= {"number": 2, "state": "done", "source": "ocr", "engine": "an engine 1.0"}
    told["is_blank"] = False
    told.update(how)
    return PageRow(**told)


@pytest.mark.parametrize(
    ("row", "line"),
    [
        (page(text="", is_blank=True, rotation_degrees=0), "done an engine 1.0, blank"),
        (page(text="", rotation_degrees=0), "done an engine 1.0, no text on it"),
        (
            page(text="words", confidence=0.91, rotation_degrees=90),
            "done an engine 1.0, turned by 90°, confidence 0.91",
        ),
        (page(text="words", source="text layer", engine=None), "done text layer"),
    ],
)
def test_a_page_says_how_it_was_read(row: PageRow, line: str) -> None:
    assert page_line(row) == line


def test_court_case_dates_people_and_duties_are_shown() -> None:
    text = shown(ORDER)
    assert "court: Superior Court of California case: RG23-012345" in text
    assert "filed: 2024-03-04" in text
    assert "handle with care: sealed" in text
    assert "judge: Maria Lopez" in text
    assert "2024-03-22: Defendant: produce all documents (page 2)" in text


def test_a_case_number_without_a_court_is_not_called_a_court() -> None:
    text = shown(ORDER.model_copy(update={"court": None}))
    assert "case: RG23-012345" in text
    assert "court:" not in text


def test_a_quote_that_the_page_does_not_hold_is_said_to_be_missing() -> None:
    text = shown(ORDER)
    assert "A fine of a million (page 1) quote not found on the page: 'pay $1,000,000'" in text
    assert text.count("quote not found") == 1
