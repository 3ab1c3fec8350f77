"""A bucket of many objects, listed by the watch: how long it takes, and whether it misses any.

    python -m bench.watch --objects 100000

The real watch over the embedded SeaweedFS and Postgres. Half of the objects lie in `raw/`,
half in `uploads/`. The first listing finds all, the second none; objects put while a third
listing is under way are found by it or by the next, each once. Exits with 1 if one is missed
or counted twice, or if one of the first two listings takes longer than the limit.
"""

import argparse
import asyncio
import multiprocessing
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import psutil
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings
from pydantic import SecretStr
from rich.console import Console

from bench.results import Figure, write_results
from blocks.bucket import INBOXES
from blocks.database import Database
from blocks.object_storage import ObjectStorage, make_credentials
from sql.migrate import migrate
from stack.servers import Servers, start_servers
from tasks.watch import watch_bucket

BUCKET = "aseagi"
DATABASE = "aseagi"
LIMIT_SECONDS = 60.0
LATE = 500
WRITERS = 2
MEGABYTE = 1024 * 1024

console = Console()


def put_all(endpoint: str, access_key: str, secret_key: str, keys: Sequence[str]) -> None:
    """Put a small object under each key; run in a process of its own."""
    client = _storage(endpoint, access_key, secret_key).client()

    def put(key: str) -> None:
        client.put_object(Bucket=BUCKET, Key=key, Body=key.encode())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, keys))


def _storage(endpoint: str, access_key: str, secret_key: str) -> ObjectStorage:
    credentials = make_credentials(
        endpoint_url=endpoint,
        region="us-east-1",
        access_key=access_key,
        secret_key=SecretStr(secret_key),
    )
    return ObjectStorage(credentials=credentials, bucket=BUCKET)


def key_of(number: int) -> str:
    """Keys of both inboxes, in a hundred folders each."""
    inbox = INBOXES[number % len(INBOXES)]
    return f"{inbox}matter {number % 100:02}/scan {number:07}.pdf"


async def timed_look(storage: ObjectStorage, database: Database) -> tuple[int, float]:
    """One listing: how many were new, and how long it took."""
    began = time.monotonic()
    new = await watch_bucket.fn(storage, database)
    return new, time.monotonic() - began


async def watch_everything(servers: Servers, objects: int) -> tuple[dict[str, Figure], bool]:
    """The listings one after the other, and whether nothing was missed nor counted twice."""
    store, dsn = servers.object_store, SecretStr(servers.postgres.dsn(DATABASE, "aseagi_app"))
    access = (store.endpoint_url, store.access_key, store.secret_key)
    storage, database = _storage(*access), Database(dsn=dsn, dashboard_dsn=dsn)
    found, first = await timed_look(storage, database)
    again, second = await timed_look(storage, database)
    late = [key_of(number) for number in range(objects, objects + LATE)]
    putting = asyncio.create_task(asyncio.to_thread(put_all, *access, late))
    meanwhile, _ = await timed_look(storage, database)
    await putting
    afterwards, _ = await timed_look(storage, database)
    async with database.connect() as db:
        cursor = await db.execute("select count(*), count(distinct key) from aseagi.arrivals")
        rows, keys = await cursor.fetchone() or (0, 0)
    console.print(
        f"{objects:,} objects: first listing {found:,} new in {first:.1f} s, second {again} new "
        f"in {second:.1f} s; of {LATE} put meanwhile the third found {meanwhile}, the next "
        f"{afterwards}"
    )
    right = (
        (found, again, meanwhile + afterwards) == (objects, 0, LATE)
        and rows == keys == objects + LATE
        and max(first, second) < LIMIT_SECONDS
    )
    return {
        "objects": Figure(objects, "objects"),
        "first_listing_seconds": Figure(round(first, 2), "s"),
        "first_listing_new": Figure(found, "arrivals"),
        "second_listing_seconds": Figure(round(second, 2), "s"),
        "second_listing_new": Figure(again, "arrivals"),
        "put_while_listing": Figure(LATE, "objects"),
        "put_while_listing_found": Figure(meanwhile + afterwards, "arrivals"),
        "peak_memory": Figure(round(psutil.Process().memory_info().rss / MEGABYTE), "MB"),
    }, right


def fill(servers: Servers, objects: int) -> None:
    """Put the objects, from as many processes as there are cores to spare."""
    store = servers.object_store
    access = (store.endpoint_url, store.access_key, store.secret_key)
    console.print(f"putting {objects:,} objects")
    began = time.monotonic()
    keys = [key_of(number) for number in range(objects)]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(WRITERS, mp_context=context) as pool:
        parts = [pool.submit(put_all, *access, keys[part::WRITERS]) for part in range(WRITERS)]
        for part in parts:
            part.result()
    console.print(f"put in {time.monotonic() - began:.0f} s")


def main() -> None:
    """Run the bench; exit 1 if the watch missed or repeated something, or took too long."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=100_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="aseagi-bench-") as folder:
        state = Path(folder) / ".aseagi"
        servers = start_servers(state, console.print, bucket=BUCKET)
        try:
            servers.postgres.create_database_if_missing(DATABASE)
            migrate(servers.postgres.dsn(DATABASE))
            fill(servers, options.objects)
            home = str(state / "prefect-client")
            with temporary_settings({PREFECT_API_URL: servers.prefect.api_url, PREFECT_HOME: home}):
                figures, right = asyncio.run(watch_everything(servers, options.objects))
        finally:
            servers.stop()
    write_results("watch", figures)
    if not right:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
