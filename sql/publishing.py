"""What is handed on of documents: where each page's text comes from, and which pages failed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import class_row

from sql.connection import Connection


@dataclass(frozen=True, slots=True)
class PageSource:
    """Where a page's text comes from."""

    number: int
    state: str
    source: str | None
    """`text layer` of the file, or `ocr`; None until the page is done."""
    words_path: str | None
    settled_at: datetime | None


async def list_page_sources(db: Connection, document_id: UUID) -> list[PageSource]:
    """The pages of a document in order; none if the document is gone."""
    async with db.cursor(row_factory=class_row(PageSource)) as cursor:
        await cursor.execute(
            """
            select number, state, source, words_path, settled_at
            from aseagi.pages where document_id = %s order by number
            """,
            (document_id,),
        )
        return await cursor.fetchall()


async def hold_document(db: Connection, document_id: UUID) -> bool:
    """Whether there is that document; nobody deletes it before the transaction ends."""
    cursor = await db.execute(
        "select from aseagi.documents where id = %s for key share", (document_id,)
    )
    return cursor.rowcount == 1


async def failed_pages_of(
    db: Connection, document_ids: Sequence[UUID]
) -> dict[UUID, list[tuple[int, dict[str, Any]]]]:
    """The pages that could not be read, with their failures, by document."""
    cursor = await db.execute(
        """
        select document_id, number, error from aseagi.pages
        where state = 'failed' and document_id = any(%s) order by document_id, number
        """,
        (list(document_ids),),
    )
    found: dict[UUID, list[tuple[int, dict[str, Any]]]] = {}
    async for document_id, number, error in cursor:
        found.setdefault(document_id, []).append((number, error))
    return found
