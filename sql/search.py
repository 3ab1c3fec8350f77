"""Search over pages: by their words, and by words and meaning together.

What people type is the same for both: words, "quoted phrases", or, -without. By words, a page has
all of them. By words and meaning, a page is about the same as the query, or has all its words; a
quoted phrase must be on it as it stands, and what follows a minus must not, however near it is.
"""

import re
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from psycopg.rows import class_row

from schema.analysis import DocumentType
from sql.connection import Connection
from sql.embeddings import Embedding, as_text

HIGHLIGHT_START, HIGHLIGHT_STOP = "\x02", "\x03"
"""Marks around found words in a snippet: control characters that no page text holds."""

MAX_QUERY_CHARACTERS = 1000
_NEVER_IN_TEXT = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_NO_NEGATION = re.compile(r"""-(?!"|[^\W_])|(?<=[^\s\w])-""")
"""A minus that stands before no word. Postgres stacks them up and gives up at the 32nd."""

_NEAREST = 200
"""So many pages each ranking gives to the fused one."""

_NEAREST_TRIED = 1000
"""So many of the nearest pages are looked at for what must, or must not, be on them."""

_FLOOR = 0.15
"""The cosine below which a page is about something else. One with the phrase asked for is not."""

_SNIPPET = (
    f'StartSel="{HIGHLIGHT_START}", StopSel="{HIGHLIGHT_STOP}", '
    "MaxWords=24, MinWords=12, MaxFragments=1"
)


def _searchable(query: str) -> str:
    """What Postgres can take of it: any string that a person may paste."""
    plain = _NEVER_IN_TEXT.sub(" ", query[:MAX_QUERY_CHARACTERS])
    return _NO_NEGATION.sub(" ", plain)


_PART = re.compile(r'-?"[^"]*"?|[^\s"]+')


@dataclass(frozen=True, slots=True)
class _Parts:
    """A query taken apart, each part in the form that Postgres reads."""

    wanted: list[str]
    """Words and phrases that are asked for."""
    must: str
    """What must hold of every page: phrases and exclusions. Empty if an alternative has none."""
    has_phrase: bool
    """Whether every alternative has a phrase, so that an index finds its pages."""

    @property
    def any_of_them(self) -> str:
        return " or ".join(self.wanted)


def _take_apart(query: str) -> _Parts:
    alternatives: list[list[str]] = [[]]
    wanted: list[str] = []
    for part in _PART.findall(_searchable(query)):
        if part.lower() == "or":
            alternatives.append([])
            continue
        if not part.startswith("-"):
            wanted.append(part)
        if part.startswith(("-", '"')):
            alternatives[-1].append(part)
    constrained = all(alternatives)
    return _Parts(
        wanted,
        " or ".join(" ".join(parts) for parts in alternatives) if constrained else "",
        constrained and all(any(part[0] == '"' for part in parts) for parts in alternatives),
    )


def meant(query: str) -> str:
    """What a page should be about, for the model: the query without exclusions and quotes."""
    return " ".join(part.strip('"') for part in _take_apart(query).wanted)


@dataclass(frozen=True, slots=True)
class Filters:
    """Which documents are searched; all unless narrowed."""

    matter: str | None = None
    party: str | None = None
    """Part of the name of a party, in any case."""
    document_type: DocumentType | None = None
    since: date | None = None
    """The document is dated that day or later; one without a date is left out."""
    until: date | None = None

    @property
    def narrow(self) -> bool:
        """Whether any document is left out."""
        return self != EVERYTHING

    def parameters(self) -> dict[str, object]:
        """The values that the condition on documents takes."""
        return {
            "matter": self.matter,
            "party": self.party,
            "type": self.document_type,
            "since": self.since,
            "until": self.until,
        }


EVERYTHING = Filters()

_CHOSEN = """
    (%(matter)s::text is null or document.matter = %(matter)s)
    and (%(party)s::text is null or strpos(document.parties, lower(%(party)s)) > 0)
    and (%(type)s::text is null or document.document_type = %(type)s)
    and (%(since)s::date is null or document.document_date >= %(since)s)
    and (%(until)s::date is null or document.document_date <= %(until)s)
"""


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


async def search_words(
    db: Connection, query: str, *, filters: Filters = EVERYTHING, limit: int = 20
) -> list[Hit]:
    """Pages that have the words of `query`, best first.

    No string is wrong; what lies beyond `MAX_QUERY_CHARACTERS` is left out.
    """
    async with db.cursor(row_factory=class_row(Hit)) as cursor:
        await cursor.execute(
            f"""
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
            where {_CHOSEN}
            order by found.rank desc, document.file_name, found.number
            limit %(limit)s
            """,  # noqa: S608 - put together from what is written here
            {
                **filters.parameters(),
                "query": _searchable(query),
                "limit": limit,
                "most": 10_000 if filters.narrow else limit,
                "options": _SNIPPET,
            },
        )
        return await cursor.fetchall()


async def search_pages(
    db: Connection,
    query: str,
    embedding: Embedding | None,
    *,
    model: str,
    filters: Filters = EVERYTHING,
    limit: int = 20,
    by_words: bool = True,
) -> list[Hit]:
    """Pages that are about what `query` says or have its words, best first.

    `embedding` is what `meant(query)` is about, by `model`; None finds by words alone. Two
    rankings are made, by nearness and by words, and fused by reciprocal rank: what is high in
    either is high. With `by_words` false the first stands alone. Pages not yet embedded are found
    by their words. No string is wrong.
    """
    parts = _take_apart(query)
    parameters: dict[str, Any] = {
        **filters.parameters(),
        "words": _searchable(query),
        "must": parts.must,
        "has_phrase": parts.has_phrase,
        "any": parts.any_of_them,
        "everything": not filters.narrow,
        "embedding": as_text(embedding),
        "model": model,
        "by_words": by_words,
        "floor": _FLOOR,
        "tried": _NEAREST_TRIED,
        "nearest": _NEAREST,
        "limit": limit,
        "options": _SNIPPET,
    }
    async with db.cursor(row_factory=class_row(Hit)) as cursor:
        await cursor.execute(_FUSED, parameters)
        return await cursor.fetchall()


# `%(everything)s` and the other conditions on parameters alone are decided when the statement is
# planned: a part that is not asked for costs nothing.
_FUSED = f"""
    with chosen as (
        select document.id from aseagi.documents document where {_CHOSEN}
    ), nearest as materialized (
        select made.document_id, made.number,
            made.embedding operator(extensions.<#>) %(embedding)s::extensions.halfvec as distance
        from aseagi.page_embeddings made
        where %(embedding)s::text is not null and made.embedding is not null
            and made.model = %(model)s
            and (%(everything)s or made.document_id in (select id from chosen))
            and (not %(has_phrase)s or (made.document_id, made.number) in (
                select page.document_id, page.number from aseagi.pages page
                where page.search @@ websearch_to_tsquery('english', %(must)s)))
        order by distance limit case when %(must)s = '' then %(nearest)s else %(tried)s end
    ), near as (
        select nearest.document_id, nearest.number, row_number() over (
            order by distance, nearest.document_id, nearest.number) as place
        from nearest join aseagi.pages page using (document_id, number)
        where (%(has_phrase)s or distance < -%(floor)s)
            and (numnode(websearch_to_tsquery('english', %(must)s)) = 0
                or page.search @@ websearch_to_tsquery('english', %(must)s))
        order by place limit %(nearest)s
    ), having_the_words as materialized (
        select page.document_id, page.number, page.search
        from aseagi.pages page
        left join aseagi.page_embeddings made
            on made.document_id = page.document_id and made.number = page.number
            and made.model = %(model)s
        where %(by_words)s and page.search @@ websearch_to_tsquery('english', %(words)s)
            and (%(everything)s or page.document_id in (select id from chosen))
        order by made.embedding operator(extensions.<#>) %(embedding)s::extensions.halfvec
            nulls last limit %(tried)s
    ), worded as (
        select document_id, number, row_number() over (
            order by ts_rank_cd(search, websearch_to_tsquery('english', %(words)s), 1) desc,
                document_id, number) as place
        from having_the_words
        order by place limit %(nearest)s
    ), best as (
        select document_id, number, sum(1.0 / (60 + place))::float as rank
        from (select * from near union all select * from worded) as either
        group by document_id, number
        order by rank desc, document_id, number limit %(limit)s
    )
    select best.document_id, document.file_name, document.title, document.matter,
        best.number as page, best.rank,
        ts_headline('english', page.text, websearch_to_tsquery('english', %(any)s), %(options)s)
            as snippet
    from best
    join aseagi.pages page using (document_id, number)
    join aseagi.documents document on document.id = best.document_id
    order by best.rank desc, document.file_name, best.number
"""  # noqa: S608 - put together from what is written here
