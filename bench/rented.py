"""Rented hosts, as a person waits and pays for them: the rehearsal with boot time zero.

    python -m bench.rented --documents 200 --pages 2000

Everything is the real path on a stack of its own, the engine a double of 15 pages a second.

    first page      one letter on an idle house: seconds from its page queued until read
    bulk            letters in one go: the share of the host's billed seconds, besides the idle
                    tail, in which leased pages were being read and handed in (by the session's
                    task runs), and in which the engine itself was at work (pages by its pace)
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
from uuid import UUID

import httpx
from PIL import Image
from rich.console import Console
from rich.table import Table

from bench.results import Figure, write_results
from bench.throughput import PeakMemory, drop, letter
from sql.connection import Connection
from stack.embedded import BUCKET, Stack, start_stack
from stack.paced_engine import PAGES_PER_SECOND

IDLE_SECONDS = 5
LONGEST_SECONDS = 600.0
LOOK_SECONDS = 0.05
FIRST_PAGES = 3

PAGES_DONE = "select count(*) >= %s from aseagi.pages where state = 'done'"
READ = """
    select exists (select 1 from aseagi.pages page join aseagi.documents document
        on document.id = page.document_id
        where document.file_name = %s and page.state = 'done')
"""
SECONDS_TO_READ = """
    select extract(epoch from page.settled_at - page.queued_at)
    from aseagi.pages page join aseagi.documents document on document.id = page.document_id
    where document.file_name = %s
"""
TIMELINE = """
    select host.instance_id, session.flow_run_id,
        extract(epoch from min(page.settled_at) - host.running_at),
        extract(epoch from max(page.settled_at) - min(page.settled_at)),
        extract(epoch from session.closed_at - max(page.settled_at))
    from aseagi.gpu_hosts host
    join aseagi.ocr_sessions session on session.id = host.session_id
    join aseagi.pages page on page.session_id = session.id
    where host.running_at is not null
    group by host.id, session.id order by host.created_at desc limit 1
"""

console = Console()


@dataclass
class Seen:
    """What was measured, in seconds."""

    first_page: list[float] = field(default_factory=list[float])
    interactive: list[float] = field(default_factory=list[float])
    billed: float = 0.0
    reading: float = 0.0
    """In the tasks that read a lease and hand in what was read."""
    engine: float = 0.0
    """In the engine alone: pages by its pace."""
    start: float = 0.0
    """From running to the first page of the bulk stored."""
    span: float = 0.0
    """From the first page stored to the last."""
    tail: float = 0.0
    """From the last page to the session's close: idling, as the settings ask."""


@dataclass
class House:
    """A stack, and one connection to its database through which all is looked at."""

    stack: Stack
    db: Connection

    def put(self, key: str, content: bytes) -> None:
        """One object into the bucket."""
        client = self.stack.servers.object_store.client()
        client.put_object(Bucket=BUCKET, Key=key, Body=content)

    async def one(self, question: LiteralString, *values: object) -> Any:
        """The one value that a query answers with."""
        cursor = await self.db.execute(question, values)
        row = await cursor.fetchone()
        return row[0] if row else None

    async def until(self, question: LiteralString, *values: object) -> None:
        """Return when the answer is true."""
        deadline = time.monotonic() + LONGEST_SECONDS
        while not await self.one(question, *values):
            if time.monotonic() > deadline:
                raise SystemExit(
                    f"not within {LONGEST_SECONDS:.0f} s: {' '.join(question.split())}"
                )
            await asyncio.sleep(LOOK_SECONDS)

    async def at_rest(self) -> None:
        """Wait until no page waits and nothing is rented."""
        await self.until(
            """
            select not exists (select 1 from aseagi.gpu_hosts where state <> 'ended')
                and not exists (select 1 from aseagi.ocr_sessions where state <> 'closed')
                and not exists (select 1 from aseagi.pages where state in ('waiting', 'leased'))
            """
        )

    async def seconds_to_read(self, file_name: str) -> float:
        """Wait until the file's page is read; seconds from its being queued, by the database."""
        await self.until(READ, file_name)
        return float(await self.one(SECONDS_TO_READ, file_name))


async def measure(stack: Stack, documents: int, pages: int) -> Seen:
    """All three, one after the other, each on a house at rest."""
    from blocks.database import Database
    from blocks.loading import load

    database = await load(Database)
    seen = Seen()
    async with database.connect() as db:
        await db.set_autocommit(True)
        house = House(stack, db)
        for number in range(FIRST_PAGES):
            await house.at_rest()
            house.put(f"raw/first/first-{number}.png", letter(100_000 + number))
            seen.first_page.append(await house.seconds_to_read(f"first-{number}.png"))
            console.print(f"first page after {seen.first_page[-1]:.1f} s")
        await bulk(house, documents, seen)
        await interactive(house, pages, seen)
    return seen


async def bulk(house: House, documents: int, seen: Seen) -> None:
    """Letters in one go, until their host is gone."""
    await house.at_rest()
    before = await house.one("select count(*) from aseagi.pages where state = 'done'")
    letters = [letter(200_000 + number) for number in range(documents)]
    await asyncio.to_thread(drop, house.stack, letters)
    await house.until(PAGES_DONE, before + documents)
    await house.at_rest()
    cursor = await house.db.execute(TIMELINE)
    row = await cursor.fetchone()
    if row is None:
        raise SystemExit("the bulk rented no host")
    seen.start, seen.span, seen.tail = (float(one) for one in row[2:])
    seen.billed = await billed_seconds(house.stack, int(row[0]))
    seen.reading = await reading_seconds(row[1])
    seen.engine = documents / PAGES_PER_SECOND
    console.print(
        f"bulk: {seen.billed:.1f} s billed: {seen.start:.1f} s until the first page, "
        f"{seen.span:.1f} s to the last, {seen.tail:.1f} s idle; {seen.reading:.1f} s reading"
    )


async def reading_seconds(flow_run_id: UUID) -> float:
    """How long the run's tasks that read took together; they run one after the other."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

    of_run = FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id]))
    async with get_client() as client:
        runs = await client.read_task_runs(flow_run_filter=of_run)
    return sum(
        (run.end_time - run.start_time).total_seconds()
        for run in runs
        if run.name.startswith("read ") and run.start_time and run.end_time
    )


async def billed_seconds(stack: Stack, instance_id: int) -> float:
    """The seconds of GPU that the marketplace billed for the instance."""
    marketplace = stack.marketplace
    headers = {"Authorization": f"Bearer {marketplace.rehearsal_key}"}
    async with httpx.AsyncClient(base_url=marketplace.url, headers=headers) as http:
        answer = await http.get("/rehearsal/hosts")
    hosts = answer.raise_for_status().json()["hosts"]
    return next(float(host["gpu_seconds"]) for host in hosts if host["id"] == instance_id)


async def interactive(house: House, pages: int, seen: Seen) -> None:
    """Letters of lane `now` while a file of many pages is read."""
    from cli.add import add_files
    from cli.uploading import Candidate
    from schema.lanes import Lane

    await house.at_rest()
    before = await house.one("select count(*) from aseagi.pages where state = 'done'")
    await asyncio.to_thread(house.put, "raw/long/file.pdf", long_file(pages))
    await house.until(PAGES_DONE, before + 50)
    with tempfile.TemporaryDirectory() as folder:
        for number in range(FIRST_PAGES):
            file = Path(folder) / f"now-{number}.png"
            file.write_bytes(letter(300_000 + number))
            candidate = Candidate(file, file.name, "now", file.stat().st_size)
            await add_files([candidate], Lane.NOW, quiet=True)
            seen.interactive.append(await house.seconds_to_read(file.name))
            console.print(f"interactive page after {seen.interactive[-1]:.1f} s")
    left = await house.one("select count(*) from aseagi.pages where state = 'waiting'")
    console.print(f"{left} pages of the long file were still waiting")
    await house.db.execute("delete from aseagi.documents where page_count > 100")
    await house.at_rest()


def long_file(pages: int) -> bytes:
    """A scanned PDF of so many small pages."""
    page = Image.new("1", (424, 550), 1)
    out = io.BytesIO()
    page.save(out, "PDF", save_all=True, append_images=[page] * (pages - 1), resolution=50)
    return out.getvalue()


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
    worker = memory.megabytes.get("vast-gpu worker", 0.0)
    figures = {
        "first_page_median": Figure(median(seen.first_page), "s"),
        "first_page_longest": Figure(max(seen.first_page), "s"),
        "bulk_billed": Figure(seen.billed, "s"),
        "bulk_until_first_page": Figure(seen.start, "s"),
        "bulk_first_to_last_page": Figure(seen.span, "s"),
        "bulk_idle_tail": Figure(seen.tail, "s"),
        "share_of_billed_time_reading": Figure(seen.reading / (seen.billed - seen.tail), "ratio"),
        "share_of_billed_time_in_engine": Figure(seen.engine / (seen.billed - seen.tail), "ratio"),
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
