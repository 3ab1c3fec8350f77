"""The gateway's application: what it is made of, and how its errors look.

Guarantees: nothing is written for a request that is refused; every refusal is a 4xx
with a reason; a database or object store that is away is a 503 that may be retried.
"""

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import psycopg
from botocore.exceptions import BotoCoreError, ClientError
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from psycopg_pool import PoolTimeout

from blocks.database import Database
from blocks.gateway import Gateway
from blocks.loading import load
from blocks.object_storage import ObjectStorage
from blocks.reading import Reading
from gateway import events, host
from gateway.services import Services

log = logging.getLogger("aseagi.gateway")

POOL_SIZE = 8


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncGenerator[None]:
    database = await load(Database)
    async with database.pool(max_size=POOL_SIZE) as pool:
        app.state.services = Services(
            pool=pool,
            storage=await load(ObjectStorage),
            gateway=await load(Gateway),
            reading=await load(Reading),
        )
        yield


async def _unavailable(_request: Request, error: Exception) -> JSONResponse:
    log.warning("a service is away: %s", type(error).__name__)
    return JSONResponse(
        {"detail": "A service behind the gateway is away; try again."},
        status_code=503,
        headers={"Retry-After": "2"},
    )


def create_app() -> FastAPI:
    """Build the application; it connects when it starts, not here."""
    app = FastAPI(title="ASEAGI gateway", lifespan=_lifespan)
    for away in (psycopg.OperationalError, PoolTimeout, BotoCoreError, ClientError):
        app.add_exception_handler(away, _unavailable)
    app.include_router(host.router)
    app.include_router(events.router)

    @app.get("/health")
    async def health() -> dict[str, str]:  # pyright: ignore[reportUnusedFunction]
        """Answer that the gateway runs; says nothing about what is behind it."""
        return {"status": "ok"}

    return app
