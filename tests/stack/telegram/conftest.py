"""A rehearsal of Telegram as a real server process, and a webhook that keeps what it hears."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.stack.rehearsals import keep_files_together
from tests.stack.telegram.people import Person, Town, open_town, settings_in


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Send each file to one worker: its tests share a server."""
    keep_files_together(items, Path(__file__).parent)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    town = open_town(settings_in(tmp_path_factory.mktemp("telegram"), longest_repeat_seconds=0.3))
    yield town
    town.running.stop()


@pytest.fixture
def town(shared: Town) -> Iterator[Town]:
    """The rehearsal of this module, afterwards without faults, webhook and updates."""
    yield shared
    shared.no_faults()
    shared.bot("deleteWebhook", drop_pending_updates=True)


@pytest.fixture
def ada(town: Town) -> Person:
    """Somebody who has written to the bot."""
    person = town.person()
    person.writes("/start")
    return person


@dataclass
class Webhook:
    """A bot's webhook; `answers` are the statuses it gives before it takes everything."""

    url: str = ""
    answers: list[int] = field(default_factory=list[int])
    heard: list[tuple[str | None, dict[str, Any]]] = field(default_factory=list[Any])

    def numbers(self) -> list[int]:
        return [update["update_id"] for _, update in tuple(self.heard)]


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    kept = Webhook()

    class Keep(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            kept.heard.append((self.headers["X-Telegram-Bot-Api-Secret-Token"], body))
            self.send_response(kept.answers.pop(0) if kept.answers else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Keep)
    kept.url = f"http://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield kept
    server.shutdown()
    server.server_close()
    thread.join()


Refusal = Callable[..., str]


@pytest.fixture
def refusal(town: Town) -> Refusal:
    """Call a method that must be refused; `status description`."""

    def call(method: str, **parameters: Any) -> str:
        answer = town.bot(method, **parameters)
        body = answer.json()
        assert body["ok"] is False
        assert body["error_code"] == answer.status_code
        return f"{answer.status_code} {body['description']}"

    return call
