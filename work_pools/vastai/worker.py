"""The worker type `vastai`: OCR sessions on hosts rented from the Vast.ai marketplace.

`run()` writes the intent, rents, and returns; an observer looks after every host of the
house, those of an earlier worker too, so that a worker may be stopped or killed at any
point without losing sight of a host:

    nothing to read, paused, no budget      the run ends as `Not rented`, having cost nothing
    host boots                              the run is `InfrastructurePending`, then named for
                                            what the host does (Loading, Starting)
    run cancelled                           its session is closed, its host destroyed
    host lost, stopped, silent, too dear    destroyed; the run is marked Crashed, with the reason
    run over, host still there              destroyed at once
    worker died between intent and order    Crashed: nothing was rented

No run is ever scheduled again: when pages still wait the dispatcher wants a new session,
which avoids the machine that failed. What the fleet guarantees is said in `fleet`.
"""

import asyncio
import contextlib
import logging
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import UUID

import anyio.abc
import httpx
import psycopg
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import StateType
from prefect.exceptions import Abort, InfrastructureNotFound, PrefectException
from prefect.states import Cancelled, Completed, Crashed, Pending
from prefect.utilities.engine import propose_state
from prefect.workers.base import BaseWorker, BaseWorkerResult

from blocks.database import Database
from blocks.gateway import Gateway
from blocks.loading import load
from blocks.object_storage import ObjectStorage
from blocks.reading import Reading
from blocks.spending import Spending
from blocks.vast_account import VastAccount, is_private
from blocks.wakeups import session_lost
from schema.failures import AseagiError, Misconfigured
from sql.hosts import Host, count_open_hosts, find_host_by_label
from sql.sessions import NotBegun, close_session, find_session, session_end
from work_pools.host_environment import HostOrder, HostTerms, host_environment
from work_pools.vastai.connecting import marketplace
from work_pools.vastai.fleet import Fleet
from work_pools.vastai.knobs import VastJobConfiguration, VastVariables
from work_pools.vastai.ledger import settle_charges
from work_pools.vastai.ordering import NotRented, Orders, Rented

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun, State

OBSERVE_SECONDS = 3.0
"""A turn of the observer: the marketplace allows one list a second."""
LOOK_FOR_STRAYS_SECONDS = 60.0
ABANDONED_AFTER = timedelta(minutes=6)
"""A run that is pending without a host for so long has lost its worker."""
UNREPORTED_AFTER = timedelta(seconds=60)
"""A run whose session closed so long ago cannot report its end any more."""

log = logging.getLogger("aseagi.vastai_worker")


class VastWorkerResult(BaseWorkerResult):
    """The label of the host that was ordered, or `none`."""


class VastWorker(BaseWorker[VastJobConfiguration, VastVariables, VastWorkerResult]):
    """Runs OCR sessions on GPU hosts rented by the second."""

    type = "vastai"
    job_configuration = VastJobConfiguration
    job_configuration_variables = VastVariables
    _display_name = "Vast.ai"
    _description = "OCR sessions on GPU hosts rented from Vast.ai, destroyed when idle."

    _observing: asyncio.Task[None] | None = None

    async def setup(self) -> None:
        """Connect, and begin to look after the hosts of this house."""
        await super().setup()
        self._told: dict[UUID, str] = {}
        self._observing = asyncio.create_task(self._observe_forever())

    async def teardown(self, *exc_info: object) -> None:
        """Stop looking; hosts live on, and end by themselves or by the next to look."""
        if self._observing is not None:
            self._observing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._observing
        await super().teardown(*exc_info)

    async def run(
        self,
        flow_run: "FlowRun",
        configuration: VastJobConfiguration,
        task_status: "anyio.abc.TaskStatus[Any] | None" = None,
    ) -> VastWorkerResult:
        """Rent a host for the session, unless there is nothing to read or no money for it."""
        account, spending, reading = (
            await load(VastAccount),
            await load(Spending),
            await load(Reading),
        )
        lifetime = timedelta(minutes=reading.session_minutes)
        database = await load(Database)
        order = await self._intend(flow_run, account, lifetime)
        if isinstance(order, NotBegun):
            if task_status is not None:
                task_status.started("none")
            await self._not_rented(flow_run, order.reason)
            return VastWorkerResult(identifier="none", status_code=0)
        label = order.begun.label
        if task_status is not None:
            task_status.started(label)
        async with marketplace(account) as market:
            outcome = await Orders(database, market).rent(
                order.begun.host_id,
                environment=order.environment,
                requirements=configuration.requirements(spending, lifetime),
                image=configuration.to_order(),
            )
        if isinstance(outcome, NotRented):
            async with database.connect() as db:
                await close_session(db, order.begun.session_id, reason=outcome.reason)
            await self._not_rented(flow_run, outcome.reason)
        elif isinstance(outcome, Rented):
            await self._tell(flow_run, "InfrastructurePending", f"{outcome.offer.reason}.")
        else:
            await self._tell(flow_run, "Unsure", f"{outcome.reason}; looking for it on the list.")
        return VastWorkerResult(identifier=label, status_code=0)

    async def kill_infrastructure(
        self,
        infrastructure_pid: str,
        configuration: VastJobConfiguration,  # noqa: ARG002 - nothing in it is needed to end a host
        grace_seconds: int = 30,  # noqa: ARG002 - a session needs none: its leases run out
    ) -> None:
        """Close the host's session and have the host destroyed; the observer confirms it."""
        database = await load(Database)
        async with database.connect() as db:
            host = await find_host_by_label(db, infrastructure_pid)
            if host is None or host.state == "ended":
                raise InfrastructureNotFound(f"There is no host {infrastructure_pid!r} any more.")
            if host.session_id is not None:
                await close_session(db, host.session_id, reason="cancelled")

    async def _intend(
        self, flow_run: "FlowRun", account: VastAccount, lifetime: timedelta
    ) -> HostOrder | NotBegun:
        database, gateway = await load(Database), await load(Gateway)
        reading, spending = await load(Reading), await load(Spending)
        if not account.is_rehearsal:
            check_reachable_from_afar(gateway, await load(ObjectStorage))
        wanted = flow_run.parameters.get("session_id")
        async with database.connect() as db:
            return await host_environment(
                db,
                flow_run_id=flow_run.id,
                run_count=flow_run.run_count,
                session_id=UUID(str(wanted)) if wanted else None,
                gateway=gateway,
                terms=HostTerms(
                    provider="vastai",
                    lifetime=lifetime,
                    dollars_per_hour=Decimal(str(spending.max_dollars_per_hour)),
                    budget_dollars=Decimal(str(spending.monthly_budget_dollars)),
                    max_hosts=reading.max_hosts,
                    max_dollars=Decimal(str(spending.max_dollars_per_host)),
                    marketplace_url=account.url,
                    rehearsal=account.is_rehearsal,
                ),
            )

    async def _not_rented(self, flow_run: "FlowRun", reason: str) -> None:
        state = Completed(name="Not rented", message=f"No host was rented: {reason}.")
        with contextlib.suppress(Abort):  # it was ended meanwhile
            await propose_state(self.client, state, flow_run_id=flow_run.id)

    async def _tell(self, flow_run: "FlowRun", name: str, message: str) -> None:
        """Show progress on the run's page while it is pending, once for each `name`.

        Prefect takes a pending state after another only under another name, and none at
        all once the run has begun: then there is nothing to tell any more.
        """
        if self._told.get(flow_run.id) == name:
            return
        self._told[flow_run.id] = name
        state = Pending(name=name, message=message)
        with contextlib.suppress(Abort):
            await propose_state(self.client, state, flow_run_id=flow_run.id)

    async def _observe_forever(self) -> None:
        looked = 0.0
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(OBSERVE_SECONDS)
            try:
                strays_too = clock() - looked > LOOK_FOR_STRAYS_SECONDS
                if await self._observe(strays_too=strays_too) and strays_too:
                    looked = clock()
            except (AseagiError, PrefectException, httpx.HTTPError, psycopg.Error) as error:
                # Blind for now: nothing is concluded from what cannot be seen.
                log.warning("cannot look after hosts: %s", error)

    async def _observe(self, *, strays_too: bool) -> bool:
        """One turn; False when there was nothing to look at."""
        runs = await self._open_runs()
        database = await load(Database)
        for run in runs:
            await self._follow(database, run)
        async with database.connect() as db:
            busy = await count_open_hosts(db) > 0
        if not (busy or strays_too):
            return False
        account = await load(VastAccount)
        async with marketplace(account) as market:
            fleet = Fleet(database, market, rehearsal=account.is_rehearsal)
            turn = await fleet.look_after()
            if turn.gone:
                await settle_charges(database, market)
        for label in turn.unconfirmed:
            log.error("host %s is still listed after many destroys: look at the account", label)
        hosts = {host.flow_run_id: host for host in turn.hosts}
        for run in runs:
            host = hosts.get(run.id)
            if host is not None and run.state is not None and run.state.is_pending():
                await self._show_boot(run, host)
        return True

    async def _open_runs(self) -> list["FlowRun"]:
        return await self.client.read_flow_runs(
            work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[self._work_pool_name])),
            flow_run_filter=FlowRunFilter(
                state=FlowRunFilterState(
                    type=FlowRunFilterStateType(
                        any_=[StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]
                    )
                )
            ),
        )

    async def _follow(self, database: Database, run: "FlowRun") -> None:
        """Make run and session agree: each ends when the other has."""
        state = run.state
        if state is None or run.id in self._submitting_flow_run_ids:
            return
        async with database.connect() as db:
            session_id = await find_session(db, run.id)
            end = await session_end(db, session_id) if session_id is not None else None
        if state.is_cancelling():
            await self._end(database, run, session_id, Cancelled(message="Cancelled."))
        elif end is not None:
            if end.failed:
                await self._end(database, run, session_id, Crashed(message=f"{end.reason}."))
            elif end.ago > UNREPORTED_AFTER:
                message = f"Its session closed ({end.reason}), and its host did not report its end."
                await self._end(database, run, session_id, Crashed(message=message))
        elif (
            state.is_pending()
            and not run.infrastructure_pid
            and datetime.now(UTC) - state.timestamp > ABANDONED_AFTER
        ):
            message = "The worker died before it rented a host."
            await self._end(database, run, session_id, Crashed(message=message))

    async def _end(
        self, database: Database, run: "FlowRun", session_id: UUID | None, state: "State"
    ) -> None:
        """End the run, unless it reported its own end meanwhile; close its session."""
        if session_id is not None:
            async with database.connect() as db:
                await close_session(db, session_id, reason=state.message or state.name or "ended")
        current = (await self.client.read_flow_run(run.id)).state
        if current is None or not current.is_final():
            await self.client.set_flow_run_state(run.id, state, force=True)
        if session_id is not None:
            session_lost(session_id)

    async def _show_boot(self, run: "FlowRun", host: Host) -> None:
        if host.state == "booting":
            status = (host.status or "ordered").partition(":")[0]
            await self._tell(
                run, status.capitalize(), f"Instance {host.instance_id} on {host.gpu_name}."
            )
        elif host.state == "running":
            await self._tell(
                run, "Starting", f"Instance {host.instance_id} runs; its session begins."
            )


def check_reachable_from_afar(gateway: Gateway, storage: ObjectStorage) -> None:
    """Raise `Misconfigured` for addresses that a rented host could not call home to.

    A host that cannot reach the gateway costs its boot and reads nothing.
    """
    endpoint = storage.credentials.aws_client_parameters.endpoint_url
    addresses = {"gateway": gateway.url} | ({"object storage": endpoint} if endpoint else {})
    for name, url in addresses.items():
        if urlsplit(url).scheme != "https" or is_private(url):
            raise Misconfigured(
                f"A rented host cannot reach the {name} at {url}: it must be a public https "
                "address. Nothing was rented."
            )
