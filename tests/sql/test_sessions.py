import asyncio
from datetime import timedelta
from decimal import Decimal
from hashlib import sha256
from typing import LiteralString
from uuid import UUID, uuid4

import pytest

from schema.lanes import Lane
from sql.charges import session_cost
from sql.connection import Connection
from sql.controls import pause, read_controls, resume
from sql.documents import insert_document
from sql.hosts import order_host
from sql.sessions import (
    FINAL_REPORTS,
    Attempt,
    Begun,
    NotBegun,
    adopt_run,
    bind_run,
    close_if_idle,
    close_overdue_sessions,
    close_session,
    find_attempt,
    find_session,
    host_is_running,
    mark_seen,
    open_sessions,
    overstaying_hosts,
    want_sessions,
)
from tests.sql.house import House, new_attempt, new_document, pages_of


async def close_if_nothing_waits(db: Connection, session_id: UUID, *, must: bool = False) -> bool:
    async with db.transaction():
        return await close_if_idle(db, session_id, reason="idle", must_close=must)


async def whose(house: House, token: str) -> Attempt | None:
    async with house.transaction():
        return await find_attempt(house.db, sha256(token.encode()).digest())


async def the_session(house: House) -> UUID:
    return await house.one("select id from aseagi.ocr_sessions where state <> 'closed'")


# Wanting


async def test_no_session_is_wanted_when_nothing_waits(house: House) -> None:
    await house.add(new_document("A text layer."))
    assert await house.want() == 0


@pytest.mark.parametrize(("pages", "sessions"), [(1, 1), (10, 1), (11, 2), (25, 3), (99, 4)])
async def test_one_session_is_wanted_per_so_many_pages_up_to_the_most_hosts(
    house: House, pages: int, sessions: int
) -> None:
    await house.add_scan(pages)
    assert await house.want(max_hosts=4, pages_per_session=10) == sessions
    assert await house.want(max_hosts=4, pages_per_session=10) == 0


async def test_sessions_that_are_open_count(house: House) -> None:
    await house.add_scan(30)
    await house.begin()
    assert await house.want(max_hosts=2, pages_per_session=10) == 1
    assert await house.want(max_hosts=1, pages_per_session=10) == 0
    assert await house.want(max_hosts=0, pages_per_session=10) == 0


async def test_a_session_is_of_the_most_urgent_lane_that_waits(house: House) -> None:
    await house.add_scan(lane=Lane.BULK)
    await house.add_scan(lane=Lane.NOW)
    await house.want()
    async with house.transaction():
        assert [one.lane for one in await open_sessions(house.db)] == [Lane.NOW]


async def test_pages_of_the_night_want_no_session_by_day(house: House) -> None:
    await house.add_scan(lane=Lane.NIGHTLY)
    assert await house.want() == 0


async def test_nothing_is_wanted_while_spending_is_paused(house: House) -> None:
    await house.add_scan()
    async with house.transaction():
        await pause(house.db, reason="on holiday")
        await pause(house.db, reason="later")
        assert (await read_controls(house.db)).paused_reason == "on holiday"
    assert await house.want() == 0
    async with house.transaction():
        await resume(house.db)
    assert await house.want() == 1


async def test_nothing_is_wanted_once_the_months_budget_is_used_up(house: House) -> None:
    await house.add_scan()
    await house.change(
        """
        insert into aseagi.charges (key, kind, dollars, quantity, unit, what, incurred_on)
        values ('a', 'gpu', 5, 1, 's', 'x', (now() at time zone 'utc')::date),
            ('b', 'llm', 4, 1, 's', 'x', (now() at time zone 'utc')::date),
            ('c', 'fixed', 100, 1, 's', 'x', (now() at time zone 'utc')::date),
            ('d', 'gpu', 100, 1, 's', 'x', (now() at time zone 'utc')::date - 32)
        """
    )
    assert await house.want(session_dollars="0", budget="8.99") == 0
    assert await house.want(session_dollars="0", budget="9.01") == 1


async def test_no_more_sessions_are_wanted_than_the_budget_bears_at_their_worst(
    house: House,
) -> None:
    await house.add_scan(100)

    async def want(budget: str) -> int:
        return await house.want(
            max_hosts=9, pages_per_session=10, session_dollars="1", budget=budget
        )

    assert await want("0.99") == 0
    assert await want("2.50") == 2
    assert await want("2.50") == 0
    assert await want("3") == 1


async def test_what_open_hosts_may_still_cost_counts_against_the_budget(house: House) -> None:
    await house.add_scan(100)
    new = new_attempt(uuid4(), provider="vastai", reserved_dollars="3")
    host = await house.begin(new=new)
    assert await house.want(max_hosts=9, pages_per_session=10, budget="2.99") == 0
    await house.change(
        """
        update aseagi.gpu_hosts set state = 'ended', ordered_at = now(), rented_at = now(),
            instance_id = '1', ended_at = now(), end_reason = 'x'
        """
    )
    await house.close(host.session_id)
    assert await house.want(max_hosts=9, pages_per_session=10, budget="2.99") == 8


async def test_two_dispatchers_at_once_want_no_more_than_one_would(house: House) -> None:
    await house.add_scan(30)
    async with house.another_process() as other:

        async def dispatch() -> int:
            async with other.transaction():
                return await want_sessions(
                    other,
                    lanes=[Lane.BULK],
                    max_hosts=2,
                    pages_per_session=10,
                    session_dollars=Decimal("0.36"),
                    budget_dollars=Decimal(50),
                )

        async with house.transaction():
            assert await house.want(max_hosts=2, pages_per_session=10) == 2
            dispatching = asyncio.create_task(dispatch())
            await house.until_blocked(other)
        assert await dispatching == 0


# Beginning


async def test_a_wanted_session_begins_with_its_run(house: House) -> None:
    await house.add_scan()
    await house.want()
    session_id, run = await the_session(house), uuid4()
    begun = await house.begin(session_id, new=new_attempt(run))
    assert begun.session_id == session_id
    assert await house.session_state(session_id) == "running"
    async with house.transaction():
        assert await find_session(house.db, run) == session_id
    assert await house.rows("select state, provider, reserved_dollars from aseagi.gpu_hosts") == [
        ("intended", "local", Decimal("0.36"))
    ]


async def test_a_run_started_by_hand_gets_a_session_of_its_own(house: House) -> None:
    await house.add_scan()
    begun = await house.begin()
    origin = await house.rows("select id, origin from aseagi.ocr_sessions")
    assert origin == [(begun.session_id, "hand")]


async def test_binding_or_adopting_a_run_twice_changes_nothing(house: House) -> None:
    await house.add_scan()
    await house.want()
    session_id, run = await the_session(house), uuid4()
    async with house.transaction():
        await bind_run(house.db, session_id, run)
        await bind_run(house.db, session_id, uuid4())
        assert await adopt_run(house.db, run, session_id) == session_id
        assert await adopt_run(house.db, run, None) == session_id
    assert await house.one("select flow_run_id from aseagi.ocr_sessions") == run


@pytest.mark.parametrize("by_hand", [True, False])
async def test_a_session_on_an_empty_queue_closes_and_rents_nothing(
    house: House, by_hand: bool
) -> None:
    session_id = None
    if not by_hand:
        document_id = await house.add_scan()
        await house.want()
        session_id = await the_session(house)
        await house.change("delete from aseagi.documents where id = %s", document_id)
    refused = await house.try_begin(session_id)
    assert isinstance(refused, NotBegun)
    assert refused.reason == "nothing to read"
    assert await house.rows("select state, close_reason from aseagi.ocr_sessions") == [
        ("closed", "nothing to read")
    ]
    assert await house.rows("select id from aseagi.gpu_hosts") == []
    assert await house.rows("select id from aseagi.session_attempts") == []
    assert await house.rows("select id from aseagi.charges") == []


async def test_a_session_begins_not_while_spending_is_paused(house: House) -> None:
    await house.add_scan()
    async with house.transaction():
        await pause(house.db, reason="on holiday")
    refused = await house.try_begin()
    assert isinstance(refused, NotBegun)
    assert refused.reason == "spending is paused: on holiday"
    assert await house.session_state(refused.session_id) == "closed"


async def test_no_more_sessions_run_than_hosts_are_allowed_however_they_were_started(
    house: House,
) -> None:
    await house.add_scan(3)
    run = uuid4()
    first = await house.begin(new=new_attempt(run, max_hosts=1))
    refused = await house.try_begin(new=new_attempt(uuid4(), max_hosts=1))
    assert isinstance(refused, NotBegun)
    assert "no more are allowed" in refused.reason
    assert await house.session_state(refused.session_id) == "closed"
    # A further attempt of the session that runs is no further session.
    await house.begin(first.session_id, new=new_attempt(run, run_count=2, max_hosts=1))
    assert await house.one("select count(*) from aseagi.gpu_hosts where state <> 'ended'") == 1


async def test_a_closed_session_begins_no_more(house: House) -> None:
    await house.add_scan()
    run = uuid4()
    begun = await house.begin(new=new_attempt(run))
    await house.close(begun.session_id, reason="idle")
    refused = await house.try_begin(begun.session_id, new=new_attempt(run, run_count=2))
    assert isinstance(refused, NotBegun)
    assert await house.rows("select state, close_reason from aseagi.ocr_sessions") == [
        ("closed", "idle")
    ]
    assert await house.one("select count(*) from aseagi.session_attempts") == 1


async def test_a_session_cannot_be_taken_by_another_run(house: House) -> None:
    await house.add_scan()
    first = await house.begin(new=new_attempt(uuid4()))
    second = await house.begin(first.session_id, new=new_attempt(uuid4()))
    assert second.session_id != first.session_id
    assert await house.session_state(first.session_id) == "running"


async def test_a_new_attempt_revokes_the_token_and_the_leases_of_the_one_before(
    house: House,
) -> None:
    document_id = await house.add_scan(2)
    run = uuid4()
    first = await house.begin(new=new_attempt(run, token="first"))
    lost = await house.lease(first)
    second = await house.begin(new=new_attempt(run, run_count=2, token="second"))
    assert second.session_id == first.session_id
    assert await whose(house, "first") is None
    current = await whose(house, "second")
    assert current is not None
    assert current.id == second.attempt_id
    assert await house.page_states(document_id) == ["waiting", "waiting"]
    assert await house.settle(first, lost) == (0, [])
    hosts = await house.rows(
        "select state, end_reason from aseagi.gpu_hosts order by created_at, state"
    )
    assert sorted(hosts, key=str) == [("ended", "replaced by a new attempt"), ("intended", None)]


async def test_a_rented_host_must_end_with_its_session_and_has_not_yet(house: House) -> None:
    await house.add_scan()
    host = await house.begin(new=new_attempt(uuid4(), provider="vastai"))
    async with house.transaction():
        assert await order_host(
            house.db,
            host.host_id,
            offer_id=1,
            machine_id=2,
            gpu_name="RTX 4090",
            dollars_per_hour=Decimal("0.3"),
            disk_dollars_per_hour=Decimal("0.01"),
        )
    await house.close(host.session_id)
    assert await house.one("select state from aseagi.gpu_hosts") == "ending"
    assert await house.rows("select id from aseagi.charges") == []


async def test_a_host_never_ordered_ends_with_its_session(house: House) -> None:
    await house.add_scan()
    host = await house.begin(new=new_attempt(uuid4(), provider="vastai"))
    await house.close(host.session_id)
    assert await house.one("select state from aseagi.gpu_hosts") == "ended"


async def test_a_host_that_started_can_be_found_again(house: House) -> None:
    await house.add_scan()
    host = await house.begin()
    async with house.transaction():
        for name in ("first", "second"):
            await host_is_running(house.db, host.host_id, instance_id=name, machine="desk")
        await mark_seen(house.db, host.session_id, engine="an engine 1.0")
        await mark_seen(house.db, host.session_id)
    assert await house.rows("select state, instance_id, machine from aseagi.gpu_hosts") == [
        ("running", "first", "desk")
    ]
    assert await house.one("select engine from aseagi.ocr_sessions") == "an engine 1.0"


# Tokens


async def test_a_token_serves_while_its_attempt_is_current(house: House) -> None:
    await house.add_scan()
    run = uuid4()
    host = await house.begin(new=new_attempt(run, token="mine"))
    attempt = await whose(house, "mine")
    assert attempt is not None
    assert (attempt.id, attempt.session_id, attempt.flow_run_id) == (
        host.attempt_id,
        host.session_id,
        run,
    )
    assert (attempt.closed, attempt.paused) == (False, False)
    assert attempt.deadline_at == host.deadline_at
    assert await whose(house, "guessed") is None


async def test_a_token_tells_that_spending_was_paused(house: House) -> None:
    await house.add_scan()
    await house.begin(new=new_attempt(uuid4(), token="mine"))
    async with house.transaction():
        await pause(house.db, reason="on holiday")
    attempt = await whose(house, "mine")
    assert attempt is not None
    assert attempt.paused


async def test_a_token_ends_with_the_hosts_lifetime(house: House) -> None:
    await house.add_scan()
    await house.begin(new=new_attempt(uuid4(), token="mine", lifetime=timedelta(hours=1)))
    await house.change(
        "update aseagi.session_attempts set expires_at = expires_at - interval '1 hour'"
    )
    assert await whose(house, "mine") is None


async def test_after_its_session_closed_a_token_serves_for_a_minute_and_is_marked(
    house: House,
) -> None:
    await house.add_scan()
    host = await house.begin(new=new_attempt(uuid4(), token="mine"))
    await house.close(host.session_id)
    attempt = await whose(house, "mine")
    assert attempt is not None
    assert attempt.closed
    almost = FINAL_REPORTS - timedelta(milliseconds=1)
    for age, serves in ((almost, True), (FINAL_REPORTS, False)):
        async with house.owner.transaction():  # in which the clock stands still
            await house.change("update aseagi.ocr_sessions set closed_at = now() - %s", age)
            found = await find_attempt(house.owner, sha256(b"mine").digest())
        assert (found is not None) is serves


# Closing


async def test_a_session_closes_when_nothing_waits(house: House) -> None:
    await house.add_scan()
    host = await house.begin()
    await house.settle(host, await house.lease(host))
    assert await close_if_nothing_waits(house.db, host.session_id)
    assert await house.session_state(host.session_id) == "closed"
    assert await house.want() == 0


async def test_a_session_goes_on_while_pages_wait_unless_it_must_close(house: House) -> None:
    await house.add_scan()
    host = await house.begin()
    assert not await close_if_nothing_waits(house.db, host.session_id)
    assert await house.session_state(host.session_id) == "running"
    assert await close_if_nothing_waits(house.db, host.session_id, must=True)
    assert await house.session_state(host.session_id) == "closed"
    assert await house.want() == 1


async def test_what_a_host_still_held_when_it_asks_to_close_waits_again(house: House) -> None:
    document_id = await house.add_scan()
    host = await house.begin()
    await house.lease(host)
    assert not await close_if_nothing_waits(house.db, host.session_id)
    assert await house.page_states(document_id) == ["waiting"]
    assert pages_of(await house.lease(host)) == [(document_id, 1)]


async def test_a_page_committed_before_the_close_decides_keeps_the_session(house: House) -> None:
    await house.add_scan()
    host = await house.begin()
    await house.settle(host, await house.lease(host))
    async with house.another_process() as gateway:
        async with house.transaction():
            # A dispatcher decides; meanwhile the close begins, and a document comes in.
            assert await house.want() == 0
            closing = asyncio.create_task(close_if_nothing_waits(gateway, host.session_id))
            await house.until_blocked(gateway)
            async with house.another_process() as ingest, ingest.transaction():
                await insert_document(ingest, new_document(None))
        assert await closing is False
    assert await house.session_state(host.session_id) == "running"


async def test_a_page_committed_after_the_close_decided_gets_a_new_session(house: House) -> None:
    await house.add_scan()
    host = await house.begin()
    await house.settle(host, await house.lease(host))
    async with house.another_process() as ingest, house.another_process() as dispatcher:

        async def dispatch() -> int:
            async with dispatcher.transaction():
                return await want_sessions(
                    dispatcher,
                    lanes=[Lane.BULK],
                    max_hosts=1,
                    pages_per_session=10,
                    session_dollars=Decimal("0.36"),
                    budget_dollars=Decimal(50),
                )

        async with house.transaction():
            async with ingest.transaction():
                # Written, not committed: the close cannot see it.
                await insert_document(ingest, new_document(None))
                assert await close_if_nothing_waits(house.db, host.session_id)
            # Committed while the close is not: its dispatcher waits for the close.
            dispatching = asyncio.create_task(dispatch())
            await house.until_blocked(dispatcher)
        assert await dispatching == 1
    assert await house.session_state(host.session_id) == "closed"


async def test_closing_twice_is_closing_once_and_charges_the_own_machine_once(
    house: House,
) -> None:
    await house.add_scan()
    host = await house.begin(new=new_attempt(uuid4(), dollars_per_hour="3.6"))
    await house.change(
        "update aseagi.gpu_hosts set created_at = created_at - interval '100 seconds'"
    )
    for reason in ("idle", "again", "and again"):
        await house.close(host.session_id, reason=reason)
    assert await house.one("select close_reason from aseagi.ocr_sessions") == "idle"
    [(kind, dollars, seconds, charged)] = await house.rows(
        "select kind, dollars, quantity, host_id from aseagi.charges"
    )
    assert (kind, charged) == ("gpu", host.host_id)
    assert Decimal(100) <= seconds < Decimal(130)
    assert abs(dollars - seconds / 1000) < Decimal("0.000002")
    async with house.transaction():
        assert await session_cost(house.db, host.session_id) == dollars


async def test_closing_at_the_same_moment_from_both_ends_charges_once(house: House) -> None:
    await house.add_scan()
    host = await house.begin()
    async with house.another_process() as other:

        async def close() -> None:
            async with other.transaction():
                await close_session(other, host.session_id, reason="its run ended")

        async with house.transaction():
            assert await close_if_idle(
                house.db, host.session_id, reason="deadline", must_close=True
            )
            closing = asyncio.create_task(close())
            await house.until_blocked(other)
        await closing
    assert await house.one("select close_reason from aseagi.ocr_sessions") == "deadline"
    assert await house.one("select count(*) from aseagi.charges") == 1


async def test_fifty_sessions_by_hand_on_an_empty_queue_do_no_harm(house: House) -> None:
    for _ in range(50):
        assert isinstance(await house.try_begin(), NotBegun)
    assert await house.rows(
        "select state, close_reason, count(*) from aseagi.ocr_sessions group by 1, 2"
    ) == [("closed", "nothing to read", 50)]
    assert await house.one("select count(*) from aseagi.gpu_hosts") == 0


async def test_a_session_whose_worst_case_exceeds_the_budget_is_not_begun(house: House) -> None:
    await house.add_scan()
    refused = await house.try_begin(
        new=new_attempt(uuid4(), reserved_dollars="2", budget_dollars="1.50")
    )
    assert isinstance(refused, NotBegun)
    assert "budget" in refused.reason
    assert await house.one("select count(*) from aseagi.gpu_hosts") == 0
    begun = await house.try_begin(
        new=new_attempt(uuid4(), reserved_dollars="1", budget_dollars="1.50")
    )
    assert isinstance(begun, Begun)
    # What the first host may still cost counts against the second.
    second = await house.try_begin(
        new=new_attempt(uuid4(), reserved_dollars="1", budget_dollars="1.50")
    )
    assert isinstance(second, NotBegun)


async def test_no_more_sessions_run_than_are_allowed_however_they_were_started(
    house: House,
) -> None:
    await house.add_scan(2)
    await house.begin()
    refused = await house.try_begin(new=new_attempt(uuid4(), max_hosts=1))
    assert isinstance(refused, NotBegun)
    assert "no more are allowed" in refused.reason


# Ending what hangs, and the breaker


async def close_overdue(house: House) -> list[UUID]:
    async with house.transaction():
        return await close_overdue_sessions(house.db)


@pytest.mark.parametrize(
    ("past", "reason"),
    [
        (
            "update aseagi.ocr_sessions set deadline_at = now() - interval '1 s'",
            "it reached its deadline",
        ),
        (
            "update aseagi.ocr_sessions set last_seen_at = now() - interval '16 min'",
            "its host was silent for 15 minutes",
        ),
    ],
)
async def test_a_session_that_hangs_is_closed_and_its_pages_wait_again(
    house: House, past: LiteralString, reason: str
) -> None:
    document_id = await house.add_scan()
    host = await house.begin()
    await house.lease(host)
    assert await close_overdue(house) == []
    await house.change(past)
    assert await close_overdue(house) == [host.session_id]
    assert await house.one("select close_reason from aseagi.ocr_sessions") == reason
    assert await house.page_states(document_id) == ["waiting"]
    assert await close_overdue(house) == []


async def test_a_host_that_overstays_its_closed_session_is_named_after_a_minute(
    house: House,
) -> None:
    await house.add_scan()
    host = await house.begin()
    async with house.transaction():
        await host_is_running(house.db, host.host_id, instance_id="here:1:2", machine="here")
    await house.close(host.session_id, reason="it reached its deadline")
    async with house.transaction():
        assert await overstaying_hosts(house.db, machine="here") == []
    await house.change("update aseagi.gpu_hosts set ended_at = now() - interval '61 s'")
    async with house.transaction():
        named = await overstaying_hosts(house.db, machine="here")
        assert named == [("here:1:2", "it reached its deadline")]
        assert await overstaying_hosts(house.db, machine="elsewhere") == []


async def end_a_session(house: House, *, reads: bool = False, failed: bool = True) -> None:
    """One session on a fresh page."""
    await house.add_scan()
    host = await house.begin()
    lease = await house.lease(host, limit=1)
    if reads:
        await house.settle(host, lease)
    await house.close(host.session_id, reason="its host died", failed=failed)


async def pause_reason(house: House) -> str | None:
    async with house.transaction():
        return (await read_controls(house.db)).paused_reason


async def test_three_hosts_in_a_row_without_a_page_read_stop_all_spending(house: House) -> None:
    for _ in range(2):
        await end_a_session(house)
        assert await house.want() == 1
        await house.close(await the_wanted_session(house))
    await end_a_session(house)
    assert await house.want() == 0
    reason = await pause_reason(house)
    assert reason is not None
    assert reason.startswith("3 hosts in a row")
    assert "its host died" in reason


async def test_after_resume_the_breaker_counts_anew(house: House) -> None:
    for _ in range(3):
        await end_a_session(house)
    assert await house.want() == 0
    async with house.transaction():
        await resume(house.db)
    assert await house.want() == 1
    await house.close(await the_wanted_session(house))
    await end_a_session(house)
    assert await house.want() == 1


@pytest.mark.parametrize("good", [{"reads": True}, {"failed": False}])
async def test_a_session_that_read_or_was_cancelled_breaks_the_row(
    house: House, good: dict[str, bool]
) -> None:
    await end_a_session(house)
    await end_a_session(house)
    await end_a_session(house, **good)
    await end_a_session(house)
    await end_a_session(house)
    assert await house.want() == 1
    assert await pause_reason(house) is None


async def test_one_killer_page_alone_ends_three_hosts_and_stops_nothing(house: House) -> None:
    document_id = await house.add_scan()
    for _ in range(3):
        host = await house.begin()
        await house.lease(host)
        await house.close(host.session_id, reason="its host died", failed=True)
    assert await house.page_states(document_id) == ["failed"]
    await house.add_scan()
    assert await house.want() == 1
    assert await pause_reason(house) is None


async def the_wanted_session(house: House) -> UUID:
    return await house.one("select id from aseagi.ocr_sessions where state = 'wanted'")


async def session_without_a_host(house: House, *, ago: timedelta) -> None:
    """One that began, found no host to rent, and closed so long ago."""
    begun = await house.begin(new=new_attempt(uuid4(), provider="vastai"))
    await house.close(begun.session_id, reason="no offer will do")
    await house.change(
        "update aseagi.ocr_sessions set closed_at = now() - %s where id = %s", ago, begun.session_id
    )


@pytest.mark.parametrize(("in_vain", "minutes"), [(1, 0.5), (2, 1), (3, 2), (4, 4), (9, 16)])
async def test_while_no_host_can_be_rented_it_is_tried_less_and_less_often(
    house: House, in_vain: int, minutes: float
) -> None:
    await house.add_scan()
    for number in range(in_vain, 1, -1):
        await session_without_a_host(house, ago=timedelta(hours=number))
    await session_without_a_host(house, ago=timedelta(minutes=minutes) - timedelta(seconds=10))
    assert await house.want() == 0
    await house.change("update aseagi.ocr_sessions set closed_at = closed_at - interval '10 s'")
    assert await house.want() == 1


async def test_a_host_that_was_rented_or_is_ones_own_ends_the_hold_off(house: House) -> None:
    await house.add_scan()
    for provider in ("vastai", "local"):
        await session_without_a_host(house, ago=timedelta(seconds=2))
        begun = await house.begin(new=new_attempt(uuid4(), provider=provider))
        await house.change(
            """
            update aseagi.gpu_hosts set state = 'running', instance_id = '1', ordered_at = now(),
                rented_at = now(), running_at = now() where id = %s
            """,
            begun.host_id,
        )
        await house.close(begun.session_id, reason="read")
        assert await house.want() == 1
        await house.change("delete from aseagi.ocr_sessions where state = 'wanted'")


async def test_resume_ends_the_hold_off(house: House) -> None:
    await house.add_scan()
    await session_without_a_host(house, ago=timedelta(seconds=2))
    async with house.transaction():
        await resume(house.db)
    assert await house.want() == 1
