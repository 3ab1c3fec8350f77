"""A host on this machine: a process tree, found again after a restart by its identity.

The identity is machine name, process id and start time, so that a number the system
has given to another process meanwhile is never mistaken for ours.
"""

import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

KILL_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class LocalProcess:
    """A process on a machine, by an identity that is never used twice."""

    machine: str
    pid: int
    started_milliseconds: int

    def __str__(self) -> str:
        return f"{self.machine}:{self.pid}:{self.started_milliseconds}"

    @classmethod
    def parse(cls, text: str) -> "LocalProcess | None":
        """Read an identity back; None if it is not one of ours."""
        match text.rsplit(":", 2):
            case [machine, pid, started] if pid.isdigit() and started.isdigit():
                return cls(machine, int(pid), int(started))
            case _:
                return None

    @property
    def is_here(self) -> bool:
        """Whether it belongs to this machine."""
        return self.machine == platform.node()

    def find(self) -> psutil.Process | None:
        """The living process; None when it is gone (or a zombie that nobody has reaped)."""
        try:
            process = psutil.Process(self.pid)
            same = round(process.create_time() * 1000) == self.started_milliseconds
            alive = same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return None
        return process if alive else None

    def kill(self) -> bool:
        """Kill it with everything it started; False if it was gone already."""
        process = self.find()
        if process is None:
            return False
        try:
            tree = [*process.children(recursive=True), process]
        except psutil.NoSuchProcess:
            return False
        for one in tree:
            try:
                one.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(tree, timeout=KILL_SECONDS)
        return True


def start_process(
    environment: dict[str, str], log: Path | None
) -> tuple[LocalProcess, "subprocess.Popen[bytes]"]:
    """Start the host's entrypoint with exactly `environment`; output goes to `log`, if given."""
    argv = [sys.executable, "-m", "gpu_image.entrypoint"]
    if log is None:
        popen = subprocess.Popen(argv, env=environment, start_new_session=True)
    else:
        with log.open("ab") as output:
            popen = subprocess.Popen(
                argv, env=environment, start_new_session=True, stdout=output, stderr=output
            )
    started = psutil.Process(popen.pid).create_time()
    return LocalProcess(platform.node(), popen.pid, round(started * 1000)), popen
