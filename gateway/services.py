"""What requests work with."""

from dataclasses import dataclass

from fastapi import Request

from blocks.bucket import Bucket
from gateway.prefect_api import PrefectApi
from gateway.settings import GatewaySettings
from gateway.spooling import Spool
from sql.connection import Pool


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


def services(request: Request) -> Services:
    """The services of the running application (a FastAPI dependency)."""
    found: Services = request.app.state.services
    return found
