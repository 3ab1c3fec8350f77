"""Serving the rehearsal on 127.0.0.1 in this process, until told to stop."""

import shutil
import sys

from stack.rehearsal.faults import read_faults
from stack.rehearsal.serving import listen, serve_until_told, url_of
from stack.telegram.app import create_app
from stack.telegram.books import Books, remembered_keys
from stack.telegram.deliveries import Deliveries
from stack.telegram.doors import Desk
from stack.telegram.faults import FAULTS, FaultBook
from stack.telegram.settings import NOTICE, Settings


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        Misconfigured: the port is taken, or the faults file cannot be read.
    """
    keys = remembered_keys(settings.state_dir)
    listening = listen(settings.port)
    url = url_of(listening)
    faults = FaultBook(
        [] if settings.faults_file is None else read_faults(settings.faults_file, FAULTS)
    )
    books = Books(settings.state_dir)
    app = create_app(Desk(books, Deliveries(books, settings), faults, keys))
    sys.stderr.write(f"{NOTICE}: this only looks like Telegram's Bot API\n")
    told = {"url": url, "bot_token": keys.api_key, "rehearsal_key": keys.rehearsal_key}
    try:
        serve_until_told(app, listening, told)
    finally:
        if not settings.keeps_state:
            shutil.rmtree(settings.state_dir, ignore_errors=True)
