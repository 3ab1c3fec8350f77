"""What each page is about, as numbers: `tasks/meaning` makes them, `sql/search.py` searches."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from psycopg.rows import class_row

from sql.connection import Connection, only_row

Embedding = Sequence[float]
"""A direction of length 1 in as many dimensions as the column has."""


def as_text(embedding: Embedding | None) -> str | None:
    """As `vector` and `halfvec` are written."""
    return None if embedding is None else f"[{','.join(f'{value:.5g}' for value in embedding)}]"


async def store_embeddings(
    db: Connection, document_id: UUID, embeddings: Sequence[Embedding | None], *, model: str
) -> None:
    """Store what the document's pages are about, first to last; replaces what was there.

    None is a page without a word that the model knows: it is stored too, as done. A page that
    is gone by now is passed over.
    """
    await db.execute(
        """
        insert into aseagi.page_embeddings (document_id, number, model, embedding)
        select page.document_id, page.number, %(model)s, made.embedding::extensions.halfvec
        from unnest(%(embeddings)s::text[]) with ordinality as made (embedding, number)
        join aseagi.pages page
            on page.document_id = %(document)s and page.number = made.number
        on conflict (document_id, number) do update
            set model = excluded.model, embedding = excluded.embedding
        """,
        {
            "document": document_id,
            "model": model,
            "embeddings": [as_text(embedding) for embedding in embeddings],
        },
    )


@dataclass(frozen=True, slots=True)
class UnembeddedDocument:
    """A document whose pages have text and no embedding of the model."""

    document_id: UUID
    pages: Sequence[str]


# Each document's pages are embedded together, so its first one stands for all. Those that wait
# for their analysis are embedded by it.
_UNEMBEDDED = """
    from aseagi.processing_jobs job
    where (job.status = 'completed' or (job.status = 'failed' and job.stage = 'analyse'))
        and not exists (
            select from aseagi.page_embeddings made
            where made.document_id = job.document_id and made.number = 1
                and made.model = %(model)s)
        and exists (select from aseagi.pages page where page.document_id = job.document_id)
"""


async def documents_without_embeddings(
    db: Connection, *, model: str, limit: int
) -> list[UnembeddedDocument]:
    """Up to `limit` documents that are done but were never embedded with `model`."""
    async with db.cursor(row_factory=class_row(UnembeddedDocument)) as cursor:
        await cursor.execute(
            f"""
            select job.document_id, array(select coalesce(page.text, '') from aseagi.pages page
                where page.document_id = job.document_id order by page.number) as pages
            {_UNEMBEDDED} limit %(limit)s
            """,  # noqa: S608 - put together from what is written here
            {"model": model, "limit": limit},
        )
        return await cursor.fetchall()


async def lacks_embeddings(db: Connection, *, model: str) -> bool:
    """Whether any document that is done was never embedded with `model`."""
    cursor = await db.execute(f"select exists (select {_UNEMBEDDED})", {"model": model})
    return bool((await only_row(cursor))[0])
