"""Serving a rehearsal on 127.0.0.1 in this process, until told to stop."""

import json
import signal
import socket
import sys
from collections.abc import Mapping
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from schema.failures import Misconfigured

_STOP_SECONDS = 1
"""For answers under way; those that hang on purpose are given up."""


class _Server(uvicorn.Server):
    """Says on stdout where it answers, once it does."""

    announcement = ""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            sys.stdout.write(self.announcement + "\n")
            sys.stdout.flush()


def listen(port: int) -> socket.socket:
    """A socket bound to a port of 127.0.0.1; 0 takes any.

    Raises:
        Misconfigured: the port is taken.
    """
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(("127.0.0.1", port))
    except OSError as error:
        raise Misconfigured(f"port {port} cannot be used: {error.strerror}") from error
    return listening


def url_of(listening: socket.socket) -> str:
    """Where a socket of `listen` is reached."""
    return f"http://127.0.0.1:{listening.getsockname()[1]}"


def serve_until_told(
    app: ASGIApp, listening: socket.socket, announcement: Mapping[str, str]
) -> None:
    """Serve until SIGTERM or SIGINT; print the announcement as JSON once it answers."""
    server = _Server(
        uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            lifespan="on",
            timeout_graceful_shutdown=_STOP_SECONDS,
        )
    )
    server.announcement = json.dumps(announcement)

    def ignore(_number: int, _frame: FrameType | None) -> None:
        """uvicorn raises the signal again when it has stopped; that is the end already."""

    signal.signal(signal.SIGTERM, ignore)
    signal.signal(signal.SIGINT, ignore)
    server.run(sockets=[listening])
