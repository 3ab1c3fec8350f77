"""Start a drain whose wake-up was lost; end runs whose worker died; forget runs missed."""

import contextlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import ObjectNotFound
from prefect.states import Crashed

from blocks.loading import prefect_unreachable
from schema.failures import Misconfigured

ABOUT_TO_START = [StateType.SCHEDULED, StateType.PENDING]
"""A run that is Running already does not count: it may be a drain at its end, or dead."""

NOT_STUCK = timedelta(seconds=60)
"""A run due longer ago and still not running is stuck: its worker died with it."""

ABANDONED = timedelta(minutes=5)

COMES_SOON = timedelta(minutes=10)
"""A schedule whose next run comes within this time need not make good one that was missed."""

MADE_BY_SCHEDULE = "auto-scheduled"
"""The tag that Prefect gives to the runs of a schedule."""

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


async def forget_missed_runs() -> int:
    """Delete runs that schedules made and nobody started in time; return how many.

    After a night with the machine off they would all be due at once, and each does all
    that waits. Of a schedule whose next run is far away (the night's) the newest missed
    one stays, so that its work is not put off by a day.
    """
    now = datetime.now(UTC)
    deleted = 0
    try:
        async with get_client() as client:
            while missed := await _scheduled(client, {"before_": now - NOT_STUCK}):
                coming = await _scheduled(client, {"after_": now, "before_": now + COMES_SOON})
                kept = {run.deployment_id for run in coming}
                batch: list[FlowRun] = []
                for run in missed:  # newest first
                    if run.deployment_id in kept:
                        batch.append(run)
                    kept.add(run.deployment_id)
                for run in batch:
                    with contextlib.suppress(ObjectNotFound):  # another deploy was faster
                        await client.delete_flow_run(run.id)
                if not batch:
                    break
                deleted += len(batch)
    except httpx.TransportError as error:
        raise prefect_unreachable() from error
    return deleted


async def _scheduled(client: PrefectClient, due: Mapping[str, datetime]) -> list[FlowRun]:
    """Some of the runs that schedules made for that time and that wait, the newest first."""
    return await client.read_flow_runs(
        flow_run_filter=FlowRunFilter(
            state=FlowRunFilterState(
                type=FlowRunFilterStateType(any_=[StateType.SCHEDULED]),
            ),
            tags=FlowRunFilterTags(all_=[MADE_BY_SCHEDULE]),
            expected_start_time=FlowRunFilterExpectedStartTime.model_validate(due),
        ),
        sort=FlowRunSort.EXPECTED_START_TIME_DESC,
    )
