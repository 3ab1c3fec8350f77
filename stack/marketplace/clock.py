"""The market's clock: how fast billing, booting and read lag run.

The clock is a count of microseconds that only grows. It stands still while the
marketplace is not running, so nothing is billed then, and runs `scale` times as fast
as real time otherwise. Dates shown to clients are real dates, whatever the scale.
"""

import asyncio
import time

MICROSECONDS = 1_000_000


class Clock:
    """Reads the market's clock, beginning at `reading_us`."""

    def __init__(self, *, scale: float = 1.0, reading_us: int = 0) -> None:
        self._scale = scale
        self._reading_us = reading_us
        self._started_at = time.monotonic()

    def now_us(self) -> int:
        """The reading now, in microseconds."""
        passed = time.monotonic() - self._started_at
        return self._reading_us + int(passed * self._scale * MICROSECONDS)

    async def sleep(self, seconds: float) -> None:
        """Wait until so many seconds of this clock have passed."""
        await asyncio.sleep(seconds / self._scale)
