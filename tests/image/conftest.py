"""What a host has installed, and what its image is built from."""

from pathlib import Path

import pytest
from docker.utils.build import exclude_paths

HOME = Path(__file__).parents[2]
DOCKERFILE = "gpu_image/Dockerfile"


@pytest.fixture(scope="session")
def context() -> frozenset[str]:
    """The files that a builder is handed, chosen by Docker's own reading of .dockerignore."""
    lines = (HOME / ".dockerignore").read_text().splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    chosen = exclude_paths(str(HOME), patterns, dockerfile=DOCKERFILE)
    return frozenset(path for path in chosen if (HOME / path).is_file())
