"""Uploads through the gateway: 1,000 at once, and one of 2 GB.

    python -m bench.gateway --uploads 1000 --large-gigabytes 2

On a stack of its own in a temporary folder; the documents are of lane `nightly`, so that
nothing is read meanwhile, but everything is taken in. Each upload is a connection of its
own, all begun at the same moment. Compared in the same run with the same files put straight
into the bucket with boto3, by threads, with nothing checked or recorded. Prints what was lost,
answered and how fast, the gateway's memory (resident, sampled every 50 ms) and who used the
processor: what is busy is what limits the rate.
"""

import argparse
import asyncio
import contextlib
import hashlib
import os
import secrets
import statistics
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
from rich.console import Console
from rich.table import Table

from bench.results import Figure, write_results
from bench.throughput import letter
from stack.embedded import BUCKET, Stack, start_stack
from stack.processes import processes_of

MEGABYTE = 1024 * 1024
SAMPLE_SECONDS = 0.05
CHUNK_BYTES = 256 * 1024
STRAIGHT_THREADS = 16
QUIET_SECONDS = 20

console = Console()


@dataclass
class Watch:
    """The gateway's memory and everybody's processor time while a part runs."""

    state_dir: Path
    peak_megabytes: float = 0.0
    cpu_seconds: dict[str, float] = field(default_factory=dict[str, float])
    seconds: float = 0.0

    @contextlib.contextmanager
    def watching(self) -> Generator[None]:
        """Sample in the background while the body runs."""
        done = threading.Event()
        gateway = gateway_process(self.state_dir)

        def sample() -> None:
            while not done.wait(SAMPLE_SECONDS):
                resident = gateway.memory_info().rss / MEGABYTE
                self.peak_megabytes = max(self.peak_megabytes, resident)

        before, started = self._cpu(), time.monotonic()
        thread = threading.Thread(target=sample, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
            self.seconds = time.monotonic() - started
            after = self._cpu()
            self.cpu_seconds = {
                name: spent - before.get(name, 0.0) for name, spent in after.items()
            }

    def _cpu(self) -> dict[str, float]:
        times = psutil.Process().cpu_times()
        spent: defaultdict[str, float] = defaultdict(float)
        spent["this bench"] = times.user + times.system
        # Postgres runs as another user, in processes that are not marked as the stack's.
        databases = [one for one in psutil.process_iter() if one.name() == "postgres"]
        for process in {*processes_of(self.state_dir), *databases}:
            with contextlib.suppress(psutil.Error):
                one = process.cpu_times()
                line = " ".join([process.name(), *process.cmdline()])
                spent[_role(line)] += one.user + one.system
        return dict(spent)


def _role(line: str) -> str:
    roles = {
        "prefect.server": "prefect server",
        "-m gateway": "gateway",
        "weed": "object store",
        "postgres": "postgres",
    }
    return next((role for part, role in roles.items() if part in line), "workers and their runs")


def gateway_process(state_dir: Path) -> psutil.Process:
    """The stack's gateway."""
    return next(one for one in processes_of(state_dir) if "gateway" in one.cmdline())


async def a_token() -> str:
    """A client's token, made as `aseagi clients add` does."""
    from blocks.database import Database
    from blocks.loading import load
    from sql.clients import add_client

    token = secrets.token_urlsafe(32)
    async with (await load(Database)).connect() as db:
        await add_client(db, "bench", hashlib.sha256(token.encode()).digest())
    return token


async def upload_all(
    stack: Stack, token: str, contents: Sequence[bytes]
) -> list[tuple[int, float]]:
    """Begin every upload at the same moment; the status and seconds of each."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    headers = {"Authorization": f"Bearer {token}"}
    timeout = httpx.Timeout(600)
    async with httpx.AsyncClient(
        base_url=stack.addresses.gateway_url, headers=headers, limits=limits, timeout=timeout
    ) as http:

        async def one(number: int, content: bytes) -> tuple[int, float]:
            started = time.monotonic()
            params = {"path": f"{number:05}.png", "matter": "bench", "lane": "nightly"}
            try:
                answer = await http.post("/uploads", params=params, content=content)
            except httpx.TransportError as error:
                console.print(f"upload {number}: {type(error).__name__}")
                return 0, time.monotonic() - started
            return answer.status_code, time.monotonic() - started

        return list(await asyncio.gather(*(one(*each) for each in enumerate(contents))))


def lost(stack: Stack, contents: Sequence[bytes], arrivals: set[str]) -> int:
    """How many files are not in the bucket as they were sent, or have no arrival."""
    client = stack.servers.object_store.client()

    def is_lost(each: tuple[int, bytes]) -> bool:
        number, content = each
        key = f"uploads/bench/{number:05}.png"
        stored = client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return stored != content or key not in arrivals

    with ThreadPoolExecutor(STRAIGHT_THREADS) as threads:
        return sum(threads.map(is_lost, enumerate(contents)))


async def arrivals_of_bench() -> set[str]:
    """Keys that have an arrival."""
    from blocks.database import Database
    from blocks.loading import load

    async with (await load(Database)).connect() as db:
        cursor = await db.execute(
            "select key from aseagi.arrivals where key like 'uploads/bench/%'"
        )
        return {row[0] for row in await cursor.fetchall()}


def straight(stack: Stack, contents: Sequence[bytes]) -> float:
    """The same files put into the bucket with boto3; seconds."""
    client = stack.servers.object_store.client()

    def put(each: tuple[int, bytes]) -> None:
        number, content = each
        client.put_object(Bucket=BUCKET, Key=f"cache/bench/{number:05}.png", Body=content)

    started = time.monotonic()
    with ThreadPoolExecutor(STRAIGHT_THREADS) as threads:
        list(threads.map(put, enumerate(contents)))
    return time.monotonic() - started


async def upload_large(stack: Stack, token: str, size_bytes: int) -> int:
    """One file of that size through the gateway, made as it is sent; its status."""
    block = secrets.token_bytes(CHUNK_BYTES)

    async def body() -> AsyncIterator[bytes]:
        yield (b"%PDF-1.7 " + block)[: min(CHUNK_BYTES, size_bytes)]
        for start in range(CHUNK_BYTES, size_bytes, CHUNK_BYTES):
            yield block[: min(CHUNK_BYTES, size_bytes - start)]

    headers = {"Authorization": f"Bearer {token}", "Content-Length": str(size_bytes)}
    async with httpx.AsyncClient(base_url=stack.addresses.gateway_url, timeout=1200) as http:
        params = {"path": "large.pdf", "matter": "bench", "lane": "nightly"}
        answer = await http.post("/uploads", params=params, content=body(), headers=headers)
    return answer.status_code


async def run_all(stack: Stack, state_dir: Path, uploads: int, large_bytes: int) -> None:
    """Every part, and their figures."""
    token = await a_token()
    await asyncio.sleep(QUIET_SECONDS)  # what starting up needed is given back
    idle = gateway_process(state_dir).memory_info().rss / MEGABYTE
    contents = [letter(500_000 + number) for number in range(uploads)]
    mean_kilobytes = statistics.mean(map(len, contents)) / 1024

    many = Watch(state_dir)
    with many.watching():
        answers = await upload_all(stack, token, contents)
    missing = await asyncio.to_thread(lost, stack, contents, await arrivals_of_bench())
    straight_seconds = await asyncio.to_thread(straight, stack, contents)

    large = Watch(state_dir)
    with large.watching():
        status = await upload_large(stack, token, large_bytes)
    after = gateway_process(state_dir).memory_info().rss / MEGABYTE

    statuses = Counter(status for status, _ in answers)
    seconds = sorted(spent for _, spent in answers)
    console.print(f"answers: {dict(statuses)}; lost: {missing}; the large file: {status}")
    table = Table("part", "seconds", "rate", "gateway's peak memory")
    rate = uploads / many.seconds
    table.add_row(
        f"{uploads} uploads at once, {mean_kilobytes:.0f} kB each",
        f"{many.seconds:.1f}",
        f"{rate:.0f} a second",
        f"{many.peak_megabytes:.0f} MB",
    )
    table.add_row("straight to the bucket, 16 threads", f"{straight_seconds:.1f}",
                  f"{uploads / straight_seconds:.0f} a second", "")  # fmt: skip
    table.add_row(
        f"one file of {large_bytes / 1024**3:.1f} GB",
        f"{large.seconds:.1f}",
        f"{large_bytes / MEGABYTE / large.seconds:.0f} MB/s",
        f"{large.peak_megabytes:.0f} MB",
    )
    console.print(table)
    console.print(f"gateway idle: {idle:.0f} MB, afterwards {after:.0f} MB")
    cores = psutil.cpu_count() or 1
    shares = Table("processor during the uploads", "seconds", "share of all cores")
    for name, spent in sorted(many.cpu_seconds.items(), key=lambda each: -each[1]):
        shares.add_row(name, f"{spent:.1f}", f"{spent / many.seconds / cores:.0%}")
    console.print(shares)
    write_results(
        "gateway",
        {
            "uploads": Figure(uploads, "files"),
            "lost": Figure(missing, "files"),
            "server_errors": Figure(sum(s >= 500 or s == 0 for s, _ in answers), "answers"),
            "refused": Figure(sum(400 <= s < 500 for s, _ in answers), "answers"),
            "uploads_rate": Figure(rate, "files/s"),
            "median_upload": Figure(seconds[len(seconds) // 2], "s"),
            "slowest_upload": Figure(seconds[-1], "s"),
            "straight_rate": Figure(uploads / straight_seconds, "files/s"),
            "of_straight": Figure(straight_seconds / many.seconds, "ratio"),
            "idle_memory": Figure(idle, "MB"),
            "peak_memory_uploads": Figure(many.peak_megabytes, "MB"),
            "peak_memory_large": Figure(large.peak_megabytes, "MB"),
            "large_file": Figure(large_bytes / 1024**3, "GB"),
            "large_rate": Figure(large_bytes / MEGABYTE / large.seconds, "MB/s"),
            "gateway_processor": Figure(many.cpu_seconds["gateway"] / many.seconds, "cores"),
        },
    )  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.gateway", description=__doc__)
    parser.add_argument("--uploads", type=int, default=1000)
    parser.add_argument("--large-gigabytes", type=float, default=2.0)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="aseagi-bench-") as folder:
        state_dir = Path(folder) / ".aseagi"
        settings = {"ASEAGI_READING_ENGINE": "paced", "ASEAGI_READING_DEPLOYMENT": "ocr/local"}
        stack = start_stack(state_dir, console.print, dashboard=False, settings=settings)
        try:
            os.environ.update(stack.environment)
            large_bytes = int(chosen.large_gigabytes * 1024**3)
            asyncio.run(run_all(stack, state_dir, chosen.uploads, large_bytes))
        finally:
            stack.stop()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
