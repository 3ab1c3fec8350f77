"""`aseagi status`: what waits, what runs, what it has cost."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from cli.connection import use_stack
from cli.console import STATE_DIR, JsonOption, StateDirOption, console, print_json, run

if TYPE_CHECKING:
    from sql.claude import OpenBatches
    from sql.jobs import Waiting

REASONS_SHOWN = 10


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(status)


def status(
    documents: Annotated[bool, typer.Option("--documents", help="List every document.")] = False,
    matter: Annotated[str | None, typer.Option(help="Only this matter's documents.")] = None,
    state: StateDirOption = STATE_DIR,
    as_json: JsonOption = False,
) -> None:
    """Show what waits, what runs, and what the month has cost.

    **Example:** `aseagi status --documents --matter smith-v-jones`
    """
    use_stack(state)
    run(_status(list_them=documents or matter is not None, matter=matter, as_json=as_json))


async def _status(*, list_them: bool, matter: str | None, as_json: bool) -> None:
    from blocks.database import Database
    from blocks.loading import load
    from cli.tables import document_dict, document_table
    from sql.charges import month_to_date
    from sql.claude import open_batches
    from sql.controls import read_controls
    from sql.documents import list_documents
    from sql.jobs import count_queue, jobs_waiting
    from sql.sessions import open_sessions

    database = await load(Database)
    async with database.connect() as db:
        counts, controls = await count_queue(db), await read_controls(db)
        sessions, dollars = await open_sessions(db), await month_to_date(db)
        put_off, batches = await jobs_waiting(db), await open_batches(db)
        rows = await list_documents(db, matter=matter) if list_them else []
    if as_json:
        print_json(
            {
                "counts": asdict(counts),
                "paused": controls.paused_reason,
                "sessions": [asdict(one) for one in sessions],
                "put_off": [asdict(one) for one in put_off],
                "batches": asdict(batches),
                "month_dollars": dollars,
                "documents": [document_dict(row) for row in rows],
            }
        )
        return
    if list_them:
        console.print(document_table(rows))
    table = Table(box=None, pad_edge=False)
    for column in ("", "waiting", "under way", "done", "failed"):
        table.add_column(column, justify="left" if not column else "right")
    table.add_row("arrivals", str(counts.arrivals_waiting), "", "", str(counts.arrivals_failed))
    table.add_row(
        "documents",
        str(counts.jobs_queued),
        str(counts.jobs_processing),
        str(counts.jobs_completed),
        str(counts.jobs_failed),
    )
    table.add_row(
        "pages",
        str(counts.pages_waiting),
        str(counts.pages_leased),
        str(counts.pages_done),
        str(counts.pages_failed),
    )
    console.print(table)
    now = datetime.now(UTC)
    for one in sessions:
        age = (now - one.created_at).total_seconds()
        console.print(f"session {one.id.hex[:8]}: {one.state}, {one.lane} lane, {age:.0f} s old")
    for line in waiting_lines(put_off, batches):
        console.print(line, markup=False, soft_wrap=True)
    console.print(f"this month: ${dollars:.2f}")
    if controls.paused:
        console.print(f"PAUSED: {controls.paused_reason} (`aseagi resume`)", markup=False)


def waiting_lines(put_off: "Sequence[Waiting]", batches: "OpenBatches") -> list[str]:
    """What is put off, why and until when; and what is with Claude in batches."""
    from cli.process import in_batches

    lines = [
        f"put off: {_documents(one.jobs)} until {_clock(one.until)}: {one.reason}"
        for one in put_off[:REASONS_SHOWN]
    ]
    if others := sum(one.jobs for one in put_off[REASONS_SHOWN:]):
        lines.append(f"put off: {_documents(others)} for other reasons")
    if batches.next_look_at is not None:
        lines.append(f"{in_batches(batches)}, looked at again at {_clock(batches.next_look_at)}")
    return lines


def _documents(count: int) -> str:
    return "1 document" if count == 1 else f"{count} documents"


def _clock(moment: datetime) -> str:
    """In local time; with its day if that is not today."""
    local = moment.astimezone()
    today = datetime.now(UTC).astimezone().date()
    return f"{local:%H:%M}" if local.date() == today else f"{local:%Y-%m-%d %H:%M}"
