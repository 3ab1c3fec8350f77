"""The bar on a drain's run page: how much is done, how much waits."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from uuid import UUID

from prefect.artifacts import acreate_progress_artifact, aupdate_progress_artifact

TELL_SECONDS = 5.0
"""Between moves of a bar that many move at once."""

_log = logging.getLogger("aseagi.progress")


class DrainProgress:
    """A progress artifact, made with the first batch and moved after each."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._artifact: UUID | None = None
        self._done = 0
        self._told_at = 0.0
        self._telling = asyncio.Lock()

    async def add(self, done: int, *, waiting: int) -> None:
        """Count `done` more; `waiting` are still to come."""
        self._done += done
        await self._tell(waiting)

    async def count_one(self, waiting: Callable[[], Awaitable[int]]) -> None:
        """Count one more, and move the bar now and then. Never in the way of the work itself.

        `waiting` tells how many are still to come; what it or Prefect raises is only logged.
        """
        self._done += 1
        if self._telling.locked() or time.monotonic() - self._told_at < TELL_SECONDS:
            return
        async with self._telling:
            self._told_at = time.monotonic()
            try:
                await self._tell(await waiting())
            except Exception as error:  # noqa: BLE001 - a bar is not worth a document
                _log.warning("the bar was not moved: %s", type(error).__name__)

    async def _tell(self, waiting: int) -> None:
        percent = 100.0 * self._done / max(self._done + waiting, 1)
        description = f"{self._done} {self._what} done, {waiting} waiting"
        if self._artifact is None:
            self._artifact = await acreate_progress_artifact(
                progress=percent, description=description
            )
        else:
            await aupdate_progress_artifact(
                self._artifact, progress=percent, description=description
            )
