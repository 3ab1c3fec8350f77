"""Start a drain whose wake-up was lost, and end runs whose worker died before they began."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import StateType
from prefect.exceptions import ObjectNotFound
from prefect.states import Crashed

from blocks.loading import prefect_unreachable
from schema.failures import Misconfigured

ABOUT_TO_START = [StateType.SCHEDULED, StateType.PENDING]
"""A run that is Running already does not count: it may be a drain at its end, or dead."""

NOT_STUCK = timedelta(seconds=60)
"""A run due longer ago and still not running is stuck: its worker died with it."""

ABANDONED = timedelta(minutes=5)

SOON = timedelta(seconds=5)
"""Runs scheduled later than this (the next cron run) are no answer to what waits now."""


async def start_unless_about_to(deployment_name: str) -> UUID | None:
    """Create a run of the deployment; None when one is about to start anyway.

    Two callers may both create one: the second drain finds its name held and ends.
    """
    now = datetime.now(UTC)
    try:
        async with get_client() as client:
            deployment = await client.read_deployment_by_name(deployment_name)
            coming = await client.read_flow_runs(
                deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment.id])),
                flow_run_filter=FlowRunFilter(
                    state=FlowRunFilterState(type=FlowRunFilterStateType(any_=ABOUT_TO_START)),
                    expected_start_time=FlowRunFilterExpectedStartTime.model_validate(
                        {"before_": now + SOON, "after_": now - NOT_STUCK}
                    ),
                ),
                limit=1,
            )
            if coming:
                return None
            run = await client.create_flow_run_from_deployment(deployment.id, tags=["sweep"])
            return run.id
    except ObjectNotFound as error:
        raise Misconfigured(
            f"The deployment {deployment_name!r} does not exist. Run `aseagi deploy`."
        ) from error
    except httpx.TransportError as error:
        raise prefect_unreachable() from error


async def crash_abandoned_runs(pool: str) -> int:
    """Mark runs Crashed that are pending for minutes; return how many.

    A worker killed between taking a run and starting its process leaves it so. It has
    no heartbeat that could stop, so nothing else would ever end it.
    """
    try:
        async with get_client() as client:
            runs = await client.read_flow_runs(
                work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[pool])),
                flow_run_filter=FlowRunFilter(
                    state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.PENDING])),
                ),
            )
            abandoned = [
                run
                for run in runs
                if run.state is not None and datetime.now(UTC) - run.state.timestamp > ABANDONED
            ]
            for run in abandoned:
                crashed = Crashed(message="The worker that took this run died before it began.")
                await client.set_flow_run_state(run.id, crashed, force=True)
            return len(abandoned)
    except httpx.TransportError as error:
        raise prefect_unreachable() from error
