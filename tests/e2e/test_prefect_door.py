"""The door to Prefect as a host uses and misuses it: the running gateway and Prefect."""

import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import httpx
import pytest
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    FlowFilter,
    FlowFilterName,
    LogFilter,
    LogFilterFlowRunId,
    TaskRunFilter,
    TaskRunFilterFlowRunId,
)
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import FlowRunSort
from prefect.events.filters import EventFilter, EventNameFilter
from prefect.states import Pending
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from blocks.gateway import Gateway
from blocks.loading import load
from sql.connection import Connection
from sql.sessions import close_session
from stack.embedded import Stack
from tests.e2e.conftest import ELSEWHERE, all_completed, drop, eventually
from tests.e2e.test_host_protocol import add_document
from work_pools.host_environment import HostOrder, HostTerms, host_environment


@dataclass(frozen=True)
class Host:
    """A host as the worker made it, with a run of its own and another's beside it."""

    door: httpx.AsyncClient
    prefect: PrefectClient
    gateway_url: str
    token: str
    session_id: UUID
    run: UUID
    foreign: UUID
    deployment: UUID

    async def state(self, run: UUID) -> str:
        found = (await self.prefect.read_flow_run(run)).state
        assert found is not None
        return found.name or ""

    async def set_state(self, run: UUID, kind: str, **more: object) -> httpx.Response:
        body = {"state": {"type": kind, **more}}
        return await self.door.post(f"/flow_runs/{run}/set_state", json=body)

    def events(self, path: str = "in", token: str | None = None) -> connect:
        url = f"{self.gateway_url.replace('http', 'ws', 1)}/prefect/api/events/{path}"
        return connect(
            url,
            additional_headers={"Authorization": f"Bearer {token or self.token}"},
            subprotocols=[Subprotocol("prefect")],
        )


@pytest.fixture
async def host(stack: Stack, empty: None, db: Connection) -> AsyncGenerator[Host]:
    """A host without a process: the test is the process. Its runs lie in no pool."""
    gateway = await load(Gateway)
    async with get_client() as prefect:
        deployment = await prefect.read_deployment_by_name("ocr/local")
        runs = [
            await prefect.create_flow_run_from_deployment(deployment.id, state=Pending())
            for _ in range(2)
        ]
        for run in runs:
            await prefect.update_flow_run(run.id, infrastructure_pid=ELSEWHERE)
        document = await add_document(db)
        order = await host_environment(
            db,
            flow_run_id=runs[0].id,
            run_count=0,
            session_id=None,
            gateway=gateway,
            terms=HostTerms("local", timedelta(hours=1), Decimal(0), Decimal(50), max_hosts=9),
        )
        assert isinstance(order, HostOrder)
        await db.execute("delete from aseagi.documents where id = %s", (document,))
        environment = order.environment
        headers = json.loads(environment["PREFECT_CLIENT_CUSTOM_HEADERS"])
        try:
            async with httpx.AsyncClient(
                base_url=environment["PREFECT_API_URL"], headers=headers, timeout=30
            ) as door:
                yield Host(
                    door,
                    prefect,
                    gateway.url,
                    environment["ASEAGI_HOST_TOKEN"],
                    order.begun.session_id,
                    runs[0].id,
                    runs[1].id,
                    deployment.id,
                )
        finally:
            await close_session(db, order.begun.session_id, reason="the test is over")
            for run in runs:
                await prefect.delete_flow_run(run.id)


def log_line(run: UUID, message: str = "hello") -> dict[str, object]:
    now = datetime.now(UTC).isoformat()
    return {
        "name": "t",
        "level": 20,
        "message": message,
        "timestamp": now,
        "flow_run_id": str(run),
    }


def event(name: str, run: UUID, *, task_run: UUID | None = None) -> dict[str, object]:
    related = {
        "prefect.resource.id": f"prefect.flow-run.{run}",
        "prefect.resource.role": "flow-run",
    }
    about = f"prefect.task-run.{task_run}" if task_run else f"prefect.flow-run.{run}"
    return {
        "id": str(uuid4()),
        "occurred": datetime.now(UTC).isoformat(),
        "event": name,
        "resource": {"prefect.resource.id": about, "prefect.orchestration": "client"},
        "related": [related] if task_run else [],
        "payload": {
            "validated_state": {"type": "COMPLETED", "name": "Completed"},
            "task_run": {
                "name": "read",
                "task_key": "read",
                "dynamic_key": "0",
                "flow_run_id": str(uuid4()),
            },
        }
        if task_run
        else {},
    }


async def _login(socket: ClientConnection) -> None:
    await socket.send(json.dumps({"type": "auth", "token": None}))
    assert json.loads(await socket.recv())["type"] == "auth_success"


async def _last_session(prefect: PrefectClient) -> FlowRun:
    (run,) = await prefect.read_flow_runs(
        flow_filter=FlowFilter(name=FlowFilterName(any_=["ocr"])),
        sort=FlowRunSort.START_TIME_DESC,
        limit=1,
    )
    return run


async def _event_count(prefect: PrefectClient, name: str, about: str) -> int:
    wanted = EventFilter(event=EventNameFilter(name=[name]))
    body = {"filter": wanted.model_dump(mode="json"), "limit": 50}
    answer = await prefect._client.post("/events/filter", json=body)  # pyright: ignore[reportPrivateUsage]
    answer.raise_for_status()
    return sum(one["resource"]["prefect.resource.id"] == about for one in answer.json()["events"])


async def test_a_session_through_the_door_leaves_its_logs_task_runs_artifacts_and_heartbeats(
    stack: Stack, empty: None, db: Connection
) -> None:
    drop(stack, "door", 40)
    await eventually(lambda: all_completed(db, "door", 40))
    async with get_client() as prefect:
        run = await _last_session(prefect)

        async def completed() -> bool:
            state = (await prefect.read_flow_run(run.id)).state
            return state is not None and state.is_completed()

        await eventually(completed)
        assert (await prefect.read_flow_run(run.id)).name.startswith("session ")

        async def all_recorded() -> bool:
            task_runs = await prefect.read_task_runs(
                task_run_filter=TaskRunFilter(flow_run_id=TaskRunFilterFlowRunId(any_=[run.id]))
            )
            names = {one.name.split(" ")[0] for one in task_runs}
            states = {one.state.name for one in task_runs if one.state}
            logs = await prefect.read_logs(LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run.id])))
            artifacts = await prefect.read_artifacts(
                artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run.id]))
            )
            heartbeats = await _event_count(
                prefect, "prefect.flow-run.heartbeat", f"prefect.flow-run.{run.id}"
            )
            return (
                {"load", "read"} <= names
                and states == {"Completed"}
                and any("Finished in state" in line.message for line in logs)
                and any(
                    one.key == "session"
                    and "| cost of the host so far, without traffic | $" in str(one.data)
                    for one in artifacts
                )
                and heartbeats > 0
            )

        await eventually(all_recorded)


async def test_without_a_valid_token_the_door_is_shut(host: Host) -> None:
    for headers in ({}, {"Authorization": "Bearer forged"}, {"Authorization": "Basic YTpi"}):
        async with httpx.AsyncClient(
            base_url=host.door.base_url, headers=headers, timeout=60
        ) as stranger:
            for path in (f"/flow_runs/{host.run}", "/health", "/anything"):
                assert (await stranger.get(path)).status_code == 401
    with pytest.raises(InvalidStatus):
        async with host.events(token="forged"):
            pass


async def test_a_host_reads_its_own_run_without_settings_of_the_house(host: Host) -> None:
    run = (await host.door.get(f"/flow_runs/{host.run}")).json()
    assert run["id"] == str(host.run)
    deployment = (await host.door.get(f"/deployments/{host.deployment}")).json()
    pool = (await host.door.get(f"/work_pools/{run['work_pool_name']}")).json()
    flow = (await host.door.get(f"/flows/{run['flow_id']}")).json()
    queue = (await host.door.get(f"/work_queues/{run['work_queue_id']}")).json()
    assert (flow["name"], queue["name"]) == ("ocr", "default")
    assert pool["base_job_template"] == {}
    assert not {"job_variables", "infrastructure_pid"} & run.keys()
    assert not {"job_variables", "pull_steps", "infra_overrides"} & deployment.keys()


async def test_another_run_can_be_neither_read_nor_changed_nor_written_about(host: Host) -> None:
    foreign = host.foreign
    artifact = {"type": "markdown", "data": "x", "flow_run_id": str(foreign)}
    (theirs,) = [
        (
            await host.prefect._client.post("/artifacts/", json=artifact)  # pyright: ignore[reportPrivateUsage]
        ).json()["id"]
    ]
    door = host.door
    wanted = {"flow_runs": {"id": {"any_": [str(foreign)]}}}
    before = await host.prefect.read_flow_run(foreign)
    for answer in (
        await door.get(f"/flow_runs/{foreign}"),
        await door.patch(f"/flow_runs/{foreign}", json={"name": "mine"}),
        await host.set_state(foreign, "CRASHED"),
        await door.post("/flow_runs/filter", json=wanted),
        await door.post("/logs/", json=[log_line(host.run), log_line(foreign)]),
        await door.post("/artifacts/", json=artifact),
        await door.patch(f"/artifacts/{theirs}", json={"data": "y"}),
        await door.patch(f"/artifacts/{uuid4()}", json={"data": "y"}),
        await door.get(f"/flows/{uuid4()}"),
        await door.get(f"/deployments/{uuid4()}"),
        await door.get("/work_pools/droplet"),
    ):
        assert answer.status_code == 403, (answer.url, answer.text)
        assert "detail" in answer.json()
    after = await host.prefect.read_flow_run(foreign)
    assert (after.name, after.state_name) == (before.name, before.state_name)
    artifacts = await host.prefect.read_artifacts(
        artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[foreign]))
    )
    assert [one.data for one in artifacts] == ["x"]
    for run in (host.run, foreign):
        logs = await host.prefect.read_logs(LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run])))
        assert logs == []


async def test_a_filter_that_names_no_run_finds_the_own_one(host: Host) -> None:
    for body in ({}, {"flow_runs": {"operator": "and_"}}, {"limit": 200}):
        found = (await host.door.post("/flow_runs/filter", json=body)).json()
        assert [one["id"] for one in found] == [str(host.run)]
    for body in ({"flow_runs": {"operator": "or_"}}, {"flow_runs": {"name": {"like_": "%"}}}):
        assert (await host.door.post("/flow_runs/filter", json=body)).status_code == 422


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/deployments/", {"name": "mine", "flow_id": str(uuid4())}),
        ("POST", "/deployments/0177bf5a-d7a7-4234-912b-8df605a788f0/create_flow_run", {}),
        ("POST", "/flow_runs/", {}),
        ("DELETE", "/flow_runs/{run}", None),
        ("POST", "/variables/", {"name": "a", "value": "b"}),
        ("GET", "/variables/name/a", None),
        (
            "GET",
            "/block_types/slug/aseagi-database/block_documents/name/aseagi?include_secrets=true",
            None,
        ),
        ("POST", "/block_documents/filter", {"include_secrets": True}),
        ("POST", "/events", []),
        ("GET", "/admin/settings", None),
        ("GET", "/flow_runs/{run}/../../admin/settings", None),
        ("GET", "/flow_runs/{run}%2F..%2F..%2Fadmin%2Fsettings", None),
        ("POST", "/logs/filter", {}),
        ("GET", "/events/out", None),
    ],
)
async def test_what_a_run_does_not_need_is_forbidden_with_a_reason(
    host: Host, method: str, path: str, body: object
) -> None:
    answer = await host.door.request(method, path.replace("{run}", str(host.run)), json=body)
    assert answer.status_code == 403, answer.text
    assert "may not" in answer.json()["detail"]
    assert await host.state(host.run) == "Pending"


async def test_only_states_a_running_host_can_be_in_are_accepted(host: Host) -> None:
    for kind, more in (
        ("SCHEDULED", {}),
        ("SCHEDULED", {"name": "AwaitingRetry"}),
        ("RUNNING", {"name": "AwaitingRetry"}),
        ("PENDING", {}),
        ("PAUSED", {}),
        ("CANCELLING", {}),
    ):
        assert (await host.set_state(host.run, kind, **more)).status_code == 422
    forced = {"state": {"type": "RUNNING"}, "force": True}
    answer = await host.door.post(f"/flow_runs/{host.run}/set_state", json=forced)
    assert answer.status_code == 422
    assert await host.state(host.run) == "Pending"
    for change in ({"parameters": {"engine": "x"}}, {"tags": ["x"]}, {"infrastructure_pid": "1"}):
        answer = await host.door.patch(f"/flow_runs/{host.run}", json=change)
        assert answer.status_code == 422
    for kind, name in (("RUNNING", "Running"), ("COMPLETED", "Completed")):
        answer = await host.set_state(host.run, kind, data={"storage_key": "x"})
        assert answer.status_code == 201, answer.text
        assert await host.state(host.run) == name


async def test_an_artifact_is_changed_by_the_run_that_made_it(host: Host) -> None:
    made = await host.door.post(
        "/artifacts/", json={"type": "progress", "data": 1, "flow_run_id": str(host.run)}
    )
    assert made.status_code == 201, made.text
    artifact = made.json()["id"]
    assert (await host.door.patch(f"/artifacts/{artifact}", json={"data": 50})).status_code == 204
    (found,) = await host.prefect.read_artifacts(
        artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[host.run]))
    )
    assert found.data == 50


async def test_bodies_too_large_for_their_call_are_refused(host: Host) -> None:
    for path, size in (
        ("/logs/", 1 << 21),
        ("/artifacts/", 1 << 19),
        (f"/flow_runs/{host.run}/set_state", 1 << 19),
    ):
        answer = await host.door.post(path, content=b" " * size)
        assert answer.status_code == 413


async def test_events_of_others_never_arrive_and_the_own_do(host: Host, db: Connection) -> None:
    mine, theirs = uuid4(), uuid4()
    arrivals = {"prefect.resource.id": "aseagi.object.raw/x"}
    async with host.events() as socket:
        await _login(socket)
        for hostile in (
            event("aseagi.object.created", host.run) | {"resource": arrivals},
            event("aseagi.object.created", host.run),
            event("prefect.flow-run.heartbeat", host.foreign),
            event("prefect.flow-run.Completed", host.run),
            event("prefect.task-run.Completed", host.foreign, task_run=theirs),
            event("prefect.task-run.Completed", host.run, task_run=theirs)
            | {"payload": {"validated_state": {"type": "x"}, "task_run": {}}},
            {"event": "x"},
        ):
            await socket.send(json.dumps(hostile))
        await socket.send("not json")
        # In order behind them: once this one is there, the others would be too.
        task_event = event("prefect.task-run.Completed", host.run, task_run=mine)
        await socket.send(json.dumps(task_event))
        await socket.send(json.dumps(event("prefect.flow-run.heartbeat", host.run)))

        async def heartbeat_came() -> bool:
            about = f"prefect.flow-run.{host.run}"
            return await _event_count(host.prefect, "prefect.flow-run.heartbeat", about) == 1

        await eventually(heartbeat_came)

        async def task_run_came() -> bool:
            found = await host.prefect.read_task_runs(
                task_run_filter=TaskRunFilter(flow_run_id=TaskRunFilterFlowRunId(any_=[host.run]))
            )
            # Its payload named another flow run.
            return [one.id for one in found] == [mine]

        await eventually(task_run_came)
    for name, about in (
        ("aseagi.object.created", "aseagi.object.raw/x"),
        ("aseagi.object.created", f"prefect.flow-run.{host.run}"),
        ("prefect.flow-run.heartbeat", f"prefect.flow-run.{host.foreign}"),
        ("prefect.flow-run.Completed", f"prefect.flow-run.{host.run}"),
        ("prefect.task-run.Completed", f"prefect.task-run.{theirs}"),
    ):
        assert await _event_count(host.prefect, name, about) == 0, name


async def test_the_stream_of_everybodys_events_is_refused(host: Host) -> None:
    with pytest.raises(InvalidStatus) as refusal:
        async with host.events("out"):
            pass
    assert refusal.value.response.status_code == 403


async def test_after_close_only_final_reports_pass_and_a_minute_later_nothing(
    host: Host, db: Connection
) -> None:
    assert (await host.set_state(host.run, "RUNNING")).status_code == 201
    await close_session(db, host.session_id, reason="done")
    assert (await host.set_state(host.run, "RUNNING")).status_code == 409
    renamed = await host.door.patch(f"/flow_runs/{host.run}", json={"name": "late"})
    assert renamed.status_code == 409
    assert (await host.door.post("/logs/", json=[log_line(host.run, "the end")])).is_success
    async with host.events() as socket:
        await _login(socket)
        assert (await host.set_state(host.run, "COMPLETED")).status_code == 201
        await db.execute(
            "update aseagi.ocr_sessions set closed_at = closed_at - interval '2 minutes'"
            " where id = %s",
            (host.session_id,),
        )
        answer = await host.door.post("/logs/", json=[log_line(host.run, "too late")])
        assert answer.status_code == 401
        with pytest.raises(ConnectionClosed):  # its connection ends too
            await socket.recv()
    logs = await host.prefect.read_logs(LogFilter(flow_run_id=LogFilterFlowRunId(any_=[host.run])))
    assert [line.message for line in logs] == ["the end"]
