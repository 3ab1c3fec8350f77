"""Prefect's API behind the gateway: its address and login never leave this process.

    PrefectAway      no answer, or one that says "later"     → 503, may be repeated
    PrefectRefused   it will not take this request           → its status, with a reason

Guarantees: every call has a time limit; nothing of Prefect's login is in an answer.
"""

import logging
import ssl
from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeVar
from uuid import UUID

import httpx
from pydantic import BaseModel, JsonValue, TypeAdapter

from gateway.settings import PrefectLogin

log = logging.getLogger("aseagi.gateway.prefect")

TIMEOUT = httpx.Timeout(15, connect=3)
REMEMBERED = 4096
"""Runs and task runs whose owner is remembered; the oldest are looked up again."""

Value = TypeVar("Value")
JsonObject = dict[str, JsonValue]
_JSON: TypeAdapter[JsonValue] = TypeAdapter(JsonValue)


class PrefectAway(Exception):
    """Prefect does not answer, or asks to come again."""


class PrefectRefused(Exception):
    """Prefect will not take the request; `status` is its 4xx."""

    def __init__(self, status: int) -> None:
        super().__init__(f"Prefect answered {status}.")
        self.status = status


class OwnRun(BaseModel):
    """What belongs to one flow run, as Prefect knows it; none of it changes."""

    id: UUID
    flow_id: UUID
    deployment_id: UUID | None = None
    work_queue_id: UUID | None = None
    work_pool_name: str | None = None


class _FlowRunOf(BaseModel):
    flow_run_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What Prefect answered, its status a 2xx."""

    status: int
    body: JsonValue


class PrefectApi:
    """Calls Prefect with the gateway's login. Make it with `open_prefect_api`."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self._runs: OrderedDict[UUID, OwnRun] = OrderedDict()
        self._task_runs: OrderedDict[UUID, UUID] = OrderedDict()

    async def call(self, method: str, path: str, body: JsonValue = None) -> Answer:
        """Send one request, once; raises `PrefectAway` or `PrefectRefused`."""
        try:
            answer = await self._http.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise PrefectAway(type(error).__name__) from error
        status = answer.status_code
        if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            log.error("Prefect refused the gateway's login; check PREFECT_API_AUTH_STRING.")
            raise PrefectAway(f"HTTP {status}")
        if status >= 500 or status in {408, 429}:
            raise PrefectAway(f"HTTP {status}")
        if not answer.is_success:
            raise PrefectRefused(status)
        return Answer(status, _JSON.validate_json(answer.content) if answer.content else None)

    async def run(self, flow_run_id: UUID) -> OwnRun:
        """What belongs to the flow run."""
        if (known := self._runs.get(flow_run_id)) is not None:
            return known
        answer = await self.call("GET", f"flow_runs/{flow_run_id}")
        found = OwnRun.model_validate(answer.body)
        _remember(self._runs, flow_run_id, found)
        return found

    async def owns_task_run(self, flow_run_id: UUID, task_run_id: UUID) -> bool:
        """Whether the task run is the flow run's, or unknown so far and so becomes its own."""
        owner = self._task_runs.get(task_run_id)
        if owner is None:
            owner = await self._flow_run_of("task_runs", task_run_id) or flow_run_id
            _remember(self._task_runs, task_run_id, owner)
        return owner == flow_run_id

    async def owns_artifact(self, flow_run_id: UUID, artifact_id: UUID) -> bool:
        """Whether the flow run made the artifact."""
        return await self._flow_run_of("artifacts", artifact_id) == flow_run_id

    async def _flow_run_of(self, kind: str, wanted: UUID) -> UUID | None:
        try:
            answer = await self.call("GET", f"{kind}/{wanted}")
        except PrefectRefused as refusal:
            if refusal.status == HTTPStatus.NOT_FOUND:
                return None
            raise
        return _FlowRunOf.model_validate(answer.body).flow_run_id


def _remember(known: OrderedDict[UUID, Value], key: UUID, value: Value) -> None:
    known[key] = value
    while len(known) > REMEMBERED:
        known.popitem(last=False)


def _trusted(login: PrefectLogin) -> ssl.SSLContext | bool:
    if not login.verify or login.ca_file is None:
        return login.verify
    return ssl.create_default_context(cafile=login.ca_file)


@asynccontextmanager
async def open_prefect_api(login: PrefectLogin) -> AsyncGenerator[PrefectApi]:
    """The API, with the gateway's login."""
    async with httpx.AsyncClient(
        base_url=login.url,
        headers={name: value.get_secret_value() for name, value in login.headers.items()},
        timeout=TIMEOUT,
        verify=_trusted(login),
        follow_redirects=False,
    ) as http:
        yield PrefectApi(http)
