"""Connections to Postgres, safe behind a transaction-mode pooler.

Guarantees: no server-side prepared statement is ever made, and an unreachable or
misnamed database is one clear line. The time limit of a statement is set on the roles
(migration 0002), since a pooler forgets what a session set.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TypeVar

import psycopg
from psycopg import AsyncConnection, AsyncCursor
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool

from schema.failures import Misconfigured, RetryLater

Connection = AsyncConnection[TupleRow]
Pool = AsyncConnectionPool[Connection]

CONNECT_SECONDS = 10

Row = TypeVar("Row")


async def only_row(cursor: AsyncCursor[Row]) -> Row:
    """The one row of a statement that always gives one (an aggregate, `returning`)."""
    row = await cursor.fetchone()
    if row is None:
        raise LookupError("a statement that always gives a row gave none")
    return row


async def _configure(connection: Connection) -> None:
    connection.prepare_threshold = None


def _describe(dsn: str) -> str:
    """Say which database was meant, without its password."""
    try:
        parts = conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:
        return "the database address cannot be understood"
    return f"database {parts.get('dbname')!r} at {parts.get('host', 'the local socket')}"


_REFUSALS = (
    "authentication",
    "no pg_hba.conf entry",
    "Tenant or user not found",  # Supabase's pooler
    "invalid integer value",  # in the address: a port that is no number
    "invalid sslmode value",
)
"""What servers, poolers and libpq say when only a person can help."""


def is_not_migrated(error: psycopg.Error) -> bool:
    """Whether a statement failed because migrations are missing in that database."""
    return isinstance(
        error,
        (
            psycopg.errors.UndefinedTable,
            psycopg.errors.UndefinedColumn,
            psycopg.errors.UndefinedFunction,
            psycopg.errors.UndefinedObject,
            psycopg.errors.InvalidSchemaName,
        ),
    )


APP_SETTING = "`dsn` in the block aseagi-database/aseagi"
"""Where the application's address is written, as a person finds it."""


def explain(
    error: psycopg.Error, dsn: str, *, setting: str = APP_SETTING
) -> Misconfigured | RetryLater:
    """Turn a failure to connect, or to find what migrations make, into what to do about it.

    `setting` is where the address is written, for the person who must correct it.
    """
    text = str(error)
    where = _describe(dsn)
    deploy = "run `aseagi deploy` if this database is new" if setting == APP_SETTING else None
    if is_not_migrated(error):
        return Misconfigured(f"The tables are missing or old: {where}. Run `aseagi deploy`.")
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        what = error.diag.message_primary or "permission denied"
        return Misconfigured(f"Postgres does not allow that: {what}; {where}. Check {setting}.")
    if isinstance(error, psycopg.ProgrammingError) or any(words in text for words in _REFUSALS):
        ways = f"; {deploy}" if deploy and "authentication" in text else ""
        return Misconfigured(f"Postgres refused: {where}. Check {setting}{ways}.")
    if "does not exist" in text:
        ways = f", or {deploy}" if deploy else ""
        return Misconfigured(
            f"Postgres has no such role or database: {where}. Check {setting}{ways}."
        )
    ways = f", and is {setting} right" if setting != APP_SETTING else ""
    return RetryLater(f"Postgres does not answer: {where}. Is it running{ways}?")


def make_pool(dsn: str, *, max_size: int) -> Pool:
    """Return a pool that is opened by `async with`; connections are checked before use."""
    return AsyncConnectionPool(
        dsn,
        min_size=1,
        max_size=max_size,
        open=False,
        timeout=CONNECT_SECONDS,
        configure=_configure,
        check=AsyncConnectionPool.check_connection,
        connection_class=AsyncConnection[TupleRow],
    )


@asynccontextmanager
async def connect(dsn: str) -> AsyncGenerator[Connection]:
    """One connection; commits at the end, rolls back on an exception.

    Raises `Misconfigured` or `RetryLater` when the database cannot be reached.
    """
    try:
        connection = await AsyncConnection.connect(
            dsn, prepare_threshold=None, connect_timeout=CONNECT_SECONDS
        )
    except psycopg.Error as error:
        raise explain(error, dsn) from None  # its text may hold the password
    async with connection:
        yield connection
