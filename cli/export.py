"""`aseagi export`: Excel, CSV and JSON lines, in the bucket and in a folder here."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from cli.connection import use_stack
from cli.console import STATE_DIR, JsonOption, StateDirOption, console, print_json, run
from schema.failures import RetryLater

LOOK_SECONDS = 0.5


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
    state: StateDirOption = STATE_DIR,
    as_json: JsonOption = False,
) -> None:
    """Export what is known of the documents: a workbook with timeline, CSV, JSON lines.

    Runs as the flow `export`; the files lie in the bucket's `exports/` and in a local
    folder, and the link to the workbook works for seven days.

    **Example:** `aseagi export --matter smith-v-jones --to ~/Desktop`
    """
    use_stack(state)
    exported = run(export_to(to, matter))
    if as_json:
        print_json({"folder": exported.folder, "files": exported.files, "link": exported.link})
        return
    for name in exported.files:
        console.print(f"{exported.folder / name}", markup=False, soft_wrap=True)
    console.print(f"link, for seven days: {exported.link}", markup=False, soft_wrap=True)


async def export_to(folder: Path, matter: str | None, *, seconds: float = 300) -> Exported:
    """Run the flow `export`, wait for it, and fetch its files into `folder`."""
    import anyio
    from prefect.client.orchestration import get_client

    from blocks.loading import load
    from blocks.object_storage import EXPORT_LINK_SECONDS, ObjectStorage
    from tasks.exporting import CONTENT_TYPES, export_key, new_export_name

    storage = await load(ObjectStorage)
    name = new_export_name()
    with console.status("exporting"):
        async with get_client() as client:
            deployment = await client.read_deployment_by_name("export/export")
            flow_run = await client.create_flow_run_from_deployment(
                deployment.id, parameters={"matter": matter, "name": name}
            )
            deadline = time.monotonic() + seconds
            while flow_run.state is None or not flow_run.state.is_final():
                if time.monotonic() > deadline:
                    raise RetryLater(f"The export has not ended after {seconds:.0f} s.")
                await anyio.sleep(LOOK_SECONDS)
                flow_run = await client.read_flow_run(flow_run.id)
        if not flow_run.state.is_completed():
            raise RetryLater(f"The export ended as {flow_run.state.name}; its run says why.")
        target = folder / name
        target.mkdir(parents=True, exist_ok=True)
        bucket, s3 = storage.bucket, storage.client()
        for file in CONTENT_TYPES:
            await anyio.to_thread.run_sync(
                s3.download_file, bucket, export_key(name, file), str(target / file)
            )
    workbook = export_key(name, "documents.xlsx")
    link = storage.signed_link(workbook, seconds=EXPORT_LINK_SECONDS, save_as="documents.xlsx")
    return Exported(target, list(CONTENT_TYPES), link)
