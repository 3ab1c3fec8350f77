"""Events that wake flows up. They may be lost: the minute sweep finds what they would have said.

At most one event of a kind leaves a process per second. The drain that the first one
starts looks at the whole queue, and outlives everything that came while the trigger
was deaf, so the others would say nothing new and cost Prefect a row each.
"""

import time
from uuid import UUID

from prefect.events import emit_event

OBJECT_CREATED = "aseagi.object.created"
DOCUMENT_READ = "aseagi.document.read"
SESSION_LOST = "aseagi.session.lost"


QUIET_SECONDS = 1.0

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
        emit_event(
            OBJECT_CREATED,
            resource={"prefect.resource.id": f"aseagi.object.{key}"},
            payload={"key": key, "size_bytes": size_bytes},
        )


def document_read(document_id: UUID) -> None:
    """A document's last page is settled: starts the analyse drain."""
    if _is_due(DOCUMENT_READ):
        emit_event(
            DOCUMENT_READ,
            resource={"prefect.resource.id": f"aseagi.document.{document_id}"},
        )


def session_lost(session_id: UUID) -> None:
    """A session ended without closing itself: starts housekeeping, which dispatches anew."""
    emit_event(
        SESSION_LOST,
        resource={"prefect.resource.id": f"aseagi.session.{session_id}"},
    )
