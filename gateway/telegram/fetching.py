"""The bytes of a file that somebody sent: from Telegram to a file of ours, bounded.

Never whole in memory: the library's own download would hold all of it.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import httpx

from schema.failures import BadInput, RetryLater

if TYPE_CHECKING:
    from telegram import Bot

MOST_BYTES = 20 * 1024 * 1024
"""What the Bot API hands out of a file; larger ones come through an upload link."""

FETCH_SECONDS = 120.0
CHUNK_BYTES = 64 * 1024


class TooLarge(Exception):
    """Telegram does not hand this file out to bots."""


@dataclass(frozen=True, slots=True)
class Fetcher:
    """Fetches files that were sent to the bot."""

    bot: "Bot"
    client: httpx.AsyncClient

    async def fetch(self, file_id: str, declared_bytes: int | None, path: Path) -> None:
        """Write the file to `path`.

        Raises `TooLarge`, `BadInput` when Telegram does not have it, `RetryLater` when it does
        not answer as it should, and what the library does for the rest.
        """
        if declared_bytes is not None and declared_bytes > MOST_BYTES:
            raise TooLarge
        address = await self._address(file_id)
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                await self._download(address, path)
        except TimeoutError:
            raise RetryLater("Telegram takes too long to hand the file out") from None
        except (httpx.HTTPError, httpx.InvalidURL):
            # Their text may hold the address, and that the token.
            raise RetryLater("Telegram does not hand the file out now") from None

    async def _address(self, file_id: str) -> str:
        from telegram.error import BadRequest  # noqa: PLC0415 - see `blocks.bot`

        try:
            file = await self.bot.get_file(file_id)
        except BadRequest as error:
            if "too big" in str(error).lower():
                raise TooLarge from None
            raise BadInput("Telegram no longer has this file.") from None
        if not file.file_path:
            raise RetryLater("Telegram does not say where the file is")
        if (file.file_size or 0) > MOST_BYTES:
            raise TooLarge
        return file.file_path

    async def _download(self, address: str, path: Path) -> None:
        async with self.client.stream("GET", address) as answer:
            if answer.status_code != 200:
                raise RetryLater(f"Telegram answers {answer.status_code} for the file")
            size = 0
            async with await anyio.open_file(path, "wb") as file:
                async for chunk in answer.aiter_bytes(CHUNK_BYTES):
                    size += len(chunk)
                    if size > MOST_BYTES:
                        raise TooLarge
                    await file.write(chunk)
