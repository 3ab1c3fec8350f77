"""The Prefect server of the embedded stack: API, services and UI in one child process.

It is started through uvicorn, as `prefect server start --workers` does, because the
`prefect` program first imports every installed collection, about a second of work.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from stack.postgres import Postgres
from stack.processes import Child, http_get, plain_environment

READY_SECONDS = 120
DATABASE = "prefect"

_DAY_SECONDS = 86_400


@dataclass(frozen=True)
class PrefectServer:
    """A started server and its addresses."""

    child: Child
    ui_url: str

    @property
    def api_url(self) -> str:
        """What `PREFECT_API_URL` is set to in programs that use this server."""
        return f"{self.ui_url}/api"

    def stop(self) -> None:
        """Stop the server; runs and their states stay in Postgres."""
        self.child.stop()


def spawn_prefect_server(
    directory: Path, postgres: Postgres, port: int, *, state_dir: Path | None = None
) -> PrefectServer:
    """Start the server on its own database in `postgres`, and return before it is ready.

    `directory` becomes its `PREFECT_HOME`, so no profile of the person who starts it
    plays in; `state_dir` is the stack's state directory, by default the parent of
    `directory`. The first start creates the tables and takes twice as long.
    """
    directory = directory.absolute()
    state_dir = directory.parent if state_dir is None else state_dir
    directory.mkdir(parents=True, exist_ok=True)
    postgres.create_database_if_missing(DATABASE)
    ui_url = f"http://127.0.0.1:{port}"
    child = Child(
        "prefect",
        [
            sys.executable,
            "-m",
            "uvicorn",
            "--factory",
            "prefect.server.api.server:create_app",
            "--host=127.0.0.1",
            f"--port={port}",
            "--timeout-keep-alive=5",
            "--timeout-graceful-shutdown=3",
            "--log-level=warning",
        ],
        state_dir=state_dir,
        env={**plain_environment(), **_settings(directory, postgres, ui_url)},
        cwd=directory,
        is_ready=lambda: http_get(port, "/api/health") is not None,
    )
    child.start()
    return PrefectServer(child, ui_url)


def _settings(directory: Path, postgres: Postgres, ui_url: str) -> dict[str, str]:
    services = {
        # Without these each event and each task-run state is a transaction of its own.
        "TASK_RUN_RECORDER_BATCH_SIZE": "100",
        "TASK_RUN_RECORDER_READ_BATCH_SIZE": "100",
        "TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
        "EVENT_PERSISTER_BATCH_SIZE": "100",
        "EVENT_PERSISTER_READ_BATCH_SIZE": "100",
        "TRIGGERS_READ_BATCH_SIZE": "100",
        # Runs are kept for two weeks; without this, for ever.
        "DB_VACUUM_ENABLED": "events,flow_runs",
        "DB_VACUUM_RETENTION_PERIOD": str(14 * _DAY_SECONDS),
        "DB_VACUUM_LOOP_SECONDS": "3600",
        "DB_VACUUM_BATCH_SIZE": "200",
    }
    return {
        "PREFECT_HOME": str(directory),
        "PREFECT__SERVER_FINAL": "1",
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": postgres.sqlalchemy_url(DATABASE),
        # Prefect's 5 and 10 seconds are too few for its own migrations on a busy machine.
        "PREFECT_SERVER_DATABASE_CONNECTION_TIMEOUT": "30",
        "PREFECT_SERVER_DATABASE_TIMEOUT": "60",
        "PREFECT_SERVER_EVENTS_RETENTION_PERIOD": "P7D",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_ENABLED": "true",
        "PREFECT_SERVER_UI_API_URL": f"{ui_url}/api",
        # By default two servers of one installation would overwrite each other's UI.
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(directory / "ui"),
        # By default any web page open in a browser here could use the API.
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": (
            f"{ui_url},{ui_url.replace('127.0.0.1', 'localhost')}"
        ),
        **{f"PREFECT_SERVER_SERVICES_{name}": value for name, value in services.items()},
    }
