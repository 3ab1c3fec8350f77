import asyncio
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.sql import SQL, Identifier

from schema.failures import AseagiError, Misconfigured, RetryLater
from sql import migrate as migrating
from sql.connection import connect, explain
from sql.migrate import FOLDER, migrate
from tests.conftest import FreshDatabase

MIGRATIONS = len(list(FOLDER.glob("*.sql")))
NOBODY = 4_194_303
"""A process id that no process has."""


def count_of(dsn: str, query: SQL) -> int:
    with psycopg.connect(dsn) as db:
        [(number,)] = db.execute(query)
    return int(number)


TABLES = SQL("select count(*) from pg_tables where schemaname = 'aseagi'")


def test_a_new_database_gets_every_migration_once(empty_dsn: str) -> None:
    assert migrate(empty_dsn) == MIGRATIONS
    tables = count_of(empty_dsn, TABLES)
    assert migrate(empty_dsn) == 0
    assert count_of(empty_dsn, TABLES) == tables > 0


def test_two_processes_migrating_at_once_both_succeed(empty_dsn: str) -> None:
    both = threading.Barrier(2)

    def one() -> int:
        both.wait()
        return migrate(empty_dsn)

    with ThreadPoolExecutor(2) as processes:
        started = [processes.submit(one) for _ in range(2)]
        assert sorted(each.result() for each in started) == [0, MIGRATIONS]


def test_a_migration_killed_in_the_middle_is_resumed(empty_dsn: str) -> None:
    # Killed with every lock held, and a migration applied but not committed.
    program = """
import sys, time
from yoyo.backends.base import DatabaseBackend
from sql.migrate import migrate

def stay(*_):
    print("in the middle", flush=True)
    time.sleep(60)

DatabaseBackend.mark_one = stay
migrate(sys.argv[1])
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program, empty_dsn], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline().strip() == "in the middle"
        process.kill()
        process.wait()
    assert migrate(empty_dsn) == MIGRATIONS
    assert migrate(empty_dsn) == 0
    assert count_of(empty_dsn, TABLES) > 0


def test_a_migration_is_applied_and_marked_as_applied_in_one_transaction(
    empty_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    marks = 0

    def die(*_: object, **__: object) -> None:
        nonlocal marks
        marks += 1
        raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr("yoyo.backends.base.DatabaseBackend.mark_one", die)
        with pytest.raises(KeyboardInterrupt):
            migrate(empty_dsn)
    assert (marks, count_of(empty_dsn, TABLES)) == (1, 0)
    assert migrate(empty_dsn) == MIGRATIONS


def test_a_lock_row_left_by_a_killed_migration_hinders_nobody(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as db:
        db.execute(
            "insert into aseagi_migrations.yoyo_lock (locked, ctime, pid) values (1, now(), %s)",
            [NOBODY],
        )
    assert migrate(dsn) == 0
    assert count_of(dsn, SQL("select count(*) from aseagi_migrations.yoyo_lock")) == 0


def test_a_migration_that_takes_too_long_is_one_clear_line_for_the_next(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrating, "LOCK_SECONDS", 0.1)
    with psycopg.connect(dsn) as other:
        other.execute("select pg_advisory_xact_lock(hashtextextended('aseagi_migrations', 0))")
        with pytest.raises(RetryLater, match="Another migration is still running"):
            migrate(dsn)
    assert migrate(dsn) == 0


def test_an_owner_who_may_not_migrate_is_told_which_setting_to_check(
    fresh_database: FreshDatabase,
) -> None:
    with pytest.raises(Misconfigured, match="ASEAGI_DATABASE_OWNER_URL") as refused:
        migrate(fresh_database.dsn("aseagi_app"))
    assert "permission denied" in str(refused.value)


def test_a_database_never_migrated_asks_for_a_deploy(empty_dsn: str) -> None:
    with psycopg.connect(empty_dsn) as db, pytest.raises(psycopg.Error) as missing:
        db.execute("select paused_at from aseagi.controls")
    error = explain(missing.value, empty_dsn)
    assert isinstance(error, Misconfigured)
    assert "aseagi deploy" in str(error)
    assert "refused" not in str(error)


def test_each_address_is_said_to_be_where_it_is_written() -> None:
    migrating_failed, connecting_failed = refusals("postgresql://somebody@127.0.0.1/x?nonsense=1")
    assert "Check ASEAGI_DATABASE_OWNER_URL" in str(migrating_failed)
    assert "Check `dsn` in the block aseagi-database/aseagi" in str(connecting_failed)


def test_an_owner_who_is_no_superuser_can_migrate_as_on_supabase(
    empty_dsn: str,
) -> None:
    name = Identifier(f"owner_{uuid4().hex}")
    parts = conninfo_to_dict(empty_dsn)
    database = Identifier(str(parts["dbname"]))
    with psycopg.connect(empty_dsn, autocommit=True) as db:
        db.execute(SQL("create role {} login createrole createdb bypassrls").format(name))
        try:
            # The roles are there already, from the template.
            db.execute(
                SQL("grant aseagi_app, aseagi_dashboard to {} with admin option").format(name)
            )
            db.execute(SQL("alter database {} owner to {}").format(database, name))
            # Supabase makes this schema, and lets its owner create the extension.
            db.execute(SQL("create schema extensions authorization {}").format(name))
            db.execute("create extension vector with schema extensions")
            owner = make_conninfo(empty_dsn, user=name.as_string().strip('"'))
            assert migrate(owner) == MIGRATIONS
            assert migrate(owner) == 0
        finally:
            db.execute(SQL("reassign owned by {} to postgres").format(name))
            db.execute(SQL("drop owned by {}").format(name))
            db.execute(SQL("drop role {}").format(name))


@pytest.mark.parametrize("password", ["pa#ss", "pa[ss", "pa%40ss", "pa+ss&host=x"])
def test_a_password_may_hold_any_character(fresh_database: FreshDatabase, password: str) -> None:
    # Pasted as Supabase shows it, not escaped as an URL would want it.
    dsn = fresh_database.dsn().replace("postgres@", f"postgres:{password}@")
    assert migrate(dsn) == 0


def test_an_address_in_key_value_form_serves_too(dsn: str) -> None:
    parts = conninfo_to_dict(dsn)
    assert migrate(make_conninfo("", **parts)) == 0


def refusals(dsn: str) -> list[AseagiError]:
    """How a migration and a connection of the program end with that address."""

    async def open_one() -> None:
        async with connect(dsn):
            pass

    with pytest.raises(AseagiError) as migrating_failed:
        migrate(dsn)
    with pytest.raises(AseagiError) as connecting_failed:
        asyncio.run(open_one())
    return [migrating_failed.value, connecting_failed.value]


@pytest.mark.parametrize(
    "dsn",
    [
        "mysql://somebody:secret@127.0.0.1/aseagi",
        "no address secret",
        "postgresql://somebody:secret@127.0.0.1/aseagi?nonsense=1",
        "postgresql://somebody:secret%zz@127.0.0.1/aseagi",
    ],
)
def test_an_address_that_makes_no_sense_is_one_clear_line(dsn: str) -> None:
    for error in refusals(dsn):
        assert isinstance(error, Misconfigured)
        assert "cannot be understood" in str(error)
        assert "\n" not in str(error)
        assert "secret" not in str(error)


@pytest.mark.parametrize(("database", "user"), [("no_such", "postgres"), ("postgres", "no_such")])
def test_a_missing_database_or_role_is_one_clear_line(
    fresh_database: FreshDatabase, database: str, user: str
) -> None:
    dsn = fresh_database.server.dsn(database, user).replace("@", ":secret@")
    for error in refusals(dsn):
        assert isinstance(error, Misconfigured)
        assert f"no such role or database: database '{database}'" in str(error)
        assert "\n" not in str(error)
        assert "secret" not in str(error)


@pytest.mark.parametrize("host", ["127.0.0.1:1", "nowhere.invalid"])
def test_an_unreachable_server_is_one_clear_line(host: str) -> None:
    for error in refusals(f"postgresql://somebody:secret@{host}/aseagi"):
        assert isinstance(error, RetryLater)
        assert "does not answer" in str(error)
        assert "\n" not in str(error)
        assert "secret" not in str(error)


@pytest.mark.parametrize(
    ("said", "what_to_do"),
    [
        ('password authentication failed for user "somebody"', Misconfigured),
        ("Tenant or user not found", Misconfigured),
        ('no pg_hba.conf entry for host "192.0.2.1"', Misconfigured),
        ('invalid integer value "port" for connection option "port"', Misconfigured),
        ("remaining connection slots are reserved", RetryLater),
        ("the database system is starting up", RetryLater),
    ],
)
def test_what_servers_and_poolers_say_becomes_what_to_do(
    said: str, what_to_do: type[AseagiError]
) -> None:
    error = explain(psycopg.OperationalError(said), "postgresql://somebody:secret@a-host/aseagi")
    assert isinstance(error, what_to_do)
    assert "'aseagi' at a-host" in str(error)
