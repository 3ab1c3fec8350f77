"""One question asked, its answer settled.

Every try is a call of its own (`sql.claude`), committed with the most it can cost before it is
sent. The SDK's retries are off; those made here have a reason each: the API is busy, broken or
out of reach, and said or did nothing that costs. A lost answer is not asked for again here: how
often that may be is for `steps` to say.
"""

import asyncio
import random
import time
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import psycopg
from anthropic import AsyncAnthropic
from anthropic.types import Message

from blocks.claude import Claude, Model
from blocks.spending import Spending
from schema.claude import Outcome, Step
from schema.failures import AseagiError, Misconfigured, MoneyStops, RetryLater
from sql.claude import (
    Limits,
    NewCall,
    Served,
    intend_call,
    settle_lost,
    settle_served,
    settle_unserved,
)
from sql.connection import Pool
from sql.jobs import AnalysisJob, renew_claim
from tasks.claude.answers import RETRIED, Trouble, read_reply, trouble_of, usage_of
from tasks.claude.pricing import price
from tasks.claude.questions import Question

CLAIM_FOR = timedelta(minutes=20)
"""Longer than any one question takes, its timeout and the waits before its tries included."""

LOST_IN_A_ROW = 10
"""Answers lost, with none received between: not bad luck any more."""
SETTLE_TRIES = 8
SETTLE_SECONDS = 10.0
"""Most seconds between tries to write down an answer: half a minute in all."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for what. Seconds."""

    tries: int = 5
    """Of one question in a row, where the API does not serve it."""
    first_wait: float = 1.0
    """Between the first two tries; twice as long each time."""
    longest_wait: float = 60.0
    longest_asked: float = 600.0
    """How long the API may ask us to wait; longer ones are waited for in part."""
    first_look: float = 10.0
    """At a batch after it was created; later less and less often."""
    longest_look: float = 600.0
    creation: float = 900.0
    """A batch that was being created, and that no listing shows so long after, never was."""


PATIENCE = Patience()


class ClaimLost(AseagiError):
    """Another drain has this document now."""


class RetryAfter(RetryLater):
    """The API serves nothing for now, and perhaps says for how long."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble.outcome.text)
        self.at_least = timedelta(seconds=trouble.retry_after_seconds or 0)


class Pace:
    """When the API may be asked again, for everybody who asks it."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._not_before = 0.0

    async def wait(self) -> None:
        """Wait until it may be asked."""
        left = self._not_before - time.monotonic()
        while left > 0:
            await asyncio.sleep(left)
            left = self._not_before - time.monotonic()

    def slow_down(self, tried: int, retry_after_seconds: float | None) -> None:
        """Let everybody wait: as long as the API says, else longer each time, with jitter."""
        if retry_after_seconds is None:
            seconds = min(self._patience.first_wait * 2**tried, self._patience.longest_wait)
        else:
            seconds = min(retry_after_seconds, self._patience.longest_asked)
        # Never earlier than the API says; and not everybody at the same moment.
        seconds += random.uniform(0, 0.25) * max(seconds, self._patience.first_wait)  # noqa: S311
        self._not_before = max(self._not_before, time.monotonic() + seconds)


def limits_of(claude: Claude, spending: Spending) -> Limits:
    """What may be spent, by the blocks."""
    return Limits(
        budget_dollars=Decimal(str(spending.monthly_budget_dollars)),
        month_dollars=Decimal(str(claude.monthly_limit_dollars)),
        document_dollars=Decimal(str(claude.document_limit_dollars)),
    )


class Caller:
    """Asks questions, so many at a time."""

    def __init__(
        self,
        block: Claude,
        client: AsyncAnthropic,
        pool: Pool,
        limits: Limits,
        *,
        holder: UUID,
        patience: Patience = PATIENCE,
    ) -> None:
        self.block = block
        self.client = client
        self.pool = pool
        self.limits = limits
        self.holder = holder
        self.patience = patience
        self.slots = asyncio.Semaphore(block.calls_at_a_time)
        self._pace = Pace(patience)
        self._lost_in_a_row = 0

    async def ask(self, job: AnalysisJob, question: Question, *, plan: str) -> None:
        """Ask, and settle what becomes of it.

        Returns when something is known that `steps` can go on from.

        Raises:
            ClaimLost: the document is no longer ours to analyse; nothing was asked.
            RetryLater: the API serves nothing for now.
            MoneyStops: a limit, the pause, or no credit.
            Misconfigured: the key or the model is wrong.
        """
        trouble = Trouble(Outcome.UNREACHABLE)
        for tried in range(self.patience.tries):
            await self._pace.wait()
            found = await self._try(job, question, plan)
            if found is None:
                return
            trouble = found
            if trouble.outcome not in RETRIED:
                break
            self._pace.slow_down(tried, trouble.retry_after_seconds)
        raise_if_hopeless(trouble, self.block)
        if trouble.outcome in RETRIED:
            raise RetryAfter(trouble)
        if trouble.is_uncertain:
            self._pace.slow_down(0, None)

    def share(self) -> asyncio.Semaphore:
        """How many questions of one document may be open or queue: others need not wait for all."""
        return asyncio.Semaphore(max(1, self.block.calls_at_a_time // 2))

    async def _try(self, job: AnalysisJob, question: Question, plan: str) -> Trouble | None:
        call = new_call(job, question, plan, self.block, in_batch=False)
        async with self.pool.connection() as db:
            if not await renew_claim(db, job.id, holder=self.holder, ttl=CLAIM_FOR):
                raise ClaimLost("Another drain has this document now.")
            await intend_call(db, call, self.limits, holder=self.holder)
        if question.is_too_large:
            async with self.pool.connection() as db:
                await settle_unserved(db, call.id, Outcome.TOO_LONG)
            return None
        answer: Served | None = None
        trouble = Trouble(Outcome.LOST)
        try:
            message = await self._create(question)
            answer = served(
                message,
                question.step,
                self.block.terms,
                model=self.block.model,
                in_batch=False,
            )
        except Exception as error:  # noqa: BLE001 - whatever came, the call must be settled
            trouble = trouble_of(error)
        await self._settle(call.id, answer, trouble)
        if answer is not None:
            self._lost_in_a_row = 0
            return None
        self._lost_in_a_row += trouble.is_uncertain
        if self._lost_in_a_row >= LOST_IN_A_ROW:
            raise Misconfigured(
                f"{LOST_IN_A_ROW} answers of Claude's API in a row were lost "
                f"({trouble.detail or 'none came'}). Is url in the block aseagi-claude/aseagi "
                "right, and the network well?"
            )
        return trouble

    async def _settle(self, call: UUID, answer: Served | None, trouble: Trouble) -> None:
        """Write down what became of a call. What was paid for is worth waiting for Postgres."""
        for tried in range(SETTLE_TRIES):
            try:
                async with self.pool.connection() as db:
                    if answer is not None:
                        await settle_served(db, call, answer)
                    elif trouble.is_uncertain:
                        await settle_lost(db, call)
                    else:
                        await settle_unserved(db, call, trouble.outcome, detail=trouble.detail)
            except psycopg.OperationalError:
                if tried == SETTLE_TRIES - 1:
                    raise
                await asyncio.sleep(min(0.2 * 2**tried, SETTLE_SECONDS))
            else:
                return

    async def _create(self, question: Question) -> Message:
        """Ask. Raises as the SDK does, and `ValueError` when what came is no message."""
        message = await self.client.messages.create(**question.params)
        # The SDK hands on what it cannot read.
        if not getattr(message, "id", None) or not getattr(message, "usage", None):
            raise ValueError("what came is no message")
        return message


def new_call(
    job: AnalysisJob, question: Question, plan: str, block: Claude, *, in_batch: bool
) -> NewCall:
    """The intent to ask a question."""
    return NewCall(
        id=uuid4(),
        document_id=job.document_id,
        step=question.step,
        plan=plan,
        round=job.round,
        model=block.model,
        reserved_dollars=question.most_dollars(block, in_batch=in_batch),
        rehearsal=block.is_rehearsal,
    )


def served(message: Message, step: Step, terms: Model, *, model: str, in_batch: bool) -> Served:
    """What is to be written down of an answer that came, of the model that was asked."""
    reply = read_reply(message, step, model=model)
    usage = usage_of(message)
    return Served(
        message_id=message.id,
        usage=usage,
        dollars=price(usage, terms, in_batch=in_batch),
        outcome=reply.outcome,
        detail=reply.detail,
        answer=reply.answer,
    )


def raise_if_hopeless(trouble: Trouble, block: Claude) -> None:
    """Raise what a person must mend before anything else is asked."""
    if trouble.outcome is Outcome.NO_CREDIT:
        raise MoneyStops(
            "The account has no credit with Claude's API, or its own spending limit is reached. "
            "Mend that in its console; documents wait until then."
        )
    if trouble.outcome is Outcome.BAD_KEY:
        raise Misconfigured(
            "Claude's API does not accept the key. Correct api_key in the block "
            "aseagi-claude/aseagi."
        )
    if trouble.outcome is Outcome.NO_API:
        raise Misconfigured(
            f"What answers at {block.url} is not Claude's API ({trouble.detail}). Correct url in "
            "the block aseagi-claude/aseagi."
        )
    if trouble.outcome is Outcome.NO_MODEL:
        raise Misconfigured(
            f"Claude's API does not know the model {block.model}. Correct model in the block "
            "aseagi-claude/aseagi."
        )
