"""Starting the rehearsal as a child process, as the embedded stack and tests do."""

import sys
from dataclasses import dataclass, field
from pathlib import Path

from stack.claude.books import remembered_keys
from stack.claude.settings import Settings
from stack.processes import Child, http_get, plain_environment

READY_SECONDS = 30.0
STOP_SECONDS = 15.0
_CODE = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True, slots=True)
class RunningClaude:
    """A started rehearsal: its process, its address, its keys.

    `other_api_key` is that of another account, which sees none of the first one's batches.
    """

    child: Child
    url: str
    api_key: str = field(repr=False)
    other_api_key: str = field(repr=False)
    rehearsal_key: str = field(repr=False)

    def stop(self) -> None:
        """Stop it. Safe to call twice."""
        self.child.stop()

    def kill(self) -> None:
        """SIGKILL it, as a power cut would."""
        self.child.kill()


def spawn_claude(settings: Settings, *, stack_dir: Path | None = None) -> RunningClaude:
    """Start it on `settings.port`, which must be given, and return before it answers.

    Its keys are remembered in `settings.state_dir` and never on a command line.
    `stack_dir` is the state directory of the stack it belongs to, by default its own.
    """
    keys = remembered_keys(settings.state_dir)
    child = Child(
        "claude",
        [
            *(sys.executable, "-m", "stack.claude"),
            *("--port", str(settings.port), "--state-dir", str(settings.state_dir)),
            *("--batch-seconds", str(settings.batch_seconds)),
            *("--answer-seconds", str(settings.answer_seconds)),
            *("--time-scale", str(settings.time_scale)),
            *("--answerer", settings.answerer),
            *("--fault-seed", str(settings.fault_seed)),
            *(() if settings.faults_file is None else ("--faults", str(settings.faults_file))),
        ],
        state_dir=settings.state_dir if stack_dir is None else stack_dir,
        env=plain_environment(),
        cwd=_CODE,
        stop_seconds=STOP_SECONDS,
        is_ready=lambda: http_get(settings.port, "/rehearsal/health") is not None,
    )
    child.start()
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
    try:
        claude.child.wait_ready(READY_SECONDS)
    except BaseException:
        claude.stop()
        raise
    return claude
