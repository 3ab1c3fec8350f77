"""A thread that feeds one net: batches in, one result for each item out.

Two batches are on the device at a time, so that it need not wait while results are taken
off it. A batch that fails is halved until what fails is one item: that is the item's failure.
If it was memory that ran out, later batches stay as small as the one that fit.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from gpu_image.engines.doctr.nets import OutOfMemory, Pending
from gpu_image.engines.doctr.queues import BatchQueue

ON_DEVICE = 2

Item = TypeVar("Item")
Out = TypeVar("Out")
Handed = TypeVar("Handed")

_log = logging.getLogger(__name__)


class Stage(Generic[Item, Out]):
    """Takes from `queue`, computes by `launch`, and hands on to `done` or `failed`.

    `done` and `failed` are called once for each item, from the stage's thread.
    """

    def __init__(
        self,
        name: str,
        queue: BatchQueue[Item],
        launch: Callable[[list[Item]], Pending[Out]],
        done: Callable[[Item, Out], None],
        failed: Callable[[Item, Exception], None],
        *,
        batch: int,
    ) -> None:
        self.batch = batch
        self._queue, self._launch, self._done, self._failed = queue, launch, done, failed
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def close(self, seconds: float) -> None:
        """Stop after what is on the device; wait for it so long."""
        self._queue.close()
        self._thread.join(seconds)

    def _run(self) -> None:
        on_device: deque[tuple[list[Item], Pending[Out] | Exception]] = deque()
        while (batch := self._queue.take(self.batch, wait=not on_device)) is not None:
            if batch:
                on_device.append((batch, self._launched(batch)))
            if len(on_device) == ON_DEVICE or not batch:
                self._collect(*on_device.popleft())

    def _launched(self, batch: list[Item]) -> Pending[Out] | Exception:
        try:
            return self._launch(batch)
        except Exception as error:  # noqa: BLE001 - told to whom it concerns by `_collect`
            return error

    def _collect(self, batch: list[Item], launched: Pending[Out] | Exception) -> None:
        results = launched if isinstance(launched, Exception) else _result(launched)
        if isinstance(results, Exception):
            self._halve(batch, results)
            return
        for item, result in zip(batch, results, strict=True):
            self._hand_on(self._done, item, result)

    def _halve(self, batch: list[Item], error: Exception) -> None:
        middle = len(batch) // 2
        if isinstance(error, OutOfMemory) and middle:
            self.batch = min(self.batch, middle)
            _log.warning("out of memory: batches of %d from now on", self.batch)
        if not middle:
            self._hand_on(self._failed, batch[0], error)
            return
        for half in (batch[:middle], batch[middle:]):
            self._collect(half, self._launched(half))

    def _hand_on(self, to: Callable[[Item, Handed], None], item: Item, what: Handed) -> None:
        try:
            to(item, what)
        except Exception:  # noqa: BLE001 - a bug of ours; the other items must still arrive
            _log.exception("a result was not taken")


def _result(pending: Pending[Out]) -> list[Out] | Exception:
    try:
        return pending.result()
    except Exception as error:  # noqa: BLE001 - one item must not cost the others
        return error
