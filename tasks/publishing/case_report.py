"""The case report: what is known of a matter's documents, as a PDF that can be filed.

Cover, contents, index, timeline, obligations and deadlines, summaries, totals, and what could
not be read. Each statement says which document and page it is from; each summary says who wrote
it, and rules say that they are rules. Documents are numbered by their own dates.

Here it is told in data; `typesetting` sets it from `case_report.typ`. What documents say reaches
that as strings of JSON, which are shown letter for letter; no text becomes markup.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from schema.analysis import MOST_MONEY, Amount, Analysis, Quoted
from schema.failures import Failure
from sql.documents import DocumentRow

VOLUME_LETTERS = 400_000
"""Of analyses in a volume: some 200 documents, and less than 300 MB while it is set."""

LETTERS_BESIDES = 500
"""What a document takes besides its analysis: its row in the index, its heading."""

HASH_LETTERS = 12
"""Of a SHA-256 in the index; the summaries have all of it."""

LONG_SUMMARY = 1_200
"""Letters; a shorter one is kept on one page."""

FailedPages = Mapping[UUID, Sequence[tuple[int, dict[str, Any]]]]


@dataclass(frozen=True, slots=True)
class Case:
    """What a report is about."""

    matter: str | None
    documents: Sequence[DocumentRow]
    """In the order of their numbers (`in_order`)."""
    failed_pages: FailedPages
    prepared_by: str | None
    prepared_at: datetime


def in_order(documents: Iterable[DocumentRow]) -> list[DocumentRow]:
    """Documents in the order in which they are numbered: by their own date, undated ones last."""
    return sorted(
        documents,
        key=lambda row: (row.document_date or date.max, row.created_at, row.file_name, row.id),
    )


def volumes(case: Case) -> list[dict[str, Any]]:
    """The data of the report's volumes: one, or as many as keep each of them small.

    Typst holds all of a PDF in memory while it sets it. Documents keep their numbers, and as
    they are numbered by date, a volume is a span of time.
    """
    numbered = [
        _Numbered(number, row, Analysis.model_validate(row.analysis) if row.analysis else None)
        for number, row in enumerate(case.documents, 1)
    ]
    parts: list[list[_Numbered]] = [[]]
    letters = 0
    for doc in numbered:
        own = LETTERS_BESIDES + (len(json.dumps(doc.row.analysis)) if doc.analysis else 0)
        if parts[-1] and letters + own > VOLUME_LETTERS:
            parts.append([])
            letters = 0
        parts[-1].append(doc)
        letters += own
    return [
        _volume(case, part, volume, len(parts), len(numbered))
        for volume, part in enumerate(parts, 1)
    ]


def name_of(volume: int, volumes: int) -> str:
    """The file name of a volume (from 1)."""
    return "case-report.pdf" if volumes == 1 else f"case-report-{volume}-of-{volumes}.pdf"


def _volume(
    case: Case, numbered: Sequence["_Numbered"], volume: int, volumes: int, all_documents: int
) -> dict[str, Any]:
    """Everything the template shows, as it is shown."""
    rows = [doc.row for doc in numbered]
    pages = sum(row.page_count for row in rows)
    dates = [row.document_date for row in rows if row.document_date is not None]
    failures = [one for doc in numbered for one in _unread(doc, case.failed_pages)]
    title = case.matter or "All documents"
    return {
        "title": f"{title}: case report",
        "kind": "Case report" if volumes == 1 else f"Case report, volume {volume} of {volumes}",
        "part": None
        if volumes == 1
        else f"Documents {numbered[0].number:,} to {numbered[-1].number:,} of {all_documents:,}",
        "prepared_at": case.prepared_at.isoformat(),
        "matter": title,
        "prepared_by": case.prepared_by,
        "prepared_on": _day(case.prepared_at.date()),
        "counts": [
            _count(len(rows), "document"),
            _count(pages, "page"),
            _count(sum(len(doc.analysis.timeline) for doc in numbered if doc.analysis), "event"),
            _count(
                sum(len(doc.analysis.obligations) for doc in numbered if doc.analysis),
                "obligation and deadline",
                "obligations and deadlines",
            ),
        ],
        "span": f"{_day(min(dates))} to {_day(max(dates))}" if dates else None,
        "remarks": _remarks(numbered, failures),
        "documents": [_document(doc, case.failed_pages) for doc in numbered],
        "timeline": _timeline(numbered),
        "obligations": _obligations(numbered),
        "types": _types(numbered),
        "amounts": _amounts(numbered),
        "sensitive": [
            {
                "number": doc.number,
                "title": doc.row.title or doc.row.file_name,
                "why": ", ".join(flag.value for flag in doc.analysis.sensitivity),
            }
            for doc in numbered
            if doc.analysis and doc.analysis.sensitivity
        ],
        "failures": failures,
    }


@dataclass(frozen=True, slots=True)
class _Numbered:
    number: int
    row: DocumentRow
    analysis: Analysis | None


def _day(day: date) -> str:
    return f"{day:%B} {day.day}, {day.year}"


def _count(count: int, one: str, many: str | None = None) -> dict[str, str]:
    return {"count": f"{count:,}", "of": one if count == 1 else many or f"{one}s"}


def _remarks(numbered: Sequence[_Numbered], failures: Sequence[object]) -> list[str]:
    """What a reader must know of how the report came about."""
    analysts = {doc.analysis.analyst for doc in numbered if doc.analysis}
    remarks = [
        "Statements are taken from the documents with the page that makes them, and are to be "
        "checked there."
    ]
    if analysts:
        remarks.append(f"Analysed by {', '.join(sorted(analysts))}.")
    if unanalysed := sum(doc.analysis is None for doc in numbered):
        remarks.append(f"Not analysed: {_some(unanalysed, 'document')}.")
    if failures:
        remarks.append("What could not be read is listed at the end.")
    return remarks


def _some(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _document(doc: _Numbered, failed_pages: FailedPages) -> dict[str, Any]:
    row, a = doc.row, doc.analysis
    subtype = f" ({a.subtype})" if a and a.subtype else ""
    kind = f"{row.document_type.capitalize()}{subtype}" if row.document_type else None
    return {
        "number": doc.number,
        "date": row.document_date.isoformat() if row.document_date else None,
        "type": row.document_type,
        "title": row.title,
        "pages": row.page_count,
        "file_name": row.file_name,
        "short_hash": row.file_hash[:HASH_LETTERS],
        "facts": [
            fact
            for fact in (
                kind,
                _day(row.document_date) if row.document_date else None,
                _some(row.page_count, "page"),
                row.file_name if row.title else None,
            )
            if fact
        ],
        "summary": a.summary if a else None,
        "unanalysed": "This document has not been analysed.",
        "details": _details(a) if a else [],
        "warnings": [
            one["reason"] if one["page"] is None else f"Page {one['page']}: {one['reason']}"
            for one in _unread(doc, failed_pages)
        ],
        "is_long": a is not None and len(a.summary) > LONG_SUMMARY,
        "provenance": [
            *((_by(a),) if a else ()),
            f"received {row.created_at.astimezone(UTC):%Y-%m-%d}",
        ],
        "hash": row.file_hash,
    }


def _by(analysis: Analysis) -> str:
    sure = f"confidence {analysis.confidence:.0%}"
    if analysis.is_by_rules:
        return f"by rules, without a person or a model ({analysis.analyst}), {sure}"
    return f"by {analysis.analyst}, {sure}"


def _details(a: Analysis) -> list[tuple[str, str]]:
    details = (
        ("Court", a.court or ""),
        ("Case number", a.case_number or ""),
        ("Filed", _day(a.filing_date) if a.filing_date else ""),
        ("Served", _day(a.service_date) if a.service_date else ""),
        ("Parties", "; ".join(f"{one.name} ({one.role})" for one in a.parties)),
        ("Amounts", "; ".join(_amount(one) for one in a.amounts)),
        ("Handle with care", ", ".join(flag.value for flag in a.sensitivity)),
    )
    return [(name, value) for name, value in details if value]


def _amount(one: Amount) -> str:
    return f"{one.currency} {_money(one.value)} {one.what} (p. {one.page})"


def _money(value: Decimal) -> str:
    """With cents, and with whatever else the document states."""
    if abs(value) >= MOST_MONEY:  # it may have more digits than can be reckoned with
        return f"{value:,}"
    return f"{value:,.2f}" if value == round(value, 2) else f"{value:,f}"


def _unread(doc: _Numbered, failed_pages: FailedPages) -> list[dict[str, Any]]:
    row = doc.row
    unread: list[dict[str, Any]] = []

    def say(page: int | None, reason: str) -> None:
        unread.append(
            {
                "number": doc.number,
                "file_name": row.file_name,
                "page": page,
                "reason": reason,
            }
        )

    failed = failed_pages.get(row.id, ())
    if row.error is not None:
        failure = Failure.model_validate(row.error)
        if failure.page is None or failure.page not in [number for number, _ in failed]:
            say(failure.page, failure.reason)
    for number, error in failed:
        say(number, Failure.model_validate(error).reason)
    if waiting := row.page_count - row.pages_done - row.pages_failed:
        say(None, f"{_some(waiting, 'page')} had not been read when this report was made.")
    return unread


def _remark(said: Quoted) -> str | None:
    return (
        "The quoted words were not found on the page."
        if said.quote and not said.supported
        else None
    )


def _timeline(numbered: Sequence[_Numbered]) -> list[dict[str, Any]]:
    entries = [
        (entry.on, doc.number, entry.page, entry)
        for doc in numbered
        if doc.analysis
        for entry in doc.analysis.timeline
    ]
    return [
        {
            "on": on.isoformat(),
            "what": entry.what,
            "number": number,
            "page": page,
            "remark": _remark(entry),
        }
        for on, number, page, entry in sorted(entries, key=lambda one: one[:3])
    ]


def _obligations(numbered: Sequence[_Numbered]) -> list[dict[str, Any]]:
    found = [
        (one.due or date.max, doc.number, one.page, one)
        for doc in numbered
        if doc.analysis
        for one in doc.analysis.obligations
    ]
    return [
        {
            "due": " – ".join(
                part for part in (one.due.isoformat() if one.due else None, one.deadline) if part
            ),
            "who": one.who,
            "what": one.what,
            "number": number,
            "page": page,
            "remark": _remark(one),
        }
        for _, number, page, one in sorted(found, key=lambda one: one[:3])
    ]


def _types(numbered: Sequence[_Numbered]) -> list[dict[str, str]]:
    pages: dict[str, list[int]] = defaultdict(list)
    for doc in numbered:
        pages[doc.row.document_type or "not analysed"].append(doc.row.page_count)
    rows = [(kind, len(counts), sum(counts)) for kind, counts in sorted(pages.items())]
    rows.append(("total", len(numbered), sum(doc.row.page_count for doc in numbered)))
    return [
        {"type": kind, "documents": f"{documents:,}", "pages": f"{count:,}"}
        for kind, documents, count in rows
    ]


def _amounts(numbered: Sequence[_Numbered]) -> list[dict[str, str]]:
    values: dict[tuple[str, str], list[Decimal]] = defaultdict(list)
    for doc in numbered:
        for one in doc.analysis.amounts if doc.analysis else ():
            values[doc.row.document_type or "", one.currency].append(one.value)
    return [
        {
            "type": kind,
            "currency": currency,
            "statements": f"{len(found):,}",
            "smallest": _money(min(found)),
            "largest": _money(max(found)),
        }
        for (kind, currency), found in sorted(values.items())
    ]
