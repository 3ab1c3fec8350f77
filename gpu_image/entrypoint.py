"""What a host runs: one flow run in a private home that is wiped at the end.

`python -m gpu_image.entrypoint` takes everything from its environment. It starts
Prefect's engine for `PREFECT__FLOW_RUN_ID`, waits for it, and makes sure that nothing
is left: no process (the engine dies with this one, even if this one is killed), no
file (home, temporary files and Prefect's state all lie in one folder; one whose
process was killed is wiped by the next to start).
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


def main() -> int:
    """Run the flow run; return the engine's exit code, or 128 + signal when told to stop."""
    _wipe_homes_of_the_dead()
    home = tempfile.mkdtemp(prefix=f"{HOME_PREFIX}{os.getpid()}-")

    def stop(number: int, _frame: FrameType | None) -> None:
        _kill_descendants()
        shutil.rmtree(home, ignore_errors=True)
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    environment = os.environ | {
        "HOME": home,
        "TMPDIR": home,
        "PREFECT_HOME": home,
        "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", home),
    }
    try:
        return subprocess.run(
            [sys.executable, "-m", "prefect.engine"],
            env=environment,
            cwd=home,
            check=False,
            preexec_fn=_die_with_parent,
        ).returncode
    finally:
        _kill_descendants()
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
