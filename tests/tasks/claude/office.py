"""Documents that Claude analyses: a house, a rehearsal of Claude, and the drain between them."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

from prefect_aws import AwsCredentials
from pydantic import SecretStr

from blocks.claude import Claude
from blocks.object_storage import ObjectStorage
from blocks.spending import Spending
from schema.analysis import Analysis
from schema.lanes import Lane
from sql.connection import Pool
from sql.controls import open_night
from sql.jobs import AnalysisJob
from tasks.analysis import Analysed, finish
from tasks.claude.analyst import Finished
from tasks.claude.calling import Caller, Patience, limits_of
from tasks.claude.draining import ClaudeDrain
from tasks.drains import Drain
from tests.sql.house import House, new_document
from tests.stack.claude.conftest import Site

QUICK = Patience(
    tries=3,
    first_wait=0.01,
    longest_wait=0.05,
    longest_asked=0.05,
    first_look=0.05,
    longest_look=0.1,
    creation=60.0,
)

LETTER = """\
HARGROVE & LINN LLP
March 4, 2024
Dear Ms. Okafor,
Please pay the repair of $1,250.00 within 30 days of this letter.
Sincerely, Paul Hargrove
"""


def letter(number: int) -> str:
    """The text of a page that no other has."""
    return f"{LETTER}Our file {number:05}.\n"


@dataclass
class Office:
    """A house whose documents Claude analyses."""

    house: House
    site: Site
    pool: Pool
    storage: ObjectStorage
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    spending: Spending = field(default_factory=Spending)
    patience: Patience = QUICK

    @property
    def block(self) -> Claude:
        """The block, with what this test changes."""
        usual: dict[str, Any] = {
            "api_key": SecretStr(self.site.running.api_key),
            "url": self.site.running.url,
            "timeout_seconds": 30,
        }
        return Claude(**usual | self.settings)

    async def add(self, *pages: str, lane: Lane = Lane.BULK, name: str | None = None) -> UUID:
        """Take in a document whose text is there."""
        document_id = await self.house.add(new_document(*pages, lane=lane))
        if name is not None:
            await self.house.change(
                "update aseagi.documents set file_name = %s where id = %s", name, document_id
            )
        return document_id

    async def add_letters(self, count: int, *, lane: Lane = Lane.BULK) -> list[UUID]:
        """Take in so many different letters."""
        return [await self.add(letter(number), lane=lane) for number in range(count)]

    @asynccontextmanager
    async def caller(self, drain: Drain | None = None) -> AsyncGenerator[Caller]:
        """Whoever asks."""
        block = self.block
        async with block.client() as client:
            yield Caller(
                block,
                client,
                self.pool,
                limits_of(block, self.spending),
                holder=(drain or Drain()).holder,
                patience=self.patience,
            )

    async def drain(self, *, linger_seconds: float = 0.0) -> list[Analysed]:
        """Analyse what waits; raises what stops the drain."""
        drain, analysed = Drain(), list[Analysed]()

        async def complete(job: AnalysisJob, finished: Finished) -> None:
            analysed.append(await finish(job, finished, holder=drain.holder, pool=self.pool))

        async with self.caller(drain) as caller:
            await ClaudeDrain(drain, caller, self.storage, complete).run(
                linger_seconds=linger_seconds
            )
        return analysed

    async def drain_until_done(self, *, seconds: float = 500) -> None:
        """Drain again and again, as housekeeping does, until every job is at its end."""
        async with asyncio.timeout(seconds):
            while await self.unfinished():
                await self.drain()
                await asyncio.sleep(0.02)

    async def until_asked(self, *, about: UUID | None = None, seconds: float = 120) -> None:
        """Return once Claude was asked something, or something about a document."""
        asked = (
            "select count(*) from aseagi.claude_calls where %s::uuid is null or document_id = %s"
        )
        deadline = time.monotonic() + seconds
        while not await self.house.one(asked, about, about):
            assert time.monotonic() < deadline, "nothing was asked"
            await asyncio.sleep(0.01)

    async def open_night(self) -> None:
        """Let the night begin."""
        async with self.house.transaction():
            await open_night(self.house.db, hours=1)

    async def no_longer_wait(self) -> None:
        """Let the time of every wait be over."""
        await self.house.change(
            "update aseagi.processing_jobs set waits_until = now() - interval '1 second' "
            "where waits_until is not null"
        )

    # What the owner sees

    async def unfinished(self) -> int:
        """Jobs not at their end."""
        return await self.house.one(
            "select count(*) from aseagi.processing_jobs where status in ('queued', 'processing')"
        )

    async def analysis(self, document_id: UUID) -> Analysis:
        """The analysis of a document."""
        return Analysis.model_validate(
            await self.house.one("select analysis from aseagi.documents where id = %s", document_id)
        )

    async def failure(self, document_id: UUID) -> str | None:
        """What is said to be missing in a completed document's analysis."""
        return await self.house.one(
            "select results #>> '{analysis_failure,reason}' from aseagi.processing_jobs "
            "where document_id = %s",
            document_id,
        )

    async def waits_for(self, document_id: UUID) -> str | None:
        """What a job waits for."""
        return await self.house.one(
            "select waits_for from aseagi.processing_jobs where document_id = %s", document_id
        )

    async def calls(self) -> dict[str, int]:
        """How many calls became what: `state outcome`."""
        rows = await self.house.rows(
            "select state || coalesce(' ' || outcome, ''), count(*) from aseagi.claude_calls "
            "group by 1"
        )
        return {row[0]: row[1] for row in rows}

    async def dollars(self) -> Decimal:
        """What Claude was charged."""
        return await self.house.one(
            "select coalesce(sum(dollars), 0) from aseagi.charges where kind = 'llm'"
        )

    async def ledger(self) -> dict[str, tuple[int, int, int, int]]:
        """Tokens by message, as written down: input, output, cache written, cache read."""
        rows = await self.house.rows(
            """
            select message_id, input_tokens, output_tokens, cache_write_tokens, cache_read_tokens
            from aseagi.claude_calls where state = 'served'
            """
        )
        return {row[0]: tuple(row[1:]) for row in rows}

    def served(self, after: int = 0) -> dict[str, tuple[int, int, int, int]]:
        """The same, as the rehearsal's books have it; without what it served to a cut line."""
        return {
            row["message_id"]: (
                row["input_tokens"],
                row["output_tokens"],
                row["cache_creation_5m_input_tokens"] + row["cache_creation_1h_input_tokens"],
                row["cache_read_input_tokens"],
            )
            for row in self.site.served(after)
            if not row["lost"]
        }


def storage_nowhere() -> ObjectStorage:
    """Object storage that nothing may need."""
    return ObjectStorage(credentials=AwsCredentials(), bucket="nowhere")
