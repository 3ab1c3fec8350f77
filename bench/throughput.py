"""Documents dropped into the bucket in one go, until each is a completed job.

    python -m bench.throughput --documents 200 --engine paced

Everything is the real path (S3, notification, Prefect events, ingest, dispatch, a
session in the `local` pool, analysis) on a stack of its own in a temporary folder. The
engine double answers 15 pages a second and costs no CPU, as a GPU elsewhere would.
Prints pages per second from the first upload to the last completed job, start-up of
every process included, and the peak memory of each process.
"""

import argparse
import asyncio
import contextlib
import io
import os
import tempfile
import threading
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
from PIL import Image, ImageDraw, ImageFont
from rich.console import Console
from rich.table import Table

from bench.results import Figure, write_results
from stack.embedded import BUCKET, Stack, start_stack
from stack.processes import processes_of

MEGABYTE = 1024 * 1024
SAMPLE_SECONDS = 0.5
LONGEST_SECONDS = 1800.0

console = Console()


def letter(number: int) -> bytes:
    """A one-page letter as a small PNG; every number is another content."""
    image = Image.new("L", (850, 1100), 255)
    text = (
        f"LETTER No. {number}\n\nMarch {number % 28 + 1}, 2024\n\nDear Ms. Smith,\n\n"
        f"please find enclosed our invoice over ${number + 100}.00,\ndue within thirty days."
    )
    ImageDraw.Draw(image).multiline_text((90, 90), text, fill=0, font=ImageFont.load_default(30))
    out = io.BytesIO()
    image.save(out, "PNG", optimize=False)
    return out.getvalue()


class PeakMemory:
    """Watches the resident memory of every process of a stack."""

    def __init__(self, state_dir: Path) -> None:
        self.megabytes: dict[str, float] = {}
        self._state_dir = state_dir
        self._done = threading.Event()

    @contextlib.contextmanager
    def watching(self) -> Generator[None]:
        """Sample in the background while the body runs."""
        thread = threading.Thread(target=self._sample, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._done.set()
            thread.join()

    def _sample(self) -> None:
        while not self._done.wait(SAMPLE_SECONDS):
            now: dict[str, float] = {}
            for process in processes_of(self._state_dir):
                with contextlib.suppress(psutil.Error):
                    name = role_of(process)
                    memory = process.memory_full_info().pss / MEGABYTE
                    # One Postgres is many processes that share memory; others are counted singly.
                    now[name] = (
                        now.get(name, 0) + memory
                        if name == "postgres"
                        else max(memory, now.get(name, 0))
                    )
            for name, memory in now.items():
                self.megabytes[name] = max(memory, self.megabytes.get(name, 0))


def role_of(process: psutil.Process) -> str:
    """What a process of a stack is for, by its command line."""
    line = " ".join(process.cmdline())
    roles = {
        "prefect.server": "prefect server",
        "--pool droplet": "droplet worker",
        "--pool local": "local worker",
        "--pool vast-gpu": "vast-gpu worker",
        "-m gateway": "gateway",
        "streamlit": "dashboard",
        "gpu_image.entrypoint": "session entrypoint",
        "weed": "object store",
        "postgres": "postgres",
        "prefect.engine": "flow run",
    }
    return next((role for mark, role in roles.items() if mark in line), process.name())


def drop(stack: Stack, documents: list[bytes]) -> None:
    """Put all documents into the inbox as fast as the store takes them."""
    client = stack.servers.object_store.client()

    def put(number: int) -> None:
        key = f"raw/bench/letter-{number:05d}.png"
        client.put_object(Bucket=BUCKET, Key=key, Body=documents[number])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, range(len(documents))))


async def wait_until_done(documents: int, started: float) -> dict[str, float]:
    """Wait for all jobs to complete; seconds from `started` to each milestone."""
    from blocks.database import Database
    from blocks.loading import load
    from sql.jobs import count_queue

    database = await load(Database)
    milestones: dict[str, float] = {}
    async with database.connect() as db:
        while time.monotonic() - started < LONGEST_SECONDS:
            counts = await count_queue(db)
            await db.commit()
            now = time.monotonic() - started
            ingested = counts.jobs_completed + counts.jobs_processing + counts.jobs_queued
            if ingested:
                milestones.setdefault("first document ingested", now)
            if ingested >= documents:
                milestones.setdefault("last document ingested", now)
            if counts.pages_done:
                milestones.setdefault("first page read", now)
            if counts.pages_done >= documents:
                milestones.setdefault("last page read", now)
            if counts.jobs_completed >= documents:
                milestones["last job completed"] = now
                return milestones
            await asyncio.sleep(0.1)
    raise SystemExit(f"not done after {LONGEST_SECONDS:.0f} s")


async def count_runs() -> dict[str, int]:
    """How many runs of each flow there were."""
    from prefect.client.orchestration import get_client

    async with get_client() as client:
        names = {flow.id: flow.name for flow in await client.read_flows()}
        runs = await client.read_flow_runs(limit=200)
    found: dict[str, int] = {}
    for run in runs:
        if run.state is not None and not run.state.is_scheduled():
            found[names[run.flow_id]] = found.get(names[run.flow_id], 0) + 1
    return found


def main() -> None:
    """Run the bench and print what it saw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=200)
    parser.add_argument("--engine", default="paced")
    options = parser.parse_args()
    documents = [letter(number) for number in range(options.documents)]
    with tempfile.TemporaryDirectory(prefix="aseagi-bench-") as folder:
        state_dir = Path(folder) / ".aseagi"
        settings = {
            "ASEAGI_READING_ENGINE": options.engine,
            "ASEAGI_READING_DEPLOYMENT": "ocr/local",
        }
        stack = start_stack(state_dir, console.print, dashboard=False, settings=settings)
        os.environ.update(stack.environment)
        memory = PeakMemory(state_dir)
        try:
            with memory.watching():
                started = time.monotonic()
                drop(stack, documents)
                console.print(f"{len(documents)} dropped in {time.monotonic() - started:.1f} s")
                milestones = asyncio.run(wait_until_done(len(documents), started))
                runs = asyncio.run(count_runs())
        finally:
            stack.stop()
    _print(options.documents, options.engine, milestones, runs, memory.megabytes)


def _print(
    documents: int,
    engine: str,
    milestones: dict[str, float],
    runs: dict[str, int],
    megabytes: dict[str, float],
) -> None:
    total = milestones["last job completed"]
    steady = (documents - 1) / (total - milestones["first page read"])
    table = Table(title=f"{documents} one-page documents, engine {engine}", show_header=False)
    for name, seconds in milestones.items():
        table.add_row(name, f"{seconds:.1f} s")
    table.add_row("pages/s, start-up included", f"{documents / total:.1f}")
    table.add_row("pages/s from the first page read", f"{steady:.1f}")
    for name, count in sorted(runs.items()):
        table.add_row(f"runs of {name}", str(count))
    for name, memory in sorted(megabytes.items()):
        table.add_row(f"peak memory of {name}", f"{memory:.0f} MB")
    console.print(table)
    figures = {
        "pages_per_second_with_start_up": Figure(documents / total, "pages/s"),
        "pages_per_second_from_first_page": Figure(steady, "pages/s"),
        **{f"runs_{name}": Figure(count, "runs") for name, count in runs.items()},
        **{
            f"peak_memory_{name.replace(' ', '_')}": Figure(memory, "MB")
            for name, memory in megabytes.items()
        },
        **{name.replace(" ", "_"): Figure(value, "s") for name, value in milestones.items()},
    }
    write_results(f"throughput-{engine}-{documents}", figures)


if __name__ == "__main__":
    main()
