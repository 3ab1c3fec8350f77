"""Documents as a table for people and as JSON for scripts."""

from collections.abc import Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from schema.failures import Failure
from sql.documents import DocumentRow


def document_table(rows: Sequence[DocumentRow]) -> Table:
    """Document, type, title, date, pages, status, seconds, cost."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("id", no_wrap=True)
    table.add_column("document", overflow="fold", ratio=3)
    table.add_column("type", no_wrap=True)
    table.add_column("title", overflow="fold", ratio=3)
    table.add_column("date", no_wrap=True)
    table.add_column("pages", justify="right", no_wrap=True)
    table.add_column("status", ratio=2)
    table.add_column("seconds", justify="right", no_wrap=True)
    table.add_column("cost", justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            row.id.hex[:8],
            Text(f"{row.matter}/{row.file_name}" if row.matter else row.file_name),
            row.document_type or "",
            Text(row.title or ""),
            row.document_date.isoformat() if row.document_date else "",
            _pages(row),
            Text(_status(row)),
            f"{row.seconds:.1f}" if row.seconds is not None else "",
            f"${row.cost_dollars:.4f}",
        )
    return table


def document_dict(row: DocumentRow) -> dict[str, Any]:
    """A document for a script."""
    return {
        "id": row.id,
        "file_name": row.file_name,
        "matter": row.matter,
        "type": row.document_type,
        "title": row.title,
        "date": row.document_date,
        "pages": row.page_count,
        "pages_done": row.pages_done,
        "pages_failed": row.pages_failed,
        "failed_pages": row.failed_pages,
        "status": row.status,
        "stage": row.stage,
        "lane": row.lane,
        "seconds": row.seconds,
        "cost_dollars": row.cost_dollars,
        "file_hash": row.file_hash,
        "original_path": row.original_path,
        "part_of": row.part_of,
        "notes": row.notes,
        "analysis_failure": row.analysis_failure,
        "error": row.error,
    }


def _pages(row: DocumentRow) -> str:
    if row.status == "completed" and row.pages_failed == 0:
        return str(row.page_count)
    return f"{row.pages_done}/{row.page_count}"


def _status(row: DocumentRow) -> str:
    if row.error is not None:
        return f"failed: {Failure.model_validate(row.error).reason}"
    if row.status == "completed" and row.unread:
        return f"completed, {row.unread}"
    if row.status == "completed" and row.analysis_failure:
        return "completed, analysis incomplete"
    return row.status
