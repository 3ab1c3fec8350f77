"""The gateway's application: what it is made of, and how its errors look.

Guarantees: nothing is written for a request that is refused; every refusal is a 4xx
with a reason; a database, an object store or a Prefect that is away is a 503 that may
be retried. What a request said is never repeated in a refusal.
"""

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
from botocore.exceptions import BotoCoreError, ClientError
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from psycopg_pool import PoolTimeout

from gateway import docs_page, events, host, large_uploads, prefect_door, upload_page, uploads
from gateway.access_log import AccessLog
from gateway.bodies import BoundedBodies, Bounds
from gateway.headers import SecurityHeaders
from gateway.prefect_api import PrefectAway, PrefectRefused
from gateway.rates import BoundedRates
from gateway.refusals import problems
from gateway.services import open_services
from gateway.settings import load_settings
from gateway.surprises import Surprises
from gateway.telegram import door as telegram_door
from gateway.telegram.service import telegram_service
from gateway.turns import ROOMS, Turns
from schema.failures import BadInput
from schema.files import MAX_BYTES
from schema.host import MAX_RESULT_BYTES

log = logging.getLogger("aseagi.gateway")

BODIES = {
    "/host/complete": Bounds(MAX_RESULT_BYTES),
    # A notification lists the pieces of its file.
    "/events/s3": Bounds(1024 * 1024),
    "/uploads/": Bounds(1024 * 1024),
    "/uploads": Bounds.long(MAX_BYTES),
    "/upload/": Bounds.long(MAX_BYTES),
    "/telegram": Bounds(telegram_door.LIMIT_BYTES),
    **{path: Bounds(max_bytes) for path, max_bytes in prefect_door.LIMITS.items()},
}
"""How large and how slow a body may be, by the beginning of the path."""

TAGS = [
    {
        "name": "uploads",
        "description": "Bring documents. `Authorization: Bearer` and the token that "
        "`aseagi clients add` shows; a link of one file needs none.",
    },
    {"name": "events", "description": "What the object store tells: something was put there."},
    {"name": "telegram", "description": "What Telegram delivers to the bot."},
    {"name": "host", "description": "For OCR sessions, each with the token of its attempt."},
    {"name": "prefect", "description": "The part of Prefect that one session's run needs."},
]
"""The parts of the documentation, in its order."""


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncGenerator[None]:
    async with open_services(await load_settings(), app.state.spool_dir) as services:
        app.state.services = services
        async with telegram_service(services) as app.state.telegram:
            yield


async def _unavailable(_request: Request, error: Exception) -> JSONResponse:
    log.warning("a service is away: %s", type(error).__name__)
    return JSONResponse(
        {"detail": "A service behind the gateway is away; try again."},
        status_code=503,
        headers={"Retry-After": "2"},
    )


async def _prefect_refused(_request: Request, error: Exception) -> JSONResponse:
    status = error.status if isinstance(error, PrefectRefused) else 400
    return JSONResponse({"detail": str(error)}, status_code=status)


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    found = problems(error.errors()) if isinstance(error, RequestValidationError) else []
    return JSONResponse({"detail": found}, status_code=422)


async def _bad_input(_request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, status_code=422)


async def _does_not_fit(_request: Request, error: Exception) -> JSONResponse:
    log.warning("a request does not fit the tables: %s", type(error).__name__)
    return JSONResponse({"detail": "A value cannot be stored."}, status_code=422)


def create_app(*, spool_dir: Path) -> FastAPI:
    """Build the application; it connects when it starts, not here.

    `spool_dir` is a folder of its own for uploads on their way; what lies there is removed.
    """
    # Its own pages of documentation would load scripts from elsewhere: `docs_page` has them here.
    app = FastAPI(
        title="ASEAGI gateway",
        summary="The one HTTP door: who brings documents, what tells of them, who reads them.",
        openapi_tags=TAGS,
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.spool_dir = spool_dir
    for away in (psycopg.OperationalError, PoolTimeout, BotoCoreError, ClientError, PrefectAway):
        app.add_exception_handler(away, _unavailable)
    for wrong in (psycopg.DataError, psycopg.IntegrityError):
        app.add_exception_handler(wrong, _does_not_fit)
    app.add_exception_handler(BadInput, _bad_input)
    app.add_exception_handler(PrefectRefused, _prefect_refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    # The last one added sees a request first.
    app.add_middleware(BoundedBodies, bounds=BODIES)
    app.add_middleware(Turns, rooms=ROOMS)
    app.add_middleware(BoundedRates)
    app.add_middleware(Surprises)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(AccessLog)
    app.include_router(host.router)
    app.include_router(prefect_door.router)
    app.include_router(events.router)
    app.include_router(uploads.router)
    app.include_router(large_uploads.router)
    app.include_router(upload_page.router)
    app.include_router(upload_page.linked)
    app.include_router(telegram_door.router)
    app.include_router(docs_page.router)

    @app.get("/health")
    async def health() -> dict[str, str]:  # pyright: ignore[reportUnusedFunction]
        """Answer that the gateway runs; says nothing about what is behind it."""
        return {"status": "ok"}

    return app
