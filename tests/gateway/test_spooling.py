"""The spool's folder: one gateway's, empty at its start."""

from contextlib import closing
from pathlib import Path

import pytest

from gateway.spooling import OWN_FOLDER, open_spool
from schema.failures import Misconfigured


def test_a_second_gateway_leaves_the_first_ones_files_alone(tmp_path: Path) -> None:
    with closing(open_spool(tmp_path, storing=1)):
        on_its_way = tmp_path / OWN_FOLDER / "on its way"
        on_its_way.write_bytes(b"half of a body")
        with pytest.raises(Misconfigured, match="Another gateway spools in"):
            open_spool(tmp_path, storing=1)
        assert on_its_way.exists()
    with closing(open_spool(tmp_path, storing=1)):
        assert not on_its_way.exists()
