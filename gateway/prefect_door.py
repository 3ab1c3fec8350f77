"""`/prefect/api`: the door through which a host reaches Prefect.

Prefect's login is one string that opens everything, so a host gets none. It is told
that Prefect lives here, and its Prefect client sends the host token with every call.
What executing its own run needs is named below, call by call; everything else is 403.

Guarantees: nothing is read or changed but the token's own run, what it belongs to and
what it made; requests are built anew from the fields that may pass (`prefect_messages`),
answers from the fields a run needs, so that no setting of the house is in them. After
its session closed a token serves for final reports only.
"""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException, WebSocket
from fastapi.responses import JSONResponse, Response
from pydantic import Field, JsonValue

from gateway.attempts import Current, TokenFirst, Working, attempt_of
from gateway.prefect_api import Answer, PrefectApi
from gateway.prefect_events import carry_events, deny
from gateway.prefect_messages import (
    ArtifactUpdate,
    LogLine,
    NewArtifact,
    RunsWanted,
    RunUpdate,
    SetState,
)
from gateway.services import Services, services
from sql.sessions import Attempt

PREFIX = "/prefect/api"
LIMITS = {
    f"{PREFIX}/logs/": 1024 * 1024,
    f"{PREFIX}/artifacts/": 256 * 1024,
    f"{PREFIX}/flow_runs/": 256 * 1024,
}
"""Largest bodies in bytes, by path."""

router = APIRouter(prefix=PREFIX, tags=["prefect"], route_class=TokenFirst)

RUN_FIELDS = (
    *("id", "created", "updated", "name", "flow_id", "deployment_id", "deployment_version"),
    *("flow_version", "parameters", "context", "empirical_policy", "tags", "labels"),
    *("parent_task_run_id", "run_count", "expected_start_time", "next_scheduled_start_time"),
    *("start_time", "end_time", "total_run_time", "auto_scheduled", "work_queue_id"),
    *("work_queue_name", "work_pool_id", "work_pool_name"),
    *("state", "state_id", "state_type", "state_name"),
)
"""Not `job_variables`, where a pool's settings may lie."""

FLOW_FIELDS = ("id", "created", "updated", "name", "tags", "labels")
DEPLOYMENT_FIELDS = (
    *("id", "created", "updated", "name", "version", "flow_id", "entrypoint", "path", "tags"),
    *("labels", "parameters", "parameter_openapi_schema", "enforce_parameter_schema"),
    *("work_queue_name", "work_queue_id", "work_pool_name", "paused", "status"),
)
"""Not `job_variables`, and not `pull_steps`: code is installed where it runs."""

QUEUE_FIELDS = (
    *("id", "created", "updated", "name", "description", "is_paused", "concurrency_limit"),
    *("priority", "work_pool_id", "work_pool_name", "status"),
)
POOL_FIELDS = (
    *("id", "created", "updated", "name", "description", "type", "is_paused"),
    *("concurrency_limit", "default_queue_id", "status"),
)
"""Not `base_job_template`, where a pool's settings and secrets lie."""


def prefect(using: Annotated[Services, Depends(services)]) -> PrefectApi:
    """Prefect's API (a FastAPI dependency)."""
    return using.prefect


Prefect = Annotated[PrefectApi, Depends(prefect)]


def _refuse_unless(allowed: bool, reason: str) -> None:
    if not allowed:
        raise HTTPException(403, reason)


def _forbidden(path: str) -> HTTPException:
    return HTTPException(403, f"A host may not call /{path[:200]} with this method.")


def _only_own(attempt: Attempt, flow_run_id: UUID) -> None:
    _refuse_unless(flow_run_id == attempt.flow_run_id, "This token is for another flow run.")


def _picked(body: JsonValue, fields: tuple[str, ...]) -> JsonValue:
    return {name: body[name] for name in fields if name in body} if isinstance(body, dict) else None


def _answer(answer: Answer) -> Response:
    if answer.body is None:
        return Response(status_code=answer.status)
    return JSONResponse(answer.body, answer.status)


@router.get("/flow_runs/{flow_run_id}")
async def read_run(flow_run_id: UUID, attempt: Current, prefect: Prefect) -> Response:
    """The own run."""
    _only_own(attempt, flow_run_id)
    answer = await prefect.call("GET", f"flow_runs/{flow_run_id}")
    return JSONResponse(_picked(answer.body, RUN_FIELDS))


@router.patch("/flow_runs/{flow_run_id}")
async def update_run(
    flow_run_id: UUID, update: RunUpdate, attempt: Working, prefect: Prefect
) -> Response:
    """Give the own run its name."""
    _only_own(attempt, flow_run_id)
    changes = update.model_dump(mode="json", exclude_none=True)
    if changes:
        await prefect.call("PATCH", f"flow_runs/{flow_run_id}", changes)
    return Response(status_code=204)


@router.post("/flow_runs/{flow_run_id}/set_state")
async def set_state(
    flow_run_id: UUID, wanted: SetState, attempt: Current, prefect: Prefect
) -> Response:
    """Propose a state of the own run; once the session is closed, a final one."""
    _only_own(attempt, flow_run_id)
    if attempt.closed and not wanted.state.is_final:
        raise HTTPException(409, "The session is closed: only a final state is accepted.")
    path = f"flow_runs/{flow_run_id}/set_state"
    return _answer(await prefect.call("POST", path, wanted.forwarded(flow_run_id)))


@router.post("/flow_runs/filter")
async def find_runs(wanted: RunsWanted, attempt: Working, prefect: Prefect) -> Response:
    """The own run, if it is in the state asked for."""
    foreign = set(wanted.named) - {attempt.flow_run_id}
    _refuse_unless(not foreign, "This token is for another flow run.")
    body = wanted.forwarded(attempt.flow_run_id)
    found = (await prefect.call("POST", "flow_runs/filter", body)).body
    runs = found if isinstance(found, list) else []
    return JSONResponse([_picked(run, RUN_FIELDS) for run in runs])


@router.get("/flows/{flow_id}")
async def read_flow(flow_id: UUID, attempt: Current, prefect: Prefect) -> Response:
    """The flow of the own run."""
    own = (await prefect.run(attempt.flow_run_id)).flow_id
    _refuse_unless(flow_id == own, "The run is of another flow.")
    return JSONResponse(_picked((await prefect.call("GET", f"flows/{own}")).body, FLOW_FIELDS))


@router.get("/deployments/{deployment_id}")
async def read_deployment(deployment_id: UUID, attempt: Current, prefect: Prefect) -> Response:
    """The deployment of the own run, without its job's settings."""
    own = (await prefect.run(attempt.flow_run_id)).deployment_id
    _refuse_unless(deployment_id == own, "The run is of another deployment.")
    answer = await prefect.call("GET", f"deployments/{own}")
    return JSONResponse(_picked(answer.body, DEPLOYMENT_FIELDS))


@router.get("/work_queues/{queue_id}")
async def read_queue(queue_id: UUID, attempt: Current, prefect: Prefect) -> Response:
    """The work queue of the own run."""
    own = (await prefect.run(attempt.flow_run_id)).work_queue_id
    _refuse_unless(queue_id == own, "The run is of another work queue.")
    answer = await prefect.call("GET", f"work_queues/{own}")
    return JSONResponse(_picked(answer.body, QUEUE_FIELDS))


@router.get("/work_pools/{name}")
async def read_pool(name: str, attempt: Current, prefect: Prefect) -> Response:
    """The work pool of the own run, its job template blank."""
    run = await prefect.run(attempt.flow_run_id)
    _refuse_unless(name == run.work_pool_name, "The run is of another work pool.")
    pool = _picked((await prefect.call("GET", f"work_pools/{name}")).body, POOL_FIELDS)
    return JSONResponse({**pool, "base_job_template": {}} if isinstance(pool, dict) else None)


@router.post("/logs/")
async def write_logs(
    lines: Annotated[list[LogLine], Field(max_length=5_000)], attempt: Current, prefect: Prefect
) -> Response:
    """Lines of the own run's log."""
    for flow_run_id in {line.flow_run_id for line in lines}:
        _only_own(attempt, flow_run_id)
    for task_run_id in {line.task_run_id for line in lines if line.task_run_id is not None}:
        await _only_own_task_run(prefect, attempt, task_run_id)
    body: list[JsonValue] = [line.model_dump(mode="json") for line in lines]
    return _answer(await prefect.call("POST", "logs/", body))


@router.post("/artifacts/")
async def create_artifact(artifact: NewArtifact, attempt: Current, prefect: Prefect) -> Response:
    """An artifact of the own run."""
    _only_own(attempt, artifact.flow_run_id)
    if artifact.task_run_id is not None:
        await _only_own_task_run(prefect, attempt, artifact.task_run_id)
    body = artifact.model_dump(mode="json", exclude_none=True)
    return _answer(await prefect.call("POST", "artifacts/", body))


@router.patch("/artifacts/{artifact_id}")
async def update_artifact(
    artifact_id: UUID, update: ArtifactUpdate, attempt: Current, prefect: Prefect
) -> Response:
    """Change an artifact the own run made."""
    own = await prefect.owns_artifact(attempt.flow_run_id, artifact_id)
    _refuse_unless(own, "The artifact is not of this run.")
    body = update.model_dump(mode="json", exclude_unset=True)
    return _answer(await prefect.call("PATCH", f"artifacts/{artifact_id}", body))


@router.get("/health")
async def health(_: Current) -> bool:
    """What Prefect's client asks before it begins."""
    return True


@router.get("/admin/storage")
async def default_storage(_: Current) -> Response:
    """There is no default storage for results: they stay on the host."""
    raise HTTPException(404, "No default result storage.")


@router.api_route(
    "/{path:path}",
    methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
    include_in_schema=False,
)
async def everything_else(path: str, _: Current) -> Response:
    """Refuse what executing one run does not need."""
    raise _forbidden(path)


@router.websocket("/events/in")
async def events_in(socket: WebSocket) -> None:
    """Take in the own run's heartbeats and task-run states."""
    await carry_events(socket)


@router.websocket("/{path:path}")
async def other_streams(socket: WebSocket) -> None:
    """Refuse the stream of everybody's events, and any other."""
    try:
        await attempt_of(socket, socket.app.state.services)
    except HTTPException as stranger:
        await deny(socket, stranger.status_code, str(stranger.detail))
    else:
        await deny(socket, 403, "A host may open /events/in alone.")


async def _only_own_task_run(prefect: PrefectApi, attempt: Attempt, task_run_id: UUID) -> None:
    own = await prefect.owns_task_run(attempt.flow_run_id, task_run_id)
    _refuse_unless(own, "The task run is not of this flow run.")
