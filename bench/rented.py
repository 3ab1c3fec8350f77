"""Rented hosts, as a person waits and pays for them: the rehearsal with boot time zero.

    python -m bench.rented --documents 200 --pages 2000

Everything is the real path on a stack of its own, the engine a double of 15 pages a second.

    first page      one letter on an idle house: seconds from its page queued until read
    bulk            letters in one go: the share of the host's billed seconds spent reading
    interactive     a letter of lane `now` while a long file is read: seconds until read
    memory          peak of the worker that rents
"""

import argparse
import asyncio
import io
import os
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, LiteralString

from PIL import Image
from rich.console import Console
from rich.table import Table

from bench.results import Figure, write_results
from bench.throughput import PeakMemory, drop, letter
from stack.embedded import BUCKET, Stack, start_stack
from stack.paced_engine import PAGES_PER_SECOND

IDLE_SECONDS = 5
LONGEST_SECONDS = 600.0
LOOK_SECONDS = 0.05
FIRST_PAGES = 3

PAGES_DONE = "select count(*) >= %s from aseagi.pages where state = 'done'"
FILE_IS_IN = """
    select exists (select 1 from aseagi.pages page join aseagi.documents document
        on document.id = page.document_id
        where document.file_name = %s and page.state = any(%s))
"""

console = Console()


@dataclass
class Seen:
    """What was measured, in seconds."""

    first_page: list[float] = field(default_factory=list[float])
    interactive: list[float] = field(default_factory=list[float])
    billed: float = 0.0
    reading: float = 0.0
    span: float = 0.0
    """From the first page of the bulk read to the last."""


async def measure(stack: Stack, documents: int, pages: int) -> Seen:
    """All three, one after the other, each on a house at rest."""
    seen = Seen()
    for number in range(FIRST_PAGES):
        seen.first_page.append(await first_page(stack, number))
        console.print(f"first page after {seen.first_page[-1]:.1f} s")
    await bulk(stack, documents, seen)
    console.print(f"bulk: {seen.billed:.1f} s billed, {seen.reading:.1f} s of reading")
    await interactive(stack, pages, seen)
    console.print(f"interactive pages read after {seen.interactive}")
    return seen


async def first_page(stack: Stack, number: int) -> float:
    """Seconds from the page queued to the page read, on a house where nothing is rented."""
    await nothing_rented()
    put(stack, f"raw/first/{number}.png", letter(100_000 + number))
    queued = await until("select count(*) >= 1 from aseagi.pages where state <> 'done'")
    read = await until("select count(*) = 0 from aseagi.pages where state <> 'done'")
    return read - queued


async def bulk(stack: Stack, documents: int, seen: Seen) -> None:
    """Letters in one go, until their host is gone."""
    await nothing_rented()
    before = await one("select count(*) from aseagi.pages where state = 'done'")
    await asyncio.to_thread(drop, stack, [letter(200_000 + number) for number in range(documents)])
    begun = await until(PAGES_DONE, before + 1)
    seen.span = await until(PAGES_DONE, before + documents) - begun
    await nothing_rented()
    seen.billed = float(
        await one(
            """
            select extract(epoch from ended_at - running_at) from aseagi.gpu_hosts
            where running_at is not null order by created_at desc limit 1
            """
        )
    )
    seen.reading = documents / PAGES_PER_SECOND


async def interactive(stack: Stack, pages: int, seen: Seen) -> None:
    """Letters of lane `now` while a file of many pages is read."""
    from blocks.database import Database
    from blocks.loading import load
    from cli.add import add_files
    from cli.uploading import Candidate
    from schema.lanes import Lane

    await nothing_rented()
    before = await one("select count(*) from aseagi.pages where state = 'done'")
    await asyncio.to_thread(put, stack, "raw/long/file.pdf", long_file(pages))
    await until(PAGES_DONE, before + 50)
    database = await load(Database)
    with tempfile.TemporaryDirectory() as folder:
        for number in range(FIRST_PAGES):
            file = Path(folder) / f"now-{number}.png"
            file.write_bytes(letter(300_000 + number))
            candidate = Candidate(file, f"raw/now/{file.name}", file.stat().st_size)
            await add_files([candidate], Lane.NOW, quiet=True)
            queued = await until(FILE_IS_IN, file.name, ["waiting", "leased", "done"])
            read = await until(FILE_IS_IN, file.name, ["done"])
            seen.interactive.append(round(read - queued, 1))
    left = await one("select count(*) from aseagi.pages where state = 'waiting'")
    console.print(f"{left} pages of the long file were still waiting")
    async with database.connect() as db:
        await db.execute("delete from aseagi.documents where page_count > 100")
    await nothing_rented()


def long_file(pages: int) -> bytes:
    """A scanned PDF of so many small pages."""
    page = Image.new("1", (424, 550), 1)
    out = io.BytesIO()
    page.save(out, "PDF", save_all=True, append_images=[page] * (pages - 1), resolution=50)
    return out.getvalue()


def put(stack: Stack, key: str, content: bytes) -> None:
    """One object into the bucket."""
    stack.servers.object_store.client().put_object(Bucket=BUCKET, Key=key, Body=content)


async def nothing_rented() -> None:
    """Wait until no page waits and the ledger has no open host."""
    await until(
        """
        select not exists (select 1 from aseagi.gpu_hosts where state <> 'ended')
            and not exists (select 1 from aseagi.ocr_sessions where state <> 'closed')
            and not exists (select 1 from aseagi.pages where state in ('waiting', 'leased'))
        """
    )


async def until(question: LiteralString, *values: object) -> float:
    """When the answer became true, on a clock that only goes forward."""
    deadline = time.monotonic() + LONGEST_SECONDS
    while not await one(question, *values):
        if time.monotonic() > deadline:
            raise SystemExit(f"not within {LONGEST_SECONDS:.0f} s: {' '.join(question.split())}")
        await asyncio.sleep(LOOK_SECONDS)
    return time.monotonic()


async def one(question: LiteralString, *values: object) -> Any:
    """The one value that a query answers with."""
    from blocks.database import Database
    from blocks.loading import load

    database = await load(Database)
    async with database.connect() as db:
        cursor = await db.execute(question, values)
        row = await cursor.fetchone()
    return row[0] if row else 0


def main() -> None:
    """Run the bench and print what it saw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=200)
    parser.add_argument("--pages", type=int, default=2000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="aseagi-bench-") as folder:
        state_dir = Path(folder) / ".aseagi"
        settings = {
            "ASEAGI_READING_ENGINE": "paced",
            "ASEAGI_READING_IDLE_SECONDS": str(IDLE_SECONDS),
        }
        stack = start_stack(
            state_dir, console.print, dashboard=False, boot_seconds=0.0, settings=settings
        )
        os.environ.update(stack.environment)
        memory = PeakMemory(state_dir)
        try:
            with memory.watching():
                seen = asyncio.run(measure(stack, options.documents, options.pages))
        finally:
            stack.stop()
    busy = seen.billed - IDLE_SECONDS
    worker = memory.megabytes.get("vast-gpu worker", 0.0)
    figures = {
        "first_page_median": Figure(median(seen.first_page), "s"),
        "first_page_longest": Figure(max(seen.first_page), "s"),
        "bulk_billed_besides_idle_tail": Figure(busy, "s"),
        "bulk_engine_busy": Figure(seen.reading, "s"),
        "bulk_first_to_last_page": Figure(seen.span, "s"),
        "share_of_billed_time_engine_busy": Figure(seen.reading / busy, "ratio"),
        "interactive_longest": Figure(max(seen.interactive), "s"),
        "worker_peak_memory": Figure(worker, "MB"),
    }
    table = Table(title="Rented hosts: rehearsal, no money", show_header=False)
    for name, figure in figures.items():
        table.add_row(name.replace("_", " "), f"{figure.value:.2f} {figure.unit}")
    console.print(table)
    write_results("rented", figures)


if __name__ == "__main__":
    main()
