"""How many cores this process may really use."""

import math
import os
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def usable_cores(cgroup: Path = _CGROUP) -> int:
    """Cores this process may use, at least 1.

    A container may be lent fewer than the machine has: pinned to some of them, or, as
    marketplaces do, given a share of the time of all (cgroup v2 `cpu.max`, v1 `cpu.cfs_quota_us`).
    """
    return max(1, min(len(os.sched_getaffinity(0)), _quota(cgroup)))


def _quota(cgroup: Path) -> int:
    try:
        quota, period = (cgroup / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (cgroup / "cpu" / "cpu.cfs_quota_us").read_text().strip()
            period = (cgroup / "cpu" / "cpu.cfs_period_us").read_text().strip()
        except OSError:
            return _NO_LIMIT
    if not quota.isdigit() or int(period) <= 0:  # `max`, `-1`
        return _NO_LIMIT
    return math.ceil(int(quota) / int(period))


_NO_LIMIT = 1 << 16
