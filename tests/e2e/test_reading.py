"""Reading one lease, against the real gateway: what is handed in when, and how it ends early."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from blocks.loading import load
from blocks.object_storage import ObjectStorage
from gpu_image.engines import Outcome, PageRef
from gpu_image.host_client import HostClient
from gpu_image.reading import read_lease
from gpu_image.session import FetchedLease, Session
from schema.ocr import PageText
from stack.embedded import BUCKET
from tests.e2e.conftest import eventually
from tests.e2e.test_host_protocol import Door, add_document, door, text_of

__all__ = ["door"]

SECONDS = 120.0


class SteppedEngine:
    """Yields a page each time it is let; `stopped` is set when it was told to give up."""

    name = "stepped"
    reads_at_once = 1

    def __init__(self, *, error_after: int | None = None) -> None:
        self.steps = threading.Semaphore(0)
        self.stopped = threading.Event()
        self._error_after = error_after

    def read(
        self, pages: Sequence[PageRef], *, stop: threading.Event | None = None
    ) -> Iterator[Outcome]:
        assert stop is not None
        for number, ref in enumerate(pages):
            if number == self._error_after:
                raise ConnectionError("the card is gone")
            while not self.steps.acquire(timeout=0.02):
                if stop.is_set():
                    self.stopped.set()
                    return
            yield (
                ref,
                PageText(
                    text=f"page {ref.page}", words=[], width_pixels=10, height_pixels=10,
                    engine=self.name, seconds=0.1,
                ),
            )  # fmt: skip


@asynccontextmanager
async def leased(
    door: Door, folder: Path, pages: int, *, urgent: bool = False
) -> AsyncGenerator[tuple[Session, FetchedLease, UUID]]:
    """A session that holds a lease of a document's pages, and has fetched it."""
    async with door.pool.connection() as db:
        document = await add_document(db, pages)
        cursor = await db.execute(
            "update aseagi.pages set lane = %s where document_id = %s returning ("
            "select s3_processed_path from aseagi.documents where id = document_id)",
            ("now" if urgent else "bulk", document),
        )
        (path,) = await cursor.fetchone() or ("",)
    storage = await load(ObjectStorage)
    storage.client().put_object(Bucket=BUCKET, Key=path, Body=b"0123456789")
    token = await door.session()
    transport = _Mounted(door.transport, httpx.AsyncHTTPTransport())
    async with HostClient("http://gateway", token, transport=transport) as client:
        session = Session(client, folder, "stepped")
        async with aclosing(session.leases(64, 600)) as leases:
            lease = await anext(leases)
            assert [one.urgent for one in lease.lease.documents] == [urgent]
            assert not lease.missing
            yield session, lease, document


class _Mounted(httpx.AsyncBaseTransport):
    """The gateway's application for its own address, the network for all others."""

    def __init__(self, gateway: httpx.ASGITransport, others: httpx.AsyncHTTPTransport) -> None:
        self._gateway, self._others = gateway, others

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        mine = request.url.host == "gateway"
        return await (self._gateway if mine else self._others).handle_async_request(request)

    async def aclose(self) -> None:
        await self._others.aclose()


async def until_stored(door: Door, document: UUID, page: int) -> None:
    async def is_stored() -> bool:
        return await text_of(door, document, page) == f"page {page}"

    await eventually(is_stored)


async def test_a_page_is_handed_in_while_the_next_one_takes_long(
    door: Door, tmp_path: Path
) -> None:
    engine = SteppedEngine()
    async with leased(door, tmp_path, 3) as (session, lease, document):
        reading = asyncio.create_task(read_lease(engine, session, lease))
        engine.steps.release()
        await until_stored(door, document, 1)
        assert not reading.done()
        engine.steps.release(2)
        assert await asyncio.wait_for(reading, SECONDS) == 3
        assert session.progress.pages_read == 3
        assert not session.holds(lease)


async def test_a_cancelled_reading_stops_its_engine_and_says_that_it_was_cancelled(
    door: Door, tmp_path: Path
) -> None:
    engine = SteppedEngine()
    async with leased(door, tmp_path, 3) as (session, lease, document):
        reading = asyncio.create_task(read_lease(engine, session, lease))
        engine.steps.release()
        await until_stored(door, document, 1)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(reading, SECONDS)
        assert engine.stopped.is_set()
        assert not session.holds(lease)


async def test_a_lost_lease_is_read_no_further(door: Door, tmp_path: Path) -> None:
    engine = SteppedEngine()
    async with leased(door, tmp_path, 4, urgent=True) as (session, lease, document):
        reading = asyncio.create_task(read_lease(engine, session, lease))
        engine.steps.release()
        await until_stored(door, document, 1)
        session.forget(lease.lease.lease_id)  # as a renewal does that the gateway refuses
        engine.steps.release()
        assert await asyncio.wait_for(reading, SECONDS) == 1
        assert engine.stopped.is_set()
        assert await text_of(door, document, 2) is None


async def test_a_broken_engine_fails_no_page_it_has_not_read(door: Door, tmp_path: Path) -> None:
    engine = SteppedEngine(error_after=1)
    engine.steps.release()
    async with leased(door, tmp_path, 3, urgent=True) as (session, lease, document):
        with pytest.raises(ConnectionError, match="the card is gone"):
            await asyncio.wait_for(read_lease(engine, session, lease), SECONDS)
        async with door.pool.connection() as db:
            cursor = await db.execute(
                "select count(*) from aseagi.pages where document_id = %s and state = 'failed'",
                (document,),
            )
            assert await cursor.fetchone() == (0,)
