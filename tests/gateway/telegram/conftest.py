"""Telegram at the real gateway: a rehearsal of the Bot API, Postgres and an S3 server.

office     the gateway serves, the webhook is set; nobody is allowed but `office.ada`
"""

import tempfile
from collections.abc import AsyncGenerator, Generator, Iterator, Sequence
from pathlib import Path

import pytest

from sql.connection import make_pool
from stack.object_store import PORT_NAMES, ObjectStore, prepare_bucket, spawn_object_store
from stack.processes import wait_all_ready
from stack.servers import reserve_ports
from tests.gateway.telegram.office import BUCKET, Office
from tests.sql.house import House
from tests.stack.telegram.people import Town, open_town, settings_in


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Send these tests to one worker: they share servers."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("gateway-telegram"))


@pytest.fixture(scope="package")
def object_store() -> Iterator[ObjectStore]:
    """An S3 server with a bucket, whose notifications nobody hears."""
    with tempfile.TemporaryDirectory(prefix="aseagi-s3-") as folder:
        ports = reserve_ports(Path(folder), PORT_NAMES)
        store = spawn_object_store(Path(folder) / "s3", ports, bucket=BUCKET)
        try:
            wait_all_ready([store.child], 60, lambda _: None)
            prepare_bucket(store.client(), BUCKET)
            yield store
        finally:
            store.stop()


@pytest.fixture(scope="package")
def shared_town() -> Generator[Town]:
    with tempfile.TemporaryDirectory(prefix="aseagi-telegram-") as folder:
        town = open_town(settings_in(Path(folder), longest_repeat_seconds=0.4))
        yield town
        town.running.stop()


@pytest.fixture
def town(shared_town: Town) -> Generator[Town]:
    """The rehearsal, afterwards without faults, webhook and updates."""
    yield shared_town
    shared_town.no_faults()
    shared_town.bot("deleteWebhook", drop_pending_updates=True)


@pytest.fixture
async def closed_office(
    house: House, town: Town, object_store: ObjectStore, tmp_path: Path
) -> AsyncGenerator[Office]:
    """An office whose gateway does not serve yet."""
    port = reserve_ports(tmp_path, ("gateway",))["gateway"]
    async with make_pool(house.app_dsn, max_size=4) as pool:
        yield Office(house, town, pool, object_store, port, tmp_path / "spool", town.person())


@pytest.fixture
async def office(closed_office: Office) -> AsyncGenerator[Office]:
    """An office with its gateway open and its webhook set."""
    async with closed_office.open():
        yield closed_office
