"""`/events`: notifications of the object store.

A notification says what lies under a key. It is taken at its word because it carries
the store's token, and because ingest reads under `If-Match`: one that is stale or wrong
finds nothing. The arrival is recorded before the event is emitted; a lost event is made
good by the sweep.
"""

import base64
import binascii
import hmac
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request
from pydantic import BaseModel, Field

from blocks.bucket import INBOXES
from blocks.wakeups import object_created
from gateway.services import Services, services
from sql.arrivals import SeenObject, notice

router = APIRouter(prefix="/events", tags=["events"])


class Attributes(BaseModel):
    """What SeaweedFS's filer knows of a file; empty files leave the size out."""

    file_size: int = Field(default=0, ge=0)


class Entry(BaseModel):
    """A file or folder of the filer; only files put through S3 have an S3 ETag."""

    attributes: Attributes = Attributes()
    extended: dict[str, str] = {}

    @property
    def etag(self) -> str | None:
        """The S3 ETag without quotes; None for a folder."""
        try:
            return base64.b64decode(self.extended["Seaweed-X-Amz-ETag"], validate=True).decode()
        except (KeyError, binascii.Error, UnicodeDecodeError):
            return None


class Message(BaseModel):
    """The part of a filer notification that says what is there now."""

    new_entry: Entry = Entry()


class StorageEvent(BaseModel):
    """What SeaweedFS's filer posts; the fields not named here are not needed."""

    event_type: str = Field(max_length=50)
    key: str = Field(max_length=4096, description="/buckets/BUCKET/KEY, not URL-encoded")
    message: Message = Message()


class Noticed(BaseModel):
    """How many arrivals were new."""

    noticed: int


async def check_token(request: Request, using: Annotated[Services, Depends(services)]) -> None:
    """401 unless the request carries the storage notification token."""
    wanted = f"Bearer {using.settings.s3_events_token.get_secret_value()}"
    if not hmac.compare_digest(request.headers.get("authorization", "").encode(), wanted.encode()):
        raise HTTPException(401, "The storage notification token is missing or wrong.")


@router.post("/s3", dependencies=[Depends(check_token)])
async def storage_event(
    event: StorageEvent, using: Annotated[Services, Depends(services)]
) -> Noticed:
    """Record a new object in an inbox and wake the ingest drain; everything else is ignored."""
    prefix = f"/buckets/{using.storage.bucket}/"
    key, entry = event.key.removeprefix(prefix), event.message.new_entry
    if event.event_type not in {"create", "update"} or not event.key.startswith(prefix):
        return Noticed(noticed=0)
    if not key.startswith(INBOXES) or key.endswith("/") or entry.etag is None:
        return Noticed(noticed=0)
    seen = SeenObject(key, entry.etag, entry.attributes.file_size)
    async with using.pool.connection() as db:
        new = await notice(db, [seen], source="bucket")
    if new:
        object_created(seen.key, size_bytes=seen.size_bytes)
    return Noticed(noticed=new)
