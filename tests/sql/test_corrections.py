"""What a person says of a document wins, whoever writes at the same moment."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.analysis import Analysis, DocumentType, Party
from schema.corrections import CorrectedField, Said, lay_over, of_analysis
from schema.failures import BadInput
from schema.lanes import Lane
from sql.connection import Connection
from sql.corrections import (
    analysis_of,
    carry_over,
    correct,
    list_corrections,
    take_back,
)
from sql.documents import list_documents
from sql.jobs import AnalysisJob, analyse_again, claim_for_analysis, complete_job
from sql.search import Filters, search_words
from tests.sql.house import TTL, House, analysis, new_document

SAID = Said(
    type=DocumentType.MOTION,
    title="Motion to compel",
    date=date(2024, 3, 4),
    parties=[Party(name="Acme Inc.", role="plaintiff")],
    matter="smith-v-jones",
)


async def claim(house: House, holder: UUID) -> AnalysisJob:
    async with house.transaction():
        [job] = await claim_for_analysis(
            house.db, holder=holder, limit=1, ttl=TTL, lanes=list(Lane)
        )
    return job


async def analyse(house: House, found: Analysis) -> None:
    """Let an analyst have its say of the one document that waits."""
    holder = uuid4()
    job = await claim(house, holder)
    async with house.transaction():
        assert await complete_job(house.db, job, found, holder=holder)


async def say(house: House, document: UUID, said: Said, *, by: str = "M. Lopez") -> int:
    async with house.transaction():
        return await correct(house.db, document, said, by=by)


async def undo(house: House, document: UUID, *fields: CorrectedField) -> int:
    async with house.transaction():
        return await take_back(house.db, document, fields, by="J. Doe")


async def shown(house: House) -> Mapping[str, Any]:
    """What everybody sees of the one document."""
    async with house.transaction():
        [row] = await list_documents(house.db)
    parties = row.analysis["parties"] if row.analysis else None
    if row.analysis:
        told = (row.analysis["type"], row.analysis["title"], row.analysis["document_date"])
        own = row.document_date.isoformat() if row.document_date else None
        assert told == (row.document_type, row.title, own), "the analysis says something else"
    return {
        "type": row.document_type,
        "title": row.title,
        "date": row.document_date,
        "matter": row.matter,
        "parties": [one["name"] for one in parties] if parties is not None else None,
    }


CORRECTED = {
    "type": "motion",
    "title": "Motion to compel",
    "date": date(2024, 3, 4),
    "matter": "smith-v-jones",
    "parties": ["Acme Inc."],
}


async def test_what_a_person_says_stays_through_every_analysis(house: House) -> None:
    document = await house.add(new_document("words", matter="inbox"))
    await analyse(house, analysis())
    assert await say(house, document, SAID) == 5
    assert await shown(house) == CORRECTED
    for title in ("A letter again", "An invoice"):
        async with house.transaction():
            await analyse_again(house.db)
        await analyse(house, analysis(title))
        assert await shown(house) == CORRECTED
    assert await undo(house, document, *CorrectedField) == 5
    assert await shown(house) == {
        "type": "letter", "title": "An invoice", "date": None, "matter": "inbox", "parties": [],
    }  # fmt: skip


async def test_what_is_said_before_there_is_an_analysis_is_shown_and_laid_over_it(
    house: House,
) -> None:
    document = await house.add(new_document("words"))
    await say(house, document, SAID)
    assert await shown(house) == CORRECTED | {"parties": None}
    await analyse(house, analysis())
    assert await shown(house) == CORRECTED
    async with house.transaction():
        by_the_analyst = await analysis_of(house.db, document)
    assert by_the_analyst == analysis()


async def test_search_filters_by_what_a_person_says(house: House) -> None:
    document = await house.add(new_document("some words", matter="inbox"))
    await analyse(house, analysis())
    await say(house, document, SAID)
    for filters, found in (
        (Filters(matter="smith-v-jones", party="acme", document_type=DocumentType.MOTION), 1),
        (Filters(since=date(2024, 3, 4), until=date(2024, 3, 4)), 1),
        (Filters(matter="inbox"), 0),
        (Filters(document_type=DocumentType.LETTER), 0),
    ):
        async with house.transaction():
            assert len(await search_words(house.db, "words", filters=filters)) == found, filters


async def test_who_said_what_and_when_is_kept(house: House) -> None:
    document = await house.add(new_document("words"))
    await analyse(house, analysis())
    await say(house, document, Said(title="First"), by="A")
    await say(house, document, Said(title="Second"), by="B")
    assert await say(house, document, Said(title="Second"), by="C") == 0, "said already"
    await undo(house, document, CorrectedField.TITLE)
    async with house.transaction():
        history = await list_corrections(house.db, document)
    assert [
        (one.value, one.previous, one.said_by, one.ended_as, one.ended_by) for one in history
    ] == [
        ("First", "A letter", "A", "replaced", "B"),
        ("Second", "A letter", "B", "undone", "J. Doe"),
    ]
    assert (await shown(house))["title"] == "A letter"


async def test_that_there_is_none_can_be_said_too(house: House) -> None:
    document = await house.add(new_document("words", matter="inbox"))
    await analyse(house, lay_over(analysis(), SAID.values))
    await say(house, document, Said(date=None, parties=[], matter=None))
    seen = await shown(house)
    assert (seen["date"], seen["parties"], seen["matter"]) == (None, [], None)


async def test_a_correction_of_a_document_that_is_gone_says_so(house: House) -> None:
    with pytest.raises(BadInput, match="gone"):
        await say(house, uuid4(), SAID)


async def test_what_was_corrected_elsewhere_is_carried_over_once_and_never_over_ours(
    house: House,
) -> None:
    document = await house.add(new_document("words"))
    await analyse(house, analysis())
    await say(house, document, Said(title="Ours"))
    then = datetime(2020, 1, 2, tzinfo=UTC)
    for added in (4, 0):
        async with house.transaction():
            assert await carry_over(house.db, document, SAID, by="Them", at=then) == added
    assert await shown(house) == CORRECTED | {"title": "Ours"}
    async with house.transaction():
        history = await list_corrections(house.db, document)
    assert {one.said_at for one in history if one.said_by == "Them"} == {then}


async def while_blocked(house: House, db: Connection, work: asyncio.Task[Any]) -> None:
    """Let the other come to the row that is locked."""
    await house.until_blocked(db)
    assert not work.done()


async def test_of_a_correction_and_an_analysis_at_one_moment_both_survive(house: House) -> None:
    document = await house.add(new_document("words"))
    await analyse(house, analysis())
    for person_first in (True, False):
        await undo(house, document, *CorrectedField)
        async with house.transaction():
            await analyse_again(house.db)
        holder = uuid4()
        job = await claim(house, holder)
        title = f"Found {person_first}"

        async def complete(
            db: Connection, job: AnalysisJob = job, holder: UUID = holder, title: str = title
        ) -> None:
            async with db.transaction():
                assert await complete_job(db, job, analysis(title), holder=holder)

        async def speak(db: Connection) -> None:
            async with db.transaction():
                await correct(db, document, Said(type=DocumentType.MOTION), by="M. Lopez")

        first, second = (speak, complete) if person_first else (complete, speak)
        async with house.another_process() as other:
            await other.execute("select 1")
            await other.commit()
            async with house.transaction():
                await first(house.db)
                waiting = asyncio.create_task(second(other))
                await while_blocked(house, other, waiting)
            await asyncio.wait_for(waiting, 30)
        seen = await shown(house)
        assert (seen["type"], seen["title"]) == ("motion", title)
        await undo(house, document, CorrectedField.TYPE)
        assert (await shown(house))["type"] == "letter", "what the analyst says is known still"


PARTIES = st.lists(st.builds(Party, name=st.text(max_size=9), role=st.text(max_size=9)), max_size=2)


def found(kind: DocumentType, title: str, day: date | None, parties: list[Party]) -> Analysis:
    said = Said(type=kind, title=title, date=day, parties=parties)
    return lay_over(analysis(), said.values)


FOUND = st.builds(
    found,
    st.sampled_from(DocumentType),
    st.text(min_size=1, max_size=9).filter(lambda text: "\x00" not in text),
    st.none() | st.dates(),
    PARTIES,
)


@given(FOUND, FOUND, st.sets(st.sampled_from(CorrectedField)))
def test_laid_over_is_what_is_said_and_below_it_stays_what_was_found(
    found: Analysis, other: Analysis, fields: set[CorrectedField]
) -> None:
    said = {field: of_analysis(other, field) for field in fields}
    before = {field: of_analysis(found, field) for field in fields}
    laid = lay_over(found, said)
    for field in CorrectedField:
        assert of_analysis(laid, field) == of_analysis(other if field in fields else found, field)
    assert lay_over(laid, said) == laid
    assert lay_over(laid, before) == found
