"""Run the gateway: `python -m gateway --port 8300`. Finds everything else in Prefect's blocks."""

import argparse
import contextlib
import os
import sys
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
    parser.add_argument("--spool", type=Path, help="where uploads are kept on their way")
    options = parser.parse_args()
    # Not /tmp, which is memory on many systems; it is opened only if it is our own.
    spool = options.spool or Path("/var/tmp", f"aseagi-{options.port}-{os.getuid()}")  # noqa: S108
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
