"""Turn stored documents into the rows and files of an export, and put them into the bucket."""

import asyncio
import secrets
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from blocks.database import Database
from blocks.object_storage import EXPORT_LINK_SECONDS, EXPORTS, ObjectStorage
from schema.analysis import Analysis
from schema.failures import Failure
from sql.documents import DocumentRow, list_documents
from tasks.workbook import (
    ExportedDocument,
    ExportedTimelineEntry,
    write_csv,
    write_jsonl,
    write_workbook,
)

CONTENT_TYPES = {
    "documents.xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "documents.csv": "text/csv; charset=utf-8",
    "documents.jsonl": "application/jsonl",
}
"""The files of an export, with their types."""


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """One file of an export in the bucket, with a link that works for a week."""

    name: str
    key: str
    size_bytes: int
    link: str


def new_export_name() -> str:
    """A name for an export: sorts by time (UTC), and no other export has it."""
    return f"{datetime.now(UTC):%Y-%m-%d-%H%M%S}-{secrets.token_hex(3)}"


def export_key(export: str, name: str) -> str:
    """Where a file of an export lies."""
    return f"{EXPORTS}{export}/{name}"


@task(
    name="gather rows",
    task_run_name="gather rows",
    cache_policy=NO_CACHE,
    retries=2,
    retry_delay_seconds=2,
)
async def gather_rows(
    database: Database, matter: str | None
) -> tuple[list[ExportedDocument], list[ExportedTimelineEntry]]:
    """Read every document (of a matter) as the rows of an export."""
    async with database.connect() as db:
        rows = await list_documents(db, matter=matter)
    analyses = [Analysis.model_validate(row.analysis) if row.analysis else None for row in rows]
    documents = [_document(row, found) for row, found in zip(rows, analyses, strict=True)]
    timeline = [
        ExportedTimelineEntry(
            on=entry.on,
            what=entry.what,
            document_title=row.title,
            file_name=row.file_name,
            page=entry.page,
            matter=row.matter,
            document_id=row.id,
        )
        for row, found in zip(rows, analyses, strict=True)
        if found is not None
        for entry in found.timeline
    ]
    return documents, timeline


def failure_text(error: dict[str, Any] | None) -> str | None:
    """A stored failure as the line a person reads."""
    if error is None:
        return None
    failure = Failure.model_validate(error)
    where = f"page {failure.page}: " if failure.page else ""
    return f"{where}{failure.reason}"


def _document(row: DocumentRow, analysis: Analysis | None) -> ExportedDocument:
    return ExportedDocument(
        id=row.id,
        file_name=row.file_name,
        matter=row.matter,
        type=row.document_type,
        title=row.title,
        document_date=row.document_date,
        pages=row.page_count,
        status=row.status,
        parties=tuple(f"{one.name} ({one.role})" for one in analysis.parties) if analysis else (),
        people=tuple(analysis.people) if analysis else (),
        amounts="; ".join(f"{one.currency} {one.value} {one.what}" for one in analysis.amounts)
        if analysis
        else "",
        summary=analysis.summary if analysis else None,
        confidence=analysis.confidence if analysis else None,
        language=analysis.language if analysis else None,
        received_at=row.created_at,
        file_hash=row.file_hash,
        original_path=row.original_path,
        seconds=row.seconds,
        cost_dollars=row.cost_dollars,
        error=failure_text(row.error),
    )


@task(
    name="write files",
    task_run_name="write {export}",
    cache_policy=NO_CACHE,
    retries=2,
    retry_delay_seconds=[1, 5],
)
async def write_files(
    storage: ObjectStorage,
    export: str,
    documents: Sequence[ExportedDocument],
    timeline: Sequence[ExportedTimelineEntry],
) -> list[ExportedFile]:
    """Write workbook, CSV and JSON lines into `exports/`; the same export again overwrites."""
    return await asyncio.to_thread(_write_files, storage, export, documents, timeline)


def _write_files(
    storage: ObjectStorage,
    export: str,
    documents: Sequence[ExportedDocument],
    timeline: Sequence[ExportedTimelineEntry],
) -> list[ExportedFile]:
    with tempfile.TemporaryDirectory(prefix="aseagi-export-") as folder:
        write_workbook(Path(folder) / "documents.xlsx", documents, timeline)
        write_csv(Path(folder) / "documents.csv", documents)
        write_jsonl(Path(folder) / "documents.jsonl", documents, timeline)
        return [_upload(storage, export, Path(folder) / name) for name in CONTENT_TYPES]


def _upload(storage: ObjectStorage, export: str, path: Path) -> ExportedFile:
    key = export_key(export, path.name)
    storage.client().upload_file(
        str(path), storage.bucket, key, ExtraArgs={"ContentType": CONTENT_TYPES[path.name]}
    )
    return ExportedFile(
        name=path.name,
        key=key,
        size_bytes=path.stat().st_size,
        link=storage.signed_link(key, seconds=EXPORT_LINK_SECONDS, save_as=path.name),
    )
