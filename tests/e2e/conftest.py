"""A whole embedded stack, shared by the tests that need every server and process.

All of them run in one process of pytest-xdist (group `stack`), so that one stack serves
them; the engine is the paced double, everything else is real. Tests that start servers
of their own are the group `servers`: never more than two stacks run at once.
"""

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import psycopg
import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from bench.throughput import letter
from blocks.database import Database
from blocks.loading import load
from blocks.object_storage import ObjectStorage
from sql.connection import Connection
from stack.embedded import BUCKET, DATABASE, Stack, start_stack

Value = TypeVar("Value")

PATIENCE = 500.0
"""Seconds until what should happen is said not to: many times what it takes, as the machine
may be busy with anything."""


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Send the tests of the stack to one process, those of stacks of their own to one."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            shares = "stack" in getattr(item, "fixturenames", ())
            item.add_marker(pytest.mark.xdist_group("stack" if shares else "servers"))


@pytest.fixture(scope="package")
def stack() -> Generator[Stack]:
    """A running stack; tests that stop a part of it start that part again.

    It ends with the last test that uses it: its polling would slow the others down.
    """
    # Not pytest's folder: every new pytest closes that one to Postgres' system user.
    folder = Path(tempfile.mkdtemp(prefix="aseagi-e2e-"))
    state_dir = folder / ".aseagi"
    settings = {
        "ASEAGI_READING_ENGINE": "paced",
        "ASEAGI_READING_IDLE_SECONDS": "2",
        "ASEAGI_READING_LEASE_SECONDS": "10",
        # Machines of one's own: these tests kill their processes themselves.
        "ASEAGI_READING_DEPLOYMENT": "ocr/local",
    }
    running = start_stack(state_dir, print, dashboard=False, settings=settings)
    os.environ.update(running.environment)
    try:
        with temporary_settings({PREFECT_API_URL: running.addresses.prefect_api_url}):
            yield running
    finally:
        running.stop()
        shutil.rmtree(folder, ignore_errors=True)


_STANDING = (
    """
    select document.matter, job.status, count(*), max(document.created_at)::time(0) as newest
    from aseagi.processing_jobs job join aseagi.documents document
        on document.id = job.document_id
    group by 1, 2 order by 4 desc limit 12
    """,
    """
    select state, count(*), max(noticed_at)::time(0) as newest
    from aseagi.arrivals group by state
    """,
    """
    select left(id::text, 8) as session, state, pages_read, flow_run_id is not null as has_run,
        created_at::time(0) as created, last_seen_at::time(0) as seen,
        closed_at::time(0) as closed, close_reason
    from aseagi.ocr_sessions order by created_at desc limit 8
    """,
    "select now()::time(0) as now, * from aseagi.drains",
)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a failure what stood in the stack: a wait that ran out says too little."""
    report = yield
    running = item.funcargs.get("stack") if isinstance(item, pytest.Function) else None
    if report.failed and isinstance(running, Stack):
        report.sections.append(("the stack", _standing(running)))
    return report


def _standing(stack: Stack) -> str:
    shown: list[str] = []
    with psycopg.connect(stack.servers.postgres.dsn(DATABASE), autocommit=True) as owner:
        for query in _STANDING:
            try:
                cursor = owner.execute(query)
            except psycopg.Error as error:
                shown.append(str(error))
                continue
            shown.append(" | ".join(column.name for column in cursor.description or ()))
            shown += [" | ".join(map(str, row)) for row in cursor.fetchall()]
    for child in stack.programs:
        if child is stack.marketplace.child:
            continue  # its first line is its keys
        lines = child.log_file.read_text(errors="replace").splitlines()[-25:]
        shown += [f"--- {child.name}", *lines]
    return "\n".join(shown)


@pytest.fixture
async def database(stack: Stack) -> Database:
    """The stack's database block."""
    return await load(Database)


@pytest.fixture
async def storage(stack: Stack) -> ObjectStorage:
    """The stack's object storage block."""
    return await load(ObjectStorage)


@pytest.fixture
async def db(database: Database) -> AsyncGenerator[Connection]:
    """A connection to the stack's database; every statement sees what is committed."""
    async with database.connect() as connection:
        await connection.set_autocommit(True)
        yield connection


@pytest.fixture
async def empty(stack: Stack, db: Connection) -> None:
    """Nothing waits and no session is open: what earlier tests left is finished or gone."""
    await eventually(lambda: _is_idle(db))


async def _is_idle(db: Connection) -> bool:
    cursor = await db.execute(
        """
        select not exists (select 1 from aseagi.ocr_sessions where state <> 'closed')
            and not exists (select 1 from aseagi.pages where state in ('waiting', 'leased'))
            and not exists (select 1 from aseagi.arrivals where state = 'noticed')
            and not exists (select 1 from aseagi.processing_jobs
                where status in ('queued', 'processing'))
        """
    )
    row = await cursor.fetchone()
    return bool(row and row[0])


async def eventually(look: Callable[[], Awaitable[Value]], *, pause: float = 0.1) -> Value:
    """Look again and again until the answer is true; fail after `PATIENCE` seconds."""
    deadline = time.monotonic() + PATIENCE
    while not (found := await look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {PATIENCE} s; last seen: {found!r}")
        await asyncio.sleep(pause)
    return found


ELSEWHERE = "elsewhere:1:1"
"""The process of a run on another machine: the worker here leaves the run alone."""

_FOLDERS: dict[str, int] = {}
"""The number of the first letter in each folder that letters were dropped into."""


def drop(stack: Stack, folder: str, count: int) -> list[str]:
    """Put `count` letters into `raw/<folder>/` in one go; return their keys.

    No other folder ever has one of them, and the same folder has the same ones again.
    """
    client = stack.servers.object_store.client()
    first = _FOLDERS.setdefault(folder, 100_000 + 1000 * len(_FOLDERS))

    def put(number: int) -> str:
        key = f"raw/{folder}/letter-{number:04d}.png"
        client.put_object(Bucket=BUCKET, Key=key, Body=letter(number))
        return key

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(put, range(first, first + count)))


async def statuses(db: Connection, matter: str) -> dict[str, int]:
    """How many jobs of a matter have which status."""
    cursor = await db.execute(
        """
        select job.status, count(*) from aseagi.processing_jobs job
        join aseagi.documents document on document.id = job.document_id
        where document.matter = %s group by job.status
        """,
        (matter,),
    )
    return {row[0]: row[1] for row in await cursor.fetchall()}


async def all_completed(db: Connection, matter: str, count: int) -> bool:
    """Whether exactly `count` jobs of the matter are completed and none is anything else."""
    return await statuses(db, matter) == {"completed": count}
