"""What was served, and every batch: one SQLite file in the state directory.

A row of `served` is written when a message is served and before it is answered, in the
same transaction as the batch result it belongs to; the database itself refuses to change
or delete one. What a client was told, and what it was not told, survives a SIGKILL.
"""

import json
import secrets
import sqlite3
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from stack.rehearsal import keys

Outcome = Literal["succeeded", "errored", "canceled", "expired"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys(keys.Keys):
    """The keys of two accounts, and the key of the rehearsal's own paths."""

    other_api_key: str = field(repr=False)


def remembered_keys(state_dir: Path) -> Keys:
    """The keys of the rehearsal in `state_dir`, made at the first call.

    Raises:
        Misconfigured: the file that holds them is not what was written.
    """
    return keys.remember_keys(state_dir, Keys, _new_keys)


def _new_keys() -> Keys:
    return Keys(
        api_key=f"sk-ant-rehearsal-{secrets.token_hex(24)}",
        other_api_key=f"sk-ant-rehearsal-{secrets.token_hex(24)}",
        rehearsal_key=secrets.token_hex(32),
    )


@dataclass(frozen=True, slots=True)
class Served:
    """One served message. `lost`: its response was cut on purpose, and it counts all the same."""

    served_at: str
    account: str
    message_id: str
    request_id: str
    batch_id: str | None
    custom_id: str | None
    model: str
    input_tokens: int
    cache_creation_5m_input_tokens: int
    cache_creation_1h_input_tokens: int
    cache_read_input_tokens: int
    output_tokens: int
    stop_reason: str
    service_tier: str
    lost: bool


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch. Times are readings of the clock; `finish_us`: when all would be processed."""

    seq: int
    id: str
    account: str
    size: int
    created_us: int
    finish_us: int
    cancelled_us: int | None
    ended_us: int | None


@dataclass(frozen=True, slots=True)
class Item:
    """One request of a batch, not processed yet."""

    position: int
    custom_id: str
    params: dict[str, Any]


_SERVED = ", ".join(each.name for each in fields(Served))
_BATCH = ", ".join(each.name for each in fields(Batch))
_SUMS = ", ".join(
    f"coalesce(sum({name}), 0) AS {name}"
    for name in (
        "input_tokens",
        "cache_creation_5m_input_tokens",
        "cache_creation_1h_input_tokens",
        "cache_read_input_tokens",
        "output_tokens",
    )
)

_SCHEMA = """
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS served (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        served_at TEXT NOT NULL,
        account TEXT NOT NULL,
        message_id TEXT NOT NULL UNIQUE,
        request_id TEXT NOT NULL,
        batch_id TEXT,
        custom_id TEXT,
        model TEXT NOT NULL,
        input_tokens INTEGER NOT NULL,
        cache_creation_5m_input_tokens INTEGER NOT NULL,
        cache_creation_1h_input_tokens INTEGER NOT NULL,
        cache_read_input_tokens INTEGER NOT NULL,
        output_tokens INTEGER NOT NULL,
        stop_reason TEXT NOT NULL,
        service_tier TEXT NOT NULL,
        lost INTEGER NOT NULL,
        UNIQUE (batch_id, custom_id)
    );
    CREATE TRIGGER IF NOT EXISTS served_is_never_changed BEFORE UPDATE ON served
        BEGIN SELECT raise(ABORT, 'the books are append-only'); END;
    CREATE TRIGGER IF NOT EXISTS served_is_never_deleted BEFORE DELETE ON served
        BEGIN SELECT raise(ABORT, 'the books are append-only'); END;
    CREATE TABLE IF NOT EXISTS batches (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        account TEXT NOT NULL,
        size INTEGER NOT NULL,
        created_us INTEGER NOT NULL,
        finish_us INTEGER NOT NULL,
        cancelled_us INTEGER,
        ended_us INTEGER
    );
    CREATE TABLE IF NOT EXISTS items (
        seq INTEGER NOT NULL REFERENCES batches,
        position INTEGER NOT NULL,
        custom_id TEXT NOT NULL,
        params TEXT NOT NULL,
        outcome TEXT,
        result TEXT,
        PRIMARY KEY (seq, position)
    ) WITHOUT ROWID;
"""


class Books:
    """The SQLite file. For one process and one thread."""

    def __init__(self, state_dir: Path) -> None:
        file = state_dir / "claude.sqlite3"
        # It holds the requests of batches: document text.
        file.touch(mode=0o600)
        self._db = sqlite3.connect(file, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.executescript(_SCHEMA)

    # Served messages

    def write_served(self, served: Served) -> None:
        """Append one row."""
        marks = ", ".join("?" * len(fields(Served)))
        self._db.execute(f"INSERT INTO served ({_SERVED}) VALUES ({marks})", astuple(served))  # noqa: S608

    def served(self, *, after: int, limit: int) -> list[dict[str, object]]:
        """Rows with a number above `after`, oldest first."""
        rows = self._db.execute(
            f"SELECT number, {_SERVED} FROM served WHERE number > ? ORDER BY number LIMIT ?",  # noqa: S608
            (after, limit),
        )
        return [{**dict(row), "lost": bool(row["lost"])} for row in rows]

    def totals(self) -> dict[str, int]:
        """How many messages were ever served, and all their tokens."""
        row = self._db.execute(f"SELECT count(*) AS messages, {_SUMS} FROM served")  # noqa: S608
        return dict(row.fetchone())

    # Batches

    def create_batch(self, batch: Batch, items: Sequence[Item]) -> None:
        """Write a batch and its requests; its `seq` is chosen here."""
        with self._transaction():
            seq = self._db.execute(
                "INSERT INTO batches (id, account, size, created_us, finish_us)"
                " VALUES (?, ?, ?, ?, ?)",
                (batch.id, batch.account, batch.size, batch.created_us, batch.finish_us),
            ).lastrowid
            self._db.executemany(
                "INSERT INTO items (seq, position, custom_id, params) VALUES (?, ?, ?, ?)",
                ((seq, item.position, item.custom_id, json.dumps(item.params)) for item in items),
            )

    def batch(self, account: str, batch_id: str) -> Batch | None:
        """The batch, if it is the account's."""
        row = self._db.execute(
            f"SELECT {_BATCH} FROM batches WHERE account = ? AND id = ?",  # noqa: S608
            (account, batch_id),
        ).fetchone()
        return None if row is None else Batch(**row)

    def older_batches(self, account: str, *, than: int | None, limit: int) -> list[Batch]:
        """Batches below a `seq`, newest first."""
        return self._batches(
            "account = ? AND (?2 IS NULL OR seq < ?2) ORDER BY seq DESC LIMIT ?3",
            (account, than, limit),
        )

    def newer_batches(self, account: str, *, than: int, limit: int) -> list[Batch]:
        """Batches above a `seq`, oldest first."""
        return self._batches("account = ? AND seq > ? ORDER BY seq LIMIT ?", (account, than, limit))

    def running_batches(self) -> list[Batch]:
        """Every batch that has not ended."""
        return self._batches("ended_us IS NULL ORDER BY seq", ())

    def cancel_batch(self, batch: Batch, now_us: int) -> None:
        """Write that it is to be cancelled."""
        self._db.execute("UPDATE batches SET cancelled_us = ? WHERE seq = ?", (now_us, batch.seq))

    def end_batch(self, batch: Batch, now_us: int) -> None:
        """Write that every request of it has its result."""
        self._db.execute("UPDATE batches SET ended_us = ? WHERE seq = ?", (now_us, batch.seq))

    def unsettled(self, batch: Batch, *, behind: int, limit: int) -> list[Item]:
        """Its next requests without a result, behind a position."""
        rows = self._db.execute(
            "SELECT position, custom_id, params FROM items"
            " WHERE seq = ? AND position > ? AND outcome IS NULL ORDER BY position LIMIT ?",
            (batch.seq, behind, limit),
        )
        return [
            Item(position, custom_id, json.loads(params)) for position, custom_id, params in rows
        ]

    def settle(
        self,
        batch: Batch,
        item: Item,
        outcome: Outcome,
        result: Mapping[str, object],
        served: Served | None,
    ) -> None:
        """Write a request's result, and the message served for it if there is one."""
        with self._transaction():
            self._db.execute(
                "UPDATE items SET outcome = ?, result = ?, params = '' "
                "WHERE seq = ? AND position = ?",
                (outcome, json.dumps(result), batch.seq, item.position),
            )
            if served is not None:
                self.write_served(served)

    def outcomes(self, batch: Batch) -> dict[str, int]:
        """How many requests had which outcome."""
        rows = self._db.execute(
            "SELECT outcome, count(*) FROM items WHERE seq = ? AND outcome IS NOT NULL"
            " GROUP BY outcome",
            (batch.seq,),
        )
        return dict(rows)

    def results(self, batch: Batch) -> Iterator[tuple[str, str]]:
        """Custom id and result, as JSON, of every request; the last one first."""
        rows = self._db.execute(
            "SELECT custom_id, result FROM items WHERE seq = ? ORDER BY position DESC",
            (batch.seq,),
        )
        yield from rows

    # Facts

    def clock_us(self) -> int:
        """The last reading of the clock that is known."""
        row = self._db.execute(
            "SELECT max(coalesce((SELECT value FROM facts WHERE name = 'clock_us'), 0) + 0,"
            " coalesce((SELECT max(max(created_us, coalesce(ended_us, 0))) FROM batches), 0))"
        ).fetchone()
        return int(row[0])

    def keep_clock(self, now_us: int) -> None:
        """Remember a reading of the clock."""
        self._db.execute("INSERT OR REPLACE INTO facts VALUES ('clock_us', ?)", (str(now_us),))

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _batches(self, where: str, values: tuple[object, ...]) -> list[Batch]:
        rows = self._db.execute(f"SELECT {_BATCH} FROM batches WHERE {where}", values)  # noqa: S608
        return [Batch(**row) for row in rows]

    @contextmanager
    def _transaction(self) -> Generator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")
