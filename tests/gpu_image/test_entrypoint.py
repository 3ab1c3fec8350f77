"""The supervisor of a host, as a real process with a flow run that hangs."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest

from gpu_image.entrypoint import STOPPED

ENDS_SECONDS = 60


class Marketplace(BaseHTTPRequestHandler):
    """Answers for the gateway and the marketplace; the first destroy is refused."""

    destroyed: "list[tuple[str, str | None]]"

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def do_DELETE(self) -> None:
        self.destroyed.append((self.path, self.headers["Authorization"]))
        busy = len(self.destroyed) == 1
        self.send_response(429 if busy else 200)
        self.end_headers()
        self.wfile.write(b"API requests too frequent" if busy else b'{"success": true}')

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""


@pytest.fixture
def marketplace() -> Iterator[tuple[str, list[tuple[str, str | None]]]]:
    Marketplace.destroyed = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Marketplace)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", Marketplace.destroyed
    server.shutdown()
    server.server_close()


@pytest.fixture
def prefect_that_hangs() -> Iterator[str]:
    """An address that takes connections and never answers: the engine waits for it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/api"


def start(tmp_path: Path, **environment: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "gpu_image.entrypoint"],
        env={
            "PATH": os.environ["PATH"],
            "TMPDIR": str(tmp_path),
            "PREFECT__FLOW_RUN_ID": "6d0f3d3c-0000-4000-8000-000000000000",
            "PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED": "false",
            "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "false",
            **environment,
        },
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_engine(host: "subprocess.Popen[str]") -> list[psutil.Process]:
    """The host's processes once its engine runs, no longer a mere copy of the host itself."""
    while host.poll() is None:
        with suppress(psutil.NoSuchProcess):  # a child that ended between two looks
            children = psutil.Process(host.pid).children(recursive=True)
            if any("prefect.engine" in child.cmdline() for child in children):
                return children
        time.sleep(0.05)
    raise AssertionError("the host ended before its engine ran")


def test_a_host_past_its_lifetime_stops_its_run_and_destroys_itself(
    tmp_path: Path, marketplace: tuple[str, list[tuple[str, str | None]]], prefect_that_hangs: str
) -> None:
    url, destroyed = marketplace
    host = start(
        tmp_path,
        PREFECT_API_URL=prefect_that_hangs,
        ASEAGI_GATEWAY_URL=url,
        ASEAGI_LIFETIME_SECONDS="20",
        ASEAGI_MARKETPLACE_URL=url,
        CONTAINER_ID="77",
        CONTAINER_API_KEY="only-for-77",
    )
    children = wait_for_engine(host)
    key_in_engine = [child.environ().get("CONTAINER_API_KEY") for child in children]
    _, said = host.communicate(timeout=ENDS_SECONDS)
    assert host.returncode == STOPPED
    assert "its lifetime is over" in said
    assert destroyed == [("/api/v0/instances/77/", "Bearer only-for-77")] * 2
    assert key_in_engine == [None]
    assert not any(child.is_running() for child in children)
    assert list(tmp_path.iterdir()) == []


def test_a_host_that_cannot_reach_the_gateway_stops_and_destroys_itself(
    tmp_path: Path, marketplace: tuple[str, list[tuple[str, str | None]]], prefect_that_hangs: str
) -> None:
    url, destroyed = marketplace
    with socket.create_server(("127.0.0.1", 0)) as gone:
        nobody = f"http://127.0.0.1:{gone.getsockname()[1]}"
    host = start(
        tmp_path,
        PREFECT_API_URL=prefect_that_hangs,
        ASEAGI_GATEWAY_URL=nobody,
        ASEAGI_GATEWAY_PATIENCE_SECONDS="2",
        ASEAGI_MARKETPLACE_URL=url,
        CONTAINER_ID="78",
        CONTAINER_API_KEY="only-for-78",
    )
    _, said = host.communicate(timeout=ENDS_SECONDS)
    assert host.returncode == STOPPED
    assert "could not be reached" in said
    assert destroyed[-1] == ("/api/v0/instances/78/", "Bearer only-for-78")


def test_a_host_told_to_end_wipes_its_files_and_destroys_itself(
    tmp_path: Path, marketplace: tuple[str, list[tuple[str, str | None]]], prefect_that_hangs: str
) -> None:
    url, destroyed = marketplace
    host = start(
        tmp_path,
        PREFECT_API_URL=prefect_that_hangs,
        ASEAGI_GATEWAY_URL=url,
        ASEAGI_MARKETPLACE_URL=url,
        CONTAINER_ID="79",
        CONTAINER_API_KEY="only-for-79",
    )
    wait_for_engine(host)
    host.terminate()
    host.communicate(timeout=ENDS_SECONDS)
    assert host.returncode == 128 + 15
    assert destroyed[-1] == ("/api/v0/instances/79/", "Bearer only-for-79")
    assert list(tmp_path.iterdir()) == []
