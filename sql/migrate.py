"""Bring a database to the newest schema; safe to run again and to be killed in the middle.

Migrations are the plain SQL files in `sql/migrations`, applied by yoyo, each in a
transaction of its own. yoyo's bookkeeping lives in the schema `aseagi_migrations`,
which Supabase's REST API does not expose.

One migration runs at a time. Who may is decided by an advisory lock of a transaction that
stays open meanwhile: Postgres frees it when its holder dies, and it works through any
pooler. yoyo's own lock is a row, which a killed migration leaves behind for ever.
"""

import contextlib
import logging
from pathlib import Path
from urllib.parse import urlencode

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL, Literal
from yoyo import get_backend, read_migrations  # pyright: ignore[reportUnknownVariableType]

from schema.failures import RetryLater
from sql.connection import explain

FOLDER = Path(__file__).parent / "migrations"
LOCK_SECONDS = 30

OWNER_SETTING = "ASEAGI_DATABASE_OWNER_URL"
"""Where the owner's address is written."""


def _yoyo_url(dsn: str) -> str:
    """The same address as yoyo wants it: all in the query, where no character is special."""
    parts = {name: str(value) for name, value in conninfo_to_dict(dsn).items() if value is not None}
    return "postgresql+psycopg:///?" + urlencode(parts | {"schema": "aseagi_migrations"})


def migrate(owner_dsn: str) -> int:
    """Apply what is missing as the schema's owner; return how many migrations were applied.

    Raises `Misconfigured` or `RetryLater` when the database cannot be reached or the
    owner may not do what migrations need, and `RetryLater` when another migration is running.
    """
    logging.getLogger("yoyo").setLevel(logging.WARNING)
    try:
        url = _yoyo_url(owner_dsn)
    except psycopg.ProgrammingError as error:
        raise explain(error, owner_dsn, setting=OWNER_SETTING) from None  # may hold the password
    try:
        with psycopg.connect(owner_dsn, autocommit=True, prepare_threshold=None) as db:
            # Another migration may create it at this very moment.
            with contextlib.suppress(psycopg.errors.UniqueViolation):
                db.execute("create schema if not exists aseagi_migrations")
            with db.transaction():
                _take_turn(db)
                return _apply(url)
    # Any other error of Postgres is a mistake in a migration: its traceback is what helps.
    except (psycopg.OperationalError, psycopg.errors.InsufficientPrivilege) as error:
        raise explain(error, owner_dsn, setting=OWNER_SETTING) from None  # may hold the password


def _take_turn(db: psycopg.Connection) -> None:
    """Wait until no other migration runs; the turn ends with the transaction."""
    milliseconds = Literal(round(LOCK_SECONDS * 1000))
    db.execute(SQL("set local lock_timeout = {}").format(milliseconds))
    # This transaction waits, doing nothing, for as long as the migrations take.
    db.execute("set local idle_in_transaction_session_timeout = 0")
    try:
        db.execute("select pg_advisory_xact_lock(hashtextextended('aseagi_migrations', 0))")
    except psycopg.errors.LockNotAvailable as error:
        raise RetryLater(
            f"Another migration is still running after {LOCK_SECONDS} s. Try again when it has "
            "ended."
        ) from error


def _apply(url: str) -> int:
    backend = get_backend(url)
    try:
        # It is our turn, so a row that is there was left by a migration that was killed.
        backend.break_lock()
        missing = backend.to_apply(read_migrations(str(FOLDER)))
        for migration in missing:
            # yoyo's own `apply_migrations` marks a migration as applied in a second
            # transaction: killed in between, it would be applied again, and fail, for ever.
            with backend.transaction():
                migration.process_steps(backend, "apply")
                backend.mark_one(migration)
        return len(missing)
    finally:
        backend.connection.close()
