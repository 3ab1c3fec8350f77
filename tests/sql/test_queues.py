"""Arrivals, jobs, drains, charges: what waits, who holds it, what it cost."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import pytest

from schema.lanes import Lane
from sql import arrivals, drains
from sql.arrivals import SUSPECT, SeenObject
from sql.charges import (
    Charge,
    costs_by_day,
    last_charged_day,
    month_to_date,
    record_charges,
    session_cost,
)
from sql.connection import Connection
from sql.documents import (
    find_by_hash,
    find_by_prefix,
    insert_document,
    list_documents,
    list_pages,
)
from sql.jobs import (
    AnalysisJob,
    claim_for_analysis,
    complete_job,
    count_queue,
    count_ready_for_analysis,
    count_unfinished,
    fail_job,
    failed_since,
    retry_jobs,
)
from sql.leases import PageOutcome
from tests.sql.house import (
    TTL,
    House,
    analysis,
    failure,
    new_document,
    page_text,
    pages_of,
    read,
    unreadable,
)

OBJECTS = [SeenObject("raw/a.pdf", "e1", 10), SeenObject("raw/b.pdf", "e1", 10)]


# Documents


async def test_the_same_content_twice_is_one_document(house: House) -> None:
    first = new_document(None, content="the same")
    async with house.transaction():
        document_id, is_new = await insert_document(house.db, first)
        again = await insert_document(house.db, new_document(None, content="the same"))
        assert await find_by_hash(house.db, first.file_hash) == document_id
    assert is_new
    assert again == (document_id, False)
    assert await house.one("select count(*) from aseagi.pages") == 1


async def test_the_same_content_at_the_same_moment_is_one_document(house: House) -> None:
    async with house.another_process() as other:

        async def insert() -> tuple[UUID, bool]:
            async with other.transaction():
                return await insert_document(other, new_document(None, content="the same"))

        async with house.transaction():
            mine = await insert_document(house.db, new_document(None, content="the same"))
            inserting = asyncio.create_task(insert())
            await house.until_blocked(other)
        assert await inserting == (mine[0], False)


async def test_a_document_with_nothing_to_read_is_ready_for_analysis_at_once(house: House) -> None:
    document_id = await house.add(new_document("One.", "", "Three."))
    assert await house.job(document_id) == ("queued", "analyse")
    assert await house.one("select ocr_text from aseagi.documents") == "One.\f\fThree."
    async with house.transaction():
        pages = await list_pages(house.db, document_id)
    assert [(page.number, page.state, page.source) for page in pages] == [
        (number, "done", "text layer") for number in (1, 2, 3)
    ]


async def test_a_file_that_cannot_be_taken_in_is_a_document_that_says_why(house: House) -> None:
    document_id = await house.add(new_document(failed=failure("It is no PDF.")))
    async with house.transaction():
        [row] = await list_documents(house.db, ids=[document_id])
        [failed] = await failed_since(house.db, datetime.now(UTC) - timedelta(hours=1))
    assert (row.status, row.page_count) == ("failed", 0)
    assert failed.error["reason"] == "It is no PDF."


async def test_a_document_is_found_by_the_beginning_of_its_id_and_by_nothing_else(
    house: House,
) -> None:
    document_id = await house.add_scan()
    async with house.transaction():
        assert await find_by_prefix(house.db, str(document_id)[:8].upper()) == [document_id]
        for none in ("zz", "%", "_", "", " "):
            assert await find_by_prefix(house.db, none) == []


async def test_documents_are_listed_by_matter_oldest_first(house: House) -> None:
    ids = [await house.add(new_document("x", matter=one)) for one in ("a", "b", "a", None)]
    async with house.transaction():
        assert [row.id for row in await list_documents(house.db)] == ids
        assert [row.id for row in await list_documents(house.db, limit=2)] == ids[:2]
        of_matter = await list_documents(house.db, matter="a")
    assert [row.id for row in of_matter] == [ids[0], ids[2]]


# Arrivals


async def notice(house: House, objects: Sequence[SeenObject], lane: Lane = Lane.BULK) -> int:
    async with house.transaction():
        return await arrivals.notice(house.db, objects, source="a test", lane=lane)


async def begin_arrivals(db: Connection, limit: int = 10) -> list[arrivals.Arrival]:
    async with db.transaction():
        return await arrivals.begin_arrivals(db, limit=limit)


async def test_an_object_put_back_after_it_was_superseded_arrives_again(house: House) -> None:
    seen = [arrivals.SeenObject("raw/a.pdf", "etag", 3)]
    async with house.transaction():
        assert await arrivals.notice(house.db, seen, source="a test") == 1
        [arrival] = await begin_arrivals(house.db)
        await arrivals.supersede_arrival(house.db, arrival.id)
        assert await begin_arrivals(house.db) == []
        assert await arrivals.notice(house.db, seen, source="a test") == 1
        assert [one.id for one in await begin_arrivals(house.db)] == [arrival.id]


async def test_an_object_noticed_twice_arrived_once(house: House) -> None:
    assert await notice(house, OBJECTS * 2) == 2
    assert await notice(house, OBJECTS) == 0
    assert await notice(house, []) == 0
    # Overwritten, it arrives anew.
    assert await notice(house, [SeenObject("raw/a.pdf", "e2", 10)]) == 1
    assert await notice(house, [SeenObject("raw/a.pdf", "e2", 11)]) == 1


async def test_beginning_an_arrival_counts_an_attempt_so_a_killer_uses_them_up(
    house: House,
) -> None:
    await notice(house, OBJECTS[:1])
    for attempt in (1, 2, 3):
        assert [one.attempts for one in await begin_arrivals(house.db)] == [attempt]


async def test_arrivals_are_taken_by_lane_and_those_tried_least_come_first(house: House) -> None:
    await notice(house, [OBJECTS[0]])
    await begin_arrivals(house.db)
    await notice(house, [OBJECTS[1]])
    await notice(house, [SeenObject("raw/c.pdf", "e", 1)], lane=Lane.NOW)
    order = [(await begin_arrivals(house.db, 1))[0].key for _ in range(2)]
    assert order[0] == "raw/c.pdf"
    async with house.transaction():
        assert await arrivals.count_waiting_arrivals(house.db) == 3
    await house.change("update aseagi.arrivals set attempts = 0 where key = 'raw/b.pdf'")
    await house.change("delete from aseagi.arrivals where key = 'raw/c.pdf'")
    assert (await begin_arrivals(house.db, 1))[0].key == "raw/b.pdf"


async def test_one_that_was_begun_often_is_begun_alone(house: House) -> None:
    await notice(house, OBJECTS)
    await house.change("update aseagi.arrivals set attempts = %s", SUSPECT)
    everyone = {one.key for one in OBJECTS}
    first = await begin_arrivals(house.db)
    assert len(first) == 1
    await notice(house, [SeenObject("raw/fresh.pdf", "e", 1)])
    assert [one.key for one in await begin_arrivals(house.db)] == ["raw/fresh.pdf"]
    async with house.transaction():
        await arrivals.give_attempts_back(house.db, [one.id for one in first])
    others = [await begin_arrivals(house.db) for _ in range(len(everyone) + 1)]
    assert all(len(some) == 1 for some in others)
    assert {one.key for some in others for one in some} == everyone | {"raw/fresh.pdf"}


async def test_two_drains_beginning_at_once_take_different_arrivals(house: House) -> None:
    await notice(house, OBJECTS)
    async with house.another_process() as other, house.transaction():
        mine = await arrivals.begin_arrivals(house.db, limit=1)
        theirs = await asyncio.wait_for(begin_arrivals(other), 60)
    assert {mine[0].key, *(one.key for one in theirs)} == {"raw/a.pdf", "raw/b.pdf"}
    assert len(theirs) == 1


async def test_a_settled_arrival_stays_settled(house: House) -> None:
    await notice(house, [*OBJECTS, SeenObject("raw/c.pdf", "e", 1)])
    document_id = await house.add_scan()
    ingested, superseded, failed = await begin_arrivals(house.db)
    async with house.transaction():
        await arrivals.settle_arrival(
            house.db,
            ingested.id,
            document_id=document_id,
            original_path="/home/a.pdf",
            source="a test",
            submitted_by="somebody",
        )
        await arrivals.supersede_arrival(house.db, superseded.id)
        await arrivals.fail_arrival(house.db, failed.id, failure("It is gone."))
        for one in (ingested, superseded, failed):
            await arrivals.fail_arrival(house.db, one.id, failure("Late."))
            await arrivals.supersede_arrival(house.db, one.id)
    assert await house.rows(
        "select state, source, error->>'reason' from aseagi.arrivals order by key"
    ) == [
        ("ingested", "a test", None),
        ("superseded", "a test", None),
        ("failed", "a test", "It is gone."),
    ]
    assert await begin_arrivals(house.db) == []


async def test_failed_arrivals_can_be_retried_with_all_their_attempts(house: House) -> None:
    await notice(house, OBJECTS)
    for one in (await begin_arrivals(house.db))[:1]:
        async with house.transaction():
            await arrivals.fail_arrival(house.db, one.id, failure())
    async with house.transaction():
        assert await arrivals.retry_arrivals(house.db) == 1
        assert await arrivals.retry_arrivals(house.db) == 0
    assert sorted(one.attempts for one in await begin_arrivals(house.db)) == [1, 2]


# Jobs


async def claim(
    house: House, *, holder: UUID, limit: int = 10, lanes: Sequence[Lane] = tuple(Lane)
) -> list[AnalysisJob]:
    async with house.transaction():
        return await claim_for_analysis(house.db, holder=holder, limit=limit, ttl=TTL, lanes=lanes)


async def test_a_claim_gives_the_pages_in_order_and_is_exclusive(house: House) -> None:
    document_id = await house.add(new_document("One.", "Two."))
    [job] = await claim(house, holder=uuid4())
    assert (job.document_id, list(job.pages)) == (document_id, ["One.", "Two."])
    assert await house.job(document_id) == ("processing", "analyse")
    assert await claim(house, holder=uuid4()) == []


async def test_jobs_are_claimed_by_lane_and_only_those_wanted(house: House) -> None:
    bulk = await house.add(new_document("x", lane=Lane.BULK))
    urgent = await house.add(new_document("x", lane=Lane.NOW))
    await house.add(new_document("x", lane=Lane.NIGHTLY))
    await house.add_scan()
    async with house.transaction():
        assert await count_ready_for_analysis(house.db, lanes=list(Lane)) == 3
    taken = [
        (await claim(house, holder=uuid4(), limit=1, lanes=[Lane.NOW, Lane.BULK]))[0].document_id
        for _ in range(2)
    ]
    assert taken == [urgent, bulk]
    assert await claim(house, holder=uuid4(), lanes=[Lane.NOW, Lane.BULK]) == []


async def test_two_analysts_claiming_at_once_get_different_jobs(house: House) -> None:
    for _ in range(2):
        await house.add(new_document("x"))
    async with house.another_process() as other, house.transaction():
        [mine] = await claim_for_analysis(
            house.db, holder=uuid4(), limit=1, ttl=TTL, lanes=list(Lane)
        )
        [theirs] = await asyncio.wait_for(
            claim_for_analysis(other, holder=uuid4(), limit=9, ttl=TTL, lanes=list(Lane)), 60
        )
    assert mine.id != theirs.id


async def test_a_completed_job_keeps_the_analysis_and_says_what_it_rests_on(house: House) -> None:
    document_id = await house.add_scan(3)
    host = await house.begin()
    lease = await house.lease(host)
    one, two, three = pages_of(lease)
    await house.settle(host, lease, [read(one), unreadable(two), read(three)])
    holder = uuid4()
    [job] = await claim(house, holder=holder)
    async with house.transaction():
        assert await complete_job(house.db, job, analysis("An order"), holder=holder)
        assert not await complete_job(house.db, job, analysis("Another"), holder=holder)
    assert await house.job(document_id) == ("completed", "done")
    assert await house.one("select results from aseagi.processing_jobs") == {
        "pages": 3,
        "pages_failed": 1,
        "failed_pages": [2],
        "engines": ["an engine 1.0"],
        "analyst": "a test",
        "analysis_failure": None,
    }
    assert await house.rows("select title, document_type from aseagi.documents") == [
        ("An order", "letter")
    ]


async def test_a_document_with_an_unread_page_says_which_and_why(house: House) -> None:
    document_id = await house.add_scan(5)
    host = await house.begin()
    lease = await house.lease(host)
    one, two, three, *rest = pages_of(lease)
    outcomes = [read(page) for page in (one, two, *rest)]
    await house.settle(host, lease, [*outcomes, unreadable(three, "It is damaged.")])
    async with house.transaction():
        [row] = await list_documents(house.db, ids=[document_id])
    assert row.unread == "page 3 of 5 could not be read: It is damaged."
    assert (row.pages_done, row.pages_failed, row.failed_pages) == (4, 1, [3])


async def test_a_blank_page_is_done_and_known_to_be_blank(house: House) -> None:
    document_id = await house.add_scan(2)
    host = await house.begin()
    lease = await house.lease(host)
    written, empty = pages_of(lease)
    blank = page_text("").model_copy(update={"words": [], "is_blank": True})
    await house.settle(host, lease, [read(written), PageOutcome(*empty, blank)])
    async with house.transaction():
        pages = await list_pages(house.db, document_id)
    [job] = await claim(house, holder=uuid4())
    assert [(page.state, page.text, page.is_blank) for page in pages] == [
        ("done", "Some words.", False),
        ("done", "", True),
    ]
    assert pages[1].confidence is None
    assert (job.blank, job.is_blank) == ([False, True], False)


async def test_a_claim_that_ran_out_is_free_and_the_late_analyst_is_refused(house: House) -> None:
    await house.add(new_document("x"))
    slow, fast = uuid4(), uuid4()
    [job] = await claim(house, holder=slow)
    await house.change("update aseagi.processing_jobs set claimed_until = now() - interval '1s'")
    [again] = await claim(house, holder=fast)
    assert again.id == job.id
    async with house.transaction():
        assert not await complete_job(house.db, job, analysis("Late"), holder=slow)
        await fail_job(house.db, job.id, failure("Late"), holder=slow)
        assert await complete_job(house.db, again, analysis("In time"), holder=fast)
    assert await house.one("select title from aseagi.documents") == "In time"


async def test_a_document_that_kills_its_analyst_three_times_fails_with_a_reason(
    house: House,
) -> None:
    document_id = await house.add(new_document("x"))
    for _ in range(3):
        assert len(await claim(house, holder=uuid4())) == 1
        await house.change(
            "update aseagi.processing_jobs set claimed_until = now() - interval '1s'"
        )
    assert await claim(house, holder=uuid4()) == []
    assert await house.job(document_id) == ("failed", "analyse")
    reason = await house.one("select error->>'reason' from aseagi.processing_jobs")
    assert reason == "Its analysis was begun 3 times and never finished."
    async with house.transaction():
        assert await retry_jobs(house.db) == 1
    assert len(await claim(house, holder=uuid4())) == 1


async def test_a_failed_analysis_keeps_the_text_and_can_be_retried(house: House) -> None:
    document_id = await house.add(new_document("Some words."))
    holder = uuid4()
    [job] = await claim(house, holder=holder)
    async with house.transaction():
        await fail_job(house.db, job.id, failure("The analyst is lost."), holder=holder)
    assert await house.job(document_id) == ("failed", "analyse")
    assert await house.one("select ocr_text from aseagi.documents") == "Some words."
    async with house.transaction():
        assert await retry_jobs(house.db) == 1
    assert await house.job(document_id) == ("queued", "analyse")
    assert len(await claim(house, holder=holder)) == 1


async def test_the_queue_is_counted_as_it_is(house: House) -> None:
    await notice(house, OBJECTS)
    await house.add_scan(3)
    await house.add(new_document("x", lane=Lane.NIGHTLY))
    await house.add(new_document(failed=failure()))
    await house.lease(await house.begin(), limit=1)
    async with house.transaction():
        counts = await count_queue(house.db)
        assert await count_unfinished(house.db, lanes=[Lane.BULK]) == 1
        assert await count_unfinished(house.db, lanes=list(Lane)) == 2
    assert (counts.arrivals_waiting, counts.jobs_queued, counts.jobs_processing) == (2, 1, 1)
    assert (counts.jobs_failed, counts.jobs_completed, counts.sessions_open) == (1, 0, 1)
    assert (counts.pages_waiting, counts.pages_leased, counts.pages_done) == (2, 1, 1)
    assert counts.unfinished == 4


# Drains


async def test_a_drain_is_held_by_one_and_renewed_by_it_alone(house: House) -> None:
    mine, theirs = uuid4(), uuid4()

    async def hold(holder: UUID) -> bool:
        async with house.transaction():
            return await drains.hold(house.db, "ingest", holder=holder, ttl=TTL)

    async def let_go(holder: UUID) -> None:
        async with house.transaction():
            await drains.release(house.db, "ingest", holder=holder)

    async def held() -> bool:
        async with house.transaction():
            return await drains.is_held(house.db, "ingest")

    assert not await held()
    assert await hold(mine)
    assert await hold(mine)
    assert not await hold(theirs)
    await let_go(theirs)
    assert await held()
    await house.change("update aseagi.drains set expires_at = now() - interval '1 second'")
    assert not await held()
    assert await hold(theirs)
    # Who lost the name can neither renew it nor give it away.
    assert not await hold(mine)
    await let_go(mine)
    assert await held()
    await let_go(theirs)
    assert not await held()
    assert await hold(mine)


async def test_two_that_take_a_drain_at_once_are_not_both_told_yes(house: House) -> None:
    async with house.another_process() as other:

        async def hold() -> bool:
            async with other.transaction():
                return await drains.hold(other, "ingest", holder=uuid4(), ttl=TTL)

        async with house.transaction():
            assert await drains.hold(house.db, "ingest", holder=uuid4(), ttl=TTL)
            holding = asyncio.create_task(hold())
            await house.until_blocked(other)
        assert await holding is False


# Money


def charge(key: str, dollars: str, **more: UUID | date) -> Charge:
    on = more.pop("on", datetime.now(UTC).date())
    assert isinstance(on, date)
    document_id, session_id = more.pop("document_id", None), more.pop("session_id", None)
    assert not isinstance(document_id, date)
    assert not isinstance(session_id, date)
    return Charge(
        key=key,
        kind="gpu",
        dollars=Decimal(dollars),
        quantity=Decimal(1),
        unit="second",
        what="x",
        incurred_on=on,
        document_id=document_id,
        session_id=session_id,
    )


async def test_a_charge_recorded_twice_is_paid_once(house: House) -> None:
    async with house.transaction():
        assert await record_charges(house.db, [charge("a", "1.50"), charge("b", "2")]) == 2
        assert await record_charges(house.db, [charge("a", "9"), charge("c", "0.25")]) == 1
        assert await month_to_date(house.db) == Decimal("3.75")


async def test_costs_are_summed_by_day_and_kind(house: House) -> None:
    old, new = date(2026, 1, 1), date(2026, 1, 2)
    async with house.transaction():
        await record_charges(
            house.db,
            [charge("a", "1", on=old), charge("b", "2", on=new), charge("c", "3", on=new)],
        )
        days = await costs_by_day(house.db, since=new)
        assert await last_charged_day(house.db, kind="gpu") == new
        assert await last_charged_day(house.db, kind="llm") is None
        assert await month_to_date(house.db) == 0
    assert [(one.day, one.kind, one.dollars) for one in days] == [(new, "gpu", Decimal(5))]


async def test_a_sessions_bill_is_shared_out_by_pages_read(house: House) -> None:
    long, short = await house.add_scan(3), await house.add_scan(1)
    host = await house.begin()
    await house.settle(host, await house.lease(host))
    async with house.transaction():
        await record_charges(
            house.db,
            [
                charge("session", "4", session_id=host.session_id),
                charge("analysis", "0.10", document_id=short),
            ],
        )
        costs = {row.id: row.cost_dollars for row in await list_documents(house.db)}
        assert await session_cost(house.db, host.session_id) == 4
    assert costs == {long: pytest.approx(Decimal(3)), short: pytest.approx(Decimal("1.10"))}


async def test_a_document_pays_for_the_session_that_read_it_and_not_for_one_that_died(
    house: House,
) -> None:
    await house.add_scan(2)
    dead, alive = await house.begin(), await house.begin()
    await house.lease(dead)
    await house.close(dead.session_id)
    await house.settle(alive, await house.lease(alive))
    async with house.transaction():
        await record_charges(
            house.db,
            [
                charge("dead", "4", session_id=dead.session_id),
                charge("alive", "1", session_id=alive.session_id),
            ],
        )
        [row] = await list_documents(house.db)
    # The dead host's bill stays with the month: it read no page that could bear it.
    assert row.cost_dollars == pytest.approx(Decimal(1))
