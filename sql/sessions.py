"""OCR sessions: when one is wanted, who may speak for it, and when it is over.

A session is one `ocr` flow run:

    wanted   --begin_attempt-->   running   the worker is about to start a host
    wanted   --close_session-->   closed    nothing to read, paused, or its run ended
    running  --close_if_idle-->   closed    the host asked, and nothing waits
    running  --close_session-->   closed    its run ended some other way: leases return
    running  --close_overdue_sessions--> closed   past its deadline, or silent for long

The breaker: a session whose host ended by no wish of ours with not one page accepted
is `barren`. After `BARREN_IN_A_ROW` of them spending is paused until a person looks.
A session for which no host could be rented costs nothing and pauses nothing, but the
next one waits: half a minute, then twice as long each time, up to `LONGEST_HOLD_OFF`.

Decisions about sessions (want one, close one, begin one) lock the `controls` row
first. That is why a page committed while a session closes is never forgotten: either
the close sees the page and answers "more work", or the dispatcher, which runs after
every commit of pages, sees the session closed and wants another.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import takewhile
from math import ceil
from uuid import UUID, uuid4

from psycopg.rows import class_row

from schema.lanes import Lane
from sql.charges import committed_dollars
from sql.connection import Connection, only_row
from sql.controls import lock_controls, pause
from sql.leases import release_leases

FINAL_REPORTS = timedelta(seconds=60)
"""How long a token still serves for logs and the final state after its session closed."""

LAST_WORDS = timedelta(seconds=20)
"""How long a rented host may live after its session closed in order, to report its end."""

SILENCE = timedelta(minutes=15)
"""A running session not heard of for so long is over; longer than any host takes to boot."""

BARREN_IN_A_ROW = 3

FIRST_HOLD_OFF = timedelta(seconds=30)
"""After a session for which no host could be rented; twice as long after each further one."""

LONGEST_HOLD_OFF = timedelta(minutes=16)

UNCONFIRMED = timedelta(minutes=1)
"""A host still listed so long after it was to be destroyed keeps its place in the fleet."""


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
    session_dollars: Decimal,
    budget_dollars: Decimal,
) -> int:
    """Insert the sessions that waiting pages call for beyond those open; return how many.

    One per `pages_per_session` waiting pages of `lanes`, at most `max_hosts` open at
    a time, none while spending is paused, and only as many as the month's budget bears
    if each costs `session_dollars`, the worst it can. While hosts cannot be rented (no offer
    will do, no answer comes) it is tried less and less often.
    """
    if (await lock_controls(db)).paused or await _pause_if_barren(db) or await _holds_off(db):
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
    cursor = await db.execute(
        """
        select count(*), count(*) filter (where state = 'wanted')
        from aseagi.ocr_sessions where state <> 'closed'
        """
    )
    open_now, wanted = await only_row(cursor)
    open_now += await _unconfirmed_hosts(db)
    missing = min(max_hosts, ceil(waiting / pages_per_session)) - open_now
    if missing > 0:
        left = budget_dollars - await committed_dollars(db) - wanted * session_dollars
        missing = min(missing, _affordable(left, session_dollars))
    for _ in range(missing):
        await db.execute(
            "insert into aseagi.ocr_sessions (lane, origin) values (%s, 'dispatcher')", (lane,)
        )
    return max(missing, 0)


async def _unconfirmed_hosts(db: Connection) -> int:
    """Hosts that must be gone and are not known to be: each takes the place of another.

    Without this a marketplace that does not obey would be sent order upon order.
    """
    cursor = await db.execute(
        """
        select count(*) from aseagi.gpu_hosts
        where state = 'ending' and (failed or destroy_after < now() - %s::interval)
        """,
        (UNCONFIRMED,),
    )
    return int((await only_row(cursor))[0])


def _affordable(dollars: Decimal, each: Decimal) -> int:
    """How many of `each` fit into `dollars`; any number of what costs nothing."""
    if dollars < 0:
        return 0
    return int(dollars // each) if each > 0 else 1_000


async def _pause_if_barren(db: Connection) -> bool:
    """Pause when the newest sessions were all barren; the caller holds the controls row."""
    cursor = await db.execute(
        """
        select session.barren, session.close_reason
        from aseagi.ocr_sessions session, aseagi.controls
        where session.state = 'closed' and session.started_at is not null
            and session.closed_at > coalesce(controls.resumed_at, '-infinity')
        order by session.closed_at desc limit %s
        """,
        (BARREN_IN_A_ROW,),
    )
    newest = await cursor.fetchall()
    if len(newest) < BARREN_IN_A_ROW or not all(row[0] for row in newest):
        return False
    await pause(
        db,
        reason=f"{BARREN_IN_A_ROW} hosts in a row ended without one page read; "
        f"the last: {newest[0][1]}",
    )
    return True


async def _holds_off(db: Connection) -> bool:
    """Whether the newest sessions found no host to rent, and it is too early to try again."""
    cursor = await db.execute(
        """
        select now() - session.closed_at, exists (select 1 from aseagi.gpu_hosts host
            where host.session_id = session.id
                and (host.provider <> 'vastai' or host.instance_id is not null))
        from aseagi.ocr_sessions session, aseagi.controls
        where session.state = 'closed' and session.started_at is not null
            and session.closed_at > coalesce(controls.resumed_at, '-infinity')
        order by session.closed_at desc limit 6
        """
    )
    newest = await cursor.fetchall()
    in_vain = len(list(takewhile(lambda row: not row[1], newest)))
    if in_vain == 0:
        return False
    return bool(newest[0][0] < min(FIRST_HOLD_OFF * 2 ** (in_vain - 1), LONGEST_HOLD_OFF))


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
    max_dollars: Decimal | None = None
    """A rented host is destroyed once it has cost so much."""
    rehearsal: bool = False
    """Rented on the rehearsal marketplace: the money is not real."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A session that may start a host now."""

    session_id: UUID
    attempt_id: UUID
    host_id: UUID
    label: str
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
        select state,
            exists (select 1 from aseagi.pages where state = 'waiting')
                or exists (select 1 from aseagi.leases
                    where session_id = %(session)s and state = 'open'),
            (select count(*) from aseagi.ocr_sessions
                where state = 'running' and id <> %(session)s)
        from aseagi.ocr_sessions where id = %(session)s for update
        """,
        {"session": session},
    )
    state, work_waits, others = await only_row(cursor)
    unconfirmed = await _unconfirmed_hosts(db)
    refusal = None
    if state == "closed":
        refusal = "the session is closed"
    elif controls.paused:
        refusal = f"spending is paused: {controls.paused_reason}"
    elif not work_waits:
        refusal = "nothing to read"
    elif others + unconfirmed >= new.max_hosts:
        refusal = f"{others + unconfirmed} hosts run already, and no more are allowed"
    elif await committed_dollars(db) + new.reserved_dollars > new.budget_dollars:
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
            (id, session_id, attempt_id, provider, label, dollars_per_hour, reserved_dollars,
                max_dollars, rehearsal)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
        """,
        (
            host_id,
            session,
            attempt_id,
            new.provider,
            new.label,
            new.dollars_per_hour,
            new.reserved_dollars,
            new.max_dollars,
            new.rehearsal,
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
    return Begun(session, attempt_id, host_id, new.label, row[0])


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
    await close_session(db, session_id, reason=reason, grace=LAST_WORDS)
    return True


async def close_session(
    db: Connection,
    session_id: UUID,
    *,
    reason: str,
    failed: bool = False,
    grace: timedelta = timedelta(),
) -> None:
    """End a session however far it got: leases return, its host's meter is read; idempotent.

    `failed` says that its host ended by no wish of ours, which counts for the breaker. A
    rented host is destroyed after `grace`, or as soon as its run has reported its end.
    Its tokens stay valid for `FINAL_REPORTS`, for logs and the final state alone.
    """
    await _lock_session(db, session_id)
    await release_leases(db, session_id=session_id)
    await db.execute(
        """
        update aseagi.ocr_sessions
        set state = 'closed', closed_at = now(), close_reason = %(reason)s,
            barren = %(failed)s and state = 'running' and pages_read = 0
                and (leased_fresh or not leased)
        where id = %(session)s and state <> 'closed'
        """,
        {"reason": reason, "failed": failed, "session": session_id},
    )
    await _end_hosts(db, session_id, reason=reason, failed=failed, grace=grace)


async def close_overdue_sessions(db: Connection) -> list[UUID]:
    """Close running sessions past their deadline or silent for `SILENCE`; return which.

    Such a host hangs, or cannot reach the gateway. It may still run: whoever started it
    ends it, once its session is closed.
    """
    await lock_controls(db)
    cursor = await db.execute(
        """
        select id, deadline_at < now() from aseagi.ocr_sessions
        where state = 'running' and (deadline_at < now() or last_seen_at < now() - %s::interval)
        order by id
        """,
        (SILENCE,),
    )
    overdue = await cursor.fetchall()
    for session_id, is_late in overdue:
        silence = f"its host was silent for {SILENCE.total_seconds() / 60:.0f} minutes"
        reason = "it reached its deadline" if is_late else silence
        await close_session(db, session_id, reason=reason, failed=True)
    return [row[0] for row in overdue]


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


async def _end_hosts(
    db: Connection,
    session_id: UUID,
    *,
    reason: str,
    failed: bool = False,
    grace: timedelta = timedelta(),
) -> None:
    """A local host ends with its session, and costs what its time costs.

    A rented host is to be destroyed, after `grace`; the fleet does that, and records its
    end when a successful listing says so. One never ordered has rented nothing.
    """
    await db.execute(
        """
        update aseagi.gpu_hosts
        set state = case when state = 'intended' then 'ended' else 'ending' end,
            ended_at = case when state = 'intended' then now() end,
            settled_at = case when state = 'intended' then now() end,
            ending_at = now(), destroy_after = now() + %s, end_reason = %s,
            failed = failed or (%s and state <> 'intended')
        where session_id = %s and provider = 'vastai'
            and state in ('intended', 'ordered', 'booting', 'running')
        """,
        (grace, reason, failed, session_id),
    )
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


async def overstaying_hosts(db: Connection, *, machine: str) -> list[tuple[str, str]]:
    """Local hosts on `machine` whose session closed long enough ago: (instance id, reason).

    They have had `FINAL_REPORTS` to end by themselves. Looks back one day: nothing
    local lives longer.
    """
    cursor = await db.execute(
        """
        select instance_id, end_reason from aseagi.gpu_hosts
        where provider = 'local' and machine = %s and instance_id is not null
            and ended_at between now() - interval '1 day' and now() - %s::interval
        """,
        (machine, FINAL_REPORTS),
    )
    return [(row[0], row[1]) for row in await cursor.fetchall()]


async def find_session(db: Connection, flow_run_id: UUID) -> UUID | None:
    """The session that a flow run is, if it is one."""
    cursor = await db.execute(
        "select id from aseagi.ocr_sessions where flow_run_id = %s", (flow_run_id,)
    )
    row = await cursor.fetchone()
    return row[0] if row else None


@dataclass(frozen=True, slots=True)
class SessionEnd:
    """How a closed session ended."""

    reason: str
    failed: bool
    """Its rented host ended by no wish of ours."""
    ago: timedelta


async def session_end(db: Connection, session_id: UUID) -> SessionEnd | None:
    """How the session ended; None while it is open."""
    async with db.cursor(row_factory=class_row(SessionEnd)) as cursor:
        await cursor.execute(
            """
            select close_reason as reason, now() - closed_at as ago,
                exists (select 1 from aseagi.gpu_hosts
                    where session_id = session.id and failed) as failed
            from aseagi.ocr_sessions session where id = %s and state = 'closed'
            """,
            (session_id,),
        )
        return await cursor.fetchone()
