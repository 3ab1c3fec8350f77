"""Worker types of our own. Prefect imports this package in every worker and command,
which registers them; it stays light for that reason."""

from work_pools.local import LocalWorker
from work_pools.vastai.worker import VastWorker

__all__ = ["LocalWorker", "VastWorker"]
