"""Serving the rehearsal on 127.0.0.1 in this process, until told to stop."""

import shutil
import sys
from dataclasses import asdict

from stack.claude.answering import find_answerer
from stack.claude.app import create_app
from stack.claude.batches import Batches
from stack.claude.books import Books, Keys, remembered_keys
from stack.claude.clock import Clock
from stack.claude.doors import Desk
from stack.claude.faults import FAULTS, FaultBook
from stack.claude.messages import Messages
from stack.claude.settings import NOTICE, Settings
from stack.rehearsal.faults import read_faults
from stack.rehearsal.serving import listen, serve_until_told, url_of


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        Misconfigured: the port is taken, the faults file cannot be read, or there is no
            such answerer.
    """
    keys = remembered_keys(settings.state_dir)
    listening = listen(settings.port)
    url = url_of(listening)
    app = create_app(_desk(settings, keys, url))
    sys.stderr.write(f"{NOTICE}: this only looks like Anthropic's API\n")

    try:
        serve_until_told(app, listening, {"url": url, **asdict(keys)})
    finally:
        if not settings.keeps_state:
            shutil.rmtree(settings.state_dir, ignore_errors=True)


def _desk(settings: Settings, keys: Keys, url: str) -> Desk:
    faults = FaultBook(
        [] if settings.faults_file is None else read_faults(settings.faults_file, FAULTS),
        seed=settings.fault_seed,
    )
    answerer = find_answerer(settings.answerer)
    books = Books(settings.state_dir)
    clock = Clock(scale=settings.time_scale, reading_us=books.clock_us())
    messages = Messages(answerer, clock)
    batches = Batches(books, clock, messages, faults, batch_seconds=settings.batch_seconds)
    return Desk(books, clock, messages, batches, faults, keys, url, settings.answer_seconds)
