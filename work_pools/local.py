"""The worker type `local`: OCR sessions on a machine of one's own.

For a person with a GPU machine, and for every embedded stack. A session gets exactly
what a rented host gets: a token for its attempt and an environment by allow-list.

`run()` starts the process and returns; an observer then watches all processes of this
machine, those of an earlier worker too, so that a worker may be stopped or killed
without harm to the sessions it started:

    process gone, run not at its end     the run is marked Crashed, its session closed
    run cancelled in the UI              the process tree is killed, the run Cancelled
    session closed, process goes on      the process tree is killed after a minute
    run pending, no process, a minute    the worker that took it died: Crashed

Nothing is rescheduled: the dispatcher, which is woken, wants a new session when pages
still wait.
"""

import asyncio
import contextlib
import logging
import platform
import subprocess
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import anyio.abc
import httpx
import psutil
import psycopg
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import StateType
from prefect.exceptions import (
    InfrastructureNotAvailable,
    InfrastructureNotFound,
    PrefectException,
)
from prefect.states import Cancelled, Completed, Crashed
from prefect.utilities.engine import propose_state
from prefect.workers.base import (
    BaseJobConfiguration,
    BaseVariables,
    BaseWorker,
    BaseWorkerResult,
)

from blocks.database import Database
from blocks.gateway import Gateway
from blocks.loading import load
from blocks.reading import Reading
from blocks.spending import Spending
from blocks.wakeups import session_lost
from schema.failures import AseagiError
from sql.sessions import (
    NotBegun,
    close_session,
    find_session,
    host_is_running,
    overstaying_hosts,
)
from work_pools.host_environment import (
    HostOrder,
    HostTerms,
    host_environment,
    inherited_environment,
)
from work_pools.local_process import LocalProcess, start_process

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun, State

OBSERVE_SECONDS = 2.0
ABANDONED_AFTER = timedelta(seconds=60)

log = logging.getLogger("aseagi.local_worker")


class LocalVariables(BaseVariables):
    """What a person may set on the pool. Sessions are configured by blocks, so: nothing more."""


class LocalWorkerResult(BaseWorkerResult):
    """The process that was started, or none."""


class LocalWorker(BaseWorker[BaseJobConfiguration, LocalVariables, LocalWorkerResult]):
    """Runs OCR sessions as processes of this machine."""

    type = "local"
    job_configuration = BaseJobConfiguration
    job_configuration_variables = LocalVariables
    _display_name = "ASEAGI local"
    _description = "OCR sessions on a machine of your own, with the token a rented host would get."

    _observing: asyncio.Task[None] | None = None

    async def setup(self) -> None:
        """Connect, and begin to watch the processes on this machine."""
        await super().setup()
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        self._observing = asyncio.create_task(self._observe_forever())

    async def teardown(self, *exc_info: object) -> None:
        """Stop watching; sessions go on and are watched by the next worker."""
        if self._observing is not None:
            self._observing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._observing
        await super().teardown(*exc_info)

    async def run(
        self,
        flow_run: "FlowRun",
        configuration: BaseJobConfiguration,  # noqa: ARG002 - the environment is built, not inherited
        task_status: "anyio.abc.TaskStatus[Any] | None" = None,
    ) -> LocalWorkerResult:
        """Start the session's process, unless there is nothing to read."""
        order = await self._order_host(flow_run)
        if isinstance(order, NotBegun):
            if task_status is not None:
                task_status.started("none")
            message = f"No host was started: {order.reason}."
            await propose_state(self.client, Completed(message=message), flow_run_id=flow_run.id)
            return LocalWorkerResult(identifier="none", status_code=0)
        environment = inherited_environment() | order.environment
        process, popen = await asyncio.to_thread(start_process, environment, None)
        self._children[process.pid] = popen
        if task_status is not None:
            task_status.started(str(process))
        await self._record_start(order, process)
        return LocalWorkerResult(identifier=str(process), status_code=0)

    async def kill_infrastructure(
        self,
        infrastructure_pid: str,
        configuration: BaseJobConfiguration,  # noqa: ARG002 - nothing in it is needed to kill
        grace_seconds: int = 30,  # noqa: ARG002 - a session needs none: its leases run out
    ) -> None:
        """Kill the process tree of a run."""
        process = LocalProcess.parse(infrastructure_pid)
        if process is None:
            raise InfrastructureNotFound(f"{infrastructure_pid!r} is not a process of ours.")
        if not process.is_here:
            raise InfrastructureNotAvailable(f"The process runs on {process.machine}.")
        if not await asyncio.to_thread(process.kill):
            raise InfrastructureNotFound(f"Process {process.pid} is gone.")

    async def _order_host(self, flow_run: "FlowRun") -> HostOrder | NotBegun:
        database, gateway = await load(Database), await load(Gateway)
        reading, spending = await load(Reading), await load(Spending)
        wanted = flow_run.parameters.get("session_id")
        async with database.connect() as db:
            return await host_environment(
                db,
                flow_run_id=flow_run.id,
                run_count=flow_run.run_count,
                session_id=UUID(str(wanted)) if wanted else None,
                gateway=gateway,
                terms=HostTerms(
                    provider="local",
                    lifetime=timedelta(minutes=reading.session_minutes),
                    dollars_per_hour=Decimal(str(spending.own_machine_dollars_per_hour)),
                    budget_dollars=Decimal(str(spending.monthly_budget_dollars)),
                    max_hosts=reading.max_hosts,
                ),
            )

    async def _record_start(self, order: HostOrder, process: LocalProcess) -> None:
        database = await load(Database)
        async with database.connect() as db:
            await host_is_running(
                db, order.begun.host_id, instance_id=str(process), machine=process.machine
            )

    async def _observe_forever(self) -> None:
        while True:
            await asyncio.sleep(OBSERVE_SECONDS)
            try:
                await self._observe()
            except (
                AseagiError,
                PrefectException,
                httpx.HTTPError,
                psycopg.Error,
                psutil.Error,
            ) as error:
                # Blind for now: nothing is concluded from what cannot be seen.
                log.warning("cannot look after sessions: %s", error)

    async def _observe(self) -> None:
        for pid, popen in list(self._children.items()):
            if popen.poll() is not None:
                del self._children[pid]
        runs = await self.client.read_flow_runs(
            work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[self._work_pool_name])),
            flow_run_filter=FlowRunFilter(
                state=FlowRunFilterState(
                    type=FlowRunFilterStateType(
                        any_=[StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]
                    )
                )
            ),
        )
        for run in runs:
            if run.id not in self._submitting_flow_run_ids:
                await self._look_after(run)
        await self._kill_overstaying_hosts()

    async def _kill_overstaying_hosts(self) -> None:
        """End processes that live on after their session was closed."""
        database = await load(Database)
        async with database.connect() as db:
            hosts = await overstaying_hosts(db, machine=platform.node())
        for instance_id, reason in hosts:
            process = LocalProcess.parse(instance_id)
            if process is not None and await asyncio.to_thread(process.kill):
                log.warning("killed process %s, whose session closed: %s", process.pid, reason)

    async def _look_after(self, run: "FlowRun") -> None:
        state = run.state
        process = LocalProcess.parse(run.infrastructure_pid or "")
        if state is None or (process is not None and not process.is_here):
            return
        if process is None:
            if datetime.now(UTC) - state.timestamp <= ABANDONED_AFTER:
                return
            if state.is_pending():
                await self._end(run, Crashed(message="The worker died before it started a host."))
            elif state.is_cancelling():
                await self._end(run, Cancelled(message="Cancelled before a host was started."))
            return
        alive = process.find() is not None
        if state.is_cancelling():
            await asyncio.to_thread(process.kill)
            await self._end(run, Cancelled(message="Cancelled; its process was killed."))
        elif not alive and not (await self._is_final(run.id)):
            machine = platform.node()
            await self._end(run, Crashed(message=f"Its process on {machine} ended unexpectedly."))

    async def _is_final(self, flow_run_id: UUID) -> bool:
        """Look again: the process may have reported its end after the runs were listed."""
        state = (await self.client.read_flow_run(flow_run_id)).state
        return state is not None and state.is_final()

    async def _end(self, run: "FlowRun", state: "State") -> None:
        await self.client.set_flow_run_state(run.id, state, force=True)
        database = await load(Database)
        async with database.connect() as db:
            session_id = await find_session(db, run.id)
            if session_id is not None:
                await close_session(
                    db,
                    session_id,
                    reason=state.message or state.name or "ended",
                    failed=not state.is_cancelled(),
                )
        if session_id is not None:
            session_lost(session_id)
