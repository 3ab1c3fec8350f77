"""What requests work with."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

from fastapi import Request

from blocks.bucket import Bucket
from gateway.prefect_api import PrefectApi, open_prefect_api
from gateway.settings import GatewaySettings
from gateway.spooling import Spool, open_spool
from gateway.wakeups import sending_wakeups
from sql.connection import Pool, make_pool

POOL_SIZE = 8
STORING = 8
"""Files being put into the bucket at a time; `gateway.turns` says how many are received."""


@dataclass(frozen=True, slots=True)
class Services:
    """What requests work with, made once when the gateway starts."""

    settings: GatewaySettings
    pool: Pool
    prefect: PrefectApi
    spool: Spool

    @property
    def storage(self) -> Bucket:
        """The bucket."""
        return self.settings.bucket


@asynccontextmanager
async def open_services(settings: GatewaySettings, spool_dir: Path) -> AsyncGenerator[Services]:
    """Everything the settings name, for as long as the block runs."""
    dsn = settings.dsn.get_secret_value()
    async with (
        make_pool(dsn, max_size=POOL_SIZE) as pool,
        open_prefect_api(settings.prefect) as prefect,
        sending_wakeups(prefect),
    ):
        with closing(open_spool(spool_dir, storing=STORING)) as spool:
            yield Services(settings, pool, prefect, spool)


def services(request: Request) -> Services:
    """The services of the running application (a FastAPI dependency)."""
    found: Services = request.app.state.services
    return found
