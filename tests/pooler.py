"""A real PgBouncer in transaction mode, as Supabase's poolers are, before a Postgres of the tests.

A connection of Postgres serves a client for one transaction, then whoever comes next: what a
session would keep (settings, prepared statements, temporary tables, session locks) is gone, or
worse, another's. What works here works on port 6543 of Supabase.

    with running_pooler(postgres.socket_directory, pool_size=2) as pooler:
        pooler.dsn("aseagi", "aseagi_app")
        pooler.show("pools")
"""

import os
import pwd
import shutil
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import LiteralString
from urllib.parse import quote

import psycopg
from psycopg.rows import DictRow, dict_row
from psycopg.sql import SQL

from schema.failures import Misconfigured
from stack.postgres import SYSTEM_USER
from stack.processes import Child, plain_environment

PORT = 6543
READY_SECONDS = 120
PID_FILE = "pgbouncer.pid"

ROLES = ("postgres", "aseagi_app", "aseagi_dashboard")
"""Whom it lets in; Postgres behind it trusts them too."""

# Those of Supabase's own PgBouncer: 15 connections for each role and database, one start-up
# parameter ignored. Everything else is PgBouncer's default there as here.
_SETTINGS: Mapping[str, str] = {
    "pool_mode": "transaction",
    "ignore_startup_parameters": "extra_float_digits",
    "listen_port": str(PORT),
    "auth_type": "trust",
    "admin_users": "postgres",
    "max_client_conn": "500",
    # A database of a test is gone in a moment, and so is Postgres after a kill.
    "server_login_retry": "1",
    "server_idle_timeout": "60",
    "log_connections": "0",
    "log_disconnections": "0",
}


@dataclass(frozen=True, slots=True)
class Pooler:
    """A running PgBouncer."""

    child: Child
    directory: Path

    def dsn(self, database: str, user: str) -> str:
        """A libpq URI of the database behind it."""
        return pooled_dsn(self.directory, database, user)

    def show(self, what: LiteralString) -> list[DictRow]:
        """What its console tells: pools, stats, servers, clients."""
        console = self.dsn("pgbouncer", "postgres")
        with psycopg.Connection[DictRow].connect(
            console, autocommit=True, row_factory=dict_row
        ) as db:
            return db.execute(SQL("show ") + SQL(what)).fetchall()

    def stop(self) -> None:
        """Stop it, whoever is connected."""
        self.child.stop()


def pooled_dsn(directory: Path, database: str, user: str) -> str:
    """A libpq URI of a database behind the pooler whose folder that is."""
    host = quote(str(directory), safe="")
    return (
        f"postgresql://{quote(user, safe='')}@/{quote(database, safe='')}?host={host}&port={PORT}"
    )


def start_pooler(directory: Path, postgres: Path, *, pool_size: int = 15) -> Pooler:
    """Start it with its socket in `directory`, before the Postgres with sockets in `postgres`.

    `pool_size` is how many connections of Postgres all clients of one role and database share.
    """
    program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        raise Misconfigured("pgbouncer is not installed: apt-get install pgbouncer")
    directory.mkdir(parents=True)
    settings = {
        **_SETTINGS,
        "default_pool_size": str(pool_size),
        "unix_socket_dir": str(directory),
        "auth_file": str(directory / "users.txt"),
        "pidfile": str(directory / PID_FILE),
    }
    (directory / "users.txt").write_text("".join(f'"{role}" ""\n' for role in ROLES))
    configuration = directory / "pgbouncer.ini"
    configuration.write_text(
        "\n".join(
            [
                "[databases]",
                f"* = host={postgres} port=5432",
                "[pgbouncer]",
                *(f"{name} = {value}" for name, value in settings.items()),
                "",
            ]
        )
    )
    # It refuses root, and only the user of Postgres may enter the folder of its sockets.
    run_as = SYSTEM_USER if os.geteuid() == 0 else None
    if run_as is not None:
        account = pwd.getpwnam(run_as)
        for path in (directory, *directory.iterdir()):
            os.chown(path, account.pw_uid, account.pw_gid)
    child = Child(
        "pgbouncer",
        [program, str(configuration)],
        state_dir=directory.parent,
        env=plain_environment(),
        run_as=run_as,
        is_ready=(directory / f".s.PGSQL.{PORT}").exists,
    )
    child.start()
    child.wait_ready(READY_SECONDS)
    return Pooler(child, directory)


@contextmanager
def running_pooler(postgres: Path, *, pool_size: int) -> Generator[Pooler]:
    """One for the body, in a folder of its own."""
    # Not below pytest's own directory: Postgres' system user must be able to pass.
    folder = Path(tempfile.mkdtemp(prefix="aseagi-pooler-"))
    folder.chmod(0o755)
    try:
        pooler = start_pooler(folder / "pooler", postgres, pool_size=pool_size)
        try:
            yield pooler
        finally:
            pooler.stop()
    finally:
        shutil.rmtree(folder)
