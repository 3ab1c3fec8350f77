"""`/upload/{token}`: a page with which somebody without a token of their own brings one file.

The link is the secret: made by the gateway for a person it knows, it works once and for
hours. The page holds no script but `upload.js`, and shows nothing of what is in the house.
"""

from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from fastapi.responses import FileResponse

from blocks.inbox import Origin, inbox_key
from gateway.callers import Caller, KnownFirst, hashed, introduce
from gateway.services import Services, services
from gateway.storing import store
from schema.uploads import FilePath, Uploaded
from sql.arrivals import SeenObject
from sql.connection import Connection
from sql.upload_links import UploadLink, claim_link, find_link, give_link_back, settle_link

PAGES = Path(__file__).parent / "pages"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Cache-Control": "no-store",
    # The page's address is its secret.
    "Referrer-Policy": "no-referrer",
}


class LinkFirst(KnownFirst):
    """A route that answers 404 before the body is read, unless the link may be used now."""

    async def ask(self, request: Request) -> None:
        """Find the link; the page itself says it where there is none."""
        using: Services = request.app.state.services
        async with using.pool.connection() as db:
            link = await find_link(db, hashed(str(request.path_params["token"])))
        if link is None and request.method == "POST":
            raise HTTPException(404, "This link was used or is over; ask for another.")
        if link is not None:
            introduce(request, Caller("link", str(link.id)[:8]))
        request.state.link = link


def _link(request: Request) -> UploadLink:
    found: UploadLink = request.state.link
    return found


router = APIRouter(tags=["uploads"])
linked = APIRouter(tags=["uploads"], route_class=LinkFirst)

Using = Annotated[Services, Depends(services)]
Link = Annotated[UploadLink, Depends(_link)]


@router.get("/upload.js", include_in_schema=False)
async def script() -> FileResponse:
    """What the page does."""
    return FileResponse(PAGES / "upload.js", headers=HEADERS)


@router.get("/upload.css", include_in_schema=False)
async def style() -> FileResponse:
    """How the page looks."""
    return FileResponse(PAGES / "upload.css", headers=HEADERS)


@linked.get("/upload/{token}", response_class=Response, include_in_schema=False)
async def page(request: Request, token: str) -> FileResponse:  # noqa: ARG001 - LinkFirst reads it
    """The page; another where the link may not be used."""
    if request.state.link is None:
        return FileResponse(PAGES / "over.html", HTTPStatus.NOT_FOUND, headers=HEADERS)
    return FileResponse(PAGES / "upload.html", headers=HEADERS)


@linked.post("/upload/{token}")
async def upload(
    request: Request,
    token: str,  # noqa: ARG001 - LinkFirst reads it
    link: Link,
    using: Using,
    path: Annotated[FilePath, Query()],
) -> Uploaded:
    """Take the one file in; the link works no second time."""
    key = inbox_key(path.rsplit("/", 1)[-1], link.matter)
    declared = int(request.headers.get("content-length", 0))
    async with using.spool.file(request.stream(), declared_bytes=declared) as (file, content):
        async with using.pool.connection() as db:
            if not await claim_link(db, link.id):
                raise HTTPException(409, "This link was used meanwhile; ask for another.")
        try:
            return await store(
                using,
                file,
                content,
                key=key,
                origin=Origin(link.source, link.submitted_by, link.lane, path),
                note=link.note,
                also=partial(_settle, link),
            )
        except Exception:
            async with using.pool.connection() as db:
                await give_link_back(db, link.id)
            raise


async def _settle(link: UploadLink, db: Connection, seen: SeenObject) -> None:
    await settle_link(db, link.id, seen)
