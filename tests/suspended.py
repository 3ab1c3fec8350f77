"""Processes that stand still, so that what a test does comes in the middle of their work."""

from collections.abc import Generator
from contextlib import contextmanager, suppress

import psutil


@contextmanager
def suspended(pid: int) -> Generator[None]:
    """Stop a process and its descendants; let those that are left go on afterwards."""
    process = psutil.Process(pid)
    process.suspend()
    # The children of a process that stands still are all there will be.
    family = [process, *process.children(recursive=True)]
    for each in family[1:]:
        with suppress(psutil.NoSuchProcess):
            each.suspend()
    try:
        yield
    finally:
        for each in family:
            with suppress(psutil.NoSuchProcess):
                each.resume()
