"""Start a drain whose wake-up was lost."""

from uuid import UUID

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.exceptions import ObjectNotFound

from blocks.loading import prefect_unreachable
from schema.failures import Misconfigured

UNFINISHED = [StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING]


async def start_unless_under_way(deployment_name: str) -> UUID | None:
    """Create a run of the deployment; None when one is waiting or running already.

    Two callers may both create one: the second drain finds its name held and ends.
    """
    try:
        async with get_client() as client:
            deployment = await client.read_deployment_by_name(deployment_name)
            under_way = await client.read_flow_runs(
                deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment.id])),
                flow_run_filter=FlowRunFilter(
                    state=FlowRunFilterState(type=FlowRunFilterStateType(any_=UNFINISHED))
                ),
                limit=1,
            )
            if under_way:
                return None
            run = await client.create_flow_run_from_deployment(deployment.id, tags=["sweep"])
            return run.id
    except ObjectNotFound as error:
        raise Misconfigured(
            f"The deployment {deployment_name!r} does not exist. Run `aseagi deploy`."
        ) from error
    except httpx.TransportError as error:
        raise prefect_unreachable() from error
