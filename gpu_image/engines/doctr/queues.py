"""What waits for a net, and in which batches it goes there.

    PageQueue   pages for orientation or detection: whatever waits goes, as much as fits
    CropPool    crops of all pages for the recogniser: a full batch, if waiting can fill it

Urgent pages go first in both. Closing a queue lets the thread that takes from it end.
"""

import heapq
import itertools
import threading
from collections.abc import Iterable
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")


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
    """Crops of all pages. Knows of the pages whose crops are still to come.

    Every page is announced by `expect`, and later either its crops are `put` or it is
    given up: that is how the pool knows when waiting for a full batch is in vain.

    Crops are not sorted by width, though most leave half of their strip black: CRNN reads
    other letters when its strip ends elsewhere (docs/ocr-engine.md).
    """

    def __init__(self) -> None:
        self._heap: list[tuple[bool, int, T]] = []
        self._numbers = itertools.count()
        self._expected = 0
        self._changed = threading.Condition()
        self._closed = False

    def expect(self) -> None:
        """A page is on its way."""
        with self._changed:
            self._expected += 1

    def give_up(self) -> None:
        """A page that was on its way will bring no crops."""
        self.put((), urgent=False)

    def put(self, crops: Iterable[T], *, urgent: bool) -> None:
        """All crops of a page."""
        with self._changed:
            self._expected -= 1
            for crop in crops:
                heapq.heappush(self._heap, (not urgent, next(self._numbers), crop))
            self._changed.notify()

    def take(self, most: int, *, wait: bool) -> list[T] | None:
        """A full batch, unless an urgent crop waits or no page is on its way to fill it."""
        with self._changed:
            while wait and not self._due(most) and not self._closed:
                self._changed.wait()
            if self._closed:
                return None
            count = min(most, len(self._heap)) if self._due(most) else 0
            return [heapq.heappop(self._heap)[2] for _ in range(count)]

    def close(self) -> None:
        """Let `take` return None."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _due(self, most: int) -> bool:
        if not self._heap:
            return False
        urgent = not self._heap[0][0]
        return urgent or self._expected == 0 or len(self._heap) >= most
