"""Starting the rehearsal as a child process, as the embedded stack and tests do."""

from dataclasses import dataclass, field
from pathlib import Path

from stack.claude.books import remembered_keys
from stack.claude.settings import Settings
from stack.rehearsal.starting import RunningRehearsal, spawn


@dataclass(frozen=True, slots=True)
class RunningClaude(RunningRehearsal):
    """A started rehearsal: its process, its address, its keys.

    `other_api_key` is that of another account, which sees none of the first one's batches.
    """

    api_key: str = field(repr=False)
    other_api_key: str = field(repr=False)
    rehearsal_key: str = field(repr=False)


def spawn_claude(settings: Settings, *, stack_dir: Path | None = None) -> RunningClaude:
    """Start it on `settings.port`, which must be given, and return before it answers.

    Its keys are remembered in `settings.state_dir` and never on a command line.
    `stack_dir` is the state directory of the stack it belongs to, by default its own.
    """
    keys = remembered_keys(settings.state_dir)
    child = spawn(
        "claude",
        [
            *("--batch-seconds", str(settings.batch_seconds)),
            *("--answer-seconds", str(settings.answer_seconds)),
            *("--time-scale", str(settings.time_scale)),
            *("--answerer", settings.answerer),
            *("--fault-seed", str(settings.fault_seed)),
        ],
        port=settings.port,
        state_dir=settings.state_dir,
        faults_file=settings.faults_file,
        stack_dir=stack_dir,
    )
    return RunningClaude(
        child,
        f"http://127.0.0.1:{settings.port}",
        keys.api_key,
        keys.other_api_key,
        keys.rehearsal_key,
    )


def start_claude(settings: Settings, *, stack_dir: Path | None = None) -> RunningClaude:
    """As `spawn_claude`, and wait until it answers.

    Raises:
        Misconfigured: it ended; the message says why.
        RetryLater: it did not answer in time.
    """
    claude = spawn_claude(settings, stack_dir=stack_dir)
    claude.wait_ready()
    return claude
