"""Exports: an Excel workbook that looks right when opened, CSV, and JSON lines.

Text that a spreadsheet would take for a formula stays text. Files appear under
their name only when complete, and the same rows give the same order.
"""

import csv
import json
import re
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from math import isfinite
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import xlsxwriter

from schema.failures import BadInput

CELL_LIMIT = 32_767
"""Characters that fit a cell, as Excel counts them (UTF-16)."""
SHEET_ROWS = 1_048_575
"""Rows that fit a sheet below its header."""
TABLE_ROWS = 20_000
"""Above this a sheet is streamed to disk, with a plain autofilter: tables are held in memory."""

Value = str | int | float | Decimal | date | datetime | UUID | None


@dataclass(frozen=True)
class ExportedDocument:
    """One document as a row; lists are already the texts a person reads."""

    id: UUID
    file_name: str
    matter: str | None
    type: str | None
    title: str | None
    document_date: date | None
    pages: int
    status: str
    parties: tuple[str, ...]
    people: tuple[str, ...]
    amounts: str
    summary: str | None
    confidence: float | None
    language: str | None
    received_at: datetime
    file_hash: str
    original_path: str | None
    seconds: float | None
    cost_dollars: Decimal | None
    error: str | None


@dataclass(frozen=True)
class ExportedTimelineEntry:
    """One dated fact, with the document that states it."""

    on: date
    what: str
    document_title: str | None
    file_name: str
    page: int
    matter: str | None
    document_id: UUID


Style = Literal["text", "wrapped", "whole", "date", "moment", "share", "seconds", "dollars"]

_NUMBER_FORMATS: dict[Style, str] = {
    "text": "@",
    "wrapped": "@",
    "whole": "0",
    "date": "yyyy-mm-dd",
    "moment": "yyyy-mm-dd hh:mm",
    "share": "0%",
    "seconds": "0.0",
    "dollars": "$0.0000",
}


@dataclass(frozen=True)
class _Column:
    header: str
    width: int
    style: Style


_DOCUMENT_COLUMNS = (
    _Column("Matter", 20, "text"),
    _Column("Date", 11, "date"),
    _Column("Type", 15, "text"),
    _Column("Title", 42, "wrapped"),
    _Column("Summary", 70, "wrapped"),
    _Column("Parties", 34, "wrapped"),
    _Column("People", 28, "wrapped"),
    _Column("Amounts", 32, "wrapped"),
    _Column("File", 30, "text"),
    _Column("Pages", 8, "whole"),
    _Column("Status", 12, "text"),
    _Column("Error", 34, "wrapped"),
    _Column("Confidence", 12, "share"),
    _Column("Language", 11, "text"),
    _Column("Received (UTC)", 17, "moment"),
    _Column("Seconds", 10, "seconds"),
    _Column("Cost", 10, "dollars"),
    _Column("Original path", 36, "text"),
    _Column("SHA-256", 20, "text"),
    _Column("Document id", 38, "text"),
)
_TIMELINE_COLUMNS = (
    _Column("Date", 11, "date"),
    _Column("What", 80, "wrapped"),
    _Column("Document", 42, "wrapped"),
    _Column("File", 30, "text"),
    _Column("Page", 7, "whole"),
    _Column("Matter", 20, "text"),
    _Column("Document id", 38, "text"),
)

_NOT_IN_A_CELL = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_FORMULA_STARTS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
_LINE_POINTS = 15
_MOST_LINES = 6


def write_workbook(
    path: Path, documents: Sequence[ExportedDocument], timeline: Sequence[ExportedTimelineEntry]
) -> None:
    """Write the sheets Documents and Timeline; the same rows give the same bytes.

    Raises BadInput when there are more rows than a sheet holds.
    """
    if max(len(documents), len(timeline)) > SHEET_ROWS:
        raise BadInput(
            f"more than {SHEET_ROWS:,} rows do not fit a spreadsheet; export as JSONL instead"
        )
    documents = _in_order(documents)
    streamed = max(len(documents), len(timeline)) > TABLE_ROWS
    with _complete(path) as unfinished:
        book = _Book(unfinished, streamed=streamed)
        book.sheet("Documents", _DOCUMENT_COLUMNS, [_document_cells(d) for d in documents])
        book.sheet("Timeline", _TIMELINE_COLUMNS, map(_timeline_cells, _timeline_order(timeline)))
        newest = max((_utc(d.received_at) for d in documents), default=datetime(2000, 1, 1))  # noqa: DTZ001
        book.close(created=newest)


def write_csv(path: Path, documents: Sequence[ExportedDocument]) -> None:
    """Write the documents as CSV in UTF-8 with a byte order mark, as Excel expects it.

    Text that a spreadsheet would run as a formula is preceded by an apostrophe.
    """
    with (
        _complete(path) as unfinished,
        unfinished.open("w", encoding="utf-8-sig", newline="") as file,
    ):
        rows = csv.writer(file)
        rows.writerow(column.header for column in _DOCUMENT_COLUMNS)
        for document in _in_order(documents):
            rows.writerow(_csv_cell(value) for value in _document_cells(document))


def write_jsonl(
    path: Path, documents: Sequence[ExportedDocument], timeline: Sequence[ExportedTimelineEntry]
) -> None:
    """Write one JSON object per line, documents first, told apart by `kind`.

    Nothing is shortened or guarded here: programs read it. Dates are ISO 8601
    and dollars are strings, which keep every digit.
    """
    with (
        _complete(path) as unfinished,
        unfinished.open("w", encoding="utf-8", newline="\n") as file,
    ):
        for document in _in_order(documents):
            file.write(_json_line("document", asdict(document)))
        for entry in _timeline_order(timeline):
            file.write(_json_line("timeline", asdict(entry)))


class _Book:
    """A workbook in the making, with one look for both sheets."""

    def __init__(self, path: Path, *, streamed: bool) -> None:
        self._streamed = streamed
        # Any: the library's annotations are incomplete.
        self._book: Any = xlsxwriter.Workbook(
            str(path),
            {
                "constant_memory": streamed,
                "strings_to_formulas": False,
                "strings_to_urls": False,
                "strings_to_numbers": False,
            },
        )
        look: dict[str, Any] = {"font_name": "Calibri", "font_size": 11, "valign": "top"}
        self._header = self._book.add_format(
            look
            | {"bold": True, "font_color": "#FFFFFF", "bg_color": "#1F3864", "valign": "vcenter"}
        )
        self._failed = self._book.add_format({"font_color": "#9C0006", "bg_color": "#FFC7CE"})
        formats = {
            style: look | {"num_format": shown, "text_wrap": style == "wrapped"}
            for style, shown in _NUMBER_FORMATS.items()
        }
        self._formats = {s: self._book.add_format(f) for s, f in formats.items()}
        # Typed text, not a formula, even after someone edits the cell.
        self._guarded = {
            s: self._book.add_format(f | {"quote_prefix": True}) for s, f in formats.items()
        }

    def sheet(self, name: str, columns: Sequence[_Column], rows: Iterable[list[Value]]) -> None:
        sheet = self._book.add_worksheet(name)
        sheet.freeze_panes(1, 0)
        sheet.hide_gridlines(2)
        sheet.set_landscape()
        sheet.set_paper(9)
        sheet.fit_to_pages(1, 0)
        sheet.repeat_rows(0)
        sheet.set_footer("&L&A&RPage &P of &N")
        for at, column in enumerate(columns):
            sheet.set_column(at, at, column.width)
        sheet.set_row(0, 22)
        for at, column in enumerate(columns):
            sheet.write_string(0, at, column.header, self._header)
        last = 0
        for last, values in enumerate(rows, start=1):
            sheet.set_row(last, _LINE_POINTS * _lines_of(columns, values))
            for at, (column, value) in enumerate(zip(columns, values, strict=True)):
                self._cell(sheet, last, at, column.style, value)
        self._filter(sheet, name, columns, last)

    def close(self, *, created: datetime) -> None:
        self._book.set_properties({"title": "Documents and timeline", "created": created})
        self._book.close()

    def _cell(self, sheet: Any, row: int, at: int, style: Style, value: Value) -> None:
        shown = self._formats[style]
        if value is None or value == "":
            sheet.write_blank(row, at, None, shown)
        elif isinstance(value, datetime | date) and value.year >= 1900:
            sheet.write_datetime(row, at, value, shown)
        elif isinstance(value, int | float | Decimal):
            if isfinite(value):
                sheet.write_number(row, at, float(value), shown)
            else:
                sheet.write_blank(row, at, None, shown)
        else:
            # Dates before 1900 do not exist in Excel either: they stay readable as text.
            text = _cell_text(str(value))
            sheet.write_string(row, at, text, self._guarded[style] if _runs(text) else shown)

    def _filter(self, sheet: Any, name: str, columns: Sequence[_Column], last: int) -> None:
        bottom = max(last, 1)
        if self._streamed:
            sheet.autofilter(0, 0, bottom, len(columns) - 1)
        else:
            headers = [{"header": c.header, "header_format": self._header} for c in columns]
            sheet.add_table(
                0,
                0,
                bottom,
                len(columns) - 1,
                {"name": name, "columns": headers, "style": "Table Style Light 1"},
            )
        status = next((i for i, c in enumerate(columns) if c.header == "Status"), None)
        if status is not None:
            sheet.conditional_format(
                1,
                status,
                bottom,
                status,
                {"type": "cell", "criteria": "==", "value": '"failed"', "format": self._failed},
            )


def _document_cells(document: ExportedDocument) -> list[Value]:
    d = document
    return [
        d.matter,
        d.document_date,
        d.type,
        d.title,
        d.summary,
        "; ".join(d.parties),
        "; ".join(d.people),
        d.amounts,
        d.file_name,
        d.pages,
        d.status,
        d.error,
        d.confidence,
        d.language,
        _utc(d.received_at),
        d.seconds,
        d.cost_dollars,
        d.original_path,
        d.file_hash,
        d.id,
    ]


def _timeline_cells(entry: ExportedTimelineEntry) -> list[Value]:
    e = entry
    return [e.on, e.what, e.document_title, e.file_name, e.page, e.matter, e.document_id]


def _in_order(documents: Sequence[ExportedDocument]) -> list[ExportedDocument]:
    """By matter, date (undated last), title, file."""
    return sorted(
        documents,
        key=lambda d: (
            (d.matter or "").casefold(),
            d.document_date or date.max,
            (d.title or "").casefold(),
            d.file_name,
            str(d.id),
        ),
    )


def _timeline_order(timeline: Sequence[ExportedTimelineEntry]) -> list[ExportedTimelineEntry]:
    return sorted(
        timeline,
        key=lambda e: (
            e.on,
            (e.matter or "").casefold(),
            e.file_name,
            str(e.document_id),
            e.page,
            e.what,
        ),
    )


def _utc(moment: datetime) -> datetime:
    """The moment in UTC, without saying so: a spreadsheet knows no time zones."""
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _without_control(text: str) -> str:
    return _NOT_IN_A_CELL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def _cell_text(text: str) -> str:
    """The text without control characters and within a cell's limit, marked when cut."""
    text = _without_control(text)
    if len(text.encode("utf-16-le")) // 2 <= CELL_LIMIT:
        return text
    units = text.encode("utf-16-le")[: 2 * (CELL_LIMIT - 1)]
    return units.decode("utf-16-le", errors="ignore") + "…"


def _runs(text: str) -> bool:
    """Whether a spreadsheet would take the text for a formula."""
    return text.lstrip().startswith(_FORMULA_STARTS)


def _csv_cell(value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    if isinstance(value, str):
        text = _without_control(value)
        return f"'{text}" if _runs(text) else text
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _lines_of(columns: Sequence[_Column], values: Sequence[Value]) -> int:
    """The lines the fullest wrapped cell needs, within what keeps a sheet easy to scan."""
    most = 1
    for column, value in zip(columns, values, strict=True):
        if column.style == "wrapped" and isinstance(value, str):
            lines = value[:2000].split("\n")
            most = max(most, sum(1 + len(line) // max(column.width - 2, 1) for line in lines))
    return min(most, _MOST_LINES)


def _json_line(kind: str, fields: dict[str, Any]) -> str:
    return json.dumps({"kind": kind} | fields, default=_json_value, ensure_ascii=True) + "\n"


def _json_value(value: object) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)


@contextmanager
def _complete(path: Path) -> Generator[Path]:
    """A file to write beside `path`, that takes its place once it is whole."""
    unfinished = path.with_name(path.name + ".unfinished")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
