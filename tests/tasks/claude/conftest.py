"""A house, and a rehearsal of Claude, shared by the tests of a file."""

from collections.abc import AsyncGenerator, Iterator, Sequence
from pathlib import Path

import pytest

from sql.connection import make_pool
from tests.sql.house import House
from tests.stack.claude.conftest import Site, open_claude, open_site, settings_in, site
from tests.stack.rehearsals import keep_files_together
from tests.tasks.claude.office import Office, storage_nowhere

__all__ = ["open_claude", "site"]

ANSWERER = "tests.tasks.claude.answerers:FormFiller"


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Send each file to one worker: its tests share a server."""
    keep_files_together(items, Path(__file__).parent)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The rehearsal of this module."""
    running = open_site(settings_in(tmp_path_factory.mktemp("claude"), answerer=ANSWERER))
    yield running
    running.running.stop()


@pytest.fixture
async def office(house: House, site: Site) -> AsyncGenerator[Office]:
    """Documents, and Claude to analyse them."""
    async with make_pool(house.app_dsn, max_size=8) as pool:
        yield Office(house, site, pool, storage_nowhere())
