"""Batches: created at once, processed when their time has come.

The requests of a batch are done one after the other, evenly over `batch_seconds`; what
became of them is told when the batch has ended. It ends when all are done, when it is
cancelled, or a day after it was created: what was not done by then is canceled or expired,
and not billed. Every result is written by itself, so a batch that a SIGKILL interrupted
goes on where it was.
"""

import asyncio
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from stack.claude.books import Batch, Books, Item, Outcome
from stack.claude.clock import MICROSECONDS, Clock, date_of
from stack.claude.faults import Fault, FaultBook
from stack.claude.messages import Messages, Sender, new_id
from stack.claude.refusals import Refused, broken, invalid, not_found, not_rehearsed

MOST_REQUESTS = 100_000
MOST_LISTED = 1_000
EXPIRES_US = 24 * 3_600 * MICROSECONDS
WATCH_SECONDS = 0.02
"""How often, in real seconds, it is looked whether a batch is due."""
_AT_A_TIME = 100

_CUSTOM_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")


class Batches:
    """The batches of all accounts."""

    def __init__(
        self,
        books: Books,
        clock: Clock,
        messages: Messages,
        faults: FaultBook,
        *,
        batch_seconds: float,
    ) -> None:
        self._books = books
        self._clock = clock
        self._messages = messages
        self._faults = faults
        self._batch_us = int(batch_seconds * MICROSECONDS)
        self._watch: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Begin to process, inside the event loop."""
        self._watch = asyncio.create_task(self._process())

    async def close(self) -> None:
        """Stop between two requests; the rest is done after the next start."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)

    # What clients ask for

    def create(self, account: str, body: Mapping[str, object]) -> Batch:
        """Write down a batch. The requests themselves are looked at when they are processed.

        Raises:
            Refused: it is no list of requests with ids of their own.
        """
        items = _read_items(body)
        now = self._clock.now_us()
        batch = Batch(
            seq=0,
            id=new_id("msgbatch"),
            account=account,
            size=len(items),
            created_us=now,
            finish_us=now + self._batch_us,
            cancelled_us=None,
            ended_us=None,
        )
        self._books.create_batch(batch, items)
        return batch

    def find(self, account: str, batch_id: str) -> Batch:
        """The account's batch of that id. Raises `Refused`."""
        batch = self._books.batch(account, batch_id)
        if batch is None:
            raise not_found(f"Message Batch {batch_id} not found.")
        return batch

    def page(
        self, account: str, *, before_id: str | None, after_id: str | None, limit: int
    ) -> tuple[list[Batch], bool]:
        """Batches, newest first, and whether there are more in that direction.

        Raises:
            Refused: there is no batch of the id given, or the limit is out of bounds.
        """
        if not 1 <= limit <= MOST_LISTED:
            raise invalid(f"limit: Input should be from 1 to {MOST_LISTED}")
        if before_id is not None and after_id is not None:
            raise invalid("before_id and after_id cannot be given together")
        if before_id is not None:
            than = self.find(account, before_id).seq
            found = self._books.newer_batches(account, than=than, limit=limit + 1)
            return found[:limit][::-1], len(found) > limit
        than = None if after_id is None else self.find(account, after_id).seq
        found = self._books.older_batches(account, than=than, limit=limit + 1)
        return found[:limit], len(found) > limit

    def cancel(self, account: str, batch_id: str) -> Batch:
        """Have a batch end with what is done of it. Raises `Refused`."""
        batch = self.find(account, batch_id)
        if batch.ended_us is not None:
            raise invalid(f"Message Batch {batch_id} has already ended.")
        if batch.cancelled_us is None:
            self._books.cancel_batch(batch, self._clock.now_us())
        return self.find(account, batch_id)

    def results(self, account: str, batch_id: str) -> Iterator[bytes]:
        """Lines of JSON, the last request's first: their order promises nothing.

        Raises:
            Refused: there is no such batch, or it has not ended.
        """
        batch = self.find(account, batch_id)
        if batch.ended_us is None:
            raise not_found(f"Message Batch {batch_id} has no available results.")
        return (
            f'{{"custom_id":{json.dumps(custom_id)},"result":{result}}}\n'.encode()
            for custom_id, result in self._books.results(batch)
        )

    def report(self, batch: Batch, url: str) -> dict[str, object]:
        """A batch as the API shows it; `url` is where the API answers."""
        ended = batch.ended_us is not None
        # While it is processed nothing is told of single requests.
        counts = self._books.outcomes(batch) if ended else {"processing": batch.size}
        status = "ended" if ended else "in_progress" if batch.cancelled_us is None else "canceling"
        names = ("processing", "succeeded", "errored", "canceled", "expired")
        return {
            "id": batch.id,
            "type": "message_batch",
            "processing_status": status,
            "request_counts": {name: counts.get(name, 0) for name in names},
            "created_at": date_of(batch.created_us),
            "expires_at": date_of(batch.created_us + EXPIRES_US),
            "cancel_initiated_at": _date_or_none(batch.cancelled_us),
            "ended_at": _date_or_none(batch.ended_us),
            "archived_at": None,
            "results_url": f"{url}/v1/messages/batches/{batch.id}/results" if ended else None,
        }

    # What happens by itself

    async def _process(self) -> None:
        while True:
            for batch in self._books.running_batches():
                if self._clock.now_us() >= _due_us(batch):
                    await self._finish(batch)
            await asyncio.sleep(WATCH_SECONDS)

    async def _finish(self, batch: Batch) -> None:
        last = -1
        while items := self._books.unsettled(batch, behind=last, limit=_AT_A_TIME):
            for item in items:
                self._settle(batch, item)
                await asyncio.sleep(0)
            last = items[-1].position
        self._books.end_batch(batch, self._clock.now_us())

    def _settle(self, batch: Batch, item: Item) -> None:
        share = (batch.finish_us - batch.created_us) * (item.position + 1) // batch.size
        done_us = batch.created_us + share
        if batch.cancelled_us is not None and done_us > batch.cancelled_us:
            self._without_message(batch, item, "canceled")
        elif done_us > batch.created_us + EXPIRES_US:
            self._without_message(batch, item, "expired")
        else:
            facts = {
                "batch_id": batch.id,
                "custom_id": item.custom_id,
                "model": item.params.get("model"),
                "text": item.params,
            }
            self._serve(batch, item, self._faults.strike("item", facts))

    def _serve(self, batch: Batch, item: Item, fault: Fault | None) -> None:
        sender = Sender(batch.account, new_id("req"), batch.id, item.custom_id)
        kind = None if fault is None else fault.kind
        if kind == "expired":
            self._without_message(batch, item, "expired")
            return
        try:
            if kind == "errored":
                raise broken()
            if item.params.get("stream"):
                raise not_rehearsed("stream")
            reply = self._messages.reply(item.params, sender, kind)
        except Refused as refused:
            result = {"type": "errored", "error": refused.body(sender.request_id)}
            self._books.settle(batch, item, "errored", result, None)
            return
        result = {"type": "succeeded", "message": reply.message}
        self._books.settle(batch, item, "succeeded", result, reply.served)

    def _without_message(self, batch: Batch, item: Item, outcome: Outcome) -> None:
        self._books.settle(batch, item, outcome, {"type": outcome}, None)


def _due_us(batch: Batch) -> int:
    if batch.cancelled_us is not None:
        return batch.cancelled_us
    return min(batch.finish_us, batch.created_us + EXPIRES_US)


def _date_or_none(reading_us: int | None) -> str | None:
    return None if reading_us is None else date_of(reading_us)


def _read_items(body: Mapping[str, object]) -> list[Item]:
    for name in body.keys() - {"requests"}:
        raise invalid(f"{name}: Extra inputs are not permitted")
    requests = body.get("requests")
    if not isinstance(requests, list) or not requests:
        raise invalid("requests: List should have at least 1 item after validation")
    if len(cast("list[object]", requests)) > MOST_REQUESTS:
        raise invalid(f"requests: List should have at most {MOST_REQUESTS} items")
    items = [
        _read_item(position, request)
        for position, request in enumerate(cast("list[object]", requests))
    ]
    seen: set[str] = set()
    for item in items:
        if item.custom_id in seen:
            raise invalid(f"requests: custom_id must be unique: {item.custom_id}")
        seen.add(item.custom_id)
    return items


def _read_item(position: int, request: object) -> Item:
    where = f"requests.{position}"
    if not isinstance(request, Mapping):
        raise invalid(f"{where}: Input should be an object")
    given = cast("Mapping[str, object]", request)
    for name in given.keys() - {"custom_id", "params"}:
        raise invalid(f"{where}.{name}: Extra inputs are not permitted")
    for name in ("custom_id", "params"):
        if name not in given:
            raise invalid(f"{where}.{name}: Field required")
    custom_id, params = given["custom_id"], given["params"]
    if not isinstance(custom_id, str) or not _CUSTOM_ID.fullmatch(custom_id):
        raise invalid(f"{where}.custom_id: String should match pattern '^{_CUSTOM_ID.pattern}$'")
    if not isinstance(params, dict):
        raise invalid(f"{where}.params: Input should be an object")
    return Item(position, custom_id, cast("dict[str, Any]", params))
