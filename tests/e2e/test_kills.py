"""SIGKILL in the middle: after a restart every document has ended exactly once."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable

from bench.faults import VICTIMS, Flaws, run_with_kills
from bench.throughput import letter
from blocks.object_storage import ObjectStorage
from sql.connection import Connection
from stack.embedded import BUCKET, Stack
from stack.processes import Child, wait_all_ready
from tests.e2e.conftest import PATIENCE, all_completed, drop, eventually
from work_pools.local_process import LocalProcess

DOCUMENTS = 90


def _pages_done(db: Connection, matter: str, at_least: int) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        cursor = await db.execute(
            """
            select count(*) from aseagi.pages page join aseagi.documents document
                on document.id = page.document_id
            where document.matter = %s and page.state = 'done'
            """,
            (matter,),
        )
        row = await cursor.fetchone()
        return row is not None and row[0] >= at_least

    return look


def _has_ended(child: Child) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return not child.is_alive()

    return look


async def _session_process(db: Connection) -> LocalProcess:
    cursor = await db.execute(
        "select instance_id from aseagi.gpu_hosts where state = 'running' order by created_at desc"
    )
    row = await cursor.fetchone()
    assert row is not None
    process = LocalProcess.parse(row[0])
    assert process is not None
    return process


async def _pages_of_first_session(db: Connection, matter: str) -> int:
    """How many pages the first session that read any of the matter has read of it."""
    cursor = await db.execute(
        """
        select count(*) from aseagi.pages page
        join aseagi.documents document on document.id = page.document_id
        join aseagi.ocr_sessions session on session.id = page.session_id
        where document.matter = %s and page.state = 'done'
        group by session.id, session.created_at order by session.created_at limit 1
        """,
        (matter,),
    )
    (count,) = await cursor.fetchone() or (0,)
    return count


async def _ended_exactly_once(db: Connection, storage: ObjectStorage, matter: str) -> None:
    await eventually(lambda: all_completed(db, matter, DOCUMENTS))
    cursor = await db.execute(
        """
        select count(*), count(distinct document.file_hash), count(distinct page.words_path),
            bool_and(page.state = 'done'), bool_and(document.analysis is not null),
            bool_and(job.results->>'pages' = '1')
        from aseagi.documents document
        join aseagi.pages page on page.document_id = document.id
        join aseagi.processing_jobs job on job.document_id = document.id
        where document.matter = %s
        """,
        (matter,),
    )
    row = await cursor.fetchone()
    assert row == (DOCUMENTS, DOCUMENTS, DOCUMENTS, True, True, True)
    cursor = await db.execute(
        "select s3_processed_path from aseagi.documents where matter = %s", (matter,)
    )
    client = storage.client()
    for (path,) in await cursor.fetchall():
        folder = path.removesuffix("original")
        listing = client.list_objects_v2(Bucket=BUCKET, Prefix=folder)
        assert len(listing.get("Contents", [])) == 2, "the original and one set of word boxes"


async def test_after_the_session_process_is_killed_another_session_reads_what_is_left(
    stack: Stack, empty: None, db: Connection, storage: ObjectStorage
) -> None:
    drop(stack, "killed-session", DOCUMENTS)
    await eventually(_pages_done(db, "killed-session", 10))
    process = await _session_process(db)

    assert process.kill()

    await _ended_exactly_once(db, storage, "killed-session")
    cursor = await db.execute(
        """
        select count(distinct page.session_id), max(page.attempts) from aseagi.pages page
        join aseagi.documents document on document.id = page.document_id
        where document.matter = 'killed-session'
        """
    )
    sessions, most_attempts = await cursor.fetchone() or (0, 0)
    assert sessions >= 2
    assert most_attempts == 2


async def test_a_session_outlives_a_killed_gateway_and_worker_and_the_next_worker_watches_over_it(
    stack: Stack, empty: None, db: Connection, storage: ObjectStorage
) -> None:
    drop(stack, "killed-servers", DOCUMENTS)
    await eventually(_pages_done(db, "killed-servers", 10))
    process = await _session_process(db)
    read_before = await _pages_of_first_session(db, "killed-servers")

    stack.gateway.kill()
    os.kill(stack.local_worker.pid, signal.SIGKILL)
    await eventually(_has_ended(stack.local_worker))
    assert process.find() is not None, "the session lives without its worker"
    stack.gateway.start()
    stack.local_worker.start()
    wait_all_ready([stack.gateway], PATIENCE)

    await _ended_exactly_once(db, storage, "killed-servers")
    assert await _pages_of_first_session(db, "killed-servers") > read_before, "it went on"


async def test_after_the_ingest_process_is_killed_the_rest_is_taken_in_once(
    stack: Stack, empty: None, db: Connection, storage: ObjectStorage
) -> None:
    drop(stack, "killed-ingest", DOCUMENTS)

    async def some_are_in() -> bool:
        cursor = await db.execute(
            "select count(*) from aseagi.documents where matter = 'killed-ingest'"
        )
        row = await cursor.fetchone()
        return row is not None and row[0] >= 5

    await eventually(some_are_in, pause=0.02)

    stack.droplet_worker.kill()
    stack.droplet_worker.start()

    await _ended_exactly_once(db, storage, "killed-ingest")


async def test_every_process_is_killed_in_turn_and_nothing_is_lost_or_there_twice(
    stack: Stack, empty: None
) -> None:
    """A small run of `make bench-faults`; what ended is started again by the stack itself."""
    outcome = await asyncio.to_thread(
        run_with_kills,
        stack,
        "killed-all",
        [letter(number) for number in range(60_000, 60_060)],
        kills=len(VICTIMS),
        seed=1,
        gap_seconds=6,
        tell=print,
    )
    assert outcome.flaws == Flaws(lost=[], twice=[], changed=[], money=[], left_over=[])
    assert outcome.settled
    assert {one.victim for one in outcome.kills} == set(VICTIMS)
