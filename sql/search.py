"""Search over the text of pages."""

import re
from dataclasses import dataclass
from uuid import UUID

from psycopg.rows import class_row

from sql.connection import Connection

HIGHLIGHT_START, HIGHLIGHT_STOP = "\x02", "\x03"
"""Marks around found words in a snippet: control characters that no page text holds."""

MAX_QUERY_CHARACTERS = 1000
_NEVER_IN_TEXT = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_NO_NEGATION = re.compile(r"""-(?!"|[^\W_])|(?<=[^\s\w])-""")
"""A minus that stands before no word. Postgres stacks them up and gives up at the 32nd."""


def _searchable(query: str) -> str:
    """What Postgres can take of it: any string that a person may paste."""
    plain = _NEVER_IN_TEXT.sub(" ", query[:MAX_QUERY_CHARACTERS])
    return _NO_NEGATION.sub(" ", plain)


@dataclass(frozen=True, slots=True)
class Hit:
    """A page that matches, with the words around the match."""

    document_id: UUID
    file_name: str
    title: str | None
    matter: str | None
    page: int
    snippet: str
    rank: float


async def search_pages(
    db: Connection, query: str, *, matter: str | None = None, limit: int = 20
) -> list[Hit]:
    """Pages that match `query`, best first.

    The query is what people type: words, "quoted phrases", or, -without. No string is wrong;
    what lies beyond `MAX_QUERY_CHARACTERS` is left out.
    """
    async with db.cursor(row_factory=class_row(Hit)) as cursor:
        await cursor.execute(
            """
            with wanted as (select websearch_to_tsquery('english', %(query)s) as words),
            found as (
                select page.document_id, page.number, page.text, wanted.words,
                    ts_rank_cd(page.search, wanted.words, 1) as rank
                from aseagi.pages page, wanted
                where page.search @@ wanted.words
                order by rank desc, page.document_id, page.number limit %(most)s
            )
            select found.document_id, document.file_name, document.title, document.matter,
                found.number as page, found.rank,
                ts_headline('english', found.text, found.words, %(options)s) as snippet
            from found join aseagi.documents document on document.id = found.document_id
            where %(matter)s::text is null or document.matter = %(matter)s
            order by found.rank desc, document.file_name, found.number
            limit %(limit)s
            """,
            {
                "query": _searchable(query),
                "matter": matter,
                "limit": limit,
                "most": limit if matter is None else 10_000,
                "options": f'StartSel="{HIGHLIGHT_START}", StopSel="{HIGHLIGHT_STOP}", '
                "MaxWords=24, MinWords=12, MaxFragments=1",
            },
        )
        return await cursor.fetchall()
