"""What the marketplace remembers between starts: instances, its clock, its credit, its keys.

One SQLite file in the state directory. An instance is written when anything happens to
it and before that is answered, so what a client was told survives a SIGKILL.
"""

import secrets
import sqlite3
from pathlib import Path

from stack.marketplace.instances import Instance
from stack.rehearsal.keys import Keys, remember_keys


def remembered_keys(state_dir: Path) -> Keys:
    """The keys of the marketplace in `state_dir`, made at the first call.

    Raises:
        Misconfigured: the file that holds them is not what was written.
    """
    return remember_keys(state_dir, Keys, _new_keys)


def _new_keys() -> Keys:
    return Keys(api_key=secrets.token_hex(32), rehearsal_key=secrets.token_hex(32))


class Store:
    """The SQLite file. For one process and one thread."""

    def __init__(self, state_dir: Path) -> None:
        file = state_dir / "marketplace.sqlite3"
        # It holds what hosts were given, tokens among it.
        file.touch(mode=0o600)
        self._db = sqlite3.connect(file, isolation_level=None)
        self._db.executescript(
            """
            PRAGMA journal_mode = WAL;
            PRAGMA synchronous = NORMAL;
            CREATE TABLE IF NOT EXISTS instances (id INTEGER PRIMARY KEY, body TEXT NOT NULL);
            CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
            """
        )

    def instances(self) -> list[Instance]:
        """All that ever were, oldest first."""
        rows = self._db.execute("SELECT body FROM instances ORDER BY id")
        return [Instance.model_validate_json(body) for (body,) in rows]

    def save(self, instance: Instance) -> None:
        """Write one instance as it is now."""
        self._db.execute(
            "INSERT OR REPLACE INTO instances VALUES (?, ?)",
            (instance.id, instance.model_dump_json()),
        )

    def clock_us(self) -> int:
        """The last reading of the clock that is known."""
        kept = int(self.fact("clock_us") or "0")
        return max([kept, *(instance.now.clock_us for instance in self.instances())])

    def fact(self, name: str) -> str | None:
        """A value kept under a name; None if there is none."""
        row = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else row[0]

    def keep_fact(self, name: str, value: str) -> None:
        """Keep a value under a name."""
        self._db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    def close(self) -> None:
        """Close the file."""
        self._db.close()
