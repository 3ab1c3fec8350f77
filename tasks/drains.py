"""A drain: work on a queue until nothing new came for a while, one drain of a name at a time.

A trigger that fires on the first event and is then deaf for its window starts many
fewer runs than there are events. So a drain must not end before nothing new came for
*longer* than that window: what arrived unheard is still found by the one that is
running. What slips through even so (a drain killed, an event lost) is found by the
minute sweep.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from datetime import timedelta
from typing import TypeVar
from uuid import uuid4

import psycopg

from blocks.database import Database
from schema.failures import AseagiError
from sql.drains import hold, release

TRIGGER_WINDOW_SECONDS = 30
"""The `within` of the triggers in prefect.yaml."""

LINGER_SECONDS = TRIGGER_WINDOW_SECONDS + 5
"""How long a drain waits for more before it ends."""

HOLD_FOR = timedelta(seconds=30)
"""A killed drain blocks its successor for no longer than this."""

RENEW_SECONDS = 8
POLL_SECONDS = 0.5
LONGEST_DRAIN_SECONDS = 3600.0
"""A drain ends after an hour whatever still comes: the sweep starts the next one."""

Item = TypeVar("Item")


class Drain:
    """A name that is held. Make it with `single_flight`."""

    def __init__(self) -> None:
        self.holder = uuid4()
        self.lost = False
        self._stopped = False
        self._at_work = 0
        self._last_found = 0.0

    def stop(self) -> None:
        """Take no further batch, whatever waits."""
        self._stopped = True

    async def batches(
        self, fetch: Callable[[], Awaitable[Sequence[Item]]], *, linger_seconds: float
    ) -> AsyncGenerator[Sequence[Item]]:
        """Yield what `fetch` finds until it found nothing for `linger_seconds`.

        Several may iterate at once: none ends while another is at work on a batch.
        """
        started = time.monotonic()
        self._last_found = max(self._last_found, started)
        while not self.lost and time.monotonic() - started < LONGEST_DRAIN_SECONDS:
            batch: Sequence[Item] = [] if self._stopped else await fetch()
            if batch:
                self._at_work += 1
                try:
                    yield batch
                finally:
                    self._at_work -= 1
                    self._last_found = time.monotonic()
            elif self._stopped or (
                not self._at_work and time.monotonic() - self._last_found >= linger_seconds
            ):
                return
            else:
                await asyncio.sleep(POLL_SECONDS)


@contextlib.asynccontextmanager
async def single_flight(database: Database, name: str) -> AsyncGenerator[Drain | None]:
    """Hold `name` while the body runs; None when another drain holds it already.

    The hold is renewed in the background. A drain that loses it (its process was
    asleep for that long, or the database was away) stops at its next batch: `lost`
    becomes true. A hold that cannot be given back at the end runs out by itself.
    """
    drain = Drain()
    async with database.connect() as db:
        held = await hold(db, name, holder=drain.holder, ttl=HOLD_FOR)
    if not held:
        yield None
        return
    renewing = asyncio.create_task(_renew(database, name, drain))
    try:
        yield drain
    finally:
        renewing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await renewing
        with contextlib.suppress(AseagiError, psycopg.Error):
            async with database.connect() as db:
                await release(db, name, holder=drain.holder)


async def _renew(database: Database, name: str, drain: Drain) -> None:
    held_until = time.monotonic() + HOLD_FOR.total_seconds()
    while not drain.lost:
        await asyncio.sleep(RENEW_SECONDS)
        asked = time.monotonic()
        try:
            async with database.connect() as db:
                drain.lost = not await hold(db, name, holder=drain.holder, ttl=HOLD_FOR)
            held_until = asked + HOLD_FOR.total_seconds()
        except (AseagiError, psycopg.Error):
            # The database is away for a moment; the hold lasts a little longer.
            drain.lost = time.monotonic() >= held_until
