"""Runs that were missed while the machine was off."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate, WorkPoolCreate
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterExpectedStartTime,
)
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.schedules import CronSchedule

from stack.embedded import Stack
from tasks.starting import NOT_STUCK, forget_missed_runs


async def a_schedule(client: PrefectClient, pool: str, cron: str) -> UUID:
    """A deployment that nobody runs, with the runs it should have had in the last two days."""
    flow_id = await client.create_flow_from_name("missed")
    deployment_id = await client.create_deployment(
        flow_id,
        f"missed {uuid4().hex}",
        work_pool_name=pool,
        schedules=[DeploymentScheduleCreate(schedule=CronSchedule(cron=cron), active=True)],
    )
    for back in (timedelta(days=2), timedelta(hours=1)):
        now = datetime.now(UTC)
        answer = await client._client.post(  # pyright: ignore[reportPrivateUsage]
            f"/deployments/{deployment_id}/schedule",
            json={
                "start_time": (now - back).isoformat(),
                "end_time": (now - timedelta(minutes=2)).isoformat(),
                "min_runs": 100,
                "max_runs": 100,
            },
        )
        answer.raise_for_status()
    await client._client.post(  # pyright: ignore[reportPrivateUsage]
        f"/deployments/{deployment_id}/schedule", json={"min_runs": 3, "max_runs": 5}
    )
    return deployment_id


async def missed(client: PrefectClient, deployment_id: UUID, before: datetime) -> Sequence[FlowRun]:
    return await client.read_flow_runs(
        deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment_id])),
        flow_run_filter=FlowRunFilter(
            expected_start_time=FlowRunFilterExpectedStartTime.model_validate({"before_": before})
        ),
    )


async def test_runs_missed_while_the_machine_was_off_do_not_queue_up(stack: Stack) -> None:
    pool = f"nobody-{uuid4().hex}"
    far = datetime.now(UTC) - timedelta(hours=3)
    async with get_client() as client:
        await client.create_work_pool(WorkPoolCreate(name=pool, type="process"))
        try:
            each_minute = await a_schedule(client, pool, "* * * * *")
            each_night = await a_schedule(client, pool, f"0 {far.hour} * * *")
            before = datetime.now(UTC) - NOT_STUCK
            assert len(await missed(client, each_minute, before)) > 60
            nights = [run.expected_start_time for run in await missed(client, each_night, before)]
            assert len(nights) == 2

            assert await forget_missed_runs() > 60

            assert await missed(client, each_minute, before) == []
            for _ in range(2):
                (night,) = await missed(client, each_night, before)
                assert night.expected_start_time == max(one for one in nights if one)
                await forget_missed_runs()
        finally:
            await client.delete_work_pool(pool)
