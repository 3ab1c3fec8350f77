"""Each safeguard of the books is needed: with it they are right, without it they are not.

A row names a safeguard, how to take it away, and what happens that it is there for. Every row
is played twice: with the safeguard the same check holds that fails without it. Where the
safeguard is a piece of SQL, that piece is taken out of the statement itself, and of the schema
the constraint. The table is documented in docs/safeguards.md.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, LiteralString
from uuid import UUID, uuid4

import pytest
from psycopg.conninfo import make_conninfo

from schema.claude import Step
from schema.failures import AseagiError, RetryLater
from schema.lanes import DAYTIME, Lane
from sql import claude, leases, migrate, sessions
from sql.arrivals import MAX_ATTEMPTS as ARRIVAL_ATTEMPTS
from sql.arrivals import SUSPECT, SeenObject, begin_arrivals, notice, supersede_arrival
from sql.charges import Charge, committed_dollars, record_charges
from sql.claude import Limits, NewCall
from sql.connection import Connection
from sql.controls import read_controls
from sql.documents import insert_document
from sql.drains import hold
from sql.jobs import MAX_ANALYSIS_ATTEMPTS, AnalysisJob, claim_for_analysis, complete_job
from sql.leases import MAX_ATTEMPTS, PageOutcome, extend_leases, release_leases, settle_pages
from sql.sessions import Begun, bind_run, close_if_idle
from tests.sql.house import TTL, House, all_read, analysis, new_attempt, new_document, page_text
from tests.sql.house import pages_of as pages_in
from tests.sql.mutation import Change, statements_changed

Scenario = Callable[[House], Awaitable[None]]
TakeAway = Callable[[pytest.MonkeyPatch], None]

LONG = timedelta(hours=1)
GONE = timedelta(seconds=-1)


@dataclass(frozen=True)
class Safeguard:
    """One of them: `sql` and `patch` take it away, and before that `drop` what the schema has."""

    name: str
    scenario: Scenario
    sql: Sequence[Change] = ()
    patch: TakeAway | None = None
    drop: Sequence[LiteralString] = field(default=())


# --- Arrivals

SEEN = SeenObject("raw/Smith v. Jones/letter.pdf", "one", 100)


async def told(house: House, *objects: SeenObject) -> int:
    async with house.transaction():
        return await notice(house.db, objects, source="bucket")


async def everybody_tells_of_one_object(house: House) -> None:
    """A notification, then the watch: it arrived once."""
    for _ in range(2):
        await told(house, SEEN)
    assert await house.one("select count(*) from aseagi.arrivals") == 1


async def a_file_is_overwritten_by_one_of_the_same_size(house: House) -> None:
    await told(house, SEEN)
    await told(house, SeenObject(SEEN.key, "another", SEEN.size_bytes))
    assert await house.one("select count(*) from aseagi.arrivals") == 2


async def a_file_grows_in_a_store_whose_etags_say_nothing(house: House) -> None:
    await told(house, SEEN)
    await told(house, SeenObject(SEEN.key, SEEN.etag, SEEN.size_bytes + 1))
    assert await house.one("select count(*) from aseagi.arrivals") == 2


async def begun(house: House) -> Any:
    async with house.transaction():
        [arrival] = await begin_arrivals(house.db, limit=1)
    return arrival


async def a_file_comes_back_after_it_was_overwritten(house: House) -> None:
    """A, then B before A was read, then A again: A is what lies there now."""
    await told(house, SEEN)
    arrival = await begun(house)
    async with house.transaction():
        await supersede_arrival(house.db, arrival.id)
    await told(house, SEEN)
    assert await house.one("select state from aseagi.arrivals") == "noticed"


async def a_file_kills_whoever_takes_it_in(house: House) -> None:
    """It is known for it after so many times, and given up (`tasks.intake`)."""
    await told(house, SEEN)
    attempts = [(await begun(house)).attempts for _ in range(ARRIVAL_ATTEMPTS + 1)]
    assert attempts[-1] > ARRIVAL_ATTEMPTS


async def a_suspect_lies_beside_fresh_files(house: House) -> None:
    async with house.transaction():
        await notice(house.db, [SeenObject("raw/suspect", "e", 1)], source="test", lane=Lane.NOW)
        await notice(house.db, [SeenObject("raw/fresh", "e", 1)], source="test")
    await house.change(
        "update aseagi.arrivals set attempts = %s where key = 'raw/suspect'", SUSPECT
    )
    async with house.transaction():
        begun = await begin_arrivals(house.db, limit=9)
    assert [one.key for one in begun] == ["raw/suspect"]


async def one_content_comes_under_two_names(house: House) -> None:
    for _ in range(2):
        await house.add(new_document(None, content="the same"))
    assert await house.one("select count(*) from aseagi.documents") == 1


# --- Pages


async def a_page_ends_every_host(house: House) -> None:
    """Three are enough: it fails, and says so."""
    document = await house.add_scan()
    for _ in range(MAX_ATTEMPTS):
        host = await house.begin()
        await house.pass_time_of(await house.lease(host))
        async with house.transaction():
            await release_leases(house.db)
        await house.close(host.session_id)
    assert await house.page_states(document) == ["failed"]


async def a_suspect_lies_beside_fresh_pages(house: House) -> None:
    """A page on its last attempt is lent alone."""
    document = await house.add_scan(2)
    await house.change("update aseagi.pages set attempts = %s", MAX_ATTEMPTS - 1)
    assert pages_in(await house.lease(await house.begin())) == [(document, 1)]


async def a_file_ends_hosts_whichever_page_is_read(house: House) -> None:
    """Its further pages cost no further hosts."""
    document = await house.add_scan(9)
    for _ in range(MAX_ATTEMPTS):
        host = await house.begin()
        await house.lease(host, limit=1)
        await house.close(host.session_id)
    assert "waiting" not in await house.page_states(document)


async def a_host_goes_silent(house: House) -> None:
    document = await house.add_scan()
    await house.pass_time_of(await house.lease(await house.begin()))
    async with house.transaction():
        await release_leases(house.db)
    assert await house.page_states(document) == ["waiting"]


async def a_host_hangs_and_goes_on_beating(house: House) -> None:
    """Its lease ends with its session's deadline."""
    await house.add_scan()
    host = await house.begin()
    lease = await house.lease(host)
    async with house.transaction():
        await extend_leases(
            house.db, attempt_id=host.attempt_id, lease_ids=[lease.id], ttl=timedelta(days=1)
        )
    assert await house.one(
        "select bool_and(expires_at <= deadline_at) from aseagi.leases"
        " join aseagi.ocr_sessions session on session.id = session_id"
    )


async def a_result_comes_after_another_host_took_the_page(house: House) -> None:
    document = await house.add_scan()
    slow = await house.begin()
    late = await house.lease(slow)
    await house.pass_time_of(late)
    async with house.transaction():
        await release_leases(house.db)
    await house.lease(await house.begin())
    await house.settle(slow, late, [PageOutcome(document, 1, page_text("late"))])
    assert await house.page_states(document) == ["leased"]


async def a_closed_session_asks_for_more(house: House) -> None:
    await house.add_scan()
    host = await house.begin()
    await house.close(host.session_id)
    assert await house.try_lease(host) is None


async def settled_or_blocked(
    house: House, doing: "asyncio.Task[Any]", connection: Connection
) -> None:
    """Return once the other has done it, or waits for a lock."""
    waiting = asyncio.create_task(house.until_blocked(connection))
    await asyncio.wait([doing, waiting], return_when=asyncio.FIRST_COMPLETED)
    if not waiting.done():
        await house.owner.cancel_safe()
    await asyncio.gather(waiting, return_exceptions=True)


async def two_hosts_finish_one_document_together(house: House) -> None:
    """One of them hands it on to analysis."""
    document = await house.add_scan(2)
    hosts = [await house.begin(), await house.begin()]
    lent = [await house.lease(host, limit=1) for host in hosts]

    async def settle(db: Connection, number: int) -> None:
        await settle_pages(
            db,
            lease_id=lent[number].id,
            attempt_id=hosts[number].attempt_id,
            outcomes=all_read(lent[number]),
        )

    async with house.another_process() as other:

        async def finish() -> None:
            async with other.transaction():
                await settle(other, 1)

        async with house.transaction():
            await settle(house.db, 0)
            finishing = asyncio.create_task(finish())
            await settled_or_blocked(house, finishing, other)
        await finishing
    assert await house.job(document) == ("processing", "analyse")


# --- Sessions


async def a_page_comes_while_the_last_session_closes(house: House) -> None:
    """Either the session reads it or another one is wanted."""
    await house.add_scan()
    host = await house.begin()
    await house.settle(host, await house.lease(host))
    async with house.another_process() as ingest, house.another_process() as dispatcher:

        async def dispatch() -> int:
            async with dispatcher.transaction():
                return await sessions.want_sessions(
                    dispatcher,
                    lanes=DAYTIME,
                    max_hosts=1,
                    pages_per_session=10,
                    session_dollars=Decimal(0),
                    budget_dollars=Decimal(1),
                )

        async with house.transaction():
            async with ingest.transaction():
                await insert_document(ingest, new_document(None))
                closed = await close_if_idle(
                    house.db, host.session_id, reason="idle", must_close=False
                )
                assert closed
            dispatching = asyncio.create_task(dispatch())
            await settled_or_blocked(house, dispatching, dispatcher)
        assert await dispatching == 1


async def a_second_run_says_it_is_the_session(house: House) -> None:
    await house.add_scan()
    await house.want()
    session = await house.one("select id from aseagi.ocr_sessions")
    first = uuid4()
    async with house.transaction():
        await bind_run(house.db, session, first)
        await bind_run(house.db, session, uuid4())
    assert await house.one("select flow_run_id from aseagi.ocr_sessions") == first


async def an_earlier_attempt_still_holds_pages(house: House) -> None:
    """A new attempt of the run takes them over at once."""
    await house.add_scan()
    run = uuid4()
    first = await house.begin(new=new_attempt(run))
    await house.lease(first)
    second = await house.begin(new=new_attempt(run, run_count=2))
    assert await house.try_lease(second) is not None


async def hosts_end_without_a_page_again_and_again(house: House) -> None:
    """After three the money stops, until a person looks."""
    await house.add_scan(9)
    for _ in range(sessions.BARREN_IN_A_ROW):
        host = await house.begin()
        await house.close(host.session_id, failed=True)
    assert await house.want() == 0


async def a_session_is_closed_by_both_its_ends(house: House) -> None:
    """Its host is charged once."""
    await house.add_scan()
    host: Begun = await house.begin()
    for _ in range(2):
        await house.close(host.session_id)
    assert await house.one("select count(*) from aseagi.charges") == 1


async def a_charge_is_recorded_by_one_who_died_and_by_the_next(house: House) -> None:
    paid = Charge(
        key="claude:1",
        kind="llm",
        dollars=Decimal("0.5"),
        quantity=Decimal(1),
        unit="call",
        what="a question",
        incurred_on=datetime.now(UTC).date(),
    )
    for _ in range(2):
        async with house.transaction():
            await record_charges(house.db, [paid])
    assert await house.one("select sum(dollars) from aseagi.charges") == Decimal("0.5")


async def a_drain_dies_after_it_asked_claude(house: House) -> None:
    """What it may have cost counts until the month is over."""
    document = await house.add(new_document("Some words."))
    question = NewCall(
        id=uuid4(),
        document_id=document,
        step=Step(1, 1, "whole"),
        plan="a plan",
        round=0,
        model="a model",
        reserved_dollars=Decimal("0.25"),
        rehearsal=True,
    )
    enough = Limits(*[Decimal(100)] * 3)
    async with house.transaction():
        await claude.intend_call(house.db, question, enough, holder=uuid4())
    async with house.transaction():
        await claude.abandon_calls(house.db, holder=uuid4())
        assert await committed_dollars(house.db) == question.reserved_dollars


# --- Drains and analysis


async def two_drains_begin(house: House) -> None:
    async with house.transaction():
        held = [await hold(house.db, "ingest", holder=uuid4(), ttl=LONG) for _ in range(2)]
    assert held == [True, False]


async def a_drain_was_killed(house: House) -> None:
    """The next one begins when its time is over."""
    async with house.transaction():
        await hold(house.db, "ingest", holder=uuid4(), ttl=GONE)
    async with house.transaction():
        assert await hold(house.db, "ingest", holder=uuid4(), ttl=LONG)


async def claim(house: House, holder: UUID, ttl: timedelta = TTL) -> list[AnalysisJob]:
    async with house.transaction():
        return await claim_for_analysis(
            house.db, holder=holder, limit=10, ttl=ttl, lanes=list(Lane)
        )


async def two_drains_look_for_work(house: House) -> None:
    """No document is analysed, and paid for, twice."""
    await house.add(new_document("Some words."))
    assert len(await claim(house, uuid4())) == 1
    assert await claim(house, uuid4()) == []


async def an_analyst_was_killed(house: House) -> None:
    await house.add(new_document("Some words."))
    await claim(house, uuid4(), GONE)
    assert len(await claim(house, uuid4())) == 1


async def an_analyst_comes_back_late(house: House) -> None:
    """The analysis of who holds the claim counts."""
    await house.add(new_document("Some words."))
    late, current = uuid4(), uuid4()
    [stale] = await claim(house, late, GONE)
    [fresh] = await claim(house, current)
    async with house.transaction():
        await complete_job(house.db, stale, analysis("late"), holder=late)
    async with house.transaction():
        await complete_job(house.db, fresh, analysis("current"), holder=current)
    assert await house.one("select title from aseagi.documents") == "current"


async def a_document_kills_its_analyst(house: House) -> None:
    document = await house.add(new_document("Some words."))
    for _ in range(MAX_ANALYSIS_ATTEMPTS + 1):
        await claim(house, uuid4(), GONE)
    assert await house.job(document) == ("failed", "analyse")


# --- The house


async def a_grant_is_made_by_mistake(house: House) -> None:
    """It shows no row."""
    await house.add(new_document("Some words."))
    async with house.owner.transaction(force_rollback=True):
        await house.owner.execute("create role stranger")
        await house.owner.execute("grant usage on schema aseagi to stranger")
        await house.owner.execute("grant select on aseagi.documents to stranger")
        await house.owner.execute("set local role stranger")
        assert await house.rows("select id from aseagi.documents") == []


async def two_deployments_migrate_at_once(house: House) -> None:
    """The second waits, and says so if it waits for long."""
    owner = make_conninfo("", **house.owner.info.get_parameters())
    said: AseagiError | None = None
    async with house.owner.transaction():
        await house.owner.execute(
            "select pg_advisory_xact_lock(hashtextextended('aseagi_migrations', 0))"
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(migrate, "LOCK_SECONDS", 0.1)
            try:
                await asyncio.to_thread(migrate.migrate, owner)
            except RetryLater as error:
                said = error
    assert said is not None


# --- Taking safeguards away


def without(module: object, name: str, answer: object = None) -> TakeAway:
    """A function that does nothing."""

    async def nothing(*_: object, **__: object) -> object:
        return answer

    return lambda patch: patch.setattr(module, name, nothing)


def deciding_without_the_lock(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sessions, "lock_controls", read_controls)


def migrating_without_a_turn(patch: pytest.MonkeyPatch) -> None:
    def go_ahead(_db: object) -> None:
        return None

    patch.setattr(migrate, "_take_turn", go_ahead)


ON_CONFLICT_ARRIVAL = """
    on conflict (key, etag, size_bytes) do update
        set state = 'noticed', settled_at = null, attempts = 0
        where known.state = 'superseded'
"""
NO_CHARGE_KEY = "alter table aseagi.charges drop constraint charges_key_key"

SAFEGUARDS = (
    Safeguard(
        "arrival told twice",
        everybody_tells_of_one_object,
        sql=[(ON_CONFLICT_ARRIVAL, "")],
        drop=["alter table aseagi.arrivals drop constraint arrivals_key_etag_size_bytes_key"],
    ),
    Safeguard(
        "arrival: ETag",
        a_file_is_overwritten_by_one_of_the_same_size,
        sql=[("select distinct key, etag, size_bytes", "select distinct key, '', size_bytes")],
    ),
    Safeguard(
        "arrival: size",
        a_file_grows_in_a_store_whose_etags_say_nothing,
        sql=[("select distinct key, etag, size_bytes", "select distinct key, etag, 0::bigint")],
    ),
    Safeguard(
        "arrival: back again",
        a_file_comes_back_after_it_was_overwritten,
        sql=[("where known.state = 'superseded'", "where false")],
    ),
    Safeguard(
        "arrival attempts",
        a_file_kills_whoever_takes_it_in,
        sql=[("set attempts = attempts + 1 where id in", "set attempts = attempts where id in")],
    ),
    Safeguard(
        "arrival: suspect alone",
        a_suspect_lies_beside_fresh_files,
        sql=[("first_attempts < %(suspect)s", "first_attempts >= 0")],
    ),
    Safeguard(
        "one document per content",
        one_content_comes_under_two_names,
        sql=[("on conflict (file_hash) do nothing", "")],
        drop=["alter table aseagi.documents drop constraint documents_file_hash_key"],
    ),
    Safeguard(
        "page attempts",
        a_page_ends_every_host,
        sql=[("lease_id = %s, attempts = attempts + 1", "lease_id = %s, attempts = attempts")],
        patch=without(leases, "_give_up_poison", set[UUID]()),
    ),
    Safeguard(
        "last attempt alone",
        a_suspect_lies_beside_fresh_pages,
        sql=[("page.number, page.attempts, document", "page.number, 0 as attempts, document")],
    ),
    Safeguard(
        "poisonous document",
        a_file_ends_hosts_whichever_page_is_read,
        patch=without(leases, "_give_up_poison", set[UUID]()),
    ),
    Safeguard(
        "lease runs out",
        a_host_goes_silent,
        sql=[("(expires_at < now() or session_id", "(session_id")],
    ),
    Safeguard(
        "lease: deadline",
        a_host_hangs_and_goes_on_beating,
        sql=[("least(now() + %s, session.deadline_at)", "now() + %s")],
    ),
    Safeguard(
        "lease fencing",
        a_result_comes_after_another_host_took_the_page,
        sql=[
            ("attempt_id = %s and state = 'open' for update", "attempt_id = %s for update"),
            ("number = %s and lease_id = %s", "number = %s and %s::uuid is not null"),
        ],
    ),
    Safeguard(
        "closed session lent nothing",
        a_closed_session_asks_for_more,
        sql=[("where id = %s and state = 'running' for update", "where id = %s for update")],
    ),
    Safeguard(
        "document lock",
        two_hosts_finish_one_document_together,
        sql=[("where document_id = any(%s) order by id for update", "where document_id = any(%s)")],
    ),
    Safeguard(
        "close lock", a_page_comes_while_the_last_session_closes, patch=deciding_without_the_lock
    ),
    Safeguard(
        "session has one run",
        a_second_run_says_it_is_the_session,
        sql=[("where id = %s and flow_run_id is null", "where id = %s")],
    ),
    Safeguard(
        "attempt replaces attempt",
        an_earlier_attempt_still_holds_pages,
        patch=without(sessions, "_end_attempts"),
    ),
    Safeguard(
        "breaker",
        hosts_end_without_a_page_again_and_again,
        patch=without(sessions, "_pause_if_barren", answer=False),
    ),
    Safeguard(
        "host charged once",
        a_session_is_closed_by_both_its_ends,
        sql=[
            ("provider = 'local' and state <> 'ended'", "provider = 'local'"),
            ("on conflict (key) do nothing", ""),
        ],
        drop=[NO_CHARGE_KEY],
    ),
    Safeguard(
        "charge key",
        a_charge_is_recorded_by_one_who_died_and_by_the_next,
        sql=[("on conflict (key) do nothing", "")],
        drop=[NO_CHARGE_KEY],
    ),
    Safeguard(
        "question on record first",
        a_drain_dies_after_it_asked_claude,
        patch=without(claude, "_insert_call"),
    ),
    Safeguard(
        "lost question counts",
        a_drain_dies_after_it_asked_claude,
        sql=[("or (state = 'uncertain' and settled_at", "or (false and settled_at")],
    ),
    Safeguard(
        "single flight",
        two_drains_begin,
        sql=[("where mine.holder = excluded.holder or mine.expires_at < now()", "")],
    ),
    Safeguard("hold runs out", a_drain_was_killed, sql=[("or mine.expires_at < now()", "")]),
    Safeguard(
        "claim is exclusive",
        two_drains_look_for_work,
        sql=[("(claimed_until is null or claimed_until < now())", "true")],
    ),
    Safeguard(
        "claim runs out",
        an_analyst_was_killed,
        sql=[("(claimed_until is null or claimed_until < now())", "claimed_until is null")],
    ),
    Safeguard(
        "claim fencing",
        an_analyst_comes_back_late,
        sql=[
            (
                "and claimed_by = %(holder)s and status = 'processing'",
                "and status = 'processing' and %(holder)s::uuid is not null",
            ),
        ],
    ),
    Safeguard(
        "analysis attempts",
        a_document_kills_its_analyst,
        sql=[("analysis_attempts = analysis_attempts + 1", "analysis_attempts = 0")],
    ),
    Safeguard(
        "row-level security",
        a_grant_is_made_by_mistake,
        drop=["alter table aseagi.documents disable row level security"],
    ),
    Safeguard(
        "one migration at a time", two_deployments_migrate_at_once, patch=migrating_without_a_turn
    ),
)

each_safeguard = pytest.mark.parametrize(
    "safeguard", SAFEGUARDS, ids=[one.name for one in SAFEGUARDS]
)


@each_safeguard
async def test_with_the_safeguard_the_books_are_right(house: House, safeguard: Safeguard) -> None:
    await safeguard.scenario(house)


@each_safeguard
async def test_without_the_safeguard_they_are_not(house: House, safeguard: Safeguard) -> None:
    for statement in safeguard.drop:
        await house.owner.execute(statement)
    with pytest.MonkeyPatch.context() as patch, statements_changed(safeguard.sql):
        if safeguard.patch is not None:
            safeguard.patch(patch)
        with pytest.raises(AssertionError):
            await safeguard.scenario(house)
