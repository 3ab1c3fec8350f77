"""How hostile bytes are read: by a process of its own, that knows no secret and has its limits.

Whoever parses files runs as a program of this project (`python -m …`) with an environment
of two harmless names, and limits itself before it opens anything. What crashes, hangs or
asks for more memory than it may have then ends that process alone.
"""

import os
import resource
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict

_CODE = Path(__file__).resolve().parents[1]


class Surroundings(TypedDict):
    """Where a confined program runs, as arguments of `create_subprocess_exec`."""

    cwd: Path
    env: Mapping[str, str]


def program(module: str, *arguments: str) -> Sequence[str]:
    """The command that runs a module of this project."""
    return (sys.executable, "-m", module, *arguments)


def surroundings() -> Surroundings:
    """Nothing of the caller's: what reads hostile files knows no secret."""
    return {
        "cwd": _CODE,
        "env": {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"},
    }


def limit_memory(memory_bytes: int) -> None:
    """Let this process have no more address space than that, for good; and leave no core."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def limit_file_size(file_bytes: int) -> None:
    """Let this process write no file larger than that: beyond, a write fails."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))


def limit_seconds(cpu_seconds: int, wall_seconds: int) -> None:
    """End this process when it computes for so long from now on, or so much time passes."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    spent = int(used.ru_utime + used.ru_stime) + 1
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (spent + cpu_seconds, hard))
    signal.alarm(wall_seconds)


def limit_no_seconds() -> None:
    """The work is done: time passes freely again."""
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (hard, hard))
    signal.alarm(0)
