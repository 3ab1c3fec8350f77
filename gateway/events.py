"""`/events`: notifications of the object store, in the shapes of `gateway.notifications`.

A notification says what lies under a key. It is taken at its word because it carries
the store's token, and because ingest reads under `If-Match`: one that is stale or wrong
finds nothing. The arrival is recorded before the event is emitted; a lost event is made
good by the sweep.
"""

import hmac
from typing import Annotated

from fastapi import APIRouter, Body, Depends, HTTPException, Request
from pydantic import BaseModel

from blocks.wakeups import object_created
from gateway.callers import Caller, KnownFirst, bearer_token, introduce
from gateway.notifications import Notification
from gateway.services import Services, services
from sql.arrivals import notice


class StoreTokenFirst(KnownFirst):
    """A route that answers 401 to whoever has not the storage notification token."""

    async def ask(self, request: Request) -> None:
        """Compare the token."""
        using: Services = request.app.state.services
        wanted = using.settings.s3_events_token.get_secret_value()
        told = bearer_token(request)
        if not told or not hmac.compare_digest(told.encode(), wanted.encode()):
            raise HTTPException(401, "The storage notification token is missing or wrong.")
        introduce(request, Caller("storage"))


router = APIRouter(prefix="/events", tags=["events"], route_class=StoreTokenFirst)


class Noticed(BaseModel):
    """How many arrivals were new."""

    noticed: int


@router.post("/s3")
async def storage_event(
    notification: Annotated[Notification, Body()], using: Annotated[Services, Depends(services)]
) -> Noticed:
    """Record new objects of the inboxes and wake the ingest drain; all else is ignored."""
    seen = notification.new_objects(using.storage.bucket)
    async with using.pool.connection() as db:
        new = await notice(db, seen, source="bucket")
    if new:
        object_created(seen[0].key, size_bytes=seen[0].size_bytes)
    return Noticed(noticed=new)
