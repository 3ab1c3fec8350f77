"""Many questions at once, at half the price: the nights' lane, through the Message Batches API.

    intended --create confirmed--> submitted --every result in--> ended
        |  ^                          |  ^
        |  +--not known yet           |  +--still processed, or results cut short: look again
        +--certainly not created--> void: its questions are asked again

A batch is written down, with its calls, before it is created (`sql.claude.intend_batch`). If the
answer to its creation is lost, or this process dies there, it may exist all the same, and
creating it again would pay twice. So it is looked for: in the account's list since the intent,
among those of its size that are nobody's, and known again by its requests' ids, which a batch
shows when it has ended. Only one that no listing shows `patience.creation` seconds after the
intent is given up.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import anthropic
import httpx2
import psycopg
from anthropic.types.messages import MessageBatch, MessageBatchIndividualResponse
from anthropic.types.messages.batch_create_params import Request

from blocks.claude import Claude
from schema.claude import Outcome
from schema.failures import AseagiError, Misconfigured, MoneyStops
from sql.claude import (
    Batch,
    NewCall,
    OpenCall,
    batch_created,
    batch_ended,
    batch_void,
    batches_due,
    intend_batch,
    known_batch_ids,
    look_later,
    open_calls,
    owns_call,
    settle_served,
    settle_unserved,
)
from sql.jobs import AnalysisJob
from tasks.claude.answers import RETRIED, Trouble, trouble_of, trouble_with_request
from tasks.claude.calling import Caller, RetryAfter, new_call, raise_if_hopeless, served
from tasks.claude.questions import Question

MOST_BYTES = 24_000_000
"""Of a batch: this process holds it several times over. The API takes 256 MB."""
MOST_QUESTIONS = 1_000
CLOCKS_DIFFER = timedelta(minutes=5)
"""By which the API's clock and that of Postgres may differ at most."""
RESULTS_OVERDUE = timedelta(hours=24)
"""Results that are still missing so long after a batch ended will not come."""
RESULTS_KEPT = timedelta(days=29)
"""For so long the API has the results of a batch."""
LISTED_AT_A_TIME = 100

_OF_QUESTIONS = frozenset({Outcome.REJECTED, Outcome.TOO_LONG})

_log = logging.getLogger("aseagi.claude")


@dataclass(frozen=True, slots=True)
class Planned:
    """A question that shall go into a batch."""

    job: AnalysisJob
    question: Question
    plan: str


class Batches:
    """Creates batches, and collects what became of them."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._creating: set[UUID] = set()

    async def submit(self, planned: Sequence[Planned]) -> None:
        """Create a batch of these questions. What becomes of it is found by `look`.

        Raises:
            MoneyStops: a limit; nothing was asked.
            RetryLater: the API takes no batch for now; nothing was asked.
            Misconfigured: the key or the model is wrong.
        """
        block = self._caller.block
        batch = uuid4()
        calls = [new_call(one.job, one.question, one.plan, block, in_batch=True) for one in planned]
        self._creating.add(batch)
        try:
            async with self._caller.pool.connection() as db:
                await intend_batch(
                    db, batch, calls, self._caller.limits, holder=self._caller.holder
                )
            await self._create(batch, calls, planned)
        finally:
            self._creating.discard(batch)

    async def _create(
        self, batch: UUID, calls: Sequence[NewCall], planned: Sequence[Planned]
    ) -> None:
        requests: list[Request] = [
            {"custom_id": call.id.hex, "params": one.question.params}
            for call, one in zip(calls, planned, strict=True)
        ]
        try:
            # Long before anybody gives it up as never made.
            async with asyncio.timeout(self._caller.patience.creation / 2):
                created = await self._caller.client.messages.batches.create(requests=requests)
            batch_id = created.id
        except Exception as error:
            trouble = trouble_of(error)
            if trouble.outcome in {Outcome.LOST, Outcome.ERROR}:
                return  # perhaps created: `look` finds out
            # What is wrong with the whole is no single question's fault; that has an end too.
            of_each = Outcome.ERROR if trouble.outcome in _OF_QUESTIONS else trouble.outcome
            async with self._caller.pool.connection() as db:
                await batch_void(db, batch, of_each, detail=trouble.detail)
            raise_if_hopeless(trouble, self._caller.block)
            raise RetryAfter(trouble) from error
        async with self._caller.pool.connection() as db:
            await batch_created(db, batch, batch_id, look_in=self._look_in(0))

    async def look(self) -> int:
        """Look after every batch that is due; return how many results came in.

        One that cannot be read now is looked at later. Raises `Misconfigured` or `MoneyStops` when
        a person must mend the key or the account.
        """
        async with self._caller.pool.connection() as db:
            due = [one for one in await batches_due(db) if one.id not in self._creating]
        collected = 0
        stops: AseagiError | None = None
        for batch in due:
            try:
                found = batch.batch_id or await self._find(batch)
                if found is not None:
                    collected += await self._collect(batch, found)
            except psycopg.Error:
                raise
            except Exception as error:  # noqa: BLE001 - one bad batch never stops the others
                async with self._caller.pool.connection() as db:
                    await look_later(db, batch.id, look_in=self._look_in(batch.looks))
                if isinstance(error, (MoneyStops, Misconfigured)):
                    stops = error
                elif not isinstance(error, (anthropic.APIError, httpx2.HTTPError)):
                    _log.error("batch %s cannot be looked at: %s", batch.id, type(error).__name__)
                else:
                    stops = stops or _hopeless(error, self._caller.block)
        if stops is not None:
            raise stops
        return collected

    # A batch whose creation was not confirmed

    async def _find(self, batch: Batch) -> str | None:
        """Find it in the account's list; None while nobody can say, or if it never was."""
        since = batch.created_at - CLOCKS_DIFFER
        candidates: list[MessageBatch] = []
        async for listed in self._caller.client.messages.batches.list(limit=LISTED_AT_A_TIME):
            if listed.created_at < since:
                break  # newest first
            if _size(listed) == batch.size:
                candidates.append(listed)
        async with self._caller.pool.connection() as db:
            known = await known_batch_ids(db, [one.id for one in candidates])
        undecided = False
        for candidate in candidates:
            if candidate.id in known:
                continue
            if candidate.processing_status != "ended":
                undecided = True
            elif await self._is(batch, candidate):
                async with self._caller.pool.connection() as db:
                    await batch_created(db, batch.id, candidate.id, look_in=timedelta(0))
                return candidate.id
        age = (datetime.now(UTC) - batch.created_at).total_seconds()
        async with self._caller.pool.connection() as db:
            if undecided or age < self._caller.patience.creation:
                await look_later(db, batch.id, look_in=self._look_in(batch.looks))
            else:
                await batch_void(db, batch.id, Outcome.ERROR, detail="the batch was never made")
        return None

    async def _is(self, batch: Batch, candidate: MessageBatch) -> bool:
        """Whether an ended batch is this one: by the first of its requests' ids."""
        async with aclosing(self._results(candidate.id)) as results:
            first = await anext(results, None)
        call = None if first is None else _call_of(first)
        if call is None:
            return False
        async with self._caller.pool.connection() as db:
            return await owns_call(db, batch.id, call)

    # Its results

    async def _collect(self, batch: Batch, batch_id: str) -> int:
        try:
            state = await self._caller.client.messages.batches.retrieve(batch_id)
        except anthropic.NotFoundError:
            # Deleted; or the key is of another workspace now, and may be put right again.
            async with self._caller.pool.connection() as db:
                if datetime.now(UTC) - batch.created_at > RESULTS_KEPT:
                    await batch_ended(db, batch.id)
                else:
                    await look_later(db, batch.id, look_in=self._look_in(batch.looks))
            return 0
        collected = 0
        if state.processing_status == "ended" and state.results_url is not None:
            # Cut short: what came is stored, and the rest comes at another look.
            with suppress(httpx2.HTTPError):
                collected = await self._store_results(batch, batch_id)
        async with self._caller.pool.connection() as db:
            missing = await open_calls(db, batch.id)
            ended_at = state.ended_at
            overdue = ended_at is not None and datetime.now(UTC) - ended_at > RESULTS_OVERDUE
            if state.processing_status == "ended" and (not missing or overdue):
                await batch_ended(db, batch.id)
            else:
                await look_later(db, batch.id, look_in=self._look_in(batch.looks))
        return collected

    async def _store_results(self, batch: Batch, batch_id: str) -> int:
        async with self._caller.pool.connection() as db:
            waiting = await open_calls(db, batch.id)
        collected = 0
        troubles: list[Trouble] = []
        async with aclosing(self._results(batch_id)) as results:
            async for result in results:
                call = _call_of(result)
                if call is not None and call in waiting:
                    trouble = await self._store(call, waiting[call], result)
                    troubles += [trouble] if trouble else []
                    collected += 1
        for trouble in troubles:
            raise_if_hopeless(trouble, self._caller.block)
        return collected

    async def _store(
        self, call: UUID, asked: OpenCall, individual: MessageBatchIndividualResponse
    ) -> Trouble | None:
        result = individual.result
        # The block may name another model by now.
        terms = self._caller.block.terms_of(asked.model)
        async with self._caller.pool.connection() as db:
            if result.type == "succeeded":
                answer = served(result.message, asked.step, terms, model=asked.model, in_batch=True)
                await settle_served(db, call, answer)
            elif result.type == "errored":
                said = result.error.error
                trouble = trouble_with_request(said.type, said.message)
                # Whatever passes is an error here: asking again has an end.
                passes = trouble.outcome in RETRIED
                outcome = Outcome.ERROR if passes else trouble.outcome
                await settle_unserved(db, call, outcome, detail=trouble.detail)
                return trouble
            else:
                await settle_unserved(db, call, Outcome.EXPIRED)
        return None

    async def _results(self, batch_id: str) -> AsyncGenerator[MessageBatchIndividualResponse]:
        results = await self._caller.client.messages.batches.results(batch_id)
        try:
            async for result in results:
                yield result
        finally:
            await results.close()

    def _look_in(self, looks: int) -> timedelta:
        patience = self._caller.patience
        seconds = min(patience.first_look * 1.5 ** min(looks, 20), patience.longest_look)
        return timedelta(seconds=seconds)


def _hopeless(error: Exception, block: Claude) -> AseagiError | None:
    """What a person must mend, if that is what the API's error means."""
    try:
        raise_if_hopeless(trouble_of(error), block)
    except AseagiError as stops:
        return stops
    return None


def _size(batch: MessageBatch) -> int:
    counts = batch.request_counts
    return counts.processing + counts.succeeded + counts.errored + counts.canceled + counts.expired


def _call_of(result: MessageBatchIndividualResponse) -> UUID | None:
    try:
        return UUID(hex=result.custom_id)
    except ValueError:
        return None  # a batch of another program
