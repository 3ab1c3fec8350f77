"""One session on a host: leases in, results out, closed by the gateway's leave.

Guarantees:

- The next lease is fetched and its documents downloaded while those before it are read.
- Leases being worked on are renewed in the background; one that is lost is dropped.
- Files live in a private temporary directory and are gone when their lease was read.
- The session ends only through `close`; if the host dies instead, its leases run out.
"""

import asyncio
import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn
from uuid import UUID

from gpu_image.host_client import HostClient, Refused
from schema.failures import Failure, Misconfigured
from schema.host import (
    CompleteRequest,
    Lease,
    LeasedDocument,
    LeaseResponse,
    PageFailure,
    PageResult,
)
from schema.ocr import PageText

POLL_SECONDS = 1.0
"""Pause between two questions for work while nothing waits."""

LOOK_SECONDS = 30.0
"""While nothing is held: a third of this between two looks whether there is a lease to renew."""

REPORT_PAGES = 16
REPORT_SECONDS = 1.0
"""Results are handed in when so many wait, or when the oldest has waited so long."""


@dataclass(slots=True)
class Progress:
    """What the session has done so far."""

    started: float = field(default_factory=time.monotonic)
    pages_read: int = 0
    pages_failed: int = 0
    pages_refused: int = 0
    pages_waiting: int = 0
    leases: int = 0
    reading_seconds: float = 0.0
    """While at least one lease was being read."""
    dollars: float | None = None
    """What the host has cost when its session closed; None if the gateway did not say."""
    _being_read: int = 0
    _reading_since: float = 0.0

    @property
    def seconds(self) -> float:
        """Time since the session began."""
        return time.monotonic() - self.started

    @contextlib.contextmanager
    def reading(self) -> Generator[None]:
        """Count the time in which leases are read; several at once count once."""
        if not self._being_read:
            self._reading_since = time.monotonic()
        self._being_read += 1
        try:
            yield
        finally:
            self._being_read -= 1
            if not self._being_read:
                self.reading_seconds += time.monotonic() - self._reading_since


@dataclass(frozen=True, slots=True)
class FetchedLease:
    """A lease whose documents lie on disk; `missing` are those that could not be fetched."""

    lease: Lease
    folder: Path
    missing: frozenset[UUID]

    @property
    def pages(self) -> int:
        """How many pages are leased."""
        return sum(len(document.pages) for document in self.lease.documents)

    def path(self, document: LeasedDocument) -> Path:
        """Where the document's bytes lie."""
        return self.folder / document.document_id.hex


class Session:
    """A host's session with the gateway. Make it with `open_session`."""

    def __init__(self, client: HostClient, folder: Path, engine: str) -> None:
        self.progress = Progress()
        self._client = client
        self._folder = folder
        self._engine = engine
        self._held: dict[UUID, Lease] = {}

    async def leases(self, limit: int, idle_seconds: float) -> AsyncGenerator[FetchedLease]:
        """Yield leases of up to `limit` pages until the gateway lets the session close.

        It is asked to when none came for `idle_seconds`, or when it says that none will.
        While one is being read the next is fetched. Read each within `holding`. Trouble
        with renewing ends the session too: leases that nobody renews are soon somebody
        else's.
        """
        renewing = asyncio.create_task(self._renew_forever())
        upcoming = asyncio.create_task(self._next_lease(limit, idle_seconds))
        try:
            while (fetched := await _first_of(upcoming, renewing)) is not None:
                upcoming = asyncio.create_task(self._next_lease(limit, idle_seconds))
                yield fetched
        finally:
            for task in (renewing, upcoming):
                task.cancel()
            await asyncio.gather(renewing, upcoming, return_exceptions=True)

    @contextlib.contextmanager
    def holding(self, fetched: FetchedLease) -> Generator[None]:
        """While a lease is read. Afterwards it is no longer renewed, and its files are gone."""
        try:
            with self.progress.reading():
                yield
        finally:
            self.forget(fetched.lease.lease_id)
            shutil.rmtree(fetched.folder, ignore_errors=True)

    def forget(self, lease_id: UUID) -> None:
        """The lease is somebody else's now."""
        self._held.pop(lease_id, None)

    def holds(self, fetched: FetchedLease) -> bool:
        """Whether the lease is still this host's, as far as it knows."""
        return fetched.lease.lease_id in self._held

    async def report(
        self, fetched: FetchedLease, outcomes: list[tuple[UUID, int, PageText | Failure]]
    ) -> None:
        """Hand in outcomes of pages; those the gateway refuses are somebody else's by now."""
        answer = await self._client.complete(
            CompleteRequest(
                lease_id=fetched.lease.lease_id,
                results=[
                    PageResult(document_id=document, page=page, result=outcome)
                    for document, page, outcome in outcomes
                    if isinstance(outcome, PageText)
                ],
                failures=[
                    PageFailure(document_id=document, page=page, failure=outcome)
                    for document, page, outcome in outcomes
                    if isinstance(outcome, Failure)
                ],
            )
        )
        failed = sum(isinstance(outcome, Failure) for _, _, outcome in outcomes)
        self.progress.pages_refused += answer.refused
        self.progress.pages_failed += failed
        self.progress.pages_read += max(answer.accepted - failed, 0)

    async def _next_lease(self, limit: int, idle_seconds: float) -> FetchedLease | None:
        """Wait for a lease and fetch its documents; None once the session is closed."""
        idle_since = time.monotonic()
        while True:
            answer: LeaseResponse = await self._client.lease(limit=limit, engine=self._engine)
            self.progress.pages_waiting = answer.pages_waiting
            if answer.lease is not None:
                return await self._fetch(answer.lease)
            idle = time.monotonic() - idle_since
            if not self._held and (answer.closing or idle >= idle_seconds):
                closed = await self._client.close(
                    reason="deadline or pause" if answer.closing else "nothing left to read",
                    pages_read=self.progress.pages_read,
                )
                if closed.closed:
                    self.progress.dollars = closed.dollars
                    return None
            else:
                left = idle_seconds - idle
                await asyncio.sleep(min(POLL_SECONDS, left) if left > 0 else POLL_SECONDS)

    async def _fetch(self, lease: Lease) -> FetchedLease:
        self._held[lease.lease_id] = lease
        self.progress.leases += 1
        folder = self._folder / lease.lease_id.hex
        folder.mkdir(mode=0o700)
        fetched = FetchedLease(lease, folder, frozenset())
        outcomes = await asyncio.gather(
            *(
                self._client.download(document, fetched.path(document))
                for document in lease.documents
            ),
            return_exceptions=True,
        )
        missing: set[UUID] = set()
        for document, outcome in zip(lease.documents, outcomes, strict=True):
            if isinstance(outcome, Refused):
                missing.add(document.document_id)
            elif isinstance(outcome, BaseException):
                raise outcome
        return FetchedLease(lease, folder, frozenset(missing))

    async def _renew_forever(self) -> NoReturn:
        """Renew held leases at a third of their time; forget those the gateway gave away."""
        while True:
            lasting = [lease.seconds_left for lease in self._held.values()]
            await asyncio.sleep(max(min(lasting, default=LOOK_SECONDS) / 3, 1.0))
            asked = list(self._held)
            if not asked:
                continue
            answer = await self._client.heartbeat(asked)
            renewed = {lease.lease_id: lease for lease in answer.leases}
            for lease_id in asked:
                if lease_id in renewed and lease_id in self._held:
                    self._held[lease_id] = renewed[lease_id]
                else:
                    self.forget(lease_id)


async def _first_of(
    upcoming: "asyncio.Task[FetchedLease | None]", renewing: "asyncio.Task[NoReturn]"
) -> FetchedLease | None:
    """What `upcoming` gives; raises what ended `renewing`, which never ends by itself."""
    await asyncio.wait({upcoming, renewing}, return_when=asyncio.FIRST_COMPLETED)
    if renewing.done():
        renewing.result()
    return upcoming.result()


@contextlib.asynccontextmanager
async def open_session(engine: str) -> AsyncGenerator[Session]:
    """The session this process was started for, by `ASEAGI_GATEWAY_URL` and `ASEAGI_HOST_TOKEN`.

    Raises `Misconfigured` when they are not set: only a worker starts sessions.
    """
    try:
        gateway_url, token = os.environ["ASEAGI_GATEWAY_URL"], os.environ["ASEAGI_HOST_TOKEN"]
    except KeyError as missing:
        raise Misconfigured(
            f"{missing} is not set: sessions are started by a `local` or `vastai` worker."
        ) from None
    with tempfile.TemporaryDirectory(prefix="aseagi-session-") as folder:
        async with HostClient(gateway_url, token) as client:
            yield Session(client, Path(folder), engine)
