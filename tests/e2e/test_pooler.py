"""Everything through a transaction-mode pooler, as in production, on the embedded stack."""

import asyncio
from collections.abc import AsyncGenerator, Iterator

import psycopg
import pytest
from prefect.client.orchestration import get_client
from psycopg.sql import SQL, Literal
from pydantic import SecretStr

from blocks.database import Database
from blocks.loading import NAME
from blocks.object_storage import ObjectStorage
from sql.connection import Connection
from stack.embedded import BUCKET, DATABASE, Stack
from stack.processes import wait_all_ready
from tests.e2e.conftest import PATIENCE, all_completed, drop, eventually
from tests.pooler import Pooler, running_pooler

DOCUMENTS = 12
SHARED = 4
"""Connections of Postgres that all processes together may have as the application."""


def limit_connections(stack: Stack, number: int) -> None:
    with psycopg.connect(stack.servers.postgres.dsn(DATABASE), autocommit=True) as owner:
        limit = SQL("alter role aseagi_app connection limit {}").format(Literal(number))
        owner.execute(limit)


def start_programs_again(stack: Stack) -> None:
    """They read their settings when they start."""
    own = (stack.gateway, stack.droplet_worker, stack.local_worker, stack.vast_worker)
    for child in own:
        child.ask_to_stop()
    for child in own:
        child.stop()
        child.start()
    wait_all_ready(own, PATIENCE)


async def no_drain_goes_on(db: Connection) -> bool:
    """None that began before has its connections still."""
    cursor = await db.execute("select 1 from aseagi.drains where expires_at > now()")
    return await cursor.fetchone() is None


@pytest.fixture
def narrow(stack: Stack) -> Iterator[Pooler]:
    """A pooler in front of the stack's Postgres."""
    with running_pooler(stack.servers.postgres.socket_directory, pool_size=SHARED) as pooler:
        yield pooler


@pytest.fixture
async def pooler(
    narrow: Pooler, stack: Stack, empty: None, db: Connection
) -> AsyncGenerator[Pooler]:
    """Every process of the stack must go through it: Postgres lets in no other."""
    direct = await Database.aload(NAME)
    pooled = Database(
        dsn=SecretStr(narrow.dsn(DATABASE, "aseagi_app")),
        dashboard_dsn=SecretStr(narrow.dsn(DATABASE, "aseagi_dashboard")),
    )
    await eventually(lambda: no_drain_goes_on(db))
    try:
        await pooled.asave(NAME, overwrite=True)
        await asyncio.to_thread(start_programs_again, stack)
        # This test's own connection is direct.
        limit_connections(stack, SHARED + 1)
        yield narrow
    finally:
        limit_connections(stack, -1)
        await direct.asave(NAME, overwrite=True)
        await eventually(lambda: no_drain_goes_on(db))
        await asyncio.to_thread(start_programs_again, stack)


async def exported() -> str | None:
    async with get_client() as client:
        deployment = await client.read_deployment_by_name("export/export")
        run = await client.create_flow_run_from_deployment(
            deployment.id, parameters={"matter": "pooled"}
        )

        async def ended() -> str | None:
            state = (await client.read_flow_run(run.id)).state
            return state.name if state is not None and state.is_final() else None

        return await eventually(ended)


async def test_documents_are_taken_in_read_analysed_and_exported_through_it(
    pooler: Pooler, stack: Stack, db: Connection, storage: ObjectStorage
) -> None:
    before = storage.client().list_objects_v2(Bucket=BUCKET, Prefix="exports/")
    drop(stack, "pooled", DOCUMENTS)
    await eventually(lambda: all_completed(db, "pooled", DOCUMENTS))
    assert await exported() == "Completed"

    after = storage.client().list_objects_v2(Bucket=BUCKET, Prefix="exports/")
    assert after["KeyCount"] > before["KeyCount"]
    cursor = await db.execute(
        """
        select count(*), count(distinct page.session_id) filter (where page.source = 'ocr'),
            count(*) filter (where page.state = 'done')
        from aseagi.pages page join aseagi.documents document on document.id = page.document_id
        where document.matter = 'pooled'
        """
    )
    pages, sessions, done = (await cursor.fetchone()) or (0, 0, 0)
    assert (pages, done) == (DOCUMENTS, DOCUMENTS)
    assert sessions >= 1
    (stats,) = [one for one in pooler.show("stats") if one["database"] == DATABASE]
    assert int(str(stats["total_xact_count"])) > 5 * DOCUMENTS
    (pool,) = [
        one
        for one in pooler.show("pools")
        if (one["database"], one["user"]) == (DATABASE, "aseagi_app")
    ]
    assert pool["pool_mode"] == "transaction"
    assert int(str(pool["sv_active"])) + int(str(pool["sv_idle"])) <= SHARED
