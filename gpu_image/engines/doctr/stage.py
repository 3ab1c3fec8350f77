"""A thread that feeds one net: batches in, one result for each item out.

Two batches are on the device at a time, so that it need not wait while results are taken
off it. A batch that fails is halved until what fails is one item: that is the item's failure.
If it was memory that ran out, later batches stay as small as the one that fit. If nothing
of a batch can be computed, it is not the items' fault: the device or its driver is broken, and
with it the engine.
"""

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from gpu_image.engines.doctr.nets import DeviceFailed, OutOfMemory, Pending, told_apart
from gpu_image.engines.doctr.queues import BatchQueue

ON_DEVICE = 2

IN_A_ROW = 3
"""So many single items that fail one after the other are the device's fault, too."""

Item = TypeVar("Item")
Out = TypeVar("Out")


class Stage(Generic[Item, Out]):
    """Takes from `queue`, computes by `launch`, and hands on to `done` or `failed`.

    Each item is handed on once, from the stage's thread, unless the engine is broken: then
    `broken` is called, once, with the reason.
    """

    def __init__(
        self,
        name: str,
        queue: BatchQueue[Item],
        launch: Callable[[list[Item]], Pending[Out]],
        *,
        done: Callable[[Item, Out], None],
        failed: Callable[[Item, Exception], None],
        broken: Callable[[Exception], None],
        batch: int,
    ) -> None:
        self.batch = batch
        self._queue, self._launch = queue, launch
        self._done, self._failed, self._broken = done, failed, broken
        self._failures = 0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def close(self, seconds: float) -> None:
        """Take no more batches; wait so long for the end of the one at work."""
        self._queue.close()
        self._thread.join(seconds)

    def _run(self) -> None:
        on_device: deque[tuple[list[Item], Pending[Out] | Exception]] = deque()
        try:
            while (batch := self._queue.take(self.batch, wait=not on_device)) is not None:
                if batch:
                    on_device.append((batch, self._launched(batch)))
                if len(on_device) == ON_DEVICE or not batch:
                    self._hand_on(self._computed(*on_device.popleft()))
        except Exception as error:  # noqa: BLE001 - whoever waits for a page must hear of it
            self._broken(error)

    def _hand_on(self, outcomes: list[tuple[Item, Out | Exception]]) -> None:
        errors = [outcome for _, outcome in outcomes if isinstance(outcome, Exception)]
        self._failures = self._failures + len(errors) if len(errors) == len(outcomes) else 0
        if any(isinstance(error, DeviceFailed) for error in errors):
            raise errors[0]
        if self._failures >= IN_A_ROW or (errors and len(errors) == len(outcomes) > 1):
            raise errors[0]
        for item, outcome in outcomes:
            if isinstance(outcome, Exception):
                self._failed(item, outcome)
            else:
                self._done(item, outcome)

    def _computed(
        self, batch: list[Item], launched: Pending[Out] | Exception
    ) -> list[tuple[Item, Out | Exception]]:
        """Each item's result, or its own error."""
        results = launched if isinstance(launched, Exception) else _results(launched, len(batch))
        if not isinstance(results, Exception):
            return list(zip(batch, results, strict=True))
        middle = len(batch) // 2
        if isinstance(results, OutOfMemory) and middle:
            self.batch = min(self.batch, middle)
        if not middle:
            return [(batch[0], results)]
        halves = (batch[:middle], batch[middle:])
        return [one for half in halves for one in self._computed(half, self._launched(half))]

    def _launched(self, batch: list[Item]) -> Pending[Out] | Exception:
        try:
            return self._launch(batch)
        except Exception as error:  # noqa: BLE001 - one item must not cost the others
            failure = told_apart(error)
        return failure


def _results(pending: Pending[Out], count: int) -> list[Out] | Exception:
    try:
        results = pending.result()
    except Exception as error:  # noqa: BLE001 - one item must not cost the others
        return told_apart(error)
    return results if len(results) == count else RuntimeError(f"{len(results)} of {count} results")
