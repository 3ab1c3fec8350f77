"""`/uploads`: how programs and people bring files. Protocol: `schema.uploads`.

    curl -T notice.pdf -X POST -H "Authorization: Bearer $TOKEN" \
        "https://…/uploads?path=notice.pdf&matter=smith-v-jones"
"""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from blocks.inbox import Content, Origin, find_same, inbox_key, names_of
from gateway.clients import Client, ClientFirst
from gateway.services import Services, services
from gateway.storing import store
from schema.files import TAKEN
from schema.lanes import Lane
from schema.uploads import (
    CheckRequest,
    CheckResponse,
    FilePath,
    FileToCheck,
    MatterName,
    Note,
    OwnersPath,
    Uploaded,
)
from sql.arrivals import find_taken_in

router = APIRouter(prefix="/uploads", tags=["uploads"], route_class=ClientFirst)

SOURCE = "upload"
CHECKS_AT_A_TIME = 8

Using = Annotated[Services, Depends(services)]

_FILE_BODY = {
    "requestBody": {
        "required": True,
        "description": f"The file's bytes as they are; {TAKEN} files are taken.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.post("", openapi_extra=_FILE_BODY)
async def upload(
    request: Request,
    client: Client,
    using: Using,
    path: Annotated[FilePath, Query()],
    matter: Annotated[MatterName | None, Query()] = None,
    lane: Annotated[Lane, Query(description="now: somebody waits for it.")] = Lane.NOW,
    note: Annotated[Note | None, Query()] = None,
    owners_path: Annotated[OwnersPath | None, Query()] = None,
) -> Uploaded:
    """Take one file in. Sending the same file again changes nothing and is answered `duplicate`."""
    key = inbox_key(path, matter)
    declared = int(request.headers.get("content-length", 0))
    async with using.spool.file(request.stream(), declared_bytes=declared) as (file, content):
        origin = Origin(SOURCE, client.name, lane, owners_path or path)
        return await store(using, file, content, key=key, origin=origin, note=note)


@router.post("/check")
async def check(wanted: CheckRequest, _: Client, using: Using) -> CheckResponse:
    """Which of these files lie in the inbox already, and so need not be sent."""
    slots = asyncio.Semaphore(CHECKS_AT_A_TIME)

    async def key_of(file: FileToCheck) -> str | None:
        content = Content("", file.size_bytes, file.md5, file.sha256)
        key = inbox_key(file.path, file.matter)
        async with slots:
            stored = await asyncio.to_thread(find_same, using.storage, key, content)
            if stored is not None:
                return stored.key
            # What came in parts has no digest that can be believed until it is taken in.
            async with using.pool.connection() as db:
                names = names_of(key, file.sha256)
                return await find_taken_in(db, names, file_hash=file.sha256)

    return CheckResponse(keys=list(await asyncio.gather(*map(key_of, wanted.files))))
