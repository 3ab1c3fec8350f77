"""Documents from the bucket to completed jobs, through every real server and process."""

import asyncio
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    FlowFilter,
    FlowFilterName,
)

from blocks.database import Database
from blocks.object_storage import ObjectStorage
from sql.connection import Connection
from stack.embedded import BUCKET, Stack
from tests.e2e.conftest import all_completed, drop, eventually


async def _runs(flow: str) -> list[UUID]:
    async with get_client() as client:
        runs = await client.read_flow_runs(
            flow_filter=FlowFilter(name=FlowFilterName(any_=[flow])), limit=200
        )
    return [run.id for run in runs if run.state is not None and not run.state.is_scheduled()]


async def test_documents_dropped_in_one_go_become_jobs_with_one_session_at_a_time_and_few_runs(
    stack: Stack, empty: None, db: Connection
) -> None:
    ingests, sessions = await _runs("ingest"), await _runs("ocr")
    began = await (await db.execute("select now()")).fetchone()
    drop(stack, "one-go", 60)
    await eventually(lambda: all_completed(db, "one-go", 60))

    assert len(await _runs("ingest")) - len(ingests) <= 4
    # One; another, if those that came last were slower to come than a session lingers.
    assert 1 <= len(await _runs("ocr")) - len(sessions) <= 3
    cursor = await db.execute(
        """
        select count(*) from aseagi.ocr_sessions one join aseagi.ocr_sessions another
            on one.created_at < another.created_at
            and coalesce(one.closed_at, now()) > another.created_at
        where one.created_at > %s
        """,
        began,
    )
    assert await cursor.fetchone() == (0,), "sessions side by side"
    cursor = await db.execute(
        """
        select count(*), count(distinct file_hash),
            count(*) filter (where ocr_text like 'LETTER%%' and document_type = 'letter')
        from aseagi.documents where matter = 'one-go'
        """
    )
    assert await cursor.fetchone() == (60, 60, 60)


async def test_the_same_content_under_another_name_is_one_document_with_two_arrivals(
    stack: Stack, empty: None, db: Connection, storage: ObjectStorage
) -> None:
    (key,) = drop(stack, "twice", 1)
    await eventually(lambda: all_completed(db, "twice", 1))
    client = storage.client()
    copy = "raw/elsewhere/ a copy, näher.png"
    client.copy_object(Bucket=BUCKET, Key=copy, CopySource={"Bucket": BUCKET, "Key": key})

    async def copy_is_ingested() -> bool:
        cursor = await db.execute("select state from aseagi.arrivals where key = %s", (copy,))
        row = await cursor.fetchone()
        return row is not None and row[0] == "ingested"

    await eventually(copy_is_ingested)
    cursor = await db.execute(
        """
        select count(distinct document_id), count(*) from aseagi.arrivals where key = any(%s)
        """,
        ([key, copy],),
    )
    assert await cursor.fetchone() == (1, 2)


async def test_a_file_that_is_no_document_fails_with_a_reason_and_keeps_its_original(
    stack: Stack, empty: None, db: Connection, storage: ObjectStorage
) -> None:
    client = storage.client()
    client.put_object(
        Bucket=BUCKET, Key="raw/odd/broken.pdf", Body=b"%PDF-1.7\nnothing more\n%%EOF\n"
    )

    async def failed() -> tuple[str, str, str] | None:
        cursor = await db.execute(
            """
            select job.status, job.error->>'reason', document.s3_processed_path
            from aseagi.processing_jobs job join aseagi.documents document
                on document.id = job.document_id where document.matter = 'odd'
            """
        )
        row = await cursor.fetchone()
        return (row[0], row[1], row[2]) if row else None

    found = await eventually(failed)
    assert found is not None
    status, reason, original = found
    assert status == "failed"
    assert "damaged" in reason
    body = client.get_object(Bucket=BUCKET, Key=original)["Body"].read()
    assert body == b"%PDF-1.7\nnothing more\n%%EOF\n"


async def test_fifty_sessions_started_by_hand_on_an_empty_queue_end_without_reading(
    stack: Stack, empty: None, db: Connection
) -> None:
    async with get_client() as client:
        deployment = await client.read_deployment_by_name("ocr/local")
        runs = [(await client.create_flow_run_from_deployment(deployment.id)).id for _ in range(50)]

        async def all_ended() -> bool:
            found = [await client.read_flow_run(run) for run in runs]
            return all(one.state is not None and one.state.is_final() for one in found)

        await eventually(all_ended, pause=1)
        ended = [await client.read_flow_run(run) for run in runs]

    assert {one.state.name for one in ended if one.state} == {"Completed"}
    assert {one.state.message for one in ended if one.state} == {
        "No host was started: nothing to read."
    }
    cursor = await db.execute(
        """
        select count(*), count(*) filter (where state = 'closed'), sum(pages_read),
            (select count(*) from aseagi.gpu_hosts host where host.session_id = any(
                select id from aseagi.ocr_sessions where flow_run_id = any(%(runs)s)))
        from aseagi.ocr_sessions where flow_run_id = any(%(runs)s)
        """,
        {"runs": runs},
    )
    assert await cursor.fetchone() == (50, 50, 0, 0)


async def test_every_kind_of_run_has_a_readable_name_and_leaves_an_artifact(
    stack: Stack, empty: None, db: Connection
) -> None:
    drop(stack, "artifacts", 2)
    await eventually(lambda: all_completed(db, "artifacts", 2))
    await eventually(lambda: _is_closed(db))
    async with get_client() as client:
        for flow in ("ingest", "ocr", "analyse"):

            async def has_artifact(flow: str = flow) -> bool:
                runs = await client.read_flow_runs(
                    flow_filter=FlowFilter(name=FlowFilterName(any_=[flow])), limit=200
                )
                artifacts = await asyncio.gather(
                    *(
                        client.read_artifacts(
                            artifact_filter=ArtifactFilter(
                                flow_run_id=ArtifactFilterFlowRunId(any_=[run.id])
                            )
                        )
                        for run in runs
                    )
                )
                return any(artifacts)

            # A drain writes its table when it ends, after its linger.
            await eventually(has_artifact, pause=1)
        (session,) = await client.read_flow_runs(
            flow_filter=FlowFilter(name=FlowFilterName(any_=["ocr"])),
            limit=1,
            sort="EXPECTED_START_TIME_DESC",  # pyright: ignore[reportArgumentType]
        )
    assert session.name.startswith("session ")


async def _is_closed(db: Connection) -> bool:
    cursor = await db.execute("select count(*) from aseagi.ocr_sessions where state <> 'closed'")
    row = await cursor.fetchone()
    return row is not None and row[0] == 0


async def test_a_run_with_the_defaults_reads_what_waits(
    stack: Stack, empty: None, db: Connection, database: Database
) -> None:
    """What a person gets who presses Run on the deployment `export` without filling anything in."""
    async with get_client() as client:
        deployment = await client.read_deployment_by_name("export/export")
        run = await client.create_flow_run_from_deployment(deployment.id)

        async def ended() -> str | None:
            state = (await client.read_flow_run(run.id)).state
            return state.name if state is not None and state.is_final() else None

        assert await eventually(ended) == "Completed"
