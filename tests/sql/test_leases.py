import asyncio
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID, uuid4

from schema.lanes import Lane
from sql.connection import Connection
from sql.jobs import claim_for_analysis, complete_job, retry_jobs
from sql.leases import (
    MAX_ATTEMPTS,
    LeaseRow,
    already_settled,
    count_waiting_pages,
    extend_leases,
    held_pages,
    lease_pages,
    release_leases,
    settle_pages,
)
from sql.sessions import Begun, close_session
from tests.sql.house import (
    TTL,
    House,
    all_read,
    analysis,
    failure,
    new_document,
    pages_of,
    read,
    unreadable,
)


async def lose(house: House, host: Begun, times: int = 1, *, limit: int = 64) -> None:
    """Lease pages and let the time run out, as a host that dies would."""
    for _ in range(times):
        await house.pass_time_of(await house.lease(host, limit=limit))
        await expire(house)


async def expire(house: House) -> int:
    async with house.transaction():
        return await release_leases(house.db)


# Taking pages


async def test_pages_are_leased_in_order_of_lane_then_of_arrival(house: House) -> None:
    nightly = await house.add_scan(lane=Lane.NIGHTLY)
    bulk = await house.add_scan(2, lane=Lane.BULK)
    later = await house.add_scan(lane=Lane.BULK)
    urgent = await house.add_scan(lane=Lane.NOW)
    host = await house.begin()
    order: list[tuple[UUID, int]] = []
    while (lease := await house.try_lease(host, limit=1)) is not None:
        order += pages_of(lease)
    assert order == [(urgent, 1), (bulk, 1), (bulk, 2), (later, 1), (nightly, 1)]


async def test_a_lease_holds_what_a_host_needs_and_no_more_than_it_asked_for(house: House) -> None:
    document_id = await house.add_scan(10)
    lease = await house.lease(await house.begin(), limit=4)
    assert pages_of(lease) == [(document_id, number) for number in (1, 2, 3, 4)]
    assert {page.media_type for page in lease.pages} == {"application/pdf"}
    assert await house.page_states(document_id) == ["leased"] * 4 + ["waiting"] * 6
    assert await house.job(document_id) == ("processing", "read")
    async with house.transaction():
        assert await count_waiting_pages(house.db) == 6


async def test_pages_with_a_text_layer_are_never_leased(house: House) -> None:
    document_id = await house.add(new_document("A text layer.", None, "Another."))
    lease = await house.lease(await house.begin())
    assert pages_of(lease) == [(document_id, 2)]


async def test_nothing_is_leased_when_nothing_waits(house: House) -> None:
    await house.add_scan()
    host = await house.begin()
    await house.lease(host)
    assert await house.try_lease(host) is None


async def test_two_hosts_leasing_at_once_get_different_pages_and_never_wait(house: House) -> None:
    await house.add_scan(6)
    await house.add_scan(4)
    first, second = await house.begin(), await house.begin()
    async with house.another_process() as other, house.transaction():
        mine = await house.lease(first, limit=6)
        # The first has not committed: its pages are skipped, not waited for.
        theirs = await asyncio.wait_for(
            lease_pages(
                other,
                session_id=second.session_id,
                attempt_id=second.attempt_id,
                limit=6,
                ttl=TTL,
            ),
            60,
        )
    assert theirs is not None
    assert len(pages_of(mine)) == 6
    assert len(pages_of(theirs)) == 4
    assert not set(pages_of(mine)) & set(pages_of(theirs))


async def test_many_hosts_leasing_at_once_lease_every_page_once(house: House) -> None:
    for _ in range(8):
        await house.add_scan(5)
    host = await house.begin()

    async def lease_all(db: Connection) -> list[tuple[UUID, int]]:
        taken: list[tuple[UUID, int]] = []
        while True:
            async with db.transaction():
                lease = await lease_pages(
                    db,
                    session_id=host.session_id,
                    attempt_id=host.attempt_id,
                    limit=3,
                    ttl=TTL,
                )
            if lease is None:
                return taken
            taken += pages_of(lease)

    async with house.another_process() as a, house.another_process() as b:
        taken = await asyncio.gather(*map(lease_all, (house.db, a, b)))
    pages = [page for each in taken for page in each]
    assert len(pages) == len(set(pages)) == 40


# Attempts


async def test_an_attempt_is_counted_when_a_page_is_leased_not_when_it_is_lost(
    house: House,
) -> None:
    await house.add_scan()
    await house.lease(await house.begin())
    assert await house.one("select attempts from aseagi.pages") == 1


async def test_an_expired_lease_returns_its_pages(house: House) -> None:
    document_id = await house.add_scan(2)
    host = await house.begin()
    lease = await house.lease(host)
    assert await expire(house) == 0
    await house.pass_time_of(lease)
    assert await expire(house) == 1
    assert await house.page_states(document_id) == ["waiting", "waiting"]
    assert pages_of(await house.lease(host)) == pages_of(lease)
    assert await house.one("select distinct attempts from aseagi.pages") == 2


async def test_pages_that_ended_a_host_come_after_the_fresh_ones(house: House) -> None:
    suspect = await house.add_scan(2)
    host = await house.begin()
    await lose(house, host)
    fresh = await house.add_scan(2)
    assert pages_of(await house.lease(host, limit=3)) == [(fresh, 1), (fresh, 2), (suspect, 1)]


async def test_a_third_attempt_runs_alone_with_nothing_held_beside_it(house: House) -> None:
    suspect = await house.add_scan(2)
    host = await house.begin()
    await lose(house, host, 2)
    fresh = await house.add_scan(5)
    neighbours = await house.lease(host)
    assert pages_of(neighbours) == [(fresh, number) for number in range(1, 6)]
    # The suspects wait until the host holds nothing …
    assert await house.try_lease(host) is None
    await house.settle(host, neighbours)
    alone = await house.lease(host)
    assert pages_of(alone) == [(suspect, 1)]
    # … and while it tries one, it is lent nothing else, however urgent.
    await house.add_scan(1, lane=Lane.NOW)
    assert await house.try_lease(host) is None
    await house.settle(host, alone)
    assert len(pages_of(await house.lease(host))) == 1


async def test_another_host_may_work_while_one_tries_a_suspect(house: House) -> None:
    suspect = await house.add_scan()
    host, other = await house.begin(), await house.begin()
    await lose(house, host, 2)
    assert pages_of(await house.lease(host)) == [(suspect, 1)]
    fresh = await house.add_scan()
    assert pages_of(await house.lease(other)) == [(fresh, 1)]


async def test_a_page_lost_three_times_fails_with_a_reason_and_its_document_goes_on(
    house: House,
) -> None:
    document_id = await house.add_scan(2)
    host = await house.begin()
    first = await house.lease(host, limit=1)
    await house.settle(host, first)
    await lose(house, host, MAX_ATTEMPTS)
    assert await house.page_states(document_id) == ["done", "failed"]
    error = await house.one("select error from aseagi.pages where number = 2")
    assert error["retry_helps"] is True
    assert "3 hosts" in error["reason"]
    assert await house.job(document_id) == ("processing", "analyse")


async def test_a_document_of_which_no_page_could_be_read_fails_with_the_first_reason(
    house: House,
) -> None:
    document_id = await house.add_scan(2)
    host = await house.begin()
    lease = await house.lease(host)
    pages = pages_of(lease)
    outcomes = [unreadable(pages[1], "The second is black."), unreadable(pages[0], "It is white.")]
    assert await house.settle(host, lease, outcomes) == (2, [])
    assert (await house.job(document_id))[0] == "failed"
    assert (await house.one("select error from aseagi.processing_jobs"))["reason"] == "It is white."


async def test_a_failed_page_leaves_a_document_that_says_which_page_is_missing(
    house: House,
) -> None:
    document_id = await house.add_scan(3)
    host = await house.begin()
    lease = await house.lease(host)
    one, two, three = pages_of(lease)
    outcomes = [read(one, "One."), unreadable(two, "A coffee stain."), read(three, "Three.")]
    assert await house.settle(host, lease, outcomes) == (3, [document_id])
    assert await house.page_states(document_id) == ["done", "failed", "done"]
    assert await house.one("select ocr_text from aseagi.documents") == "One.\f\fThree."
    [(number, error)] = await house.rows(
        "select number, error from aseagi.pages where state = 'failed'"
    )
    assert (number, error["page"], error["reason"]) == (2, 2, "A coffee stain.")


# Results


async def test_a_read_page_keeps_everything_the_engine_said(house: House) -> None:
    await house.add_scan()
    host = await house.begin()
    await house.settle(host, await house.lease(host))
    assert await house.rows(
        """select state, text, source, engine, width_pixels, rotation_degrees, confidence,
           seconds from aseagi.pages"""
    ) == [("done", "Words of page 1.", "ocr", "an engine 1.0", 850, 0, None, 0.5)]
    assert await house.rows("select session_id, lease_id from aseagi.pages") == [
        (host.session_id, None)
    ]
    assert await house.one("select state from aseagi.leases") == "done"
    assert await house.one("select pages_read from aseagi.ocr_sessions") == 1


async def test_a_lease_stays_open_until_its_last_page_is_settled(house: House) -> None:
    document_id = await house.add_scan(2)
    host = await house.begin()
    lease = await house.lease(host)
    one, two = pages_of(lease)
    assert await house.settle(host, lease, [read(one)]) == (1, [])
    assert await house.one("select state from aseagi.leases") == "open"
    assert await house.job(document_id) == ("processing", "read")
    assert await house.settle(host, lease, [read(two)]) == (1, [document_id])
    assert await house.one("select state from aseagi.leases") == "done"
    assert await house.job(document_id) == ("processing", "analyse")


async def test_completing_twice_is_completing_once(house: House) -> None:
    await house.add_scan(2)
    host = await house.begin()
    lease = await house.lease(host)
    assert (await house.settle(host, lease))[0] == 2
    again = [read(page, "Other words.") for page in pages_of(lease)]
    assert await house.settle(host, lease, again) == (0, [])
    async with house.transaction():
        known = await already_settled(house.db, session_id=host.session_id, pages=pages_of(lease))
    assert known == 2
    assert await house.rows("select text from aseagi.pages order by number") == [
        ("Words of page 1.",),
        ("Words of page 2.",),
    ]
    assert await house.one("select pages_read from aseagi.ocr_sessions") == 2


async def test_one_report_that_names_a_page_twice_counts_it_once(house: House) -> None:
    await house.add_scan()
    host = await house.begin()
    lease = await house.lease(host)
    [page] = pages_of(lease)
    assert (await house.settle(host, lease, [read(page, "First."), unreadable(page)]))[0] == 1
    assert await house.one("select text from aseagi.pages") == "First."


async def test_pages_outside_the_lease_are_refused(house: House) -> None:
    document_id = await house.add_scan(2)
    host = await house.begin()
    lease = await house.lease(host, limit=1)
    foreign = [read((document_id, 2)), read((document_id, 3)), read((host.session_id, 1))]
    assert await house.settle(host, lease, foreign) == (0, [])
    assert await house.page_states(document_id) == ["leased", "waiting"]


async def test_a_stale_attempt_cannot_complete_a_lease_taken_over(house: House) -> None:
    document_id = await house.add_scan()
    stale, current = await house.begin(), await house.begin()
    lost = await house.lease(stale)
    await house.pass_time_of(lost)
    await expire(house)
    taken_over = await house.lease(current)
    assert pages_of(taken_over) == pages_of(lost)
    assert await house.settle(stale, lost) == (0, [])
    # Nor with the other's lease, should it learn of it.
    assert await house.settle(stale, taken_over) == (0, [])
    assert await house.page_states(document_id) == ["leased"]
    async with house.transaction():
        assert await held_pages(house.db, lease_id=lost.id, attempt_id=stale.attempt_id) == []
        assert await held_pages(house.db, lease_id=taken_over.id, attempt_id=stale.attempt_id) == []
    assert await house.settle(current, taken_over) == (1, [document_id])
    async with house.transaction():
        told = pages_of(lost)
        assert await already_settled(house.db, session_id=stale.session_id, pages=told) == 0
        assert await already_settled(house.db, session_id=current.session_id, pages=told) == 1


async def test_a_heartbeat_extends_what_is_still_held_and_leaves_out_what_is_lost(
    house: House,
) -> None:
    await house.add_scan(4)
    host, other = await house.begin(), await house.begin()
    kept, lost = await house.lease(host, limit=1), await house.lease(host, limit=1)
    foreign = await house.lease(other, limit=1)
    await house.pass_time_of(lost)
    await expire(house)
    async with house.transaction():
        extended = await extend_leases(
            house.db,
            attempt_id=host.attempt_id,
            lease_ids=[kept.id, lost.id, foreign.id, host.session_id],
            ttl=timedelta(hours=2),
        )
    assert [one.id for one in extended] == [kept.id]
    assert pages_of(extended[0]) == pages_of(kept)
    assert extended[0].expires_at > kept.expires_at


# At the same moment


async def settle_elsewhere(
    db: Connection, host: Begun, lease: LeaseRow
) -> tuple[int, Sequence[UUID]]:
    async with db.transaction():
        return await settle_pages(
            db, lease_id=lease.id, attempt_id=host.attempt_id, outcomes=all_read(lease)
        )


async def test_two_leases_that_finish_one_document_together_hand_it_on_once(house: House) -> None:
    document_id = await house.add_scan(2)
    one, two = await house.begin(), await house.begin()
    first, second = await house.lease(one, limit=1), await house.lease(two, limit=1)
    async with house.another_process() as other:
        async with house.transaction():
            assert await settle_pages(
                house.db,
                lease_id=first.id,
                attempt_id=one.attempt_id,
                outcomes=all_read(first),
            ) == (1, [])
            finishing = asyncio.create_task(settle_elsewhere(other, two, second))
            await house.until_blocked(other)
        assert await finishing == (1, [document_id])
    assert await house.job(document_id) == ("processing", "analyse")
    assert await house.one("select ocr_text from aseagi.documents") == (
        "Words of page 1.\fWords of page 2."
    )


async def test_a_report_and_the_end_of_its_time_together_store_it_or_refuse_it_whole(
    house: House,
) -> None:
    document_id = await house.add_scan(3)
    host = await house.begin()
    lease = await house.lease(host)
    await house.pass_time_of(lease)
    async with house.another_process() as other:
        # The sweep comes first: the report waits for it, and is refused.
        async with house.transaction():
            assert await release_leases(house.db) == 1
            reporting = asyncio.create_task(settle_elsewhere(other, host, lease))
            await house.until_blocked(other)
        assert await reporting == (0, [])
        assert await house.page_states(document_id) == ["waiting"] * 3
        # The report comes first: the sweep passes the lease by.
        lease = await house.lease(host)
        await house.pass_time_of(lease)
        async with other.transaction():
            await settle_pages(
                other,
                lease_id=lease.id,
                attempt_id=host.attempt_id,
                outcomes=all_read(lease)[:1],
            )
            assert await asyncio.wait_for(expire(house), 60) == 0
    assert await house.page_states(document_id) == ["done", "leased", "leased"]
    assert await expire(house) == 1


async def test_a_report_and_the_end_of_its_session_together_never_deadlock(house: House) -> None:
    """Another lease of the session holds a page of the same document, on its last attempt."""
    document_id = await house.add_scan(2)
    host = await house.begin()
    assert pages_of(await house.lease(host, limit=1)) == [(document_id, 1)]
    reported = await house.lease(host, limit=1)
    assert pages_of(reported) == [(document_id, 2)]
    await house.change("update aseagi.pages set attempts = 3 where number = 1")
    async with (
        house.another_process() as closer,
        house.another_process() as reporter,
        house.another_process() as holds_page,
        house.another_process() as holds_job,
    ):

        async def close() -> None:
            async with closer.transaction():
                await close_session(closer, host.session_id, reason="its flow run ended")

        # Both get as far as they can: the report has its lease, the end has begun.
        async with holds_job.transaction():
            async with holds_page.transaction():
                await holds_page.execute("select 1 from aseagi.pages where number = 2 for update")
                reporting = asyncio.create_task(settle_elsewhere(reporter, host, reported))
                await house.until_blocked(reporter)
                await holds_job.execute("select 1 from aseagi.processing_jobs for update")
                closing = asyncio.create_task(close())
                await house.until_blocked(closer)
            await house.until_blocked(reporter)
        await asyncio.gather(closing, reporting)
    assert await house.page_states(document_id) == ["failed", "done"]
    assert await house.rows("select id from aseagi.leases where state = 'open'") == []


async def test_a_session_closed_during_a_report_keeps_no_page(house: House) -> None:
    document_id = await house.add_scan(2)
    host = await house.begin()
    lease = await house.lease(host)
    async with house.another_process() as other:

        async def close() -> None:
            async with other.transaction():
                await close_session(other, host.session_id, reason="its flow run ended")

        async with house.transaction():
            await settle_pages(
                house.db,
                lease_id=lease.id,
                attempt_id=host.attempt_id,
                outcomes=all_read(lease)[:1],
            )
            closing = asyncio.create_task(close())
            await house.until_blocked(other)
        await closing
    assert await house.page_states(document_id) == ["done", "waiting"]


async def test_a_closed_session_is_lent_nothing(house: House) -> None:
    await house.add_scan()
    host = await house.begin()
    await house.close(host.session_id)
    assert await house.try_lease(host) is None


# Trying again


async def test_retrying_reads_only_the_failed_pages_again(house: House) -> None:
    document_id = await house.add_scan(2)
    host = await house.begin()
    lease = await house.lease(host)
    one, two = pages_of(lease)
    await house.settle(host, lease, [read(one, "Kept."), unreadable(two)])
    await complete(house)
    async with house.transaction():
        assert await retry_jobs(house.db, document_id=document_id) == 1
        assert await retry_jobs(house.db, document_id=document_id) == 0
    assert await house.page_states(document_id) == ["done", "waiting"]
    assert await house.job(document_id) == ("queued", "read")
    again = await house.lease(host)
    assert pages_of(again) == [two]
    assert [page.attempts for page in again.pages] == [0]
    assert await house.settle(host, again, [read(two, "At last.")]) == (1, [document_id])
    assert await house.one("select ocr_text from aseagi.documents") == "Kept.\fAt last."


async def complete(house: House) -> None:
    """Analyse whatever is ready."""
    holder = uuid4()
    async with house.transaction():
        for job in await claim_for_analysis(
            house.db, holder=holder, limit=10, ttl=TTL, lanes=list(Lane)
        ):
            assert await complete_job(house.db, job, analysis(), holder=holder)


async def test_retrying_starts_every_failed_job_again_but_none_that_has_no_pages(
    house: House,
) -> None:
    unread = await house.add_scan()
    host = await house.begin()
    lease = await house.lease(host)
    await house.settle(host, lease, [unreadable(pages_of(lease)[0])])
    broken = await house.add(new_document(failed=failure("It is no PDF.")))
    async with house.transaction():
        assert await retry_jobs(house.db) == 1
    assert await house.job(unread) == ("queued", "read")
    assert await house.page_states(unread) == ["waiting"]
    assert (await house.job(broken))[0] == "failed"


async def test_no_lease_outlives_its_sessions_deadline(house: House) -> None:
    await house.add_scan()
    host = await house.begin()
    lease = await house.lease(host)
    await house.change("update aseagi.ocr_sessions set deadline_at = now() + interval '5 s'")
    async with house.transaction():
        await extend_leases(
            house.db,
            attempt_id=host.attempt_id,
            lease_ids=[lease.id],
            ttl=timedelta(minutes=3),
        )
    assert await house.one("select expires_at <= now() + interval '5 s' from aseagi.leases") is True
