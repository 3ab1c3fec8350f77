"""An object store of its own for what the program does with the bucket."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from pydantic import SecretStr

from blocks.object_storage import ObjectStorage, make_credentials
from stack.object_store import PORT_NAMES, REGION, prepare_bucket, spawn_object_store
from stack.servers import reserve_ports

BUCKET = "aseagi"


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Run what uses a server beside no other test that starts some: two cores are soon busy."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents and "storage" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("servers"))


@pytest.fixture(scope="package")
def storage() -> Iterator[ObjectStorage]:
    """A real, empty bucket."""
    folder = Path(tempfile.mkdtemp(prefix="aseagi-cli-"))
    store = spawn_object_store(folder / "s3", reserve_ports(folder, PORT_NAMES), bucket=BUCKET)
    try:
        store.child.wait_ready(60)
        prepare_bucket(store.client(), BUCKET)
        credentials = make_credentials(
            endpoint_url=store.endpoint_url,
            region=REGION,
            access_key=store.access_key,
            secret_key=SecretStr(store.secret_key),
        )
        yield ObjectStorage(credentials=credentials, bucket=BUCKET)
    finally:
        store.stop()
        shutil.rmtree(folder, ignore_errors=True)
