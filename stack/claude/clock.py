"""The rehearsal's clock: how fast caches age and batches are processed.

It shows real time when the state directory is new, runs `scale` times as fast as real
time, and can be put forward. It never goes back: after a restart it goes on from where it
was, or from real time if that is later.
"""

import time
from datetime import UTC, datetime

MICROSECONDS = 1_000_000


class Clock:
    """Reads microseconds since 1970; `reading_us` is the last reading that is known."""

    def __init__(self, *, scale: float = 1.0, reading_us: int = 0) -> None:
        self._scale = scale
        self._start_us = max(reading_us, time.time_ns() // 1_000)
        self._started_at = time.monotonic()

    def now_us(self) -> int:
        """The reading now."""
        passed = time.monotonic() - self._started_at
        return self._start_us + int(passed * self._scale * MICROSECONDS)

    def advance(self, seconds: float) -> None:
        """Put it forward."""
        self._start_us += int(seconds * MICROSECONDS)


def date_of(reading_us: int) -> str:
    """A reading as the API writes dates."""
    moment = datetime.fromtimestamp(reading_us / MICROSECONDS, UTC)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
