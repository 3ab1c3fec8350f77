from uuid import uuid4

from schema.lanes import Lane
from sql.connection import make_pool
from sql.jobs import claim_for_analysis
from sql.search import search_pages
from tasks.analysis import analyse_by_rules, embed_what_lacks
from tasks.meaning import MODEL, embed
from tests.sql.house import TTL, House, new_document

DEPOSIT = "The lessor withheld the security deposit when the lessee vacated the apartment."
QUERY = "landlord keeps money of tenant"


async def pages_found(house: House) -> list[int]:
    async with house.transaction():
        hits = await search_pages(house.db, QUERY, embed(QUERY), model=MODEL)
    return [hit.page for hit in hits]


async def test_an_analysed_document_is_found_by_what_its_pages_are_about(house: House) -> None:
    await house.add(new_document("", DEPOSIT))
    assert await pages_found(house) == []
    holder = uuid4()
    async with make_pool(house.app_dsn, max_size=1) as pool:
        async with house.transaction():
            jobs = await claim_for_analysis(
                house.db, holder=holder, limit=9, ttl=TTL, lanes=list(Lane)
            )
        await analyse_by_rules.fn(jobs, len(jobs), holder, pool)
        assert await pages_found(house) == [2]
        assert await embed_what_lacks.fn(pool) == 0


async def test_a_document_on_which_nothing_is_written_is_said_to_be_blank(house: House) -> None:
    document_id = await house.add_scan(2)
    await house.change(
        "update aseagi.pages set state = 'done', text = '', source = 'ocr', is_blank = true, "
        "settled_at = now()"
    )
    await house.change("update aseagi.processing_jobs set stage = 'analyse', ready_at = now()")
    holder = uuid4()
    async with make_pool(house.app_dsn, max_size=1) as pool:
        async with house.transaction():
            jobs = await claim_for_analysis(
                house.db, holder=holder, limit=9, ttl=TTL, lanes=list(Lane)
            )
        await analyse_by_rules.fn(jobs, len(jobs), holder, pool)
    assert await house.job(document_id) == ("completed", "done")
    assert await house.rows(
        "select title, document_type, document_date, analysis ->> 'summary' from aseagi.documents"
    ) == [("2 blank pages", "other", None, "Nothing is written on its pages.")]


async def test_documents_analysed_before_there_was_meaning_are_embedded_once(house: House) -> None:
    for _ in range(10):
        await house.add(new_document(DEPOSIT))
    await house.change(
        "update aseagi.processing_jobs set status = 'completed', stage = 'done', "
        "completed_at = now()"
    )
    async with make_pool(house.app_dsn, max_size=1) as pool:
        assert await embed_what_lacks.fn(pool) == 10
        assert await embed_what_lacks.fn(pool) == 0
    assert len(await pages_found(house)) == 10
