"""Read the pages of one lease: engine in a thread, results handed in as they come."""

import asyncio
import time
from collections.abc import Iterator
from uuid import UUID

from gpu_image.engines import OcrEngine
from gpu_image.session import REPORT_PAGES, REPORT_SECONDS, FetchedLease, Session
from schema.failures import BadInput, Failure, Stage
from schema.host import LeasedDocument
from schema.ocr import PageText

Outcome = tuple[UUID, int, PageText | Failure]


async def read_lease(engine: OcrEngine, session: Session, fetched: FetchedLease) -> int:
    """Read and report every page of the lease; return how many pages were reported.

    Stops early when the lease was lost: those pages are somebody else's now.
    """
    started = time.monotonic()
    reported = 0
    waiting: list[Outcome] = []
    oldest = started
    outcomes = _outcomes(engine, fetched)
    while (outcome := await asyncio.to_thread(next, outcomes, None)) is not None:
        if not session.holds(fetched):
            return reported
        if not waiting:
            oldest = time.monotonic()
        waiting.append(outcome)
        if len(waiting) >= REPORT_PAGES or time.monotonic() - oldest >= REPORT_SECONDS:
            await session.report(fetched, waiting)
            reported += len(waiting)
            waiting = []
    if waiting:
        await session.report(fetched, waiting)
    session.progress.reading_seconds += time.monotonic() - started
    return reported + len(waiting)


def _outcomes(engine: OcrEngine, fetched: FetchedLease) -> Iterator[Outcome]:
    """What the engine says of each page; a document it cannot open fails page by page."""
    for document in fetched.lease.documents:
        if document.document_id in fetched.missing:
            for page in document.pages:
                yield document.document_id, page, _download_failure(page)
            continue
        yield from _document_outcomes(engine, fetched, document)


def _document_outcomes(
    engine: OcrEngine, fetched: FetchedLease, document: LeasedDocument
) -> Iterator[Outcome]:
    left = set(document.pages)
    try:
        for page, outcome in engine.read(
            fetched.path(document), document.media_type, document.pages
        ):
            left.discard(page)
            yield document.document_id, page, outcome
        reason = "The engine gave no result for this page."
    except BadInput as error:
        reason = str(error)
    for page in sorted(left):
        failure = Failure(stage=Stage.READ, reason=reason[:500], retry_helps=False, page=page)
        yield document.document_id, page, failure


def _download_failure(page: int) -> Failure:
    return Failure(
        stage=Stage.READ,
        reason="The host could not download the document.",
        retry_helps=True,
        page=page,
    )
