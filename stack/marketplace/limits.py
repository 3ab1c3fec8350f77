"""Rate limits: a least interval between calls, per endpoint and per key.

The thresholds are those the real API documents. A refused call does not count,
except where the real one punishes it: a refused create closes that door for 12 s.
Limits run on real time, whatever the market's time scale.
"""

import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `calls` in any `seconds`; after a refusal none for `penalty_seconds`."""

    seconds: float
    calls: int = 1
    penalty_seconds: float = 0.0


LIMITS = {
    "search": Limit(60.0, calls=10),
    "create": Limit(4.5, penalty_seconds=12.0),
    "show": Limit(2.0),
    "list": Limit(1.0),
    "destroy": Limit(3.0),
    "change": Limit(1.0),
    "bid": Limit(5.5),
    "charges": Limit(1.0),
    "invoices": Limit(3.0),
    "balance": Limit(3.0),
}
"""By endpoint. Those not named are not limited."""


class RateLimits:
    """Remembers when each key last called each endpoint."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._calls: defaultdict[tuple[str, str], deque[float]] = defaultdict(deque)
        self._closed_until: dict[tuple[str, str], float] = {}

    def refuse_for(self, endpoint: str, key: str) -> float | None:
        """Count this call and return None, or refuse it: seconds until one may pass."""
        limit = LIMITS.get(endpoint)
        if limit is None:
            return None
        who, now = (endpoint, key), self._now()
        calls = self._calls[who]
        while calls and calls[0] <= now - limit.seconds:
            calls.popleft()
        free_at = self._closed_until.get(who, 0.0)
        if len(calls) >= limit.calls:
            free_at = max(free_at, calls[0] + limit.seconds)
        if free_at <= now:
            calls.append(now)
            return None
        if limit.penalty_seconds:
            self._closed_until[who] = max(free_at, now + limit.penalty_seconds)
            free_at = self._closed_until[who]
        return free_at - now
