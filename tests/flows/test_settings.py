"""What a drain does when a person changes its settings."""

import asyncio
from collections.abc import Iterator

import pytest
from prefect.testing.utilities import prefect_test_harness
from pydantic import SecretStr

from blocks.claude import Claude
from blocks.loading import NAME
from flows.analyse import ends_if_changed
from tasks.drains import Drain

CLAUDE = Claude(api_key=SecretStr("a key"))


@pytest.fixture(scope="module")
def prefect() -> Iterator[None]:
    with prefect_test_harness(server_startup_timeout=120):
        yield


async def drain_ends(began_with: Claude | None, *, within_seconds: float) -> bool:
    """Whether a drain for which there is always more to do ends."""
    drain = Drain()

    async def more() -> list[int]:
        await asyncio.sleep(0.01)
        return [1]

    async def work() -> None:
        async with ends_if_changed(drain, began_with, look_seconds=0.1):
            async for _ in drain.batches(more, linger_seconds=0):
                pass

    try:
        await asyncio.wait_for(work(), within_seconds)
    except TimeoutError:
        return False
    return True


async def test_a_drain_goes_on_while_nothing_is_changed_and_ends_when_something_is(
    prefect: None,
) -> None:
    assert not await drain_ends(None, within_seconds=2)
    await CLAUDE.asave(NAME)
    assert await drain_ends(None, within_seconds=300)
    began_with = await Claude.aload(NAME)
    assert not await drain_ends(began_with, within_seconds=2)
    await CLAUDE.model_copy(update={"model": "claude-opus-5-5"}).asave(NAME, overwrite=True)
    assert await drain_ends(began_with, within_seconds=300)
