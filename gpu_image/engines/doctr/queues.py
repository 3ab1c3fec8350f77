"""What waits for a net, and in which batches it goes there.

    PageQueue   pages for detection or orientation: whatever waits goes, as much as fits
    CropPool    crops of all pages for the recogniser: only of one width, and a full batch
                if one can be had by waiting

Urgent pages go first in both. Closing a queue lets the thread that takes from it end.
"""

import heapq
import itertools
import threading
from collections.abc import Iterable, Sequence
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")

MARGIN = 8
"""Columns left black behind a crop, at the least, unless it fills the widest strip."""


class BatchQueue(Protocol[T]):
    """Where a net's thread gets its batches."""

    def take(self, most: int, *, wait: bool) -> list[T] | None:
        """Up to `most` items; [] if none are due and `wait` is false; None once closed."""
        ...

    def close(self) -> None:
        """Let `take` return None."""
        ...


class PageQueue(Generic[T]):
    """Items by urgency, then in the order in which they came."""

    def __init__(self) -> None:
        self._heap: list[tuple[bool, int, T]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._closed = False

    def put(self, item: T, *, urgent: bool) -> None:
        """Let it wait."""
        with self._changed:
            heapq.heappush(self._heap, (not urgent, next(self._numbers), item))
            self._changed.notify()

    def take(self, most: int, *, wait: bool) -> list[T] | None:
        """Whatever waits: while a batch is computed the next one gathers by itself."""
        with self._changed:
            while wait and not self._heap and not self._closed:
                self._changed.wait()
            if self._closed:
                return None
            count = min(most, len(self._heap))
            return [heapq.heappop(self._heap)[2] for _ in range(count)]

    def close(self) -> None:
        """Let `take` return None."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class CropPool(Generic[T]):
    """Crops by width. Knows of the pages whose crops are still to come.

    Every page is announced by `expect`, and later either its crops are `put` or it is
    given up: that is how the pool knows when waiting for a full batch is in vain.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        self._widths = sorted(widths)
        self._heaps: dict[int, list[tuple[bool, int, T]]] = {width: [] for width in self._widths}
        self._numbers = itertools.count()
        self._expected = 0
        self._changed = threading.Condition()
        self._closed = False

    def wide_enough(self, width: int) -> int:
        """The least of the widths that leaves room for what is behind a crop's text.

        A recogniser is used to seeing where a word ends.
        """
        wanted = min(width + MARGIN, self._widths[-1])
        return next(wide for wide in self._widths if wide >= wanted)

    def expect(self) -> None:
        """A page is on its way."""
        with self._changed:
            self._expected += 1

    def give_up(self) -> None:
        """A page that was on its way will bring no crops."""
        self.put((), urgent=False)

    def put(self, crops: Iterable[tuple[int, T]], *, urgent: bool) -> None:
        """A page's crops, each with its width."""
        with self._changed:
            self._expected -= 1
            for width, crop in crops:
                heap = self._heaps[self.wide_enough(width)]
                heapq.heappush(heap, (not urgent, next(self._numbers), crop))
            self._changed.notify()

    def take(self, most: int, *, wait: bool) -> list[T] | None:
        """A batch of crops of one width.

        Full, unless one of an urgent page waits, or no page is on its way that could fill it.
        """
        with self._changed:
            while (heap := self._due(most)) is None and wait and not self._closed:
                self._changed.wait()
            if self._closed:
                return None
            if heap is None:
                return []
            return [heapq.heappop(heap)[2] for _ in range(min(most, len(heap)))]

    def close(self) -> None:
        """Let `take` return None."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _due(self, most: int) -> list[tuple[bool, int, T]] | None:
        filled = [heap for heap in self._heaps.values() if heap]
        first = min(filled, key=lambda heap: heap[0][:2], default=None)
        if first is None or self._expected == 0 or not first[0][0]:
            return first
        return next((heap for heap in filled if len(heap) >= most), None)
