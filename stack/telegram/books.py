"""Chats, messages, files, and updates not yet taken: one SQLite file in the state directory.

What a client was told, and what it was not told, survives a SIGKILL.
"""

import json
import secrets
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from stack.rehearsal import keys
from stack.rehearsal.keys import Keys
from stack.telegram.entities import Parsed

_TABLES = """
create table if not exists webhook (one integer primary key check (one = 1), settings text);
create table if not exists commands (one integer primary key check (one = 1), settings text);
create table if not exists chats (id integer primary key, user text not null, blocked integer not null default 0,
    last_message integer not null default 0);
create table if not exists messages (chat_id integer not null, message_id integer not null,
    by_bot integer not null, message text not null, history text not null, primary key (chat_id, message_id));
create table if not exists files (file_id text primary key, unique_id text not null, path text not null unique,
    size integer not null, content blob);
create table if not exists updates (id integer primary key, body text not null, held integer not null,
    taken integer not null default 0, attempts integer not null default 0);
"""  # noqa: E501

FIRST_UPDATE = 100_000_000


def remembered_keys(state_dir: Path) -> Keys:
    """The bot's token and the rehearsal's key in `state_dir`, made at the first call.

    Raises:
        Misconfigured: the file that holds them is not what was written.
    """
    return keys.remember_keys(state_dir, Keys, _new_keys)


def _new_keys() -> Keys:
    number = 1_000_000_000 + secrets.randbelow(8_000_000_000)
    return Keys(
        api_key=f"{number}:{secrets.token_urlsafe(26)[:35]}", rehearsal_key=secrets.token_hex(32)
    )


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file somebody sent; without content if it was only said to be so large."""

    file_id: str
    unique_id: str
    path: str
    size: int
    content: bytes | None


@dataclass(frozen=True, slots=True)
class Pending:
    """An update that the webhook has not taken."""

    id: int
    body: str
    attempts: int


class Books:
    """All that the rehearsal knows."""

    def __init__(self, state_dir: Path) -> None:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._db = sqlite3.connect(
            state_dir / "telegram.sqlite", isolation_level=None, check_same_thread=False
        )
        self._db.execute("pragma journal_mode = wal")
        self._db.execute("pragma synchronous = normal")
        self._db.executescript(_TABLES)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    # Settings of the bot

    def webhook(self) -> dict[str, Any]:
        """What `setWebhook` said last; empty without a webhook."""
        return self._settings("webhook")

    def set_webhook(self, settings: dict[str, Any]) -> None:
        """Keep what `setWebhook` says."""
        self._db.execute("insert or replace into webhook values (1, ?)", (json.dumps(settings),))

    def commands(self) -> list[dict[str, str]]:
        """What `setMyCommands` said last."""
        return self._settings("commands").get("commands", [])

    def set_commands(self, commands: list[dict[str, str]]) -> None:
        """Keep what `setMyCommands` says."""
        self._db.execute(
            "insert or replace into commands values (1, ?)", (json.dumps({"commands": commands}),)
        )

    def _settings(self, table: str) -> dict[str, Any]:
        row = self._db.execute(f"select settings from {table}").fetchone()  # noqa: S608 - ours
        return json.loads(row[0]) if row else {}

    # Chats

    def chat(self, chat_id: int) -> dict[str, Any] | None:
        """The user of a private chat that exists."""
        row = self._db.execute(
            "select user, blocked from chats where id = ?", (chat_id,)
        ).fetchone()
        return None if row is None else {**json.loads(row[0]), "blocked": bool(row[1])}

    def open_chat(self, user: dict[str, Any]) -> None:
        """Let the chat of a user exist; their name is what they said last."""
        self._db.execute(
            "insert into chats (id, user) values (?, ?) "
            "on conflict (id) do update set user = excluded.user",
            (user["id"], json.dumps(user)),
        )

    def block(self, chat_id: int, *, blocked: bool) -> None:
        """Let a user block the bot, or no longer."""
        self._db.execute("update chats set blocked = ? where id = ?", (blocked, chat_id))

    def next_message_id(self, chat_id: int) -> int:
        """The number of the chat's next message."""
        row = self._db.execute(
            "update chats set last_message = last_message + 1 where id = ? returning last_message",
            (chat_id,),
        ).fetchone()
        return int(row[0])

    def keep_message(self, chat_id: int, message: dict[str, Any], *, by_bot: bool) -> None:
        """Keep a new message."""
        self._db.execute(
            "insert into messages values (?, ?, ?, ?, ?)",
            (
                chat_id,
                message["message_id"],
                by_bot,
                json.dumps(message),
                json.dumps([_seen(message)]),
            ),
        )

    def message(self, chat_id: int, message_id: int) -> tuple[dict[str, Any], bool] | None:
        """A message, and whether it is the bot's."""
        row = self._db.execute(
            "select message, by_bot from messages where chat_id = ? and message_id = ?",
            (chat_id, message_id),
        ).fetchone()
        return None if row is None else (json.loads(row[0]), bool(row[1]))

    def edit_message(self, chat_id: int, message_id: int, new: Parsed) -> dict[str, Any]:
        """Change a message's text; what it was stays in its history."""
        row = self._db.execute(
            "select message, history from messages where chat_id = ? and message_id = ?",
            (chat_id, message_id),
        ).fetchone()
        message, history = json.loads(row[0]), cast("list[Any]", json.loads(row[1]))
        message |= {"text": new.text, "edit_date": int(time.time())}
        message.pop("entities", None)
        if new.entities:
            message["entities"] = new.entities
        self._db.execute(
            "update messages set message = ?, history = ? where chat_id = ? and message_id = ?",
            (json.dumps(message), json.dumps([*history, _seen(message)]), chat_id, message_id),
        )
        return message

    def delete_message(self, chat_id: int, message_id: int) -> None:
        """Let a user delete a message."""
        self._db.execute(
            "delete from messages where chat_id = ? and message_id = ?", (chat_id, message_id)
        )

    def messages(self, chat_id: int) -> list[dict[str, Any]]:
        """Every message of a chat with its history, in order."""
        rows = self._db.execute(
            "select message, by_bot, history from messages where chat_id = ? order by message_id",
            (chat_id,),
        )
        return [
            {**json.loads(row[0]), "by_bot": bool(row[1]), "history": json.loads(row[2])}
            for row in rows
        ]

    # Files

    def keep_file(self, folder: str, ending: str, content: bytes | None, size: int) -> StoredFile:
        """Keep a file that was sent."""
        number = self._db.execute("select count(*) from files").fetchone()[0]
        file = StoredFile(
            file_id=f"BQACAgIAAxkBAA{secrets.token_urlsafe(32)}",
            unique_id=f"AgAD{secrets.token_urlsafe(9)}",
            path=f"{folder}/file_{number}{ending}",
            size=size,
            content=content,
        )
        self._db.execute(
            "insert into files values (?, ?, ?, ?, ?)",
            (file.file_id, file.unique_id, file.path, file.size, file.content),
        )
        return file

    def file(self, file_id: str) -> StoredFile | None:
        """A file by its id."""
        return self._file("file_id", file_id)

    def file_at(self, path: str) -> StoredFile | None:
        """A file by its path."""
        return self._file("path", path)

    def _file(self, column: str, value: str) -> StoredFile | None:
        row = self._db.execute(
            f"select file_id, unique_id, path, size, content from files where {column} = ?",  # noqa: S608 - ours
            (value,),
        ).fetchone()
        return None if row is None else StoredFile(*row)

    # Updates

    def keep_update(self, message: dict[str, Any], *, held: bool) -> int:
        """Let an update be delivered; a held one only when asked for. Returns its number."""
        row = self._db.execute("select coalesce(max(id), ?) from updates", (FIRST_UPDATE,))
        number = int(row.fetchone()[0]) + 1
        body = json.dumps({"update_id": number, "message": message}, ensure_ascii=False)
        self._db.execute(
            "insert into updates (id, body, held) values (?, ?, ?)", (number, body, held)
        )
        return number

    def next_update(self) -> Pending | None:
        """The first update that is to be delivered."""
        row = self._db.execute(
            "select id, body, attempts from updates where not taken and not held "
            "order by id limit 1"
        ).fetchone()
        return None if row is None else Pending(*row)

    def update(self, number: int) -> Pending | None:
        """An update by its number, taken or not."""
        row = self._db.execute(
            "select id, body, attempts from updates where id = ?", (number,)
        ).fetchone()
        return None if row is None else Pending(*row)

    def count_attempt(self, number: int, *, taken: bool) -> None:
        """Keep that an update was delivered once more."""
        self._db.execute(
            "update updates set attempts = attempts + 1, taken = taken or ? where id = ?",
            (taken, number),
        )

    def count_pending(self) -> int:
        """How many updates are not taken."""
        return int(
            self._db.execute(
                "select count(*) from updates where not taken and not held"
            ).fetchone()[0]
        )

    def drop_pending(self) -> None:
        """Forget what was not taken."""
        self._db.execute("update updates set taken = 1 where not taken")


def _seen(message: dict[str, Any]) -> dict[str, Any]:
    return {"text": message.get("text"), "entities": message.get("entities", [])}
