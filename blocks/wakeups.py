"""Events that wake flows up. They may be lost: the minute sweep finds what they would have said.

At most one event of a kind leaves a process per second. The drain that the first one
starts looks at the whole queue, and outlives everything that came while the trigger
was deaf, so the others would say nothing new and cost Prefect a row each.
"""

import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from uuid import UUID

OBJECT_CREATED = "aseagi.object.created"
DOCUMENT_READ = "aseagi.document.read"
SESSION_LOST = "aseagi.session.lost"


QUIET_SECONDS = 1.0

Sender = Callable[[str, str, Mapping[str, str | int]], None]
"""Sends an event: its name, the id of what it is about, its payload. Must not block."""


def _send_by_prefect(event: str, resource_id: str, payload: Mapping[str, str | int]) -> None:
    from prefect.events import emit_event  # noqa: PLC0415 - the gateway sends without Prefect

    emit_event(event, resource={"prefect.resource.id": resource_id}, payload=dict(payload))


_send: Sender = _send_by_prefect


@contextmanager
def sent_by(sender: Sender) -> Generator[None]:
    """While the block runs, this process sends its events by `sender`, not Prefect's client."""
    global _send  # noqa: PLW0603 - one process has one way to Prefect
    before, _send = _send, sender
    try:
        yield
    finally:
        _send = before


_last_emitted: dict[str, float] = {}


def _is_due(event: str) -> bool:
    now = time.monotonic()
    if now - _last_emitted.get(event, -QUIET_SECONDS) < QUIET_SECONDS:
        return False
    _last_emitted[event] = now
    return True


def object_created(key: str, *, size_bytes: int) -> None:
    """Something new lies in an inbox: starts the ingest drain."""
    if _is_due(OBJECT_CREATED):
        _send(OBJECT_CREATED, f"aseagi.object.{key}", {"key": key, "size_bytes": size_bytes})


def document_read(document_id: UUID) -> None:
    """A document's last page is settled: starts the analyse drain."""
    if _is_due(DOCUMENT_READ):
        _send(DOCUMENT_READ, f"aseagi.document.{document_id}", {})


def session_lost(session_id: UUID) -> None:
    """A session ended without closing itself: starts housekeeping, which dispatches anew."""
    _send(SESSION_LOST, f"aseagi.session.{session_id}", {})
