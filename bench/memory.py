"""Memory of each process while a 2,000-page scan and a 100-megapixel photo go through everything.

    python -m bench.memory [--pages 2000] [--megapixels 100]

Makes both files, takes them through an embedded stack of its own (notification, ingest,
dispatch, a session of the engine double that reads nothing at 15 pages a second, analysis,
export), and samples every process twice a second: idle before the first file, and the most
while they are worked on. Prints both by process, and ends with 1 when a process that runs on
a droplet took more than `LIMIT`: its proportional share (PSS), as libraries are shared.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.table import Table

from bench.processes import watching
from bench.results import Figure, write_results
from bench.throughput import wait_until_done
from samples.paper import Sheet, pdf, picture, rendered
from stack.embedded import BUCKET, Stack, start_stack

MEGABYTE = 1024 * 1024
LIMIT = 300.0
IDLE_SECONDS = 10.0
EXPORT_SECONDS = 900.0

ELSEWHERE = {"session entrypoint", "flow run ocr", "local worker", "s3", "postgres"}
"""A session reads on a host, for which the local worker stands; store and database are servers
of their own."""

console = Console()


def scan_of(pages: int) -> bytes:
    """A PDF of scanned pages, each with a picture of its own."""
    pictures = [picture(rendered(_exhibit(number), dpi=100)) for number in range(8)]
    return pdf([pictures[number % len(pictures)] for number in range(pages)])


def _exhibit(number: int) -> Sheet:
    sheet = Sheet()
    sheet.line(f"Exhibit {number}", align="center", bold=True)
    sheet.paragraph("The parties met and agreed upon what is set out below. " * 30)
    return sheet


def photo_of(megapixels: int, path: Path) -> None:
    """A photo of a sheet of paper, by a camera of very many pixels."""
    sheet = Sheet(size=14)
    sheet.paragraph("This receipt was photographed with a phone. " * 20)
    height = round((megapixels * 1e6 * 4 / 3) ** 0.5)
    width = round(megapixels * 1e6 / height)
    page = Image.fromarray(rendered(sheet, dpi=150)).convert("RGB").resize((width, height))
    page.save(path, quality=85)


async def peaks_at_rest(stack: Stack) -> dict[str, float]:
    """The memory of each process while there is nothing to do."""
    with watching(stack) as watch:
        await asyncio.sleep(IDLE_SECONDS)
        return {name: used.peak_megabytes for name, used in (await watch.by_role()).items()}


async def peaks_at_work(stack: Stack, files: Sequence[Path], exports: Path) -> dict[str, float]:
    """The most that each process took while both files came in, were read and exported."""
    from cli.export import export_to

    client = stack.servers.object_store.client()
    with watching(stack) as watch:
        for file in files:
            client.upload_file(str(file), BUCKET, f"raw/memory/{file.name}")
        await wait_until_done(2, time.monotonic())
        await export_to(exports, None, seconds=EXPORT_SECONDS)
        return {name: used.peak_megabytes for name, used in (await watch.by_role()).items()}


def main() -> int:
    """Run the bench and print what it saw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=2000)
    parser.add_argument("--megapixels", type=int, default=100)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="aseagi-bench-") as home:
        scan, photo = Path(home) / "scan.pdf", Path(home) / "photo.jpg"
        scan.write_bytes(scan_of(options.pages))
        photo_of(options.megapixels, photo)
        for file in (scan, photo):
            console.print(f"{file.name}: {file.stat().st_size / MEGABYTE:.0f} MB")
        settings = {
            "ASEAGI_READING_ENGINE": "paced",
            "ASEAGI_READING_DEPLOYMENT": "ocr/local",
        }
        stack = start_stack(Path(home) / ".aseagi", console.print, settings=settings)
        os.environ.update(stack.environment)
        try:
            idle = asyncio.run(peaks_at_rest(stack))
            busy = asyncio.run(peaks_at_work(stack, [scan, photo], Path(home) / "exports"))
        finally:
            stack.stop()
    return _told(options.pages, options.megapixels, idle, busy)


def _told(pages: int, megapixels: int, idle: dict[str, float], busy: dict[str, float]) -> int:
    """Print and keep the figures; 1 if a process of the droplet was too large."""
    table = Table(title=f"{pages:,} scanned pages and a photo of {megapixels} megapixels, in MB")
    table.add_column("process")
    table.add_column("idle", justify="right")
    table.add_column("peak", justify="right")
    figures: dict[str, Figure] = {}
    over = {name for name, most in busy.items() if most > LIMIT and name not in ELSEWHERE}
    for name, most in sorted(busy.items()):
        rest = f"{idle[name]:.0f}" if name in idle else ""
        table.add_row(name, rest, f"[red]{most:.0f}[/red]" if name in over else f"{most:.0f}")
        key = name.replace(" ", "_")
        figures[f"peak_{key}"] = Figure(round(most), "MB")
        if name in idle:
            figures[f"idle_{key}"] = Figure(round(idle[name]), "MB")
    console.print(table)
    console.print(f"written to {write_results(f'memory-{pages}-{megapixels}', figures)}")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
