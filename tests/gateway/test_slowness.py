"""Who dawdles is cut off, and a long upload over a slow line is not."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace

import httpx
import pytest
from fastapi import FastAPI, Request

from gateway import app as application
from gateway import connections
from gateway.bodies import BoundedBodies, Bounds
from tests.gateway.conftest import Door, until_closed

SHORT_SECONDS = 0.2


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make seconds of patience a fraction."""
    monkeypatch.setattr(connections, "HEADER_SECONDS", SHORT_SECONDS)
    monkeypatch.setattr(connections, "LINGER_SECONDS", SHORT_SECONDS)
    brief = {
        path: replace(bounds, seconds=SHORT_SECONDS) for path, bounds in application.BODIES.items()
    }
    monkeypatch.setattr(application, "BODIES", {**brief, "/": Bounds(seconds=SHORT_SECONDS)})


def head(path: str, token: str, *more: str) -> bytes:
    lines = (f"POST {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {token}", *more, "", "")
    return "\r\n".join(lines).encode()


async def test_headers_that_trickle_are_given_up(hasty: None, door: Door) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: ")

    async def trickle() -> None:
        while True:
            writer.write(b"a")
            await asyncio.sleep(SHORT_SECONDS / 10)

    trickling = asyncio.create_task(trickle())
    try:
        answer = await asyncio.wait_for(until_closed(reader), 120)
    finally:
        trickling.cancel()
        writer.close()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"The headers took more than" in answer
    assert b"nosniff" in answer


async def test_a_connection_that_says_nothing_is_closed(hasty: None, door: Door) -> None:
    assert await door.raw() == b""


async def test_the_second_request_of_a_connection_may_not_trickle_either(
    hasty: None, door: Door
) -> None:
    answers = await door.raw(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\nGET /health HTT")
    assert answers.count(b"HTTP/1.1 200 ") == 1
    assert answers.count(b"HTTP/1.1 408 ") == 1


async def test_a_body_that_trickles_is_given_up_and_nothing_is_written(
    hasty: None, door: Door
) -> None:
    host = await door.host()
    before = await door.site.picture()
    for path in ("/host/lease", "/host/complete", "/prefect/api/logs/"):
        answer = await door.raw(head(path, host.token, "Content-Length: 100"), b"{")
        assert answer.startswith(b"HTTP/1.1 408 "), answer
        assert b"The body took more than" in answer
    assert await door.site.picture() == before


async def test_a_connection_whose_refused_body_came_after_all_serves_the_next_request(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "LINGER_SECONDS", SHORT_SECONDS)
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    writer.write(head("/host/complete", "forged", "Content-Length: 3"))
    refusal = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 120)
    assert refusal.startswith(b"HTTP/1.1 401 ")
    writer.write(b"{ }")
    await asyncio.sleep(SHORT_SECONDS * 2)  # longer than the gateway lingers
    writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert b"HTTP/1.1 200 " in await asyncio.wait_for(reader.read(), 120)
    writer.close()


async def test_a_strangers_body_is_not_waited_for(door: Door) -> None:
    declared = head("/host/complete", "forged", "Content-Length: 100", "Connection: close")
    assert (await door.raw(declared)).startswith(b"HTTP/1.1 401 ")


async def test_who_goes_on_sending_after_a_refusal_is_cut_off(hasty: None, door: Door) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    writer.write(head("/host/complete", "forged", "Content-Length: 10000000"))

    async def send_on() -> None:
        while not writer.is_closing():
            writer.write(b"x" * 100)
            await writer.drain()
            await asyncio.sleep(SHORT_SECONDS / 10)

    sending = asyncio.create_task(send_on())
    try:
        answer = await asyncio.wait_for(reader.read(), 120)
        assert answer.startswith(b"HTTP/1.1 401 ")
    except ConnectionError:
        pass  # cut off in the middle of a piece
    finally:
        sending.cancel()
        writer.close()


def test_a_long_upload_may_take_hours_but_neither_be_silent_nor_trickle() -> None:
    bounds = Bounds.long(2 * 1024**3)
    two_hours, gigabyte = 7200.0, 1024**3
    assert bounds.seconds_left(0, 0.0) == 30.0
    assert bounds.seconds_left(gigabyte, two_hours) == 30.0, "150 KB a second"
    assert bounds.seconds_left(100 * 1024, 61.0) < 30.0, "behind, and little patience left"
    assert bounds.seconds_left(8 * 1024 * 60, 121.0) < 0, "under 8 KiB a second for a minute"
    assert bounds.seconds_left(0, 60.0) <= 0


@pytest.fixture
async def uploads() -> AsyncGenerator[httpx.AsyncClient]:
    """A path for long uploads, where a minute is three seconds."""
    app = FastAPI()
    bounds = Bounds(1000, seconds=3, silence_seconds=4, bytes_per_second=10.0)
    app.add_middleware(BoundedBodies, bounds={"/uploads": bounds})

    @app.post("/uploads")
    async def store(request: Request) -> int:  # pyright: ignore[reportUnusedFunction]
        return len(await request.body())

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as http:
        yield http


async def sent(pieces: int, size: int, pause: float) -> AsyncGenerator[bytes]:
    for _ in range(pieces):
        yield b"x" * size
        await asyncio.sleep(pause)


async def test_an_upload_longer_than_any_fixed_time_passes(uploads: httpx.AsyncClient) -> None:
    answer = await uploads.post("/uploads", content=sent(10, 20, 0.5))
    assert (answer.status_code, answer.json()) == (200, 200)


async def test_an_upload_that_falls_silent_is_given_up(uploads: httpx.AsyncClient) -> None:
    answer = await uploads.post("/uploads", content=sent(2, 100, 60.0))
    assert answer.status_code == 408
    assert "too slowly" in answer.json()["detail"]


async def test_an_upload_that_trickles_is_given_up(uploads: httpx.AsyncClient) -> None:
    answer = await uploads.post("/uploads", content=sent(100, 1, 0.5))
    assert answer.status_code == 408
