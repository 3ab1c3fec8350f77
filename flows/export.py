"""The flow `export`: everything known about the documents, as files people open."""

from prefect import flow
from prefect.artifacts import acreate_link_artifact, acreate_markdown_artifact
from prefect.runtime import flow_run
from pydantic import BaseModel, Field

from blocks.database import Database
from blocks.loading import load
from blocks.object_storage import ObjectStorage
from tasks.exporting import gather_rows, new_export_name, write_files


class ExportReport(BaseModel):
    """What was exported, and where it lies."""

    export: str = Field(description="Name of the export: its folder under exports/.")
    documents: int
    timeline_entries: int
    obligations: int
    objects: list[str] = Field(description="Where the files lie in the bucket.")


def _run_name() -> str:
    return f"export {flow_run.parameters.get('matter') or 'everything'}"


@flow(name="export", flow_run_name=_run_name)
async def export(matter: str | None = None, name: str | None = None) -> ExportReport:
    """Write an Excel workbook, CSV and JSON lines into `exports/`.

    The workbook has sheets of documents, timeline, obligations and key facts.

    Args:
        matter: Only this matter; empty for all of them.
        name: Name of the export's folder; empty for one made of the present time. The same name
            again replaces the export.
    """
    database, storage = await load(Database), await load(ObjectStorage)
    folder = name or new_export_name()
    rows = await gather_rows(database, matter)
    files = await write_files(storage, folder, rows)
    for file in files:
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
                "| file | bytes |",
                "|---|---:|",
                *(f"| [{file.name}]({file.link}) | {file.size_bytes:,} |" for file in files),
                "",
                "The links work for seven days.",
            ]
        ),
    )
    return ExportReport(
        export=folder,
        documents=len(rows.documents),
        timeline_entries=len(rows.timeline),
        obligations=len(rows.obligations),
        objects=[file.key for file in files],
    )
