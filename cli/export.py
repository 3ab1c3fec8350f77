"""`aseagi export`: Excel, CSV, JSON lines and PDFs, in the bucket and in a folder here."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from cli.connection import use_stack
from cli.console import STATE_DIR, JsonOption, StateDirOption, console, print_json, run
from schema.failures import RetryLater

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient

    from blocks.object_storage import ObjectStorage

LOOK_SECONDS = 0.5

EXPORT_SECONDS = 300.0

SEARCHABLE_SECONDS = 24 * 3600.0
"""Thousands of documents take hours the first time. Whoever tires of waiting may stop: the flow
goes on, and what it made is made."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(export)


@dataclass(frozen=True, slots=True)
class Exported:
    """An export: its folder here, and a link to the workbook that works for a week."""

    folder: Path
    files: list[str]
    link: str


def export(
    matter: Annotated[str | None, typer.Option(help="Only this matter.")] = None,
    to: Annotated[Path, typer.Option(help="Folder for the files.")] = Path("exports"),
    searchable: Annotated[
        bool, typer.Option("--searchable", help="A searchable PDF of every document too.")
    ] = False,
    report: Annotated[
        bool | None,
        typer.Option(
            "--report/--no-report", help="The case report as PDF; by default with --matter."
        ),
    ] = None,
    prepared_by: Annotated[
        str | None, typer.Option(help="Who prepared the report, for its cover.")
    ] = None,
    state: StateDirOption = STATE_DIR,
    as_json: JsonOption = False,
) -> None:
    """Export what is known of the documents: a workbook with timeline, CSV, JSON lines, PDFs.

    Runs as the flow `export`; the files lie in the bucket's `exports/` and in a local
    folder, and the link to the workbook works for seven days. A matter gets a case report. With
    --searchable, every document comes as a PDF that can be searched: made once, in seconds each.

    **Example:** `aseagi export --matter smith-v-jones --searchable --to ~/Desktop`
    """
    use_stack(state)
    wanted = {"searchable": searchable, "report": report, "prepared_by": prepared_by}
    seconds = SEARCHABLE_SECONDS if searchable else EXPORT_SECONDS
    exported = run(export_to(to, matter, wanted=wanted, seconds=seconds))
    if as_json:
        print_json({"folder": exported.folder, "files": exported.files, "link": exported.link})
        return
    for name in exported.files:
        console.print(f"{exported.folder / name}", markup=False, soft_wrap=True)
    console.print(f"link, for seven days: {exported.link}", markup=False, soft_wrap=True)


async def export_to(
    folder: Path,
    matter: str | None,
    *,
    wanted: Mapping[str, object] | None = None,
    seconds: float = EXPORT_SECONDS,
) -> Exported:
    """Run the flow `export`, wait for it, and fetch its files into `folder`.

    `wanted` are further parameters of the flow: the PDFs.
    """
    import anyio
    from prefect.client.orchestration import get_client

    from blocks.loading import load
    from blocks.object_storage import EXPORT_LINK_SECONDS, ObjectStorage
    from tasks.exporting import export_key, new_export_name

    storage = await load(ObjectStorage)
    name = new_export_name()
    with console.status("exporting") as status:
        async with get_client() as client:
            deployment = await client.read_deployment_by_name("export/export")
            flow_run = await client.create_flow_run_from_deployment(
                deployment.id, parameters={"matter": matter, "name": name, **(wanted or {})}
            )
            deadline = time.monotonic() + seconds
            while flow_run.state is None or not flow_run.state.is_final():
                if time.monotonic() > deadline:
                    raise RetryLater(f"The export has not ended after {seconds:.0f} s.")
                await anyio.sleep(LOOK_SECONDS)
                flow_run = await client.read_flow_run(flow_run.id)
                status.update(" · ".join(("exporting", *await _how_far(client, flow_run.id))))
        if not flow_run.state.is_completed():
            why = " ".join((flow_run.state.message or "its run says why").split())
            raise RetryLater(f"The export ended as {flow_run.state.name}: {why}")
        files = await anyio.to_thread.run_sync(_fetch, storage, export_key(name, ""), folder / name)
    workbook = export_key(name, "documents.xlsx")
    link = storage.signed_link(workbook, seconds=EXPORT_LINK_SECONDS, save_as="documents.xlsx")
    return Exported(folder / name, files, link)


async def _how_far(client: "PrefectClient", flow_run_id: UUID) -> list[str]:
    """What the bar on the run's page says, once there is one."""
    from prefect.client.schemas.filters import (
        ArtifactFilter,
        ArtifactFilterFlowRunId,
        ArtifactFilterType,
    )

    bars = await client.read_artifacts(
        artifact_filter=ArtifactFilter(
            flow_run_id=ArtifactFilterFlowRunId(any_=[flow_run_id]),
            type=ArtifactFilterType(any_=["progress"]),
        )
    )
    return [bar.description for bar in bars if bar.description]


def _fetch(storage: "ObjectStorage", prefix: str, target: Path) -> list[str]:
    """Fetch all that lies there; returns the names, as they lie in the folder."""
    client = storage.client()
    listing = client.get_paginator("list_objects_v2").paginate(Bucket=storage.bucket, Prefix=prefix)
    names = [
        entry.get("Key", "").removeprefix(prefix)
        for page in listing
        for entry in page.get("Contents", [])
    ]
    for name in names:
        file = target / name
        if not file.resolve().is_relative_to(target.resolve()):
            continue  # no name of ours
        file.parent.mkdir(parents=True, exist_ok=True)
        client.download_file(storage.bucket, prefix + name, str(file))
    return names
