"""`aseagi demo`: the whole way, from files to a workbook, on the samples in this repository."""

import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from cli.console import STATE_DIR, StateDirOption, console, fail, run, say_if_heard
from schema.lanes import Lane

if TYPE_CHECKING:
    from collections.abc import Collection
    from uuid import UUID

    from sql.documents import DocumentRow

SAMPLES = Path(__file__).resolve().parent.parent / "samples"
LONGEST_SECONDS = 900.0
LONGEST_IDLE_SECONDS = 90.0


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(demo)


@dataclass(frozen=True, slots=True)
class Expected:
    """What should become of a sample (samples/manifest.json)."""

    path: str
    outcome: str
    type: str | None
    document_date: str | None
    pages: int | None

    @property
    def key(self) -> str:
        """Where it lies in the bucket."""
        return f"uploads/{self.path}"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a sample ended, and what of that was not expected."""

    sample: Expected
    document: "DocumentRow | None"
    surprises: tuple[str, ...]


def demo(state: StateDirOption = STATE_DIR) -> None:
    """Take in, read, analyse and export the samples; exit 0 if each ended as expected.

    Starts the embedded stack, or uses the one that `aseagi up` has started. A second
    demo finds everything there and nothing new to do.
    """
    from cli.connection import use_stack
    from cli.stopping import running_stack
    from cli.up import print_addresses
    from stack.addresses import read_addresses
    from stack.embedded import is_running

    with ExitStack() as ends:
        stack = None
        if not is_running(state):
            ends.callback(
                say_if_heard, "The stack is stopped; `aseagi up` starts it again, same addresses."
            )
            stack = ends.enter_context(running_stack(state, console.print))
        addresses = stack.addresses if stack else read_addresses(state)
        use_stack(state)
        ended = run(_demo(state))
        if addresses is not None:
            print_addresses(addresses)
        if stack is not None and sys.stdin.isatty() and sys.stdout.isatty():
            console.print("The stack still runs, so you can look around. Press Enter to stop it.")
            sys.stdin.readline()
    surprises = [f"{one.sample.path}: {what}" for one in ended for what in one.surprises]
    if surprises:
        fail("not everything ended as expected: " + "; ".join(surprises))
    console.print(f"All {len(ended)} samples ended as expected.")


async def _demo(state: Path) -> list[Ended]:
    from cli.add import add_files
    from cli.export import export_to
    from cli.hosts import host_table, newest, wait_until_gone
    from cli.process import wait_until_done
    from cli.tables import document_table
    from cli.uploading import Candidate

    samples = read_manifest()
    files = [
        Candidate(path, *_named(sample.path), path.stat().st_size)
        for sample in samples
        if (path := SAMPLES / sample.path)
    ]
    added = await add_files(files, Lane.NOW, quiet=False)
    new = sum(one.outcome == "added" for one in added)
    console.print(f"{new} samples added, {len(added) - new} already there")
    await wait_until_done(None, seconds=LONGEST_SECONDS)
    ended = await _compare(samples)
    shown = {one.document.id: one.document for one in ended if one.document is not None}
    console.print(document_table(list(shown.values())))
    if await newest(ended_too=False):
        console.print("waiting until the rented host has idled long enough to be destroyed")
        await wait_until_gone(seconds=LONGEST_IDLE_SECONDS)
    if hosts := await newest(ended_too=True):
        console.print(host_table(hosts))
    exported = await export_to(state / "exports", None)
    console.print(f"export     {exported.folder / 'documents.xlsx'}", markup=False, soft_wrap=True)
    console.print(f"as a link  {exported.link}", markup=False, soft_wrap=True)
    return ended


def _named(path: str) -> tuple[str, str | None]:
    """A sample's name, and its matter if it lies in a folder."""
    matter, _, name = path.rpartition("/")
    return name, matter or None


def read_manifest() -> list[Expected]:
    """What should become of each sample."""
    entries: list[dict[str, Any]] = json.loads((SAMPLES / "manifest.json").read_text())
    return [
        Expected(
            path=entry["path"],
            outcome=entry["outcome"],
            type=entry["type"],
            document_date=entry["document_date"],
            pages=entry["pages"],
        )
        for entry in entries
    ]


async def _compare(samples: Sequence[Expected]) -> list[Ended]:
    from blocks.database import Database
    from blocks.loading import load
    from sql.arrivals import find_arrivals
    from sql.documents import list_documents

    database = await load(Database)
    async with database.connect() as db:
        arrivals = {one.key: one for one in await find_arrivals(db, [s.key for s in samples])}
        documents = {row.id: row for row in await list_documents(db)}
    ended: list[Ended] = []
    for sample in samples:
        arrival = arrivals.get(sample.key)
        row = documents.get(arrival.document_id) if arrival and arrival.document_id else None
        others = {one.document_id for one in arrivals.values() if one.key != sample.key}
        ended.append(Ended(sample, row, tuple(_surprises(sample, row, others))))
    return ended


def _surprises(
    sample: Expected, row: "DocumentRow | None", others: "Collection[UUID | None]"
) -> list[str]:
    """What is not as it should be; `others` are the documents that the other samples became."""
    if row is None:
        return ["it is no document"]
    if sample.outcome == "duplicate":
        is_twin = row.id in others  # whichever of the two was taken in first
        return [] if is_twin and row.status == "completed" else ["it is not known as a duplicate"]
    if row.status != sample.outcome:
        return [f"{row.status} instead of {sample.outcome}"]
    if sample.outcome == "failed":
        return []
    dated = row.document_date.isoformat() if row.document_date else None
    found = {"pages": row.pages_done, "type": row.document_type, "date": dated}
    wanted = {"pages": sample.pages, "type": sample.type, "date": sample.document_date}
    return [
        f"{name} {found[name]} instead of {wanted[name]}"
        for name in found
        if found[name] != wanted[name]
    ]
