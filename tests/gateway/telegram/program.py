"""The gateway's application with its Telegram, over a database and a bucket that are told.

In a process of its own (`python -m tests.gateway.telegram.program`, settings as JSON on
stdin) for tests that kill it; all that differs from `python -m gateway` is that settings
are not read from Prefect's blocks.
"""

import asyncio
import json
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn

from gateway.app import create_app
from gateway.services import open_services
from gateway.settings import GatewaySettings
from gateway.telegram.service import TelegramService, telegram_service

SECRET = "a-secret-of-the-webhook"


def settings_of(told: dict[str, Any]) -> GatewaySettings:
    """What the gateway is told; its Prefect is nowhere, so that wake-ups are lost."""
    return GatewaySettings.model_validate(
        {
            "url": f"http://127.0.0.1:{told['port']}",
            "dsn": told["dsn"],
            "s3_events_token": "a-token",
            "lease_seconds": 60,
            "bucket": told["bucket"],
            "prefect": {"url": "http://127.0.0.1:9/", "headers": {}},
            "monthly_budget_dollars": 50,
            "bot": told["bot"],
        }
    )


@asynccontextmanager
async def serving(told: dict[str, Any]) -> AsyncGenerator[TelegramService]:
    """The gateway on a port of this machine while the block is used."""
    spool = Path(told["spool"])
    async with open_services(settings_of(told), spool) as services:
        app = create_app(spool_dir=spool)
        app.state.services = services
        async with telegram_service(services) as telegram:
            assert telegram is not None
            app.state.telegram = telegram
            with listening(told["port"]) as there:
                config = uvicorn.Config(app, lifespan="off", log_level="warning", access_log=False)
                server = _Server(config)
                task = asyncio.create_task(server.serve([there]))
                try:
                    yield telegram
                finally:
                    server.should_exit = True
                    await task


class _Server(uvicorn.Server):
    """Leaves signals to whoever runs the tests."""

    def install_signal_handlers(self) -> None:
        """Nothing."""


def listening(port: int) -> socket.socket:
    there = socket.socket()
    there.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    there.bind(("127.0.0.1", port))
    there.listen()
    return there


async def main() -> None:
    """Serve until killed."""
    async with serving(json.load(sys.stdin)):
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
