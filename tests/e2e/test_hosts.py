"""What a host is given, and how a session is ended from outside."""

import asyncio
import contextlib
from pathlib import Path
from uuid import UUID

import psutil
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import StateType
from prefect.states import Cancelling

from blocks.database import Database
from blocks.gateway import Gateway
from blocks.loading import load
from blocks.object_storage import ObjectStorage
from blocks.reading import Reading
from blocks.spending import Spending
from sql.connection import Connection
from sql.controls import pause, resume
from stack.embedded import Stack
from tasks.dispatch import dispatch
from tests.e2e.conftest import all_completed, drop, eventually
from work_pools.local_process import LocalProcess


async def _running_host(db: Connection) -> tuple[LocalProcess, UUID] | None:
    cursor = await db.execute(
        """
        select host.instance_id, session.flow_run_id from aseagi.gpu_hosts host
        join aseagi.ocr_sessions session on session.id = host.session_id
        where host.state = 'running'
        """
    )
    row = await cursor.fetchone()
    process = LocalProcess.parse(row[0]) if row else None
    return (process, row[1]) if row and process else None


def _environments(process: LocalProcess) -> list[dict[str, str]]:
    supervisor = process.find()
    assert supervisor is not None
    return environments_of(supervisor)


def environments_of(supervisor: psutil.Process) -> list[dict[str, str]]:
    """Of a host's processes; one that ends meanwhile has none."""
    found: list[dict[str, str]] = []
    for one in (supervisor, *supervisor.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            found.append(one.environ())
    return found


def written_in(home: Path) -> bytes:
    """All that lies in a host's home, files that vanish meanwhile aside."""
    contents: list[bytes] = []
    for file in home.rglob("*"):
        with contextlib.suppress(OSError):
            contents.append(file.read_bytes() if file.is_file() else b"")
    return b"\n".join(contents)


async def test_a_running_host_holds_its_token_and_no_other_secret(
    stack: Stack, empty: None, db: Connection, database: Database, storage: ObjectStorage
) -> None:
    gateway = await load(Gateway)
    drop(stack, "secrets", 60)
    found = await eventually(lambda: _running_host(db))
    assert found is not None
    process, _ = found

    async def engine_runs() -> bool:
        # A child just forked has its parent's environment still.
        return any("PREFECT_HOME" in one for one in _environments(process))

    await eventually(engine_runs, pause=0.05)
    environments = _environments(process)
    secrets = {
        database.dsn.get_secret_value(),
        database.dashboard_dsn.get_secret_value(),
        gateway.s3_events_token.get_secret_value(),
        stack.servers.object_store.secret_key,
        stack.servers.object_store.access_key,
        stack.addresses.prefect_api_url,
    }
    homes = {Path(one["PREFECT_HOME"]) for one in environments if "PREFECT_HOME" in one}
    assert len(homes) == 1
    written = await asyncio.to_thread(written_in, homes.pop())
    assert not [secret for secret in secrets if secret.encode() in written]
    for environment in environments:
        values = "\n".join(environment.values())
        assert not [secret for secret in secrets if secret in values]
        names = {name for name in environment if name.startswith(("ASEAGI", "PREFECT", "AWS"))}
        assert names <= {
            "ASEAGI_GATEWAY_URL",
            "ASEAGI_LIFETIME_SECONDS",
            "ASEAGI_HOST_TOKEN",
            "ASEAGI_STACK",
            "PREFECT_API_URL",
            "PREFECT_HOME",
            "PREFECT_CLIENT_CUSTOM_HEADERS",
            "PREFECT_CLIENT_MAX_RETRIES",
            "PREFECT_LOGGING_TO_API_BATCH_SIZE",
            "PREFECT_LOGGING_TO_API_MAX_LOG_SIZE",
            "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED",
            "PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED",
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY",
            "PREFECT_RESULTS_DEFAULT_SERIALIZER",
            "PREFECT__FLOW_RUN_ID",
        }
    await eventually(lambda: all_completed(db, "secrets", 60))


async def test_cancelling_a_session_kills_its_processes_and_its_pages_are_read_by_another(
    stack: Stack, empty: None, db: Connection
) -> None:
    drop(stack, "cancelled", 90)
    found = await eventually(lambda: _running_host(db))
    assert found is not None
    process, flow_run_id = found
    tree = process.find()
    assert tree is not None

    async with get_client() as client:

        async def is_running() -> bool:
            run = await client.read_flow_run(flow_run_id)
            return run.state is not None and run.state.is_running()

        await eventually(is_running)
        processes = [tree, *tree.children(recursive=True)]
        await client.set_flow_run_state(flow_run_id, Cancelling())

        async def is_cancelled() -> bool:
            run = await client.read_flow_run(flow_run_id)
            return run.state is not None and run.state.type == StateType.CANCELLED

        await eventually(is_cancelled)
    _, alive = await asyncio.to_thread(psutil.wait_procs, processes, timeout=60)
    assert alive == []
    await eventually(lambda: all_completed(db, "cancelled", 90))


async def test_while_paused_no_session_starts_and_resume_lets_them(
    stack: Stack, empty: None, db: Connection, database: Database
) -> None:
    await pause(db, reason="a test")
    try:
        drop(stack, "paused", 3)

        async def waits() -> bool:
            cursor = await db.execute(
                """
                select count(*) from aseagi.pages page join aseagi.documents document
                    on document.id = page.document_id
                where document.matter = 'paused' and page.state = 'waiting'
                """
            )
            row = await cursor.fetchone()
            return row is not None and row[0] == 3

        await eventually(waits)
        # The next sweep dispatches too, and must not start one either.
        async with get_client() as client:
            deployment = await client.read_deployment_by_name("housekeeping/housekeeping")
            run = await client.create_flow_run_from_deployment(deployment.id)

            async def swept() -> bool:
                state = (await client.read_flow_run(run.id)).state
                return state is not None and state.is_final()

            await eventually(swept)
        cursor = await db.execute(
            "select count(*) from aseagi.ocr_sessions where state <> 'closed'"
        )
        assert await cursor.fetchone() == (0,)
    finally:
        await resume(db)
    await dispatch(database, await load(Reading), await load(Spending))
    await eventually(lambda: all_completed(db, "paused", 3))
