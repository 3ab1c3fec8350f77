"""The protocol between a host and the gateway, `/host`.

A host speaks only this, with a token bound to one attempt of one flow run. Every
request carries the protocol version; a mismatch ends the session without work.
The lease id is the fencing token: a result for a lease that expired or was taken
over is refused, whoever sends it.
"""

from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from schema.failures import MAX_PAGE_NUMBER, Failure
from schema.ocr import PageText
from schema.text import Text

PROTOCOL_VERSION = 2
MAX_LEASE_PAGES = 64
MAX_RESULT_BYTES = 32 * 1024 * 1024
"""Largest body of `/host/complete` the gateway unpacks."""


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid")


class LeaseRequest(_Message):
    """`POST /host/lease`: ask for pages."""

    protocol: int = PROTOCOL_VERSION
    limit: int = Field(default=16, ge=1, le=MAX_LEASE_PAGES)
    engine: Text = Field(default="", max_length=100)


class LeasedDocument(_Message):
    """A document with the pages of it that are leased, and where to get its bytes."""

    document_id: UUID
    url: str = Field(description="Signed, read-only, valid for minutes; renewed by heartbeat.")
    media_type: str
    size_bytes: int = Field(ge=0)
    pages: list[int] = Field(description="Page numbers from 1, ascending.")
    urgent: bool = Field(default=False, description="Somebody waits for it (lane `now`).")


class Lease(_Message):
    """Pages that are this host's for `seconds_left` more."""

    lease_id: UUID
    seconds_left: float = Field(
        ge=0, description="A span, not a time of day: the clock of a host may be wrong."
    )
    documents: list[LeasedDocument]


class LeaseResponse(_Message):
    """Nothing to read when `lease` is None; `closing` says that none will come."""

    lease: Lease | None
    closing: bool = Field(
        default=False, description="Deadline or pause: no more leases; finish and close."
    )
    pages_waiting: int = Field(default=0, ge=0, description="Pages nobody holds, for progress.")


class HeartbeatRequest(_Message):
    """`POST /host/heartbeat`: the host lives and still works on these leases."""

    protocol: int = PROTOCOL_VERSION
    lease_ids: list[UUID] = Field(default=[], max_length=16)


class HeartbeatResponse(_Message):
    """The leases that are still this host's, with fresh links; the others are lost to it."""

    leases: list[Lease]


class PageResult(_Message):
    """One page read."""

    document_id: UUID
    page: int = Field(ge=1, le=MAX_PAGE_NUMBER)
    result: PageText


class PageFailure(_Message):
    """One page that could not be read."""

    document_id: UUID
    page: int = Field(ge=1, le=MAX_PAGE_NUMBER)
    failure: Failure


class CompleteRequest(_Message):
    """`POST /host/complete` (gzip allowed): results and failures of one lease."""

    protocol: int = PROTOCOL_VERSION
    lease_id: UUID
    results: list[PageResult] = Field(default=[], max_length=MAX_LEASE_PAGES)
    failures: list[PageFailure] = Field(default=[], max_length=MAX_LEASE_PAGES)


class CompleteResponse(_Message):
    """How many pages were stored; a page already stored counts as accepted (do twice = do once)."""

    accepted: int
    refused: int = Field(description="Pages that are not in this lease, or no longer.")


class CloseRequest(_Message):
    """`POST /host/close`: nothing left to do as far as the host knows."""

    protocol: int = PROTOCOL_VERSION
    reason: Text = Field(default="idle", max_length=200)
    pages_read: int = Field(default=0, ge=0, le=1_000_000_000)


class CloseResponse(_Message):
    """`closed` False means: pages arrived meanwhile, lease again."""

    closed: bool
    dollars: float | None = Field(
        default=None, ge=0, description="What the session's host has cost so far, without traffic."
    )
