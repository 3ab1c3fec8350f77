"""Starting the marketplace as a child process, as the embedded stack and tests do."""

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

from stack.marketplace.settings import Settings
from stack.marketplace.store import remembered_keys
from stack.processes import Child, http_get, plain_environment

READY_SECONDS = 30.0
STOP_SECONDS = 15.0
_CODE = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True, slots=True)
class RunningMarketplace:
    """A started marketplace: its process, its address, its keys."""

    child: Child
    url: str
    api_key: str = field(repr=False)
    rehearsal_key: str = field(repr=False)

    def stop(self) -> None:
        """Stop it and every host it started. Safe to call twice."""
        self.child.stop()

    def kill(self) -> None:
        """SIGKILL it, as a power cut would; its hosts die with it."""
        self.child.kill()


def spawn_marketplace(settings: Settings, *, stack_dir: Path | None = None) -> RunningMarketplace:
    """Start it on `settings.port`, which must be given, and return before it answers.

    Its keys are remembered in `settings.state_dir` and never on a command line.
    `stack_dir` is the state directory of the stack it belongs to, by default its own.
    """
    keys = remembered_keys(settings.state_dir)
    child = Child(
        "marketplace",
        [
            *(sys.executable, "-m", "stack.marketplace"),
            *("--port", str(settings.port), "--state-dir", str(settings.state_dir)),
            *("--boot-seconds", str(settings.boot_seconds)),
            *("--time-scale", str(settings.time_scale)),
            *("--read-lag-seconds", str(settings.read_lag_seconds)),
            *("--credit", str(settings.credit_dollars)),
            *("--image-bytes", str(settings.image_bytes)),
            *("--host-command", json.dumps(settings.host_command)),
            "--rate-limits" if settings.rate_limits else "--no-rate-limits",
            *(() if settings.faults_file is None else ("--faults", str(settings.faults_file))),
        ],
        state_dir=settings.state_dir if stack_dir is None else stack_dir,
        env=plain_environment(),
        cwd=_CODE,
        stop_seconds=STOP_SECONDS,
        is_ready=lambda: http_get(settings.port, "/rehearsal/health") is not None,
    )
    child.start()
    return RunningMarketplace(
        child, f"http://127.0.0.1:{settings.port}", keys.api_key, keys.rehearsal_key
    )


def start_marketplace(settings: Settings, *, stack_dir: Path | None = None) -> RunningMarketplace:
    """As `spawn_marketplace`, and wait until it answers.

    Raises:
        Misconfigured: it ended; the message says why.
        RetryLater: it did not answer in time.
    """
    marketplace = spawn_marketplace(settings, stack_dir=stack_dir)
    try:
        marketplace.child.wait_ready(READY_SECONDS)
    except BaseException:
        marketplace.stop()
        raise
    return marketplace
