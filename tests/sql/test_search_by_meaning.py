from datetime import date
from uuid import UUID, uuid4

import pytest

from schema.analysis import Analysis, DocumentType, Party
from schema.lanes import Lane
from sql.embeddings import documents_without_embeddings, lacks_embeddings, store_embeddings
from sql.jobs import claim_for_analysis, complete_job, fail_job
from sql.search import HIGHLIGHT_START, HIGHLIGHT_STOP, Filters, Hit, meant, search_pages
from tasks.meaning import MODEL, embed
from tests.sql.house import TTL, House, failure, new_document
from tests.sql.test_search import HOSTILE_QUERIES

DEPOSIT = "The lessor withheld the security deposit when the lessee vacated the apartment."
COLLISION = "The truck struck the rear of the sedan at the intersection and injured its driver."
WILL = "The codicil disinherits the grandchildren of the decedent in favor of the caretaker."
COVER = "A cover sheet."
HOLDER = uuid4()


async def search(
    house: House,
    query: str,
    *,
    filters: Filters | None = None,
    limit: int = 20,
    by_words: bool = True,
) -> list[Hit]:
    async with house.transaction():
        return await search_pages(
            house.db,
            query,
            embed(meant(query)),
            model=MODEL,
            filters=filters or Filters(),
            limit=limit,
            by_words=by_words,
        )


async def found(house: House, query: str, *, filters: Filters | None = None) -> list[str]:
    return [hit.file_name for hit in await search(house, query, filters=filters)]


async def add(
    house: House,
    *pages: str,
    matter: str | None = None,
    document_type: DocumentType = DocumentType.LETTER,
    document_date: date | None = None,
    parties: tuple[str, ...] = (),
) -> str:
    """Take in a document, analyse it as given and embed its pages; gives its name."""
    new = new_document(*pages, matter=matter)
    document_id = await house.add(new)
    facts = Analysis(
        analyst="a test",
        type=document_type,
        title="A title",
        document_date=document_date,
        parties=[Party(name=name, role="party") for name in parties],
        summary="",
        language="en",
        confidence=0.5,
    )
    async with house.transaction():
        [job] = await claim_for_analysis(
            house.db, holder=HOLDER, limit=1, ttl=TTL, lanes=list(Lane)
        )
        assert await complete_job(house.db, job, facts, holder=HOLDER)
        await store_embeddings(house.db, document_id, [embed(page) for page in pages], model=MODEL)
    return new.file_name


async def test_a_page_is_found_by_what_it_is_about_in_other_words(house: House) -> None:
    deposit, collision, will = [await add(house, page) for page in (DEPOSIT, COLLISION, WILL)]
    assert (await found(house, "landlord kept the tenant's money"))[0] == deposit
    assert (await found(house, "car crash"))[0] == collision
    assert (await found(house, "grandmother's inheritance"))[0] == will


async def test_a_page_that_has_all_the_words_is_found_too_however_far_its_meaning(
    house: House,
) -> None:
    await add(house, *[DEPOSIT] * 30)
    named = await add(house, f"{COLLISION} Zymurgist. {WILL}")
    assert (await found(house, "zymurgist"))[0] == named


async def test_a_page_high_in_both_rankings_comes_before_one_high_in_one(house: House) -> None:
    near = await add(house, "The lessor kept the lessee's money.")
    both = await add(house, "The landlord kept the deposit of the tenant.")
    far = await add(house, "Landlord, tenant, deposit: words of a crossword that a boy kept.")
    assert (await found(house, "landlord kept tenant deposit"))[0] == both
    assert set(await found(house, "landlord kept tenant deposit")) == {near, both, far}


async def test_a_quoted_phrase_must_be_on_the_page_as_it_stands(house: House) -> None:
    deposit = await add(house, DEPOSIT)
    await add(house, "The deposit was security enough for the lessor of the apartment.")
    assert await found(house, '"security deposit" landlord money') == [deposit]
    assert await found(house, '"deposit security" landlord') == []


async def test_what_follows_a_minus_must_not_be_on_the_page(house: House) -> None:
    await add(house, DEPOSIT)
    other = await add(house, "The landlord kept the money of the tenant.")
    assert await found(house, "landlord tenant money -vacated") == [other]
    assert await found(house, 'landlord tenant money -"security deposit"') == [other]


async def test_each_alternative_has_its_own_phrase(house: House) -> None:
    deposit, collision, _ = [await add(house, page) for page in (DEPOSIT, COLLISION, WILL)]
    names = await found(house, '"security deposit" or "rear of the sedan"')
    assert set(names) == {deposit, collision}


async def test_filters_narrow_the_search(house: House) -> None:
    order = await add(
        house,
        DEPOSIT,
        matter="smith",
        document_type=DocumentType.COURT_ORDER,
        document_date=date(2024, 3, 1),
        parties=("Ada O'Hara", 'Rentals "Sun" LLC'),
    )
    letter = await add(
        house, DEPOSIT, matter="miller", document_date=date(2024, 6, 30), parties=("Bo Miller",)
    )
    undated = await add(house, DEPOSIT)
    query = "landlord kept the deposit"
    for filters, expected in (
        (Filters(), {order, letter, undated}),
        (Filters(matter="smith"), {order}),
        (Filters(party="o'hara"), {order}),
        (Filters(party="MILLER"), {letter}),
        (Filters(party="nobody"), set[str]()),
        (Filters(document_type=DocumentType.COURT_ORDER), {order}),
        (Filters(since=date(2024, 3, 2)), {letter}),
        (Filters(since=date(2024, 3, 1), until=date(2024, 6, 30)), {order, letter}),
        (Filters(until=date(2024, 3, 1)), {order}),
        (Filters(matter="miller", document_type=DocumentType.COURT_ORDER), set[str]()),
    ):
        assert set(await found(house, query, filters=filters)) == expected, filters
        assert set(await found(house, '"security deposit"', filters=filters)) == expected, filters


async def test_the_snippet_shows_the_words_of_the_query_that_are_there(house: House) -> None:
    await add(house, DEPOSIT)
    [hit] = await search(house, "deposit landlord")
    assert f"{HIGHLIGHT_START}deposit{HIGHLIGHT_STOP}" in hit.snippet


async def test_no_more_pages_are_found_than_asked_for_and_each_once(house: House) -> None:
    name = await add(house, *[DEPOSIT] * 5)
    hits = await search(house, "security deposit", limit=3)
    assert [(hit.file_name, hit.page) for hit in hits] == [(name, 1), (name, 2), (name, 3)]


async def test_a_page_not_yet_embedded_is_found_by_its_words(house: House) -> None:
    new = new_document(DEPOSIT)
    await house.add(new)
    assert await found(house, "lessor deposit") == [new.file_name]
    assert await search(house, "lessor deposit", by_words=False) == []


async def test_directions_of_another_model_are_not_compared(house: House) -> None:
    name = await add(house, DEPOSIT)
    await house.change("update aseagi.page_embeddings set model = 'another'")
    assert await found(house, "landlord kept money") == []
    assert await found(house, "lessor deposit") == [name]


async def test_what_no_page_is_about_is_not_found(house: House) -> None:
    await add(house, DEPOSIT, COLLISION, WILL)
    assert await found(house, "zebra") == []
    assert await found(house, "dinosaurs") == []


@pytest.mark.parametrize("query", HOSTILE_QUERIES, ids=range(len(HOSTILE_QUERIES)))
async def test_whatever_is_typed_is_a_search(house: House, query: str) -> None:
    await add(house, "One word.")
    await found(house, query)
    await found(house, query, filters=Filters(matter="smith"))


async def lacking(house: House) -> set[UUID]:
    documents = await documents_without_embeddings(house.db, model=MODEL, limit=10)
    assert await lacks_embeddings(house.db, model=MODEL) is bool(documents)
    return {document.document_id for document in documents}


async def test_documents_done_without_embeddings_are_found_until_they_have_them(
    house: House,
) -> None:
    await add(house, DEPOSIT)
    failed = await house.add(new_document(COLLISION, ""))
    async with house.transaction():
        [job] = await claim_for_analysis(
            house.db, holder=HOLDER, limit=1, ttl=TTL, lanes=list(Lane)
        )
        assert await lacking(house) == set()
        await fail_job(house.db, job.id, failure(), holder=HOLDER)
    await house.add_scan()
    await house.add(new_document(failed=failure()))
    async with house.transaction():
        [document] = await documents_without_embeddings(house.db, model=MODEL, limit=10)
        assert (document.document_id, list(document.pages)) == (failed, [COLLISION, ""])
        await store_embeddings(
            house.db, failed, [embed(page) for page in document.pages], model=MODEL
        )
        assert await lacking(house) == set()
    await house.change("update aseagi.page_embeddings set model = 'an older one'")
    async with house.transaction():
        assert len(await lacking(house)) == 2


async def test_embeddings_stored_again_replace_those_before_and_go_with_their_document(
    house: House,
) -> None:
    document_id = await house.add(new_document(DEPOSIT, ""))
    for _ in range(2):
        async with house.transaction():
            await store_embeddings(
                house.db, document_id, [embed(DEPOSIT), None, embed(WILL)], model=MODEL
            )
    rows = await house.rows("select number, embedding is null from aseagi.page_embeddings")
    assert rows == [(1, False), (2, True)]
    await house.change("delete from aseagi.documents")
    assert await house.rows("select 1 from aseagi.page_embeddings") == []
