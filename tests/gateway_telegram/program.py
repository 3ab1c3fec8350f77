"""The gateway's application with its Telegram, over a database and a bucket that are told.

In a process of its own (`python -m tests.gateway_telegram.program`, settings as JSON on
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

import httpx
import uvicorn
from prefect_aws import AwsCredentials
from pydantic import SecretStr

from blocks.gateway import Gateway
from blocks.object_storage import ObjectStorage, make_credentials
from blocks.reading import Reading
from blocks.telegram import Telegram
from gateway.app import create_app
from gateway.prefect_api import PrefectApi
from gateway.services import Services
from gateway.spooling import open_spool
from gateway.telegram.service import TelegramService, running_service
from sql.connection import make_pool

SECRET = "a-secret-of-the-webhook"


def credentials(told: dict[str, Any]) -> AwsCredentials:
    return make_credentials(
        endpoint_url=told["s3_url"],
        region="us-east-1",
        access_key=told["s3_access_key"],
        secret_key=SecretStr(told["s3_secret_key"]),
    )


@asynccontextmanager
async def serving(told: dict[str, Any]) -> AsyncGenerator[TelegramService]:
    """The gateway on a port of this machine while the block is used."""
    settings = Telegram.model_validate(told["telegram"])
    async with make_pool(told["dsn"], max_size=8) as pool, httpx.AsyncClient() as nowhere:
        services = Services(
            pool=pool,
            storage=ObjectStorage(credentials=credentials(told), bucket=told["bucket"]),
            gateway=Gateway(
                url=f"http://127.0.0.1:{told['port']}", s3_events_token=SecretStr("a-token")
            ),
            reading=Reading(),
            prefect=PrefectApi(nowhere),
            spool=open_spool(Path(told["spool"]), receiving=4, storing=4),
        )
        app = create_app(spool_dir=Path(told["spool"]))
        app.state.services = services
        async with running_service(services, settings) as app.state.telegram:
            with listening(told["port"]) as there:
                config = uvicorn.Config(app, lifespan="off", log_level="warning", access_log=False)
                server = _Server(config)
                task = asyncio.create_task(server.serve([there]))
                try:
                    yield app.state.telegram
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
