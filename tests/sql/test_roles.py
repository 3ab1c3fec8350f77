"""Who may see and do what: the application, the dashboard, Supabase's own roles."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege
from psycopg.sql import SQL, Identifier

from sql.connection import Connection, connect
from sql.documents import list_documents
from sql.jobs import count_queue
from sql.search import search_pages, search_words
from tasks.meaning import MODEL, embed
from tests.conftest import DatabaseServer
from tests.sql.house import House, new_document

HIDDEN_FROM_THE_DASHBOARD = {
    *("session_attempts", "drains", "api_clients", "multipart_uploads", "upload_links"),
    *("telegram_updates", "telegram_messages", "telegram_replies", "telegram_files"),
    "telegram_digests",
}
KEPT_FROM_THE_APPLICATION = {"controls": {"insert", "delete"}, "deletions": {"delete"}}
"""What even the application may not do with the rows of these tables: they stay."""

SUPABASE = {
    "anon": "nologin",
    "authenticated": "nologin",
    "service_role": "nologin bypassrls",
}


@pytest.fixture(scope="session")
def supabase(postgres: DatabaseServer) -> None:
    """The roles through which Supabase's REST API reaches a database."""
    with psycopg.connect(postgres.dsn("postgres")) as owner:
        owner.execute("select pg_advisory_xact_lock(1)")
        for role, kind in SUPABASE.items():
            if not owner.execute("select from pg_roles where rolname = %s", [role]).fetchall():
                owner.execute(f"create role {role} {kind}".encode())


@asynccontextmanager
async def acting_as(house: House, role: str) -> AsyncGenerator[Connection]:
    await house.owner.execute(SQL("set role {}").format(Identifier(role)))
    try:
        yield house.owner
    finally:
        await house.owner.execute("reset role")


async def tables_of(house: House) -> list[str]:
    rows = await house.rows("select tablename from pg_tables where schemaname = 'aseagi'")
    assert len(rows) > 10
    return [row[0] for row in rows]


async def is_refused(db: Connection, statement: SQL, table: str) -> bool:
    try:
        async with db.transaction(force_rollback=True):
            await db.execute(statement.format(Identifier("aseagi", table)))
    except InsufficientPrivilege:
        return True
    return False


SELECT = SQL("select * from {}")
DELETE = SQL("delete from {}")
INSERT = SQL("insert into {} default values")
TRUNCATE = SQL("truncate {}")


async def test_every_table_has_row_level_security_enabled_and_forced(house: House) -> None:
    open_tables = await house.rows(
        """
        select relname from pg_class where relnamespace = 'aseagi'::regnamespace
            and relkind in ('r', 'p') and not (relrowsecurity and relforcerowsecurity)
        """
    )
    assert open_tables == []


@pytest.mark.parametrize("role", SUPABASE)
async def test_the_roles_of_supabase_cannot_even_name_a_table(
    house: House, supabase: None, role: str
) -> None:
    tables = await tables_of(house)
    async with acting_as(house, role) as db:
        for table in tables:
            assert await is_refused(db, SELECT, table), table
            assert await is_refused(db, INSERT, table), table
            assert await is_refused(db, DELETE, table), table


@pytest.mark.parametrize("role", ["anon", "authenticated"])
async def test_a_grant_made_by_mistake_still_shows_no_row(
    house: House, supabase: None, role: str
) -> None:
    await house.add(new_document("Some words."))
    grantee = Identifier(role)
    async with house.owner.transaction(force_rollback=True):
        await house.owner.execute(SQL("grant usage on schema aseagi to {}").format(grantee))
        await house.owner.execute(
            SQL("grant all on all tables in schema aseagi to {}").format(grantee)
        )
        await house.owner.execute(SQL("set local role {}").format(grantee))
        assert await house.rows("select id from aseagi.documents") == []
        cursor = await house.owner.execute("update aseagi.pages set text = 'forged'")
        assert cursor.rowcount == 0


async def test_the_dashboard_reads_all_but_tokens_and_writes_nothing(
    house: House, dashboard_dsn: str
) -> None:
    await house.add(new_document("Some words.", None))
    await house.begin()
    async with connect(dashboard_dsn) as db:
        for table in await tables_of(house):
            hidden = table in HIDDEN_FROM_THE_DASHBOARD
            assert await is_refused(db, SELECT, table) is hidden, table
            for statement in (INSERT, DELETE, TRUNCATE):
                assert await is_refused(db, statement, table), table
        assert [one.pages_done for one in await list_documents(db)] == [1]
        assert (await count_queue(db)).pages_waiting == 1
        assert [hit.page for hit in await search_words(db, "words")] == [1]
        hits = await search_pages(db, "words", embed("words"), model=MODEL)
        assert [hit.page for hit in hits] == [1]


async def test_the_application_reads_and_writes_rows_but_owns_nothing(house: House) -> None:
    await house.add(new_document("Some words."))
    for table in await tables_of(house):
        assert not await is_refused(house.db, SELECT, table), table
        kept = "delete" in KEPT_FROM_THE_APPLICATION.get(table, ())
        assert await is_refused(house.db, DELETE, table) is kept, table
        assert await is_refused(house.db, TRUNCATE, table), table
        off = SQL("alter table {} disable row level security")
        assert await is_refused(house.db, off, table), table
    assert await is_refused(house.db, INSERT, "controls")
    assert await is_refused(house.db, SQL("create table {} ()"), "mine")


@pytest.mark.parametrize(("role", "limit"), [("app_dsn", "1min"), ("dashboard_dsn", "30s")])
async def test_a_statement_has_a_time_limit_set_on_its_role(
    request: pytest.FixtureRequest, role: str, limit: str
) -> None:
    async with connect(request.getfixturevalue(role)) as db:
        cursor = await db.execute("show statement_timeout")
        assert await cursor.fetchone() == (limit,)


async def test_a_connection_never_prepares_a_statement(house: House) -> None:
    for _ in range(10):
        await house.db.execute("select 1")
    cursor = await house.db.execute("select count(*) from pg_prepared_statements")
    assert await cursor.fetchone() == (0,)
