"""How often a caller may ask, and what happens when very many ask at once."""

import asyncio
from collections import Counter

import httpx
import pytest
from fastapi import FastAPI
from limits import RateLimitItemPerMinute
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from gateway import rates, turns
from gateway.turns import Room, Turns
from tests.gateway.conftest import Door, bearer, open_door


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three of everything."""
    three = RateLimitItemPerMinute(3)
    monkeypatch.setattr(rates, "FAILED_LOGINS", three)
    monkeypatch.setattr(rates, "REQUESTS", {"/host/": three, "/prefect/": three})


async def test_guessing_tokens_ends_with_a_429_that_says_when_to_come_again(
    strict: None, door: Door
) -> None:
    for guess in range(3):
        assert (await door.post("/host/lease", f"guess-{guess}", {})).status_code == 401
    for path in ("/host/lease", "/events/s3", "/prefect/api/logs/"):
        answer = await door.post(path, "guess-4", {})
        assert answer.status_code == 429, path
        assert 1 <= int(answer.headers["Retry-After"]) <= 60
        assert "Too many refused tokens" in answer.json()["detail"]
    assert (await door.http.get("/health")).status_code == 200


async def test_a_host_whose_token_is_good_is_not_held_up_by_who_guesses_beside_it(
    strict: None, door: Door
) -> None:
    host = await door.host()
    await door.lease(host)
    for guess in range(5):
        await door.post("/host/heartbeat", f"guess-{guess}", {})
    assert (await door.post("/host/heartbeat", host.token, {})).status_code == 200


async def test_a_token_that_was_good_once_is_forgotten_when_it_is_refused(
    strict: None, door: Door
) -> None:
    host = await door.host()
    await door.lease(host)
    await door.site.change("update aseagi.session_attempts set revoked_at = now()")
    for _ in range(2):
        assert (await door.post("/host/lease", host.token, {})).status_code == 401
    assert (await door.post("/host/lease", host.token, {})).status_code == 429


async def test_one_caller_may_ask_so_often_and_another_still_may(strict: None, door: Door) -> None:
    hasty, other = await door.host(), await door.host()
    asked = [(await door.post("/host/heartbeat", hasty.token, {})).status_code for _ in range(4)]
    assert asked == [200, 200, 200, 429]
    answer = await door.post("/host/heartbeat", hasty.token, {})
    assert "More than 3 requests a minute" in answer.json()["detail"]
    assert "Retry-After" in answer.headers
    assert (await door.post("/host/heartbeat", other.token, {})).status_code == 200


async def test_making_tokens_up_makes_nobody_many_callers(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rates, "UNPROVEN", RateLimitItemPerMinute(3))
    asked = [
        (await door.http.get("/upload/none", headers=bearer(f"made-up-{number}"))).status_code
        for number in range(4)
    ]
    assert asked == [404, 404, 404, 429]


async def test_messages_of_a_websocket_count_too(strict: None, door: Door) -> None:
    host = await door.host()
    url = f"{door.url.replace('http', 'ws', 1)}/prefect/api/events/in"
    async with connect(url, additional_headers=bearer(host.token)) as socket:
        for _ in range(4):
            await socket.send('{"type": "auth"}')
        await socket.wait_closed()
    assert socket.close_code == 1008
    assert socket.close_reason == "More than 3 messages a minute."


async def test_websockets_beyond_the_room_are_refused_with_a_reason(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "SOCKETS", Room(at_once=8, per_caller=1, waiting=0))
    async with open_door(door.site) as small:
        host = await small.host()
        url = f"{small.url.replace('http', 'ws', 1)}/prefect/api/events/in"
        async with connect(url, additional_headers=bearer(host.token)):
            with pytest.raises(InvalidStatus) as refusal:
                async with connect(url, additional_headers=bearer(host.token)):
                    pass
        assert refusal.value.response.status_code == 429


class Counting:
    """An application that sees how many are in it at once."""

    def __init__(self) -> None:
        self.app = FastAPI()
        self.now = self.most = 0
        self.go = asyncio.Event()
        self.full = asyncio.Event()

        @self.app.post("/uploads")
        async def work() -> None:  # pyright: ignore[reportUnusedFunction]
            self.now += 1
            self.most = max(self.most, self.now)
            self.full.set()
            await self.go.wait()
            self.now -= 1

    def client(self, room: Room) -> httpx.AsyncClient:
        self.app.add_middleware(Turns, rooms={"/uploads": room})
        transport = httpx.ASGITransport(self.app)
        return httpx.AsyncClient(transport=transport, base_url="http://x")


@pytest.fixture
async def counting() -> Counting:
    return Counting()


async def test_a_thousand_at_once_are_all_answered_so_many_at_a_time(counting: Counting) -> None:
    async with counting.client(Room(at_once=8, per_caller=5)) as http:
        asked = [asyncio.create_task(http.post("/uploads")) for _ in range(1000)]
        await counting.full.wait()
        counting.go.set()
        answers = await asyncio.gather(*asked)
    assert {one.status_code for one in answers} == {200}
    assert counting.most == 5, "one caller does not take every place"


async def test_callers_share_the_room(counting: Counting) -> None:
    async with counting.client(Room(at_once=8, per_caller=5)) as http:
        asked = [
            asyncio.create_task(http.post("/uploads", headers=bearer(f"caller-{number % 3}")))
            for number in range(60)
        ]
        await counting.full.wait()
        counting.go.set()
        answers = await asyncio.gather(*asked)
    assert {one.status_code for one in answers} == {200}
    assert counting.most == 8


async def test_a_line_too_long_sends_away_with_a_429_and_lets_in_again(counting: Counting) -> None:
    async with counting.client(Room(at_once=1, per_caller=1, waiting=2)) as http:
        inside = asyncio.create_task(http.post("/uploads"))
        await counting.full.wait()
        waiting = [asyncio.create_task(http.post("/uploads")) for _ in range(4)]
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        assert {one.result().status_code for one in done} == {429}
        assert {one.result().headers["Retry-After"] for one in done} == {"5"}
        counting.go.set()
        answers = await asyncio.gather(inside, *waiting)
        assert sorted(one.status_code for one in answers) == [200, 200, 200, 429, 429]
        assert (await http.post("/uploads")).status_code == 200


async def test_a_thousand_requests_at_once_get_no_5xx_from_the_running_gateway(door: Door) -> None:
    host = await door.host()
    head = (
        f"POST /host/complete HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {host.token}\r\n"
        "Content-Length: 50000\r\nConnection: close\r\n\r\n"
    )
    request = head.encode() + b" " * 50_000
    answers = await asyncio.gather(*(door.raw(request, seconds=900) for _ in range(1000)))
    assert Counter(answer[:12] for answer in answers) == {b"HTTP/1.1 422": 1000}
