"""The gateway's own events, sent to Prefect beside the requests that caused them.

They may be lost: nobody waits for them, and the minute sweep finds what they would have
said. So they are sent once, and those too many for a Prefect that is slow are dropped.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from uuid import uuid4

from pydantic import JsonValue

from blocks.wakeups import sent_by
from gateway.prefect_api import PrefectApi

log = logging.getLogger("aseagi.gateway")

MOST_WAITING = 100
LAST_WORDS_SECONDS = 2.0


@asynccontextmanager
async def sending_wakeups(prefect: PrefectApi) -> AsyncGenerator[None]:
    """While the block runs, `blocks.wakeups` sends by `prefect`, in the background."""
    waiting: asyncio.Queue[dict[str, JsonValue]] = asyncio.Queue(MOST_WAITING)

    def send(event: str, resource_id: str, payload: Mapping[str, str | int]) -> None:
        with suppress(asyncio.QueueFull):
            waiting.put_nowait(
                {
                    "id": str(uuid4()),
                    "occurred": datetime.now(UTC).isoformat(),
                    "event": event,
                    "resource": {"prefect.resource.id": resource_id},
                    "payload": dict(payload),
                }
            )

    async def deliver() -> None:
        while True:
            event = await waiting.get()
            try:
                await prefect.call("POST", "events", [event])
            except Exception as error:  # noqa: BLE001 - one lost event must not lose the next
                log.warning("the event %s was lost: %s", event["event"], type(error).__name__)
            finally:
                waiting.task_done()

    delivering = asyncio.create_task(deliver())
    try:
        with sent_by(send):
            yield
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_SECONDS):
                await waiting.join()
    finally:
        delivering.cancel()
        await asyncio.gather(delivering, return_exceptions=True)
