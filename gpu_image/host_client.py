"""The gateway's `/host` as a host sees it: one method per call, typed on both sides.

    HostError
    ├── Dismissed     this attempt is over (token replaced, session closed): stop at once
    ├── Refused       the gateway will not take this message however often it is sent
    └── Unreachable   no answer for `patience_seconds`: the host gives up

Calls are safe to repeat, so one that fails for a passing reason (no connection, 5xx,
429) is sent again with growing, jittered pauses until the patience is used up.
"""

import asyncio
import gzip
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, TypeVar
from uuid import UUID

import httpx
from pydantic import BaseModel

from schema.host import (
    CloseRequest,
    CloseResponse,
    CompleteRequest,
    CompleteResponse,
    HeartbeatRequest,
    HeartbeatResponse,
    LeasedDocument,
    LeaseRequest,
    LeaseResponse,
)

PATIENCE_SECONDS = 300.0
FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 15.0
GZIP_FROM_BYTES = 1024

Answer = TypeVar("Answer", bound=BaseModel)


class HostError(Exception):
    """Base of what can go wrong between a host and the gateway."""


class Dismissed(HostError):
    """This attempt is over: its token was replaced or its session closed."""


class Refused(HostError):
    """The gateway refuses this message; sending it again cannot help."""


class Unreachable(HostError):
    """The gateway did not answer for as long as this host is willing to wait."""


class HostClient:
    """Speaks `/host` with one token. Use as an async context manager."""

    def __init__(
        self,
        gateway_url: str,
        token: str,
        *,
        patience_seconds: float = PATIENCE_SECONDS,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._patience_seconds = patience_seconds
        self._http = httpx.AsyncClient(
            base_url=gateway_url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=httpx.Timeout(30, connect=5),
            transport=transport,
        )
        # Documents come from object storage by signed link: no token of ours goes there.
        self._storage = httpx.AsyncClient(
            timeout=httpx.Timeout(60, connect=5), transport=transport, follow_redirects=False
        )

    async def __aenter__(self) -> "HostClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()
        await self._storage.aclose()

    async def lease(self, *, limit: int, engine: str) -> LeaseResponse:
        """Ask for up to `limit` pages."""
        return await self._call(
            "/host/lease", LeaseRequest(limit=limit, engine=engine), LeaseResponse
        )

    async def heartbeat(self, lease_ids: Sequence[UUID]) -> HeartbeatResponse:
        """Renew leases; those missing in the answer are lost."""
        return await self._call(
            "/host/heartbeat", HeartbeatRequest(lease_ids=list(lease_ids)), HeartbeatResponse
        )

    async def complete(self, report: CompleteRequest) -> CompleteResponse:
        """Hand in results and failures of one lease."""
        return await self._call("/host/complete", report, CompleteResponse)

    async def close(self, *, reason: str, pages_read: int) -> CloseResponse:
        """Ask to close the session; the answer may be that there is more work."""
        return await self._call(
            "/host/close", CloseRequest(reason=reason, pages_read=pages_read), CloseResponse
        )

    async def download(self, document: LeasedDocument, into: Path) -> None:
        """Fetch a document's bytes; raises `Refused` for a link run out or a size that is off."""
        received = 0

        async def fetch() -> httpx.Response:
            nonlocal received
            received = 0
            async with self._storage.stream("GET", document.url) as response:
                if response.is_success:
                    with into.open("wb") as file:
                        async for chunk in response.aiter_bytes(1 << 20):
                            received += file.write(chunk)
                return response

        await self._until_answered(fetch)
        if received != document.size_bytes:
            raise Refused("the downloaded file has another size than announced")

    async def _call(self, path: str, message: BaseModel, kind: type[Answer]) -> Answer:
        body = message.model_dump_json().encode()
        headers = {"Content-Type": "application/json"}
        if path == "/host/complete" and len(body) > GZIP_FROM_BYTES:
            body = await asyncio.to_thread(gzip.compress, body, 5)
            headers["Content-Encoding"] = "gzip"

        async def post() -> httpx.Response:
            return await self._http.post(path, content=body, headers=headers)

        response = await self._until_answered(post)
        return kind.model_validate_json(response.content)

    async def _until_answered(self, send: "Send") -> httpx.Response:
        """Send until there is a final answer; passing troubles are waited out."""
        deadline = time.monotonic() + self._patience_seconds
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                response = await send()
            except httpx.TransportError as error:
                trouble = type(error).__name__
            else:
                if response.is_success:
                    return response
                if response.status_code not in {429, 500, 502, 503, 504}:
                    raise _refusal(response)
                trouble = f"HTTP {response.status_code}"
            if time.monotonic() + pause > deadline:
                raise Unreachable(f"no answer for {self._patience_seconds:.0f} s ({trouble})")
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)


class Send(Protocol):
    """Sends one request once."""

    async def __call__(self) -> httpx.Response:
        """Return the answer, whatever its status."""
        ...


def _refusal(response: httpx.Response) -> HostError:
    where = response.request.url.path
    if where.startswith("/host/") and response.status_code in {401, 409}:
        return Dismissed(f"{where} answered {response.status_code}")
    return Refused(f"HTTP {response.status_code}")
