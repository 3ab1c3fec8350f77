"""`aseagi show`: a document as the lawyer wants to see it."""

from datetime import date

from cli.console import console
from cli.show import print_analysis
from schema.analysis import Analysis, DocumentType, KeyFact, Obligation, Person, Sensitivity

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
