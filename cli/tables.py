"""Documents as a table for people and as JSON for scripts."""

from collections.abc import Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from schema.failures import Failure
from sql.documents import DocumentRow


def document_table(rows: Sequence[DocumentRow]) -> Table:
    """Document, type, title, date, pages, status, seconds, cost."""
    table = Table(pad_edge=False)
    for column in ("id", "document", "type", "title", "date"):
        table.add_column(column, overflow="fold" if column in {"document", "title"} else "ellipsis")
    for column in ("pages", "status", "seconds", "cost"):
        table.add_column(column, justify="left" if column == "status" else "right")
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
        "status": row.status,
        "stage": row.stage,
        "lane": row.lane,
        "seconds": row.seconds,
        "cost_dollars": row.cost_dollars,
        "file_hash": row.file_hash,
        "original_path": row.original_path,
        "error": row.error,
    }


def _pages(row: DocumentRow) -> str:
    if row.status == "completed" and row.pages_failed == 0:
        return str(row.page_count)
    return f"{row.pages_done}/{row.page_count}"


def _status(row: DocumentRow) -> str:
    if row.error is not None:
        return f"failed: {Failure.model_validate(row.error).reason}"
    if row.status == "completed" and row.pages_failed:
        return f"completed, {row.pages_failed} pages unread"
    return row.status
