"""What a host may say to Prefect about its run.

Messages are taken apart into these models and built anew from them: a field that is
not named here does not pass. Fields Prefect's own client always sends and nobody needs
are accepted and dropped, which is said where it is so.
"""

import re
from datetime import datetime
from math import isfinite
from typing import Annotated, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    TypeAdapter,
    ValidationError,
)

from gateway.prefect_api import JsonObject, OwnRun
from schema.text import Text

MAX_MESSAGE = 10_000
FINAL = frozenset({"COMPLETED", "FAILED", "CRASHED", "CANCELLED"})

Message = Annotated[Text, AfterValidator(lambda text: text[:MAX_MESSAGE])]
"""Text for people; a longer one is cut, since a run must be able to end whatever it says."""


def _storable(value: JsonValue) -> JsonValue:
    """JSON that every store can hold: without NUL; refused where it is no text or no number."""
    if isinstance(value, str):
        if any("\ud800" <= letter <= "\udfff" for letter in value):
            raise ValueError("text must be valid Unicode")
        return value.replace("\x00", "")
    if isinstance(value, float) and not isfinite(value):
        raise ValueError("numbers must be finite")
    if isinstance(value, list):
        return [_storable(one) for one in value]
    if isinstance(value, dict):
        return {str(_storable(name)): _storable(one) for name, one in value.items()}
    return value


Storable = Annotated[JsonValue, AfterValidator(_storable)]


# fmt: off
StateKind = Literal[
    "SCHEDULED", "PENDING", "RUNNING", "COMPLETED", "FAILED",
    "CANCELLED", "CRASHED", "PAUSED", "CANCELLING",
]
# fmt: on
"""Prefect's types of states; a test compares them with Prefect's own."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class StateDetails(BaseModel):
    """Of the many details one passes: the id that makes repeating a transition harmless."""

    transition_id: UUID | None = None


class NewState(BaseModel):
    """A state a run may take; its result (`data`) stays on the host."""

    type: Literal["RUNNING", "COMPLETED", "FAILED", "CRASHED", "CANCELLED"]
    name: Literal["Running", "Completed", "Failed", "Crashed", "Cancelled"] | None = None
    message: Message | None = None
    state_details: StateDetails = StateDetails()

    @property
    def is_final(self) -> bool:
        """Whether the run ends with it."""
        return self.type in FINAL


class SetState(_Strict):
    """`POST /flow_runs/{id}/set_state`; a host never forces."""

    state: NewState
    force: Literal[False] = False

    def forwarded(self, flow_run_id: UUID) -> JsonObject:
        """What Prefect is told."""
        state = self.state.model_dump(mode="json", exclude_none=True)
        state["name"] = self.state.type.title()
        state["state_details"]["flow_run_id"] = str(flow_run_id)
        return {"state": state, "force": False}


class RunUpdate(_Strict):
    """`PATCH /flow_runs/{id}`: the name the flow gives its run."""

    name: Text | None = Field(default=None, max_length=200)
    flow_version: Text | None = Field(default=None, max_length=100)
    empirical_policy: JsonValue = Field(default=None, exclude=True, description="Dropped.")


class _RunIds(_Strict):
    any_: list[UUID] | None = Field(default=None, max_length=200)
    not_any_: None = None


StateName = Annotated[Text, Field(max_length=100)]


class _StateTypes(_Strict):
    any_: list[StateKind] | None = Field(default=None, max_length=20)
    not_any_: list[StateKind] | None = Field(default=None, max_length=20)


class _StateNames(_Strict):
    any_: list[StateName] | None = Field(default=None, max_length=20)
    not_any_: list[StateName] | None = Field(default=None, max_length=20)


class _StateFilter(_Strict):
    operator: Literal["and_", "or_"] = "and_"
    type: _StateTypes | None = None
    name: _StateNames | None = None


class _RunFilter(_Strict):
    operator: Literal["and_"] = "and_"
    id: _RunIds | None = None
    state: _StateFilter | None = None


class RunsWanted(_Strict):
    """`POST /flow_runs/filter`: whether the own run is in some state."""

    flow_runs: _RunFilter | None = None
    flows: None = None
    task_runs: None = None
    deployments: None = None
    work_pools: None = None
    work_pool_queues: None = None
    sort: Text | None = Field(default=None, max_length=50)
    limit: int | None = Field(default=None, ge=0, le=200)
    offset: int = Field(default=0, ge=0, le=200)

    @property
    def named(self) -> list[UUID]:
        """The runs asked for by id."""
        ids = self.flow_runs.id if self.flow_runs else None
        return (ids.any_ if ids else None) or []

    def forwarded(self, flow_run_id: UUID) -> JsonObject:
        """What Prefect is asked: about this run, whatever the request says."""
        wanted: JsonObject = {"id": {"any_": [str(flow_run_id)]}}
        if self.flow_runs is not None and self.flow_runs.state is not None:
            wanted["state"] = self.flow_runs.state.model_dump(mode="json", exclude_none=True)
        return {"flow_runs": wanted, "limit": 1}


class LogLine(BaseModel):
    """One line of a run's log. What else Prefect's client adds is dropped."""

    name: Text = Field(max_length=200)
    level: int = Field(ge=0, le=100)
    message: Text = Field(max_length=200_000)
    timestamp: AwareDatetime
    flow_run_id: UUID
    task_run_id: UUID | None = None


class NewArtifact(_Strict):
    """`POST /artifacts/`."""

    key: str | None = Field(default=None, pattern=r"^[a-z0-9-]{1,100}$")
    type: Literal["markdown", "table", "progress"]
    description: Text | None = Field(default=None, max_length=5_000)
    data: Storable = None
    metadata_: None = None
    flow_run_id: UUID
    task_run_id: UUID | None = None


class ArtifactUpdate(_Strict):
    """`PATCH /artifacts/{id}`."""

    description: Text | None = Field(default=None, max_length=5_000)
    data: Storable = None


Labels = dict[str, Annotated[Text, Field(max_length=100_000)]]


class HostEvent(BaseModel):
    """An event as Prefect's client sends it."""

    id: UUID
    occurred: datetime
    event: str = Field(max_length=200)
    resource: Labels = Field(max_length=20)
    related: list[Labels] = Field(default=[], max_length=50)
    payload: dict[str, JsonValue] = {}
    follows: UUID | None = None

    def resource_id(self, kind: str) -> UUID | None:
        """The id of the resource, if it is of that kind."""
        return _id_of(self.resource, kind)


class TaskRunState(BaseModel):
    """The state of a task run, as an event tells it; what the server accepts and no more."""

    type: StateKind
    name: Text | None = Field(default=None, max_length=200)
    message: Text | None = None


class TaskRunTold(BaseModel):
    """What an event tells of a task run. Prefect's own client sends more, which is dropped."""

    name: Text = Field(default="", max_length=1000)
    task_key: Text = Field(max_length=1000)
    dynamic_key: Text = Field(max_length=1000)
    task_version: Text | None = Field(default=None, max_length=1000)
    tags: list[Annotated[Text, Field(max_length=1000)]] = Field(default=[], max_length=100)
    run_count: int = Field(default=0, ge=0, le=1_000_000)
    flow_run_run_count: int = Field(default=0, ge=0, le=1_000_000)
    expected_start_time: AwareDatetime | None = None
    next_scheduled_start_time: AwareDatetime | None = None
    start_time: AwareDatetime | None = None
    end_time: AwareDatetime | None = None
    total_run_time: float = Field(default=0.0, ge=0, le=1e9, allow_inf_nan=False)


class EventRefused(ValueError):
    """An event that a host may not send; the text says why."""


HEARTBEAT = "prefect.flow-run.heartbeat"
TASK_RUN_EVENT = re.compile(
    r"prefect\.task-run\."
    r"(Pending|Running|Completed|Failed|Crashed|Cancelled|Retrying|AwaitingRetry|Cached)"
)
_RESOURCE_LABELS = (
    "prefect.resource.id",
    "prefect.resource.name",
    "prefect.resource.role",
    "prefect.version",
    "prefect.run-count",
    "prefect.state-message",
    "prefect.state-name",
    "prefect.state-timestamp",
    "prefect.state-type",
    "prefect.orchestration",
)
_JSON: TypeAdapter[JsonObject] = TypeAdapter(JsonObject)


def forwarded_event(event: HostEvent, run: OwnRun) -> JsonObject:
    """The event as Prefect is told it; raises `EventRefused` for one a host may not send.

    Whether a task run is the run's own is for the caller to ask (`PrefectApi.owns_task_run`).
    """
    own = f"prefect.flow-run.{run.id}"
    related: list[JsonValue] = [_labels(one) for one in event.related if _is_own(one, run)]
    if event.event == HEARTBEAT:
        if event.resource.get("prefect.resource.id") != own:
            raise EventRefused("the heartbeat is of another run")
        payload: JsonObject = {}
    elif TASK_RUN_EVENT.fullmatch(event.event):
        task_run_id = event.resource_id("task-run")
        if task_run_id is None:
            raise EventRefused("a task-run event is about a task run")
        mentioned = [
            one.get("prefect.resource.id")
            for one in event.related
            if one.get("prefect.resource.role") == "flow-run"
        ]
        if mentioned != [own]:
            raise EventRefused("the event does not mention the run, or mentions another")
        payload = _task_run_payload(event)
    else:
        raise EventRefused("hosts do not send this event")
    return {
        "id": str(event.id),
        "occurred": event.occurred.isoformat(),
        "event": event.event,
        "resource": _labels(event.resource),
        "related": related,
        "payload": payload,
        "follows": str(event.follows) if event.follows else None,
    }


def _task_run_payload(event: HostEvent) -> JsonObject:
    """What the server records of a task run.

    Built from named fields, because the server lets the payload override whose task run it
    is; and checked as the server will, because it records many hosts' events in one batch,
    which one bad event would spoil.
    """
    try:
        state = TaskRunState.model_validate(event.payload.get("validated_state"))
        task_run = TaskRunTold.model_validate(event.payload.get("task_run"))
    except ValidationError:
        raise EventRefused("the event does not describe a task run's state") from None
    payload: JsonObject = {
        "validated_state": {**state.model_dump(mode="json"), "state_details": {}},
        "task_run": task_run.model_dump(mode="json", exclude_unset=True),
    }
    for name in ("intended", "initial_state"):
        value = event.payload.get(name)
        if isinstance(value, dict):
            passing = ("from", "to") if name == "intended" else ("type", "name", "message")
            payload[name] = {key: value[key] for key in passing if key in value}
    try:
        return _JSON.validate_python(_storable(payload))
    except ValueError:
        raise EventRefused("the event holds what cannot be stored") from None


def _is_own(related: Labels, run: OwnRun) -> bool:
    """Whether a resource is the run, what it belongs to, or a tag; others are left out."""
    named = related.get("prefect.resource.id", "")
    if not related.get("prefect.resource.role"):
        return False  # the server takes none without
    return (
        named
        in {
            f"prefect.flow-run.{run.id}",
            f"prefect.flow.{run.flow_id}",
            f"prefect.deployment.{run.deployment_id}",
            f"prefect.work-queue.{run.work_queue_id}",
        }
        or named.startswith("prefect.tag.")
        or (named.startswith("prefect.work-pool.") and bool(run.work_pool_name))
    )


def _labels(resource: Labels) -> JsonObject:
    return {name: resource[name] for name in _RESOURCE_LABELS if name in resource}


def _id_of(resource: Labels, kind: str) -> UUID | None:
    start, _, rest = resource.get("prefect.resource.id", "").rpartition(".")
    try:
        return UUID(rest) if start == f"prefect.{kind}" else None
    except ValueError:
        return None
