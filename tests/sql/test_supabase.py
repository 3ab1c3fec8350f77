"""On a database set up as Supabase's: who owns what, and what each of its roles can do with ours.

A Postgres of its own, because there `postgres` is no superuser. Roles, grants and default
privileges are those of github.com/supabase/postgres (migrations/db: initial-schema,
demote-postgres, alter_api_roles_for_inherit, grant_with_admin_to_postgres_16_and_above). Every
table is tried, so a new one cannot be forgotten.
"""

import shutil
import tempfile
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import AsyncConnection
from psycopg.errors import InsufficientPrivilege
from psycopg.sql import SQL, Composed, Identifier

from sql.connection import Connection, connect
from sql.migrate import FOLDER, migrate
from stack.postgres import Postgres, start_postgres
from tests.conftest import write_at_leisure
from tests.sql.house import House, new_document
from tests.sql.test_roles import HIDDEN_FROM_THE_DASHBOARD, KEPT_FROM_THE_APPLICATION

pytestmark = pytest.mark.xdist_group("supabase")

DATABASE = "project"
OURS = ("aseagi", "aseagi_migrations")
EXPOSED = ("public", "graphql_public")
"""What Supabase's REST API shows unless somebody changes it (Settings, Data API)."""

API_ROLES = ("anon", "authenticated", "service_role")

# `postgres` is made a superuser by initdb, under the one name that Supabase's users are given.
_RENAMED = """
create role maker superuser login;
"""
_ROLES = """
alter role postgres rename to supabase_admin;
create role postgres login createdb createrole replication bypassrls;
create role anon nologin;
create role authenticated nologin;
create role service_role nologin bypassrls;
create role authenticator login noinherit;
grant anon, authenticated, service_role to authenticator;
grant anon, authenticated, service_role to postgres with admin option;
alter role anon set statement_timeout = '3s';
alter role authenticated set statement_timeout = '8s';
alter role authenticator set statement_timeout = '8s';
"""
_PROJECT = """
grant all on database project to postgres;
create schema extensions;
create schema graphql_public;
grant all on schema extensions to postgres;
grant usage on schema extensions, graphql_public to anon, authenticated, service_role;
grant usage on schema public to postgres, anon, authenticated, service_role;
alter schema public owner to pg_database_owner;
alter role postgres set search_path = "$user", public, extensions;
"""
_DEFAULT_PRIVILEGES = """
alter default privileges for role {owner} in schema public
    grant all on tables to postgres, anon, authenticated, service_role;
alter default privileges for role {owner} in schema public
    grant all on functions to postgres, anon, authenticated, service_role;
alter default privileges for role {owner} in schema public
    grant all on sequences to postgres, anon, authenticated, service_role;
"""
# There the extension supautils lets `postgres` create this one.
_EXTENSION = "create extension vector with schema extensions"


@dataclass(frozen=True, slots=True)
class Project:
    """A project of Supabase with our migrations applied."""

    server: Postgres
    migrations_applied: int

    def dsn(self, role: str) -> str:
        return self.server.dsn(DATABASE, role)


@pytest.fixture(scope="module")
def project() -> Iterator[Project]:
    folder = Path(tempfile.mkdtemp(prefix="aseagi-supabase-"))
    server = start_postgres(folder / "postgres")
    try:
        with psycopg.connect(server.dsn("postgres"), autocommit=True) as db:
            write_at_leisure(db)
            db.execute(_RENAMED.encode())
        with psycopg.connect(server.dsn("postgres", "maker"), autocommit=True) as db:
            db.execute(_ROLES.encode())
            db.execute("create database project owner supabase_admin")
        with psycopg.connect(server.dsn(DATABASE, "supabase_admin"), autocommit=True) as db:
            db.execute(_PROJECT.encode())
            for owner in ("postgres", "supabase_admin"):
                db.execute(SQL(_DEFAULT_PRIVILEGES).format(owner=Identifier(owner)))
            db.execute(_EXTENSION)
        yield Project(server, migrate(server.dsn(DATABASE)))
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def house(project: Project) -> AsyncGenerator[House]:
    """Some documents and a session with a lease, as the application makes them."""
    async with (
        connect(project.dsn("aseagi_app")) as db,
        await AsyncConnection.connect(project.dsn("postgres"), autocommit=True) as owner,
    ):
        house = House(project.dsn("aseagi_app"), db, owner)
        if not await house.rows("select id from aseagi.documents"):
            await house.add(new_document("Some words.", None, None))
            begun = await house.begin()
            await house.lease(begun, limit=1)
            await house.close(begun.session_id)
        yield house


async def tables_of(house: House, *schemas: str) -> list[tuple[str, str]]:
    rows = await house.rows(
        "select schemaname, tablename from pg_tables where schemaname = any(%s) order by 1, 2",
        list(schemas or OURS),
    )
    assert len(rows) > 20
    return [(row[0], row[1]) for row in rows]


@asynccontextmanager
async def acting_as(project: Project, role: str) -> AsyncGenerator[Connection]:
    """A connection with the rights of that role, come by as on Supabase."""
    through = "authenticator" if role in API_ROLES else role
    async with await AsyncConnection.connect(project.dsn(through), autocommit=True) as db:
        if through != role:
            await db.execute(SQL("set role {}").format(Identifier(role)))
        yield db


async def attempts(house: House, schema: str, table: str) -> dict[str, Composed]:
    """A statement of each kind that would touch the table."""
    column = await house.one(
        """
        select attname from pg_attribute where attrelid = %s::regclass and attnum > 0
            and not attisdropped and attidentity = '' and attgenerated = '' limit 1
        """,
        f'"{schema}"."{table}"',
    )
    names = {"table": Identifier(schema, table), "column": Identifier(column)}
    return {
        "select": SQL("select * from {table}").format(**names),
        "insert": SQL("insert into {table} default values").format(**names),
        "update": SQL("update {table} set {column} = {column}").format(**names),
        "delete": SQL("delete from {table}").format(**names),
        "truncate": SQL("truncate {table} cascade").format(**names),
        "drop": SQL("drop table {table} cascade").format(**names),
        "open": SQL("alter table {table} disable row level security").format(**names),
    }


async def is_allowed(db: Connection, statement: Composed) -> bool:
    """Whether the role may: a constraint that stops it comes after the right to try."""
    try:
        async with db.transaction(force_rollback=True):
            await db.execute(statement)
    except InsufficientPrivilege:
        return False
    except psycopg.errors.IntegrityError:
        return True
    return True


async def what_it_may(project: Project, house: House, role: str) -> dict[str, set[str]]:
    """For each of our tables, what of all that could be tried is allowed to the role."""
    may: dict[str, set[str]] = {}
    async with acting_as(project, role) as db:
        for schema, table in await tables_of(house):
            tried = await attempts(house, schema, table)
            may[f"{schema}.{table}"] = {
                name for name, statement in tried.items() if await is_allowed(db, statement)
            }
    return may


def test_all_migrations_were_applied_by_an_owner_who_is_no_superuser(project: Project) -> None:
    assert project.migrations_applied == len(list(FOLDER.glob("*.sql")))
    assert migrate(project.dsn("postgres")) == 0
    with psycopg.connect(project.dsn("postgres")) as db:
        rows = db.execute("select rolsuper from pg_roles where rolname = current_user").fetchall()
    assert rows == [(False,)]


@pytest.mark.parametrize("role", [*API_ROLES, "authenticator"])
async def test_a_role_of_supabase_can_do_nothing_with_any_table(
    project: Project, house: House, role: str
) -> None:
    may = await what_it_may(project, house, role)
    assert {table: allowed for table, allowed in may.items() if allowed} == {}


async def test_the_application_works_with_rows_and_changes_no_table(
    project: Project, house: House
) -> None:
    everything = {"select", "insert", "update", "delete"}
    for table, allowed in (await what_it_may(project, house, "aseagi_app")).items():
        schema, name = table.split(".")
        kept = KEPT_FROM_THE_APPLICATION.get(name, set()) if schema == "aseagi" else everything
        assert allowed == everything - kept, table


async def test_the_dashboard_reads_and_nothing_else(project: Project, house: House) -> None:
    for table, allowed in (await what_it_may(project, house, "aseagi_dashboard")).items():
        schema, name = table.split(".")
        visible = schema == "aseagi" and name not in HIDDEN_FROM_THE_DASHBOARD
        assert allowed == ({"select"} if visible else set()), table


async def test_what_the_dashboard_may_read_it_sees_whole(project: Project, house: House) -> None:
    """A grant without a policy would show an empty table, and nobody an error."""
    async with acting_as(project, "aseagi_dashboard") as db:
        for _, table in await tables_of(house, "aseagi"):
            if table in HIDDEN_FROM_THE_DASHBOARD:
                continue
            count = SQL("select count(*) from aseagi.{}").format(Identifier(table))
            seen = await (await db.execute(count)).fetchall()
            there = await (await house.owner.execute(count)).fetchall()
            assert seen == there, table


async def test_no_secret_can_be_read_by_who_only_looks(project: Project, house: House) -> None:
    secrets = await house.rows(
        """
        select attrelid::regclass::text, attname from pg_attribute
        where attrelid in (select oid from pg_class where relnamespace = 'aseagi'::regnamespace
                and relkind in ('r', 'p', 'v', 'm'))
            and attname ~ 'token|secret|password|credential' and attname !~ '_tokens$'
        """
    )
    assert ("aseagi.session_attempts", "token_hash") in secrets
    for table, column in secrets:
        for role in ("aseagi_dashboard", *API_ROLES):
            may = await house.one(
                "select has_column_privilege(%s, %s, %s, 'select')", role, table, column
            )
            assert may is False, (role, table, column)


async def test_nobody_but_our_own_roles_was_granted_anything(
    project: Project, house: House
) -> None:
    """Not by Supabase's default privileges, nor to `public`."""
    granted = await house.rows(
        """
        select distinct coalesce(pg_get_userbyid(nullif(acl.grantee, 0)), 'public')
        from (
            select nspacl as given from pg_namespace where nspname = any(%(ours)s)
            union all
            select relacl from pg_class where relnamespace::regnamespace::text = any(%(ours)s)
            union all
            select proacl from pg_proc where pronamespace::regnamespace::text = any(%(ours)s)
            union all
            select attacl from pg_attribute join pg_class on pg_class.oid = attrelid
            where relnamespace::regnamespace::text = any(%(ours)s)
        ) as all_of_them, aclexplode(given) as acl
        """.replace("%(ours)s", "%s"),
        *[list(OURS)] * 4,
    )
    assert {row[0] for row in granted} == {"postgres", "aseagi_app", "aseagi_dashboard"}
    # A function has no list until somebody is granted something: `public` may call it then.
    functions = await house.rows(
        "select oid::regprocedure::text from pg_proc"
        " where pronamespace::regnamespace::text = any(%s)",
        list(OURS),
    )
    assert functions == []


async def test_no_default_privilege_gives_away_what_is_made_next(house: House) -> None:
    reach = await house.rows(
        "select defaclnamespace::regnamespace::text from pg_default_acl where defaclnamespace = 0"
        " or defaclnamespace::regnamespace::text = any(%s)",
        list(OURS),
    )
    assert reach == []
    async with house.owner.transaction(force_rollback=True):
        await house.owner.execute("create table aseagi.new_one (id integer)")
        for role in API_ROLES:
            assert not await house.one(
                "select has_table_privilege(%s, 'aseagi.new_one', 'select')", role
            )


async def test_nothing_of_ours_lies_where_the_rest_api_looks(house: House) -> None:
    lying = await house.rows(
        """
        select 'relation', relname from pg_class
            where relnamespace::regnamespace::text = any(%s)
        union all
        select 'function', proname from pg_proc
            where pronamespace::regnamespace::text = any(%s)
        union all
        select 'type', typname from pg_type
            where typnamespace::regnamespace::text = any(%s)
        """,
        *[list(EXPOSED)] * 3,
    )
    assert lying == []


async def curious_about(house: House) -> None:
    """A role that somebody gave everything, except a policy."""
    await house.owner.execute("create role curious nologin")
    await house.owner.execute("grant curious to postgres with set true")
    await house.owner.execute("grant usage on schema aseagi to curious")
    await house.owner.execute("grant all on all tables in schema aseagi to curious")


async def test_who_has_every_grant_and_no_policy_sees_and_changes_no_row_of_any_table(
    house: House,
) -> None:
    filled = 0
    async with house.owner.transaction(force_rollback=True):
        await curious_about(house)
        for schema, table in await tables_of(house, "aseagi"):
            count = SQL("select count(*) from {}").format(Identifier(schema, table))
            rows = (await (await house.owner.execute(count)).fetchall())[0][0]
            filled += rows > 0
            tried = await attempts(house, schema, table)
            await house.owner.execute("set local role curious")
            seen = await (await house.owner.execute(count)).fetchall()
            assert seen == [(0,)], table
            for kind in ("update", "delete"):
                changed = await house.owner.execute(tried[kind])
                assert changed.rowcount == 0, table
            # Of an empty table too: the plan is that no row passes.
            plan = await house.owner.execute(
                SQL("explain select from {}").format(Identifier(schema, table))
            )
            assert "One-Time Filter: false" in str(await plan.fetchall()), table
            await house.owner.execute("reset role")
    assert filled > 8, "there was something to see"


async def test_an_owner_who_may_not_bypass_it_is_held_by_row_level_security_too(
    project: Project, house: House
) -> None:
    """Enabled alone, it would not hold the owner: it is forced."""
    admin: dict[str, Any] = {"conninfo": project.dsn("supabase_admin"), "autocommit": True}
    with psycopg.connect(**admin) as db:
        db.execute("alter role postgres nobypassrls")
    try:
        async with await AsyncConnection.connect(project.dsn("postgres")) as db:
            for _, table in await tables_of(house, "aseagi"):
                count = SQL("select count(*) from aseagi.{}").format(Identifier(table))
                assert await (await db.execute(count)).fetchall() == [(0,)], table
    finally:
        with psycopg.connect(**admin) as db:
            db.execute("alter role postgres bypassrls")
