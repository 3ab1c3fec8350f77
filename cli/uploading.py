"""Files on their way to the gateway: looked at here, asked for, sent if they are not there.

A file that lies there already is recognised by its content and not sent. Large ones go
in parts, straight to the bucket. What the gateway or the network cannot take now is
tried again, a few times, with growing pauses; what it refuses is `skipped`, with the reason.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar

import anyio
import httpx

from blocks.inbox import Content, inbox_key, look
from schema.failures import BadInput, Misconfigured, RetryLater
from schema.files import MAX_BYTES
from schema.lanes import Lane
from schema.uploads import (
    CheckRequest,
    CheckResponse,
    FileToCheck,
    LargeUpload,
    LargeUploadRequest,
    Outcome,
    Uploaded,
)

LARGE_BYTES = 64 * 1024**2
"""From here on a file goes in parts: a part that fails is sent again, not the whole."""

FILES_AT_A_TIME = 4
CHECKED_AT_A_TIME = 50
CHUNK_BYTES = 256 * 1024
TRIES = 5
LONGEST_PAUSE_SECONDS = 20.0
TIMEOUT = httpx.Timeout(120, connect=10)

Value = TypeVar("Value")
Sent = Callable[[int], None]
"""Is told of bytes as they are sent."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file to add: where it lies, and what it will be called in its matter."""

    path: Path
    name: str
    matter: str | None
    size_bytes: int

    @property
    def key(self) -> str:
        """The key it will have; raises `BadInput` for names that cannot be kept."""
        if shown(self.path) != str(self.path):
            raise BadInput("its name is not UTF-8, so it cannot be kept; rename it")
        return inbox_key(self.name, self.matter)


@dataclass(frozen=True, slots=True)
class Added:
    """What became of a file: `added`, `already there` or `skipped`."""

    path: str
    outcome: str
    key: str | None = None
    reason: str | None = None


class GatewayClient:
    """The gateway, as a client with a token sees it. Make it with `open_gateway_client`."""

    def __init__(self, http: httpx.AsyncClient, bucket: httpx.AsyncClient) -> None:
        self._http = http
        self._bucket = bucket

    async def add(self, candidates: Sequence[Candidate], lane: Lane, sent: Sent) -> list[Added]:
        """Send what is not there yet; every file is answered, in order."""
        looked = [await anyio.to_thread.run_sync(_look, one) for one in candidates]
        fine = [one for one in looked if isinstance(one, _Looked)]
        known = dict(zip(fine, await self._keys_of(fine), strict=True))
        slots = asyncio.Semaphore(FILES_AT_A_TIME)

        async def one(found: "_Looked | Added", size_bytes: int) -> Added:
            if isinstance(found, Added):
                sent(size_bytes)
                return found
            if key := known[found]:
                sent(size_bytes)
                return Added(shown(found.candidate.path), "already there", key=key)
            async with slots:
                return await self._send(found, lane, sent)

        return list(
            await asyncio.gather(
                *(
                    one(found, candidate.size_bytes)
                    for found, candidate in zip(looked, candidates, strict=True)
                )
            )
        )

    async def _keys_of(self, looked: "Sequence[_Looked]") -> list[str | None]:
        if not looked:
            return []
        wanted = CheckRequest(files=[one.to_check() for one in looked])
        answer = await self._ask("POST", "/uploads/check", json=wanted.model_dump(mode="json"))
        return CheckResponse.model_validate_json(answer.content).keys

    async def _send(self, looked: "_Looked", lane: Lane, sent: Sent) -> Added:
        path = shown(looked.candidate.path)
        large = looked.content.size_bytes >= LARGE_BYTES
        try:
            uploaded = await (self._in_parts if large else self._whole)(looked, lane, sent)
        except BadInput as refusal:
            return Added(path, "skipped", reason=str(refusal))
        except OSError as error:
            return Added(path, "skipped", reason=f"it cannot be read: {error.strerror}")
        is_new = uploaded.outcome == Outcome.DOCUMENT
        return Added(path, "added" if is_new else "already there", key=uploaded.key)

    async def _whole(self, looked: "_Looked", lane: Lane, sent: Sent) -> Uploaded:
        file = looked.candidate
        answer = await self._ask(
            "POST",
            "/uploads",
            params={
                "path": file.name,
                "lane": lane.value,
                "owners_path": str(file.path),
                **({"matter": file.matter} if file.matter else {}),
            },
            headers={"Content-Length": str(looked.content.size_bytes)},
            body=lambda: _bytes_of(file.path, 0, looked.content.size_bytes),
        )
        sent(looked.content.size_bytes)
        return Uploaded.model_validate_json(answer.content)

    async def _in_parts(self, looked: "_Looked", lane: Lane, sent: Sent) -> Uploaded:
        file = looked.candidate
        wanted = LargeUploadRequest(
            path=file.name,
            matter=file.matter,
            size_bytes=looked.content.size_bytes,
            lane=lane,
            owners_path=str(file.path),
            sha256=looked.content.sha256,
        )
        answer = await self._ask("POST", "/uploads/large", json=wanted.model_dump(mode="json"))
        begun = LargeUpload.model_validate_json(answer.content)
        etags: list[str] = []
        try:
            for number, link in enumerate(begun.parts):
                start = number * begun.part_bytes
                length = min(begun.part_bytes, looked.content.size_bytes - start)
                etags.append(await self._part(file.path, link, start, length))
                sent(length)
            complete = f"/uploads/large/{begun.upload_id}/complete"
            answer = await self._ask("POST", complete, json={"etags": etags})
        except BaseException:
            await self._give_up(begun)
            raise
        return Uploaded.model_validate_json(answer.content)

    async def _give_up(self, begun: LargeUpload) -> None:
        """Free what was sent; that it cannot be said now is not the trouble to tell."""
        with (
            anyio.move_on_after(10, shield=True),
            contextlib.suppress(httpx.HTTPError),
        ):
            await self._http.delete(f"/uploads/large/{begun.upload_id}")

    async def _part(self, path: Path, link: str, start: int, length: int) -> str:
        async def put() -> httpx.Response:
            return await self._bucket.put(
                link,
                content=_bytes_of(path, start, length),
                headers={"Content-Length": str(length)},
            )

        answer = await _patiently(put)
        if not answer.is_success:
            raise BadInput(f"the bucket refused a part of it (HTTP {answer.status_code})")
        return answer.headers["ETag"]

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        body: Callable[[], AsyncIterator[bytes]] | None = None,
        **request: Any,
    ) -> httpx.Response:
        """The answer; raises `BadInput` for a refusal, `Misconfigured` for one of the token."""

        async def ask() -> httpx.Response:
            content = body() if body is not None else None
            return await self._http.request(method, path, content=content, **request)

        answer = await _patiently(ask)
        if answer.is_success:
            return answer
        reason = _reason(answer)
        if answer.status_code == HTTPStatus.TOO_MANY_REQUESTS or answer.is_server_error:
            raise RetryLater(f"The gateway cannot take files now: {reason}")
        if answer.status_code == HTTPStatus.UNAUTHORIZED:
            raise Misconfigured(f"The gateway refused the token (ASEAGI_TOKEN): {reason}")
        raise BadInput(reason)


@asynccontextmanager
async def open_gateway_client(url: str, token: str) -> AsyncGenerator[GatewayClient]:
    """A client of the gateway at `url`; the token goes there alone, never to the bucket."""
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        httpx.AsyncClient(base_url=url, headers=headers, timeout=TIMEOUT) as http,
        httpx.AsyncClient(timeout=TIMEOUT) as bucket,
    ):
        yield GatewayClient(http, bucket)


def shown(path: Path) -> str:
    """The path as it can be printed; bytes that are not UTF-8 become `\\\\xNN`."""
    return str(path).encode(errors="surrogateescape").decode(errors="backslashreplace")


@dataclass(frozen=True)
class _Looked:
    """A file that may be sent."""

    candidate: Candidate
    content: Content

    def to_check(self) -> FileToCheck:
        return FileToCheck(
            path=self.candidate.name,
            matter=self.candidate.matter,
            size_bytes=self.content.size_bytes,
            md5=self.content.md5,
            sha256=self.content.sha256,
        )


def _look(candidate: Candidate) -> _Looked | Added:
    name = shown(candidate.path)
    if candidate.size_bytes > MAX_BYTES:
        return Added(name, "skipped", reason=f"it is larger than {MAX_BYTES // 1024**3} GB")
    try:
        _ = candidate.key
        return _Looked(candidate, look(candidate.path))
    except BadInput as error:
        return Added(name, "skipped", reason=str(error))
    except OSError as error:
        return Added(name, "skipped", reason=f"it cannot be read: {error.strerror}")


async def _bytes_of(path: Path, start: int, length: int) -> AsyncIterator[bytes]:
    """So many bytes of a file; one that became shorter is an `OSError`."""
    async with await anyio.open_file(path, "rb") as file:
        await file.seek(start)
        while length:
            chunk = await file.read(min(CHUNK_BYTES, length))
            if not chunk:
                raise OSError(None, "it became shorter meanwhile")
            length -= len(chunk)
            yield chunk


async def _patiently(call: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
    """Try a few times what may pass: no answer, too many requests, a server that is away."""
    for attempt in range(TRIES):
        pause = min(2**attempt, LONGEST_PAUSE_SECONDS) * random.uniform(0.5, 1)  # noqa: S311
        try:
            answer = await call()
        except httpx.TransportError as error:
            if attempt == TRIES - 1:
                raise RetryLater(
                    f"The gateway or the bucket does not answer ({type(error).__name__})."
                ) from error
        else:
            later = answer.status_code == 429 or answer.is_server_error
            if not later or attempt == TRIES - 1:
                return answer
            asked = answer.headers.get("retry-after", "")
            pause = max(pause, min(float(asked), 60.0)) if asked.isdigit() else pause
        await asyncio.sleep(pause)
    raise AssertionError("the last try answers or raises")


def _reason(answer: httpx.Response) -> str:
    try:
        detail = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        return f"the gateway answered HTTP {answer.status_code}"
    if isinstance(detail, str):
        return detail
    return " ".join(str(one.get("what", one)) for one in detail)
