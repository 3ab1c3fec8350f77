"""The embedded stack: everything ASEAGI needs, on one machine, from one directory.

    stack = start_stack(Path(".aseagi"), print)
    ...
    stack.stop()

Servers first (Postgres, S3, Prefect, the rehearsal marketplace), then `aseagi deploy` as a
person would run it in production, then the programs of our own: gateway, three workers,
dashboard. What other
programs need to find it is written to `stack.json`; it holds addresses and no secret.
"""

import os
import secrets
import sys
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from schema.failures import Misconfigured
from stack.addresses import Addresses, read_addresses, write_addresses
from stack.marketplace import RunningMarketplace, spawn_marketplace
from stack.marketplace import Settings as MarketplaceSettings
from stack.postgres import Postgres
from stack.processes import Child, plain_environment, sweep, wait_all_ready
from stack.servers import Servers, reserve_ports, start_servers

BUCKET = "aseagi"
DATABASE = "aseagi"
HOME = Path(__file__).resolve().parent.parent
"""Where the code and prefect.yaml are."""

READY_SECONDS = 90.0
DEPLOY_SECONDS = 180.0
WATCH_SECONDS = 2.0
WORKER_STOP_SECONDS = 2.0
RUNS_AT_A_TIME = 6
BOOT_SECONDS = 2.0
IDLE_SECONDS = 20
SECRET_FILE_MODE = 0o600


@dataclass(frozen=True)
class Stack:
    """A running stack."""

    addresses: Addresses
    environment: Mapping[str, str]
    servers: Servers
    gateway: Child
    marketplace: RunningMarketplace
    droplet_worker: Child
    local_worker: Child
    vast_worker: Child
    dashboard: Child | None
    _on_stop: ExitStack = field(repr=False)
    _stopping: threading.Event = field(repr=False)

    @property
    def programs(self) -> tuple[Child, ...]:
        """The processes of our own."""
        own = (
            self.gateway,
            self.marketplace.child,
            self.droplet_worker,
            self.local_worker,
            self.vast_worker,
        )
        return own if self.dashboard is None else (*own, self.dashboard)

    def watch(self, tell: Callable[[str], None]) -> None:
        """Start again whatever ends by itself, until `stop`; blocks, so it ends with the stack.

        A server that was killed recovers as it starts: Postgres from its log, S3 and Prefect
        from what they had written. One that ends at once again is started again in two seconds.
        """
        while not self._stopping.wait(WATCH_SECONDS):
            self._start_what_ended(tell)

    @contextmanager
    def watched(self, tell: Callable[[str], None]) -> Generator[None]:
        """`watch` in the background while the body runs."""
        done = threading.Event()

        def look() -> None:
            while not done.wait(WATCH_SECONDS):
                self._start_what_ended(tell)

        watching = threading.Thread(target=look, daemon=True)
        watching.start()
        try:
            yield
        finally:
            done.set()
            watching.join()

    def _start_what_ended(self, tell: Callable[[str], None]) -> None:
        for child in (*self.servers.children, *self.programs):
            if not child.is_alive() and not self._stopping.is_set():
                # Not what the marketplace wrote: its first line is its keys.
                secret = child is self.marketplace.child
                why = "" if secret else f" ({child.last_log_line()})"
                tell(f"{child.name} ended{why}; starting it again")
                child.start()

    def stop(self) -> None:
        """Stop everything; nothing is left behind. Safe to call twice."""
        self._stopping.set()
        for child in self.programs:
            child.ask_to_stop()
        self._on_stop.close()
        # Sessions live in process groups of their own; a worker gone early left them behind.
        sweep(self.servers.state_dir)


def start_stack(
    state_dir: Path,
    progress: Callable[[str], None],
    *,
    dashboard: bool = True,
    boot_seconds: float = BOOT_SECONDS,
    settings: Mapping[str, str] | None = None,
) -> Stack:
    """Start everything in `state_dir` and return when it answers.

    `boot_seconds` is how long a host of the rehearsal marketplace takes to boot.
    `settings` are further `ASEAGI_*` variables for the blocks (see .env.example).

    Raises:
        Misconfigured: something cannot run here, or a stack already runs in `state_dir`.
        RetryLater: something was not ready in time.
    """
    state_dir = state_dir.resolve()
    with ExitStack() as undo:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        ports = reserve_ports(state_dir, ("gateway", "dashboard", "marketplace"))
        gateway_url = f"http://127.0.0.1:{ports['gateway']}"
        token = _remembered_secret(state_dir / "s3-events-token")
        servers = start_servers(
            state_dir,
            progress,
            bucket=BUCKET,
            webhook_url=f"{gateway_url}/events/s3",
            webhook_token=token,
        )
        undo.callback(servers.stop)
        servers.postgres.create_database_if_missing(DATABASE)
        programs = Path(sys.executable).parent
        environment = {
            **plain_environment(),
            # Flow runs are started as `python -m …`: it must be this Python.
            "PATH": os.pathsep.join([str(programs), os.environ.get("PATH", os.defpath)]),
            "PREFECT_API_URL": servers.prefect.api_url,
            "PREFECT_HOME": str(state_dir / "prefect-client"),
            "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
            "PYTHONUNBUFFERED": "1",
        }
        marketplace = spawn_marketplace(
            MarketplaceSettings(
                state_dir=state_dir / "marketplace",
                port=ports["marketplace"],
                boot_seconds=boot_seconds,
                rate_limits=False,
            ),
            stack_dir=state_dir,
        )
        undo.callback(marketplace.stop)
        seed = _block_settings(servers, gateway_url, token, marketplace) | dict(settings or {})
        _deploy(state_dir, environment | seed, progress)

        gateway = _gateway(state_dir, environment, ports["gateway"], gateway_url)
        droplet = _worker(state_dir, environment, pool="droplet", kind="process")
        local = _worker(state_dir, environment, pool="local", kind="local")
        vast = _worker(state_dir, environment, pool="vast-gpu", kind="vastai")
        page = _dashboard(state_dir, environment, ports["dashboard"]) if dashboard else None
        children = [one for one in (gateway, droplet, local, vast, page) if one is not None]
        for child in children:
            undo.callback(child.stop)
            child.start()
        wait_all_ready(
            [marketplace.child, *children],
            READY_SECONDS,
            lambda child: progress(f"{child.name} ready"),
        )
        addresses = Addresses(
            prefect_ui_url=servers.prefect.ui_url,
            prefect_api_url=servers.prefect.api_url,
            gateway_url=gateway_url,
            dashboard_url=f"http://127.0.0.1:{ports['dashboard']}",
            s3_endpoint_url=servers.object_store.endpoint_url,
            log_folder=str(state_dir / "logs"),
        )
        write_addresses(state_dir, addresses)
        return Stack(
            addresses,
            environment,
            servers,
            gateway,
            marketplace,
            droplet,
            local,
            vast,
            page,
            undo.pop_all(),
            threading.Event(),
        )


def _block_settings(
    servers: Servers, gateway_url: str, token: str, marketplace: RunningMarketplace
) -> dict[str, str]:
    postgres: Postgres = servers.postgres
    return {
        "ASEAGI_DATABASE_OWNER_URL": postgres.dsn(DATABASE),
        "ASEAGI_DATABASE_URL": postgres.dsn(DATABASE, "aseagi_app"),
        "ASEAGI_DATABASE_DASHBOARD_URL": postgres.dsn(DATABASE, "aseagi_dashboard"),
        "ASEAGI_S3_ENDPOINT_URL": servers.object_store.endpoint_url,
        "ASEAGI_S3_ACCESS_KEY": servers.object_store.access_key,
        "ASEAGI_S3_SECRET_KEY": servers.object_store.secret_key,
        "ASEAGI_S3_BUCKET": BUCKET,
        "ASEAGI_GATEWAY_URL": gateway_url,
        "ASEAGI_S3_EVENTS_TOKEN": token,
        "ASEAGI_VAST_URL": marketplace.url,
        "ASEAGI_VAST_API_KEY": marketplace.api_key,
        "ASEAGI_READING_DEPLOYMENT": "ocr/vast-gpu",
        # A host of the rehearsal boots at once: one need not be kept for what may come.
        "ASEAGI_READING_IDLE_SECONDS": str(IDLE_SECONDS),
    }


def _deploy(
    state_dir: Path, environment: Mapping[str, str], progress: Callable[[str], None]
) -> None:
    """Run `aseagi deploy` as in production; it does only what is not done yet."""
    progress("migrating, and registering blocks, pools and deployments")
    child = Child(
        "deploy",
        [sys.executable, "-m", "cli.main", "deploy", "--overwrite-blocks"],
        state_dir=state_dir,
        env=environment,
        cwd=HOME,
    )
    child.start()
    try:
        code = child.wait(DEPLOY_SECONDS)
    finally:
        child.stop()
    if code != 0:
        raise Misconfigured(f"deploying failed: {child.last_log_line()} (log: {child.log_file})")


def _gateway(state_dir: Path, environment: Mapping[str, str], port: int, url: str) -> Child:
    return Child(
        "gateway",
        [
            *(sys.executable, "-m", "gateway", "--port", str(port)),
            *("--spool", str(state_dir / "spool")),
        ],
        state_dir=state_dir,
        env=environment,
        cwd=state_dir,
        is_ready=lambda: _answers(f"{url}/health"),
    )


def _worker(state_dir: Path, environment: Mapping[str, str], *, pool: str, kind: str) -> Child:
    polling = {
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        # A run cancelled before its host has booted must end its host too.
        "PREFECT_WORKER_ENABLE_CANCELLATION": "true" if kind == "vastai" else "false",
    }
    return Child(
        f"{pool}-worker",
        [
            *(sys.executable, "-m", "prefect", "worker", "start"),
            *("--pool", pool, "--type", kind, "--name", f"{pool} worker"),
            # After a night off an hour of minute-runs is due at once.
            *("--limit", str(RUNS_AT_A_TIME)),
        ],
        state_dir=state_dir,
        env={**environment, **polling},
        cwd=state_dir,
        # A worker waits for its runs to end; every one of ours may be killed at any point.
        stop_seconds=WORKER_STOP_SECONDS,
    )


def _dashboard(state_dir: Path, environment: Mapping[str, str], port: int) -> Child:
    return Child(
        "dashboard",
        [
            *(sys.executable, "-m", "streamlit", "run", str(HOME / "dashboard" / "app.py")),
            *(f"--server.port={port}", "--server.address=127.0.0.1", "--server.headless=true"),
            *("--browser.gatherUsageStats=false", "--server.fileWatcherType=none"),
            *("--client.toolbarMode=viewer", "--client.showErrorDetails=none"),
        ],
        state_dir=state_dir,
        env=environment,
        cwd=HOME,
        is_ready=lambda: _answers(f"http://127.0.0.1:{port}/_stcore/health"),
    )


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def _remembered_secret(file: Path) -> str:
    if not file.exists():
        with os.fdopen(os.open(file, os.O_CREAT | os.O_WRONLY, SECRET_FILE_MODE), "w") as out:
            out.write(secrets.token_urlsafe(32))
    return file.read_text()


def is_running(state_dir: Path) -> bool:
    """Whether the stack in `state_dir` answers now."""
    addresses = read_addresses(state_dir)
    return addresses is not None and _answers(f"{addresses.gateway_url}/health")
