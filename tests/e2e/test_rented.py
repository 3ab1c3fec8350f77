"""Documents read on rented hosts: the worker `vastai`, the rehearsal, and what ends a host."""

import asyncio
import json
import signal
import subprocess
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolUpdate
from prefect.client.schemas.objects import StateType
from prefect.states import Cancelling

from blocks.database import Database
from blocks.gateway import Gateway
from blocks.loading import NAME, load
from blocks.object_storage import ObjectStorage
from blocks.reading import Reading
from sql.connection import Connection
from stack.embedded import Stack
from stack.processes import wait_all_ready
from tests.e2e.conftest import PATIENCE, all_completed, drop, eventually
from tests.e2e.test_commands import PROGRAM, aseagi, says_one_line
from tests.e2e.test_hosts import environments_of, written_in
from tests.suspended import suspended

DOCUMENTS = 60


@dataclass(frozen=True)
class Rehearsal:
    """What is true at the marketplace, by its own books."""

    stack: Stack

    async def ever(self) -> list[dict[str, Any]]:
        """Every instance there ever was."""
        running = self.stack.marketplace
        headers = {"Authorization": f"Bearer {running.rehearsal_key}"}
        async with httpx.AsyncClient(base_url=running.url, headers=headers, timeout=60) as http:
            answer = await http.get("/rehearsal/hosts")
        return answer.raise_for_status().json()["hosts"]

    async def running(self) -> dict[str, Any] | None:
        """The instance whose container runs."""
        for host in await self.ever():
            if host["exists"] and host["actual_status"] == "running" and host["pid"]:
                return host
        return None

    async def nothing_rented(self) -> bool:
        return not any(host["exists"] for host in await self.ever())


@pytest.fixture(scope="module")
async def renting(stack: Stack) -> AsyncGenerator[None]:
    """Sessions run on rented hosts, as long as this file's tests run."""
    before = await load(Reading)
    rented = before.model_copy(update={"deployment": "ocr/vast-gpu"})
    await rented.asave(NAME, overwrite=True)
    database = await load(Database)

    async def no_drain_knows_better() -> bool:
        async with database.connect() as db:
            cursor = await db.execute(
                "select not exists (select 1 from aseagi.drains"
                " where name in ('ingest', 'analyse') and expires_at > now())"
            )
            row = await cursor.fetchone()
        return row == (True,)

    try:
        # A drain that runs already has read the settings before.
        await eventually(no_drain_knows_better)
        yield
    finally:
        await before.asave(NAME, overwrite=True)


@pytest.fixture
async def rehearsal(stack: Stack, empty: None, renting: None) -> AsyncGenerator[Rehearsal]:
    """The marketplace; after the test nothing is rented."""
    rehearsal = Rehearsal(stack)
    yield rehearsal
    await eventually(rehearsal.nothing_rented)


def holds_pages(db: Connection, matter: str) -> Callable[[], Any]:
    """Whether a host has read some pages of the matter and not all."""

    async def look() -> bool:
        cursor = await db.execute(
            """
            select count(*) filter (where page.state = 'done') from aseagi.pages page
            join aseagi.documents document on document.id = page.document_id
            where document.matter = %s
            """,
            (matter,),
        )
        row = await cursor.fetchone()
        return row is not None and 0 < row[0] < DOCUMENTS

    return look


async def the_books_agree(db: Connection, rehearsal: Rehearsal) -> None:
    """Every instance there ever was has one row, and every row that was rented is ended."""

    async def all_ended() -> bool:
        cursor = await db.execute(
            "select count(*) from aseagi.gpu_hosts where provider = 'vastai' and state <> 'ended'"
        )
        row = await cursor.fetchone()
        return row == (0,)

    await eventually(all_ended)
    cursor = await db.execute(
        "select instance_id from aseagi.gpu_hosts"
        " where provider = 'vastai' and instance_id is not null"
    )
    rows = sorted(int(row[0]) for row in await cursor.fetchall())
    assert rows == sorted(host["id"] for host in await rehearsal.ever())


def shell(stack: Stack) -> dict[str, str]:
    """The environment of a person's shell."""
    names = ("PREFECT_API_URL", "PREFECT_HOME")
    return {name: stack.environment[name] for name in names}


async def run_of_session(db: Connection) -> Any:
    cursor = await db.execute(
        "select flow_run_id from aseagi.ocr_sessions where state = 'running' order by created_at"
    )
    row = await cursor.fetchone()
    assert row is not None
    return row[0]


async def test_a_rented_host_reads_holds_no_other_secret_and_is_destroyed(
    stack: Stack, rehearsal: Rehearsal, db: Connection, database: Database, storage: ObjectStorage
) -> None:
    gateway = await load(Gateway)
    drop(stack, "rented", DOCUMENTS)
    host = await eventually(rehearsal.running)
    assert host is not None
    supervisor = psutil.Process(host["pid"])

    async def engine_runs() -> bool:
        # A child just forked has its parent's environment still.
        return any("PREFECT_HOME" in one for one in environments_of(supervisor))

    await eventually(engine_runs, pause=0.05)
    environments = environments_of(supervisor)
    secrets = {
        database.dsn.get_secret_value(),
        database.dashboard_dsn.get_secret_value(),
        gateway.s3_events_token.get_secret_value(),
        stack.servers.object_store.secret_key,
        stack.servers.object_store.access_key,
        stack.addresses.prefect_api_url,
        stack.marketplace.api_key,
        stack.marketplace.rehearsal_key,
    }
    homes = {Path(one["PREFECT_HOME"]) for one in environments if "PREFECT_HOME" in one}
    (home,) = homes
    written = await asyncio.to_thread(written_in, home)
    for secret in secrets:
        assert secret.encode() not in written
        assert not [one for one in environments if secret in "\n".join(one.values())]
    # The key to its own instance is the supervisor's alone.
    assert [("CONTAINER_API_KEY" in one) for one in environments] == [True] + [False] * (
        len(environments) - 1
    )
    await eventually(lambda: all_completed(db, "rented", DOCUMENTS))
    await eventually(rehearsal.nothing_rented)

    async def home_is_gone() -> bool:
        return not home.exists()

    await eventually(home_is_gone)
    await the_books_agree(db, rehearsal)


async def test_hosts_destroy_ends_a_host_at_work_and_another_reads_on(
    stack: Stack, rehearsal: Rehearsal, db: Connection
) -> None:
    drop(stack, "by-hand", DOCUMENTS)
    host = await eventually(rehearsal.running)
    assert host is not None
    await eventually(holds_pages(db, "by-hand"), pause=0.05)
    # Else it may have read everything, and be gone, before the command has started.
    with suspended(host["pid"]):
        done = await asyncio.to_thread(
            aseagi, "hosts", "destroy", str(host["id"]), environment=shell(stack)
        )
    assert done.returncode == 0, done.stderr
    assert "1 destroyed" in done.stdout
    (same,) = [one for one in await rehearsal.ever() if one["id"] == host["id"]]
    assert not same["exists"]
    again = await asyncio.to_thread(
        aseagi, "hosts", "destroy", str(host["id"]), environment=shell(stack)
    )
    assert "No host" in says_one_line(again)
    await eventually(lambda: all_completed(db, "by-hand", DOCUMENTS))
    await the_books_agree(db, rehearsal)


async def test_cancelling_in_the_ui_destroys_the_host(
    stack: Stack, rehearsal: Rehearsal, db: Connection
) -> None:
    drop(stack, "cancelled-rent", DOCUMENTS)
    host = await eventually(rehearsal.running)
    assert host is not None
    run = await run_of_session(db)
    async with get_client() as client:
        await client.set_flow_run_state(run, Cancelling())

        async def is_cancelled() -> bool:
            state = (await client.read_flow_run(run)).state
            return state is not None and state.type == StateType.CANCELLED

        await eventually(is_cancelled)

    async def is_gone() -> bool:
        return not any(one["exists"] for one in await rehearsal.ever() if one["id"] == host["id"])

    await eventually(is_gone)
    await eventually(lambda: all_completed(db, "cancelled-rent", DOCUMENTS))
    await the_books_agree(db, rehearsal)


async def test_a_host_outlives_its_killed_worker_and_the_next_worker_ends_it(
    stack: Stack, rehearsal: Rehearsal, db: Connection
) -> None:
    drop(stack, "orphaned", DOCUMENTS)
    assert await eventually(rehearsal.running)
    psutil.Process(stack.vast_worker.pid).send_signal(signal.SIGKILL)

    async def is_dead() -> bool:
        return not stack.vast_worker.is_alive()

    await eventually(is_dead)
    stack.vast_worker.start()
    await eventually(lambda: all_completed(db, "orphaned", DOCUMENTS))
    await eventually(rehearsal.nothing_rented)
    await the_books_agree(db, rehearsal)


@pytest.mark.parametrize("server", ["gateway", "prefect"])
async def test_a_session_on_a_rented_host_outlives_a_killed_server(
    stack: Stack, rehearsal: Rehearsal, db: Connection, server: str
) -> None:
    matter = f"rented-without-{server}"
    drop(stack, matter, DOCUMENTS)
    await eventually(holds_pages(db, matter), pause=0.05)
    killed = stack.gateway if server == "gateway" else stack.servers.prefect.child
    killed.kill()
    killed.start()
    await asyncio.to_thread(wait_all_ready, [killed], PATIENCE)

    await eventually(lambda: all_completed(db, matter, DOCUMENTS))
    await eventually(rehearsal.nothing_rented)
    await the_books_agree(db, rehearsal)
    cursor = await db.execute(
        """
        select count(*), count(distinct page.words_path), max(page.attempts) <= 2
        from aseagi.pages page join aseagi.documents document
            on document.id = page.document_id
        where document.matter = %s and page.state = 'done'
        """,
        (matter,),
    )
    assert await cursor.fetchone() == (DOCUMENTS, DOCUMENTS, True)


async def test_the_limit_of_the_pool_bounds_the_hosts(
    stack: Stack, rehearsal: Rehearsal, db: Connection
) -> None:
    reading = await load(Reading)
    wide = reading.model_copy(update={"max_hosts": 3, "pages_per_session": 10})
    most = 0

    async def look() -> bool:
        nonlocal most
        most = max(most, sum(host["exists"] for host in await rehearsal.ever()))
        return await all_completed(db, "limited", DOCUMENTS)

    await wide.asave(NAME, overwrite=True)
    async with get_client() as client:
        await client.update_work_pool("vast-gpu", WorkPoolUpdate(concurrency_limit=1))
        try:
            began = await (await db.execute("select now()")).fetchone()
            drop(stack, "limited", DOCUMENTS)
            await eventually(look)
        finally:
            await client.update_work_pool("vast-gpu", WorkPoolUpdate(concurrency_limit=None))
            await reading.asave(NAME, overwrite=True)
    assert most == 1
    wanted = await db.execute(
        "select count(*) from aseagi.ocr_sessions where created_at > %s", began
    )
    assert (await wanted.fetchone() or (0,))[0] > 1, "more sessions were wanted than hosts allowed"
    await eventually(rehearsal.nothing_rented)
    await the_books_agree(db, rehearsal)


async def test_fifty_runs_by_hand_on_an_empty_queue_rent_nothing(
    stack: Stack, rehearsal: Rehearsal
) -> None:
    before = len(await rehearsal.ever())
    async with get_client() as client:
        deployment = await client.read_deployment_by_name("ocr/vast-gpu")
        runs = [(await client.create_flow_run_from_deployment(deployment.id)).id for _ in range(50)]

        async def all_ended() -> bool:
            found = [await client.read_flow_run(run) for run in runs]
            return all(one.state is not None and one.state.is_final() for one in found)

        await eventually(all_ended, pause=1)
        ended = [await client.read_flow_run(run) for run in runs]
    assert {one.state.name for one in ended if one.state} == {"Not rented"}
    assert len(await rehearsal.ever()) == before


async def test_smoke_rents_reads_destroys_and_says_what_it_saw(
    stack: Stack, rehearsal: Rehearsal, db: Connection
) -> None:
    before = len(await rehearsal.ever())
    done = await asyncio.to_thread(
        subprocess.run,
        [PROGRAM, "smoke", "--max-cost", "0.25", "--json"],
        env={**stack.environment, **shell(stack)},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["page_read"]
    assert report["gone"]
    assert 0 < float(report["dollars"]) < 0.25
    assert {"listed", "running", "page read"} <= report["seconds"].keys()
    facts = {fact["question"]: fact["answer"] for fact in report["facts"]}
    assert len(facts) == 10
    assert facts["Does one offer take two orders?"].startswith("no")
    assert facts["What answers a destroy of what is gone?"].startswith("HTTP 404")
    assert len(await rehearsal.ever()) == before + 1
    assert await rehearsal.nothing_rented()
    cursor = await db.execute("select count(*) from aseagi.documents where file_name like 'smoke%'")
    assert await cursor.fetchone() == (0,)
    await the_books_agree(db, rehearsal)
