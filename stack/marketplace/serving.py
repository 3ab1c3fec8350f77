"""Serving the marketplace on 127.0.0.1 in this process, until told to stop."""

import shutil
import sys
from dataclasses import asdict

from stack.marketplace.app import create_app
from stack.marketplace.doors import Desk
from stack.marketplace.limits import RateLimits
from stack.marketplace.market import Market
from stack.marketplace.settings import NOTICE, Settings
from stack.marketplace.store import Store, remembered_keys
from stack.rehearsal.serving import listen, serve_until_told, url_of


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; then no host of it is left.

    Raises:
        Misconfigured: the port is taken, or the faults file cannot be read.
    """
    keys = remembered_keys(settings.state_dir)
    listening = listen(settings.port)
    url = url_of(listening)
    market = Market(settings, Store(settings.state_dir))
    desk = Desk(market, keys, RateLimits() if settings.rate_limits else None, url)
    sys.stderr.write(f"{NOTICE}: this only looks like the Vast.ai marketplace\n")

    try:
        serve_until_told(create_app(desk), listening, {"url": url, **asdict(keys)})
    finally:
        if not settings.keeps_state:
            shutil.rmtree(settings.state_dir, ignore_errors=True)
