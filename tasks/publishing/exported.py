"""Searchable PDFs and the case report among the files of an export.

    exports/<name>/case-report.pdf            or its volumes
    exports/<name>/searchable/0007 deed.pdf   by the number the report gives the document
    exports/<name>/searchable.csv             each document: its file, or why there is none

Both steps may be done again: files are put whole, and the same again is the same.
"""

import asyncio
import csv
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path, PurePosixPath
from uuid import UUID

from botocore.exceptions import BotoCoreError, ClientError
from prefect import task
from prefect.cache_policies import NO_CACHE

from blocks.database import Database
from blocks.object_storage import EXPORT_LINK_SECONDS, ObjectStorage
from schema.failures import BadInput, RetryLater
from schema.files import PDF
from sql.documents import DocumentRow, list_documents
from sql.publishing import failed_pages_of
from tasks.exporting import ExportedFile, check_all_there, export_key, unless_gone
from tasks.progress import DrainProgress
from tasks.publishing.case_report import Case, name_of, volumes
from tasks.publishing.searchable import Searchable, Source, make_searchable, note_on
from tasks.publishing.typesetting import typeset
from tasks.publishing.workshop import Workshop
from tasks.workbook import csv_cell

INDEX = "searchable.csv"

LONGEST_NAME = 80
"""Letters of a file's own name in the name of its searchable PDF."""


@dataclass(frozen=True, slots=True)
class SearchableFile:
    """A document of an export: its searchable PDF, or why it has none."""

    number: int
    document_id: UUID
    file_name: str
    file_hash: str
    pages: int
    made: Searchable | None
    name: str | None
    """Its name in the export."""
    note: str
    """What it is, or why there is none."""


@dataclass(frozen=True, slots=True)
class SearchableFiles:
    """The searchable PDFs of an export, with the table of them."""

    files: Sequence[ExportedFile]
    documents: Sequence[SearchableFile]


@task(
    name="write searchable PDFs",
    task_run_name="write searchable PDFs of {export}",
    cache_policy=NO_CACHE,
    retries=3,
    retry_delay_seconds=[2, 10, 60],
    retry_condition_fn=unless_gone,
)
async def write_searchable(
    database: Database, storage: ObjectStorage, export: str, numbered: Sequence[UUID]
) -> SearchableFiles:
    """Put a searchable PDF of each document into the export, and a table that says of each.

    One is made after the other, in little memory; what was made before is only copied. Done
    again after a failure, it goes on where it was. Raises `DeletedMeanwhile` if one was deleted.
    """
    rows = await _rows(database, numbered)
    documents: list[SearchableFile] = []
    files: list[ExportedFile] = []
    progress = DrainProgress("searchable PDFs")
    async with Workshop() as workshop:
        for number, row in enumerate(rows, 1):
            document = await _searchable(database, storage, workshop, number, row)
            documents.append(document)
            if document.made is not None and document.name is not None:
                files.append(
                    await asyncio.to_thread(
                        _copy, storage, document.made.key, export, document.name
                    )
                )
            await progress.count_one(partial(_still, len(rows) - number))
    with tempfile.TemporaryDirectory(prefix="aseagi-export-") as folder:
        index = Path(folder) / INDEX
        _write_index(index, documents)
        await check_all_there(database, numbered)
        files.insert(0, await asyncio.to_thread(_upload, storage, export, index, "text/csv"))
    return SearchableFiles(files, documents)


@task(
    name="write case report",
    task_run_name="write case report of {export}",
    cache_policy=NO_CACHE,
    retries=2,
    retry_delay_seconds=[2, 10],
    retry_condition_fn=unless_gone,
)
async def write_report(
    database: Database,
    storage: ObjectStorage,
    export: str,
    numbered: Sequence[UUID],
    *,
    matter: str | None,
    prepared_by: str | None,
) -> list[ExportedFile]:
    """Put the case report into the export: one PDF, or the volumes of a large matter.

    Raises `DeletedMeanwhile` if a document was deleted, before anything of it is put.
    """
    rows = await _rows(database, numbered)
    async with database.connect() as db:
        failed = await failed_pages_of(db, numbered)
    case = Case(matter, rows, failed, prepared_by, datetime.now(UTC).replace(microsecond=0))
    data = await asyncio.to_thread(volumes, case)
    files: list[ExportedFile] = []
    for number, volume in enumerate(data, 1):
        with tempfile.TemporaryDirectory(prefix="aseagi-report-") as folder:
            made = await typeset(Path(folder), volume)
            named = made.rename(made.with_name(name_of(number, len(data))))
            await check_all_there(database, numbered)
            files.append(await asyncio.to_thread(_upload, storage, export, named, PDF))
    await asyncio.to_thread(_drop_others, storage, export, files)
    return files


async def _rows(database: Database, numbered: Sequence[UUID]) -> list[DocumentRow]:
    """The documents of an export in the order of their numbers."""
    async with database.connect() as db:
        rows = {row.id: row for row in await list_documents(db, ids=numbered)}
    await check_all_there(database, numbered)
    return [rows[one] for one in numbered]


async def _searchable(
    database: Database, storage: ObjectStorage, workshop: Workshop, number: int, row: DocumentRow
) -> SearchableFile:
    source = Source(row.id, row.media_type, row.s3_processed_path)
    made, name = None, None
    try:
        made = await make_searchable(database, storage, workshop, source)
    except BadInput as error:
        note = str(error)
    else:
        name, note = searchable_name(number, row.file_name), note_on(made)
    return SearchableFile(
        number, row.id, row.file_name, row.file_hash, row.page_count, made, name, note
    )


def searchable_name(number: int, file_name: str) -> str:
    """The name of a searchable PDF in an export: `searchable/0007 deed.pdf`.

    It is the name of a file on whatever computer it is copied to.
    """
    stem = PurePosixPath(file_name.replace("\\", "/")).stem
    kept = "".join(
        " " if letter in '<>:"/|?*' or not letter.isprintable() else letter for letter in stem
    )
    return f"searchable/{number:04d} {' '.join(kept.split())[:LONGEST_NAME].strip(' .')}.pdf"


async def _still(waiting: int) -> int:
    return waiting


def _write_index(path: Path, documents: Sequence[SearchableFile]) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(
            (
                "Number",
                "File",
                "Searchable PDF",
                "PDF/A",
                "Pages",
                "Pages with text laid behind",
                "Note",
                "SHA-256",
                "Document id",
            )
        )
        for one in documents:
            result = one.made.result if one.made else None
            rows.writerow(
                csv_cell(value)
                for value in (
                    one.number,
                    one.file_name,
                    one.name,
                    result.pdfa if result else None,
                    one.pages,
                    result.layered if result else None,
                    one.note,
                    one.file_hash,
                    one.document_id,
                )
            )


def _copy(storage: ObjectStorage, made: str, export: str, name: str) -> ExportedFile:
    """Copy within the bucket; nothing passes through here."""
    client, key = storage.client(), export_key(export, name)
    try:
        client.copy({"Bucket": storage.bucket, "Key": made}, storage.bucket, key)
        size = client.head_object(Bucket=storage.bucket, Key=key)["ContentLength"]
    except (BotoCoreError, ClientError) as error:
        raise RetryLater(f"The bucket does not answer ({type(error).__name__}).") from error
    return _exported(storage, name, key, size)


def _upload(storage: ObjectStorage, export: str, path: Path, media_type: str) -> ExportedFile:
    key = export_key(export, path.name)
    storage.client().upload_file(
        str(path), storage.bucket, key, ExtraArgs={"ContentType": media_type}
    )
    return _exported(storage, path.name, key, path.stat().st_size)


def _drop_others(storage: ObjectStorage, export: str, files: Sequence[ExportedFile]) -> None:
    """Delete volumes that an earlier try left behind, when there were more of them or fewer."""
    client, kept = storage.client(), {file.key for file in files}
    listing = client.get_paginator("list_objects_v2").paginate(
        Bucket=storage.bucket, Prefix=export_key(export, "case-report")
    )
    for key in [entry.get("Key", "") for page in listing for entry in page.get("Contents", [])]:
        if key and key not in kept:
            client.delete_object(Bucket=storage.bucket, Key=key)


def _exported(storage: ObjectStorage, name: str, key: str, size: int) -> ExportedFile:
    return ExportedFile(name, key, size, storage.signed_link(key, seconds=EXPORT_LINK_SECONDS))
