"""A corpus read through the whole embedded stack, and everything compared with the truth.

    python -m bench.corpus_reading --documents 1000 --seed 7

The real path: S3, notifications, events, ingest, dispatch, sessions in the `local` pool,
analysis. Only the engine is a double, which answers 15 pages a second and costs no CPU, as
a GPU elsewhere would. Prints, by kind of file, what was expected and what came of it, and
exits with 1 if anything did; then the pace, the peak memory and processor seconds of every
process, the bytes that were moved, and what limited the rate.
"""

import argparse
import asyncio
import contextlib
import os
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from bench.corpus.making import write_corpus
from bench.corpus.truth import FILES, Entry, contents
from bench.corpus.verdicts import Verdicts, compare, found_in
from bench.processes import Usage, watching
from bench.results import Figure, write_results
from sql.connection import Connection
from sql.jobs import QueueCounts, count_queue
from stack.embedded import BUCKET, Stack, start_stack
from stack.paced_engine import PAGES_PER_SECOND

LONGEST_SECONDS = 3600.0
QUIET_SECONDS = 5.0
"""How long nothing may be under way before the bench believes that all is done."""

INBOX = "raw/"
MEGABYTE = 1e6

console = Console()


def main() -> None:
    """Make the corpus, read it, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument(
        "--without-too-complex",
        action="store_true",
        help="leave out the file whose parser runs into its limit of time",
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="aseagi-corpus-") as folder:
        began = time.monotonic()
        entries = list(
            write_corpus(
                Path(folder),
                documents=options.documents,
                seed=options.seed,
                too_complex=not options.without_too_complex,
            )
        )
        console.print(f"{len(entries)} files made in {time.monotonic() - began:.0f} s")
        stack, state_dir = None, Path(folder) / ".aseagi"
        try:
            settings = {"ASEAGI_READING_ENGINE": "paced", "ASEAGI_READING_DEPLOYMENT": "ocr/local"}
            stack = start_stack(state_dir, console.print, dashboard=False, settings=settings)
            os.environ.update(stack.environment)
            run = asyncio.run(_read(stack, Path(folder) / FILES, entries))
        finally:
            if stack is not None:
                stack.stop()
    _print(options.documents, entries, *run)
    if run[0].wrong:
        raise SystemExit(1)


async def _read(
    stack: Stack, files: Path, entries: list[Entry]
) -> tuple[Verdicts, dict[str, float], dict[str, Usage], dict[str, float]]:
    from blocks.database import Database
    from blocks.loading import load

    database = await load(Database)
    with watching(stack) as watch:
        started = time.monotonic()
        await asyncio.to_thread(drop, stack, files, entries)
        milestones = {"all files in the bucket": time.monotonic() - started}
        async with database.connect() as db:
            await db.set_autocommit(True)
            milestones |= await _until_done(db, len(entries), started)
            verdicts = compare(entries, await found_in(db, INBOX))
        usage = await watch.by_role()
    moved = await asyncio.to_thread(_bytes_stored, stack)
    return verdicts, milestones, usage, moved


def drop(stack: Stack, files: Path, entries: list[Entry], *, inbox: str = INBOX) -> None:
    """Put all files into the inbox as fast as the store takes them."""
    client = stack.servers.object_store.client()

    def put(entry: Entry) -> None:
        with (files / entry.path).open("rb") as body:
            client.put_object(Bucket=BUCKET, Key=f"{inbox}{entry.path}", Body=body)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, entries))


async def _until_done(db: Connection, files: int, started: float) -> dict[str, float]:
    """Wait until nothing is under way any more; seconds from `started` to each milestone."""
    milestones: dict[str, float] = {}
    before, since = None, started
    while time.monotonic() - started < LONGEST_SECONDS:
        counts = await count_queue(db)
        cursor = await db.execute("select count(*) from aseagi.arrivals where state <> 'noticed'")
        settled = (await cursor.fetchone() or (0,))[0]
        now = time.monotonic()
        if counts != before:
            before, since = counts, now
            _note(milestones, counts, now - started)
        # Members of containers arrive while their containers are taken in.
        if settled >= files and _is_idle(counts) and now - since > QUIET_SECONDS:
            return milestones
        await asyncio.sleep(0.2)
    raise SystemExit(f"not done after {LONGEST_SECONDS:.0f} s: {before}")


def _note(milestones: dict[str, float], counts: QueueCounts, now: float) -> None:
    if counts.jobs_queued + counts.jobs_processing + counts.jobs_completed:
        milestones.setdefault("first document taken in", now)
    if counts.arrivals_waiting:
        milestones["last file taken in"] = now
    if counts.pages_leased:
        milestones.setdefault("first page read", now)
        milestones["last page read"] = now
    if counts.jobs_completed + counts.jobs_failed:
        milestones["last document done"] = now


def _is_idle(counts: QueueCounts) -> bool:
    return not (
        counts.arrivals_waiting
        + counts.jobs_queued
        + counts.jobs_processing
        + counts.pages_waiting
        + counts.pages_leased
    )


def _bytes_stored(stack: Stack) -> dict[str, float]:
    """Bytes that lie in the bucket, by what they are."""
    pages = stack.servers.object_store.client().get_paginator("list_objects_v2")
    stored: Counter[str] = Counter()
    for page in pages.paginate(Bucket=BUCKET):
        for item in page.get("Contents", []):
            prefix, _, rest = item.get("Key", "").partition("/")
            what = {
                "raw": "uploaded",
                "uploads": "members taken out of containers",
                "processed": "originals copied" if rest.endswith("/original") else "word boxes",
            }.get(prefix, prefix)
            stored[what] += item.get("Size", 0)
    return dict(stored)


def _what_limited(milestones: dict[str, float], pages_per_second: float) -> str:
    """Which stage the others waited for, by when each of them ended."""
    total = milestones["last document done"]
    read = milestones.get("last page read", 0.0)
    if milestones.get("last file taken in", 0.0) > 0.8 * total:
        return "taking files in"
    if read > 0.8 * total:
        share = pages_per_second / PAGES_PER_SECOND
        return f"reading: the engine double was busy for {min(share, 1):.0%} of the time"
    return "analysis"


def _print(
    documents: int,
    entries: list[Entry],
    verdicts: Verdicts,
    milestones: dict[str, float],
    usage: dict[str, Usage],
    stored: dict[str, float],
) -> None:
    console.print(_outcomes(verdicts))
    for wrong in verdicts.wrong[:40]:
        console.print(f"[red]wrong[/red] {wrong}", highlight=False)
    total = milestones["last document done"]
    known = contents(entries)
    pages = sum(truth.pages for truth in known.values())
    to_read = sum(truth.to_read for truth in known.values())
    reading = milestones.get("last page read", total) - milestones.get("first page read", 0.0)
    per_second = to_read / max(reading, 1.0)
    table = Table(title=f"{len(entries)} files, {len(known)} documents", show_header=False)
    rows = {f"{name}": f"{seconds:.0f} s" for name, seconds in milestones.items()}
    rows |= {
        "documents per hour": f"{len(known) / total * 3600:,.0f}",
        "pages per hour, those with text of their own included": f"{pages / total * 3600:,.0f}",
        "pages read": f"{to_read:,}",
        "pages read per second, from the first to the last": f"{per_second:.1f}",
        "what limited the rate": _what_limited(milestones, per_second),
    }
    rows |= {f"bytes: {what}": f"{size / MEGABYTE:,.1f} MB" for what, size in stored.items()}
    for name, value in rows.items():
        table.add_row(name, value)
    console.print(table)
    console.print(_processes(usage))
    _write(documents, verdicts, milestones, usage, stored, per_second, len(known), pages)


def _outcomes(verdicts: Verdicts) -> Table:
    table = Table(title="Documents by kind: expected and found")
    for column in ("kind", "files", "completed", "failed, as they should", "twins", "wrong"):
        table.add_column(column, justify="left" if column == "kind" else "right")
    for kind, tally in sorted(verdicts.by_kind.items()):
        counts = (tally.files, tally.completed, tally.failed, tally.twins, tally.wrong)
        table.add_row(kind, *(str(count or "") for count in counts))
    return table


def _processes(usage: dict[str, Usage]) -> Table:
    table = Table(title=f"Processes, on {psutil.cpu_count()} cores")
    for column in ("process", "peak memory", "CPU", "bytes in and out of it"):
        table.add_column(column, justify="left" if column == "process" else "right")
    for role, used in sorted(usage.items()):
        table.add_row(
            role,
            f"{used.peak_megabytes:.0f} MB",
            f"{used.cpu_seconds:.0f} s",
            f"{used.bytes_moved / MEGABYTE:,.0f} MB",
        )
    return table


def _write(
    documents: int,
    verdicts: Verdicts,
    milestones: dict[str, float],
    usage: dict[str, Usage],
    stored: dict[str, float],
    pages_per_second: float,
    known: int,
    pages: int,
) -> None:
    total = milestones["last document done"]
    tallies = verdicts.by_kind.values()
    figures = {
        "documents_per_hour": Figure(known / total * 3600, "documents/h"),
        "pages_per_hour": Figure(pages / total * 3600, "pages/h"),
        "pages_read_per_second": Figure(pages_per_second, "pages/s"),
        "completed": Figure(sum(one.completed for one in tallies), "documents"),
        "failed_as_expected": Figure(sum(one.failed for one in tallies), "documents"),
        "twins": Figure(sum(one.twins for one in tallies), "files"),
        "wrong": Figure(len(verdicts.wrong), "findings"),
    }
    figures |= {_key(name): Figure(seconds, "s") for name, seconds in milestones.items()}
    figures |= {_key(f"bytes {what}"): Figure(size, "B") for what, size in stored.items()}
    for role, used in usage.items():
        figures[_key(f"peak memory {role}")] = Figure(used.peak_megabytes, "MB")
        figures[_key(f"cpu {role}")] = Figure(used.cpu_seconds, "s")
        figures[_key(f"bytes moved {role}")] = Figure(used.bytes_moved, "B")
    write_results(f"corpus-{documents}", figures)


def _key(name: str) -> str:
    return name.replace(" ", "_")


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
