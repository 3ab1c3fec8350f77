"""Documents analysed anew, and jobs that are put off."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from schema.failures import Failure, Stage
from schema.lanes import Lane
from sql.documents import list_documents
from sql.jobs import (
    AnalysisJob,
    analyse_again,
    claim_for_analysis,
    complete_job,
    count_incomplete_since,
    fail_job,
    jobs_waiting,
    put_off_job,
    retry_jobs,
    stop_waiting,
)
from tests.sql.house import TTL, House, analysis, failure, new_document

LOST = Failure(stage=Stage.ANALYSE, reason="An answer was lost.", retry_helps=True)
DECLINED = Failure(stage=Stage.ANALYSE, reason="Claude declined.", retry_helps=False)


async def claim(house: House, holder: UUID) -> list[AnalysisJob]:
    async with house.transaction():
        return await claim_for_analysis(
            house.db, holder=holder, limit=99, ttl=TTL, lanes=list(Lane)
        )


async def complete(house: House, *, by: str = "a test", lacks: Failure | None = None) -> None:
    """Complete whatever waits for its analysis."""
    holder = uuid4()
    for job in await claim(house, holder):
        found = analysis().model_copy(update={"analyst": by})
        async with house.transaction():
            assert await complete_job(house.db, job, found, holder=holder, failure=lacks)


async def again(
    house: House,
    *,
    ids: Sequence[UUID] | None = None,
    matter: str | None = None,
    by_rules_only: bool = False,
) -> int:
    async with house.transaction():
        return await analyse_again(
            house.db, document_ids=ids, matter=matter, by_rules_only=by_rules_only
        )


async def queued(house: House) -> list[UUID]:
    rows = await house.rows(
        "select document_id from aseagi.processing_jobs where status = 'queued' order by created_at"
    )
    return [row[0] for row in rows]


async def test_a_document_queued_again_keeps_its_analysis_until_the_new_one_is_stored(
    house: House,
) -> None:
    document = await house.add(new_document("x"))
    await complete(house, by="offline rules 2", lacks=DECLINED)
    assert await again(house) == 1
    assert await house.job(document) == ("queued", "analyse")
    async with house.transaction():
        [row] = await list_documents(house.db)
    assert row.analysis is not None
    assert (row.title, row.analysis["analyst"]) == ("A letter", "offline rules 2")
    # What it lacks is said of the analysis that is there.
    assert row.analysis_failure == DECLINED.model_dump(mode="json")
    await complete(house, by="claude")
    async with house.transaction():
        [row] = await list_documents(house.db)
    assert row.analysis is not None
    assert (row.analysis["analyst"], row.analysis_failure) == ("claude", None)


async def test_a_document_is_queued_again_as_if_it_was_never_tried(house: House) -> None:
    await house.add(new_document("x", lane=Lane.NIGHTLY))
    await complete(house)
    await house.change("update aseagi.processing_jobs set analysis_attempts = 2, waits = 5")
    await again(house)
    assert await house.rows(
        "select lane, analysis_round, analysis_attempts, waits, completed_at, claimed_by "
        "from aseagi.processing_jobs"
    ) == [("nightly", 1, 0, 0, None, None)]


async def test_the_seconds_of_a_document_are_those_of_its_last_round(house: House) -> None:
    document = await house.add(new_document("x"))
    await house.change(
        "update aseagi.processing_jobs set created_at = now() - interval '30 days', "
        "ready_at = created_at"
    )
    await complete(house)
    async with house.transaction():
        [first] = await list_documents(house.db)
    await again(house, ids=[document])
    await complete(house)
    async with house.transaction():
        [second] = await list_documents(house.db)
    assert first.seconds is not None
    assert second.seconds is not None
    assert first.seconds > 29 * 86_400
    assert second.seconds < 60


async def test_what_waits_is_analysed_or_failed_is_left_alone(house: House) -> None:
    failed = await house.add(new_document("x"))
    holder = uuid4()
    [job] = await claim(house, holder)
    async with house.transaction():
        await fail_job(house.db, job.id, failure(), holder=holder)
    at_work = await house.add(new_document("x"))
    await claim(house, holder)
    waiting = await house.add(new_document("x"))
    await house.add_scan()
    assert await again(house, ids=[failed, at_work, waiting]) == 0
    assert await again(house) == 0
    assert await house.job(at_work) == ("processing", "analyse")
    assert await house.one("select max(analysis_round) from aseagi.processing_jobs") == 0


async def test_documents_are_chosen_by_id_by_matter_and_by_who_analysed_them(house: House) -> None:
    ruled = await house.add(new_document("x", matter="smith"))
    ruled_elsewhere = await house.add(new_document("x", matter="miller"))
    await complete(house, by="offline rules 2")
    by_claude = await house.add(new_document("x", matter="smith"))
    await complete(house, by="claude-haiku-5-5")

    assert await again(house, ids=[ruled, by_claude], matter="smith", by_rules_only=True) == 1
    assert await queued(house) == [ruled]
    assert await again(house, by_rules_only=True) == 1
    assert await queued(house) == [ruled, ruled_elsewhere]
    assert await again(house, matter="smith") == 1
    assert await queued(house) == [ruled, ruled_elsewhere, by_claude]


async def test_an_incomplete_analysis_is_counted_and_retried_only_where_that_helps(
    house: House,
) -> None:
    began = datetime.now(UTC) - timedelta(minutes=1)
    await house.add(new_document("x"))
    await complete(house)
    lost = await house.add(new_document("x"))
    await complete(house, lacks=LOST)
    await house.add(new_document("x"))
    await complete(house, lacks=DECLINED)
    async with house.transaction():
        assert await count_incomplete_since(house.db, began) == 2
        assert await count_incomplete_since(house.db, began + timedelta(hours=1)) == 0
        assert await retry_jobs(house.db) == 1
    assert await queued(house) == [lost]


async def test_jobs_put_off_are_counted_by_reason_until_they_no_longer_wait(house: House) -> None:
    for _ in range(3):
        await house.add(new_document("x"))
    holder = uuid4()
    jobs = await claim(house, holder)
    async with house.transaction():
        for job, (reason, minutes) in zip(
            jobs, [("no credit", 10), ("too dear", 60), ("no credit", 5)], strict=True
        ):
            wait = timedelta(minutes=minutes)
            await put_off_job(house.db, job, reason, holder=holder, wait=wait)
    async with house.transaction():
        waiting = await jobs_waiting(house.db)
        assert await jobs_waiting(house.db, limit=1) == waiting[:1]
    assert [(one.reason, one.jobs) for one in waiting] == [("no credit", 2), ("too dear", 1)]
    first_goes_on = waiting[0].until - datetime.now(UTC)
    assert timedelta(minutes=4) < first_goes_on <= timedelta(minutes=5)
    assert await claim(house, holder) == []
    async with house.transaction():
        assert await stop_waiting(house.db) == 3
        assert await jobs_waiting(house.db) == []
    assert len(await claim(house, holder)) == 3
