"""Turn stored documents into the rows and files of an export, and put them into the bucket."""

import asyncio
import secrets
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict
from uuid import UUID

from prefect import task
from prefect.cache_policies import NO_CACHE

from blocks.bucket import EXPORTS
from blocks.database import Database
from blocks.object_storage import EXPORT_LINK_SECONDS, ObjectStorage
from schema.analysis import Analysis, Quoted
from schema.failures import BadInput, Failure
from sql.documents import DocumentRow, count_documents, list_documents
from sql.manifests import manifest_rows
from tasks.deleting import remove_below
from tasks.manifest import NAME as MANIFEST
from tasks.manifest import write_manifest
from tasks.publishing.case_report import in_order
from tasks.workbook import (
    ExportedDocument,
    ExportedKeyFact,
    ExportedObligation,
    ExportedRows,
    ExportedTimelineEntry,
    write_csv,
    write_jsonl,
    write_workbook,
)

if TYPE_CHECKING:
    from prefect import State

CONTENT_TYPES = {
    MANIFEST: "text/csv; charset=utf-8",
    "documents.xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "documents.csv": "text/csv; charset=utf-8",
    "documents.jsonl": "application/jsonl",
}
"""The files of an export, with their types, in the order in which they are put: the manifest
first, as it tells a deletion which exports hold a document."""


class DeletedMeanwhile(BadInput):
    """A document was deleted while it was being exported."""


async def unless_gone(_task: object, _run: object, state: "State[object]") -> bool:
    """Retry anything else; a plain function because Prefect ignores anything else here."""
    return not isinstance(await state.aresult(raise_on_failure=False), DeletedMeanwhile)


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
async def gather_rows(database: Database, matter: str | None) -> ExportedRows:
    """Read every document (of a matter) as the rows of an export."""
    async with database.connect() as db:
        await db.execute("set transaction isolation level repeatable read, read only")
        rows = await list_documents(db, matter=matter)
        manifest = await manifest_rows(db, matter=matter)
    analyses = [Analysis.model_validate(row.analysis) if row.analysis else None for row in rows]
    documents = [_document(row, found) for row, found in zip(rows, analyses, strict=True)]
    analysed = [
        (row, found) for row, found in zip(rows, analyses, strict=True) if found is not None
    ]
    return ExportedRows(
        documents=documents,
        timeline=[
            ExportedTimelineEntry(on=entry.on, what=entry.what, **_where(row, entry))
            for row, found in analysed
            for entry in found.timeline
        ],
        obligations=[
            ExportedObligation(
                due=one.due, deadline=one.deadline, who=one.who, what=one.what, **_where(row, one)
            )
            for row, found in analysed
            for one in found.obligations
        ],
        key_facts=[
            ExportedKeyFact(fact=fact.fact, **_where(row, fact))
            for row, found in analysed
            for fact in found.key_facts
        ],
        manifest=manifest,
        numbered=[row.id for row in in_order(rows)],
    )


async def check_all_there(database: Database, documents: Collection[UUID]) -> None:
    """Raise `DeletedMeanwhile` if one of these has been deleted."""
    async with database.connect() as db:
        gone = len(documents) - await count_documents(db, documents)
    if gone:
        raise DeletedMeanwhile(
            "A document was deleted while it was being exported, and the export with it: "
            "export again."
        )


@task(
    name="check export",
    task_run_name="check that no document went",
    cache_policy=NO_CACHE,
    retries=2,
    retry_delay_seconds=[1, 5],
    retry_condition_fn=unless_gone,
)
async def check_whole(database: Database, documents: Sequence[UUID]) -> None:
    """Raise `DeletedMeanwhile` if anything of an export was deleted while it was being written.

    A deletion leaves the tables before it looks for exports. So either it is seen here, or it
    finds this export, with all that is in it.
    """
    await check_all_there(database, documents)


def remove_export(storage: ObjectStorage, export: str) -> None:
    """Remove all that lies in an export; blocking."""
    remove_below(storage.plain(), export_key(export, ""))


class _Where(TypedDict):
    quote: str
    supported: bool
    document_title: str | None
    file_name: str
    page: int
    matter: str | None
    document_id: UUID


def _where(row: DocumentRow, said: Quoted) -> _Where:
    return {
        "quote": said.quote,
        "supported": said.supported,
        "document_title": row.title,
        "file_name": row.file_name,
        "page": said.page,
        "matter": row.matter,
        "document_id": row.id,
    }


def failure_text(error: dict[str, Any] | None) -> str | None:
    """A stored failure as the line a person reads."""
    if error is None:
        return None
    failure = Failure.model_validate(error)
    where = f"page {failure.page}: " if failure.page else ""
    return f"{where}{failure.reason}"


def _document(row: DocumentRow, analysis: Analysis | None) -> ExportedDocument:
    a = analysis
    return ExportedDocument(
        id=row.id,
        file_name=row.file_name,
        matter=row.matter,
        type=row.document_type,
        title=row.title,
        document_date=row.document_date,
        filing_date=a.filing_date if a else None,
        service_date=a.service_date if a else None,
        court=a.court if a else None,
        case_number=a.case_number if a else None,
        pages=row.page_count,
        status=row.status,
        parties=tuple(_with_role(one.name, one.role) for one in a.parties) if a else (),
        people=tuple(_with_role(one.name, one.role) for one in a.people) if a else (),
        organisations=tuple(_with_role(one.name, one.role) for one in a.organisations) if a else (),
        sensitivity=tuple(flag.value for flag in a.sensitivity) if a else (),
        amounts="; ".join(f"{one.currency} {one.value} {one.what}" for one in a.amounts)
        if a
        else "",
        summary=a.summary if a else None,
        confidence=a.confidence if a else None,
        language=a.language if a else None,
        received_at=row.created_at,
        file_hash=row.file_hash,
        original_path=row.original_path,
        part_of=row.part_of,
        notes=row.notes,
        seconds=row.seconds,
        cost_dollars=row.cost_dollars,
        error=failure_text(row.error) or row.unread,
    )


def _with_role(name: str, role: str | None) -> str:
    return f"{name} ({role})" if role else name


@task(
    name="write files",
    task_run_name="write {export}",
    cache_policy=NO_CACHE,
    retries=2,
    retry_delay_seconds=[1, 5],
)
async def write_files(
    storage: ObjectStorage, export: str, rows: ExportedRows
) -> list[ExportedFile]:
    """Write workbook, CSV, JSON lines and manifest; what an export of that name held goes."""
    return await asyncio.to_thread(_write_files, storage, export, rows)


def _write_files(storage: ObjectStorage, export: str, rows: ExportedRows) -> list[ExportedFile]:
    with tempfile.TemporaryDirectory(prefix="aseagi-export-") as folder:
        write_workbook(Path(folder) / "documents.xlsx", rows)
        write_csv(Path(folder) / "documents.csv", rows.documents)
        write_jsonl(Path(folder) / "documents.jsonl", rows)
        write_manifest(Path(folder) / MANIFEST, rows.manifest)
        remove_export(storage, export)
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
