"""One real Postgres for the whole run, and a fresh, migrated database for every test.

    dsn             a database of the test's own, as the owner of the schema
    app_dsn         the same database, as the application
    dashboard_dsn   the same database, as the read-only dashboard
    db              an open connection, as the application
    house           the same, with the owner connected too, and what a house does

Application and dashboard reach it through a real transaction-mode PgBouncer, as on Supabase;
the owner, who migrates, directly.

The processes of pytest-xdist share the server: whoever comes first starts it, whoever
leaves last stops it. What a run that was killed left behind is stopped by the next one.
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
from typing import Self
from urllib.parse import quote
from uuid import uuid4

import psutil
import psycopg
import pytest
from hypothesis import HealthCheck, settings
from psycopg import AsyncConnection, sql

from sql.connection import Connection, connect
from sql.migrate import migrate
from stack.postgres import start_postgres
from tests.pooler import PID_FILE, pooled_dsn, start_pooler
from tests.sql.house import House

collect_ignore = ["host"]
"""Run by the Python of a host, which has Torch and no Postgres: tests/host/conftest.py."""

HOME = Path(__file__).parents[1]

# How long an example takes is the machine's affair, as is the making of it.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")

TEMPLATE = "aseagi_template"
STOP_SECONDS = 30
LEAVE_SECONDS = 60

POOLED = ("aseagi_app", "aseagi_dashboard")
"""Roles that reach the database through the pooler."""


@dataclass(frozen=True, slots=True)
class DatabaseServer:
    """The Postgres of this test run."""

    socket_directory: Path
    pooler_directory: Path

    def dsn(self, database: str, user: str = "postgres") -> str:
        """A libpq URI, over the Unix socket: the pooler's for the roles that use one."""
        if user in POOLED:
            return pooled_dsn(self.pooler_directory, database, user)
        host = quote(str(self.socket_directory), safe="")
        return (
            f"postgresql://{quote(user, safe='')}@/{quote(database, safe='')}?host={host}&port=5432"
        )

    @contextmanager
    def database(self, template: str | None = None) -> Generator[str]:
        """A new database, dropped afterwards; gives its name."""
        name = f"test_{uuid4().hex}"
        create = sql.SQL("create database {} template {} strategy wal_log").format(
            sql.Identifier(name), sql.Identifier(template or "template1")
        )
        drop = sql.SQL("drop database {} with (force)").format(sql.Identifier(name))
        self._patiently(create)
        try:
            yield name
        finally:
            self._patiently(drop)

    def _patiently(self, statement: sql.Composed) -> None:
        """As the owner; whoever was told to leave a database may take a while to."""
        deadline = time.monotonic() + LEAVE_SECONDS
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as owner:
            while True:
                try:
                    owner.execute(statement)
                except psycopg.errors.ObjectInUse:
                    if time.monotonic() > deadline:
                        raise
                else:
                    return


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a parameter that is a whole file by its role, not by its bytes.

    The bytes of an archive hold the time it was made, so two processes of pytest-xdist would
    name the same test differently and refuse to run any.
    """
    return argname if isinstance(val, bytes) and len(val) > 32 else None


@pytest.fixture(scope="session")
def host_python() -> Path:
    """The Python of the environment that `make host` installs from the host's lock."""
    python = HOME / ".venv-host" / "bin" / "python"
    if not python.exists():
        pytest.skip("what a host installs is not here: make host")
    return python


@dataclass
class _Shared:
    """What the processes of one run know together: where the server is, and who uses it."""

    home: str
    users: list[int]
    sockets: str = ""

    @classmethod
    def read(cls, note: Path) -> Self:
        return cls(**json.loads(note.read_text()))

    def write(self, note: Path) -> None:
        unfinished = note.with_suffix(".unfinished")
        unfinished.write_text(json.dumps(vars(self)))
        unfinished.replace(note)

    @property
    def folder(self) -> Path:
        return Path(self.home) / "postgres"

    @property
    def pooler(self) -> Path:
        return Path(self.home) / "pooler"

    def is_used(self) -> bool:
        """Whether anybody but this process uses the server; who was killed no longer counts."""
        return any(pid != os.getpid() and psutil.pid_exists(pid) for pid in self.users)


HOMES = "aseagi-tests-"
_USERS = "users.json"


@contextmanager
def _one_at_a_time(folder: Path) -> Generator[None]:
    with (folder / "postgres.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def write_at_leisure(owner: psycopg.Connection) -> None:
    """Let a server wait for no disk: nothing in it outlives the run."""
    for setting in ("fsync", "full_page_writes", "synchronous_commit"):
        owner.execute(sql.SQL("alter system set {} = off").format(sql.Identifier(setting)))
    owner.execute("select pg_reload_conf()")


def _start(shared: _Shared) -> None:
    server = start_postgres(shared.folder)
    with psycopg.connect(server.dsn("postgres"), autocommit=True) as owner:
        write_at_leisure(owner)
    server.create_database_if_missing(TEMPLATE)
    migrate(server.dsn(TEMPLATE))
    shared.sockets = str(server.socket_directory)
    start_pooler(shared.pooler, server.socket_directory)


def _stop(shared: _Shared) -> None:
    _end("pgbouncer", shared.pooler / PID_FILE, signal.SIGTERM)
    _end("postgres", shared.folder / "data" / "postmaster.pid", signal.SIGINT)
    shutil.rmtree(shared.home, ignore_errors=True)


def _end(name: str, pid_file: Path, stop_signal: signal.Signals) -> None:
    # Removed by the server as its last act; its process may be the child of another.
    try:
        server = psutil.Process(int(pid_file.read_text().splitlines()[0]))
        if server.name() == name:
            server.send_signal(stop_signal)
    except (OSError, ValueError, IndexError, psutil.Error):
        return  # it does not run
    deadline = time.monotonic() + STOP_SECONDS
    while pid_file.exists() and time.monotonic() < deadline:
        time.sleep(0.02)


def _stop_abandoned() -> None:
    for note in Path(tempfile.gettempdir()).glob(f"{HOMES}*/{_USERS}"):
        try:
            mine = note.stat().st_uid == os.geteuid()
            shared = _Shared.read(note)
        except (OSError, ValueError):
            continue  # going away at this moment
        if mine and not shared.is_used():
            _stop(shared)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseServer]:
    """The server of this run, with a migrated template database."""
    run = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        run = run.parent
    reference = run / "postgres.home"
    with _one_at_a_time(run):
        if reference.exists():
            note = Path(reference.read_text()) / _USERS
            shared = _Shared.read(note)
            shared.users.append(os.getpid())
            shared.write(note)
        else:
            _stop_abandoned()
            # Not below pytest's own directory: that is the test user's alone, and Postgres,
            # which refuses root, may run as another.
            shared = _Shared(tempfile.mkdtemp(prefix=HOMES), [os.getpid()])
            note = Path(shared.home) / _USERS
            shared.write(note)
            try:
                _start(shared)
            except BaseException:
                _stop(shared)
                raise
            shared.write(note)
            reference.write_text(shared.home)
    yield DatabaseServer(Path(shared.sockets), shared.pooler)
    with _one_at_a_time(run):
        shared = _Shared.read(note)
        if shared.is_used():
            shared.users.remove(os.getpid())
            shared.write(note)
        else:
            reference.unlink()
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


@pytest.fixture
async def house(fresh_database: FreshDatabase, db: Connection) -> AsyncGenerator[House]:
    """A house to test in: the test's database with the application and its owner connected."""
    async with await AsyncConnection.connect(fresh_database.dsn(), autocommit=True) as owner:
        yield House(fresh_database.dsn("aseagi_app"), db, owner)
