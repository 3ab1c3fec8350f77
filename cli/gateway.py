"""Find the gateway and a token for it: given in the environment, or made for one command."""

import getpass
import hashlib
import os
import secrets
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from cli.connection import use_stack
from schema.failures import Misconfigured

if TYPE_CHECKING:
    from cli.uploading import GatewayClient

LIFETIME = timedelta(hours=12)
"""Of a token made for one command; it ends with the command unless that is killed."""


def find_gateway(state_dir: Path) -> None:
    """Point at what is needed to reach the gateway. Call before anything imports Prefect.

    With `ASEAGI_TOKEN` the gateway's address is enough; else the house itself is needed.
    """
    if not os.environ.get("ASEAGI_TOKEN"):
        use_stack(state_dir)


@asynccontextmanager
async def gateway_client() -> AsyncGenerator["GatewayClient"]:
    """A client of the gateway, with the token of the environment or one for this command."""
    from cli.uploading import open_gateway_client

    if token := os.environ.get("ASEAGI_TOKEN"):
        url = os.environ.get("ASEAGI_GATEWAY_URL")
        if not url:
            raise Misconfigured("ASEAGI_TOKEN is set, so ASEAGI_GATEWAY_URL must be too.")
        async with open_gateway_client(url.rstrip("/"), token) as client:
            yield client
        return
    async with _token_for_this_command() as (url, token), open_gateway_client(url, token) as client:
        yield client


@asynccontextmanager
async def _token_for_this_command() -> AsyncGenerator[tuple[str, str]]:
    from blocks.database import Database
    from blocks.gateway import Gateway
    from blocks.loading import load
    from sql.clients import add_client, forget_token

    database, gateway = await load(Database), await load(Gateway)
    token = secrets.token_urlsafe(32)
    token_hash = hashlib.sha256(token.encode()).digest()
    name = f"{getpass.getuser()}@{socket.gethostname()}"
    async with database.connect() as db:
        await add_client(db, name, token_hash, lifetime=LIFETIME)
    try:
        yield gateway.url.rstrip("/"), token
    finally:
        async with database.connect() as db:
            await forget_token(db, token_hash)
