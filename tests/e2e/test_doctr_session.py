"""A whole session on what a rented host installs: docTR's nets, from the lease to the close."""

import asyncio
import json
import os
from collections.abc import AsyncGenerator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    ArtifactFilterKey,
)
from prefect.states import Pending

from blocks.gateway import Gateway
from blocks.loading import NAME, load
from blocks.reading import Reading
from sql.connection import Connection
from stack.embedded import Stack
from tests.e2e.conftest import ELSEWHERE, all_completed, drop, eventually
from work_pools.host_environment import HostOrder, HostTerms, host_environment

HOME = Path(__file__).parents[2]
COMPACT = "doctr:db_mobilenet_v3_large+crnn_mobilenet_v3_small"
DOCUMENTS = 12
READ_SECONDS = 400


@pytest.fixture
async def nobody_reads(stack: Stack, empty: None) -> AsyncGenerator[None]:
    """No session begins by itself."""
    before = await load(Reading)
    await before.model_copy(update={"max_hosts": 0}).asave(NAME, overwrite=True)
    try:
        yield
    finally:
        await before.asave(NAME, overwrite=True)


async def ordered(db: Connection, run: UUID) -> HostOrder:
    order = await host_environment(
        db,
        flow_run_id=run,
        run_count=0,
        session_id=None,
        gateway=await load(Gateway),
        terms=HostTerms("local", timedelta(hours=1), Decimal(0), Decimal(50), max_hosts=1),
    )
    assert isinstance(order, HostOrder)
    return order


async def test_a_session_with_doctr_reads_leases_side_by_side_and_shows_how_it_went(
    stack: Stack, nobody_reads: None, db: Connection, host_python: Path
) -> None:
    drop(stack, "doctr", DOCUMENTS)

    async def all_wait() -> bool:
        cursor = await db.execute("select count(*) from aseagi.pages where state = 'waiting'")
        return await cursor.fetchone() == (DOCUMENTS,)

    await eventually(all_wait)
    async with get_client() as prefect:
        deployment = await prefect.read_deployment_by_name("ocr/local")
        run = await prefect.create_flow_run_from_deployment(
            deployment.id,
            parameters={"engine": COMPACT, "pages_per_lease": 3, "idle_seconds": 0},
            state=Pending(),
        )
        await prefect.update_flow_run(run.id, infrastructure_pid=ELSEWHERE)
    order = await ordered(db, run.id)
    host = await asyncio.create_subprocess_exec(
        *(str(host_python), "-m", "gpu_image.entrypoint"),
        cwd=HOME,
        env={
            "PATH": os.environ["PATH"],
            "ASEAGI_DOCTR_WEIGHTS": str(HOME / "training" / "weights"),
            **order.environment,
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(host.communicate(), READ_SECONDS)
    assert host.returncode == 0, output.decode()
    await eventually(lambda: all_completed(db, "doctr", DOCUMENTS))

    cursor = await db.execute(
        """
        select count(distinct page.text), bool_and(page.text <> ''),
            min(page.engine), count(distinct page.session_id)
        from aseagi.pages page join aseagi.documents document on document.id = page.document_id
        where document.matter = 'doctr'
        """
    )
    row = await cursor.fetchone()
    assert row is not None
    different, all_read, engine, sessions = row
    assert (different, all_read, sessions) == (DOCUMENTS, True, 1)
    assert engine.endswith("db_mobilenet_v3_large+crnn_mobilenet_v3_small")
    shown = await summary(run.id)
    assert f"| pages read | {DOCUMENTS} |" in shown
    assert "| GPU busy |" in shown
    assert f"| leases | {DOCUMENTS // 3} |" in shown


async def summary(run: UUID) -> str:
    """The closing table on the run's page."""
    async with get_client() as prefect:
        (artifact,) = await prefect.read_artifacts(
            artifact_filter=ArtifactFilter(
                key=ArtifactFilterKey(any_=["session"]),
                flow_run_id=ArtifactFilterFlowRunId(any_=[run]),
            )
        )
    return artifact.data if isinstance(artifact.data, str) else json.dumps(artifact.data)
