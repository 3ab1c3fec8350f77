"""`/host` as hosts use and misuse it: the real application, Postgres and S3."""

import base64
import gzip
import hashlib
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
from pydantic import SecretStr

from blocks.database import Database
from blocks.gateway import Gateway
from blocks.loading import load
from blocks.object_storage import ObjectStorage
from blocks.reading import Reading
from gateway.app import create_app
from gateway.services import open_services
from gateway.settings_from_blocks import prefect_login, settings_of
from schema.failures import Failure, Stage
from schema.host import (
    MAX_RESULT_BYTES,
    CompleteRequest,
    LeaseResponse,
    PageFailure,
    PageResult,
)
from schema.lanes import Lane
from schema.ocr import PageText, Word
from sql.connection import Connection, Pool
from sql.documents import NewDocument, insert_document
from stack.embedded import BUCKET, Stack
from work_pools.host_environment import HostOrder, HostTerms, host_environment


@dataclass(frozen=True)
class Door:
    """The gateway's application over a database of its own."""

    http: httpx.AsyncClient
    transport: httpx.ASGITransport
    pool: Pool
    gateway: Gateway

    async def session(self) -> str:
        """Begin a session as a worker does; its token."""
        async with self.pool.connection() as db:
            order = await host_environment(
                db,
                flow_run_id=uuid4(),
                run_count=0,
                session_id=None,
                gateway=self.gateway,
                terms=HostTerms("local", timedelta(hours=1), Decimal(0), Decimal(50), max_hosts=2),
            )
        assert isinstance(order, HostOrder)
        return order.environment["ASEAGI_HOST_TOKEN"]

    async def begun_session(self) -> str:
        """Begin a session for a page that is settled by the time it is asked for."""
        async with self.pool.connection() as db:
            document = await add_document(db)
        token = await self.session()
        async with self.pool.connection() as db:
            await db.execute("delete from aseagi.documents where id = %s", (document,))
        return token

    async def post(self, path: str, token: str, body: object) -> httpx.Response:
        return await self.http.post(path, json=body, headers=_bearer(token))

    async def lease(self, token: str, limit: int = 64) -> LeaseResponse:
        answer = await self.post("/host/lease", token, {"limit": limit})
        assert answer.status_code == 200, answer.text
        return LeaseResponse.model_validate_json(answer.content)


JSON = "application/json"


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
async def door(stack: Stack, app_dsn: str, tmp_path: Path) -> AsyncGenerator[Door]:
    gateway = await load(Gateway)
    dsn = SecretStr(app_dsn)
    database = Database(dsn=dsn, dashboard_dsn=dsn)
    settings = settings_of(gateway, database, await load(ObjectStorage), Reading(), prefect_login())
    async with open_services(settings, tmp_path / "spool") as services:
        app = create_app(spool_dir=tmp_path / "spool")
        app.state.services = services
        pool = services.pool
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as http:
            yield Door(http, transport, pool, gateway)


async def add_document(db: Connection, pages: int = 1, content: str | None = None) -> UUID:
    digest = hashlib.sha256((content or uuid4().hex).encode()).hexdigest()
    document_id, _ = await insert_document(
        db,
        NewDocument(
            file_hash=digest,
            file_name="scan.pdf",
            media_type="application/pdf",
            size_bytes=10,
            s3_raw_path="raw/scan.pdf",
            s3_processed_path=f"processed/{digest}/original",
            matter=None,
            lane=Lane.BULK,
            pages=[None] * pages,
        ),
    )
    await db.commit()
    return document_id


def read(document: UUID, page: int, text: str = "what the page says") -> PageResult:
    word = Word(
        text="what", quad=((0.1, 0.1), (0.2, 0.1), (0.2, 0.2), (0.1, 0.2)), confidence=0.9, line=0
    )
    return PageResult(
        document_id=document,
        page=page,
        result=PageText(
            text=text, words=[word], width_pixels=10, height_pixels=10, engine="test", seconds=0.1
        ),
    )


def report(lease_id: UUID, *results: PageResult) -> dict[str, object]:
    request = CompleteRequest(lease_id=lease_id, results=list(results))
    return request.model_dump(mode="json")


async def text_of(door: Door, document: UUID, page: int = 1) -> str | None:
    async with door.pool.connection() as db:
        cursor = await db.execute(
            "select text from aseagi.pages where document_id = %s and number = %s",
            (document, page),
        )
        row = await cursor.fetchone()
    return row[0] if row else None


async def test_a_leased_page_is_stored_with_its_words_and_moves_its_job_to_analysis(
    door: Door, storage: ObjectStorage
) -> None:
    async with door.pool.connection() as db:
        document = await add_document(db)
    token = await door.session()
    lease = (await door.lease(token)).lease
    assert lease is not None
    assert [one.document_id for one in lease.documents] == [document]
    assert "X-Amz-Signature" in lease.documents[0].url

    answer = await door.post("/host/complete", token, report(lease.lease_id, read(document, 1)))

    assert answer.json() == {"accepted": 1, "refused": 0}
    async with door.pool.connection() as db:
        cursor = await db.execute(
            """
            select page.words_path, job.stage, document.ocr_text from aseagi.pages page
            join aseagi.processing_jobs job using (document_id)
            join aseagi.documents document on document.id = page.document_id
            """
        )
        row = await cursor.fetchone()
    assert row is not None
    words_path, stage, text = row
    assert (stage, text) == ("analyse", "what the page says")
    stored = storage.client().get_object(Bucket=BUCKET, Key=words_path)["Body"].read()
    assert json.loads(gzip.decompress(stored))["words"][0]["text"] == "what"


@pytest.mark.parametrize("path", ["lease", "heartbeat", "complete", "close"])
async def test_without_a_valid_token_nothing_is_answered(door: Door, path: str) -> None:
    for headers in ({}, _bearer("forged"), {"Authorization": "Basic YTpi"}):
        answer = await door.http.post(f"/host/{path}", json={}, headers=headers)
        assert answer.status_code == 401


async def test_the_token_of_a_replaced_attempt_is_refused(door: Door) -> None:
    async with door.pool.connection() as db:
        document = await add_document(db)
        run = uuid4()
        orders: list[HostOrder] = []
        for run_count in (0, 1):
            order = await host_environment(
                db,
                flow_run_id=run,
                run_count=run_count,
                session_id=None,
                gateway=door.gateway,
                terms=HostTerms("local", timedelta(hours=1), Decimal(0), Decimal(50), max_hosts=2),
            )
            assert isinstance(order, HostOrder)
            orders.append(order)
    stale, current = (order.environment["ASEAGI_HOST_TOKEN"] for order in orders)
    assert (await door.post("/host/lease", stale, {})).status_code == 401
    lease = (await door.lease(current)).lease
    assert lease is not None
    assert lease.documents[0].document_id == document


async def test_a_stale_lease_cannot_complete_a_page_taken_over(door: Door) -> None:
    async with door.pool.connection() as db:
        document = await add_document(db)
    first, second = await door.session(), await door.session()
    slow = (await door.lease(first)).lease
    assert slow is not None
    async with door.pool.connection() as db:
        await db.execute("update aseagi.leases set expires_at = now() - interval '1 second'")
        from sql.leases import release_leases

        assert await release_leases(db) == 1
    quick = (await door.lease(second)).lease
    assert quick is not None

    late = await door.post(
        "/host/complete", first, report(slow.lease_id, read(document, 1, "late"))
    )
    assert late.json() == {"accepted": 0, "refused": 1}
    foreign = await door.post(
        "/host/complete", first, report(quick.lease_id, read(document, 1, "foreign"))
    )
    assert foreign.json() == {"accepted": 0, "refused": 1}
    in_time = await door.post(
        "/host/complete", second, report(quick.lease_id, read(document, 1, "in time"))
    )
    assert in_time.json() == {"accepted": 1, "refused": 0}
    assert await text_of(door, document) == "in time"


async def test_reporting_twice_is_reporting_once(door: Door) -> None:
    async with door.pool.connection() as db:
        document = await add_document(db)
    token = await door.session()
    lease = (await door.lease(token)).lease
    assert lease is not None
    first = await door.post("/host/complete", token, report(lease.lease_id, read(document, 1, "a")))
    again = await door.post("/host/complete", token, report(lease.lease_id, read(document, 1, "b")))
    assert first.json() == again.json() == {"accepted": 1, "refused": 0}
    assert await text_of(door, document) == "a"


async def test_a_page_that_was_not_leased_is_refused(door: Door) -> None:
    async with door.pool.connection() as db:
        document = await add_document(db, pages=2)
    token = await door.session()
    lease = (await door.lease(token, limit=1)).lease
    assert lease is not None
    answer = await door.post(
        "/host/complete", token, report(lease.lease_id, read(document, 2), read(uuid4(), 1))
    )
    assert answer.json() == {"accepted": 0, "refused": 2}
    assert await text_of(door, document, 2) is None


async def test_a_failed_page_leaves_the_others_and_names_itself(door: Door) -> None:
    async with door.pool.connection() as db:
        document = await add_document(db, pages=2)
    token = await door.session()
    lease = (await door.lease(token)).lease
    assert lease is not None
    failure = Failure(stage=Stage.READ, reason="The page is torn.", retry_helps=False)
    request = CompleteRequest(
        lease_id=lease.lease_id,
        results=[read(document, 1)],
        failures=[PageFailure(document_id=document, page=2, failure=failure)],
    )
    answer = await door.post("/host/complete", token, request.model_dump(mode="json"))
    assert answer.json() == {"accepted": 2, "refused": 0}
    async with door.pool.connection() as db:
        cursor = await db.execute(
            """
            select job.stage, page.error->>'reason', page.error->'page' from aseagi.pages page
            join aseagi.processing_jobs job using (document_id) where page.state = 'failed'
            """
        )
        assert await cursor.fetchone() == ("analyse", "The page is torn.", 2)


async def test_a_body_that_is_wrong_is_a_4xx_and_writes_nothing(door: Door) -> None:
    async with door.pool.connection() as db:
        document = await add_document(db)
    token = await door.session()
    lease = (await door.lease(token)).lease
    assert lease is not None
    good = json.dumps(report(lease.lease_id, read(document, 1))).encode()
    bomb = gzip.compress(b" " * (MAX_RESULT_BYTES + 1))
    gzipped = {"Content-Encoding": "gzip"}
    for body, headers, status in (
        (b"{", {}, 422),
        (b"{}", {}, 422),
        (good.replace(b"0.1", b"7.5"), {}, 422),
        (good, gzipped, 400),
        (gzip.compress(good)[:-9], gzipped, 400),
        (bomb, gzipped, 413),
        (b"x" * (MAX_RESULT_BYTES + 1), {}, 413),
        (good, {"Content-Encoding": "br"}, 415),
        (good.replace(b'"protocol": 2', b'"protocol": 99'), {}, 426),
    ):
        answer = await door.http.post(
            "/host/complete", content=body, headers=_bearer(token) | headers
        )
        assert answer.status_code == status, (body[:40], answer.text)
    assert await text_of(door, document) is None


async def test_close_answers_more_work_while_pages_wait_and_gives_back_what_is_leased(
    door: Door,
) -> None:
    async with door.pool.connection() as db:
        await add_document(db, pages=3)
    token = await door.session()
    assert (await door.lease(token, limit=1)).lease is not None
    answer = await door.post("/host/close", token, {})
    assert answer.json()["closed"] is False
    lease = (await door.lease(token)).lease
    assert lease is not None
    assert lease.documents[0].pages == [1, 2, 3]


async def test_after_close_the_token_does_no_more_work(door: Door) -> None:
    async with door.pool.connection() as db:
        document = await add_document(db)
    token = await door.session()
    lease = (await door.lease(token)).lease
    assert lease is not None
    await door.post("/host/complete", token, report(lease.lease_id, read(document, 1)))
    assert (await door.post("/host/close", token, {})).json()["closed"] is True
    assert (await door.post("/host/lease", token, {})).status_code == 409


async def test_closing_again_after_the_answer_was_lost_is_answered_closed(door: Door) -> None:
    token = await door.begun_session()
    for _ in range(2):
        answer = await door.post("/host/close", token, {})
        assert (answer.status_code, answer.json()["closed"]) == (200, True)


@pytest.mark.parametrize(
    "change",
    [
        {"rotation_degrees": 45},
        {"width_pixels": 2**31},
        {"height_pixels": 2**31},
        {"seconds": 1e39},
        {"confidence": "NaN"},
        {"engine": "x" * 101},
        {"page": 2**31},
    ],
)
async def test_a_value_the_tables_cannot_hold_is_refused(
    door: Door, change: dict[str, object]
) -> None:
    async with door.pool.connection() as db:
        document = await add_document(db)
    token = await door.session()
    lease = (await door.lease(token)).lease
    assert lease is not None
    told = read(document, 1).model_dump(mode="json")
    (told if "page" in change else told["result"]).update(change)
    body = report(lease.lease_id) | {"results": [told]}
    answer = await door.post("/host/complete", token, body)
    assert answer.status_code == 422, answer.text
    assert await text_of(door, document) is None


async def test_nul_in_any_text_is_left_out(door: Door) -> None:
    async with door.pool.connection() as db:
        document = await add_document(db, pages=2)
    token = await door.session()
    answer = await door.post("/host/lease", token, {"engine": "a\0b"})
    lease = LeaseResponse.model_validate_json(answer.content).lease
    assert lease is not None
    failure = {"stage": "read", "reason": "to\0rn", "retry_helps": False}
    result = read(document, 1, "be\0fore").model_dump(mode="json")
    result["result"]["engine"] = "en\0gine"
    body = report(lease.lease_id) | {
        "results": [result],
        "failures": [{"document_id": str(document), "page": 2, "failure": failure}],
    }
    answer = await door.post("/host/complete", token, body)
    assert answer.json() == {"accepted": 2, "refused": 0}
    assert (await door.post("/host/close", token, {"reason": "d\0one"})).json()["closed"] is True
    async with door.pool.connection() as db:
        cursor = await db.execute(
            """
            select string_agg(coalesce(page.text, page.error->>'reason'), ' ' order by number),
                max(page.engine), max(session.engine), max(session.close_reason)
            from aseagi.pages page, aseagi.ocr_sessions session
            """
        )
        assert await cursor.fetchone() == ("before torn", "engine", "ab", "done")


async def test_a_body_is_refused_before_it_is_read(door: Door) -> None:
    token = await door.begun_session()
    sent = 0

    async def endless() -> AsyncGenerator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield b" " * 16_384

    declared = {"Content-Length": str(10 * 1024**3)}
    for path in ("/host/lease", "/host/complete", "/events/s3", "/prefect/api/logs/"):
        answer = await door.http.post(path, content=b"x", headers=_bearer(token) | declared)
        assert answer.status_code == 413, path
    answer = await door.http.post("/host/lease", content=endless(), headers=_bearer(token))
    assert answer.status_code == 413
    assert sent == 5, "one piece more than fits"
    sent = 0
    answer = await door.http.post("/host/complete", content=endless(), headers=_bearer("forged"))
    assert (answer.status_code, sent) == (401, 0)


async def test_a_refusal_does_not_repeat_what_the_request_said(door: Door) -> None:
    token = await door.begun_session()
    for body in (b'{"limit": NaN}', b'{"limit": "private words"}', b'{"\\ud800": 1}', b"\xff"):
        answer = await door.http.post(
            "/host/lease", content=body, headers={**_bearer(token), "Content-Type": JSON}
        )
        assert answer.status_code in {400, 422}, body
        assert "private words" not in answer.text


async def test_a_pause_ends_leasing_and_closes_though_pages_wait(door: Door) -> None:
    async with door.pool.connection() as db:
        await add_document(db)
    token = await door.session()
    async with door.pool.connection() as db:
        await db.execute("update aseagi.controls set paused_at = now(), paused_reason = 'test'")
    answer = await door.lease(token)
    assert answer.lease is None
    assert answer.closing
    assert (await door.post("/host/close", token, {})).json()["closed"] is True


async def test_near_its_deadline_a_session_gets_no_more_pages(door: Door) -> None:
    async with door.pool.connection() as db:
        await add_document(db)
    token = await door.session()
    async with door.pool.connection() as db:
        await db.execute("update aseagi.ocr_sessions set deadline_at = now() + interval '60 s'")
    assert (await door.lease(token)).closing


async def test_a_heartbeat_renews_own_leases_and_leaves_out_lost_and_foreign_ones(
    door: Door,
) -> None:
    async with door.pool.connection() as db:
        await add_document(db)
        await add_document(db)
    mine, other = await door.session(), await door.session()
    my_lease, other_lease = (await door.lease(mine, 1)).lease, (await door.lease(other, 1)).lease
    assert my_lease is not None
    assert other_lease is not None
    answer = await door.post(
        "/host/heartbeat",
        mine,
        {"lease_ids": [str(my_lease.lease_id), str(other_lease.lease_id), str(uuid4())]},
    )
    (renewed,) = answer.json()["leases"]
    assert renewed["lease_id"] == str(my_lease.lease_id)


async def test_a_storage_event_needs_its_token_and_a_key_of_the_inbox(door: Door) -> None:
    entry = {
        "attributes": {"file_size": 5},
        "extended": {"Seaweed-X-Amz-ETag": base64.b64encode(b"0123abcd").decode()},
    }
    event = {
        "event_type": "create",
        "key": f"/buckets/{BUCKET}/raw/a b/é+1.pdf",
        "message": {"new_entry": entry},
    }
    refused = await door.http.post("/events/s3", json=event, headers=_bearer("wrong"))
    assert refused.status_code == 401
    folder = {"message": {"new_entry": {"is_directory": True}}}
    for change, noticed in (
        ({"key": f"/buckets/{BUCKET}/processed/x"}, 0),
        ({"key": "/buckets/other/raw/x"}, 0),
        ({"key": "../raw/x"}, 0),
        ({"event_type": "delete"}, 0),
        (folder, 0),
        ({}, 1),
        ({}, 0),
    ):
        token = door.gateway.s3_events_token.get_secret_value()
        answer = await door.http.post("/events/s3", json=event | change, headers=_bearer(token))
        assert answer.json() == {"noticed": noticed}, change
    async with door.pool.connection() as db:
        cursor = await db.execute("select key, etag, size_bytes, state from aseagi.arrivals")
        assert await cursor.fetchall() == [("raw/a b/é+1.pdf", "0123abcd", 5, "noticed")]
