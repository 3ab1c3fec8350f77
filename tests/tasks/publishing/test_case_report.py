"""A case report says what the documents say, letter for letter, and where."""

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pypdfium2 as pdfium

from schema.analysis import Amount, Analysis, DocumentType, Obligation, Sensitivity, TimelineEntry
from schema.failures import Failure, Stage
from sql.documents import DocumentRow
from tasks.publishing.case_report import Case, in_order, name_of, volumes
from tasks.publishing.exported import searchable_name
from tasks.publishing.letters import UNBROKEN, Letters
from tasks.publishing.typesetting import set_report

HOSTILE = r'#import "x": * $pi$ *bold* @ref <label> \ `raw` #panic() // /* "quoted"'


def analysis(**found: Any) -> Analysis:
    said: dict[str, Any] = {
        "type": DocumentType.LETTER,
        "title": "Demand letter",
        "summary": "The plaintiff demands payment.",
        "language": "en",
        "confidence": 0.8,
        "analyst": "offline rules 2",
    }
    return Analysis.model_validate(said | found)


def document(number: int, found: Analysis | None, **fields: Any) -> DocumentRow:
    row: dict[str, Any] = {
        "id": UUID(int=number),
        "file_name": f"{number}.pdf",
        "matter": "smith-v-jones",
        "media_type": "application/pdf",
        "file_hash": f"{number:064x}",
        "original_path": None,
        "notes": None,
        "s3_raw_path": "",
        "s3_processed_path": "",
        "page_count": 3,
        "pages_done": 3,
        "pages_failed": 0,
        "part_of": None,
        "failed_pages": [],
        "page_error": None,
        "status": "completed",
        "stage": "done",
        "lane": "bulk",
        "document_type": found.type.value if found else None,
        "title": found.title if found else None,
        "document_date": found.document_date if found else None,
        "created_at": datetime(2024, 5, 1, tzinfo=UTC),
        "completed_at": None,
        "seconds": 1.0,
        "cost_dollars": Decimal(0),
        "analysis": found.model_dump(mode="json") if found else None,
        "analysis_failure": None,
        "error": None,
    }
    return DocumentRow(**(row | fields))


DAMAGED = Failure(stage=Stage.READ, reason="Page 2 is damaged.", retry_helps=False, page=2)
CASE = Case(
    matter="smith-v-jones",
    documents=in_order(
        [
            document(
                1,
                analysis(
                    title=HOSTILE,
                    document_date=date(2024, 3, 3),
                    timeline=[
                        TimelineEntry(
                            on=date(2024, 4, 1), what="The car was towed.", quote="", page=2
                        )
                    ],
                    obligations=[
                        Obligation(
                            who="Jones",
                            what="Pay the invoice.",
                            deadline="within 30 days",
                            quote="pay at once",
                            page=3,
                        )
                    ],
                    amounts=[
                        Amount(value=Decimal("1250.5"), currency="USD", what="towing", page=1),
                        Amount(value=Decimal(80), currency="USD", what="storage", page=1),
                        Amount(
                            value=Decimal(f"1{0:030}"), currency="EUR", what="a misreading", page=1
                        ),
                    ],
                    sensitivity=[Sensitivity.PRIVILEGED],
                ),
            ),
            document(
                2,
                analysis(title="Договор 契約", document_date=date(2023, 1, 9), analyst="A. Reader"),
                file_name="x" * 100 + ".pdf",
            ),
            document(3, None, pages_done=1, pages_failed=1, document_type=None),
        ]
    ),
    failed_pages={UUID(int=3): [(2, DAMAGED.model_dump(mode="json"))]},
    prepared_by="Law Office of A. Example",
    prepared_at=datetime(2026, 2, 3, tzinfo=UTC),
)


def test_what_documents_say_is_set_letter_for_letter_with_its_source(tmp_path: Path) -> None:
    (volume,) = volumes(CASE)
    set_report(volume, tmp_path)
    pdf = pdfium.PdfDocument(tmp_path / "report.pdf")
    text = " ".join(
        " ".join(pdf[number].get_textpage().get_text_bounded().split())
        for number in range(len(pdf))
    ).replace("\u200b", "")
    for said in (
        HOSTILE,
        "Договор",
        "Doc 2, p. 2",  # the letter of 2024 is the second by date
        "The car was towed.",
        "within 30 days",
        "The quoted words were not found on the page.",
        "by rules, without a person or a model (offline rules 2), confidence 80%",
        "by A. Reader",
        "This document has not been analysed.",
        "Page 2: Page 2 is damaged.",
        "1 page had not been read when this report was made.",
        "80.00 1,250.50",
        "EUR 1,000,000,000,000,000",
        "privileged",
        f"Page {len(pdf)} of {len(pdf)}",
        "Law Office of A. Example",
        "January 9, 2023 to March 3, 2024",
        f"{2:064x}",
    ):
        assert said in text, said


def test_a_large_matter_comes_in_volumes_that_hold_every_document_once() -> None:
    many = [document(number, analysis(summary="x" * 4000)) for number in range(1, 301)]
    data = volumes(Case("m", many, {}, None, datetime(2026, 2, 3, tzinfo=UTC)))
    assert len(data) > 1
    numbers = [one["number"] for volume in data for one in volume["documents"]]
    assert numbers == list(range(1, 301))
    assert data[0]["part"].startswith("Documents 1 to ")
    assert [row.id for row in in_order(reversed(CASE.documents))] == [
        UUID(int=2), UUID(int=1), UUID(int=3),
    ], "by their own dates, undated ones last"  # fmt: skip
    assert name_of(1, 1) == "case-report.pdf"
    assert name_of(2, 3) == "case-report-2-of-3.pdf"


def test_a_matter_without_documents_has_a_report_too(tmp_path: Path) -> None:
    (volume,) = volumes(Case(None, [], {}, None, datetime(2026, 2, 3, tzinfo=UTC)))
    set_report(volume, tmp_path)
    assert len(pdfium.PdfDocument(tmp_path / "report.pdf")) > 1


def test_letters_without_a_font_are_boxes_and_long_names_may_be_broken() -> None:
    letters = Letters(installed=())
    shown = letters.shown({"names": ["法a\x00\u202e", "é Ж €"], "long": "y" * 40, "hash": "0" * 64})
    assert letters.missing
    assert shown["names"] == ["□a", "é Ж €"]
    assert max(map(len, shown["long"].split("\u200b"))) == UNBROKEN
    assert shown["hash"] == "0" * 64


def test_a_searchable_pdf_is_named_as_any_computer_takes_it() -> None:
    assert searchable_name(7, "deed.pdf") == "searchable/0007 deed.pdf"
    assert searchable_name(8, '../..\\a:b*"c?\n.jpg') == "searchable/0008 a b c.pdf"
    assert searchable_name(9, "näher, 契約.tiff") == "searchable/0009 näher, 契約.pdf"
