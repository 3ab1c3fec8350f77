"""The prompt cache: beginnings of prompts that were read before.

A prompt is cached up to each of its breakpoints, if that much has the least length the
model caches. A later prompt reads the longest beginning that is still cached and ends at
one of its breakpoints, or at most 19 blocks before one. A use makes an entry young again.
It lives in memory: a restart forgets it.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from stack.claude.clock import MICROSECONDS
from stack.claude.layout import Segment
from stack.claude.models import Model

LOOKED_BACK = 20
"""How many blocks are tried for every breakpoint, its own included."""

Lifetime = Literal["5m", "1h"]
_LIFETIMES_US = {"5m": 300 * MICROSECONDS, "1h": 3_600 * MICROSECONDS}


@dataclass(frozen=True, slots=True)
class CacheUse:
    """How a prompt's tokens are billed; the four are all of them."""

    read_tokens: int
    written_5m_tokens: int
    written_1h_tokens: int
    plain_tokens: int


@dataclass(slots=True)
class _Entry:
    lifetime: Lifetime
    dies_us: int


class PromptCache:
    """What every account has cached."""

    def __init__(self, now_us: Callable[[], int]) -> None:
        self._now_us = now_us
        self._entries: dict[bytes, _Entry] = {}

    def use(self, account: str, model: Model, segments: Sequence[Segment]) -> CacheUse:
        """Read what is cached of a prompt, and cache it up to its breakpoints."""
        keys = list(_keys(account, segments))
        ends = list(accumulate(segment.tokens for segment in segments))
        breakpoints: list[tuple[int, Lifetime]] = [
            (position, segment.cache_control.ttl)
            for position, segment in enumerate(segments)
            if segment.cache_control is not None and ends[position] >= model.least_cached_tokens
        ]
        read_tokens = self._read([position for position, _ in breakpoints], keys, ends)
        written: dict[Lifetime, int] = {"5m": 0, "1h": 0}
        cached_tokens = read_tokens
        for position, lifetime in breakpoints:
            written[lifetime] += max(0, ends[position] - cached_tokens)
            cached_tokens = max(cached_tokens, ends[position])
            self._write(keys[position], lifetime)
        return CacheUse(read_tokens, written["5m"], written["1h"], ends[-1] - cached_tokens)

    def _read(self, breakpoints: Sequence[int], keys: Sequence[bytes], ends: Sequence[int]) -> int:
        for position in reversed(breakpoints):
            for tried in range(position, max(-1, position - LOOKED_BACK), -1):
                entry = self._entries.get(keys[tried])
                if entry is not None and entry.dies_us > self._now_us():
                    self._write(keys[tried], entry.lifetime)
                    return ends[tried]
        return 0

    def _write(self, key: bytes, lifetime: Lifetime) -> None:
        self._entries[key] = _Entry(lifetime, self._now_us() + _LIFETIMES_US[lifetime])


def _keys(account: str, segments: Sequence[Segment]) -> Iterator[bytes]:
    """What names the prompt up to and including each segment."""
    digest = hashlib.sha256(account.encode())
    for segment in segments:
        digest.update(segment.fingerprint)
        yield digest.digest()
