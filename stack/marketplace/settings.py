"""How a rehearsal marketplace behaves, chosen once when it starts."""

import sys
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

HOST_COMMAND = (sys.executable, "-m", "gpu_image.entrypoint")

NOTICE = "rehearsal, no money"
"""Shown wherever a person might take this marketplace for the real one."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What can be chosen. Seconds are those of the market's clock unless said otherwise."""

    state_dir: Path
    port: int = 0
    boot_seconds: float = 2.0
    """From the answer to a create until the instance runs."""
    time_scale: float = 1.0
    """How many seconds of the market's clock pass in a real one."""
    read_lag_seconds: float = 0.0
    """How far behind the truth a listing and a single read are."""
    rate_limits: bool = True
    credit_dollars: Decimal = Decimal(25)
    """Prepaid credit of the account when its state directory is new."""
    image_bytes: int = 0
    """Billed as download of every boot, as the pull of the image."""
    host_command: tuple[str, ...] = HOST_COMMAND
    faults_file: Path | None = None
    keeps_state: bool = True
    """Whether the state directory is kept when the marketplace stops."""
