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
from sql.manifests import ManifestRow

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
    filing_date: date | None
    service_date: date | None
    court: str | None
    case_number: str | None
    pages: int
    status: str
    parties: tuple[str, ...]
    people: tuple[str, ...]
    organisations: tuple[str, ...]
    sensitivity: tuple[str, ...]
    amounts: str
    summary: str | None
    confidence: float | None
    language: str | None
    received_at: datetime
    file_hash: str
    original_path: str | None
    part_of: str | None
    """The container it came in: a ZIP's or an e-mail's name."""
    notes: str | None
    seconds: float | None
    cost_dollars: Decimal | None
    error: str | None


@dataclass(frozen=True, kw_only=True)
class _Quoted:
    """What a document says, in its words, and whether those were found on the page."""

    quote: str
    supported: bool
    document_title: str | None
    file_name: str
    page: int
    matter: str | None
    document_id: UUID


@dataclass(frozen=True, kw_only=True)
class ExportedTimelineEntry(_Quoted):
    """One dated fact, with the document that states it."""

    on: date
    what: str


@dataclass(frozen=True, kw_only=True)
class ExportedObligation(_Quoted):
    """Who must do what, and by when."""

    due: date | None
    deadline: str | None
    who: str | None
    what: str


@dataclass(frozen=True, kw_only=True)
class ExportedKeyFact(_Quoted):
    """One fact worth knowing, with the document that states it."""

    fact: str


@dataclass(frozen=True)
class ExportedRows:
    """Everything an export holds."""

    documents: Sequence[ExportedDocument]
    timeline: Sequence[ExportedTimelineEntry] = ()
    obligations: Sequence[ExportedObligation] = ()
    key_facts: Sequence[ExportedKeyFact] = ()
    manifest: Sequence[ManifestRow] = ()
    """Where each document came from (`tasks.manifest`)."""
    numbered: Sequence[UUID] = ()
    """The documents in the order in which the case report numbers them, from 1."""

    @property
    def longest(self) -> int:
        """The rows of the longest sheet."""
        sheets = (self.documents, self.timeline, self.obligations, self.key_facts)
        return max(len(rows) for rows in sheets)


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
    _Column("Court", 30, "wrapped"),
    _Column("Case number", 18, "text"),
    _Column("Filed", 11, "date"),
    _Column("Served", 11, "date"),
    _Column("Summary", 70, "wrapped"),
    _Column("Parties", 34, "wrapped"),
    _Column("People", 28, "wrapped"),
    _Column("Organisations", 28, "wrapped"),
    _Column("Amounts", 32, "wrapped"),
    _Column("Sensitive", 22, "wrapped"),
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
    _Column("Part of", 30, "text"),
    _Column("Notes", 36, "text"),
    _Column("SHA-256", 20, "text"),
    _Column("Document id", 38, "text"),
)
_WHERE = (
    _Column("Quote", 60, "wrapped"),
    _Column("Quote found", 13, "text"),
    _Column("Document", 42, "wrapped"),
    _Column("File", 30, "text"),
    _Column("Page", 7, "whole"),
    _Column("Matter", 20, "text"),
    _Column("Document id", 38, "text"),
)
_TIMELINE_COLUMNS = (_Column("Date", 11, "date"), _Column("What", 70, "wrapped"), *_WHERE)
_OBLIGATION_COLUMNS = (
    _Column("Due", 11, "date"),
    _Column("Deadline", 30, "wrapped"),
    _Column("Who", 26, "wrapped"),
    _Column("What", 60, "wrapped"),
    *_WHERE,
)
_KEY_FACT_COLUMNS = (_Column("Fact", 60, "wrapped"), *_WHERE)
NOT_FOUND = "NOT FOUND"
"""What the column `Quote found` says of a quote that its page does not hold."""

_NOT_IN_A_CELL = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_FORMULA_STARTS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
_LINE_POINTS = 15
_MOST_LINES = 6


def write_workbook(path: Path, rows: ExportedRows) -> None:
    """Write a sheet each of documents, timeline, obligations and key facts.

    The same rows give the same bytes. Raises BadInput when there are more rows than a
    sheet holds.
    """
    if rows.longest > SHEET_ROWS:
        raise BadInput(
            f"more than {SHEET_ROWS:,} rows do not fit a spreadsheet; export as JSONL instead"
        )
    documents = _in_order(rows.documents)
    with _complete(path) as unfinished:
        book = _Book(unfinished, streamed=rows.longest > TABLE_ROWS)
        book.sheet("Documents", _DOCUMENT_COLUMNS, [_document_cells(d) for d in documents])
        timeline = _timeline_order(rows.timeline)
        book.sheet("Timeline", _TIMELINE_COLUMNS, map(_timeline_cells, timeline))
        obligations = _obligation_order(rows.obligations)
        book.sheet("Obligations", _OBLIGATION_COLUMNS, map(_obligation_cells, obligations))
        key_facts = _key_fact_order(rows.key_facts)
        book.sheet("Key facts", _KEY_FACT_COLUMNS, map(_key_fact_cells, key_facts))
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
            rows.writerow(csv_cell(value) for value in _document_cells(document))


def write_jsonl(path: Path, rows: ExportedRows) -> None:
    """Write one JSON object per line, documents first, told apart by `kind`.

    Nothing is shortened or guarded here: programs read it. Dates are ISO 8601
    and dollars are strings, which keep every digit.
    """
    with (
        _complete(path) as unfinished,
        unfinished.open("w", encoding="utf-8", newline="\n") as file,
    ):
        for document in _in_order(rows.documents):
            file.write(_json_line("document", asdict(document)))
        for entry in _timeline_order(rows.timeline):
            file.write(_json_line("timeline", asdict(entry)))
        for obligation in _obligation_order(rows.obligations):
            file.write(_json_line("obligation", asdict(obligation)))
        for fact in _key_fact_order(rows.key_facts):
            file.write(_json_line("key fact", asdict(fact)))


class _Book:
    """A workbook in the making, with one look for all sheets."""

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
        self._book.set_properties({"title": "Documents, timeline, obligations", "created": created})
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
                {
                    "name": name.replace(" ", "_"),
                    "columns": headers,
                    "style": "Table Style Light 1",
                },
            )
        for header, alarming in (("Status", "failed"), ("Quote found", NOT_FOUND)):
            for at in (i for i, column in enumerate(columns) if column.header == header):
                value = {"type": "cell", "criteria": "==", "value": f'"{alarming}"'}
                sheet.conditional_format(1, at, bottom, at, value | {"format": self._failed})


def _document_cells(document: ExportedDocument) -> list[Value]:
    d = document
    return [
        d.matter,
        d.document_date,
        d.type,
        d.title,
        d.court,
        d.case_number,
        d.filing_date,
        d.service_date,
        d.summary,
        "; ".join(d.parties),
        "; ".join(d.people),
        "; ".join(d.organisations),
        d.amounts,
        "; ".join(d.sensitivity),
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
        d.part_of,
        d.notes,
        d.file_hash,
        d.id,
    ]


def _timeline_cells(entry: ExportedTimelineEntry) -> list[Value]:
    return [entry.on, entry.what, *_where(entry)]


def _obligation_cells(obligation: ExportedObligation) -> list[Value]:
    o = obligation
    return [o.due, o.deadline, o.who, o.what, *_where(o)]


def _key_fact_cells(fact: ExportedKeyFact) -> list[Value]:
    return [fact.fact, *_where(fact)]


def _where(said: _Quoted) -> list[Value]:
    found = "yes" if said.supported else NOT_FOUND if said.quote else "no quote"
    return [
        said.quote,
        found,
        said.document_title,
        said.file_name,
        said.page,
        said.matter,
        said.document_id,
    ]


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
    return sorted(timeline, key=lambda e: (e.on, *_place(e), e.what))


def _obligation_order(obligations: Sequence[ExportedObligation]) -> list[ExportedObligation]:
    """By the date they are due, the undated last."""
    return sorted(obligations, key=lambda o: (o.due or date.max, *_place(o), o.what))


def _key_fact_order(facts: Sequence[ExportedKeyFact]) -> list[ExportedKeyFact]:
    return sorted(facts, key=lambda f: (*_place(f), f.fact))


def _place(said: _Quoted) -> tuple[str, str, str, int]:
    return (said.matter or "").casefold(), said.file_name, str(said.document_id), said.page


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


def csv_cell(value: Value) -> str:
    """A value as a cell of a CSV; before text that a spreadsheet would run, an apostrophe."""
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
