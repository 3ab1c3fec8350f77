"""How a rehearsal of Telegram behaves, chosen once when it starts."""

from dataclasses import dataclass
from pathlib import Path

NOTICE = "rehearsal, no messages"
"""Shown wherever a person might take this for the real API."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What can be chosen."""

    state_dir: Path
    port: int = 0
    first_repeat_seconds: float = 0.2
    """Before an update is delivered again that was not taken; then longer each time."""
    longest_repeat_seconds: float = 2.0
    delivery_seconds: float = 10.0
    """How long a webhook may take to answer."""
    faults_file: Path | None = None
    keeps_state: bool = True
    """Whether the state directory is kept when the rehearsal stops."""
