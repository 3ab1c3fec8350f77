"""Run the gateway: `python -m gateway --port 8300`. Finds everything else in Prefect's blocks."""

import argparse
import contextlib
import os
import sys
import tempfile
from pathlib import Path

import uvicorn

from gateway import access_log
from gateway.app import create_app
from gateway.server import allow_connections, configured


def main() -> None:
    """Serve until stopped; on SIGTERM requests in flight are finished first."""
    parser = argparse.ArgumentParser(prog="python -m gateway", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, required=True, help="port to listen on")
    parser.add_argument("--spool", type=Path, help="folder for uploads on their way")
    options = parser.parse_args()
    spool = options.spool or Path(tempfile.gettempdir(), f"aseagi-{options.port}-{os.getuid()}")
    allow_connections()
    access_log.write_to_stdout()
    app = create_app(spool_dir=spool)
    server = uvicorn.Server(configured(app, host=options.host, port=options.port))
    with contextlib.suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        sys.exit("The gateway could not start.")


if __name__ == "__main__":
    main()
