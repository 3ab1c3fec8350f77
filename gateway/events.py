"""`/events`: notifications of the object store.

A notification only says "look at this key": size and ETag are asked of the store
itself, so a forged or stale one can at worst point at an object that is there. The
arrival is recorded before the event is emitted; a lost event is made good by the sweep.
"""

import asyncio
import hmac
from typing import Annotated
from urllib.parse import unquote

from botocore.exceptions import ClientError
from fastapi import APIRouter, Depends, HTTPException, Request
from pydantic import BaseModel, Field

from blocks.object_storage import RAW, ObjectStorage
from blocks.wakeups import object_created
from gateway.services import Services, services
from sql.arrivals import SeenObject, notice

router = APIRouter(prefix="/events", tags=["events"])


class StorageEvent(BaseModel):
    """What SeaweedFS's filer posts; the fields not named here are not needed."""

    event_type: str = Field(max_length=50)
    key: str = Field(max_length=4096, description="/buckets/BUCKET/KEY")


class Noticed(BaseModel):
    """How many arrivals were new."""

    noticed: int


async def check_token(request: Request, using: Annotated[Services, Depends(services)]) -> None:
    """401 unless the request carries the storage notification token."""
    wanted = f"Bearer {using.gateway.s3_events_token.get_secret_value()}"
    if not hmac.compare_digest(request.headers.get("authorization", "").encode(), wanted.encode()):
        raise HTTPException(401, "The storage notification token is missing or wrong.")


@router.post("/s3", dependencies=[Depends(check_token)])
async def storage_event(
    event: StorageEvent, using: Annotated[Services, Depends(services)]
) -> Noticed:
    """Record a new object in `raw/` and wake the ingest drain; everything else is ignored."""
    prefix = f"/buckets/{using.storage.bucket}/"
    key = event.key.removeprefix(prefix)
    if event.event_type not in {"create", "update", "rename"} or not event.key.startswith(prefix):
        return Noticed(noticed=0)
    if not key.startswith(RAW) or key.endswith("/"):
        return Noticed(noticed=0)
    seen = await asyncio.to_thread(_look, using.storage, key)
    if seen is None:
        return Noticed(noticed=0)
    async with using.pool.connection() as db:
        new = await notice(db, [seen], source="bucket")
    if new:
        object_created(seen.key, size_bytes=seen.size_bytes)
    return Noticed(noticed=new)


def _look(storage: ObjectStorage, key: str) -> SeenObject | None:
    client = storage.client()
    for candidate in dict.fromkeys((key, unquote(key))):
        try:
            head = client.head_object(Bucket=storage.bucket, Key=candidate)
        except ClientError as error:
            if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 404:
                continue
            raise
        return SeenObject(candidate, head["ETag"].strip('"'), head["ContentLength"])
    return None
