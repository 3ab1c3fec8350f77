"""What the gateway works with, and where it gets it: from the blocks, through a child process.

The blocks are Prefect's, and Prefect is 60 MB that the gateway, which runs day and night on
a small server, has no other use for. So a child loads them, writes them to a pipe, and ends.
"""

import asyncio
import sys

from pydantic import BaseModel

from blocks.bot import BotSettings
from blocks.bucket import Bucket
from blocks.secret import Secret
from schema.failures import Misconfigured

LONGEST_SECONDS = 60.0


class PrefectLogin(BaseModel, frozen=True):
    """Where Prefect's API is, and the headers it asks for."""

    url: str
    headers: dict[str, Secret]
    verify: bool = True
    ca_file: str | None = None
    """Whose certificates to trust, if not those that everybody trusts."""


class GatewaySettings(BaseModel, frozen=True):
    """Everything the gateway is told."""

    url: str
    """As hosts and people reach the gateway."""
    dsn: Secret
    s3_events_token: Secret
    lease_seconds: int
    bucket: Bucket
    prefect: PrefectLogin
    monthly_budget_dollars: float
    bot: BotSettings | None = None
    """Telegram's; None where there is none."""


async def load_settings() -> GatewaySettings:
    """Ask a child for the settings; raises `Misconfigured` with what the child says is wrong."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.settings_from_blocks"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(LONGEST_SECONDS):
            told, trouble = await child.communicate()
    except TimeoutError:
        child.kill()
        await child.wait()
        raise Misconfigured("The blocks could not be read in time; is Prefect busy?") from None
    if child.returncode == 0:
        return GatewaySettings.model_validate_json(told)
    lines = trouble.decode(errors="replace").strip().splitlines()
    raise Misconfigured(lines[-1] if lines else "The blocks could not be read.")
