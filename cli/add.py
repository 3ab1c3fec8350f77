"""`aseagi add`: send files and folders to the gateway."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from cli.console import STATE_DIR, JsonOption, StateDirOption, console, print_json, run
from cli.gateway import find_gateway
from schema.failures import BadInput
from schema.lanes import Lane

if TYPE_CHECKING:
    from cli.uploading import Added, Candidate


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(add)


def add(
    paths: Annotated[list[Path], typer.Argument(help="Files and folders.")],
    matter: Annotated[
        str | None, typer.Option(help="The matter; a folder's own name if not given.")
    ] = None,
    lane: Annotated[
        Lane, typer.Option(help="now: somebody waits; bulk: soon; nightly: cheapest.")
    ] = Lane.BULK,
    state: StateDirOption = STATE_DIR,
    as_json: JsonOption = False,
) -> None:
    """Add files and folders; reading starts by itself.

    Adding the same file again changes nothing. Files of a kind that cannot be read (it
    takes PDF, JPEG, PNG, TIFF, WebP, HEIC, DOCX, TXT, HTML, EML, MSG and ZIP) are skipped
    and named.

    **Examples**

    - `aseagi add ~/cases/smith-v-jones` — a folder; its name becomes the matter
    - `aseagi add --matter smith-v-jones --lane now letter.pdf`

    On a machine of its own, with `ASEAGI_GATEWAY_URL` and `ASEAGI_TOKEN` (see `aseagi clients`).
    """
    if matter is not None:
        from blocks.inbox import check_matter

        check_matter(matter)
    find_gateway(state)
    candidates = list(candidates_in(paths, matter))
    if not candidates:
        raise BadInput("There are no files in what was named.")
    added = run(add_files(candidates, lane, quiet=as_json))
    if as_json:
        print_json([asdict(one) for one in added])
        return
    for one in added:
        if one.outcome == "skipped":
            console.print(f"skipped {one.path}: {one.reason}", markup=False, soft_wrap=True)
    counts = {
        kind: sum(one.outcome == kind for one in added) for kind in ("added", "already there")
    }
    console.print(f"{counts['added']} added, {counts['already there']} already there")
    console.print("`aseagi process --wait` shows how they get on.")


def candidates_in(paths: list[Path], matter: str | None = None) -> "Iterator[Candidate]":
    """The files that are named or lie in what is named; raises `BadInput` for what is not there."""
    from cli.uploading import shown

    for path in paths:
        if not path.exists():
            raise BadInput(f"{shown(path)} does not exist.")
        root = path.resolve()
        if root.is_file():
            yield _candidate(root, PurePosixPath(root.name), matter)
            continue
        for file in sorted(root.rglob("*")):
            inside = file.relative_to(root)
            if file.is_file() and not any(part.startswith(".") for part in inside.parts):
                yield _candidate(file, PurePosixPath(*inside.parts), matter or root.name)


def _candidate(file: Path, inside: PurePosixPath, matter: str | None) -> "Candidate":
    from cli.uploading import Candidate

    return Candidate(file, str(inside), matter, file.stat().st_size)


async def add_files(candidates: "list[Candidate]", lane: Lane, *, quiet: bool) -> "list[Added]":
    """Send the gateway the files that it does not have yet; with a bar."""
    from cli.gateway import gateway_client
    from cli.uploading import CHECKED_AT_A_TIME

    added: list[Added] = []
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=quiet) as progress:
        bar = progress.add_task("uploading", total=sum(one.size_bytes for one in candidates))
        async with gateway_client() as gateway:
            for first in range(0, len(candidates), CHECKED_AT_A_TIME):
                some = candidates[first : first + CHECKED_AT_A_TIME]
                added += await gateway.add(some, lane, lambda sent: progress.advance(bar, sent))
    return added
