"""A Prefect that asks for a login: the gateway gives it, the host never sees it."""

import asyncio
import json
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
import uvicorn
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings
from prefect.states import Pending
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from blocks.database import Database
from blocks.gateway import Gateway
from blocks.loading import load
from blocks.object_storage import ObjectStorage
from blocks.reading import Reading
from gateway.app import create_app
from gateway.services import Services, open_services
from gateway.settings_from_blocks import prefect_login, settings_of
from sql.connection import Connection
from sql.sessions import close_session
from stack.embedded import Stack
from stack.processes import Child, http_get, plain_environment, wait_all_ready
from stack.servers import reserve_ports
from tests.e2e.conftest import eventually
from tests.e2e.test_host_protocol import add_document
from work_pools.host_environment import HostOrder, HostTerms, host_environment

LOGIN = f"admin:{uuid4().hex}"


@flow
async def guarded() -> None:
    """Never run: its runs are."""


@pytest.fixture
def guarded_prefect(stack: Stack, tmp_path: Path) -> Generator[str]:
    """The API address of a second Prefect server, which asks for `LOGIN`."""
    port = reserve_ports(tmp_path, ("prefect",))["prefect"]
    child = Child(
        "guarded-prefect",
        [
            *(sys.executable, "-m", "uvicorn", "--factory", "prefect.server.api.server:create_app"),
            *("--host=127.0.0.1", f"--port={port}", "--log-level=warning"),
        ],
        state_dir=tmp_path,
        env={
            **plain_environment(),
            "PREFECT_HOME": str(tmp_path / "prefect"),
            "PREFECT_SERVER_API_AUTH_STRING": LOGIN,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_UI_ENABLED": "false",
        },
        cwd=tmp_path,
        is_ready=lambda: http_get(port, "/api/health") is not None,
    )
    child.start()
    try:
        wait_all_ready([child], 90)
        yield f"http://127.0.0.1:{port}/api"
    finally:
        child.stop()


@asynccontextmanager
async def _serving(services: Services, spool_dir: Path) -> AsyncGenerator[str]:
    app = create_app(spool_dir=spool_dir)
    app.state.services = services
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=0, lifespan="off", log_level="warning")
    )
    running = asyncio.create_task(server.serve())

    async def has_started() -> bool:
        return server.started

    await eventually(has_started, pause=0.02)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await running


async def _order(db: Connection, run: UUID, gateway: Gateway) -> HostOrder:
    document = await add_document(db)
    order = await host_environment(
        db,
        flow_run_id=run,
        run_count=0,
        session_id=None,
        gateway=gateway,
        terms=HostTerms("local", timedelta(hours=1), Decimal(0), Decimal(50), max_hosts=9),
    )
    assert isinstance(order, HostOrder)
    await db.execute("delete from aseagi.documents where id = %s", (document,))
    return order


async def test_the_gateway_logs_in_for_the_host_which_never_sees_the_login(
    stack: Stack,
    empty: None,
    db: Connection,
    database: Database,
    guarded_prefect: str,
    tmp_path: Path,
) -> None:
    storage, gateway = await load(ObjectStorage), await load(Gateway)
    with temporary_settings({PREFECT_API_URL: guarded_prefect, PREFECT_API_AUTH_STRING: LOGIN}):
        settings = settings_of(gateway, database, storage, Reading(), prefect_login())
        async with (
            get_client() as prefect,
            open_services(settings, tmp_path / "spool") as services,
        ):
            run = await prefect.create_flow_run(guarded, state=Pending())
            async with _serving(services, tmp_path) as url:
                order = await _order(db, run.id, gateway.model_copy(update={"url": url}))
                environment = order.environment
                assert not [one for one in environment.values() if LOGIN in one]
                headers = json.loads(environment["PREFECT_CLIENT_CUSTOM_HEADERS"])
                base = environment["PREFECT_API_URL"]
                async with httpx.AsyncClient(base_url=base, headers=headers, timeout=20) as door:
                    state = {"state": {"type": "RUNNING"}}
                    answer = await door.post(f"/flow_runs/{run.id}/set_state", json=state)
                    assert answer.status_code == 201, answer.text
                async with connect(
                    f"{base.replace('http', 'ws', 1)}/events/in",
                    additional_headers=headers,
                    subprotocols=[Subprotocol("prefect")],
                ) as socket:
                    await socket.send(json.dumps({"type": "auth", "token": None}))
                    assert json.loads(await socket.recv()) == {"type": "auth_success"}
                    beat = {
                        "id": str(uuid4()),
                        "occurred": datetime.now(UTC).isoformat(),
                        "event": "prefect.flow-run.heartbeat",
                        "resource": {"prefect.resource.id": f"prefect.flow-run.{run.id}"},
                    }
                    await socket.send(json.dumps(beat))

                    async def came() -> bool:
                        answer = await prefect._client.post(  # pyright: ignore[reportPrivateUsage]
                            "/events/filter",
                            json={"filter": {"event": {"name": ["prefect.flow-run.heartbeat"]}}},
                        )
                        return [one["id"] for one in answer.json()["events"]] == [beat["id"]]

                    await eventually(came)
                await close_session(db, order.begun.session_id, reason="the test is over")
            found = await prefect.read_flow_run(run.id)
            assert found.state_name == "Running"


async def test_while_prefect_is_away_the_host_is_told_to_come_again(
    stack: Stack, empty: None, db: Connection, database: Database, tmp_path: Path
) -> None:
    storage, gateway = await load(ObjectStorage), await load(Gateway)
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        settings = settings_of(gateway, database, storage, Reading(), prefect_login())
        async with (
            open_services(settings, tmp_path / "spool") as services,
            _serving(services, tmp_path) as url,
        ):
            run = uuid4()
            order = await _order(db, run, gateway.model_copy(update={"url": url}))
            headers = json.loads(order.environment["PREFECT_CLIENT_CUSTOM_HEADERS"])
            base = order.environment["PREFECT_API_URL"]
            async with httpx.AsyncClient(base_url=base, headers=headers, timeout=20) as door:
                answer = await door.get(f"/flow_runs/{run}")
            await close_session(db, order.begun.session_id, reason="the test is over")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    assert "127.0.0.1" not in answer.text
