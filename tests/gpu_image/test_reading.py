"""Several leases at once: how many, and what happens to the others when one fails."""

import asyncio

import pytest

from gpu_image.reading import several_at_once
from gpu_image.usage import watched

SECONDS = 10.0


class Lease:
    """A lease that is read until told to stop."""

    def __init__(self) -> None:
        self.begun, self.end = asyncio.Event(), asyncio.Event()
        self.cancelled = False

    async def read(self) -> None:
        self.begun.set()
        try:
            await asyncio.wait_for(self.end.wait(), SECONDS)
        except asyncio.CancelledError:
            self.cancelled = True
            raise


async def test_one_at_a_time_means_that_starting_waits_for_the_end() -> None:
    lease = Lease()
    async with several_at_once(1) as start:
        starting = asyncio.create_task(start(lease.read()))
        await asyncio.wait_for(lease.begun.wait(), SECONDS)
        assert not starting.done()
        lease.end.set()
        await asyncio.wait_for(starting, SECONDS)


async def test_starting_waits_only_when_one_more_would_be_too_many() -> None:
    leases = [Lease() for _ in range(3)]
    async with several_at_once(3) as start:
        for lease in leases[:2]:
            await asyncio.wait_for(start(lease.read()), SECONDS)
        third = asyncio.create_task(start(leases[2].read()))
        await asyncio.wait_for(leases[2].begun.wait(), SECONDS)
        assert not third.done()
        leases[0].end.set()
        await asyncio.wait_for(third, SECONDS)
        for lease in leases:
            lease.end.set()


async def test_a_lease_that_fails_ends_the_others_and_its_error_is_told() -> None:
    lease = Lease()

    async def fail() -> None:
        await lease.begun.wait()
        raise ConnectionError("the gateway is gone")

    async def session() -> None:
        async with several_at_once(3) as start:
            await start(lease.read())
            await start(fail())
            await asyncio.sleep(SECONDS)

    with pytest.raises(ConnectionError, match="the gateway is gone"):
        await session()
    assert lease.cancelled


async def test_an_error_of_the_session_itself_is_told_as_it_is() -> None:
    lease = Lease()

    async def session() -> None:
        async with several_at_once(2) as start:
            await start(lease.read())
            await asyncio.wait_for(lease.begun.wait(), SECONDS)
            raise PermissionError

    with pytest.raises(PermissionError):
        await session()
    assert lease.cancelled


async def test_what_a_host_uses_is_seen_and_without_a_gpu_nothing_is_said_of_one() -> None:
    async with watched() as usage:
        pass
    assert usage.host_peak_bytes > 10e6
    if usage.gpu_looks == 0:
        assert usage.gpu_busy is None
