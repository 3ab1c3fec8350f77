"""The gateway over real servers, once for all tests of it: Postgres, S3 and Prefect.

    site     the servers, a database of the session's own, and what a worker does for a host
    door     the gateway of one test, served by uvicorn as in production, over the site

The gateway runs in the process of the test, over real sockets, so that a test may take
a safeguard away, or make a minute a tenth of a second.
"""

import asyncio
import contextlib
import json
import logging
import shutil
import tempfile
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
import uvicorn
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings
from prefect.states import Pending
from psycopg.sql import SQL, Identifier
from pydantic import SecretStr

from blocks.database import Database
from blocks.gateway import Gateway
from blocks.object_storage import ObjectStorage, make_credentials
from blocks.reading import Reading
from gateway import access_log
from gateway.app import create_app
from gateway.server import configured
from gateway.services import open_services
from gateway.settings_from_blocks import prefect_login, settings_of
from schema.host import CompleteRequest, LeaseResponse, PageResult
from schema.lanes import Lane
from schema.ocr import PageText, Word
from sql.documents import NewDocument, insert_document
from sql.migrate import migrate
from sql.sessions import Begun
from stack.servers import Servers, start_servers
from work_pools.host_environment import HostOrder, HostTerms, host_environment

BUCKET = "aseagi"
DATABASE = "gateway_tests"
POOL = "hosts"
STORE_TOKEN = "token-of-the-object-store"
TERMS = HostTerms("local", timedelta(hours=1), Decimal(0), Decimal(50), max_hosts=1000)


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Run in the process of the tests that start servers of their own."""
    here = Path(__file__).parent
    for item in items:
        if item.path.parent == here:
            item.add_marker(pytest.mark.xdist_group("servers"))


@dataclass(frozen=True)
class Host:
    """A host without a process: the test is the process."""

    token: str
    begun: Begun
    run: UUID
    documents: tuple[UUID, ...]
    environment: dict[str, str]

    @property
    def headers(self) -> dict[str, str]:
        return bearer(self.token)


@dataclass(frozen=True)
class Site:
    """The servers, and what a worker does."""

    servers: Servers
    database: Database
    storage: ObjectStorage
    deployment: UUID

    @property
    def spool_dir(self) -> Path:
        """Where the gateway keeps what is being uploaded."""
        return self.servers.state_dir / "spool"

    @property
    def owner_dsn(self) -> str:
        return self.servers.postgres.dsn(DATABASE)

    async def add_document(
        self, pages: int = 1, *, content: bytes | None = None, media_type: str = "application/pdf"
    ) -> UUID:
        """A document whose pages wait; its original lies in the bucket."""
        content = content or uuid4().bytes
        digest = sha256(content).hexdigest()
        path = f"processed/{digest}/original"
        await asyncio.to_thread(self.put, path, content)
        new = NewDocument(
            file_hash=digest,
            file_name="scan.pdf",
            media_type=media_type,
            size_bytes=len(content),
            s3_raw_path="raw/scan.pdf",
            s3_processed_path=path,
            matter=None,
            lane=Lane.BULK,
            pages=[None] * pages,
        )
        async with self.database.connect() as db:
            document, _ = await insert_document(db, new)
        return document

    async def host(
        self,
        *,
        pages: int = 1,
        run: UUID | None = None,
        run_count: int = 0,
        gateway_url: str = "http://gateway",
    ) -> Host:
        """An attempt with its token, for a document of so many pages."""
        documents = (await self.add_document(pages),) if pages else ()
        run = run or uuid4()
        async with self.database.connect() as db:
            order = await host_environment(
                db,
                flow_run_id=run,
                run_count=run_count,
                session_id=None,
                gateway=gateway_at(gateway_url),
                terms=TERMS,
            )
        assert isinstance(order, HostOrder), order
        token = order.environment["ASEAGI_HOST_TOKEN"]
        return Host(token, order.begun, run, documents, order.environment)

    async def prefect_run(self, **parameters: object) -> UUID:
        """A flow run of the deployment, which no worker takes."""
        async with get_client() as prefect:
            run = await prefect.create_flow_run_from_deployment(
                self.deployment, state=Pending(), parameters=parameters
            )
        return run.id

    def put(self, key: str, body: bytes) -> None:
        self.storage.client().put_object(Bucket=BUCKET, Key=key, Body=body)

    async def change(self, query: str, *values: object) -> None:
        """Change what is in the database, as its owner."""
        async with await psycopg.AsyncConnection.connect(self.owner_dsn, autocommit=True) as owner:
            await owner.execute(query.encode(), values)

    async def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """What is in the database."""
        async with await psycopg.AsyncConnection.connect(self.owner_dsn, autocommit=True) as owner:
            cursor = await owner.execute(query.encode(), values)
            return await cursor.fetchall()

    async def picture(self) -> dict[str, Any]:
        """How many rows every table has, every page's state and text, every object there is."""
        rows: dict[str, Any] = {}
        async with await psycopg.AsyncConnection.connect(self.owner_dsn, autocommit=True) as owner:
            tables = await owner.execute(
                "select table_name from information_schema.tables"
                " where table_schema = 'aseagi' and table_type = 'BASE TABLE'"
            )
            for (table,) in await tables.fetchall():
                counted = await owner.execute(
                    SQL("select count(*) from aseagi.{}").format(Identifier(table))
                )
                rows[table] = (await counted.fetchone() or (0,))[0]
            pages = await owner.execute(
                "select document_id, number, state, text, error::text from aseagi.pages"
                " order by 1, 2"
            )
            rows["what pages say"] = await pages.fetchall()
        rows["objects"] = await asyncio.to_thread(self._objects)
        return rows

    def _objects(self) -> list[tuple[str | None, str | None]]:
        pages = self.storage.client().get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        return [
            (one.get("Key"), one.get("ETag")) for page in pages for one in page.get("Contents", [])
        ]


def gateway_at(url: str) -> Gateway:
    return Gateway(url=url, s3_events_token=SecretStr(STORE_TOKEN))


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture(scope="package")
def servers() -> Generator[Servers]:
    # Not pytest's folder: every new pytest closes that one to Postgres' system user.
    folder = Path(tempfile.mkdtemp(prefix="aseagi-gateway-"))
    running = start_servers(folder / "state", print, bucket=BUCKET)
    try:
        yield running
    finally:
        running.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="package")
async def site(servers: Servers) -> AsyncGenerator[Site]:
    servers.postgres.create_database_if_missing(DATABASE)
    await asyncio.to_thread(migrate, servers.postgres.dsn(DATABASE))
    dsn = SecretStr(servers.postgres.dsn(DATABASE, "aseagi_app"))
    store = servers.object_store
    credentials = make_credentials(
        endpoint_url=store.endpoint_url,
        region="us-east-1",
        access_key=store.access_key,
        secret_key=SecretStr(store.secret_key),
    )
    home = str(servers.state_dir / "client")
    with temporary_settings({PREFECT_API_URL: servers.prefect.api_url, PREFECT_HOME: home}):
        async with get_client() as prefect:
            deployment = await _deploy(prefect)
        yield Site(
            servers,
            Database(dsn=dsn, dashboard_dsn=dsn),
            ObjectStorage(credentials=credentials, bucket=BUCKET),
            deployment,
        )


async def _deploy(prefect: PrefectClient) -> UUID:
    """The deployment of sessions, as prefect.yaml has it, in a pool without a worker."""
    await prefect.create_work_pool(WorkPoolCreate(name=POOL, type="process"))
    flow = await prefect.create_flow_from_name("ocr")
    return await prefect.create_deployment(
        flow, "hosts", work_pool_name=POOL, entrypoint="flows.ocr.ocr_session", path="."
    )


@pytest.fixture
async def at(site: Site) -> Site:
    """The site, with nothing waiting and no session open."""
    await site.change("delete from aseagi.arrivals")
    await site.change("delete from aseagi.documents")
    await site.change(
        "update aseagi.ocr_sessions set state = 'closed', closed_at = now() - interval '1 hour',"
        " close_reason = 'the test is over' where state <> 'closed'"
    )
    return site


@dataclass(frozen=True)
class Door:
    """The gateway of one test: its address, and a client that holds no token."""

    site: Site
    url: str
    http: httpx.AsyncClient

    @property
    def port(self) -> int:
        return httpx.URL(self.url).port or 0

    async def host(self, **wanted: Any) -> Host:
        """An attempt that knows where this gateway is."""
        return await self.site.host(gateway_url=self.url, **wanted)

    async def post(self, path: str, token: str, body: object) -> httpx.Response:
        return await self.http.post(path, json=body, headers=bearer(token))

    async def tell(self, notification: object, token: str = STORE_TOKEN) -> httpx.Response:
        """Post a notification as an object store does."""
        return await self.post("/events/s3", token, notification)

    async def lease(self, host: Host, limit: int = 64) -> UUID:
        """The id of a new lease; there must be something to lease."""
        answer = await self.post("/host/lease", host.token, {"limit": limit})
        assert answer.status_code == 200, answer.text
        lease = LeaseResponse.model_validate_json(answer.content).lease
        assert lease is not None
        return lease.lease_id

    async def complete(self, token: str, lease: UUID, *results: PageResult) -> httpx.Response:
        return await self.post("/host/complete", token, report(lease, *results))

    async def raw(self, *pieces: bytes, seconds: float = 60.0) -> bytes:
        """Send bytes as they are; what came back until the gateway closed the connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        # While it is sent: an answer may come, and the connection be reset, before all is sent.
        answering = asyncio.create_task(until_closed(reader))
        try:
            with contextlib.suppress(ConnectionError):
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
            async with asyncio.timeout(seconds):
                return await answering
        finally:
            answering.cancel()
            writer.close()


async def until_closed(reader: asyncio.StreamReader) -> bytes:
    """What comes until the other side closes the connection, or resets it."""
    answer = b""
    with contextlib.suppress(ConnectionError):
        while piece := await reader.read(65_536):
            answer += piece
    return answer


def read(document: UUID, page: int, text: str = "what the page says") -> PageResult:
    """One page as an engine read it."""
    corners = ((0.1, 0.1), (0.2, 0.1), (0.2, 0.2), (0.1, 0.2))
    word = Word(text="what", quad=corners, confidence=0.9, line=0)
    result = PageText(
        text=text, words=[word], width_pixels=10, height_pixels=10, engine="test", seconds=0.1
    )
    return PageResult(document_id=document, page=page, result=result)


def report(lease_id: UUID, *results: PageResult) -> dict[str, Any]:
    """A report as JSON."""
    return CompleteRequest(lease_id=lease_id, results=list(results)).model_dump(mode="json")


@asynccontextmanager
async def open_door(site: Site, *, address: str | None = None) -> AsyncGenerator[Door]:
    """Serve the gateway over the site; `address` is what its block says instead of the truth."""
    gateway = gateway_at(address or "http://gateway.test")
    settings = settings_of(gateway, site.database, site.storage, Reading(), prefect_login())
    spool_dir = site.spool_dir / uuid4().hex  # one for each gateway
    app = create_app(spool_dir=spool_dir)
    async with open_services(settings, spool_dir) as services:
        app.state.services = services
        config = configured(app, host="127.0.0.1", port=0)
        # What the gateway does when it starts is done above: there are no blocks here.
        config.lifespan = "off"
        config.load()
        server = uvicorn.Server(config)
        server.lifespan = config.lifespan_class(config)
        # `serve` would also take the signals of the tests' own process.
        await server.startup()
        await server.on_tick(0)
        try:
            port = server.servers[0].sockets[0].getsockname()[1]
            url = f"http://127.0.0.1:{port}"
            async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as http:
                yield Door(site, url, http)
        finally:
            server.force_exit = True
            await server.shutdown()


@pytest.fixture
async def door(at: Site) -> AsyncGenerator[Door]:
    """The gateway, with nothing waiting and no session open."""
    async with open_door(at) as opened:
        yield opened


@contextmanager
def kept_lines() -> Generator[list[dict[str, Any]]]:
    """The lines that the access log writes."""
    lines: list[dict[str, Any]] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(json.loads(record.getMessage()))

    keep, before = Keep(), access_log.log.level
    access_log.log.addHandler(keep)
    access_log.log.setLevel(logging.INFO)
    try:
        yield lines
    finally:
        access_log.log.removeHandler(keep)
        access_log.log.setLevel(before)
