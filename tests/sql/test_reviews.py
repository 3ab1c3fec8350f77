"""The review queue: what wants a person's eye, worst first, and off it once it had it."""

from collections.abc import Sequence
from datetime import date
from uuid import UUID, uuid4

import pytest

from schema.analysis import Analysis, DocumentType, KeyFact
from schema.corrections import CorrectedField, Said
from schema.failures import Failure, Stage
from schema.lanes import Lane
from schema.review import WEIGHTS, Reason
from sql.corrections import correct, take_back
from sql.jobs import analyse_again, claim_for_analysis, complete_job, fail_job
from sql.leases import PageOutcome
from sql.reviews import (
    DOUBTFUL_PAGE,
    ToReview,
    count_to_review,
    list_to_review,
    mark_reviewed,
    reason_texts,
    review_of,
)
from tests.sql.house import TTL, House, analysis, failure, new_document, read

FINE = analysis("Fine").model_copy(update={"document_date": date(2024, 3, 4), "confidence": 0.9})
LACKS = Failure(stage=Stage.ANALYSE, reason="An answer was lost.", retry_helps=True)


async def complete(
    house: House, found: Analysis | None, *, lacks: Failure | None = None
) -> list[UUID]:
    """Let the analyst have its say of whatever waits; without one it fails."""
    holder = uuid4()
    async with house.transaction():
        jobs = await claim_for_analysis(
            house.db, holder=holder, limit=99, ttl=TTL, lanes=list(Lane)
        )
    for job in jobs:
        async with house.transaction():
            if found is None:
                await fail_job(house.db, job.id, failure("Nothing helped."), holder=holder)
            else:
                assert await complete_job(house.db, job, found, holder=holder, failure=lacks)
    return [job.document_id for job in jobs]


async def queue(house: House, *, matter: str | None = None) -> list[ToReview]:
    async with house.transaction():
        found = await list_to_review(house.db, matter=matter)
        assert await count_to_review(house.db, matter=matter) == len(found)
    return found


async def look_at(house: House, *documents: UUID, note: str | None = None) -> int:
    async with house.transaction():
        return await mark_reviewed(house.db, documents, by="M. Lopez", note=note)


def doubtful(**update: object) -> Analysis:
    return FINE.model_copy(update=update)


UNFOUND = [KeyFact(fact="f", quote="never said", page=1), KeyFact(fact="g", quote="", page=1)]


@pytest.mark.parametrize(
    ("found", "lacks", "reasons", "said"),
    [
        (FINE, None, [], []),
        (None, None, [Reason.FAILED], ["failed: Nothing helped."]),
        (
            FINE, LACKS, [Reason.ANALYSIS_INCOMPLETE],
            ["analysis incomplete: An answer was lost."],
        ),
        (
            doubtful(confidence=0.3), None, [Reason.ANALYSIS_DOUBTFUL],
            ["its analysis is 30% sure"],
        ),
        (
            doubtful(key_facts=UNFOUND), None, [Reason.QUOTES_NOT_FOUND],
            ["1 quote not found on the page"],
        ),
        (
            doubtful(document_date=None, type=DocumentType.OTHER), None,
            [Reason.NO_DATE, Reason.TYPE_OTHER], ["no date", "of no known type"],
        ),
    ],
)  # fmt: skip
async def test_each_reason_is_found_and_said(
    house: House,
    found: Analysis | None,
    lacks: Failure | None,
    reasons: Sequence[Reason],
    said: Sequence[str],
) -> None:
    await house.add(new_document("words"))
    assert await queue(house) == [], "what is under way is nobody's yet"
    await complete(house, found, lacks=lacks)
    assert [(sorted(one.reasons), reason_texts(one)) for one in await queue(house)] == (
        [(sorted(reasons), said)] if reasons else []
    )


async def test_pages_that_failed_and_pages_read_with_doubt_are_reasons(house: House) -> None:
    await house.add_scan(3)
    host = await house.begin()
    lease = await house.lease(host)
    one, two, three = [(page.document_id, page.number) for page in lease.pages]
    outcomes = [read(one), read(two), PageOutcome(*three, failure(page=3))]
    await house.settle(host, lease, outcomes)
    await house.change("update aseagi.pages set confidence = 0.4 where number = 2")
    await complete(house, FINE)
    [found] = await queue(house)
    assert reason_texts(found) == [
        "page 3 could not be read", "1 page read with doubt, the worst 40% sure",
    ]  # fmt: skip


async def test_the_worst_comes_first_and_a_matter_narrows(house: House) -> None:
    await house.add(new_document("x", matter="a"))
    [undated] = await complete(house, doubtful(document_date=None))
    await house.add(new_document("x", matter="b"))
    [failed] = await complete(house, None)
    assert [one.id for one in await queue(house)] == [failed, undated]
    assert [one.id for one in await queue(house, matter="a")] == [undated]


async def test_what_a_person_saw_stays_off_the_list_until_it_is_another(house: House) -> None:
    await house.add(new_document("x"))
    undated = doubtful(document_date=None)
    [document] = await complete(house, undated)
    assert await look_at(house, document, note="it has none") == 1
    assert await queue(house) == []
    for again, comes_back in (
        (undated.model_copy(update={"title": "Worded anew"}), False),
        (FINE, False),  # now there is no reason at all
        (undated, False),
        (undated.model_copy(update={"confidence": 0.1}), True),  # a new reason
        (undated.model_copy(update={"type": DocumentType.MOTION}), True),
    ):
        async with house.transaction():
            await analyse_again(house.db)
        await complete(house, again)
        assert bool(await queue(house)) is comes_back, again.title
    await look_at(house, document)
    async with house.transaction():
        seen = await review_of(house.db, document)
    assert seen is not None
    assert (seen.reviewed_by, seen.note) == ("M. Lopez", None)


async def test_a_correction_is_a_persons_eye_too(house: House) -> None:
    await house.add(new_document("x"))
    [document] = await complete(house, doubtful(confidence=0.1, type=DocumentType.OTHER))
    await look_at(house, document)
    async with house.transaction():
        await correct(house.db, document, Said(type=DocumentType.MOTION), by="M. Lopez")
    assert await queue(house) == []


async def test_correcting_something_else_is_no_look_at_what_changed(house: House) -> None:
    await house.add(new_document("x"))
    [document] = await complete(house, doubtful(document_date=None))
    await look_at(house, document)
    async with house.transaction():
        await analyse_again(house.db)
    await complete(house, doubtful(document_date=None, type=DocumentType.MOTION))
    assert len(await queue(house)) == 1
    async with house.transaction():
        await correct(house.db, document, Said(matter="jones"), by="x")
    assert len(await queue(house)) == 1
    async with house.transaction():
        await correct(house.db, document, Said(type=DocumentType.MOTION), by="x")
    assert await queue(house) == []


async def test_taking_a_correction_back_is_no_look_at_what_it_hid(house: House) -> None:
    await house.add(new_document("x"))
    [document] = await complete(house, doubtful(confidence=0.3))
    await look_at(house, document)
    async with house.transaction():
        await correct(house.db, document, Said(date=date(2001, 2, 3)), by="x")
        await analyse_again(house.db)
    await complete(house, doubtful(confidence=0.3, document_date=date(1999, 9, 9)))
    assert await queue(house) == []
    async with house.transaction():
        await take_back(house.db, document, [CorrectedField.DATE], by="x")
    assert len(await queue(house)) == 1


async def test_that_it_has_no_date_is_no_reason_once_a_person_said_so(house: House) -> None:
    await house.add(new_document("x"))
    [document] = await complete(house, doubtful(document_date=None))
    async with house.transaction():
        await correct(house.db, document, Said(date=None), by="M. Lopez")
    assert await queue(house) == []


async def test_what_is_under_way_cannot_be_reviewed(house: House) -> None:
    assert await look_at(house, await house.add(new_document("x"))) == 0


def test_every_reason_has_a_weight() -> None:
    assert set(WEIGHTS) == set(Reason)


async def test_the_figure_for_pages_is_that_of_the_index(house: House) -> None:
    index = await house.one("select indexdef from pg_indexes where indexname = 'pages_doubtful'")
    assert f"{DOUBTFUL_PAGE}" in index
