"""What a chat is told of what it sent: as it proceeds in one message, then what it came to."""

from collections.abc import Sequence
from uuid import UUID

from gateway.telegram.wording import analysis_message, digest_message, failure_message, progress
from sql.connection import Connection, Pool
from sql.controls import read_controls
from sql.documents import DocumentRow, list_documents
from sql.telegram_messages import change, say
from sql.telegram_replies import (
    OpenReply,
    SentFile,
    end_reply,
    files_of,
    lock_reply,
    open_replies,
)

EACH = 5
"""Up to so many documents are told of in a message each."""

AT_A_TIME = 100


async def refresh_replies(pool: Pool, after: UUID | None) -> UUID | None:
    """Bring what open replies say up to date, and end those that are at their end.

    As many as a turn may take, those after `after`; returns where the next turn goes on,
    None to begin anew. So no reply that waits for long keeps the others from their turn.
    """
    async with pool.connection() as db:
        replies = await open_replies(db, after=after, limit=AT_A_TIME)
        controls = await read_controls(db) if replies else None
    for reply in replies:
        async with pool.connection() as db:
            files = await files_of(db, reply.id)
            if not files or controls is None:
                continue
            text = progress(files, controls)
            if text != reply.wanted:
                await change(db, reply.message, text)
            if not reply.more_comes and all(file.ended for file in files):
                await _end(db, reply)
    return replies[-1].id if len(replies) == AT_A_TIME else None


async def _end(db: Connection, reply: OpenReply) -> None:
    """Say what it came to, in one transaction with its end: once, and of every file."""
    if not await lock_reply(db, reply.id):
        return
    files = await files_of(db, reply.id)  # as it is now that nobody can join
    if not all(file.ended for file in files):
        return
    documents = {file.document_id for file in files if file.document_id is not None}
    rows = await list_documents(db, ids=list(documents)) if documents else []
    await end_reply(db, reply.id)
    if len(files) <= EACH:
        await _say_each(db, reply, files, {row.id: row for row in rows})
    else:
        await say(db, reply.chat_id, digest_message(files, rows), reply_to=files[0].message_id)


async def _say_each(
    db: Connection, reply: OpenReply, files: Sequence[SentFile], rows: dict[object, DocumentRow]
) -> None:
    for file in files:
        row = rows.get(file.document_id)
        text = (
            analysis_message(file, row)
            if row is not None and file.status == "completed"
            else failure_message(file)
        )
        await say(db, reply.chat_id, text, reply_to=file.message_id)
