"""Batches: halved when memory runs out, split when one item is at fault, never mixed up."""

import threading
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_image.engines.doctr.nets import OutOfMemory, Pending
from gpu_image.engines.doctr.queues import CropPool, PageQueue
from gpu_image.engines.doctr.stage import Stage

SECONDS = 20.0


class Device:
    """A net that doubles numbers, has room for `room` of them, and chokes on some."""

    def __init__(self, room: int, poison: frozenset[int] = frozenset()) -> None:
        self.batches: list[int] = []
        self._room, self._poison = room, poison

    def launch(self, batch: list[int]) -> Pending[int]:
        self.batches.append(len(batch))
        if len(batch) > self._room:
            raise OutOfMemory
        return Pending(batch, None, self._doubled)

    def _doubled(self, batch: list[int]) -> list[int]:
        if self._poison & set(batch):
            raise ValueError("poison")
        return [2 * number for number in batch]


def run(device: Device, numbers: list[int], *, batch: int) -> tuple[dict[int, int], list[int], int]:
    """What came out, what failed, and how large batches are in the end."""
    out: dict[int, int] = {}
    failed: list[int] = []
    ended = threading.Semaphore(0)

    def done(number: int, result: int) -> None:
        out[number] = result
        ended.release()

    def fail(number: int, _: Exception) -> None:
        failed.append(number)
        ended.release()

    queue: PageQueue[int] = PageQueue()
    for number in numbers:
        queue.put(number, urgent=False)
    stage = Stage("doubling", queue, device.launch, done, fail, batch=batch)
    for _ in numbers:
        assert ended.acquire(timeout=SECONDS)
    stage.close(SECONDS)
    return out, failed, stage.batch


@given(room=st.integers(1, 9), count=st.integers(1, 40), batch=st.integers(1, 16))
@settings(max_examples=60, deadline=None)
def test_out_of_memory_makes_batches_smaller_and_loses_nothing(
    room: int, count: int, batch: int
) -> None:
    device = Device(room)
    out, failed, size = run(device, list(range(count)), batch=batch)
    assert out == {number: 2 * number for number in range(count)}
    assert failed == []
    if max(device.batches) > room:
        assert size <= room
    else:
        assert size == batch


def test_an_item_too_large_by_itself_is_that_items_failure() -> None:
    out, failed, _ = run(Device(room=0), [1, 2, 3], batch=4)
    assert out == {}
    assert sorted(failed) == [1, 2, 3]


@given(
    poison=st.frozensets(st.integers(0, 29), max_size=4),
    batch=st.integers(1, 16),
)
@settings(max_examples=60, deadline=None)
def test_items_at_fault_fail_alone(poison: frozenset[int], batch: int) -> None:
    out, failed, size = run(Device(room=99, poison=poison), list(range(30)), batch=batch)
    assert sorted(failed) == sorted(poison)
    assert out == {number: 2 * number for number in range(30) if number not in poison}
    assert size == batch, "only memory makes batches smaller"


# ── what waits ───────────────────────────────────────────────────────────────────────────────


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), max_size=30), st.integers(1, 20))
@settings(max_examples=100, deadline=None)
def test_crops_go_in_full_batches_unless_waiting_is_vain_or_somebody_waits(
    pages: list[tuple[bool, int]], most: int
) -> None:
    pool: CropPool[tuple[int, int]] = CropPool()
    for _ in pages:
        pool.expect()
    waiting: list[tuple[bool, int, int]] = []
    for number, (urgent, crops) in enumerate(pages):
        if crops == 5:
            pool.give_up()
        else:
            pool.put([(number, index) for index in range(crops)], urgent=urgent)
            waiting += [(not urgent, number, index) for index in range(crops)]
        last = number == len(pages) - 1
        while batch := pool.take(most, wait=False):
            some_urgent = not min(waiting)[0]
            assert len(batch) == most or some_urgent or last
            taken = sorted(waiting)[: len(batch)]
            assert batch == [(page, index) for _, page, index in taken]
            waiting = sorted(waiting)[len(batch) :]
    assert waiting == [], "no page is on its way: nothing may be left behind"


def takes_while_waiting(take: Callable[[], list[int] | None], then: Callable[[], None]) -> object:
    """What a thread gets that waits in `take` while `then` happens."""
    got: list[object] = []
    thread = threading.Thread(target=lambda: got.append(take()))
    thread.start()
    then()
    thread.join(SECONDS)
    return got[0]


def test_a_page_given_up_lets_the_rest_of_a_batch_go() -> None:
    pool: CropPool[int] = CropPool()
    pool.expect()
    pool.expect()
    pool.put([1, 2], urgent=False)
    assert pool.take(9, wait=False) == []
    assert takes_while_waiting(lambda: pool.take(9, wait=True), pool.give_up) == [1, 2]


def test_closing_wakes_who_waits() -> None:
    pool: CropPool[int] = CropPool()
    queue: PageQueue[int] = PageQueue()
    assert takes_while_waiting(lambda: pool.take(9, wait=True), pool.close) is None
    assert takes_while_waiting(lambda: queue.take(9, wait=True), queue.close) is None


def test_an_urgent_page_goes_in_the_next_batch() -> None:
    queue: PageQueue[int] = PageQueue()
    for number in range(6):
        queue.put(number, urgent=False)
    assert queue.take(2, wait=True) == [0, 1]
    queue.put(99, urgent=True)
    assert queue.take(2, wait=True) == [99, 2]
