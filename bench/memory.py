"""Memory of each process while a 2,000-page scan and a 100-megapixel photo go through everything.

    python -m bench.memory [--pages 2000] [--megapixels 100]

Makes both files, takes them through an embedded stack of its own (notification, ingest,
dispatch, a session of the engine double that reads nothing at 15 pages a second, analysis,
export), and samples every process twice a second: idle before the first file, and the most
while they are worked on. Prints both by process, and ends with 1 when a process that a
droplet runs took more than `LIMIT` in any run.

PSS is what counts: shared libraries are shared. RSS is given beside it. The session reads on
a host, and the object store and Postgres are servers of their own in production.
"""

import argparse
import asyncio
import contextlib
import os
import sys
import tempfile
import threading
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
from PIL import Image
from rich.console import Console
from rich.table import Table

from bench.results import Figure, write_results
from bench.throughput import role_of, wait_until_done
from samples.paper import Sheet, pdf, picture, rendered
from stack.embedded import BUCKET, Stack, start_stack
from stack.processes import processes_of

MEGABYTE = 1_000_000
LIMIT = 300.0
SAMPLE_SECONDS = 0.5
IDLE_SECONDS = 10.0
NOT_ON_A_DROPLET = {"session entrypoint", "object store", "postgres", "local worker"}

console = Console()


def scan_of(pages: int) -> bytes:
    """A PDF of scanned pages, each with its own picture."""
    kinds: list[np.ndarray[tuple[int, int], np.dtype[np.uint8]]] = []
    for number in range(8):
        sheet = Sheet()
        sheet.line(f"Exhibit {number}", align="center", bold=True)
        sheet.paragraph("The parties met and agreed upon what is set out below. " * 30)
        kinds.append(rendered(sheet, dpi=100))
    pictures = [picture(kind) for kind in kinds]
    return pdf([pictures[number % len(pictures)] for number in range(pages)])


def photo_of(megapixels: int, path: Path) -> None:
    """A photo of a sheet of paper, by a camera of very many pixels."""
    sheet = Sheet(size=14)
    sheet.paragraph("This receipt was photographed with a phone. " * 20)
    height = round((megapixels * 1e6 * 4 / 3) ** 0.5)
    width = round(megapixels * 1e6 / height)
    page = Image.fromarray(rendered(sheet, dpi=150)).convert("RGB").resize((width, height))
    page.save(path, quality=85)


@dataclass
class Memory:
    """The most that each process took, in megabytes."""

    pss: dict[str, float] = field(default_factory=dict[str, float])
    rss: dict[str, float] = field(default_factory=dict[str, float])

    def see(self, pss: dict[str, float], rss: dict[str, float]) -> None:
        """Keep the most of each."""
        for most, now in ((self.pss, pss), (self.rss, rss)):
            for name, megabytes in now.items():
                most[name] = max(megabytes, most.get(name, 0.0))


class Sampler:
    """Looks at every process of a stack in the background."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self._lock = threading.Lock()
        self._memory = Memory()
        self._done = threading.Event()
        self.flow_runs: set[str] = set()
        """Whose processes were seen, by the ids that Prefect gave them."""

    def taken(self) -> Memory:
        """What was seen since this was last asked."""
        with self._lock:
            taken, self._memory = self._memory, Memory()
        return taken

    @contextlib.contextmanager
    def watching(self) -> Generator[None]:
        """Sample while the body runs."""
        thread = threading.Thread(target=self._sample, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._done.set()
            thread.join()

    def _sample(self) -> None:
        while not self._done.wait(SAMPLE_SECONDS):
            pss: dict[str, float] = {}
            rss: dict[str, float] = {}
            for process in processes_of(self._state_dir):
                with contextlib.suppress(psutil.Error):
                    self._look_at(process, pss, rss)
            with self._lock:
                self._memory.see(pss, rss)

    def _look_at(
        self, process: psutil.Process, pss: dict[str, float], rss: dict[str, float]
    ) -> None:
        name = role_of(process)
        if name == "flow run":
            run = process.environ().get("PREFECT__FLOW_RUN_ID", "")
            self.flow_runs.add(run)
            name = f"flow run {run}"
        memory = process.memory_full_info()
        for seen, value in ((pss, memory.pss), (rss, memory.rss)):
            megabytes = value / MEGABYTE
            # One Postgres is many processes; of others the largest counts.
            together = name == "postgres"
            seen[name] = (
                seen.get(name, 0) + megabytes if together else max(megabytes, seen.get(name, 0))
            )


async def names_of(flow_runs: set[str]) -> dict[str, str]:
    """The flow of each run."""
    from prefect.client.orchestration import get_client

    names: dict[str, str] = {}
    async with get_client() as client:
        flows = {flow.id: flow.name for flow in await client.read_flows()}
        for run in await client.read_flow_runs(limit=200):
            if str(run.id) in flow_runs:
                names[f"flow run {run.id}"] = f"flow {flows[run.flow_id]}"
    return names


def by_flow(megabytes: dict[str, float], names: dict[str, str]) -> dict[str, float]:
    """The same with runs named by their flow; of several runs the largest."""
    found: dict[str, float] = {}
    for name, value in megabytes.items():
        shown = names.get(name, "flow run" if name.startswith("flow run") else name)
        found[shown] = max(value, found.get(shown, 0.0))
    return found


async def _export(folder: Path) -> None:
    from cli.export import export_to

    await export_to(folder, None)


def work_through(stack: Stack, folder: Path, sampler: Sampler, pages: int, megapixels: int) -> None:
    """Both files in, read, analysed and exported."""
    client = stack.servers.object_store.client()
    (folder / "scan.pdf").write_bytes(scan_of(pages))
    photo_of(megapixels, folder / "photo.jpg")
    sampler.taken()  # making them is no part of it
    for name in ("scan.pdf", "photo.jpg"):
        size = (folder / name).stat().st_size / MEGABYTE
        console.print(f"{name}: {size:.0f} MB")
        client.upload_file(str(folder / name), BUCKET, f"raw/memory/{name}")
    asyncio.run(wait_until_done(2, time.monotonic()))
    asyncio.run(_export(folder / "exports"))


def main() -> int:
    """Run the bench and print what it saw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=2000)
    parser.add_argument("--megapixels", type=int, default=100)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="aseagi-bench-") as home:
        folder = Path(home)
        settings = {
            "ASEAGI_READING_ENGINE": "paced",
            "ASEAGI_READING_DEPLOYMENT": "ocr/local",
        }
        stack = start_stack(folder / ".aseagi", console.print, settings=settings)
        os.environ.update(stack.environment)
        sampler = Sampler(folder / ".aseagi")
        try:
            with sampler.watching():
                time.sleep(IDLE_SECONDS)
                idle = sampler.taken()
                work_through(stack, folder, sampler, options.pages, options.megapixels)
                peak = sampler.taken()
            names = asyncio.run(names_of(sampler.flow_runs))
        finally:
            stack.stop()
    return _print(options.pages, options.megapixels, idle, peak, names)


def _print(pages: int, megapixels: int, idle: Memory, peak: Memory, names: dict[str, str]) -> int:
    quiet, busy, resident = (by_flow(memory, names) for memory in (idle.pss, peak.pss, peak.rss))
    table = Table(title=f"{pages:,} scanned pages and a photo of {megapixels} megapixels, in MB")
    table.add_column("process")
    for column in ("idle", "peak", "peak RSS"):
        table.add_column(column, justify="right")
    too_large = False
    figures: dict[str, Figure] = {}
    for name, megabytes in sorted(busy.items()):
        over = megabytes > LIMIT and name not in NOT_ON_A_DROPLET
        too_large = too_large or over
        table.add_row(
            name,
            f"{quiet[name]:.0f}" if name in quiet else "",
            f"[red]{megabytes:.0f}[/red]" if over else f"{megabytes:.0f}",
            f"{resident[name]:.0f}",
        )
        key = name.replace(" ", "_")
        figures[f"idle_{key}"] = Figure(round(quiet.get(name, 0.0)), "MB")
        figures[f"peak_{key}"] = Figure(round(megabytes), "MB")
        figures[f"peak_rss_{key}"] = Figure(round(resident[name]), "MB")
    console.print(table)
    console.print(f"written to {write_results(f'memory-{pages}-{megapixels}', figures)}")
    return 1 if too_large else 0


if __name__ == "__main__":
    sys.exit(main())
