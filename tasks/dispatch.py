"""The dispatcher: turns waiting pages into sessions. Nothing else starts any.

Runs after every commit of pages and once a minute. Killed anywhere, it leaves at
worst a session without a flow run, which the next one starts: the run is created
with the session's id as idempotency key, so starting it twice starts it once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import httpx
from prefect.client.orchestration import PrefectClient, get_client
from prefect.exceptions import ObjectNotFound

from blocks.database import Database
from blocks.loading import prefect_unreachable
from blocks.reading import Reading
from blocks.spending import Spending
from schema.failures import Misconfigured
from schema.lanes import DAYTIME, Lane
from sql.leases import release_leases
from sql.sessions import (
    Session,
    bind_run,
    close_overdue_sessions,
    close_session,
    open_sessions,
    want_sessions,
)


@dataclass(frozen=True, slots=True)
class Dispatched:
    """What one turn of the dispatcher did."""

    sessions_started: int
    leases_expired: int


async def dispatch(
    database: Database,
    reading: Reading,
    spending: Spending,
    *,
    lanes: Sequence[Lane] = DAYTIME,
) -> Dispatched:
    """Start the sessions that waiting pages call for. Asks Prefect nothing when there is none.

    Raises `RetryLater` when Prefect or Postgres is away, `Misconfigured` when the
    deployment that sessions run as does not exist.
    """
    async with database.connect() as db:
        expired = await release_leases(db)
    async with database.connect() as db:
        await want_sessions(
            db,
            lanes=lanes,
            max_hosts=reading.max_hosts,
            pages_per_session=reading.pages_per_session,
            session_dollars=_worst_case_dollars(reading, spending),
            budget_dollars=Decimal(str(spending.monthly_budget_dollars)),
        )
    async with database.connect() as db:
        wanted = [one for one in await open_sessions(db) if one.flow_run_id is None]
    if wanted:
        try:
            async with get_client() as client:
                await _start_sessions(database, client, reading, wanted)
        except httpx.TransportError as error:
            raise prefect_unreachable() from error
    return Dispatched(sessions_started=len(wanted), leases_expired=expired)


def _worst_case_dollars(reading: Reading, spending: Spending) -> Decimal:
    """What one session may cost at most, which is reserved for it before it begins."""
    if reading.rents:
        return Decimal(str(spending.max_dollars_per_host))
    hours = Decimal(reading.session_minutes) / 60
    return Decimal(str(spending.own_machine_dollars_per_hour)) * hours


async def close_lost_sessions(database: Database) -> int:
    """Close sessions that are overdue, or whose flow run is over; return how many.

    Call `dispatch` afterwards: their pages wait again.
    """
    async with database.connect() as db:
        lost = len(await close_overdue_sessions(db))
    async with database.connect() as db:
        sessions = await open_sessions(db)
    try:
        async with get_client() as client:
            for session in sessions:
                end = await _end_of_run(client, session)
                if end is not None:
                    async with database.connect() as db:
                        await close_session(db, session.id, reason=end.reason, failed=end.failed)
                    lost += 1
    except httpx.TransportError as error:
        raise prefect_unreachable() from error
    return lost


@dataclass(frozen=True, slots=True)
class _End:
    """How a run ended, and whether that was nobody's wish."""

    reason: str
    failed: bool


async def _end_of_run(client: PrefectClient, session: Session) -> _End | None:
    if session.flow_run_id is None:
        return None
    try:
        run = await client.read_flow_run(session.flow_run_id)
    except ObjectNotFound:
        return _End("its flow run was deleted", failed=False)
    if run.state is None or not run.state.is_final():
        return None
    failed = run.state.is_crashed() or run.state.is_failed()
    return _End(f"its flow run ended as {run.state.name}", failed=failed)


async def _start_sessions(
    database: Database, client: PrefectClient, reading: Reading, wanted: Sequence[Session]
) -> None:
    try:
        deployment = await client.read_deployment_by_name(reading.deployment)
    except ObjectNotFound as error:
        raise Misconfigured(
            f"The deployment {reading.deployment!r} does not exist. Run `aseagi deploy`, or "
            "correct `deployment` in the block aseagi-reading/aseagi."
        ) from error
    for session in wanted:
        run = await client.create_flow_run_from_deployment(
            deployment.id,
            name=f"session {session.id.hex[:8]}",
            parameters={
                "session_id": str(session.id),
                "engine": reading.engine,
                "pages_per_lease": reading.pages_per_lease,
                "idle_seconds": reading.idle_seconds,
            },
            idempotency_key=str(session.id),
            tags=["session", session.lane.value],
        )
        async with database.connect() as db:
            await bind_run(db, session.id, run.id)
