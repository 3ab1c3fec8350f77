"""Starting the marketplace as a child process, as the embedded stack and tests do."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from stack.marketplace.settings import Settings
from stack.marketplace.store import remembered_keys
from stack.rehearsal.starting import RunningRehearsal, spawn


@dataclass(frozen=True, slots=True)
class RunningMarketplace(RunningRehearsal):
    """A started marketplace: its process, its address, its keys."""

    api_key: str = field(repr=False)
    rehearsal_key: str = field(repr=False)


def spawn_marketplace(settings: Settings, *, stack_dir: Path | None = None) -> RunningMarketplace:
    """Start it on `settings.port`, which must be given, and return before it answers.

    Its keys are remembered in `settings.state_dir` and never on a command line.
    `stack_dir` is the state directory of the stack it belongs to, by default its own.
    """
    keys = remembered_keys(settings.state_dir)
    child = spawn(
        "marketplace",
        [
            *("--boot-seconds", str(settings.boot_seconds)),
            *("--time-scale", str(settings.time_scale)),
            *("--read-lag-seconds", str(settings.read_lag_seconds)),
            *("--credit", str(settings.credit_dollars)),
            *("--image-bytes", str(settings.image_bytes)),
            *("--host-command", json.dumps(settings.host_command)),
            "--rate-limits" if settings.rate_limits else "--no-rate-limits",
        ],
        port=settings.port,
        state_dir=settings.state_dir,
        faults_file=settings.faults_file,
        stack_dir=stack_dir,
    )
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
    marketplace.wait_ready()
    return marketplace
