"""A marketplace whose answers a test writes down beforehand: a real HTTP server, no rules.

market        the server; `market.answers(...)` says what it will answer
marketplace   our client, connected to it
"""

import json
import socket
import threading
from collections import defaultdict
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from work_pools.vastai.client import Marketplace, Paces

pytest.register_assert_rewrite("tests.work_pools.vastai.rental")

API_KEY = "account-key-4f1d2c"


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    authorization: str


@dataclass
class Market:
    """Answers as told; the last answer to a request is given again and again."""

    url: str
    received: list[Received] = field(default_factory=list[Received])
    _scripts: dict[tuple[str, str], list[Response]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def answers(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        status: int = 200,
        headers: dict[str, str] | None = None,
    ) -> None:
        """Say the next answer: JSON, or text as it is."""
        is_text = isinstance(body, str)
        content = body if is_text else json.dumps(body)
        kind = "text/html" if is_text else "application/json"
        self._scripts[method, path].append(
            Response(str(content), status_code=status, media_type=kind, headers=headers)
        )

    def count(self, method: str, path: str) -> int:
        """How often that was asked for."""
        return sum(1 for r in self.received if (r.method, r.path) == (method, path))

    async def answer(self, request: Request) -> Response:
        content = await request.body()
        self.received.append(
            Received(
                request.method,
                request.url.path,
                dict(request.query_params),
                json.loads(content) if content else None,
                request.headers.get("authorization", ""),
            )
        )
        script = self._scripts[request.method, request.url.path]
        if not script:
            return Response("nothing was scripted for this", status_code=418)
        return script.pop(0) if len(script) > 1 else script[0]


@dataclass
class Stage:
    """The server, and the market of the test that is running."""

    url: str
    market: Market

    async def answer(self, request: Request) -> Response:
        return await self.market.answer(request)


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    """The server, one for all tests of a process."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        stage = Stage(url, Market(url))
        methods = ["GET", "POST", "PUT", "DELETE"]
        app = Starlette(routes=[Route("/{path:path}", stage.answer, methods=methods)])
        server = uvicorn.Server(
            uvicorn.Config(app, lifespan="off", log_config=None, ws="none", loop="asyncio")
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        # Connections made before the server accepts wait in the socket's backlog.
        yield stage
        server.should_exit = True
        thread.join(timeout=10)
    assert not thread.is_alive()


@pytest.fixture
def market(stage: Stage) -> Market:
    """A market of the test's own."""
    stage.market = Market(stage.url)
    return stage.market


@pytest.fixture
async def marketplace(market: Market) -> AsyncGenerator[Marketplace]:
    """Our client, with enough patience for a few repetitions."""
    async with Marketplace(market.url, API_KEY, paces=Paces.unpaced(), patience_seconds=5) as ours:
        yield ours


@pytest.fixture
async def impatient(market: Market) -> AsyncGenerator[Marketplace]:
    """Our client, asking once."""
    async with Marketplace(market.url, API_KEY, paces=Paces.unpaced(), patience_seconds=0) as ours:
        yield ours
