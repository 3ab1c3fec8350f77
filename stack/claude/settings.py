"""How a rehearsal of Claude behaves, chosen once when it starts."""

from dataclasses import dataclass
from pathlib import Path

NOTICE = "rehearsal, no money"
"""Shown wherever a person might take this for the real API."""

ANSWERER = "stack.claude.filling:SchemaFiller"


@dataclass(frozen=True, slots=True)
class Settings:
    """What can be chosen. Seconds are those of its own clock unless said otherwise."""

    state_dir: Path
    port: int = 0
    batch_seconds: float = 2.0
    """From the creation of a batch until its last request is processed."""
    time_scale: float = 1.0
    """How many seconds of its clock pass in a real one."""
    answer_seconds: float = 0.0
    """How long a message takes, in real seconds."""
    answerer: str = ANSWERER
    """Who answers: `module:name` of an `Answerer` that is made without arguments."""
    faults_file: Path | None = None
    fault_seed: int = 0
    """For faults that strike by probability: the same seed, the same luck."""
    keeps_state: bool = True
    """Whether the state directory is kept when the rehearsal stops."""
