"""The flow `export`: everything known about the documents, as files people open."""

import asyncio
import re
from collections.abc import Sequence
from typing import Annotated

from prefect import flow
from prefect.artifacts import acreate_link_artifact, acreate_markdown_artifact
from prefect.runtime import flow_run
from pydantic import BaseModel, Field

from blocks.database import Database
from blocks.loading import load
from blocks.object_storage import ObjectStorage
from tasks.exporting import (
    DeletedMeanwhile,
    ExportedFile,
    check_whole,
    gather_rows,
    new_export_name,
    remove_export,
    write_files,
)
from tasks.publishing.exported import SearchableFiles, write_report, write_searchable

MOST_ROWS = 200
"""Files that the run's page lists; the export's folder has all of them."""


ExportName = Annotated[str, Field(pattern=r"^[^/\\]+$", max_length=100)]
"""One folder's name: a deletion finds an export by it."""


class ExportReport(BaseModel):
    """What was exported, and where it lies."""

    export: str = Field(description="Name of the export: its folder under exports/.")
    documents: int
    timeline_entries: int
    obligations: int
    searchable: int = Field(description="How many searchable PDFs there are.")
    objects: list[str] = Field(description="Where the files lie in the bucket.")


def _run_name() -> str:
    return f"export {flow_run.parameters.get('matter') or 'everything'}"


@flow(name="export", flow_run_name=_run_name)
async def export(
    matter: str | None = None,
    name: ExportName | None = None,
    searchable: bool = False,
    report: bool | None = None,
    prepared_by: str | None = None,
) -> ExportReport:
    """Write an Excel workbook, CSV and JSON lines into `exports/`; PDFs where they are wanted.

    The workbook has sheets of documents, timeline, obligations and key facts. A searchable PDF
    shows a document's pages as they are, with the words that were read behind them;
    `searchable.csv` says of each document which file it is, or why there is none. The case report
    is one PDF: cover, index, timeline, obligations and deadlines, summaries, totals.

    **Example:** `{"matter": "smith-v-jones", "searchable": true}`

    Args:
        matter: Only this matter; empty for all of them.
        name: Name of the export's folder; empty for one made of the present time. The same name
            again replaces the export.
        searchable: A searchable PDF of every document. They are made once, in seconds each.
        report: The case report; empty for one if a matter is given.
        prepared_by: Who prepared the report, for its cover; empty for nobody.
    """
    database, storage = await load(Database), await load(ObjectStorage)
    folder = name or new_export_name()
    rows = await gather_rows(database, matter)
    pdfs = SearchableFiles((), ())
    try:
        files = await write_files(storage, folder, rows)
        if report if report is not None else matter is not None:
            files += await write_report(
                database, storage, folder, rows.numbered, matter=matter, prepared_by=prepared_by
            )
        if searchable:
            pdfs = await write_searchable(database, storage, folder, rows.numbered)
        await check_whole(database, rows.numbered)
    except DeletedMeanwhile:
        await asyncio.to_thread(remove_export, storage, folder)
        raise
    for file in (*files, *pdfs.files[:1]):
        await acreate_link_artifact(
            key=file.name.replace(".", "-"), link=file.link, link_text=file.name
        )
    await acreate_markdown_artifact(
        key="export",
        description=f"Export {folder}",
        markdown="\n".join(
            [
                f"**{len(rows.documents)} documents**, {len(rows.timeline)} timeline entries, "
                f"{len(rows.obligations)} obligations and deadlines"
                + (f", matter *{matter}*" if matter else ""),
                "",
                *_table((*files, *pdfs.files)),
                "",
                *_without_pdf(pdfs),
                "The links work for seven days.",
            ]
        ),
    )
    return ExportReport(
        export=folder,
        documents=len(rows.documents),
        timeline_entries=len(rows.timeline),
        obligations=len(rows.obligations),
        searchable=sum(one.made is not None for one in pdfs.documents),
        objects=[file.key for file in (*files, *pdfs.files)],
    )


def _table(files: Sequence[ExportedFile]) -> list[str]:
    rows = ["| file | bytes |", "|---|---:|"]
    rows += [
        f"| [{_plain(file.name)}]({file.link}) | {file.size_bytes:,} |"
        for file in files[:MOST_ROWS]
    ]
    if len(files) > MOST_ROWS:
        rows.append(f"| and {len(files) - MOST_ROWS:,} more in the export's folder | |")
    return rows


def _without_pdf(pdfs: SearchableFiles) -> list[str]:
    """Which documents have no searchable PDF, and why."""
    without = [one for one in pdfs.documents if one.made is None]
    if not without:
        return []
    lines = [f"{len(without)} documents without a searchable PDF:", ""]
    lines += [f"- {_plain(one.file_name)}: {one.note}" for one in without[:MOST_ROWS]]
    return [*lines, ""]


def _plain(name: str) -> str:
    """A name in Markdown, whatever a file is called."""
    return re.sub(r"([\\`*_{}\[\]()<>#|!~])", r"\\\1", " ".join(name.split()))
