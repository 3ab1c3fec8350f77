"""Serving the marketplace on 127.0.0.1 in this process, until told to stop."""

import json
import shutil
import signal
import socket
import sys
from types import FrameType

import uvicorn

from schema.failures import Misconfigured
from stack.marketplace.app import create_app
from stack.marketplace.doors import Desk
from stack.marketplace.limits import RateLimits
from stack.marketplace.market import Market
from stack.marketplace.settings import NOTICE, Settings
from stack.marketplace.store import Store, remembered_keys

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


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; then no host of it is left.

    Raises:
        Misconfigured: the port is taken, or the faults file cannot be read.
    """
    keys = remembered_keys(settings.state_dir)
    listening = _listen(settings.port)
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    market = Market(settings, Store(settings.state_dir))
    desk = Desk(market, keys, RateLimits() if settings.rate_limits else None, url)
    server = _Server(
        uvicorn.Config(
            create_app(desk),
            log_level="warning",
            access_log=False,
            lifespan="on",
            timeout_graceful_shutdown=_STOP_SECONDS,
        )
    )
    server.announcement = json.dumps(
        {
            "url": url,
            "api_key": keys.api_key,
            "rehearsal_key": keys.rehearsal_key,
        }
    )
    sys.stderr.write(f"{NOTICE}: this only looks like the Vast.ai marketplace\n")

    def ignore(_number: int, _frame: FrameType | None) -> None:
        """uvicorn raises the signal again when it has stopped; that is the end already."""

    signal.signal(signal.SIGTERM, ignore)
    signal.signal(signal.SIGINT, ignore)
    try:
        server.run(sockets=[listening])
    finally:
        if not settings.keeps_state:
            shutil.rmtree(settings.state_dir, ignore_errors=True)


def _listen(port: int) -> socket.socket:
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(("127.0.0.1", port))
    except OSError as error:
        raise Misconfigured(f"port {port} cannot be used: {error.strerror}") from error
    return listening
