"""One piece of work from its rows to its end: a command answered, or files in the inbox.

Safe to be killed at any line and done again (migration 0009): names and bytes follow from
the messages alone, what lies in the inbox is found again by its content, and what is said
of it is one transaction with the work's end.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import psycopg
from botocore.exceptions import BotoCoreError, ClientError
from psycopg_pool import PoolTimeout

from blocks.bucket import Bucket
from blocks.inbox import Content, Origin, inbox_key, look
from blocks.wakeups import object_created
from gateway.spooling import Spool
from gateway.storing import record
from gateway.telegram.binding import bind
from gateway.telegram.captions import Caption, read_captions, safe_name
from gateway.telegram.commands import answer
from gateway.telegram.fetching import MOST_BYTES, Fetcher, TooLarge
from gateway.telegram.links import UPLOAD_LASTS, Links
from gateway.telegram.trouble import where
from gateway.telegram.updates import Message
from gateway.telegram.wording import LATE, plain, upload
from schema.failures import AseagiError, BadInput, RetryLater
from schema.files import JPEG, PNG
from schema.lanes import Lane
from sql.arrivals import SeenObject
from sql.connection import Connection, Pool
from sql.telegram_messages import say
from sql.telegram_replies import (
    NewFile,
    add_file,
    end_empty_replies,
    keep_link,
    keep_refused,
    keep_stored,
    keep_waiting,
    open_reply,
    reply_of,
)
from sql.telegram_updates import Piece, Work, put_off_work, settle_work
from sql.upload_links import create_link

log = logging.getLogger("aseagi.gateway.telegram")

WORK_SECONDS = 600.0
"""A piece of work has so long; a claim lasts longer."""

JOIN = timedelta(seconds=60)
"""What is sent within so long is told of in one message."""

SOURCE = "telegram"
UNBOUND = "It could not be put into one PDF with the other pictures of its album."
AWAY = "Telegram or the storage does not answer; it is tried again."
EXHAUSTED = "Taking it in was begun several times and never finished. Send it again."


@dataclass(frozen=True, slots=True)
class Sent:
    """A file of a piece of work, as it was sent."""

    piece: Piece
    message: Message

    @property
    def update_id(self) -> int:
        """The update that brought it."""
        return self.piece.update_id

    @property
    def file_id(self) -> str:
        """As Telegram calls the file."""
        if self.message.document is not None:
            return self.message.document.file_id
        return self.message.best_photo.file_id

    @property
    def declared_bytes(self) -> int | None:
        """How large Telegram says it is."""
        if self.message.document is not None:
            return self.message.document.file_size
        return self.message.best_photo.file_size

    @property
    def name(self) -> str:
        """What it is called in the inbox: as its sender called it, or when it was sent."""
        number = self.message.message_id
        if self.message.document is not None:
            return safe_name(self.message.document.file_name, otherwise=f"document-{number}")
        return f"photo-{self.message.sent_at:%Y-%m-%d-%H%M%S}-{number}.jpg"

    @property
    def bound_name(self) -> str:
        """What the album is called that it is the first page of."""
        return f"album-{self.message.sent_at:%Y-%m-%d-%H%M%S}-{self.message.message_id}.pdf"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a file that was sent; `path`, `refused` or `too_large`."""

    sent: Sent
    name: str
    path: Path | None = None
    content: Content | None = None
    refused: str | None = None
    too_large: bool = False
    remark: str | None = None
    stored: SeenObject | None = None

    @property
    def is_picture(self) -> bool:
        """Whether it can be a page of an album."""
        return self.content is not None and self.content.media_type in {JPEG, PNG}

    @property
    def origin(self) -> Origin:
        """Where it comes from, as it is kept with it."""
        return Origin(SOURCE, self.sent.message.sender.called, Lane.NOW, path=self.name)

    @property
    def told(self) -> NewFile:
        """As the chat is told of it."""
        remark = self.remark or (LATE if self.sent.piece.late else None)
        return NewFile(self.sent.update_id, self.sent.message.message_id, self.name, remark)


@dataclass
class Worker:
    """Does pieces of work."""

    pool: Pool
    storage: Bucket
    spool: Spool
    fetcher: Fetcher
    links: Links
    monthly_budget: Decimal
    _joining: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def do(self, work: Work) -> None:
        """Do it, or put it off; raises nothing that another try could mend."""
        try:
            async with asyncio.timeout(WORK_SECONDS):
                await self._do(work)
        except _ServiceAway as away:
            await self._put_off(work, AWAY, counts=away.is_final, at_least=away.wait)
        except (AseagiError, BotoCoreError, ClientError, psycopg.Error, PoolTimeout) as error:
            log.warning("update %d is put off: %s", work.lead, type(error).__name__)
            await self._put_off(work, AWAY, counts=not _may_pass(error))
        except Exception as error:  # noqa: BLE001 - a mistake of ours ends one update, not the loop
            log.error("update %d failed: %s", work.lead, where(error))  # noqa: TRY400 - no text
            await self._put_off(work, AWAY, counts=True)

    async def _do(self, work: Work) -> None:
        sent = [Sent(piece, Message.model_validate(piece.message)) for piece in work.pieces]
        files = [one for one in sent if one.message.has_file]
        if not files:
            await self._answer(work, sent[0].message)
            return
        await self._begin(work, files)
        if work.exhausted:
            await self._end(work, [_refused(one, EXHAUSTED) for one in files], Caption(None, None))
            return
        try:
            caption = read_captions([one.message.caption for one in files])
        except BadInput as error:
            await self._end(work, [_refused(one, str(error)) for one in files], Caption(None, None))
            return
        with self.spool.folder() as folder:
            fetched = [await self._fetch(one, folder) for one in files]
            outcomes = await _bound(fetched, folder)
            kept = [await self._store(one, caption) for one in outcomes]
        await self._end(work, kept, caption)

    async def _answer(self, work: Work, message: Message) -> None:
        """A command's effect, what is said of it, and the update's end: one transaction."""
        async with self.pool.connection() as db:
            if await settle_work(db, work):
                said = await answer(db, message, monthly_budget=self.monthly_budget)
                await say(db, work.chat_id, said, reply_to=message.message_id)

    async def _begin(self, work: Work, files: Sequence[Sent]) -> None:
        """Let the chat see that it came; a link of its own is all that is said of a large file."""
        if all(_is_too_large(one) for one in files):
            return
        first = files[0]
        name = first.name if len(files) == 1 else f"album of {len(files)}"
        told = NewFile(first.update_id, first.message.message_id, name)
        async with self._joining, self.pool.connection() as db:
            await open_reply(
                db, work.chat_id, told, text=f"<b>{plain(name, 100)}</b>\nreceived", join=JOIN
            )

    async def _fetch(self, sent: Sent, folder: Path) -> Outcome:
        path = folder / str(sent.update_id)
        try:
            await _from_telegram(self.fetcher, sent, path)
            content = await asyncio.to_thread(look, path)
        except TooLarge:
            return Outcome(sent, sent.name, too_large=True)
        except BadInput as error:
            return _refused(sent, str(error))
        return Outcome(sent, sent.name, path, content)

    async def _store(self, outcome: Outcome, caption: Caption) -> Outcome:
        """Into the inbox; found again if it lies there already."""
        if outcome.path is None or outcome.content is None:
            return outcome
        try:
            key = inbox_key(outcome.name, caption.matter)
            put = await self.spool.put(
                self.storage, outcome.path, key, outcome.content, outcome.origin
            )
        except BadInput as error:
            return replace(outcome, path=None, content=None, refused=str(error))
        stored = put.stored
        return replace(outcome, stored=SeenObject(stored.key, stored.etag, stored.size_bytes))

    async def _end(self, work: Work, outcomes: Sequence[Outcome], caption: Caption) -> None:
        """Arrivals, notes, what the chat is told, and the work's end: one transaction."""
        new = list[SeenObject]()
        # Nobody joins a reply while one that has become empty is ended.
        async with self._joining, self.pool.connection() as db:
            if not await settle_work(db, work):
                return
            reply_id = await reply_of(db, work.pieces[0].update_id)
            for one in outcomes:
                if one.too_large:
                    await self._offer_upload(db, work.chat_id, one, caption)
                    continue
                if reply_id is not None:
                    await add_file(db, reply_id, one.told)
                if one.refused is not None:
                    await keep_refused(db, one.sent.update_id, one.refused)
                if one.stored is not None:
                    await keep_stored(db, one.sent.update_id, one.stored)
                    if await record(db, one.stored, origin=one.origin, note=caption.note):
                        new.append(one.stored)
            await end_empty_replies(db, work.chat_id)
        for seen in new:
            object_created(seen.key, size_bytes=seen.size_bytes)

    async def _offer_upload(
        self, db: Connection, chat_id: int, outcome: Outcome, caption: Caption
    ) -> None:
        link_id = await create_link(
            db,
            token_hash=self.links.upload_token_hash(outcome.sent.update_id),
            source=SOURCE,
            submitted_by=outcome.sent.message.sender.called,
            matter=caption.matter,
            lane=Lane.NOW,
            note=caption.note,
            ttl=UPLOAD_LASTS,
        )
        text = f"<b>{plain(outcome.name, 100)}</b>\n{upload(outcome.sent.update_id)}"
        await keep_link(db, chat_id, outcome.told, link_id, text=text)

    async def _put_off(
        self, work: Work, reason: str, *, counts: bool, at_least: timedelta = timedelta(0)
    ) -> None:
        async with self.pool.connection() as db:
            await put_off_work(db, work, counts=counts, at_least=at_least)
            await keep_waiting(db, work.pieces[0].update_id, reason)


class _ServiceAway(Exception):
    """Telegram does not answer as it should; `wait` is what it asks for.

    `is_final` when it refuses this very file: then its tries are counted, and have an end.
    """

    def __init__(self, wait: timedelta = timedelta(0), *, is_final: bool = False) -> None:
        super().__init__()
        self.wait = wait
        self.is_final = is_final


def _may_pass(error: Exception) -> bool:
    """Whether a service is away; else it is this work that cannot be done."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
        return status >= 500 or status == 429
    if isinstance(error, psycopg.Error):
        # A statement that takes too long will take too long again.
        is_away = isinstance(error, psycopg.OperationalError)
        return is_away and not isinstance(error, psycopg.errors.QueryCanceled)
    return isinstance(error, (RetryLater, BotoCoreError, PoolTimeout))


async def _from_telegram(fetcher: Fetcher, sent: Sent, path: Path) -> None:
    """Fetch it; what the library raises becomes one of ours, without its text."""
    from telegram.error import (  # noqa: PLC0415 - see `blocks.bot`
        BadRequest,
        Forbidden,
        RetryAfter,
        TelegramError,
    )

    try:
        await fetcher.fetch(sent.file_id, sent.declared_bytes, path)
    except RetryAfter as asked:
        wait = asked.retry_after
        seconds = wait if isinstance(wait, timedelta) else timedelta(seconds=wait)
        raise _ServiceAway(seconds) from None
    except TelegramError as error:
        log.warning("update %d: Telegram: %s", sent.update_id, type(error).__name__)
        raise _ServiceAway(is_final=isinstance(error, (BadRequest, Forbidden))) from None


async def _bound(fetched: Sequence[Outcome], folder: Path) -> list[Outcome]:
    """The pictures of an album as one document, in the first one's place; all else as it is."""
    pictures = [one for one in fetched if one.is_picture]
    if len(pictures) < 2:
        return list(fetched)
    first = pictures[0]
    path = folder / "bound.pdf"
    try:
        await bind([one.path for one in pictures if one.path is not None], path)
    except (BadInput, TimeoutError):
        return [replace(one, remark=UNBOUND) if one.is_picture else one for one in fetched]
    content = await asyncio.to_thread(look, path)
    whole = Outcome(first.sent, first.sent.bound_name, path, content)
    return [whole if one is first else one for one in fetched if one is first or not one.is_picture]


def _is_too_large(sent: Sent) -> bool:
    return (sent.declared_bytes or 0) > MOST_BYTES


def _refused(sent: Sent, reason: str) -> Outcome:
    return Outcome(sent, sent.name, refused=reason)
