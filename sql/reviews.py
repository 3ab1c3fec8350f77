"""The review queue: documents that want a person's eye, and those that had it.

A document that is at its end (completed or failed) and has a reason (`schema.review`) is

    to review --looked at by a person--> reviewed --materially another--> to review

Nothing is stored of the first state: it follows from the rows, so nothing is lost or left behind.
Reviewed is a row that remembers what the person saw. It holds across every re-analysis that finds
the same again; a document is materially another, and comes back, if its type or date are other
ones (not if it was a person who corrected them), or a reason has come that it did not have then.
A new wording of title or summary brings nobody back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from psycopg.rows import class_row

from schema.failures import Failure
from schema.review import WEIGHTS, Reason
from sql.connection import Connection, only_row

DOUBTFUL_PAGE = 0.8
"""A page that an engine read with less confidence is worth a look."""
DOUBTFUL_ANALYSIS = 0.5
"""So is an analysis on whose type, title and date its analyst relies less."""

# Each reason costs an index, or a column that is there; no text or analysis is read. What a
# person said of date or type is no reason: that it has none may be the truth.
_QUEUE = """
    with doubtful as (
        select document_id, count(*) as pages, min(confidence) as worst
        from aseagi.pages where confidence < 0.8::real group by document_id
    ), failed as (
        select document_id, array_agg(number order by number) as pages
        from aseagi.pages where state = 'failed' group by document_id
    ), facts as (
        select document.id, document.file_name, document.matter, document.document_type,
            document.document_date, document.title, document.created_at,
            document.analysis_confidence, document.quotes_not_found, job.error,
            job.results -> 'analysis_failure' as analysis_failure,
            coalesce(failed.pages, '{}') as failed_pages,
            coalesce(doubtful.pages, 0) as doubtful_pages, doubtful.worst as worst_confidence,
            array_remove(array[
                case when job.status = 'failed' then 'failed' end,
                case when failed.pages is not null then 'pages failed' end,
                case when job.status = 'completed'
                    and jsonb_typeof(job.results -> 'analysis_failure') = 'object'
                    then 'analysis incomplete' end,
                case when document.analysis_confidence < 0.5::real then 'analysis doubtful' end,
                case when doubtful.pages is not null then 'pages doubtful' end,
                case when document.quotes_not_found > 0 then 'quotes not found' end,
                case when document.analysis is not null and document.document_date is null
                    and not exists (select from aseagi.corrections said
                        where said.document_id = document.id and said.field = 'date'
                            and said.ended_as is null) then 'no date' end,
                case when document.document_type = 'other'
                    and not exists (select from aseagi.corrections said
                        where said.document_id = document.id and said.field = 'type'
                            and said.ended_as is null) then 'type other' end
            ], null) as reasons
        from aseagi.documents document
        join aseagi.processing_jobs job on job.document_id = document.id
        left join failed on failed.document_id = document.id
        left join doubtful on doubtful.document_id = document.id
        where job.status in ('completed', 'failed')
    ), queue as (
        select facts.*, (
            select sum(weight) from unnest(%(reasons)s::text[], %(weights)s::integer[])
                as known (reason, weight) where reason = any(facts.reasons)) as weight
        from facts left join aseagi.reviews review on review.document_id = facts.id
        where cardinality(facts.reasons) > 0 and not coalesce(
            review.document_type is not distinct from facts.document_type
            and review.document_date is not distinct from facts.document_date
            and facts.reasons <@ review.reasons, false)
    )
"""

_TO_REVIEW = f"""
    {_QUEUE}
    select id, file_name, matter, document_type, document_date, title, reasons, weight,
        error, analysis_failure, failed_pages, doubtful_pages, worst_confidence,
        analysis_confidence, quotes_not_found
    from queue where %(matter)s::text is null or matter = %(matter)s
    order by weight desc, created_at, id limit %(limit)s
"""  # noqa: S608 - put together from what is written here
_COUNT = f"""
    {_QUEUE}
    select count(*) from queue where %(matter)s::text is null or matter = %(matter)s
"""  # noqa: S608 - put together from what is written here
_MARK = f"""
    {_QUEUE}
    insert into aseagi.reviews
        (document_id, reviewed_by, note, document_type, document_date, reasons)
    select id, %(by)s, %(note)s, document_type, document_date, reasons from facts
    where id = any(%(ids)s)
    on conflict (document_id) do update set reviewed_by = excluded.reviewed_by,
        reviewed_at = now(), note = excluded.note, document_type = excluded.document_type,
        document_date = excluded.document_date, reasons = excluded.reasons
"""  # noqa: S608 - put together from what is written here


def _weights() -> dict[str, object]:
    return {"reasons": [str(reason) for reason in WEIGHTS], "weights": list(WEIGHTS.values())}


@dataclass(frozen=True, slots=True)
class ToReview:
    """A document that wants a person's eye, with what speaks for it."""

    id: UUID
    file_name: str
    matter: str | None
    document_type: str | None
    document_date: date | None
    title: str | None
    reasons: Sequence[str]
    weight: int
    error: dict[str, Any] | None
    analysis_failure: dict[str, Any] | None
    failed_pages: Sequence[int]
    doubtful_pages: int
    worst_confidence: float | None
    analysis_confidence: float | None
    quotes_not_found: int | None


def reason_texts(one: ToReview) -> list[str]:
    """Each reason in words, with its figures."""
    said: dict[str, str] = {
        Reason.FAILED: f"failed: {_said_of(one.error)}",
        Reason.PAGES_FAILED: f"{_pages(one.failed_pages)} could not be read",
        Reason.ANALYSIS_INCOMPLETE: f"analysis incomplete: {_said_of(one.analysis_failure)}",
        Reason.ANALYSIS_DOUBTFUL: f"its analysis is {_share(one.analysis_confidence)} sure",
        Reason.PAGES_DOUBTFUL: f"{_counted(one.doubtful_pages, 'page')} read with doubt, the worst "
        f"{_share(one.worst_confidence)} sure",
        Reason.QUOTES_NOT_FOUND: f"{_counted(one.quotes_not_found or 0, 'quote')} not found on the "
        "page",
        Reason.NO_DATE: "no date",
        Reason.TYPE_OTHER: "of no known type",
    }
    by_weight = sorted(one.reasons, key=lambda reason: -WEIGHTS[Reason(reason)])
    return [said[reason] for reason in by_weight]


def _said_of(error: dict[str, Any] | None) -> str:
    return Failure.model_validate(error).reason if error else "no reason is known"


def _share(confidence: float | None) -> str:
    return "not at all" if confidence is None else f"{confidence:.0%}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _pages(numbers: Sequence[int]) -> str:
    shown = ", ".join(str(number) for number in numbers[:8])
    more = f" and {len(numbers) - 8} more" if len(numbers) > 8 else ""
    return f"page {shown}" if len(numbers) == 1 else f"pages {shown}{more}"


async def list_to_review(
    db: Connection, *, matter: str | None = None, limit: int | None = None
) -> list[ToReview]:
    """What wants a person's eye, worst first, then oldest."""
    async with db.cursor(row_factory=class_row(ToReview)) as cursor:
        await cursor.execute(
            _TO_REVIEW,
            _weights() | {"matter": matter, "limit": limit},
        )
        return await cursor.fetchall()


async def count_to_review(db: Connection, *, matter: str | None = None) -> int:
    """How many documents want a person's eye."""
    cursor = await db.execute(
        _COUNT,
        _weights() | {"matter": matter},
    )
    return int((await only_row(cursor))[0])


async def mark_reviewed(
    db: Connection, document_ids: Sequence[UUID], *, by: str, note: str | None = None
) -> int:
    """Remember that a person looked at these documents as they are; return how many there were.

    One that is not at its end (queued, being analysed) is not reviewed. Commits nothing.
    """
    cursor = await db.execute(
        _MARK,
        _weights() | {"by": by, "note": note, "ids": list(document_ids)},
    )
    return cursor.rowcount


@dataclass(frozen=True, slots=True)
class Review:
    """Who looked at a document last."""

    reviewed_by: str
    reviewed_at: datetime
    note: str | None


async def review_of(db: Connection, document_id: UUID) -> Review | None:
    """Who looked at a document last, if anybody did."""
    async with db.cursor(row_factory=class_row(Review)) as cursor:
        await cursor.execute(
            "select reviewed_by, reviewed_at, note from aseagi.reviews where document_id = %s",
            (document_id,),
        )
        return await cursor.fetchone()
