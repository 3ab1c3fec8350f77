"""The steps of an OCR session. They run on a host, so they know `schema` and `gpu_image` only."""

import asyncio
from uuid import UUID

from prefect import task
from prefect.artifacts import (
    acreate_markdown_artifact,
    acreate_progress_artifact,
    aupdate_progress_artifact,
)
from prefect.cache_policies import NO_CACHE

from gpu_image.engines import OcrEngine
from gpu_image.engines import load_engine as make_engine
from gpu_image.reading import read_lease
from gpu_image.session import FetchedLease, Progress, Session
from gpu_image.usage import Usage


@task(name="load engine", task_run_name="load {engine}", cache_policy=NO_CACHE)
async def load_engine(engine: str) -> OcrEngine:
    """Load the models; seconds to a minute. Not retried: a missing package stays missing."""
    return await asyncio.to_thread(make_engine, engine)


@task(name="read lease", task_run_name="read {pages} pages", cache_policy=NO_CACHE)
async def read_pages(
    engine: OcrEngine,
    session: Session,
    fetched: FetchedLease,
    pages: int,  # noqa: ARG001 - shown in the task run's name
) -> int:
    """Read and report one lease; return how many pages were reported.

    Not retried: what is left of a lease that fails returns to the queue by itself.
    """
    return await read_lease(engine, session, fetched)


async def show_progress(progress: Progress, artifact: UUID | None) -> UUID:
    """Create or move the bar that the run's page shows: pages done of pages known."""
    done = progress.pages_read + progress.pages_failed
    percent = 100.0 * done / max(done + progress.pages_waiting, 1)
    description = f"{done} pages done, {progress.pages_waiting} waiting"
    if artifact is None:
        return await acreate_progress_artifact(progress=percent, description=description)
    await aupdate_progress_artifact(artifact, progress=percent, description=description)
    return artifact


async def show_summary(progress: Progress, usage: Usage, engine: str) -> None:
    """Leave the run's closing table: what was read, how fast, and how busy the host was."""
    rate = progress.pages_read / progress.reading_seconds if progress.reading_seconds else 0.0
    await acreate_markdown_artifact(
        key="session",
        description="What this session read",
        markdown=(
            "| | |\n|---|---|\n"
            f"| engine | {engine} |\n"
            f"| pages read | {progress.pages_read} |\n"
            f"| pages failed | {progress.pages_failed} |\n"
            f"| pages taken over by another host | {progress.pages_refused} |\n"
            f"| leases | {progress.leases} |\n"
            f"| seconds | {progress.seconds:.1f} |\n"
            f"| share of time spent reading | {progress.reading_seconds / progress.seconds:.0%} |\n"
            f"| pages per second while reading | {rate:.2f} |\n"
            f"| GPU busy | {_share(usage.gpu_busy)} |\n"
            f"| most GPU memory | {_gigabytes(usage.gpu_peak_bytes)} |\n"
            f"| most host memory | {_gigabytes(usage.host_peak_bytes)} |\n"
            f"| cost of the host so far, without traffic | {_dollars(progress.dollars)} |\n"
        ),
    )


def _share(share: float | None) -> str:
    return "no NVIDIA GPU" if share is None else f"{share:.0%}"


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size else "not known"


def _dollars(dollars: float | None) -> str:
    return "not known" if dollars is None else f"${dollars:.4f}"
