"""Bring a database to the newest schema; safe to run again and to be killed in the middle.

Migrations are the plain SQL files in `sql/migrations`, applied by yoyo, each in a
transaction of its own. yoyo's bookkeeping lives in the schema `aseagi_migrations`,
which Supabase's REST API does not expose.
"""

import contextlib
import logging
from pathlib import Path
from urllib.parse import urlencode

import psycopg
from psycopg.conninfo import conninfo_to_dict
from yoyo import get_backend, read_migrations  # pyright: ignore[reportUnknownVariableType]
from yoyo.exceptions import LockTimeout

from schema.failures import RetryLater
from sql.connection import explain

FOLDER = Path(__file__).parent / "migrations"
LOCK_SECONDS = 30


def _yoyo_url(dsn: str) -> str:
    """The same address as yoyo wants it: all in the query, where no character is special."""
    parts = {name: str(value) for name, value in conninfo_to_dict(dsn).items() if value is not None}
    return "postgresql+psycopg:///?" + urlencode(parts | {"schema": "aseagi_migrations"})


def migrate(owner_dsn: str) -> int:
    """Apply what is missing as the schema's owner; return how many migrations were applied.

    Raises `Misconfigured` or `RetryLater` when the database cannot be reached, and
    `RetryLater` when another migration is running.
    """
    logging.getLogger("yoyo").setLevel(logging.WARNING)
    try:
        url = _yoyo_url(owner_dsn)
        with (
            psycopg.connect(owner_dsn, autocommit=True, prepare_threshold=None) as db,
            # Another migration may create it at this very moment.
            contextlib.suppress(psycopg.errors.UniqueViolation),
        ):
            db.execute("create schema if not exists aseagi_migrations")
    except psycopg.Error as error:
        raise explain(error, owner_dsn) from None  # its text may hold the password
    backend = get_backend(url)
    try:
        with backend.lock(timeout=LOCK_SECONDS):
            missing = backend.to_apply(read_migrations(str(FOLDER)))
            for migration in missing:
                # yoyo's own `apply_migrations` marks a migration as applied in a second
                # transaction: killed in between, it would be applied again, and fail, for ever.
                with backend.transaction():
                    migration.process_steps(backend, "apply")
                    backend.mark_one(migration)
            return len(missing)
    except LockTimeout as timeout:
        raise RetryLater(
            "Another migration holds the lock. If none is running, it was killed: "
            "`delete from aseagi_migrations.yoyo_lock` and try again."
        ) from timeout
    finally:
        backend.connection.close()
