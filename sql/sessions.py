"""OCR sessions: when one is wanted, who may speak for it, and when it is over.

A session is one `ocr` flow run:

    wanted   --begin_attempt-->   running   the worker is about to start a host
    wanted   --close_session-->   closed    nothing to read, paused, or its run ended
    running  --close_if_idle-->   closed    the host asked, and nothing waits
    running  --close_session-->   closed    its run ended some other way: leases return

Decisions about sessions (want one, close one, begin one) lock the `controls` row
first. That is why a page committed while a session closes is never forgotten: either
the close sees the page and answers "more work", or the dispatcher, which runs after
every commit of pages, sees the session closed and wants another.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from math import ceil
from uuid import UUID, uuid4

from psycopg.rows import class_row

from schema.lanes import Lane
from sql.connection import Connection, only_row
from sql.controls import lock_controls
from sql.leases import release_leases

FINAL_REPORTS = timedelta(seconds=60)
"""How long a token still serves for logs and the final state after its session closed."""


@dataclass(frozen=True, slots=True)
class Session:
    """A session that is not closed."""

    id: UUID
    flow_run_id: UUID | None
    lane: Lane
    state: str
    created_at: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "lane", Lane(self.lane))


async def open_sessions(db: Connection) -> list[Session]:
    """Sessions that are wanted or running, oldest first."""
    async with db.cursor(row_factory=class_row(Session)) as cursor:
        await cursor.execute(
            """
            select id, flow_run_id, lane, state, created_at from aseagi.ocr_sessions
            where state <> 'closed' order by created_at
            """
        )
        return await cursor.fetchall()


async def want_sessions(
    db: Connection,
    *,
    lanes: Sequence[Lane],
    max_hosts: int,
    pages_per_session: int,
    budget_dollars: Decimal,
) -> int:
    """Insert the sessions that waiting pages call for beyond those open; return how many.

    One per `pages_per_session` waiting pages of `lanes`, at most `max_hosts` open at
    a time, none while spending is paused or the month's budget is used up.
    """
    if (await lock_controls(db)).paused or await _committed_dollars(db) > budget_dollars:
        return 0
    cursor = await db.execute(
        """
        select count(*), min(lane) from aseagi.pages
        where state = 'waiting' and lane = any(%s::aseagi.lane[])
        """,
        (list(lanes),),
    )
    row = await only_row(cursor)
    waiting, lane = row
    cursor = await db.execute("select count(*) from aseagi.ocr_sessions where state <> 'closed'")
    row = await only_row(cursor)
    missing = min(max_hosts, ceil(waiting / pages_per_session)) - row[0]
    for _ in range(missing):
        await db.execute(
            "insert into aseagi.ocr_sessions (lane, origin) values (%s, 'dispatcher')", (lane,)
        )
    return max(missing, 0)


async def _committed_dollars(db: Connection) -> Decimal:
    """What this month has cost beyond the fixed costs, plus what open hosts may still cost."""
    cursor = await db.execute(
        """
        select (select coalesce(sum(dollars), 0) from aseagi.charges
                where kind not in ('fixed', 'storage')
                    and incurred_on >= date_trunc('month', now() at time zone 'utc'))
            + (select coalesce(sum(reserved_dollars), 0) from aseagi.gpu_hosts
                where state <> 'ended')
        """
    )
    return (await only_row(cursor))[0]


async def bind_run(db: Connection, session_id: UUID, flow_run_id: UUID) -> None:
    """Remember which flow run the session is; binding the same one again changes nothing."""
    await db.execute(
        "update aseagi.ocr_sessions set flow_run_id = %s where id = %s and flow_run_id is null",
        (flow_run_id, session_id),
    )


async def adopt_run(db: Connection, flow_run_id: UUID, session_id: UUID | None) -> UUID:
    """The session of a flow run; one started by hand gets a session of its own."""
    if session_id is not None:
        await bind_run(db, session_id, flow_run_id)
    cursor = await db.execute(
        "select id from aseagi.ocr_sessions where flow_run_id = %s", (flow_run_id,)
    )
    row = await cursor.fetchone()
    if row is not None:
        return row[0]
    cursor = await db.execute(
        """
        insert into aseagi.ocr_sessions (flow_run_id, lane, origin) values (%s, %s, 'hand')
        returning id
        """,
        (flow_run_id, Lane.BULK),
    )
    row = await only_row(cursor)
    return row[0]


@dataclass(frozen=True, slots=True)
class NewAttempt:
    """What the worker decided about the host it is about to start."""

    flow_run_id: UUID
    run_count: int
    token_hash: bytes
    lifetime: timedelta
    provider: str
    label: str
    dollars_per_hour: Decimal
    reserved_dollars: Decimal
    budget_dollars: Decimal
    max_hosts: int


@dataclass(frozen=True, slots=True)
class Begun:
    """A session that may start a host now."""

    session_id: UUID
    attempt_id: UUID
    host_id: UUID
    deadline_at: datetime


@dataclass(frozen=True, slots=True)
class NotBegun:
    """Why no host is to be started; the session is closed."""

    session_id: UUID
    reason: str


async def begin_attempt(
    db: Connection, new: NewAttempt, *, session_id: UUID | None
) -> Begun | NotBegun:
    """Open the way for one host, or say why there shall be none.

    Token, reservation and host row are written in the caller's transaction, before
    anything is started or rented. Earlier attempts of the session lose their tokens
    and leases here.
    """
    controls = await lock_controls(db)
    session = await adopt_run(db, new.flow_run_id, session_id)
    cursor = await db.execute(
        """
        select state, flow_run_id = %(run)s,
            exists (select 1 from aseagi.pages where state = 'waiting')
                or exists (select 1 from aseagi.leases
                    where session_id = %(session)s and state = 'open'),
            (select count(*) from aseagi.ocr_sessions
                where state = 'running' and id <> %(session)s)
        from aseagi.ocr_sessions where id = %(session)s for update
        """,
        {"run": new.flow_run_id, "session": session},
    )
    state, is_own, work_waits, others = await only_row(cursor)
    refusal = None
    if state == "closed":
        refusal = "the session is closed"
    elif not is_own:
        return NotBegun(session, "the session belongs to another run")
    elif controls.paused:
        refusal = f"spending is paused: {controls.paused_reason}"
    elif not work_waits:
        refusal = "nothing to read"
    elif others >= new.max_hosts:
        refusal = f"{others} sessions run already, and no more are allowed"
    elif await _committed_dollars(db) + new.reserved_dollars > new.budget_dollars:
        refusal = f"the month's budget of ${new.budget_dollars} does not allow it"
    if refusal is not None:
        await close_session(db, session, reason=refusal)
        return NotBegun(session, refusal)
    await _end_attempts(db, session, reason="replaced by a new attempt")
    attempt_id, host_id = uuid4(), uuid4()
    await db.execute(
        """
        insert into aseagi.session_attempts
            (id, session_id, flow_run_id, run_count, token_hash, expires_at)
        values (%s, %s, %s, %s, %s, now() + %s)
        """,
        (attempt_id, session, new.flow_run_id, new.run_count, new.token_hash, new.lifetime),
    )
    await db.execute(
        """
        insert into aseagi.gpu_hosts
            (id, session_id, attempt_id, provider, label, dollars_per_hour, reserved_dollars)
        values (%s, %s, %s, %s, %s, %s, %s)
        """,
        (
            host_id,
            session,
            attempt_id,
            new.provider,
            new.label,
            new.dollars_per_hour,
            new.reserved_dollars,
        ),
    )
    cursor = await db.execute(
        """
        update aseagi.ocr_sessions
        set state = 'running', started_at = coalesce(started_at, now()), last_seen_at = now(),
            deadline_at = now() + %s
        where id = %s returning deadline_at
        """,
        (new.lifetime, session),
    )
    row = await only_row(cursor)
    return Begun(session, attempt_id, host_id, row[0])


@dataclass(frozen=True, slots=True)
class Attempt:
    """Whom a token belongs to."""

    id: UUID
    session_id: UUID
    flow_run_id: UUID
    closed: bool
    paused: bool
    deadline_at: datetime


async def find_attempt(db: Connection, token_hash: bytes) -> Attempt | None:
    """The attempt of a token that is valid now; None for one unknown, expired or revoked.

    After its session closed a token lives on for `FINAL_REPORTS`, marked `closed`.
    """
    async with db.cursor(row_factory=class_row(Attempt)) as cursor:
        await cursor.execute(
            """
            select attempt.id, attempt.session_id, attempt.flow_run_id,
                session.state = 'closed' as closed, session.deadline_at,
                (select paused_at is not null from aseagi.controls) as paused
            from aseagi.session_attempts attempt
            join aseagi.ocr_sessions session on session.id = attempt.session_id
            where attempt.token_hash = %s and attempt.revoked_at is null
                and attempt.expires_at > now()
                and (session.state = 'running' or session.closed_at > now() - %s::interval)
            """,
            (token_hash, FINAL_REPORTS),
        )
        return await cursor.fetchone()


async def mark_seen(db: Connection, session_id: UUID, *, engine: str | None = None) -> None:
    """The host of the session has just called."""
    await db.execute(
        """
        update aseagi.ocr_sessions set last_seen_at = now(), engine = coalesce(%s, engine)
        where id = %s
        """,
        (engine or None, session_id),
    )


async def close_if_idle(db: Connection, session_id: UUID, *, reason: str, must_close: bool) -> bool:
    """Close the session unless pages wait; `must_close` closes it all the same (deadline, pause).

    The host holds nothing any more when it asks, so what it still had leased waits again.
    """
    await lock_controls(db)
    await _lock_session(db, session_id)
    await release_leases(db, session_id=session_id)
    cursor = await db.execute("select exists (select 1 from aseagi.pages where state = 'waiting')")
    row = await only_row(cursor)
    if row[0] and not must_close:
        return False
    await close_session(db, session_id, reason=reason)
    return True


async def close_session(db: Connection, session_id: UUID, *, reason: str) -> None:
    """End a session however far it got: leases return, its host's meter is read; idempotent.

    Its tokens stay valid for `FINAL_REPORTS`, for logs and the final state alone.
    """
    await _lock_session(db, session_id)
    await release_leases(db, session_id=session_id)
    await db.execute(
        """
        update aseagi.ocr_sessions set state = 'closed', closed_at = now(), close_reason = %s
        where id = %s and state <> 'closed'
        """,
        (reason, session_id),
    )
    await _end_hosts(db, session_id, reason=reason)


async def _lock_session(db: Connection, session_id: UUID) -> None:
    """No page is lent to the session from here to the end of the transaction."""
    await db.execute("select 1 from aseagi.ocr_sessions where id = %s for update", (session_id,))


async def _end_attempts(db: Connection, session_id: UUID, *, reason: str) -> None:
    await release_leases(db, session_id=session_id)
    await db.execute(
        """
        update aseagi.session_attempts set revoked_at = now()
        where session_id = %s and revoked_at is null
        """,
        (session_id,),
    )
    await _end_hosts(db, session_id, reason=reason)


async def _end_hosts(db: Connection, session_id: UUID, *, reason: str) -> None:
    """A local host ends with its session, and costs what its time costs.

    A rented host ends when a successful listing says so; that is the fleet's to record.
    """
    await db.execute(
        """
        with ended as (
            update aseagi.gpu_hosts
            set state = 'ended', ended_at = now(), end_reason = %s
            where session_id = %s and provider = 'local' and state <> 'ended'
            returning id, session_id, dollars_per_hour,
                extract(epoch from now() - created_at)::numeric as seconds
        )
        insert into aseagi.charges
            (key, kind, dollars, quantity, unit, what, incurred_on, session_id, host_id)
        select 'host:' || id || ':gpu', 'gpu', round(dollars_per_hour * seconds / 3600, 6),
            seconds, 'second', 'own machine', (now() at time zone 'utc')::date, session_id, id
        from ended
        on conflict (key) do nothing
        """,
        (reason, session_id),
    )


async def host_is_running(db: Connection, host_id: UUID, *, instance_id: str, machine: str) -> None:
    """The host has started; `instance_id` finds it again."""
    await db.execute(
        """
        update aseagi.gpu_hosts set state = 'running', running_at = now(), instance_id = %s,
            machine = %s
        where id = %s and state = 'intended'
        """,
        (instance_id, machine, host_id),
    )


async def find_session(db: Connection, flow_run_id: UUID) -> UUID | None:
    """The session that a flow run is, if it is one."""
    cursor = await db.execute(
        "select id from aseagi.ocr_sessions where flow_run_id = %s", (flow_run_id,)
    )
    row = await cursor.fetchone()
    return row[0] if row else None
