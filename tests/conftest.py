"""One real Postgres for the whole run, and a fresh, migrated database for every test.

    dsn             a database of the test's own, as the owner of the schema
    app_dsn         the same database, as the application
    dashboard_dsn   the same database, as the read-only dashboard
    db              an open connection, as the application

The processes of pytest-xdist share the server: whoever comes first starts it, whoever
leaves last stops it.
"""

import fcntl
import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import psutil
import psycopg
import pytest
from psycopg import sql

from sql.connection import Connection, connect
from sql.migrate import migrate
from stack.postgres import start_postgres

TEMPLATE = "aseagi_template"
STOP_SECONDS = 30


@dataclass(frozen=True, slots=True)
class DatabaseServer:
    """The Postgres of this test run."""

    socket_directory: Path

    def dsn(self, database: str, user: str = "postgres") -> str:
        """A libpq URI, over the Unix socket."""
        host = quote(str(self.socket_directory), safe="")
        return (
            f"postgresql://{quote(user, safe='')}@/{quote(database, safe='')}?host={host}&port=5432"
        )

    @contextmanager
    def database(self, template: str | None = None) -> Generator[str]:
        """A new database, dropped afterwards; gives its name."""
        name = f"test_{uuid4().hex}"
        create = sql.SQL("create database {} template {} strategy file_copy").format(
            sql.Identifier(name), sql.Identifier(template or "template1")
        )
        drop = sql.SQL("drop database {} with (force)").format(sql.Identifier(name))
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as owner:
            owner.execute(create)
        try:
            yield name
        finally:
            with psycopg.connect(self.dsn("postgres"), autocommit=True) as owner:
                owner.execute(drop)


@dataclass
class _Shared:
    """What the processes of one run know together: where the server is, and who uses it."""

    home: str
    sockets: str
    pid: int
    users: list[int]


@contextmanager
def _shared_note(folder: Path) -> Generator[Path]:
    """The note of the run, nobody else's while the block lasts."""
    with (folder / "postgres.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder / "postgres.json"


def _start() -> _Shared:
    # Not below pytest's own directory: that is the test user's alone, and Postgres, which
    # refuses root, may run as another.
    home = Path(tempfile.mkdtemp(prefix="aseagi-tests-"))
    server = start_postgres(home / "postgres")
    try:
        with psycopg.connect(server.dsn("postgres"), autocommit=True) as owner:
            # Nothing here outlives the run.
            for setting in ("fsync", "full_page_writes", "synchronous_commit"):
                owner.execute(sql.SQL("alter system set {} = off").format(sql.Identifier(setting)))
            owner.execute("select pg_reload_conf()")
        server.create_database_if_missing(TEMPLATE)
        migrate(server.dsn(TEMPLATE))
    except BaseException:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)
        raise
    return _Shared(str(home), str(server.socket_directory), server.child.pid, [])


def _stop(shared: _Shared) -> None:
    with psycopg.connect(DatabaseServer(Path(shared.sockets)).dsn("postgres")) as owner:
        row = owner.execute("show data_directory").fetchone()
    if row is None:
        raise AssertionError("Postgres does not say where its data is")
    psutil.Process(shared.pid).send_signal(signal.SIGINT)
    # The server removes this file as its last act; its process may be another's child.
    pid_file, deadline = Path(row[0]) / "postmaster.pid", time.monotonic() + STOP_SECONDS
    while pid_file.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    shutil.rmtree(shared.home, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseServer]:
    """The server of this run, with a migrated template database."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    with _shared_note(folder) as note:
        shared = _Shared(**json.loads(note.read_text())) if note.exists() else _start()
        shared.users.append(os.getpid())
        note.write_text(json.dumps(vars(shared)))
    yield DatabaseServer(Path(shared.sockets))
    with _shared_note(folder) as note:
        shared = _Shared(**json.loads(note.read_text()))
        # A process that was killed no longer counts.
        shared.users = [
            pid for pid in shared.users if pid != os.getpid() and psutil.pid_exists(pid)
        ]
        if shared.users:
            note.write_text(json.dumps(vars(shared)))
        else:
            note.unlink()
            _stop(shared)


@dataclass(frozen=True, slots=True)
class FreshDatabase:
    """A migrated, empty database and its addresses for each role."""

    server: DatabaseServer
    name: str

    def dsn(self, user: str = "postgres") -> str:
        """The address for that role."""
        return self.server.dsn(self.name, user)


@pytest.fixture
def fresh_database(postgres: DatabaseServer) -> Iterator[FreshDatabase]:
    """A database of the test's own."""
    with postgres.database(TEMPLATE) as name:
        yield FreshDatabase(postgres, name)


@pytest.fixture
def empty_dsn(postgres: DatabaseServer) -> Iterator[str]:
    """A database without our schema, as its owner.

    One at a time: roles, which migrations make, belong to all databases of the server.
    """
    with psycopg.connect(postgres.dsn("postgres")) as turn, postgres.database() as name:
        turn.execute("select pg_advisory_xact_lock(1)")
        yield postgres.dsn(name)


@pytest.fixture
def dsn(fresh_database: FreshDatabase) -> str:
    """The test's database, as the owner of the schema."""
    return fresh_database.dsn()


@pytest.fixture
def app_dsn(fresh_database: FreshDatabase) -> str:
    """The test's database, as the application."""
    return fresh_database.dsn("aseagi_app")


@pytest.fixture
def dashboard_dsn(fresh_database: FreshDatabase) -> str:
    """The test's database, as the read-only dashboard."""
    return fresh_database.dsn("aseagi_dashboard")


@pytest.fixture
async def db(app_dsn: str) -> AsyncGenerator[Connection]:
    """A connection to the test's database, as the application."""
    async with connect(app_dsn) as connection:
        yield connection
