"""Batches: halved when memory runs out, split when one item is at fault, never mixed up."""

import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_image.engines.doctr.nets import DeviceFailed, OutOfMemory, Pending
from gpu_image.engines.doctr.queues import CropPool, PageQueue
from gpu_image.engines.doctr.stage import IN_A_ROW, Stage

SECONDS = 20.0


class Device:
    """A net that doubles numbers, has room for `room` of them, and chokes on some."""

    def __init__(
        self, room: int = 99, poison: frozenset[int] = frozenset(), error: str = "poison"
    ) -> None:
        self.batches: list[int] = []
        self._room, self._poison, self._error = room, poison, error

    def launch(self, batch: list[int]) -> Pending[int]:
        self.batches.append(len(batch))
        if len(batch) > self._room:
            raise OutOfMemory
        return Pending(batch, None, self._doubled)

    def _doubled(self, batch: list[int]) -> list[int]:
        if self._poison & set(batch):
            raise RuntimeError(self._error)
        return [2 * number for number in batch]


@dataclass
class Run:
    """What came out, what failed, and how large batches are in the end."""

    out: dict[int, int] = field(default_factory=dict[int, int])
    failed: list[int] = field(default_factory=list[int])
    broken: list[Exception] = field(default_factory=list[Exception])
    batch: int = 0


def run(device: Device, numbers: list[int], *, batch: int) -> Run:
    """Give the numbers to a device until all are done or the device is broken."""
    seen = Run()
    ended = threading.Semaphore(0)

    def done(number: int, result: int) -> None:
        seen.out[number] = result
        ended.release()

    def failed(number: int, _: Exception) -> None:
        seen.failed.append(number)
        ended.release()

    def broken(error: Exception) -> None:
        seen.broken.append(error)
        for _ in numbers:
            ended.release()

    queue: PageQueue[int] = PageQueue()
    for number in numbers:
        queue.put(number, urgent=False)
    stage = Stage(
        "doubling", queue, device.launch, done=done, failed=failed, broken=broken, batch=batch
    )
    for _ in numbers:
        assert ended.acquire(timeout=SECONDS)
    stage.close(SECONDS)
    seen.batch = stage.batch
    return seen


@given(room=st.integers(1, 9), count=st.integers(1, 40), batch=st.integers(1, 16))
@settings(max_examples=60, deadline=None)
def test_out_of_memory_makes_batches_smaller_and_loses_nothing(
    room: int, count: int, batch: int
) -> None:
    device = Device(room)
    seen = run(device, list(range(count)), batch=batch)
    assert seen.out == {number: 2 * number for number in range(count)}
    assert seen.failed == seen.broken == []
    if max(device.batches) > room:
        assert seen.batch <= room
    else:
        assert seen.batch == batch


@given(poison=st.frozensets(st.integers(0, 29), max_size=4), batch=st.integers(5, 16))
@settings(max_examples=60, deadline=None)
def test_items_at_fault_fail_alone(poison: frozenset[int], batch: int) -> None:
    # Thirty and some to spare: no batch may by chance hold nothing but poison.
    numbers = [*range(30), *range(100, 110)]
    seen = run(Device(poison=poison), numbers, batch=batch)
    assert sorted(seen.failed) == sorted(poison)
    assert seen.out == {number: 2 * number for number in numbers if number not in poison}
    assert seen.batch == batch, "only memory makes batches smaller"
    assert seen.broken == []


def test_a_device_that_can_nothing_any_more_is_not_the_pages_fault() -> None:
    everything = frozenset(range(99))
    seen = run(Device(poison=everything), [1, 2, 3, 4], batch=4)
    assert len(seen.broken) == 1
    assert seen.failed == [], "nothing is reported of pages that another host can read"
    assert run(Device(room=0), [1, 2, 3], batch=4).broken


def test_a_device_that_fails_one_page_after_the_other_is_broken_after_a_few() -> None:
    seen = run(Device(poison=frozenset(range(99))), list(range(20)), batch=1)
    assert len(seen.broken) == 1
    assert len(seen.failed) < IN_A_ROW


def test_an_error_of_the_device_itself_needs_no_second_try() -> None:
    device = Device(poison=frozenset([3]), error="CUDA error: an illegal memory access")
    seen = run(device, list(range(8)), batch=2)
    assert [type(error) for error in seen.broken] == [DeviceFailed]
    assert 3 not in seen.failed


def test_what_a_failed_launch_held_is_let_go_before_the_next() -> None:
    class Activations:
        pass

    held: list[weakref.ref[Activations]] = []
    alive: list[int] = []

    def launch(batch: list[int]) -> Pending[int]:
        alive.append(sum(one() is not None for one in held))
        activations = Activations()
        held.append(weakref.ref(activations))
        if len(batch) > 1:
            raise OutOfMemory
        return Pending(batch, None, list)

    device = Device()
    device.launch = launch
    assert run(device, list(range(8)), batch=8).broken == []
    assert max(alive) == 0


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
