"""Run the gateway: `python -m gateway --port 8300`. Finds everything else in Prefect's blocks."""

import argparse
import os
import tempfile
from pathlib import Path

import uvicorn

from gateway.app import create_app
from gateway.prefect_events import MAX_EVENT_CHARACTERS


def main() -> None:
    """Serve until stopped; on SIGTERM requests in flight are finished first."""
    parser = argparse.ArgumentParser(prog="python -m gateway", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, required=True, help="port to listen on")
    parser.add_argument("--spool", type=Path, help="folder for uploads on their way")
    options = parser.parse_args()
    spool = options.spool or Path(tempfile.gettempdir(), f"aseagi-{options.port}-{os.getuid()}")
    uvicorn.run(
        create_app(spool_dir=spool),
        host=options.host,
        port=options.port,
        log_level="warning",
        access_log=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=10,
        limit_concurrency=256,
        ws_max_size=MAX_EVENT_CHARACTERS * 2,
    )


if __name__ == "__main__":
    main()
