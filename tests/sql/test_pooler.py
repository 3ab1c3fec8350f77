"""Through a transaction-mode pooler: that it is one, and that ours works where sessions would not.

`narrow` has one connection of Postgres for all clients of a role, so that whatever one client
leaves behind in a session meets the next.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager

import psycopg
import pytest
from psycopg import AsyncConnection

from sql.connection import Connection, connect, make_pool, only_row
from sql.jobs import count_queue
from sql.migrate import FOLDER, migrate
from tests.conftest import DatabaseServer, FreshDatabase
from tests.pooler import Pooler, running_pooler
from tests.sql.house import House, new_document

SHARED = 2
CLIENTS = 12


@pytest.fixture
def narrow(postgres: DatabaseServer) -> Iterator[Pooler]:
    """A pooler with one connection of Postgres for each role and database."""
    with running_pooler(postgres.socket_directory, pool_size=1) as pooler:
        yield pooler


@asynccontextmanager
async def two_clients(
    narrow: Pooler, database: FreshDatabase
) -> AsyncGenerator[tuple[Connection, Connection]]:
    """Two connections that commit each statement, as any client makes them."""
    dsn = narrow.dsn(database.name, "aseagi_app")
    async with (
        await AsyncConnection.connect(dsn, autocommit=True, prepare_threshold=None) as one,
        await AsyncConnection.connect(dsn, autocommit=True, prepare_threshold=None) as other,
    ):
        yield one, other


async def value(db: Connection, query: str) -> object:
    return (await only_row(await db.execute(query.encode())))[0]


async def test_many_clients_interleave_over_fewer_connections_of_postgres(
    fresh_database: FreshDatabase, postgres: DatabaseServer
) -> None:
    everybody_is_in = asyncio.Barrier(CLIENTS)

    async def client(dsn: str) -> set[object]:
        """The processes of Postgres that served it."""
        async with connect(dsn) as db:
            await db.set_autocommit(True)
            await db.execute("select 1")
            await everybody_is_in.wait()
            served_by = "select pg_backend_pid() from pg_sleep(0.05)"
            return {await value(db, served_by) for _ in range(4)}

    with running_pooler(postgres.socket_directory, pool_size=SHARED) as pooler:
        dsn = pooler.dsn(fresh_database.name, "aseagi_app")
        served = await asyncio.gather(*(client(dsn) for _ in range(CLIENTS)))
        mine = [one for one in pooler.show("pools") if one["database"] == fresh_database.name]
    assert len(set[object]().union(*served)) == SHARED
    assert any(len(one) > 1 for one in served), "a client was served by more than one"
    assert [one["pool_mode"] for one in mine] == ["transaction"]


async def test_what_a_session_keeps_is_the_next_clients_too(
    narrow: Pooler, fresh_database: FreshDatabase
) -> None:
    """Why ours keeps nothing there: each of these is safe in a session of one's own."""
    async with two_clients(narrow, fresh_database) as (one, other):
        assert await value(one, "select pg_backend_pid()") == await value(
            other, "select pg_backend_pid()"
        )
        await one.execute("set statement_timeout = '7s'")
        assert await value(other, "show statement_timeout") == "7s"
        await one.execute("prepare mine as select 1")
        assert await value(other, "select count(*) from pg_prepared_statements") == 1
        await one.execute("select pg_advisory_lock(7)")
        assert await value(other, "select pg_try_advisory_lock(7)") is True


async def test_statements_prepared_by_a_client_meet_in_one_session_and_ours_prepares_none(
    narrow: Pooler, fresh_database: FreshDatabase
) -> None:
    dsn = narrow.dsn(fresh_database.name, "aseagi_app")

    async def ask(db: Connection) -> None:
        await db.execute("select id from aseagi.documents where file_hash = %s", ("x",))

    async with (
        await AsyncConnection.connect(dsn, autocommit=True, prepare_threshold=0) as one,
        await AsyncConnection.connect(dsn, autocommit=True, prepare_threshold=0) as other,
    ):
        await ask(one)
        with pytest.raises(psycopg.errors.DuplicatePreparedStatement):
            await ask(other)
        await one.execute("deallocate all", prepare=False)
    async with connect(dsn) as one, make_pool(dsn, max_size=4) as pool:
        for _ in range(10):
            await ask(one)
            await one.commit()
            async with pool.connection() as other:
                await ask(other)


async def test_all_of_a_pool_of_ours_works_over_one_connection_of_postgres(
    narrow: Pooler, fresh_database: FreshDatabase, house: House
) -> None:
    await house.add(new_document(None, "Some words."))
    dsn = narrow.dsn(fresh_database.name, "aseagi_app")
    async with make_pool(dsn, max_size=8) as pool:

        async def look() -> int:
            async with pool.connection() as db:
                return (await count_queue(db)).pages_waiting

        assert await asyncio.gather(*(look() for _ in range(40))) == [1] * 40


async def test_limits_of_time_are_those_of_the_role_whoever_was_served_before(
    narrow: Pooler, fresh_database: FreshDatabase
) -> None:
    for role, limit in (("aseagi_app", "1min"), ("aseagi_dashboard", "30s")):
        async with connect(narrow.dsn(fresh_database.name, role)) as db:
            assert await value(db, "show statement_timeout") == limit
            await db.execute("set local statement_timeout = '7s'")
        async with connect(narrow.dsn(fresh_database.name, role)) as db:
            assert await value(db, "show statement_timeout") == limit


def test_migrations_work_through_it_too(narrow: Pooler, empty_dsn: str) -> None:
    """Over one connection they cannot: one waits with the turn, the other works."""
    with psycopg.connect(empty_dsn) as db:
        name = db.info.dbname
    wide = narrow.dsn(name, "postgres")
    console = narrow.dsn("pgbouncer", "postgres")
    with psycopg.connect(console, autocommit=True) as db:
        db.execute("set default_pool_size = 2")
    assert migrate(wide) == len(list(FOLDER.glob("*.sql")))
    assert migrate(wide) == 0
