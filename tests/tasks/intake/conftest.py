"""Taking in, over a real Postgres and a real S3 server, without the flow around it."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from blocks.object_storage import ObjectStorage, make_credentials
from sql.arrivals import SeenObject, begin_arrivals, notice
from sql.connection import Pool, make_pool
from stack.object_store import PORT_NAMES, ObjectStore, prepare_bucket, spawn_object_store
from stack.processes import wait_all_ready
from stack.servers import reserve_ports
from tasks.inspector import Inspector, open_inspector
from tasks.intake import Taken, take_in
from tests.sql.house import House

BUCKET = "intake"


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Send these tests to one worker: they share a server."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("intake"))


@pytest.fixture(scope="session")
def object_store() -> Iterator[ObjectStore]:
    """An S3 server with a bucket, whose notifications nobody hears."""
    with tempfile.TemporaryDirectory(prefix="aseagi-s3-") as folder:
        ports = reserve_ports(Path(folder), PORT_NAMES)
        store = spawn_object_store(Path(folder) / "s3", ports, bucket=BUCKET)
        try:
            wait_all_ready([store.child], 60, lambda _: None)
            prepare_bucket(store.client(), BUCKET)
            yield store
        finally:
            store.stop()


@pytest.fixture(scope="session")
async def inspector() -> AsyncGenerator[Inspector]:
    """Who looks at files, for all tests."""
    async with open_inspector() as one:
        yield one


@dataclass
class Desk:
    """Where files arrive and are taken in."""

    house: House
    pool: Pool
    storage: ObjectStorage
    inspector: Inspector

    async def put(self, key: str, content: bytes, **metadata: str) -> SeenObject:
        """Put an object into the bucket."""

        def put() -> str:
            done = self.storage.client().put_object(
                Bucket=BUCKET, Key=key, Body=content, Metadata=metadata
            )
            return done["ETag"].strip('"')

        return SeenObject(key, await asyncio.to_thread(put), len(content))

    async def arrive(self, key: str, content: bytes, **metadata: str) -> None:
        """Put an object into the bucket, and tell of it."""
        seen = await self.put(key, content, **metadata)
        async with self.pool.connection() as db:
            await notice(db, [seen], source="bucket")

    async def take_in(self) -> list[Taken]:
        """Take in whatever arrived, once."""
        async with self.pool.connection() as db:
            arrivals = await begin_arrivals(db, limit=200)
        return await take_in.fn(arrivals, len(arrivals), self.storage, self.pool, self.inspector)

    async def take_in_all(self) -> list[Taken]:
        """Take in until nothing waits."""
        taken: list[Taken] = []
        while some := await self.take_in():
            taken += some
        return taken

    async def documents(self) -> dict[str, tuple[Any, ...]]:
        """By original path, or name: kind, status, pages, why it failed."""
        rows = await self.house.rows(
            """
            select coalesce(arrival.original_path, document.file_name), document.media_type,
                job.status, document.page_count, job.error ->> 'reason'
            from aseagi.documents document
            join aseagi.processing_jobs job on job.document_id = document.id
            join aseagi.arrivals arrival on arrival.document_id = document.id
            """
        )
        return {row[0]: row[1:] for row in rows}

    async def content_of(self, file_hash: str) -> bytes:
        """The original that is kept."""

        def get() -> bytes:
            key = f"processed/{file_hash}/original"
            return self.storage.client().get_object(Bucket=BUCKET, Key=key)["Body"].read()

        return await asyncio.to_thread(get)


@pytest.fixture
async def desk(
    house: House, object_store: ObjectStore, inspector: Inspector
) -> AsyncGenerator[Desk]:
    """A desk with an empty inbox."""
    keys = make_credentials(
        endpoint_url=object_store.endpoint_url,
        region="us-east-1",
        access_key=object_store.access_key,
        secret_key=SecretStr(object_store.secret_key),
    )
    storage = ObjectStorage(credentials=keys, bucket=BUCKET)
    async with make_pool(house.app_dsn, max_size=4) as pool:
        yield Desk(house, pool, storage, inspector)
