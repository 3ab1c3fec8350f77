"""`/uploads/large`: files in parts, straight to the bucket by signed links.

The gateway signs a link for each part, with its length, so that no more can be sent than
was declared; the store makes one object of them under a key that nobody else has. States
are those of `sql.multipart_uploads`; what is given up is thrown away by `clean_uploads`.
"""

import asyncio
import math
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated
from uuid import UUID, uuid4

from botocore.exceptions import ClientError
from fastapi import APIRouter, Depends, HTTPException

from blocks.bucket import Bucket
from blocks.inbox import Origin, abort_parts, beside, find_object, inbox_key, names_of
from blocks.wakeups import object_created
from gateway.clients import Client, ClientFirst
from gateway.services import Services, services
from gateway.storing import record
from gateway.uploads import SOURCE
from schema.uploads import (
    CompleteLargeUpload,
    LargeUpload,
    LargeUploadRequest,
    Outcome,
    Uploaded,
)
from sql.arrivals import SeenObject
from sql.multipart_uploads import (
    MultipartUpload,
    begin_multipart,
    count_open,
    end_multipart,
    find_multipart,
    open_under,
)

router = APIRouter(prefix="/uploads/large", tags=["uploads"], route_class=ClientFirst)

PART_BYTES = 16 * 1024**2
LIFETIME = timedelta(hours=12)
MOST_OPEN = 32

Using = Annotated[Services, Depends(services)]


@router.post("")
async def begin(wanted: LargeUploadRequest, client: Client, using: Using) -> LargeUpload:
    """Begin an upload; answers a signed link for each part."""
    upload_id, key = uuid4(), inbox_key(wanted.path, wanted.matter)
    await _give_up_earlier(using, client.id, key)
    async with using.pool.connection() as db:
        if await count_open(db, client.id) >= MOST_OPEN:
            raise HTTPException(
                429, f"{MOST_OPEN} uploads in parts are open; complete or delete one first."
            )
    key, s3_upload_id = await asyncio.to_thread(
        _begin, using.storage, key, wanted, client.name, upload_id
    )
    async with using.pool.connection() as db:
        await begin_multipart(
            db,
            upload_id,
            client_id=client.id,
            submitted_by=client.name,
            key=key,
            s3_upload_id=s3_upload_id,
            size_bytes=wanted.size_bytes,
            part_bytes=PART_BYTES,
            lane=wanted.lane,
            note=wanted.note,
            lifetime=LIFETIME,
        )
    return LargeUpload(
        upload_id=upload_id,
        part_bytes=PART_BYTES,
        parts=await asyncio.to_thread(
            _part_links, using.storage, key, s3_upload_id, wanted.size_bytes
        ),
        expires_in_seconds=int(LIFETIME.total_seconds()),
    )


@router.post("/{upload_id}/complete")
async def complete(
    upload_id: UUID, told: CompleteLargeUpload, client: Client, using: Using
) -> Uploaded:
    """Make one file of the parts and take it in; completing twice is completing once."""
    one = await _own(using, upload_id, client.id)
    if one.state == "aborted":
        raise HTTPException(410, "This upload was given up; begin another.")
    if one.state == "open":
        await asyncio.to_thread(_complete, using.storage, one, told.etags)
    stored = await asyncio.to_thread(find_object, using.storage, one.key)
    if stored is None:
        raise HTTPException(410, "The file was removed from the inbox; begin another upload.")
    seen = SeenObject(stored.key, stored.etag, stored.size_bytes)
    async with using.pool.connection() as db:
        origin = Origin(SOURCE, one.submitted_by, one.lane)
        new = await record(db, seen, origin=origin, note=one.note)
        await end_multipart(db, one.id, state="done")
    if new:
        object_created(seen.key, size_bytes=seen.size_bytes)
    return Uploaded(outcome=Outcome.DOCUMENT, key=seen.key, size_bytes=seen.size_bytes, sha256=None)


@router.delete("/{upload_id}", status_code=204)
async def give_up(upload_id: UUID, client: Client, using: Using) -> None:
    """Throw away what was sent of an upload that is not complete."""
    one = await _own(using, upload_id, client.id)
    if one.state == "done":
        raise HTTPException(409, "This upload is complete.")
    await _give_up(using, one)


async def _give_up_earlier(using: Services, client_id: UUID, key: str) -> None:
    """End what the client began for this key and left: killed, or its answer was lost."""
    async with using.pool.connection() as db:
        earlier = await open_under(db, client_id, key)
    for one in earlier:
        await _give_up(using, one)


async def _give_up(using: Services, one: MultipartUpload) -> None:
    await asyncio.to_thread(abort_parts, using.storage, one.key, one.s3_upload_id)
    async with using.pool.connection() as db:
        await end_multipart(db, one.id, state="aborted")


async def _own(using: Services, upload_id: UUID, client_id: UUID) -> MultipartUpload:
    async with using.pool.connection() as db:
        found = await find_multipart(db, upload_id, client_id)
    if found is None:
        raise HTTPException(404, "There is no such upload of yours.")
    return found


def _begin(
    storage: Bucket, key: str, wanted: LargeUploadRequest, client: str, upload_id: UUID
) -> tuple[str, str]:
    """The key it will have, and the store's id of the upload."""
    names = names_of(key, wanted.sha256) if wanted.sha256 else (key,)
    free = (name for name in names if find_object(storage, name) is None)
    key = next(free, beside(key, upload_id.hex))
    origin = Origin(SOURCE, client, wanted.lane, wanted.owners_path or wanted.path)
    digest = {"declared-sha256": wanted.sha256} if wanted.sha256 else {}
    begun = storage.client().create_multipart_upload(
        Bucket=storage.bucket,
        Key=key,
        Metadata=origin.metadata() | digest | {"upload": str(upload_id)},
    )
    return key, begun["UploadId"]


def _part_links(storage: Bucket, key: str, s3_upload_id: str, size_bytes: int) -> list[str]:
    count = math.ceil(size_bytes / PART_BYTES)
    return [
        storage.client().generate_presigned_url(
            "upload_part",
            Params={
                "Bucket": storage.bucket,
                "Key": key,
                "UploadId": s3_upload_id,
                "PartNumber": number,
                # Signed, so that a part of another length is refused by the store.
                "ContentLength": min(PART_BYTES, size_bytes - (number - 1) * PART_BYTES),
            },
            ExpiresIn=int(LIFETIME.total_seconds()),
        )
        for number in range(1, count + 1)
    ]


def _complete(storage: Bucket, one: MultipartUpload, etags: list[str]) -> None:
    """Have the store make one object; that it has done so already is as well."""
    if len(etags) != math.ceil(one.size_bytes / one.part_bytes):
        raise HTTPException(422, "One ETag for each part is needed.")
    try:
        sent = _sent_bytes(storage, one)
        if sent != one.size_bytes:
            raise HTTPException(422, f"{sent} of {one.size_bytes} bytes were sent.")
        storage.client().complete_multipart_upload(
            Bucket=storage.bucket,
            Key=one.key,
            UploadId=one.s3_upload_id,
            MultipartUpload={
                "Parts": [
                    {"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)
                ]
            },
            IfNoneMatch="*",
        )
    except ClientError as error:
        _explain(storage, one, error)


def _sent_bytes(storage: Bucket, one: MultipartUpload) -> int:
    pages = (
        storage.client()
        .get_paginator("list_parts")
        .paginate(Bucket=storage.bucket, Key=one.key, UploadId=one.s3_upload_id)
    )
    return sum(part.get("Size", 0) for page in pages for part in page.get("Parts", []))


def _explain(storage: Bucket, one: MultipartUpload, error: ClientError) -> None:
    code = error.response.get("Error", {}).get("Code")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if code == "NoSuchUpload":
        stored = find_object(storage, one.key)
        if stored is not None and stored.upload == str(one.id):
            return  # completed before, by a gateway that died before it could say so
        raise HTTPException(410, "The store has given this upload up; begin another.") from error
    if status in {HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED}:
        raise HTTPException(409, "Another file has this name by now; begin again.") from error
    if status == HTTPStatus.BAD_REQUEST:
        raise HTTPException(422, "The store has other parts than those named.") from error
    raise error
