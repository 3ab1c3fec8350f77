"""Somebody's chat with the bot, the gateway behind it, and the house that does the work.

The house's part is done by hand, by its own functions: taken in, read, analysed, so that
tests see every state between.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from pydantic import SecretStr

from blocks.bucket import Bucket
from blocks.object_storage import ObjectStorage, make_credentials
from gateway.telegram.service import TelegramService
from schema.failures import Failure
from schema.lanes import DAYTIME
from sql.arrivals import begin_arrivals
from sql.connection import Pool
from sql.jobs import claim_for_analysis, complete_job, fail_job
from stack.object_store import ObjectStore
from tasks.inspector import open_inspector
from tasks.intake import Taken, take_in
from tasks.offline_analyst import analyse_offline
from tests.gateway.telegram.program import SECRET, serving
from tests.sql.house import House
from tests.stack.telegram.people import Person, Town

BUCKET = "telegram"


@dataclass
class Office:
    """A gateway with Telegram, and what it works with."""

    house: House
    town: Town
    pool: Pool
    store: ObjectStore
    port: int
    spool: Path
    ada: Person
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    service: TelegramService | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def told(self) -> dict[str, Any]:
        """What the gateway is told."""
        return {
            "port": self.port,
            "spool": str(self.spool),
            "dsn": self.house.app_dsn,
            "bucket": self.bucket.model_dump(mode="json"),
            "bot": {
                "bot_token": self.town.running.bot_token,
                "webhook_secret": SECRET,
                "allowed_user_ids": [self.ada.id],
                "api_url": self.town.url,
                "album_seconds": 2.0,
                "digest_documents": 20,
                "digest_quiet_seconds": 60.0,
                **self.settings,
            },
        }

    @property
    def storage(self) -> ObjectStorage:
        keys = make_credentials(
            endpoint_url=self.store.endpoint_url,
            region="us-east-1",
            access_key=self.store.access_key,
            secret_key=SecretStr(self.store.secret_key),
        )
        return ObjectStorage(credentials=keys, bucket=BUCKET)

    @property
    def bucket(self) -> Bucket:
        return self.storage.plain()

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None]:
        """Serve while the block is used."""
        async with serving(self.told) as self.service:
            self.set_webhook()
            yield

    def set_webhook(self) -> None:
        answer = self.town.bot(
            "setWebhook",
            url=f"{self.url}/telegram",
            secret_token=SECRET,
            allowed_updates=["message"],
        )
        assert answer.status_code == 200, answer.text

    async def deliver(self, *updates: int, times: int = 1, at_once: bool = False) -> list[int]:
        """Let Telegram deliver these; what the gateway answered."""
        return await asyncio.to_thread(self.town.deliver, updates, times=times, at_once=at_once)

    # What the house does

    async def take_in(self) -> list[Taken]:
        """Take in whatever arrived."""
        async with self.pool.connection() as db:
            arrivals = await begin_arrivals(db, limit=200)
        async with open_inspector() as inspector:
            return await take_in.fn(arrivals, len(arrivals), self.storage, self.pool, inspector)

    async def read(self) -> None:
        """Read whatever waits to be read."""
        await self.house.want()
        rows = await self.house.rows("select id from aseagi.ocr_sessions where state = 'wanted'")
        for (session_id,) in rows:
            host = await self.house.begin(session_id)
            while (lease := await self.house.try_lease(host)) is not None:
                await self.house.settle(host, lease)
            await self.house.close(session_id)

    async def analyse(self) -> None:
        """Analyse whatever is read."""
        holder, ttl = uuid4(), timedelta(minutes=1)
        async with self.pool.connection() as db:
            jobs = await claim_for_analysis(
                db, holder=holder, limit=500, ttl=ttl, lanes=list(DAYTIME)
            )
            for job in jobs:
                analysis = analyse_offline(job.pages, file_name=job.file_name)
                await complete_job(db, job, analysis, holder=holder)

    async def fail_analysis(self, failure: Failure) -> None:
        holder, ttl = uuid4(), timedelta(minutes=1)
        async with self.pool.connection() as db:
            jobs = await claim_for_analysis(
                db, holder=holder, limit=500, ttl=ttl, lanes=list(DAYTIME)
            )
            for job in jobs:
                await fail_job(db, job.id, failure, holder=holder)

    async def do_everything(self) -> None:
        """Take in, read and analyse what is there."""
        await self.take_in()
        await self.read()
        await self.analyse()

    # What the owner sees

    async def arrivals(self) -> list[tuple[str, str | None, str]]:
        """Key, note and lane of everything that arrived."""
        return [
            (row[0], row[1], row[2])
            for row in await self.house.rows(
                "select key, note, lane::text from aseagi.arrivals order by noticed_at, key"
            )
        ]

    async def documents(self) -> list[tuple[UUID, str, str | None, int]]:
        """Id, name, matter and pages of every document."""
        return [
            (row[0], row[1], row[2], row[3])
            for row in await self.house.rows(
                "select id, file_name, matter, page_count from aseagi.documents order by file_name"
            )
        ]

    async def original(self, document_id: UUID) -> bytes:
        path = await self.house.one(
            "select s3_processed_path from aseagi.documents where id = %s", document_id
        )
        return self.store.client().get_object(Bucket=BUCKET, Key=path)["Body"].read()

    async def arrived(self, number: int) -> None:
        """Return once so much has arrived."""

        async def look() -> bool:
            return len(await self.arrivals()) >= number

        await eventually(look)

    async def settled(self) -> None:
        """Return once no update waits."""

        async def look() -> bool:
            return not await self.house.one(
                "select count(*) from aseagi.telegram_updates where settled_at is null"
            )

        await eventually(look)

    async def hears(self, *words: str, person: Person | None = None) -> str:
        """Return a message of the bot that has these words, once there is one."""
        who = person or self.ada

        async def look() -> str | None:
            texts = await asyncio.to_thread(who.texts)
            return next((text for text in texts if all(word in text for word in words)), None)

        try:
            found = await eventually(look)
        except AssertionError:
            raise AssertionError(f"not heard: {words}; but: {who.texts()}") from None
        assert found is not None
        return found

    async def all_told(self) -> None:
        """Return once chats show all that they should."""

        async def look() -> bool:
            return not await self.house.one(
                "select count(*) from aseagi.telegram_messages "
                "where given_up is null and shown is distinct from wanted"
            )

        await eventually(look)


async def eventually(look: Callable[[], Awaitable[Any]], *, seconds: float = 400) -> Any:
    """Look again and again until the answer is true."""
    deadline = time.monotonic() + seconds
    while not (found := await look()):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        await asyncio.sleep(0.05)
    return found
