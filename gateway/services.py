"""What requests work with."""

from dataclasses import dataclass

from fastapi import Request

from blocks.gateway import Gateway
from blocks.object_storage import ObjectStorage
from blocks.reading import Reading
from gateway.prefect_api import PrefectApi
from gateway.spooling import Spool
from sql.connection import Pool


@dataclass(frozen=True, slots=True)
class Services:
    """What requests work with, made once when the gateway starts."""

    pool: Pool
    storage: ObjectStorage
    gateway: Gateway
    reading: Reading
    prefect: PrefectApi
    spool: Spool


def services(request: Request) -> Services:
    """The services of the running application (a FastAPI dependency)."""
    found: Services = request.app.state.services
    return found
