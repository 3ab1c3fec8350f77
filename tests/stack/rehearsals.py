"""What the tests of both rehearsals need."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx
import pytest


def keep_files_together(items: Sequence[pytest.Item], folder: Path) -> None:
    """Send each file of a folder to one worker: its tests share a server."""
    for item in items:
        if folder == item.path.parent:
            item.add_marker(pytest.mark.xdist_group(f"{folder.name}-{item.path.stem}"))


def client_with(key: str, url: str) -> httpx.Client:
    """A client that sends a key as bearer token."""
    return httpx.Client(
        base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=20, trust_env=False
    )


def wait_until(holds: Callable[[], bool], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)
