"""Where a running stack answers, as other programs find it: `stack.json`, without secrets."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a running stack answers."""

    prefect_ui_url: str
    prefect_api_url: str
    gateway_url: str
    dashboard_url: str
    s3_endpoint_url: str
    log_folder: str


def read_addresses(state_dir: Path) -> Addresses | None:
    """The addresses of the stack in `state_dir`; None when none was started there."""
    try:
        return Addresses(**json.loads((state_dir / "stack.json").read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def write_addresses(state_dir: Path, addresses: Addresses) -> None:
    """Tell other programs where the stack answers."""
    (state_dir / "stack.json").write_text(json.dumps(asdict(addresses), indent=1) + "\n")
