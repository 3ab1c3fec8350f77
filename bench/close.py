"""Pages committed at random instants around sessions' closes: how long until each is leased.

    python -m bench.close --pages 100

Sessions wait for more pages for half a second only, so they close all the time. A page
is committed as ingest does it (insert, then dispatch) at random moments; nothing may
wait for more than 60 seconds. Every session is a real flow run in the `local` pool.
"""

import argparse
import asyncio
import hashlib
import os
import random
import tempfile
import time
from pathlib import Path
from uuid import UUID

from rich.console import Console
from rich.progress import track

from bench.results import Figure, write_results
from bench.throughput import letter
from stack.embedded import BUCKET, Stack, start_stack

LIMIT_SECONDS = 60.0
LONGEST_PAUSE_SECONDS = 4.0

console = Console()


async def commit_pages(stack: Stack, pages: int) -> list[float]:
    """Commit one page at a time at random instants; seconds until each was leased."""
    from blocks.database import Database
    from blocks.loading import load
    from blocks.reading import Reading
    from blocks.spending import Spending
    from schema.lanes import Lane
    from sql.documents import NewDocument, insert_document
    from tasks.dispatch import dispatch

    database, reading, spending = await load(Database), await load(Reading), await load(Spending)
    client = stack.servers.object_store.client()
    chance = random.Random(7)  # noqa: S311 - reproducible instants, not secrets
    committed: dict[UUID, float] = {}
    leased: dict[UUID, float] = {}

    async def watch() -> None:
        async with database.connect() as db:
            await db.set_autocommit(True)
            while len(leased) < pages:
                cursor = await db.execute("select document_id from aseagi.pages where attempts > 0")
                now = time.monotonic()
                for (document,) in await cursor.fetchall():
                    leased.setdefault(document, now)
                await asyncio.sleep(0.02)

    watching = asyncio.create_task(watch())
    for number in track(range(pages), "committing", console=console):
        content = letter(number)
        digest = hashlib.sha256(content).hexdigest()
        key = f"processed/{digest}/original"
        client.put_object(Bucket=BUCKET, Key=key, Body=content)
        await asyncio.sleep(chance.uniform(0, LONGEST_PAUSE_SECONDS))
        async with database.connect() as db:
            document, _ = await insert_document(
                db,
                NewDocument(
                    file_hash=digest,
                    file_name=f"{number}.png",
                    media_type="image/png",
                    size_bytes=len(content),
                    s3_raw_path=f"raw/bench/{number}.png",
                    s3_processed_path=key,
                    matter="bench",
                    lane=Lane.BULK,
                    pages=[None],
                ),
            )
        committed[document] = time.monotonic()
        await dispatch(database, reading, spending)
    await asyncio.wait_for(watching, LIMIT_SECONDS)
    return [leased[document] - at for document, at in committed.items()]


async def count_sessions() -> int:
    """How many sessions there were."""
    from blocks.database import Database
    from blocks.loading import load

    database = await load(Database)
    async with database.connect() as db:
        cursor = await db.execute("select count(*) from aseagi.ocr_sessions")
        row = await cursor.fetchone()
    return row[0] if row else 0


def main() -> None:
    """Run the bench; exit 1 if a page waited longer than the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=100)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="aseagi-bench-") as folder:
        settings = {
            "ASEAGI_READING_ENGINE": "paced",
            "ASEAGI_READING_IDLE_SECONDS": "0",
            "ASEAGI_READING_DEPLOYMENT": "ocr/local",
        }
        stack = start_stack(
            Path(folder) / ".aseagi", console.print, dashboard=False, settings=settings
        )
        os.environ.update(stack.environment)
        try:
            waits = asyncio.run(commit_pages(stack, options.pages))
            sessions = asyncio.run(count_sessions())
        finally:
            stack.stop()
    waits.sort()
    console.print(
        f"{len(waits)} pages over {sessions} sessions: leased after {waits[len(waits) // 2]:.1f} s "
        f"in the median, {waits[-1]:.1f} s at most (limit {LIMIT_SECONDS:.0f} s)"
    )
    write_results(
        "close",
        {
            "median_seconds_to_lease": Figure(waits[len(waits) // 2], "s"),
            "longest_seconds_to_lease": Figure(waits[-1], "s"),
            "sessions": Figure(sessions, "sessions"),
            "pages": Figure(len(waits), "pages"),
        },
    )
    if waits[-1] > LIMIT_SECONDS:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
