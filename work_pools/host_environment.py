"""What a host is given: a token for one attempt, and an environment by allow-list.

Prefect's base worker hands every `PREFECT_*` setting of its own process to the job,
the API login and the server's database address among them. A host gets none of that:
its environment is built here, from nothing, and holds only what is named here.
"""

import hashlib
import json
import os
import secrets
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from blocks.gateway import Gateway
from sql.connection import Connection
from sql.controls import read_namespace
from sql.sessions import Begun, NewAttempt, NotBegun, begin_attempt

TOKEN_BYTES = 32
HEARTBEAT_SECONDS = 30
LOG_BATCH_BYTES = 500_000
LOG_BYTES = 100_000

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
    max_dollars: Decimal | None = None
    """What it may cost; a rented host is destroyed once it has cost so much."""
    marketplace_url: str | None = None
    """Where a rented host asks to be destroyed when its work is over."""
    rehearsal: bool = False

    @property
    def worst_case_dollars(self) -> Decimal:
        """What is reserved before the host is asked for: its limit, or its whole lifetime."""
        if self.max_dollars is not None:
            return self.max_dollars
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
            label=await _label(db, flow_run_id, run_count),
            dollars_per_hour=terms.dollars_per_hour,
            reserved_dollars=terms.worst_case_dollars,
            budget_dollars=terms.budget_dollars,
            max_hosts=terms.max_hosts,
            max_dollars=terms.max_dollars,
            rehearsal=terms.rehearsal,
        ),
        session_id=session_id,
    )
    if isinstance(begun, NotBegun):
        return begun
    own_end = {"ASEAGI_MARKETPLACE_URL": terms.marketplace_url} if terms.marketplace_url else {}
    return HostOrder(
        begun,
        own_end
        | {
            "ASEAGI_GATEWAY_URL": gateway.url,
            "ASEAGI_HOST_TOKEN": token,
            "ASEAGI_LIFETIME_SECONDS": f"{terms.lifetime.total_seconds():.0f}",
            "PREFECT__FLOW_RUN_ID": str(flow_run_id),
            # Prefect through the gateway's door: its client sends this header with every call.
            "PREFECT_API_URL": f"{gateway.url.rstrip('/')}/prefect/api",
            "PREFECT_CLIENT_CUSTOM_HEADERS": json.dumps({"Authorization": f"Bearer {token}"}),
            # About as patient as the host's own client while the gateway is away.
            "PREFECT_CLIENT_MAX_RETRIES": "7",
            # The door takes less at a time than Prefect would send.
            "PREFECT_LOGGING_TO_API_BATCH_SIZE": str(LOG_BATCH_BYTES),
            "PREFECT_LOGGING_TO_API_MAX_LOG_SIZE": str(LOG_BYTES),
            "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "false",
            "PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED": "false",
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_SECONDS),
            "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
            "PYTHONUNBUFFERED": "1",
        },
    )


async def _label(db: Connection, flow_run_id: UUID, run_count: int) -> str:
    """Of this house, of this attempt, and not to be guessed: 46 characters."""
    namespace = await read_namespace(db)
    return f"aseagi-{namespace}-{flow_run_id.hex[:8]}-{run_count}-{secrets.token_hex(8)}"


def inherited_environment() -> dict[str, str]:
    """The few variables a process on this machine needs to run at all."""
    return {name: os.environ[name] for name in INHERITED if name in os.environ}
