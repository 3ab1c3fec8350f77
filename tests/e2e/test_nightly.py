"""The nightly run, as Prefect starts it."""

from datetime import UTC, datetime

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

from sql.connection import Connection
from stack.embedded import Stack
from tasks.starting import start_unless_about_to
from tests.e2e.conftest import eventually


async def test_the_night_is_opened_and_ends_with_a_digest(
    stack: Stack, empty: None, db: Connection
) -> None:
    run = await start_unless_about_to("nightly/nightly")
    assert run is not None
    async with get_client() as client:

        async def ended() -> str | None:
            state = (await client.read_flow_run(run)).state
            return state.name if state is not None and state.is_final() else None

        assert await eventually(ended) == "Completed"
        left = await client.read_artifacts(
            artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run]))
        )
    assert any("documents done" in str(one.data) for one in left if one.key == "digest")
    cursor = await db.execute("select night_until from aseagi.controls")
    row = await cursor.fetchone()
    assert row is not None
    assert row[0] > datetime.now(UTC)
    await db.execute("update aseagi.controls set night_until = null")
