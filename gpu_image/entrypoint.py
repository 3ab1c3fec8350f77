"""What a host runs: one flow run in a private home that is wiped at the end.

`python -m gpu_image.entrypoint` takes everything from its environment. It starts
Prefect's engine for `PREFECT__FLOW_RUN_ID`, waits for it, and makes sure that nothing
is left: no process (the engine dies with this one, even if this one is killed), no
file (home, temporary files and Prefect's state all lie in one folder; one whose
process was killed is wiped by the next to start), and no rent: a host that was rented
is destroyed (`gpu_image.dead_man`) when the run ends, when its lifetime is over, or
when the gateway has been out of reach for too long, whatever the flow does.
"""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import FrameType

import psutil

from gpu_image import dead_man

STOPPED = 75
"""Exit code of a host that stopped its run: sysexits' EX_TEMPFAIL."""

HOME_PREFIX = "aseagi-host-"

PR_SET_PDEATHSIG = 1
"""prctl(2): the signal a process gets when its parent dies."""


def _die_with_parent() -> None:
    """Ask Linux to kill this process when its parent is gone; elsewhere, do nothing."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _kill_descendants() -> None:
    children = psutil.Process().children(recursive=True)
    for child in children:
        try:
            child.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(children, timeout=5)


def _wipe_homes_of_the_dead() -> None:
    """Delete homes whose process was killed before it could; they may hold documents."""
    for home in Path(tempfile.gettempdir()).glob(f"{HOME_PREFIX}*"):
        pid = home.name.removeprefix(HOME_PREFIX).partition("-")[0]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(home, ignore_errors=True)


class _Supervisor:
    """Runs the engine, and ends it when told to stop.

    A signal only takes notes and kills the engine: an exception raised from a signal
    handler is lost when it meets a finaliser.
    """

    def __init__(self) -> None:
        self._signal: int | None = None
        self._engine: subprocess.Popen[bytes] | None = None

    def stop(self, number: int, _frame: FrameType | None) -> None:
        """Handle SIGTERM and SIGINT."""
        self._signal = number
        if self._engine is not None:
            self._engine.kill()

    def run(self, home: str) -> int:
        """Run the flow run until it ends or has to be stopped; return the exit code."""
        environment = {
            name: value
            for name, value in os.environ.items()
            # The key to the instance is this process's alone.
            if name != dead_man.INSTANCE_KEY
        } | {
            "HOME": home,
            "TMPDIR": home,
            "PREFECT_HOME": home,
            "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", home),
        }
        switch = dead_man.DeadMan.from_environment(os.environ)
        self._engine = subprocess.Popen(
            [sys.executable, "-m", "prefect.engine"],
            env=environment,
            cwd=home,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - this process has one thread
        )
        while self._signal is None:
            try:
                code = self._engine.wait(switch.look_again_seconds)
            except subprocess.TimeoutExpired:
                reason = switch.reason_to_stop()
            else:
                return code if self._signal is None else 128 + self._signal
            if reason is not None:
                print(f"The host stops: {reason}.", file=sys.stderr, flush=True)  # noqa: T201 - its log
                return STOPPED
        return 128 + self._signal


def main() -> int:
    """Run the flow run; return the engine's exit code, `STOPPED`, or 128 + signal."""
    _wipe_homes_of_the_dead()
    home = tempfile.mkdtemp(prefix=f"{HOME_PREFIX}{os.getpid()}-")
    supervisor = _Supervisor()
    signal.signal(signal.SIGTERM, supervisor.stop)
    signal.signal(signal.SIGINT, supervisor.stop)
    try:
        return supervisor.run(home)
    finally:
        _kill_descendants()
        shutil.rmtree(home, ignore_errors=True)
        dead_man.destroy_own_instance()


if __name__ == "__main__":
    sys.exit(main())
