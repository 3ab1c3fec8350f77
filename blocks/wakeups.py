"""Events that wake flows up. They may be lost: the minute sweep finds what they would have said."""

from uuid import UUID

from prefect.events import emit_event

OBJECT_CREATED = "aseagi.object.created"
DOCUMENT_READ = "aseagi.document.read"
SESSION_LOST = "aseagi.session.lost"


def object_created(key: str, *, size_bytes: int) -> None:
    """Something new lies in `raw/`: starts the ingest drain."""
    emit_event(
        OBJECT_CREATED,
        resource={"prefect.resource.id": f"aseagi.object.{key}"},
        payload={"key": key, "size_bytes": size_bytes},
    )


def document_read(document_id: UUID) -> None:
    """A document's last page is settled: starts the analyse drain."""
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
