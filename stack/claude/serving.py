"""Serving the rehearsal on 127.0.0.1 in this process, until told to stop."""

import json
import shutil
import signal
import socket
import sys
from dataclasses import asdict
from types import FrameType

import uvicorn

from schema.failures import Misconfigured
from stack.claude.answering import find_answerer
from stack.claude.app import create_app
from stack.claude.batches import Batches
from stack.claude.books import Books, Keys, remembered_keys
from stack.claude.clock import Clock
from stack.claude.doors import Desk
from stack.claude.faults import FaultBook, read_faults
from stack.claude.messages import Messages
from stack.claude.settings import NOTICE, Settings

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
    """Serve until SIGTERM or SIGINT.

    Raises:
        Misconfigured: the port is taken, the faults file cannot be read, or there is no
            such answerer.
    """
    keys = remembered_keys(settings.state_dir)
    listening = _listen(settings.port)
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    server = _Server(
        uvicorn.Config(
            create_app(_desk(settings, keys, url)),
            log_level="warning",
            access_log=False,
            lifespan="on",
            timeout_graceful_shutdown=_STOP_SECONDS,
        )
    )
    server.announcement = json.dumps({"url": url, **asdict(keys)})
    sys.stderr.write(f"{NOTICE}: this only looks like Anthropic's API\n")

    def ignore(_number: int, _frame: FrameType | None) -> None:
        """uvicorn raises the signal again when it has stopped; that is the end already."""

    signal.signal(signal.SIGTERM, ignore)
    signal.signal(signal.SIGINT, ignore)
    try:
        server.run(sockets=[listening])
    finally:
        if not settings.keeps_state:
            shutil.rmtree(settings.state_dir, ignore_errors=True)


def _desk(settings: Settings, keys: Keys, url: str) -> Desk:
    faults = FaultBook(
        [] if settings.faults_file is None else read_faults(settings.faults_file),
        seed=settings.fault_seed,
    )
    answerer = find_answerer(settings.answerer)
    books = Books(settings.state_dir)
    clock = Clock(scale=settings.time_scale, reading_us=books.clock_us())
    messages = Messages(answerer, clock)
    batches = Batches(books, clock, messages, faults, batch_seconds=settings.batch_seconds)
    return Desk(books, clock, messages, batches, faults, keys, url, settings.answer_seconds)


def _listen(port: int) -> socket.socket:
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(("127.0.0.1", port))
    except OSError as error:
        raise Misconfigured(f"port {port} cannot be used: {error.strerror}") from error
    return listening
