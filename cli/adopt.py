"""`aseagi adopt`: take in again what another database knew."""

import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from cli.connection import use_stack
from cli.console import STATE_DIR, JsonOption, StateDirOption, console, print_json, run
from cli.correct import ByOption, person
from schema.failures import BadInput
from schema.lanes import Lane

if TYPE_CHECKING:
    from collections.abc import Sequence

    from blocks.bucket import Bucket
    from blocks.database import Database
    from tasks.adopting import Adopted, Candidate, Known

LOOK_SECONDS = 0.5
AT_A_TIME = 500
"""Files asked about at a time."""
SHOWN = 200
"""Lines of the table; what went wrong comes first."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(adopt)


def adopt(
    folder: Annotated[
        Path | None,
        typer.Argument(help="An export, and the originals anywhere below it; else the bucket."),
    ] = None,
    lane: Annotated[Lane, typer.Option(help="How urgent it is; nightly is cheapest.")] = Lane.BULK,
    deleted_too: Annotated[
        bool, typer.Option("--deleted-too", help="Also what was deleted here on purpose.")
    ] = False,
    timeout_minutes: Annotated[
        float, typer.Option(help="Wait so long for all of it to be taken in.")
    ] = 60,
    by: ByOption = None,
    state: StateDirOption = STATE_DIR,
    as_json: JsonOption = False,
) -> None:
    """Take in documents that lie in the bucket's processed/ without being known, or an old export.

    For a database that was lost, or a case that moves here. Each file must have the SHA-256 it is
    known by. Names, matters, arrivals and corrections come from the manifests of exports: those
    in the bucket, or the one in the folder. Doing it again adds nothing; it goes on where it
    ended. Pages are read and analysed again.

    **Examples**

    - `aseagi adopt` — the bucket of a database that was lost
    - `aseagi adopt ~/export-2025-03-04` — documents.jsonl or manifest.csv, with the originals
    """
    if folder is not None and not folder.is_dir():
        raise BadInput(f"{folder} is no folder.")
    who = person(by)
    use_stack(state)
    adopted = run(_adopt(folder, lane, who, deleted_too, timeout_minutes * 60, quiet=as_json))
    if as_json:
        print_json(
            [
                {
                    "name": one.name,
                    "outcome": one.outcome,
                    "file_hash": one.file_hash,
                    "reason": one.reason,
                    "document_id": one.document_id,
                    "carried_over": one.carried_over,
                }
                for one in adopted
            ]
        )
        return
    _tell(adopted)


def _tell(adopted: "Sequence[Adopted]") -> None:
    if not adopted:
        console.print("There is nothing to adopt.")
        return
    fine = {"adopted", "known"}
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for header in ("file", "sha-256", "outcome", "document", "why"):
        table.add_column(header, overflow="fold")
    for one in sorted(adopted, key=lambda one: one.outcome in fine)[:SHOWN]:
        table.add_row(
            Text(one.name if len(one.name) < 60 else f"{one.name[:59]}…"),
            one.file_hash[:16],
            one.outcome,
            one.document_id.hex[:8] if one.document_id else "",
            Text(one.reason or (f"{one.carried_over} carried over" if one.carried_over else "")),
        )
    console.print(table)
    counts = Counter(one.outcome for one in adopted)
    console.print(", ".join(f"{number} {outcome}" for outcome, number in counts.most_common()))
    if counts["waits"]:
        console.print("`aseagi adopt` again carries over what waits, once it is taken in.")
    if counts["adopted"]:
        console.print("`aseagi process --wait` shows how they get on.")


async def _adopt(
    folder: Path | None, lane: Lane, by: str, deleted_too: bool, seconds: float, *, quiet: bool
) -> "list[Adopted]":
    import anyio

    from blocks.database import Database
    from blocks.loading import load
    from blocks.object_storage import ObjectStorage
    from tasks.adopting import files_in, listing_in, manifests_in, originals_in

    database, storage = await load(Database), await load(ObjectStorage)
    bucket = storage.plain()

    def gather() -> "tuple[Known, list[Candidate]]":
        if folder is None:
            return manifests_in(bucket), list(originals_in(bucket))
        known = listing_in(folder)
        return known, list(files_in(folder, known))

    with console.status("looking for what can be adopted"):
        known, candidates = await anyio.to_thread.run_sync(gather)
    adopted = await _put_all(
        bucket, database, candidates, known, lane, by, deleted_too=deleted_too, quiet=quiet
    )
    await _wait(database, adopted, seconds, quiet=quiet)
    await _carry_over(database, adopted, known)
    return adopted


async def _put_all(
    bucket: "Bucket",
    database: "Database",
    candidates: "Sequence[Candidate]",
    known: "Known",
    lane: Lane,
    by: str,
    *,
    deleted_too: bool,
    quiet: bool,
) -> "list[Adopted]":
    """Put into the inbox what is not known here; every candidate is answered."""
    import anyio

    from sql.adoptions import deleted_hashes, known_hashes
    from tasks.adopting import Adopted, announce, is_there, put

    adopted: list[Adopted] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=quiet) as progress:
        bar = progress.add_task("adopting", total=len(candidates))
        for first in range(0, len(candidates), AT_A_TIME):
            some = candidates[first : first + AT_A_TIME]
            hashes = [one.file_hash for one in some]
            async with database.connect() as db:
                here = await known_hashes(db, hashes)
                gone = set[str]() if deleted_too else await deleted_hashes(db, hashes)
            for one in some:
                if one.file_hash in here:
                    known_as = here[one.file_hash]
                    adopted.append(Adopted(one.name, "known", one.file_hash, document_id=known_as))
                elif one.file_hash in gone and await anyio.to_thread.run_sync(
                    is_there, bucket, one
                ):
                    reason = "`--deleted-too` takes it in all the same."
                    adopted.append(Adopted(one.name, "deleted here", one.file_hash, reason))
                elif one.file_hash not in gone:
                    put_it = await anyio.to_thread.run_sync(
                        lambda one=one: put(bucket, one, known.get(one.file_hash), by=by, lane=lane)
                    )
                    if put_it is not None:
                        async with database.connect() as db:
                            await announce(db, put_it, lane=lane)
                        adopted.append(put_it)
                progress.advance(bar)
    return adopted


async def _wait(
    database: "Database", adopted: "Sequence[Adopted]", seconds: float, *, quiet: bool
) -> None:
    """Have ingest take in what was put, and wait for it."""
    import anyio

    from sql.adoptions import known_hashes
    from sql.arrivals import find_arrivals
    from tasks.starting import start_unless_about_to

    waiting = {one.seen.key: one for one in adopted if one.seen is not None}
    if not waiting:
        return
    await start_unless_about_to("ingest/ingest")
    deadline = time.monotonic() + seconds
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, disable=quiet) as progress:
        bar = progress.add_task("taking in", total=len(waiting))
        while waiting and time.monotonic() < deadline:
            async with database.connect() as db:
                settled = await find_arrivals(db, list(waiting))
                here = await known_hashes(db, [one.file_hash for one in waiting.values()])
            for arrival in settled:
                one = waiting[arrival.key]
                one.document_id = here.get(one.file_hash)
                if one.document_id is None and arrival.state == "noticed":
                    continue
                if one.document_id is None:
                    one.outcome, one.reason = "failed", "`aseagi status` says why."
                del waiting[arrival.key]
                progress.advance(bar)
            if waiting:
                await anyio.sleep(LOOK_SECONDS)
    for one in waiting.values():
        one.outcome, one.reason = "waits", "It lies in the inbox and is not taken in yet."


async def _carry_over(database: "Database", adopted: "Sequence[Adopted]", known: "Known") -> None:
    from tasks.adopting import carry_over_all

    for one in adopted:
        if one.document_id is not None and (told := known.get(one.file_hash)) is not None:
            async with database.connect() as db:
                one.carried_over = await carry_over_all(db, one.document_id, told)
