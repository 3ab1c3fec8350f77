"""Where benches leave their figures: `bench/results/NAME.json`, with machine and commit named."""

import json
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

FOLDER = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value with its unit."""

    value: float
    unit: str


def write_results(name: str, figures: Mapping[str, Figure]) -> Path:
    """Write the figures of one bench; the newest run replaces the one before."""
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{name}.json"
    content = {
        "machine": {
            "cpu": _processor(),
            "cores": psutil.cpu_count(),
            "memory_gigabytes": round(psutil.virtual_memory().total / 1024**3),
            "python": platform.python_version(),
        },
        "commit": _commit(),
        "figures": {key: asdict(figure) for key, figure in figures.items()},
    }
    path.write_text(json.dumps(content, indent=1) + "\n")
    return path


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if "model name" in line), "unknown")


def _commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],  # noqa: S607 - git is found where the person has it
        cwd=FOLDER.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "unknown"
