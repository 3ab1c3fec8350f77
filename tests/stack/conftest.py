"""The embedded servers, started once for all tests of the stack."""

import json
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from stack.servers import Servers, start_servers


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Run beside no other test that starts servers of its own: two cores are soon busy."""
    here = Path(__file__).parent
    for item in items:
        if here == item.path.parent:
            item.add_marker(pytest.mark.xdist_group("servers"))


WEBHOOK_TOKEN = "token-of-the-webhook"


@dataclass
class Receiver:
    """An HTTP server that keeps what the webhook posts."""

    url: str = ""
    announced: list[tuple[str, dict[str, Any]]] = field(default_factory=list[Any])

    def of_key(self, key: str) -> list[dict[str, Any]]:
        return [event for _, event in tuple(self.announced) if event["key"].endswith(key)]


@pytest.fixture(scope="package")
def receiver() -> Iterator[Receiver]:
    received = Receiver()

    class Keep(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.announced.append((self.headers["Authorization"], json.loads(body)))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Keep)
    received.url = f"http://127.0.0.1:{server.server_port}/events"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield received
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="package")
def servers(receiver: Receiver) -> Iterator[Servers]:
    # As deep as a path may get: a Unix socket must still fit.
    # Not pytest's folder: every new pytest closes that one to Postgres' system user.
    folder = Path(tempfile.mkdtemp(prefix="aseagi-servers-"))
    state_dir = folder / Path(*["a-directory-deep-down"] * 4)
    running = start_servers(
        state_dir, lambda _: None, webhook_url=receiver.url, webhook_token=WEBHOOK_TOKEN
    )
    yield running
    running.stop()


def eventually(holds: Callable[[], bool], seconds: float = 300) -> bool:
    """Whether it holds before the deadline."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
