"""Updates to the webhook: in order, one at a time, again and again until they are taken."""

import asyncio
import contextlib
import time
from collections.abc import Mapping

import httpx

from stack.telegram.books import Books, Pending
from stack.telegram.settings import Settings

SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105 - the name of a header


class Deliveries:
    """Delivers while it is open."""

    def __init__(self, books: Books, settings: Settings) -> None:
        self._books = books
        self._settings = settings
        self._woken = asyncio.Event()
        self._client: httpx.AsyncClient | None = None
        self._task: asyncio.Task[None] | None = None
        self.last_error: tuple[int, str] | None = None

    def open(self) -> None:
        """Begin to deliver."""
        self._client = httpx.AsyncClient(timeout=self._settings.delivery_seconds, trust_env=False)
        self._task = asyncio.create_task(self._deliver())

    async def close(self) -> None:
        """Deliver no more."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._client is not None:
            await self._client.aclose()

    def wake(self) -> None:
        """There is something to deliver, or somewhere to deliver to."""
        self._woken.set()

    async def _deliver(self) -> None:
        wait = self._settings.first_repeat_seconds
        while True:
            self._woken.clear()
            update = self._books.next_update() if self._books.webhook().get("url") else None
            if update is None:
                await self._woken.wait()
            elif await self.deliver(update) // 100 == 2:
                wait = self._settings.first_repeat_seconds
            else:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._woken.wait()
                wait = min(2 * wait, self._settings.longest_repeat_seconds)

    async def deliver(self, update: Pending) -> int:
        """Deliver an update once; the status it was answered with, 0 for none."""
        webhook = self._books.webhook()
        status = await self._post(webhook, update.body)
        taken = status // 100 == 2
        self._books.count_attempt(update.id, taken=taken)
        if not taken:
            said = f"Wrong response from the webhook: {status}" if status else "Connection refused"
            self.last_error = (int(time.time()), said)
        return status

    async def _post(self, webhook: Mapping[str, object], body: str) -> int:
        if self._client is None:
            return 0
        headers = {"Content-Type": "application/json"}
        if secret := webhook.get("secret_token"):
            headers[SECRET_HEADER] = str(secret)
        try:
            answer = await self._client.post(
                str(webhook["url"]), content=body.encode("utf-8", "surrogatepass"), headers=headers
            )
        except (httpx.HTTPError, KeyError):
            return 0
        return answer.status_code
