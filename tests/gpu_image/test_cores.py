"""A container that is lent a share of a large machine does not think it has all of it."""

import os
from pathlib import Path

import pytest

from gpu_image.cores import usable_cores

PINNED = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("limit", "cores"),
    [
        ("max 100000", PINNED),
        ("100000 100000", 1),
        ("50000 100000", 1),
        ("150000 100000", min(2, PINNED)),
        ("99900000 100000", PINNED),
        ("nonsense", PINNED),
    ],
)
def test_a_share_of_time_counts_as_so_many_cores(tmp_path: Path, limit: str, cores: int) -> None:
    (tmp_path / "cpu.max").write_text(f"{limit}\n")
    assert usable_cores(tmp_path) == cores


def test_the_older_kind_of_control_group_is_understood(tmp_path: Path) -> None:
    assert usable_cores(tmp_path) == PINNED
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("-1\n")
    assert usable_cores(tmp_path) == PINNED
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("100000\n")
    assert usable_cores(tmp_path) == 1
