"""What chats should show, and what they do: whoever compares the two has what is to be told."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from psycopg.rows import class_row

from sql.connection import Connection, only_row

LONGEST_WAIT = timedelta(minutes=1)


async def say(db: Connection, chat_id: int, text: str, *, reply_to: int | None = None) -> int:
    """Let a chat show a new message; return its number of ours. Commits nothing."""
    cursor = await db.execute(
        """
        insert into aseagi.telegram_messages (chat_id, reply_to, wanted) values (%s, %s, %s)
        returning id
        """,
        (chat_id, reply_to, text),
    )
    number: int = (await only_row(cursor))[0]
    return number


async def change(db: Connection, number: int, text: str) -> None:
    """Let a message say something else. Commits nothing."""
    await db.execute(
        "update aseagi.telegram_messages set wanted = %s where id = %s and wanted <> %s",
        (text, number, text),
    )


@dataclass(frozen=True, slots=True)
class ToTell:
    """A message that is to be sent, or to be edited if it has Telegram's id."""

    id: int
    chat_id: int
    reply_to: int | None
    wanted: str
    message_id: int | None
    attempts: int


async def next_to_tell(db: Connection, *, limit: int) -> list[ToTell]:
    """The first message of each chat that has one due: new ones in order, then edits."""
    async with db.cursor(row_factory=class_row(ToTell)) as cursor:
        await cursor.execute(
            """
            select distinct on (chat_id) id, chat_id, reply_to, wanted, message_id, attempts
            from aseagi.telegram_messages
            where given_up is null and (shown is null or shown <> wanted) and due_at <= now()
            order by chat_id, message_id is not null, id limit %s
            """,
            (limit,),
        )
        return await cursor.fetchall()


async def told(db: Connection, message: ToTell, *, message_id: int, rest: timedelta) -> None:
    """The chat shows it now; let it rest before the next edit."""
    await db.execute(
        """
        update aseagi.telegram_messages
        set shown = %s, message_id = %s, attempts = 0, due_at = now() + %s where id = %s
        """,
        (message.wanted, message_id, rest, message.id),
    )


async def try_later(db: Connection, message: ToTell) -> None:
    """It could not be told; wait, longer each time."""
    await db.execute(
        """
        update aseagi.telegram_messages set attempts = attempts + 1, due_at = now() + least(
            %s, interval '1 second' * 2 ^ least(attempts, 20))
        where id = %s
        """,
        (LONGEST_WAIT, message.id),
    )


async def rest_chat(db: Connection, chat_id: int, wait: timedelta) -> None:
    """Telegram asks for a pause: nothing is told in the chat meanwhile."""
    await db.execute(
        """
        update aseagi.telegram_messages set due_at = greatest(due_at, now() + %s)
        where chat_id = %s and given_up is null and (shown is null or shown <> wanted)
        """,
        (wait, chat_id),
    )


async def give_up(db: Connection, message: ToTell, reason: str) -> None:
    """It can never be told: the chat is gone, or the message."""
    await db.execute(
        "update aseagi.telegram_messages set given_up = %s where id = %s",
        (reason[:200], message.id),
    )


@dataclass(frozen=True, slots=True)
class Original:
    """Where a document's bytes are, and what it was called."""

    key: str
    file_name: str
    media_type: str


async def original_of(db: Connection, document_id: UUID) -> Original | None:
    """The original of a document, for a link to it."""
    async with db.cursor(row_factory=class_row(Original)) as cursor:
        await cursor.execute(
            """
            select s3_processed_path as key, file_name, media_type
            from aseagi.documents where id = %s
            """,
            (document_id,),
        )
        return await cursor.fetchone()


async def upload_expires_at(db: Connection, token_hash: bytes) -> datetime | None:
    """Until when an upload link works."""
    cursor = await db.execute(
        "select expires_at from aseagi.upload_links where token_hash = %s", (token_hash,)
    )
    row = await cursor.fetchone()
    return row[0] if row else None
