"""`/host`: the only thing a host may talk to. Protocol: `schema.host`.

Every call needs the token of one attempt of one flow run. A token knows its session;
no request names one, so there is none to forge. What a host reports is checked
against what it was lent before anything is stored: pages outside the lease, or of a
lease that is over, are refused.
"""

import asyncio
import gzip
import logging
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException, Request
from pydantic import ValidationError

from blocks.bucket import Bucket
from blocks.wakeups import document_read
from gateway.attempts import Current, TokenFirst, Working
from gateway.refusals import problems
from gateway.services import Services, services
from schema.failures import Failure
from schema.host import (
    MAX_RESULT_BYTES,
    PROTOCOL_VERSION,
    CloseRequest,
    CloseResponse,
    CompleteRequest,
    CompleteResponse,
    HeartbeatRequest,
    HeartbeatResponse,
    Lease,
    LeasedDocument,
    LeaseRequest,
    LeaseResponse,
)
from schema.ocr import PageText
from sql.charges import session_cost_so_far
from sql.leases import (
    HeldPage,
    LeaseRow,
    PageOutcome,
    already_settled,
    count_waiting_pages,
    extend_leases,
    held_pages,
    lease_pages,
    settle_pages,
)
from sql.sessions import Attempt, close_if_idle, mark_seen

log = logging.getLogger("aseagi.gateway.host")
router = APIRouter(prefix="/host", tags=["host"], route_class=TokenFirst)

LINK_SECONDS = 600
DEADLINE_MARGIN = timedelta(minutes=2)
"""Leasing stops this long before the host's end, so that what was leased can be finished."""

LARGE_BYTES = 4 * 1024 * 1024
"""A report as a body becomes some fifteen times as large in memory."""

_SMALL = asyncio.Semaphore(4)
_LARGE = asyncio.Semaphore(1)
"""So many reports at a time are taken apart; the others wait as bytes."""

Using = Annotated[Services, Depends(services)]


def _check_protocol(protocol: int) -> None:
    if protocol != PROTOCOL_VERSION:
        raise HTTPException(
            426, f"Protocol {protocol} is not spoken here; the gateway speaks {PROTOCOL_VERSION}."
        )


def _must_close(attempt: Attempt) -> bool:
    return attempt.paused or datetime.now(UTC) > attempt.deadline_at - DEADLINE_MARGIN


def _lease_message(row: LeaseRow, storage: Bucket) -> Lease:
    documents: dict[UUID, LeasedDocument] = {}
    for page in row.pages:
        document = documents.get(page.document_id)
        if document is None:
            link = storage.signed_link(page.s3_processed_path, seconds=LINK_SECONDS)
            document = documents[page.document_id] = LeasedDocument(
                document_id=page.document_id,
                url=link,
                media_type=page.media_type,
                size_bytes=page.size_bytes,
                pages=[],
            )
        document.pages.append(page.number)
        document.urgent = document.urgent or page.urgent
    for document in documents.values():
        document.pages.sort()
    left = (row.expires_at - datetime.now(UTC)).total_seconds()
    return Lease(lease_id=row.id, seconds_left=max(left, 0.0), documents=list(documents.values()))


@router.post("/lease")
async def lease(wanted: LeaseRequest, attempt: Working, using: Using) -> LeaseResponse:
    """Lend pages of the most urgent lane, or nothing."""
    _check_protocol(wanted.protocol)
    if _must_close(attempt):
        return LeaseResponse(lease=None, closing=True)
    async with using.pool.connection() as db:
        await mark_seen(db, attempt.session_id, engine=wanted.engine)
        row = await lease_pages(
            db,
            session_id=attempt.session_id,
            attempt_id=attempt.id,
            limit=wanted.limit,
            ttl=timedelta(seconds=using.settings.lease_seconds),
        )
        waiting = await count_waiting_pages(db)
    return LeaseResponse(
        lease=_lease_message(row, using.storage) if row else None, pages_waiting=waiting
    )


@router.post("/heartbeat")
async def heartbeat(beat: HeartbeatRequest, attempt: Working, using: Using) -> HeartbeatResponse:
    """Renew leases and their links; a lease left out of the answer is lost to the host."""
    _check_protocol(beat.protocol)
    async with using.pool.connection() as db:
        await mark_seen(db, attempt.session_id)
        rows = await extend_leases(
            db,
            attempt_id=attempt.id,
            lease_ids=beat.lease_ids,
            ttl=timedelta(seconds=using.settings.lease_seconds),
        )
    return HeartbeatResponse(leases=[_lease_message(row, using.storage) for row in rows])


@router.post("/complete")
async def complete(request: Request, attempt: Working, using: Using) -> CompleteResponse:
    """Store results and failures of pages the lease holds; telling twice changes nothing.

    Word boxes go to object storage first, then everything else in one transaction: a
    gateway killed in between leaves an object that the next report overwrites.
    """
    encoding = request.headers.get("content-encoding", "identity").lower()
    if encoding not in {"identity", "gzip"}:
        raise HTTPException(415, "Send the body as it is or gzipped.")
    body = await request.body()
    if encoding == "gzip":
        body = await asyncio.to_thread(_gunzip, body)
    async with _LARGE if len(body) > LARGE_BYTES else _SMALL:
        return await _store(body, attempt, using)


async def _store(body: bytes, attempt: Attempt, using: Services) -> CompleteResponse:
    # Megabytes of JSON: checked beside the event loop.
    report = await asyncio.to_thread(_parse, body)
    _check_protocol(report.protocol)
    async with using.pool.connection() as db:
        held = await held_pages(db, lease_id=report.lease_id, attempt_id=attempt.id)
    outcomes = _outcomes_of_held_pages(report, held)
    await _store_words(using.storage, outcomes)
    told = [(one.document_id, one.page) for one in (*report.results, *report.failures)]
    async with using.pool.connection() as db:
        stored, finished = await settle_pages(
            db, lease_id=report.lease_id, attempt_id=attempt.id, outcomes=outcomes
        )
        if stored < len(told):
            stored = await already_settled(db, session_id=attempt.session_id, pages=told)
        await mark_seen(db, attempt.session_id)
    for document_id in finished:
        document_read(document_id)
    return CompleteResponse(accepted=stored, refused=len(told) - stored)


@router.post("/close")
async def close(wanted: CloseRequest, attempt: Current, using: Using) -> CloseResponse:
    """Close the session, or answer that pages arrived meanwhile; closing twice is closing once."""
    _check_protocol(wanted.protocol)
    async with using.pool.connection() as db:
        closed = attempt.closed or await close_if_idle(
            db, attempt.session_id, reason=wanted.reason, must_close=_must_close(attempt)
        )
        dollars = await session_cost_so_far(db, attempt.session_id) if closed else None
    return CloseResponse(closed=closed, dollars=None if dollars is None else float(dollars))


def _outcomes_of_held_pages(report: CompleteRequest, held: Sequence[HeldPage]) -> list[PageOutcome]:
    folder = {(page.document_id, page.number): page.s3_processed_path for page in held}
    outcomes: list[PageOutcome] = []
    for one in report.results:
        if (original := folder.pop((one.document_id, one.page), None)) is not None:
            words = f"{original.removesuffix('/original')}/pages/{one.page:05d}.json.gz"
            outcomes.append(PageOutcome(one.document_id, one.page, one.result, words))
    for one in report.failures:
        if folder.pop((one.document_id, one.page), None) is not None:
            failure = Failure(
                stage=one.failure.stage,
                reason=one.failure.reason,
                retry_helps=one.failure.retry_helps,
                page=one.page,
            )
            outcomes.append(PageOutcome(one.document_id, one.page, failure))
    return outcomes


async def _store_words(storage: Bucket, outcomes: Sequence[PageOutcome]) -> None:
    client = storage.client()

    def put(key: str, result: PageText) -> None:
        client.put_object(
            Bucket=storage.bucket,
            Key=key,
            Body=gzip.compress(result.model_dump_json().encode(), mtime=0),
            ContentType="application/json",
            ContentEncoding="gzip",
        )

    await asyncio.gather(
        *(
            asyncio.to_thread(put, outcome.words_path, outcome.result)
            for outcome in outcomes
            if outcome.words_path is not None and isinstance(outcome.result, PageText)
        )
    )


def _parse(body: bytes) -> CompleteRequest:
    try:
        return CompleteRequest.model_validate_json(body)
    except ValidationError as error:
        found = problems(error.errors(include_input=False, include_url=False))
        raise HTTPException(422, found) from error


def _gunzip(packed: bytes) -> bytes:
    """What is in the gzip, never more than `MAX_RESULT_BYTES`: a bomb is given up unexploded."""
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        body = unpacker.decompress(packed, MAX_RESULT_BYTES)
    except zlib.error as error:
        raise HTTPException(400, "The body is not gzip.") from error
    if unpacker.unconsumed_tail:
        raise HTTPException(413, f"The body unpacks to more than {MAX_RESULT_BYTES} bytes.")
    if not unpacker.eof:
        raise HTTPException(400, "The gzip body is cut short.")
    return body
