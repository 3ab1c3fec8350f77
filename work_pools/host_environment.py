"""What a host is given: a token for one attempt, and an environment by allow-list.

Prefect's base worker hands every `PREFECT_*` setting of its own process to the job,
the API login and the server's database address among them. A host gets none of that:
its environment is built here, from nothing, and holds only what is named here.
"""

import hashlib
import os
import secrets
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from blocks.gateway import Gateway
from sql.connection import Connection
from sql.sessions import Begun, NewAttempt, NotBegun, begin_attempt

TOKEN_BYTES = 32
HEARTBEAT_SECONDS = 30

INHERITED = (
    "PATH",
    "LANG",
    "LC_ALL",
    "TZ",
    "VIRTUAL_ENV",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "CUDA_VISIBLE_DEVICES",
    "LD_LIBRARY_PATH",
    "DOCTR_CACHE_DIR",
    "ASEAGI_STACK",
)
"""Variables a host on the worker's own machine may inherit: where programs are, nothing secret."""


@dataclass(frozen=True, slots=True)
class HostOrder:
    """A host that may be started now, with the whole environment it gets."""

    begun: Begun
    environment: dict[str, str]


@dataclass(frozen=True, slots=True)
class HostTerms:
    """What a host will be: whose, for how long, at what price, beside how many others."""

    provider: str
    lifetime: timedelta
    dollars_per_hour: Decimal
    budget_dollars: Decimal
    max_hosts: int

    @property
    def worst_case_dollars(self) -> Decimal:
        """The price of the whole lifetime, which is reserved before the host is asked for."""
        return self.dollars_per_hour * Decimal(self.lifetime.total_seconds()) / 3600


async def host_environment(
    db: Connection,
    *,
    flow_run_id: UUID,
    run_count: int,
    session_id: UUID | None,
    gateway: Gateway,
    terms: HostTerms,
) -> HostOrder | NotBegun:
    """Mint a token for this attempt and build the host's environment, or say why not.

    The token is 256 random bits; only its hash is stored, in the same transaction as
    the host's row and its reservation. The caller commits, then starts the host: killed
    in between it leaves a row without a host, whose session ends with its run.
    """
    token = secrets.token_urlsafe(TOKEN_BYTES)
    begun = await begin_attempt(
        db,
        NewAttempt(
            flow_run_id=flow_run_id,
            run_count=run_count,
            token_hash=hashlib.sha256(token.encode()).digest(),
            lifetime=terms.lifetime,
            provider=terms.provider,
            label=f"aseagi-{flow_run_id.hex}-{run_count}-{secrets.token_hex(8)}",
            dollars_per_hour=terms.dollars_per_hour,
            reserved_dollars=terms.worst_case_dollars,
            budget_dollars=terms.budget_dollars,
            max_hosts=terms.max_hosts,
        ),
        session_id=session_id,
    )
    if isinstance(begun, NotBegun):
        return begun
    return HostOrder(
        begun,
        {
            "ASEAGI_GATEWAY_URL": gateway.url,
            "ASEAGI_HOST_TOKEN": token,
            "PREFECT__FLOW_RUN_ID": str(flow_run_id),
            "PREFECT_API_URL": gateway.prefect_api_url,
            "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "false",
            "PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED": "false",
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_SECONDS),
            "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
            "PYTHONUNBUFFERED": "1",
        },
    )


def inherited_environment() -> dict[str, str]:
    """The few variables a process on this machine needs to run at all."""
    return {name: os.environ[name] for name in INHERITED if name in os.environ}
