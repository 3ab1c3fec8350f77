"""The loops that work off what came from Telegram, while the gateway runs.

Each turn of each is short, bounded and safe to be killed in; what it did not finish, the
next turn, or the next gateway, finds in the database. A service that is away is a line in
the log and a pause.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from blocks.bot import BotSettings
from gateway.services import Services
from gateway.telegram.digests import tell_of_bulk
from gateway.telegram.fetching import Fetcher
from gateway.telegram.links import Links
from gateway.telegram.replies import refresh_replies
from gateway.telegram.telling import Teller
from gateway.telegram.trouble import where
from gateway.telegram.work import WORK_SECONDS, Worker
from sql.connection import Pool
from sql.telegram_updates import (
    claim_work,
    close_albums,
    forget_settled,
    free_claims,
    something_waits,
)

log = logging.getLogger("aseagi.gateway.telegram")

WORKS_AT_A_TIME = 3
TURN_SECONDS = 60.0
BUSY_PAUSE = 0.5
IDLE_PAUSE = 5.0
TELL_PAUSE = 0.5
REFRESH_PAUSE = 1.0
TROUBLE_PAUSE = 5.0
DIGEST_PAUSE = 15.0
FORGET_PAUSE = 3600.0
KEPT_FOR = timedelta(weeks=4)
CLAIM = timedelta(seconds=WORK_SECONDS + 60)


@dataclass
class TelegramService:
    """What the door hands updates to."""

    settings: BotSettings
    pool: Pool
    worker: Worker
    teller: Teller
    _woken: asyncio.Event = field(default_factory=asyncio.Event)
    _began: bool = False
    _listening_since: float | None = None
    _refreshed: UUID | None = None
    _under_way: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    def wake(self) -> None:
        """Something came: look at once."""
        self._woken.set()

    async def run(self) -> None:
        """Work, tell, and forget, until cancelled."""
        async with asyncio.TaskGroup() as loops:
            loops.create_task(self._work())
            for turn, pause in (
                (self._tell, TELL_PAUSE),
                (self._refresh, REFRESH_PAUSE),
                (self._digest, min(DIGEST_PAUSE, 1 + self.settings.digest_quiet_seconds)),
                (self._forget, FORGET_PAUSE),
            ):
                loops.create_task(_again_and_again(turn, pause))

    async def _work(self) -> None:
        try:
            while True:
                self._woken.clear()
                busy = await _tried(self._take)
                pause = TROUBLE_PAUSE if busy is None else BUSY_PAUSE if busy else IDLE_PAUSE
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._woken.wait()
        finally:
            for task in self._under_way:
                task.cancel()
            await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _take(self) -> bool:
        """Begin as much as may be under way; whether there may be more soon."""
        async with self.pool.connection() as db:
            if not self._began:
                # A gateway that starts is the only one: whoever claimed something is gone.
                await free_claims(db)
            if self._has_listened():
                await close_albums(db, quiet=timedelta(seconds=self.settings.album_seconds))
            free = WORKS_AT_A_TIME - len(self._under_way)
            taken = await claim_work(db, limit=free, ttl=CLAIM) if free > 0 else []
            waits = bool(taken) or await something_waits(db)
        self._began = True
        for work in taken:
            task = asyncio.create_task(self.worker.do(work))
            self._under_way.add(task)
            task.add_done_callback(self._done)
        return waits

    def _has_listened(self) -> bool:
        """Whether an album's pieces that came while nobody listened had time to come again."""
        now = asyncio.get_running_loop().time()
        self._listening_since = self._listening_since or now
        return now - self._listening_since > self.settings.album_seconds

    def _done(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("an update's work was not put off: %s", where(error))
        self._woken.set()

    async def _tell(self) -> bool:
        return bool(await self.teller.tell())

    async def _refresh(self) -> bool:
        self._refreshed = await refresh_replies(self.pool, self._refreshed)
        return self._refreshed is not None

    async def _digest(self) -> bool:
        return await tell_of_bulk(self.pool, self.settings)

    async def _forget(self) -> bool:
        async with self.pool.connection() as db:
            return bool(await forget_settled(db, older_than=KEPT_FOR))


Turn = Callable[[], Awaitable[bool]]


async def _tried(turn: Turn) -> bool | None:
    """What a turn says; None if it failed, which is in the log."""
    try:
        async with asyncio.timeout(TURN_SECONDS):
            return await turn()
    except Exception as error:  # noqa: BLE001 - a turn that fails is tried again, whatever it was
        log.warning("a turn failed and is tried again: %s", where(error))
        return None


async def _again_and_again(turn: Turn, pause: float) -> None:
    while True:
        went = await _tried(turn)
        await asyncio.sleep(max(pause, TROUBLE_PAUSE) if went is None else pause)


@asynccontextmanager
async def telegram_service(using: Services) -> AsyncGenerator[TelegramService | None]:
    """Serve Telegram while the block is used; None where there is no bot."""
    settings = using.settings.bot
    if settings is None:
        yield None
        return
    async with settings.bot() as bot, settings.downloads() as client:
        links = Links(using.pool, using.storage, using.settings.url, settings)
        service = TelegramService(
            settings,
            using.pool,
            Worker(
                using.pool,
                using.storage,
                using.spool,
                Fetcher(bot, client),
                links,
                Decimal(str(using.settings.monthly_budget_dollars)),
            ),
            Teller(using.pool, bot, links),
        )
        loops = asyncio.create_task(service.run())
        try:
            yield service
        finally:
            loops.cancel()
            await asyncio.gather(loops, return_exceptions=True)
