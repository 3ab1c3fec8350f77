"""Take one arrival in: from an object in the inbox to a document with pages and a job.

In this order, each step safe to repeat and to be killed after:

1. Read the object once under `If-Match`. Overwritten or deleted meanwhile: the arrival
   is `superseded`, its successor is an arrival of its own.
2. Copy the bytes server-side to `processed/<sha256>/original`, still under the same
   ETag. That object is never written again, so what happens in `raw/` later loses nothing.
3. Inspect, in a process of its own: type, limits, pages, text layers. A file that cannot be
   read is a document whose job failed, with the reason; its original is kept.
4. Files in it (a ZIP's, an e-mail's) are put into the inbox, each under a key that follows
   from its container's: done again, they are found there. From here on the store may tell
   of them, and they are taken in like any other.
5. Document, pages, job, its list of members, their arrivals and the arrival's end in one
   transaction. The same content again is one document with one more arrival. While that
   content is just being deleted (`sql.deletions`) the arrival waits, and is taken in from
   the beginning.
"""

import asyncio
import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from uuid import UUID

import psycopg
from botocore.exceptions import BotoCoreError, ClientError
from prefect import task
from prefect.cache_policies import NO_CACHE
from psycopg_pool import PoolTimeout

from blocks.bucket import PROCESSED
from blocks.inbox import Origin, matter_of
from blocks.object_storage import ObjectStorage
from schema.failures import BadInput, Failure, RetryLater, Stage
from schema.files import MAX_BYTES, ZIP
from sql.arrivals import (
    MAX_ATTEMPTS,
    Arrival,
    fail_arrival,
    put_off_arrival,
    settle_arrival,
    supersede_arrival,
)
from sql.connection import Connection, Pool
from sql.corrections import store_analysis
from sql.deletions import BeingDeleted, hold_off
from sql.documents import (
    NewDocument,
    TakenIn,
    find_by_hash,
    insert_document,
    lock_job,
    now_of,
    revive_document,
    taken_in,
)
from sql.members import forget_members
from tasks.containers import PutMember, list_of, note_members, put_members, room_for
from tasks.inspected import Inspection, Room
from tasks.inspector import Inspector

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

CHUNK_BYTES = 1 << 20

CONCURRENT = 6
"""Files taken in at a time: storage and database wait for each other, the CPU is small."""


DELETED_WITHIN = timedelta(minutes=1)
"""How soon an arrival is tried again whose content is just being deleted."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of an arrival: `document`, `duplicate`, `failed`, `superseded`, `waits`."""

    key: str
    outcome: str
    document_id: UUID | None = None
    pages: int = 0
    pages_to_read: int = 0
    reason: str | None = None


class StoreAway(RetryLater):
    """Object storage does not answer, or not now: no file's fault."""


class _Superseded(Exception):
    """The object is no longer the one that arrived."""


@dataclass(frozen=True, slots=True)
class _Original:
    sha256: str
    origin: Origin


async def _worth_retrying(_task: object, _run: object, state: "State[object]") -> bool:
    """Retry only what may pass; a plain function because Prefect ignores anything else here."""
    try:
        await state.aresult()
    except RetryLater:
        return True
    except Exception:  # noqa: BLE001 - any other error is final, whatever it is
        return False
    return False


@task(
    name="take in",
    task_run_name="take in {files} files",
    cache_policy=NO_CACHE,
    retries=3,
    retry_delay_seconds=[1, 5, 15],
    retry_jitter_factor=0.5,
    retry_condition_fn=_worth_retrying,
)
async def take_in(
    arrivals: Sequence[Arrival],
    files: int,  # noqa: ARG001 - shown in the task run's name
    storage: ObjectStorage,
    pool: Pool,
    inspector: Inspector,
) -> list[Taken]:
    """Take a batch of arrivals in. Retried when storage or database are away, never for bad files.

    A batch, not a file, is a task: each task run costs Prefect more than taking in a file does.
    """
    slots = asyncio.Semaphore(CONCURRENT)

    async def one(arrival: Arrival) -> Taken:
        async with slots:
            return await _take_in_one(arrival, storage, pool, inspector)

    # All are finished before any trouble is raised: one bad file never stops a batch.
    outcomes = await asyncio.gather(*map(one, arrivals), return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, StoreAway):
            raise outcome
    taken: list[Taken] = []
    for arrival, outcome in zip(arrivals, outcomes, strict=True):
        if isinstance(outcome, Taken):
            taken.append(outcome)
        elif isinstance(outcome, (RetryLater, psycopg.OperationalError, PoolTimeout, OSError)):
            raise RetryLater("a server is away, or the disk is full") from outcome
        elif isinstance(outcome, Exception):
            reason = f"Taking the file in failed unexpectedly ({type(outcome).__name__})."
            taken.append(await _fail(pool, arrival, reason, retry_helps=True))
        else:
            raise outcome
    return taken


async def _take_in_one(
    arrival: Arrival, storage: ObjectStorage, pool: Pool, inspector: Inspector
) -> Taken:
    if arrival.attempts > MAX_ATTEMPTS:
        reason = f"Taking the file in was begun {MAX_ATTEMPTS} times and never finished."
        return await _fail(pool, arrival, reason, retry_helps=True)
    try:
        return await _read_and_record(arrival, storage, pool, inspector)
    except BeingDeleted as error:
        async with pool.connection() as db:
            await put_off_arrival(db, arrival.id, wait=DELETED_WITHIN)
        return Taken(arrival.key, "waits", reason=str(error))


async def _read_and_record(
    arrival: Arrival, storage: ObjectStorage, pool: Pool, inspector: Inspector
) -> Taken:
    with tempfile.TemporaryDirectory(prefix="aseagi-intake-") as folder:
        path, members_folder = Path(folder) / "original", Path(folder) / "members"
        members_folder.mkdir()
        try:
            original = await asyncio.to_thread(_read_once, storage, arrival, path)
            async with pool.connection() as db:
                looked_at = await now_of(db)
                known = await find_by_hash(db, original.sha256)
                if known is None:  # nothing is put anywhere of what is just being deleted
                    await hold_off(db, original.sha256, since=looked_at)
                here = await taken_in(db, known) if known is not None else None
            if known is None:
                await asyncio.to_thread(_copy, storage, arrival, original)
        except _Superseded:
            async with pool.connection() as db:
                await supersede_arrival(db, arrival.id)
            return Taken(arrival.key, "superseded")
        except BadInput as error:
            return await _fail(pool, arrival, str(error), retry_helps=False)
        except (ClientError, BotoCoreError) as error:
            raise _refused(error) from error
        async with pool.connection() as db:
            room = await room_for(db, original.origin)
        inspection, failure = await _inspect(inspector, path, members_folder, room)
        has_more = here is None or _has_more(inspection, here)
        try:
            members = await asyncio.to_thread(
                put_members,
                storage.plain(),
                # Those of a document that is known were put there with it, unless it lacks some.
                inspection.members if has_more else (),
                members_folder,
                container_key=arrival.key,
                container_hash=original.sha256,
                origin=original.origin,
            )
        except (ClientError, BotoCoreError) as error:
            raise _refused(error) from error
    completes = known if has_more else None
    return await _record(
        pool, arrival, original, inspection, failure, members, looked_at, completes=completes
    )


def _has_more(inspection: Inspection, here: TakenIn) -> bool:
    """Whether there is more in a known file than was taken in: what lay too deep in others, or
    came when there was no room, may come by itself now."""
    taken = sum(one.file is not None for one in inspection.members)
    return here.failed or (here.refused > 0 and taken > here.members)


async def _fail(pool: Pool, arrival: Arrival, reason: str, *, retry_helps: bool) -> Taken:
    failure = Failure(stage=Stage.INGEST, reason=reason, retry_helps=retry_helps)
    async with pool.connection() as db:
        await fail_arrival(db, arrival.id, failure)
    return Taken(arrival.key, "failed", reason=reason)


def _read_once(storage: ObjectStorage, arrival: Arrival, path: Path) -> _Original:
    """Step 1: the bytes on disk, exactly those that arrived."""
    if arrival.size_bytes > MAX_BYTES:
        raise BadInput(f"The file is larger than {MAX_BYTES // 1024**3} GB.")
    digest = hashlib.sha256()
    try:
        answer = storage.client().get_object(
            Bucket=storage.bucket, Key=arrival.key, IfMatch=f'"{arrival.etag}"'
        )
    except ClientError as error:
        raise _superseded_or_same(error) from error
    with path.open("wb") as file:
        for chunk in answer["Body"].iter_chunks(CHUNK_BYTES):
            digest.update(chunk)
            file.write(chunk)
    origin = Origin.of(answer["Metadata"], source=arrival.source, lane=arrival.lane)
    return _Original(digest.hexdigest(), origin)


def _copy(storage: ObjectStorage, arrival: Arrival, original: _Original) -> None:
    """Step 2: the immutable copy; one that is there already is the same bytes."""
    try:
        storage.client().copy_object(
            Bucket=storage.bucket,
            Key=f"{PROCESSED}{original.sha256}/original",
            CopySource={"Bucket": storage.bucket, "Key": arrival.key},
            CopySourceIfMatch=f'"{arrival.etag}"',
        )
    except ClientError as error:
        raise _superseded_or_same(error) from error


def _superseded_or_same(error: ClientError) -> Exception:
    # Not any 404: a bucket that is not there is a setting to mend, not a file that went.
    gone = error.response.get("Error", {}).get("Code") in {"NoSuchKey", "404"}
    changed = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 412
    return _Superseded() if gone or changed else error


async def _complete(
    db: Connection, document_id: UUID, found: NewDocument, members: Sequence[PutMember]
) -> bool:
    """Give a known document what it lacked, if this arrival has more of it; whether it had."""
    taken = sum(one.member.file_hash is not None for one in members)
    if not (
        await revive_document(db, document_id, found)
        or await forget_members(db, document_id, fewer_than=taken)
    ):
        return False
    if found.analysis is not None:  # what people corrected stays
        await store_analysis(db, document_id, found.analysis)
    return True


def is_away(storage: ObjectStorage) -> bool:
    """Whether the store answers nothing at all, not just of one object; blocking."""
    try:
        storage.client().list_objects_v2(Bucket=storage.bucket, MaxKeys=1)
    except (ClientError, BotoCoreError):
        return True
    return False


def _refused(error: ClientError | BotoCoreError) -> RetryLater:
    """What the store's refusal means: it is away, or it refuses this object, for now."""
    said = f"object storage: {type(error).__name__}"
    if not isinstance(error, ClientError):
        return StoreAway(said)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
    return StoreAway(said) if status >= HTTPStatus.INTERNAL_SERVER_ERROR else RetryLater(said)


async def _inspect(
    inspector: Inspector, path: Path, folder: Path, room: Room
) -> tuple[Inspection, Failure | None]:
    try:
        return await inspector.inspect(path, folder, room), None
    except BadInput as error:
        failure = Failure(stage=Stage.INGEST, reason=str(error)[:500], retry_helps=False)
        return Inspection(media_type="application/octet-stream", pages=()), failure


async def _record(
    pool: Pool,
    arrival: Arrival,
    original: _Original,
    inspection: Inspection,
    failure: Failure | None,
    members: Sequence[PutMember],
    looked_at: datetime,
    *,
    completes: UUID | None,
) -> Taken:
    """The transaction. `completes` is the known document that it may give what it lacked."""
    origin, file_name = original.origin, PurePosixPath(arrival.key).name
    is_archive = inspection.media_type == ZIP
    found = NewDocument(
        file_hash=original.sha256,
        file_name=file_name,
        media_type=inspection.media_type,
        size_bytes=arrival.size_bytes,
        s3_raw_path=arrival.key,
        s3_processed_path=f"{PROCESSED}{original.sha256}/original",
        matter=matter_of(arrival.key),
        lane=origin.lane,
        pages=inspection.pages,
        failure=failure,
        page_source=inspection.source,
        analysis=list_of(file_name, inspection.members) if is_archive else None,
    )
    async with pool.connection() as db:
        if completes is not None:
            await lock_job(db, completes)  # before the document, as a deletion does
        document_id, new = await insert_document(db, found, looked_at=looked_at)
        if not new and document_id == completes:
            new = await _complete(db, document_id, found, members)
        if new:
            await note_members(db, document_id, members, original.sha256, origin)
        await settle_arrival(
            db,
            arrival.id,
            document_id=document_id,
            original_path=origin.path,
            source=origin.source,
            submitted_by=origin.submitted_by,
        )
    return Taken(
        key=arrival.key,
        outcome="duplicate" if not new else "failed" if failure else "document",
        document_id=document_id,
        pages=len(inspection.pages),
        pages_to_read=sum(text is None for text in inspection.pages) if new else 0,
        reason=failure.reason if failure else None,
    )
