"""Every answer's headers, and what the access log says of it and never says."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator
from typing import Any
from uuid import uuid4

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.gateway.conftest import STORE_TOKEN, Door, Site, bearer, kept_lines, open_door, read

HARDENED = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


@pytest.fixture
async def https_door(at: Site) -> AsyncGenerator[Door]:
    async with open_door(at, address="https://aseagi.example") as opened:
        yield opened


def is_hardened(headers: Any) -> bool:
    policy = headers["content-security-policy"]
    return (
        all(headers[name] == value for name, value in HARDENED.items())
        and "default-src 'none'" in policy
        and "frame-ancestors 'none'" in policy
        and "server" not in headers
    )


async def test_every_answer_is_hardened_whatever_its_status(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = await door.host()

    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a word of a document")

    monkeypatch.setattr("gateway.host.close_if_idle", fail)
    for answer, status in (
        (await door.http.get("/health"), 200),
        (await door.http.get("/nowhere"), 404),
        (await door.http.delete("/health"), 405),
        (await door.http.post("/host/lease", json={}), 401),
        (await door.http.post("/host/lease", content=b" " * 70_000, headers=host.headers), 413),
        (await door.post("/host/lease", host.token, {"limit": "many"}), 422),
        (await door.http.get("/prefect/api/admin/settings", headers=host.headers), 403),
        (await door.post("/host/close", host.token, {}), 500),
    ):
        assert answer.status_code == status, answer.text
        assert is_hardened(answer.headers), answer.headers
        assert "strict-transport-security" not in answer.headers
        assert "a word of a document" not in answer.text
    nonsense = await door.raw(b"nonsense\r\n\r\n")
    assert nonsense.startswith(b"HTTP/1.1 400 ")
    assert b"nosniff" in nonsense
    assert b"This is not HTTP" in nonsense


async def test_a_refused_websocket_is_told_why_and_hardened(door: Door) -> None:
    host = await door.host()
    for path, token, status in (
        ("/prefect/api/events/in", "forged", 401),
        ("/prefect/api/events/out", "forged", 401),
        ("/prefect/api/events/out", host.token, 403),
        ("/nowhere", host.token, 403),
    ):
        url = f"{door.url.replace('http', 'ws', 1)}{path}"
        with pytest.raises(InvalidStatus) as refusal:
            async with connect(url, additional_headers=bearer(token)):
                pass
        answer = refusal.value.response
        assert answer.status_code == status, path
        assert is_hardened(answer.headers)
        assert json.loads(answer.body)["detail"]


async def test_https_is_kept_where_the_address_is_one(https_door: Door) -> None:
    answer = await https_door.http.get("/health")
    assert answer.headers["strict-transport-security"] == "max-age=31536000"


async def test_the_page_of_documentation_loads_nothing_from_elsewhere(door: Door) -> None:
    page = await door.http.get("/docs")
    assert page.status_code == 200
    assert is_hardened(page.headers)
    loaded = re.findall(r'(?:src|href|spec-url)="([^"]*)"', page.text)
    assert sorted(loaded) == ["/docs/redoc.js", "/openapi.json", "data:,"]
    script = await door.http.get("/docs/redoc.js")
    assert script.status_code == 200
    assert "javascript" in script.headers["content-type"]
    assert (await door.http.get("/openapi.json")).json()["paths"]["/uploads"]
    assert (await door.http.get("/redoc")).status_code == 404


async def test_the_log_has_a_line_for_each_request_and_no_secret_in_it(door: Door) -> None:
    host = await door.host()
    with kept_lines() as lines:
        lease = await door.lease(host)
        done = await door.complete(host.token, lease, read(host.documents[0], 1, "private words"))
        assert done.status_code == 200
        await door.http.get("/a private file.pdf?token=secret", headers=host.headers)
        await door.http.get(f"/prefect/api/flow_runs/{uuid4()}?x=secret", headers=host.headers)
        await door.http.post("/host/lease", json={}, headers=bearer("a-forged-token"))
        await door.tell({"Event": "s3:TestEvent", "Bucket": "raw/a private file.pdf"})
        await door.http.request("BREW", "/health")
    session = str(host.begun.session_id)[:8]
    assert [(one["route"], one["status"], one["caller"], one["name"]) for one in lines] == [
        ("/host/lease", 200, "host", session),
        ("/host/complete", 200, "host", session),
        ("-", 404, "-", ""),
        ("/prefect/api/flow_runs/{flow_run_id}", 403, "host", session),
        ("/host/lease", 401, "-", ""),
        ("/events/s3", 200, "storage", ""),
        ("/health", 405, "-", ""),
    ]
    assert lines[-1]["method"] == "-"
    assert all({"time", "method", "ms", "in", "out"} <= one.keys() for one in lines)
    assert lines[1]["in"] > 100
    written = json.dumps(lines)
    for secret in (host.token, STORE_TOKEN, "forged", "secret", "private", "Signature", "s3:"):
        assert secret not in written, secret


async def test_a_failure_is_logged_by_kind_and_place_without_its_words(
    door: Door, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = await door.host()

    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a word of a document")

    monkeypatch.setattr("gateway.host.mark_seen", fail)
    answer = await door.post("/host/lease", host.token, {})
    assert answer.status_code == 500
    assert "RuntimeError at fail:" in caplog.text
    assert "a word of a document" not in caplog.text + answer.text


async def test_who_calls_behind_the_own_proxy_is_believed_and_nobody_elses_word(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tests call from loopback, where the proxy is: each named address has a limit of its own."""
    from limits import RateLimitItemPerMinute

    from gateway import rates

    monkeypatch.setattr(rates, "FAILED_LOGINS", RateLimitItemPerMinute(2))

    async def statuses(address: str) -> list[int]:
        headers = bearer("forged") | {"X-Forwarded-For": address}
        return [
            (await door.http.post("/host/lease", json={}, headers=headers)).status_code
            for _ in range(3)
        ]

    assert await statuses("198.51.100.7") == [401, 401, 429]
    assert await statuses("198.51.100.8") == [401, 401, 429]
    assert await statuses("2001:db8:1:2::5") == [401, 401, 429]
    assert await statuses("2001:db8:1:2::6") == [429, 429, 429], "the same network"


async def test_a_body_that_ends_early_is_no_failure(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    host = await door.host()
    head = f"POST /host/complete HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {host.token}\r\n"
    with kept_lines() as lines:
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
        writer.write(f"{head}Content-Length: 100\r\n\r\nhalf".encode())
        await writer.drain()
        # It has been received once the next request of another connection is answered.
        await door.http.get("/health")
        writer.close()
        await reader.read()
        while not any(one["route"] == "/host/complete" for one in lines):
            await door.http.get("/health")
    assert [one["status"] for one in lines if one["route"] == "/host/complete"] == [499]
    assert "failed" not in caplog.text
