"""The flow `ocr`: one session on one host, from its first lease to its close."""

from contextlib import aclosing
from uuid import UUID

from prefect import flow
from prefect.runtime import flow_run
from pydantic import BaseModel, Field

from gpu_image.reading import several_at_once
from gpu_image.session import open_session
from gpu_image.usage import watched
from tasks.reading import load_engine, read_pages, show_progress, show_summary

PROGRESS_EVERY_LEASES = 4


class SessionReport(BaseModel):
    """What a session did."""

    pages_read: int = Field(description="Pages whose text was stored.")
    pages_failed: int = Field(description="Pages that could not be read.")
    seconds: float = Field(description="From the first lease asked for to the close.")


def _run_name() -> str:
    session_id = flow_run.parameters.get("session_id")
    return f"session {str(session_id)[:8]}" if session_id else "session started by hand"


@flow(name="ocr", flow_run_name=_run_name)
async def ocr_session(
    session_id: UUID | None = None,  # noqa: ARG001 - read by the worker before this runs
    engine: str = "rapidocr",
    pages_per_lease: int = 16,
    idle_seconds: float = 300,
) -> SessionReport:
    """Read leased pages until none came for a while, then close.

    Runs on a host that is trusted with nothing but its own token. Safe to kill at any
    point: an unfinished lease runs out and its pages return to the queue.

    Args:
        session_id: The session this run is; empty for one started by hand.
        engine: OCR engine: `rapidocr` (CPU), `doctr` (GPU), or `doctr:DETECTION+RECOGNITION` to
            choose docTR's models.
        pages_per_lease: Pages taken from the queue at a time, 1 to 64.
        idle_seconds: How long to wait for more pages before closing.
    """
    reader = await load_engine(engine)
    bar: UUID | None = None
    async with open_session(reader.name) as session:
        progress = session.progress
        async with (
            watched() as usage,
            several_at_once(reader.reads_at_once) as start,
            aclosing(session.leases(pages_per_lease, idle_seconds)) as leases,
        ):
            async for lease in leases:
                await start(read_pages(reader, session, lease, lease.pages))
                if progress.leases % PROGRESS_EVERY_LEASES == 0:
                    bar = await show_progress(progress, bar)
        await show_summary(progress, usage, reader.name)
    return SessionReport(
        pages_read=progress.pages_read,
        pages_failed=progress.pages_failed,
        seconds=progress.seconds,
    )
