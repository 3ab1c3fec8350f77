"""Hostile use of the running gateway: refused with a reason, and nothing is written.

Every test compares a picture of all that may be written (rows of every table, what the
pages say, what lies in the bucket) before and after.
"""

import asyncio
import gzip
import json
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx
import pytest

from schema.host import MAX_RESULT_BYTES
from sql.sessions import close_overdue_sessions, close_session
from tests.gateway.conftest import (
    STORE_TOKEN,
    Door,
    Host,
    Site,
    bearer,
    read,
    report,
)
from tests.gateway.test_notifications import aws, eventbridge, minio, seaweedfs

JSON = {"Content-Type": "application/json"}
GZIP = JSON | {"Content-Encoding": "gzip"}


@asynccontextmanager
async def nothing_written(site: Site) -> AsyncGenerator[None]:
    before = await site.picture()
    yield
    assert await site.picture() == before


def assert_refused(answer: httpx.Response, *statuses: int) -> None:
    """It is a refusal with a reason."""
    assert answer.status_code in statuses, (answer.request.url, answer.status_code, answer.text)
    assert answer.json()["detail"]


# --- Tokens


async def everywhere(door: Door, host: Host, token: str) -> list[httpx.Response]:
    """What that token gets, wherever a host may go."""
    run = f"/prefect/api/flow_runs/{host.run}"
    state = {"state": {"type": "COMPLETED"}}
    return [
        await door.post("/host/lease", token, {}),
        await door.post("/host/heartbeat", token, {}),
        await door.complete(token, uuid4(), read(host.documents[0], 1)),
        await door.post("/host/close", token, {}),
        await door.http.get(run, headers=bearer(token)),
        await door.post(f"{run}/set_state", token, state),
        await door.post("/prefect/api/logs/", token, []),
        await door.post("/prefect/api/anything", token, {}),
    ]


async def test_a_token_that_is_forged_or_for_something_else_opens_nothing(door: Door) -> None:
    host = await door.host()
    await door.lease(host)
    async with nothing_written(door.site):
        for token in (
            "forged",
            host.token[:-1],
            f"{host.token}a",
            host.token.swapcase(),
            STORE_TOKEN,
            "null",
            "%00",
            "a" * 5000,
        ):
            for answer in await everywhere(door, host, token):
                assert_refused(answer, 401, 429)
        answer = await door.tell(aws(), token=host.token)
        assert_refused(answer, 401, 429)


@pytest.mark.parametrize(
    "end",
    [
        "update aseagi.session_attempts set expires_at = now() - interval '1 second'",
        "update aseagi.session_attempts set revoked_at = now()",
        "update aseagi.session_attempts set token_hash = sha256(id::text::bytea)",
        "update aseagi.ocr_sessions set state = 'closed', close_reason = 'over',"
        " closed_at = now() - interval '61 seconds' where state = 'running'",
    ],
    ids=["expired", "revoked", "replaced", "closed a minute ago"],
)
async def test_a_token_whose_time_is_over_opens_nothing(door: Door, end: str) -> None:
    host = await door.host()
    await door.lease(host)
    await door.site.change(end)
    async with nothing_written(door.site):
        for answer in await everywhere(door, host, host.token):
            assert_refused(answer, 401)


async def by_its_host(door: Door, host: Host) -> None:
    await door.site.change("update aseagi.pages set state = 'failed', settled_at = now(), "
                           "lease_id = null, error = '{}' where state <> 'failed'")  # fmt: skip
    answer = await door.post("/host/close", host.token, {})
    assert answer.json()["closed"], answer.text


async def by_whoever_sees_its_run_end(door: Door, host: Host) -> None:
    """The worker's observer, the fleet and a person at the console all do this."""
    async with door.site.database.connect() as db:
        await close_session(db, host.begun.session_id, reason="its run ended")


async def by_the_reaper(door: Door, host: Host) -> None:
    await door.site.change(
        "update aseagi.ocr_sessions set last_seen_at = now() - interval '1 hour'"
    )
    async with door.site.database.connect() as db:
        assert host.begun.session_id in await close_overdue_sessions(db)


async def by_its_deadline(door: Door, host: Host) -> None:
    await door.site.change(
        "update aseagi.ocr_sessions set deadline_at = now() where state <> 'closed'"
    )
    async with door.site.database.connect() as db:
        assert host.begun.session_id in await close_overdue_sessions(db)


@pytest.mark.parametrize(
    "closed", [by_its_host, by_whoever_sees_its_run_end, by_the_reaper, by_its_deadline]
)
async def test_once_a_session_is_closed_its_token_reads_and_stores_no_page(
    door: Door, closed: Any
) -> None:
    host = await door.host()
    lease = await door.lease(host)
    await closed(door, host)
    async with nothing_written(door.site):
        assert_refused(await door.post("/host/lease", host.token, {}), 409)
        assert_refused(await door.post("/host/heartbeat", host.token, {"lease_ids": []}), 409)
        assert_refused(await door.complete(host.token, lease, read(host.documents[0], 1)), 409)
        assert (await door.post("/host/close", host.token, {})).json()["closed"] is True


async def test_a_stale_attempt_is_shut_out_and_its_lease_with_it(door: Door) -> None:
    run = uuid4()
    stale = await door.host(run=run)
    lease = await door.lease(stale)
    current = await door.host(run=run, run_count=1)
    async with nothing_written(door.site):
        for answer in await everywhere(door, stale, stale.token):
            assert_refused(answer, 401)
        # The newer attempt cannot use the lease of the older either.
        late = await door.complete(current.token, lease, read(stale.documents[0], 1))
        assert late.json() == {"accepted": 0, "refused": 1}


# --- What is another's


async def test_what_is_another_hosts_can_be_neither_renewed_nor_settled_nor_reported(
    door: Door,
) -> None:
    mine = await door.host()
    await door.lease(mine)
    other = await door.host()
    theirs = await door.lease(other)
    async with nothing_written(door.site):
        beat = await door.post("/host/heartbeat", mine.token, {"lease_ids": [str(theirs)]})
        assert beat.json() == {"leases": []}
        taken = await door.complete(mine.token, theirs, read(other.documents[0], 1))
        assert taken.json() == {"accepted": 0, "refused": 1}
        run = f"/prefect/api/flow_runs/{other.run}"
        assert_refused(await door.http.get(run, headers=mine.headers), 403)
        state = {"state": {"type": "FAILED"}}
        assert_refused(await door.post(f"{run}/set_state", mine.token, state), 403)


async def test_a_signed_link_opens_its_one_object_and_nothing_beside_it(door: Door) -> None:
    host = await door.host()
    answer = (await door.post("/host/lease", host.token, {})).json()
    (document,) = answer["lease"]["documents"]
    link = httpx.URL(document["url"])
    assert dict(link.params)["X-Amz-Expires"] == "600"
    other = await door.site.add_document()
    ((key,),) = await door.site.rows(
        "select s3_processed_path from aseagi.documents where id = %s", other
    )
    async with (
        nothing_written(door.site),
        httpx.AsyncClient(trust_env=False, timeout=60) as stranger,
    ):
        assert (await stranger.get(link)).status_code == 200
        bucket = link.path.split("/")[1]
        for path in (f"/{bucket}/{key}", f"/{bucket}/", f"/{bucket}/raw/x.pdf", "/"):
            assert (await stranger.get(link.copy_with(path=path))).status_code == 403
        for method in ("PUT", "DELETE", "POST"):
            assert (await stranger.request(method, link)).status_code in {403, 405}


async def test_a_page_is_settled_once_by_whoever_holds_it_and_never_too_late(door: Door) -> None:
    host = await door.host(pages=2)
    document = host.documents[0]
    lease = await door.lease(host, limit=1)
    first = await door.complete(host.token, lease, read(document, 1, "first"))
    assert first.json() == {"accepted": 1, "refused": 0}
    async with nothing_written(door.site):
        again = await door.complete(host.token, lease, read(document, 1, "second"))
        assert again.json() == {"accepted": 1, "refused": 0}, "done before, and not done again"
        both = await door.complete(host.token, uuid4(), read(document, 2), read(uuid4(), 1))
        assert both.json() == {"accepted": 0, "refused": 2}
    late = await door.lease(host)
    await door.site.change("update aseagi.leases set state = 'expired', closed_at = now()"
                           " where state = 'open'")  # fmt: skip
    async with nothing_written(door.site):
        answer = await door.complete(host.token, late, read(document, 2, "late"))
        assert answer.json() == {"accepted": 0, "refused": 1}


async def test_one_report_cannot_tell_a_page_twice(door: Door) -> None:
    host = await door.host()
    lease = await door.lease(host)
    document = host.documents[0]
    answer = await door.complete(
        host.token, lease, read(document, 1, "one"), read(document, 1, "two")
    )
    assert answer.status_code == 200
    assert await door.site.rows("select text from aseagi.pages") == [("one",)]


# --- Bodies


def changed(value: Any, path: str, new: Any) -> Any:
    """The same JSON with one value replaced."""
    first, _, rest = path.partition(".")
    copy: Any = value.copy()
    key = int(first) if first.isdigit() else first
    copy[key] = changed(copy[key], rest, new) if rest else new
    return copy


WORD = "results.0.result.words.0"
WRONG: list[tuple[str, Any]] = [
    ("results.0.result.width_pixels", 0),
    ("results.0.result.width_pixels", -5),
    ("results.0.result.height_pixels", 100_001),
    ("results.0.result.height_pixels", 1.5),
    ("results.0.result.rotation_degrees", 45),
    ("results.0.result.seconds", float("inf")),
    ("results.0.result.seconds", -1),
    ("results.0.result.text", "x" * 1_000_001),
    ("results.0.result.text", "\ud800"),
    ("results.0.result.engine", "x" * 101),
    (f"{WORD}.confidence", 1.01),
    (f"{WORD}.confidence", float("nan")),
    (f"{WORD}.text", ""),
    (f"{WORD}.text", "x" * 1001),
    (f"{WORD}.text", "\udfff"),
    (f"{WORD}.line", -1),
    (f"{WORD}.quad", [[0.1, 0.1], [0.2, 0.1], [0.2, 0.2]]),
    (f"{WORD}.quad.0", [1.2, 0.1]),
    (f"{WORD}.quad.2", [0.1, -0.2]),
    (f"{WORD}.quad.1", [float("nan"), 0.1]),
    (f"{WORD}.quad.1", [float("inf"), 0.1]),
    ("results.0.page", 0),
    ("results.0.page", 2**63),
    ("results.0.document_id", "../../etc/passwd"),
    ("results.0.result.path", "processed/x"),
    ("results.0.s3_processed_path", "raw/x"),
    ("lease_id", "1 or 1=1"),
    ("session_id", str(uuid4())),
    ("results", {}),
]


@pytest.mark.parametrize(
    ("path", "value"), WRONG, ids=[str(number) for number in range(len(WRONG))]
)
async def test_a_result_that_is_no_page_is_refused(door: Door, path: str, value: Any) -> None:
    host = await door.host()
    lease = await door.lease(host)
    wrong = changed(report(lease, read(host.documents[0], 1)), path, value)
    async with nothing_written(door.site):
        answer = await door.http.post(
            "/host/complete", content=json.dumps(wrong).encode(), headers=host.headers | JSON
        )
        assert_refused(answer, 422)


async def test_too_many_pages_or_words_are_refused(door: Door) -> None:
    host = await door.host()
    lease = await door.lease(host)
    good = report(lease, read(host.documents[0], 1))
    (result,) = good["results"]
    words = result["result"]["words"] * 20_001
    async with nothing_written(door.site):
        for wrong in (
            good | {"results": [result] * 65},
            changed(good, "results.0.result.words", words),
        ):
            assert_refused(await door.post("/host/complete", host.token, wrong), 422)


async def test_a_body_that_is_too_large_or_no_body_of_ours_is_refused(door: Door) -> None:
    host = await door.host()
    lease = await door.lease(host)
    good = json.dumps(report(lease, read(host.documents[0], 1))).encode()
    bomb = gzip.compress(b" " * (MAX_RESULT_BYTES + 1))
    nested = b"[" * 100_000
    async with nothing_written(door.site):
        for body, headers, status in (
            (bomb, GZIP, 413),
            (gzip.compress(bomb), GZIP, 422),
            (good, GZIP, 400),
            (gzip.compress(good)[:-5], GZIP, 400),
            (good, JSON | {"Content-Encoding": "gzip, gzip"}, 415),
            (nested, JSON, 422),
            (b"\xff\xfe", JSON, 422),
            (b'{"lease_id": 1e999999}', JSON, 422),
            (good.replace(b'"protocol": 2', b'"protocol": 1'), JSON, 426),
        ):
            answer = await door.http.post(
                "/host/complete", content=body, headers=host.headers | headers
            )
            assert_refused(answer, status)


def head(path: str, token: str, *lines: str) -> bytes:
    shared = (f"POST {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {token}")
    return "\r\n".join([*shared, *lines, "Connection: close", "", ""]).encode()


NONSENSE = b"no chunk\r\n"


async def test_lengths_that_lie_are_refused(door: Door) -> None:
    host = await door.host()
    await door.lease(host)
    chunked = "Transfer-Encoding: chunked"
    piece = b"8000\r\n" + b" " * 0x8000 + b"\r\n"
    async with nothing_written(door.site):
        for pieces, status in (
            ([head("/host/lease", host.token, f"Content-Length: {10 * 1024**3}")], 413),
            ([head("/host/complete", host.token, f"Content-Length: {10 * 1024**3}")], 413),
            ([head("/host/lease", host.token, f"Content-Length: {10**30}")], 400),
            ([head("/host/lease", host.token, "Content-Length: -1")], 400),
            ([head("/host/lease", host.token, "Content-Length: ten")], 400),
            ([head("/host/lease", host.token, "Content-Length: 2", "Content-Length: 3")], 400),
            ([head("/host/lease", host.token, "Content-Length: 2", chunked), b"0\r\n\r\n"], 400),
            ([head("/host/lease", host.token, chunked), *[piece] * 4], 413),
            ([head("/host/lease", host.token, chunked), NONSENSE], 400),
            ([head("/host/lease", host.token, "Transfer-Encoding: gzip, chunked")], 400),
            ([head("/host/lease", host.token, f"X: {'y' * 1_000_000}")], 400),
            ([b"GET /health HTTP/1.1\r\n\r\n"], 400),
            ([b"GET /raw\x00/x HTTP/1.1\r\nHost: x\r\n\r\n"], 400),
        ):
            answer = await door.raw(*pieces)
            assert answer.startswith(f"HTTP/1.1 {status} ".encode()), (pieces, answer)
            assert b'"detail"' in answer or b"Host: header" in answer, answer


async def test_a_length_shorter_than_the_body_does_not_begin_a_second_request(door: Door) -> None:
    host = await door.host()
    hidden = head("/host/close", host.token, "Content-Length: 2") + b"{}"
    async with nothing_written(door.site):
        outer = head("/host/lease", "forged", f"Content-Length: {len(hidden)}")
        answer = await door.raw(outer + hidden)
    assert answer.count(b"HTTP/1.1") == 1
    assert answer.startswith(b"HTTP/1.1 401 ")


# --- Paths


async def test_paths_that_climb_or_are_odd_reach_nothing(door: Door) -> None:
    host = await door.host()
    async with nothing_written(door.site):
        for path in (
            "/host/../events/s3",
            "/host/%2e%2e/events/s3",
            "/prefect/api/../../host/lease/../close/x",
            "/prefect/api/flow_runs/..%2f..%2fadmin",
            "/prefect/api/work_pools/hosts%00",
            "/prefect/api/work_pools/%F0%9F%92%A9",
            "/prefect/api/work_pools/%ff%fe",
            "/prefect/api/work_pools/..%5c..",
            f"/prefect/api/flow_runs/{host.run}%20",
            "/prefect/api//flow_runs/",
            "/prefect/api/\u202e",
            "//evil.example/health",
        ):
            raw = path.encode("utf-8").decode("latin-1")
            line = f"GET {raw} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {host.token}\r\n"
            answer = await door.raw(line.encode("latin-1") + b"Connection: close\r\n\r\n")
            status = int(answer.split()[1])
            assert status in {400, 403, 404, 405, 422}, (path, answer)


async def test_keys_that_climb_are_no_arrivals(door: Door) -> None:
    async with nothing_written(door.site):
        for told_by in (seaweedfs, aws, minio, eventbridge):
            for key in ("../raw/x", "/raw/x", "processed/raw/x", "RAW/x", "raw", "raw/", "ｒaw/x"):
                answer = await door.tell(told_by(key))
                assert answer.json() == {"noticed": 0}, (told_by, key)


# --- Addresses


@asynccontextmanager
async def listening() -> AsyncGenerator[tuple[str, list[bytes]]]:
    """A server where nobody should ever call: its address, and what came."""
    came: list[bytes] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(await reader.read(1000))
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", came


async def test_no_address_that_a_caller_names_is_ever_called(door: Door) -> None:
    host = await door.host()
    lease = await door.lease(host)
    run = await door.site.prefect_run()
    scoped = await door.host(run=run)
    async with listening() as (address, came):
        url = f"http://{address}/x"
        subscription = {"Type": "SubscriptionConfirmation", "SubscribeURL": url, "Token": "t"}
        failure = {"stage": "read", "reason": url, "retry_helps": False}
        failed = {"document_id": str(host.documents[0]), "page": 1, "failure": failure}
        answers = [
            await door.tell(subscription),
            await door.tell(aws(f"raw/{url}")),
            await door.tell(eventbridge(bucket=address)),
            await door.post("/host/lease", host.token, {"engine": url}),
            await door.post("/host/complete", host.token, report(lease) | {"failures": [failed]}),
            await door.post(
                "/prefect/api/artifacts/",
                scoped.token,
                {"type": "markdown", "data": f"![x]({url})", "flow_run_id": str(run)},
            ),
            await door.http.get(
                "/prefect/api/health",
                headers=scoped.headers
                | {"Host": address, "X-Forwarded-Host": address, "X-Forwarded-Proto": "https"},
            ),
        ]
        absolute = f"GET {url} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
        tunnel = f"CONNECT {address} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
        raw = [await door.raw(absolute.encode()), await door.raw(tunnel.encode())]
        assert all(one.status_code < 500 for one in answers), [one.text for one in answers]
        assert [int(one.split()[1]) // 100 for one in raw] == [4, 4]
        assert came == []


# --- The scoped door to Prefect


FORBIDDEN: list[tuple[str, str, Any]] = [
    ("POST", "/deployments/", {"name": "mine", "flow_id": str(uuid4())}),
    ("POST", "/deployments/{deployment}/create_flow_run", {}),
    ("PATCH", "/deployments/{deployment}", {"paused": True}),
    ("DELETE", "/deployments/{deployment}", None),
    ("DELETE", "/flow_runs/{run}", None),
    ("POST", "/flow_runs/", {}),
    ("GET", "/block_documents/", None),
    ("POST", "/block_documents/filter", {"include_secrets": True}),
    ("GET", "/block_types/slug/aseagi-database/block_documents/name/aseagi", None),
    ("GET", "/variables/name/x", None),
    ("POST", "/events", [{"event": "aseagi.object.created"}]),
    ("POST", "/automations/", {}),
    ("POST", "/task_runs/", {}),
    ("GET", "/admin/settings", None),
    ("POST", "/admin/database/clear", {"confirm": True}),
]


@pytest.fixture
async def scoped(door: Door) -> Host:
    """A host whose run Prefect knows."""
    return await door.host(run=await door.site.prefect_run())


async def test_the_door_to_prefect_opens_for_nothing_but_the_own_run(
    door: Door, scoped: Host
) -> None:
    foreign = await door.site.prefect_run()
    names = {"{run}": str(scoped.run), "{deployment}": str(door.site.deployment)}
    async with nothing_written(door.site):
        for method, path, body in FORBIDDEN:
            for name, value in names.items():
                path = path.replace(name, value)  # noqa: PLW2901 - the path, filled in
            answer = await door.http.request(
                method, f"/prefect/api{path}", json=body, headers=scoped.headers
            )
            assert_refused(answer, 403)
        for run, kind, status in (
            (foreign, "RUNNING", 403),
            (scoped.run, "SCHEDULED", 422),
            (scoped.run, "PENDING", 422),
            (scoped.run, "PAUSED", 422),
            (scoped.run, "CANCELLING", 422),
            (scoped.run, "running", 422),
        ):
            path = f"/prefect/api/flow_runs/{run}/set_state"
            answer = await door.post(path, scoped.token, {"state": {"type": kind}})
            assert_refused(answer, status)


@pytest.mark.parametrize(
    "data",
    ["\ud800", float("nan"), {"\udfff": 1}, [float("inf")]],
    ids=["half a character", "not a number", "half a name", "infinite"],
)
async def test_what_no_store_can_hold_is_refused_before_prefect_sees_it(
    door: Door, scoped: Host, data: Any
) -> None:
    artifact = {"type": "table", "flow_run_id": str(scoped.run), "data": data}
    body = json.dumps(artifact).encode()
    answer = await door.http.post(
        "/prefect/api/artifacts/", content=body, headers=scoped.headers | JSON
    )
    assert_refused(answer, 422)


async def test_nul_is_left_out_of_what_prefect_is_told(door: Door, scoped: Host) -> None:
    artifact = {"type": "table", "flow_run_id": str(scoped.run), "data": {"a\0": ["b\0c"]}}
    answer = await door.post("/prefect/api/artifacts/", scoped.token, artifact)
    assert answer.status_code == 201, answer.text
    assert answer.json()["data"] == {"a": ["bc"]}


async def test_noise_is_answered_and_never_a_failure(door: Door) -> None:
    """Requests made of pieces of good ones, in an order drawn by chance, the same each time."""
    host = await door.host()
    chance = random.Random(7)  # noqa: S311 - the same noise every time
    pieces = [b"POST ", b"/host/lease", b" HTTP/1.1", b"\r\n", b"\r\n\r\n", b"Host: x",
              b"Content-Length: 5", b"Transfer-Encoding: chunked", b"{}", b"\0", b"\xff",
              f"Authorization: Bearer {host.token}".encode(), b"Upgrade: websocket"]  # fmt: skip
    async with nothing_written(door.site):
        noise = [b"".join(chance.choices(pieces, k=9)) + b"\r\n\r\n" for _ in range(60)]
        for sent in noise:
            reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
            writer.write(sent)
            writer.write_eof()
            answer = await reader.read()
            writer.close()
            assert not answer.startswith(b"HTTP/1.1 5"), (sent, answer)
