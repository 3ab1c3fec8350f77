"""Find the Prefect API that commands talk to, before Prefect is imported.

`PREFECT_API_URL` wins; else the stack that `aseagi up` started in the state folder.
Everything else is read from Prefect's blocks, so production needs nothing more.
"""

import os
from pathlib import Path

from schema.failures import Misconfigured


def use_stack(state_dir: Path) -> None:
    """Point Prefect's client at the right API. Call before anything imports Prefect.

    Raises `Misconfigured` when there is neither a setting nor a stack.
    """
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("PREFECT_LOGGING_INTERNAL_LEVEL", "ERROR")
    os.environ.setdefault("PREFECT_RESULTS_DEFAULT_SERIALIZER", "json")
    os.environ.setdefault("PREFECT_CLIENT_CSRF_SUPPORT_ENABLED", "false")
    if os.environ.get("PREFECT_API_URL"):
        return
    from stack.addresses import read_addresses

    addresses = read_addresses(state_dir)
    if addresses is None:
        raise Misconfigured(
            f"No stack was started in {state_dir}. Run `aseagi up` there, or set PREFECT_API_URL."
        )
    os.environ["PREFECT_API_URL"] = addresses.prefect_api_url
