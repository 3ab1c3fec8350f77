"""Starting a rehearsal as a child process, as the embedded stack and tests do."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stack.processes import Child, http_get, plain_environment

READY_SECONDS = 120.0
STOP_SECONDS = 15.0
_CODE = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True, slots=True)
class RunningRehearsal:
    """A started rehearsal: its process and its address."""

    child: Child
    url: str

    def wait_ready(self) -> None:
        """Wait until it answers; stop it if it does not.

        Raises:
            Misconfigured: it ended; the message says why.
            RetryLater: it did not answer in time.
        """
        try:
            self.child.wait_ready(READY_SECONDS)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop it and whatever it started. Safe to call twice."""
        self.child.stop()

    def kill(self) -> None:
        """SIGKILL it, as a power cut would; what it started dies with it."""
        self.child.kill()


def spawn(
    name: str,
    options: Sequence[str],
    *,
    port: int,
    state_dir: Path,
    faults_file: Path | None,
    stack_dir: Path | None,
) -> Child:
    """Start `python -m stack.{name}` with the options every rehearsal has and these.

    It may not answer yet. `stack_dir` is the state directory of the stack it belongs to,
    by default its own.
    """
    child = Child(
        name,
        [
            *(sys.executable, "-m", f"stack.{name}"),
            *("--port", str(port), "--state-dir", str(state_dir)),
            *options,
            *(() if faults_file is None else ("--faults", str(faults_file))),
        ],
        state_dir=state_dir if stack_dir is None else stack_dir,
        env=plain_environment(),
        cwd=_CODE,
        stop_seconds=STOP_SECONDS,
        is_ready=lambda: http_get(port, "/rehearsal/health") is not None,
    )
    child.start()
    return child
