"""uvicorn as the gateway runs it, in production and in tests."""

import resource

import uvicorn
from fastapi import FastAPI

from gateway.connections import PunctualConnection
from gateway.prefect_events import MAX_EVENT_CHARACTERS

MAX_CONNECTIONS = 4096
"""A thousand uploads at once need as many; each more costs memory and is not accepted."""

LOOPBACK = "127.0.0.1,::1"


def allow_connections() -> None:
    """Let the process have as many open files as connections; systems begin with 1,024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_CONNECTIONS if most == resource.RLIM_INFINITY else min(MAX_CONNECTIONS, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def configured(app: FastAPI, *, host: str, port: int) -> uvicorn.Config:
    """The one configuration. More than can be worked on waits for its turn (`gateway.turns`):
    there is no `limit_concurrency`, which would answer 503.
    """
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=PunctualConnection,
        log_level="warning",
        access_log=False,
        server_header=False,
        # nginx, on this machine, says who called; nobody else is believed.
        proxy_headers=True,
        forwarded_allow_ips=LOOPBACK,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=10,
        backlog=MAX_CONNECTIONS,
        ws_max_size=MAX_EVENT_CHARACTERS * 2,
        ws_max_queue=4,
        ws_per_message_deflate=False,
    )
