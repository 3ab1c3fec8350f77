"""A process of the house that is killed by SIGKILL at its n-th step.

A step is a moment at which its death leaves something different behind: before and after
each commit, before each request to the marketplace and after each answer. Whoever counts
n up from 1 until the process survives has killed it everywhere.
"""

import asyncio
import multiprocessing
import os
import signal
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.connection import wait
from uuid import UUID

import httpx

from blocks.database import Database
from sql.connection import Connection, connect
from tests.work_pools.vastai.rental import IMAGE, PATIENCE, REQUIREMENTS, database_at
from work_pools.vastai.client import Marketplace, Paces
from work_pools.vastai.errors import MarketplaceError
from work_pools.vastai.fleet import Fleet
from work_pools.vastai.ledger import settle_charges
from work_pools.vastai.ordering import Orders

SECONDS = 600
SURVIVED, KILLED = 0, -signal.SIGKILL
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload([__name__])
_POLLING = threading.Lock()
"""A start asks every process for its exit code, and a code can be read by one thread only:
whoever comes second reads 255."""


@dataclass(frozen=True)
class Doom:
    """Where the process works, and at which step it dies."""

    app_dsn: str
    marketplace_url: str
    api_key: str
    at_step: int


async def rent_and_die(doom: Doom, host_id: UUID) -> int:
    """Rent a host as the worker does; the exit code."""
    return await _run(_rent, doom, host_id)


async def look_after_and_die(doom: Doom, host_id: UUID) -> int:
    """Turns of the fleet until the host is gone and every bill read; the exit code."""
    return await _run(_look_after, doom, host_id)


async def _run(work: Callable[..., Awaitable[None]], doom: Doom, host_id: UUID) -> int:
    process = _PROCESSES.Process(target=_child, args=(work, doom, host_id), daemon=True)

    def live_and_die() -> int | None:
        with _POLLING:
            process.start()
        wait([process.sentinel], SECONDS)
        with _POLLING:
            return process.exitcode

    code = await asyncio.to_thread(live_and_die)
    assert code is not None, "it neither died nor ended"
    return code


def _child(work: Callable[..., Awaitable[None]], doom: Doom, host_id: UUID) -> None:
    asyncio.run(_in_child(work, doom, host_id))


async def _in_child(work: Callable[..., Awaitable[None]], doom: Doom, host_id: UUID) -> None:
    steps = _Steps(doom.at_step)
    database = database_at(doom.app_dsn)
    # In this process alone.
    Database.connect = lambda self: steps.connect(self.dsn.get_secret_value())
    async with Marketplace(
        doom.marketplace_url,
        doom.api_key,
        transport=_DoomedTransport(steps),
        paces=Paces.unpaced(),
        patience_seconds=1.0,
    ) as market:
        await work(database, market, host_id)


async def _rent(database: Database, market: Marketplace, host_id: UUID) -> None:
    orders = Orders(database, market, patience=PATIENCE, wait_seconds=20)
    await orders.rent(host_id, environment={}, requirements=REQUIREMENTS, image=IMAGE)


async def _look_after(database: Database, market: Marketplace, host_id: UUID) -> None:
    fleet = Fleet(database, market, rehearsal=True, patience=PATIENCE)
    deadline = asyncio.get_running_loop().time() + SECONDS / 2
    while asyncio.get_running_loop().time() < deadline:
        try:
            turn = await fleet.look_after()
            await settle_charges(database, market, final_after=timedelta(0))
        except MarketplaceError:
            continue
        if not turn.hosts:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"host {host_id} did not go")


class _Steps:
    def __init__(self, last: int) -> None:
        self._left = last

    def step(self) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    @asynccontextmanager
    async def connect(self, dsn: str) -> AsyncGenerator[Connection]:
        async with connect(dsn) as db:
            yield db
            self.step()  # before the commit
        self.step()


class _DoomedTransport(httpx.AsyncHTTPTransport):
    def __init__(self, steps: _Steps) -> None:
        super().__init__()
        self._steps = steps

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._steps.step()
        response = await super().handle_async_request(request)
        await response.aread()
        self._steps.step()
        return response
