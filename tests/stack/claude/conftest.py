"""A rehearsal of Claude as a real server process, and the official SDK pointed at it."""

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from anthropic import Anthropic, APIStatusError, AsyncAnthropic
from anthropic.types import ImageBlockParam, Message, MessageParam
from anthropic.types.messages import MessageBatch
from anthropic.types.messages.batch_create_params import Request
from PIL import Image

from stack.claude import RunningClaude, Settings, start_claude
from stack.servers import reserve_ports
from tests.stack.rehearsals import client_with, keep_files_together, wait_until

MODEL = "claude-haiku-4-5"
"""Thinks only when told to, and takes no effort."""
THINKER = "claude-haiku-5-5"


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Send each file to one worker: its tests share a server."""
    keep_files_together(items, Path(__file__).parent)


@dataclass
class Site:
    """A running rehearsal as its client, and the rehearsal's own paths, see it."""

    running: RunningClaude
    client: Anthropic
    other: Anthropic
    control: httpx.Client

    def ask(self, text: str = "Hello", **changes: Any) -> Message:
        asked: dict[str, Any] = {"model": MODEL, "max_tokens": 1_000, "messages": said(text)}
        create: Any = self.client.messages.create
        return create(**asked | changes)

    def refused(self, **changes: Any) -> APIStatusError:
        """Send a request whose body is changed so, and return its refusal."""
        before = self.totals()
        with pytest.raises(APIStatusError) as caught:
            self.client.messages.create(
                model=MODEL, max_tokens=1_000, messages=said("Hello"), extra_body=changes
            )
        assert self.totals() == before
        return caught.value

    def post(self, body: object, **headers: str | None) -> httpx.Response:
        """A request without the SDK; a header that is None is left out."""
        usual = {
            "x-api-key": self.running.api_key,
            "anthropic-version": "2026-10-21",
            "content-type": "application/json",
        }
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {name: value for name, value in {**usual, **named}.items() if value is not None}
        content = body if isinstance(body, bytes) else httpx.Request("POST", "/", json=body).content
        return httpx.post(
            f"{self.running.url}/v1/messages",
            content=content,
            headers=sent,
            trust_env=False,
            timeout=60,
        )

    def asynchronous(self) -> AsyncAnthropic:
        return AsyncAnthropic(
            base_url=self.running.url, api_key=self.running.api_key, max_retries=0
        )

    def batch(self, *requests: Request) -> MessageBatch:
        return self.client.messages.batches.create(requests=requests)

    def ended(self, batch_id: str) -> MessageBatch:
        """Wait until a batch has ended."""
        wait_until(lambda: self.client.messages.batches.retrieve(batch_id).ended_at is not None)
        return self.client.messages.batches.retrieve(batch_id)

    def results(self, batch_id: str) -> dict[str, Any]:
        found = self.client.messages.batches.results(batch_id)
        return {each.custom_id: each.result for each in found}

    def order(self, *faults: Mapping[str, object]) -> None:
        self.control.post("/rehearsal/faults", json=list(faults)).raise_for_status()

    def books(self, after: int = 0) -> dict[str, Any]:
        answer = self.control.get("/rehearsal/served", params={"after": after})
        return answer.raise_for_status().json()

    def served(self, after: int = 0) -> list[dict[str, Any]]:
        return self.books(after)["served"]

    def totals(self) -> dict[str, int]:
        return self.books(after=10**9)["totals"]

    def advance(self, seconds: float) -> None:
        body = {"advance_seconds": seconds}
        self.control.post("/rehearsal/clock", json=body).raise_for_status()


def said(*content: Any) -> list[MessageParam]:
    """One user turn of these blocks; strings are text blocks."""
    blocks = [{"type": "text", "text": each} if isinstance(each, str) else each for each in content]
    turn: Any = {"role": "user", "content": blocks}
    return [turn]


def request_of(custom_id: str, text: str = "Hello", **changes: Any) -> Request:
    """One request of a batch."""
    params = {"model": MODEL, "max_tokens": 1_000, "messages": said(text), **changes}
    return Request(custom_id=custom_id, params=params)  # pyright: ignore[reportArgumentType]


def picture(
    size: tuple[int, int] = (30, 50), form: str = "png", *, called: str | None = None
) -> ImageBlockParam:
    """A picture; `called` is the type it claims to be, if not its own."""
    out = BytesIO()
    Image.new("L", size, 255).save(out, form)
    data = base64.b64encode(out.getvalue()).decode()
    media_type: Any = f"image/{called or form}"
    return {
        "type": "image",
        "source": {"type": "base64", "media_type": media_type, "data": data},
    }


def words(tokens: int, mark: str = "x") -> str:
    """A text of so many tokens."""
    return (mark * (4 * tokens))[: 4 * tokens]


def text_of(message: Message) -> str:
    """The text of an answer, whatever stands before it."""
    return "".join(block.text for block in message.content if block.type == "text")


def open_site(settings: Settings) -> Site:
    running = start_claude(settings)

    def client(key: str) -> Anthropic:
        return Anthropic(base_url=running.url, api_key=key, max_retries=0, timeout=30)

    control = client_with(running.rehearsal_key, running.url)
    return Site(running, client(running.api_key), client(running.other_api_key), control)


def settings_in(folder: Path, **changes: Any) -> Settings:
    port = reserve_ports(folder, ("claude",))["claude"]
    return replace(Settings(state_dir=folder, port=port, batch_seconds=0.05), **changes)


Open = Callable[..., Site]


@pytest.fixture
def open_claude(tmp_path: Path) -> Iterator[Open]:
    """Start rehearsals with settings of one's own; all are stopped at the end."""
    sites: list[Site] = []

    def start(**changes: Any) -> Site:
        site = open_site(settings_in(tmp_path, **changes))
        sites.append(site)
        return site

    yield start
    for site in sites:
        site.running.stop()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = open_site(settings_in(tmp_path_factory.mktemp("claude")))
    yield site
    site.running.stop()


@pytest.fixture
def site(shared: Site) -> Iterator[Site]:
    """The rehearsal of this module, afterwards without faults."""
    yield shared
    shared.control.delete("/rehearsal/faults").raise_for_status()
