import csv
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook  # pyright: ignore[reportUnknownVariableType]

from tasks import workbook
from tasks.workbook import (
    CELL_LIMIT,
    NOT_FOUND,
    ExportedDocument,
    ExportedKeyFact,
    ExportedObligation,
    ExportedRows,
    ExportedTimelineEntry,
    write_csv,
    write_jsonl,
    write_workbook,
)

DOCUMENT = ExportedDocument(
    id=UUID(int=1),
    file_name="order.pdf",
    matter="Doe v. Acme",
    type="court order",
    title="Order granting motion to compel",
    document_date=date(2024, 3, 5),
    filing_date=date(2024, 3, 6),
    service_date=None,
    court="Superior Court of California",
    case_number="RG23-012345",
    pages=3,
    status="completed",
    parties=("Jane Doe (plaintiff)", "Acme Inc. (defendant)"),
    people=("Hon. Maria Lopez (judge)",),
    organisations=("Acme Inc. (defendant)",),
    sensitivity=("financial account", "sealed"),
    amounts="1,250.00 USD sanctions",
    summary="The motion is granted. " * 20,
    confidence=0.86,
    language="en",
    received_at=datetime(2024, 3, 6, 23, 30, tzinfo=timezone(timedelta(hours=-5))),
    file_hash="ab" * 32,
    original_path="inbox/doe/order.pdf",
    part_of="orders.zip",
    notes="served by hand",
    seconds=4.25,
    cost_dollars=Decimal("0.0012"),
    error=None,
)
ENTRY = ExportedTimelineEntry(
    on=date(2024, 4, 15),
    what="A further hearing is set.",
    quote="A further hearing is set for April 15, 2024",
    supported=True,
    document_title="Order granting motion to compel",
    file_name="order.pdf",
    page=1,
    matter="Doe v. Acme",
    document_id=UUID(int=1),
)
OBLIGATION = ExportedObligation(
    due=date(2024, 3, 22),
    deadline=None,
    who="Defendant",
    what="produce all documents",
    quote="Defendant shall produce all documents",
    supported=True,
    document_title="Order granting motion to compel",
    file_name="order.pdf",
    page=1,
    matter="Doe v. Acme",
    document_id=UUID(int=1),
)
FACT = ExportedKeyFact(
    fact="The motion is granted.",
    quote="the motion is GRANTED",
    supported=True,
    document_title="Order granting motion to compel",
    file_name="order.pdf",
    page=1,
    matter="Doe v. Acme",
    document_id=UUID(int=1),
)


def opened(path: Path) -> Any:
    """The workbook as another program reads it; openpyxl has no types of its own."""
    return load_workbook(path)


def column(sheet: Any, header: str) -> list[Any]:
    heads = [cell.value for cell in sheet[1]]
    at = heads.index(header) + 1
    return [sheet.cell(row=row, column=at) for row in range(2, sheet.max_row + 1)]


def test_a_workbook_has_documents_timeline_obligations_and_facts_as_tables(tmp_path: Path) -> None:
    path = tmp_path / "export.xlsx"
    write_workbook(path, ExportedRows([DOCUMENT], [ENTRY], [OBLIGATION], [FACT]))
    book = opened(path)
    assert book.sheetnames == ["Documents", "Timeline", "Obligations", "Key facts"]
    for name in book.sheetnames:
        sheet = book[name]
        table = sheet.tables[name.replace(" ", "_")]
        assert table.autoFilter is not None
        assert table.ref == sheet.dimensions
        assert sheet.freeze_panes == "A2"


def test_dates_and_numbers_are_real_and_text_is_wrapped(tmp_path: Path) -> None:
    path = tmp_path / "export.xlsx"
    write_workbook(path, ExportedRows([DOCUMENT], [ENTRY]))
    sheet = opened(path)["Documents"]
    assert column(sheet, "Date")[0].value == datetime(2024, 3, 5)  # noqa: DTZ001
    assert column(sheet, "Date")[0].is_date
    assert column(sheet, "Received (UTC)")[0].value == datetime(2024, 3, 7, 4, 30)  # noqa: DTZ001
    assert column(sheet, "Pages")[0].value == 3
    assert column(sheet, "Cost")[0].value == pytest.approx(0.0012)
    assert column(sheet, "Confidence")[0].number_format == "0%"
    assert column(sheet, "Summary")[0].alignment.wrap_text
    assert column(sheet, "Parties")[0].value == "Jane Doe (plaintiff); Acme Inc. (defendant)"
    assert 30 < sheet.row_dimensions[2].height <= 90
    assert opened(path)["Timeline"]["A2"].is_date


def test_the_obligations_stand_by_due_date_with_who_what_and_the_quote(tmp_path: Path) -> None:
    undated = replace(OBLIGATION, due=None, deadline="within 20 days", who=None, what="answer")
    later = replace(OBLIGATION, due=date(2024, 5, 1), what="pay")
    path = tmp_path / "export.xlsx"
    write_workbook(path, ExportedRows([DOCUMENT], obligations=[undated, later, OBLIGATION]))
    sheet = opened(path)["Obligations"]
    assert [cell.value for cell in column(sheet, "What")] == [
        "produce all documents", "pay", "answer",
    ]  # fmt: skip
    assert column(sheet, "Due")[0].is_date
    assert column(sheet, "Deadline")[2].value == "within 20 days"
    assert column(sheet, "Quote")[0].value == OBLIGATION.quote


def test_a_quote_that_its_page_does_not_hold_is_marked_in_red(tmp_path: Path) -> None:
    invented = replace(ENTRY, on=date(2024, 4, 16), supported=False)
    without = replace(ENTRY, on=date(2024, 4, 17), quote="", supported=False)
    path = tmp_path / "export.xlsx"
    write_workbook(path, ExportedRows([DOCUMENT], [ENTRY, invented, without]))
    sheet = opened(path)["Timeline"]
    found = [cell.value for cell in column(sheet, "Quote found")]
    assert found == ["yes", NOT_FOUND, "no quote"]
    (rule,) = [rule for rules in sheet.conditional_formatting for rule in rules.rules]
    assert rule.formula == [f'"{NOT_FOUND}"']


def test_the_documents_sheet_says_court_case_filing_and_what_is_sensitive(tmp_path: Path) -> None:
    path = tmp_path / "export.xlsx"
    write_workbook(path, ExportedRows([DOCUMENT]))
    sheet = opened(path)["Documents"]
    assert column(sheet, "Case number")[0].value == "RG23-012345"
    assert column(sheet, "Filed")[0].value == datetime(2024, 3, 6)  # noqa: DTZ001
    assert column(sheet, "Sensitive")[0].value == "financial account; sealed"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "  =", "\t=", "\x00="])
def test_text_that_looks_like_a_formula_stays_text(tmp_path: Path, start: str) -> None:
    hostile = start + 'HYPERLINK("http://example.com","pay")'
    path = tmp_path / "export.xlsx"
    write_workbook(
        path, ExportedRows([replace(DOCUMENT, title=hostile)], [replace(ENTRY, what=hostile)])
    )
    book = opened(path)
    for cell in (column(book["Documents"], "Title")[0], column(book["Timeline"], "What")[0]):
        assert cell.data_type == "s"
        assert cell.quotePrefix
        assert cell.value.endswith('"pay")')
    with zipfile.ZipFile(path) as parts:
        for sheet in ("sheet1", "sheet2"):
            assert b"<f>" not in parts.read(f"xl/worksheets/{sheet}.xml")


def test_a_csv_opens_in_excel_and_runs_no_formula(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    write_csv(path, [replace(DOCUMENT, title="=1+1", matter="Müller")])
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    with path.open(encoding="utf-8-sig", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["Title"] == "'=1+1"
    assert row["Matter"] == "Müller"
    assert row["Date"] == "2024-03-05"
    assert row["Cost"] == "0.0012"


def test_a_cell_longer_than_excel_allows_is_cut_and_marked(tmp_path: Path) -> None:
    path = tmp_path / "export.xlsx"
    write_workbook(path, ExportedRows([replace(DOCUMENT, summary="😀" * CELL_LIMIT)], []))
    value = column(opened(path)["Documents"], "Summary")[0].value
    assert value.endswith("…")
    assert len(value.encode("utf-16-le")) // 2 <= CELL_LIMIT


def test_an_export_of_nothing_still_opens(tmp_path: Path) -> None:
    path = tmp_path / "export.xlsx"
    write_workbook(path, ExportedRows([], []))
    assert [c.value for c in opened(path)["Timeline"][1]][:2] == ["Date", "What"]


def test_the_same_rows_in_any_order_give_the_same_bytes(tmp_path: Path) -> None:
    rows = [replace(DOCUMENT, id=UUID(int=n), title=f"Title {n % 3}") for n in range(6)]
    entries = [replace(ENTRY, page=n) for n in range(1, 6)]
    first, second = tmp_path / "1.xlsx", tmp_path / "2.xlsx"
    duties = [replace(OBLIGATION, page=n, due=None if n % 2 else OBLIGATION.due) for n in range(4)]
    facts = [replace(FACT, page=n) for n in range(4)]
    write_workbook(first, ExportedRows(rows, entries, duties, facts))
    write_workbook(second, ExportedRows(rows[::-1], entries[::-1], duties[::-1], facts[::-1]))
    assert first.read_bytes() == second.read_bytes()


def test_documents_stand_by_matter_then_date_with_the_undated_last(tmp_path: Path) -> None:
    undated = replace(DOCUMENT, id=UUID(int=2), document_date=None, title="undated")
    early = replace(DOCUMENT, id=UUID(int=3), document_date=date(2020, 1, 1), title="early")
    other = replace(DOCUMENT, id=UUID(int=4), matter="Aaron", title="other matter")
    path = tmp_path / "export.xlsx"
    write_workbook(path, ExportedRows([undated, DOCUMENT, other, early], []))
    titles = [cell.value for cell in column(opened(path)["Documents"], "Title")]
    assert titles == ["other matter", "early", DOCUMENT.title, "undated"]


def test_a_date_before_1900_is_readable_although_excel_has_none(tmp_path: Path) -> None:
    path = tmp_path / "export.xlsx"
    write_workbook(path, ExportedRows([replace(DOCUMENT, document_date=date(1871, 5, 2))], []))
    assert column(opened(path)["Documents"], "Date")[0].value == "1871-05-02"


def test_an_export_too_big_for_tables_is_streamed_with_a_filter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workbook, "TABLE_ROWS", 2)
    path = tmp_path / "export.xlsx"
    write_workbook(path, ExportedRows([replace(DOCUMENT, title="=1")] * 3, [ENTRY]))
    sheet = opened(path)["Documents"]
    assert sheet.auto_filter.ref == "A1:AB4"
    assert column(sheet, "Title")[2].value == "=1"
    assert column(sheet, "Title")[2].data_type in {"s", "inlineStr"}


def test_json_lines_hold_everything_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "export.jsonl"
    rows = ExportedRows([replace(DOCUMENT, title="=1+1\x00")], [ENTRY], [OBLIGATION], [FACT])
    write_jsonl(path, rows)
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert [one["kind"] for one in lines] == ["document", "timeline", "obligation", "key fact"]
    document, entry, obligation, _ = lines
    assert (obligation["due"], obligation["supported"]) == ("2024-03-22", True)
    assert document["title"] == "=1+1\x00"
    assert document["cost_dollars"] == "0.0012"
    assert document["parties"] == ["Jane Doe (plaintiff)", "Acme Inc. (defendant)"]
    assert entry["document_id"] == document["id"]


def workbook_of(path: Path, rows: list[Any]) -> None:
    write_workbook(path, ExportedRows(rows, []))


def jsonl_of(path: Path, rows: list[Any]) -> None:
    write_jsonl(path, ExportedRows(rows, []))


@pytest.mark.parametrize("write", [workbook_of, write_csv, jsonl_of])
def test_an_export_that_fails_leaves_the_former_one_whole(
    tmp_path: Path, write: Callable[[Path, list[Any]], None]
) -> None:
    path = tmp_path / "export"
    path.write_text("the former export")
    with pytest.raises(AttributeError):
        write(path, [DOCUMENT, "not a document"])
    assert path.read_text() == "the former export"
    assert list(tmp_path.iterdir()) == [path]


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=st.text(st.characters(exclude_categories=[]), max_size=60))
def test_any_text_is_exported_and_read_back_without_its_control_characters(
    tmp_path: Path, text: str
) -> None:
    row = replace(DOCUMENT, title=text, received_at=datetime(2024, 1, 1, tzinfo=UTC))
    write_workbook(tmp_path / "export.xlsx", ExportedRows([row], []))
    write_csv(tmp_path / "export.csv", [row])
    write_jsonl(tmp_path / "export.jsonl", ExportedRows([row], []))
    value = column(opened(tmp_path / "export.xlsx")["Documents"], "Title")[0].value or ""
    shown = "".join(c for c in text if c in "\t\n\r" or (c >= " " and c not in "\x7f\ufffe\uffff"))
    shown = "".join(c for c in shown if not "\ud800" <= c <= "\udfff")
    assert value == shown.replace("\r\n", "\n").replace("\r", "\n")
    with (tmp_path / "export.csv").open(encoding="utf-8-sig", newline="") as file:
        assert len(list(csv.reader(file))) == 2
    assert len((tmp_path / "export.jsonl").read_bytes().splitlines()) == 1
