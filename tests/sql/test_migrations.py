import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

import sql.migrate
from schema.failures import Misconfigured, RetryLater
from sql.connection import connect
from sql.migrate import FOLDER, migrate
from tests.conftest import DatabaseServer

MIGRATIONS = len(list(FOLDER.glob("*.sql")))


def tables_of(dsn: str) -> int:
    with psycopg.connect(dsn) as db:
        [(tables,)] = db.execute("select count(*) from pg_tables where schemaname = 'aseagi'")
    return int(tables)


def test_migrating_again_applies_nothing(dsn: str) -> None:
    before = tables_of(dsn)
    assert migrate(dsn) == 0
    assert tables_of(dsn) == before > 0


def test_a_new_database_gets_every_migration(empty_dsn: str) -> None:
    assert migrate(empty_dsn) == MIGRATIONS
    assert migrate(empty_dsn) == 0


@pytest.mark.parametrize("round", range(2))
def test_two_processes_migrating_at_once_both_succeed(empty_dsn: str, round: int) -> None:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as processes:
        list(processes.map(abs, range(2)))
        assert sum(processes.map(migrate, [empty_dsn] * 2)) == MIGRATIONS
    assert migrate(empty_dsn) == 0


def test_a_migration_killed_with_the_lock_says_how_to_go_on(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql.migrate, "LOCK_SECONDS", 0.1)
    with psycopg.connect(dsn, autocommit=True) as db:
        db.execute(
            "insert into aseagi_migrations.yoyo_lock (locked, ctime, pid) values (1, now(), 4194303)"
        )
        with pytest.raises(RetryLater, match="delete from aseagi_migrations.yoyo_lock"):
            migrate(dsn)
        db.execute("delete from aseagi_migrations.yoyo_lock")
    assert migrate(dsn) == 0
