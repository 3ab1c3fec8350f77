"""What is asked of Claude: calls, batches, answers, and the money set aside for them.

A call is written down before it is sent, with the most it can cost, under the lock that all
decisions about money take; the states are drawn in migration 0007. Settling is idempotent: what
is served stays served, and its charge has the call's id for a key.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from schema.claude import Outcome, Step, Usage
from schema.failures import AseagiError, MoneyStops
from sql.charges import committed_dollars
from sql.connection import Connection, only_row
from sql.controls import lock_controls

State = Literal["intended", "served", "unserved", "uncertain"]


@dataclass(frozen=True, slots=True)
class NewCall:
    """A request that is about to be sent. `id` is also its name in a batch."""

    id: UUID
    document_id: UUID
    step: Step
    plan: str
    round: int
    model: str
    reserved_dollars: Decimal
    rehearsal: bool


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may be spent: by everything, by Claude, on one document."""

    budget_dollars: Decimal
    month_dollars: Decimal
    document_dollars: Decimal


class LimitReached(MoneyStops):
    """So much more may not be spent this month; less perhaps may."""


class DocumentTooDear(MoneyStops):
    """This document would cost more than one may; others need not."""

    def __init__(self, message: str, document_id: UUID) -> None:
        super().__init__(message)
        self.document_id = document_id


class DocumentGone(AseagiError):
    """This document was deleted; nothing is asked about it any more."""

    def __init__(self, document_id: UUID) -> None:
        super().__init__("The document was deleted.")
        self.document_id = document_id


class Purse:
    """What may be spent now. All decisions about money wait while it is open: be quick.

    Make it with `open_purse`; it lasts until the transaction ends.
    """

    def __init__(
        self, db: Connection, limits: Limits, *, committed: Decimal, of_claude: Decimal
    ) -> None:
        self._db = db
        self._limits = limits
        self._committed = committed
        self._of_claude = of_claude

    async def take(self, document_id: UUID, *, round_number: int, dollars: Decimal) -> None:
        """Count so much more as spent on a document. Raises `LimitReached`, `DocumentTooDear`.

        What is set aside counts as spent; of this month what was lost does too.
        """
        limits = self._limits
        if self._committed + dollars > limits.budget_dollars:
            raise LimitReached(
                f"The month's budget of ${limits.budget_dollars:.2f} is spent or set aside. It is "
                "free again when open questions are answered, next month, or when "
                "monthly_budget_dollars in the block aseagi-spending/aseagi is raised."
            )
        if self._of_claude + dollars > limits.month_dollars:
            raise LimitReached(
                f"The month's limit of ${limits.month_dollars:.2f} for Claude is spent or set "
                "aside. It is free again when open questions are answered, next month, or when "
                "monthly_limit_dollars in the block aseagi-claude/aseagi is raised."
            )
        spent = await document_dollars(self._db, document_id, round_number=round_number)
        if spent + dollars > limits.document_dollars:
            raise DocumentTooDear(
                f"Its analysis may cost ${spent + dollars:.2f}, and one document at most "
                f"${limits.document_dollars:.2f}: document_limit_dollars in the block "
                "aseagi-claude/aseagi.",
                document_id,
            )
        self._committed += dollars
        self._of_claude += dollars


async def open_purse(db: Connection, limits: Limits) -> Purse:
    """Lock all decisions about money. Raises `MoneyStops` while spending is paused."""
    controls = await lock_controls(db)
    if controls.paused:
        raise MoneyStops(
            f"Spending is paused ({controls.paused_reason}). `aseagi resume` allows it again."
        )
    return Purse(
        db, limits, committed=await committed_dollars(db), of_claude=await claude_dollars(db)
    )


async def claude_dollars(db: Connection) -> Decimal:
    """What Claude has cost this month, with what is set aside."""
    cursor = await db.execute(
        """
        select (select coalesce(sum(reserved_dollars), 0) from aseagi.claude_calls
                where state = 'intended')
            + (select coalesce(sum(coalesce(dollars, reserved_dollars)), 0)
                from aseagi.claude_calls
                where state in ('served', 'uncertain') and settled_at
                    >= date_trunc('month', now() at time zone 'utc') at time zone 'utc')
        """
    )
    return (await only_row(cursor))[0]


async def document_dollars(db: Connection, document_id: UUID, *, round_number: int) -> Decimal:
    """What one round of a document's analysis has cost, with what is set aside."""
    cursor = await db.execute(
        """
        select coalesce(sum(coalesce(dollars, reserved_dollars)), 0) from aseagi.claude_calls
        where document_id = %s and round = %s and state <> 'unserved'
        """,
        (document_id, round_number),
    )
    return (await only_row(cursor))[0]


async def intend_call(db: Connection, call: NewCall, limits: Limits, *, holder: UUID) -> None:
    """Write down a call before it is sent; commit before sending. Raises `MoneyStops`."""
    purse = await open_purse(db, limits)
    await purse.take(call.document_id, round_number=call.round, dollars=call.reserved_dollars)
    await _insert_call(db, call, holder=holder, batch=None)


async def intend_batch(
    db: Connection, batch: UUID, calls: Sequence[NewCall], limits: Limits, *, holder: UUID
) -> None:
    """Write down a batch and its calls before it is created; commit before. Raises `MoneyStops`.

    The limit of a document is checked for all its calls together. Raises `DocumentGone` for one
    that was deleted: planning a batch takes minutes.
    """
    by_document: dict[UUID, list[NewCall]] = {}
    for call in calls:
        by_document.setdefault(call.document_id, []).append(call)
    purse = await open_purse(db, limits)
    cursor = await db.execute(
        "select id from aseagi.documents where id = any(%s) order by id for key share",
        (list(by_document),),
    )
    there = {row[0] for row in await cursor.fetchall()}
    if gone := next((one for one in by_document if one not in there), None):
        raise DocumentGone(gone)
    await db.execute(
        "insert into aseagi.claude_batches (id, size, holder) values (%s, %s, %s)",
        (batch, len(calls), holder),
    )
    for document_id, own in by_document.items():
        dollars = sum((call.reserved_dollars for call in own), Decimal(0))
        await purse.take(document_id, round_number=own[0].round, dollars=dollars)
        for call in own:
            await _insert_call(db, call, holder=None, batch=batch)


async def _insert_call(
    db: Connection, call: NewCall, *, holder: UUID | None, batch: UUID | None
) -> None:
    await db.execute(
        """
        insert into aseagi.claude_calls (id, document_id, step, first_page, last_page, plan, round,
            holder, batch, rehearsal, model, reserved_dollars)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        """,
        (
            call.id,
            call.document_id,
            call.step.kind,
            call.step.first_page,
            call.step.last_page,
            call.plan,
            call.round,
            holder,
            batch,
            call.rehearsal,
            call.model,
            call.reserved_dollars,
        ),
    )


@dataclass(frozen=True, slots=True)
class Served:
    """An answer that came, whatever it is worth: it is paid for."""

    message_id: str
    usage: Usage
    dollars: Decimal
    outcome: Outcome
    detail: str | None = None
    answer: dict[str, Any] | None = None
    """What was answered, if that can be used."""


async def settle_served(db: Connection, call_id: UUID, served: Served) -> bool:
    """Record what a call was answered and cost, once; False if that is known already.

    The charge, the answer and the end of the call are one transaction. A job whose analysis
    makes progress may be claimed as often as a new one.
    """
    cursor = await db.execute(
        """
        update aseagi.claude_calls set state = 'served', outcome = %(outcome)s,
            detail = %(detail)s, message_id = %(message)s, input_tokens = %(input)s,
            output_tokens = %(output)s, cache_write_tokens = %(write)s,
            cache_read_tokens = %(read)s, dollars = %(dollars)s, settled_at = now()
        where id = %(id)s and state in ('intended', 'uncertain', 'unserved')
        returning document_id
        """,
        {
            "id": call_id,
            "outcome": served.outcome,
            "detail": served.detail,
            "message": served.message_id,
            "input": served.usage.input_tokens,
            "output": served.usage.output_tokens,
            "write": served.usage.cache_write_tokens,
            "read": served.usage.cache_read_tokens,
            "dollars": served.dollars,
        },
    )
    row = await cursor.fetchone()
    if row is None:
        return False
    await db.execute(
        """
        insert into aseagi.charges
            (key, kind, dollars, quantity, unit, what, incurred_on, document_id)
        select 'claude:' || id, 'llm', dollars,
            input_tokens + output_tokens + cache_write_tokens + cache_read_tokens, 'tokens',
            case when rehearsal then 'rehearsal, no money: ' else '' end || model
                || case when batch is null then '' else ', in a batch' end,
            (now() at time zone 'utc')::date, document_id
        from aseagi.claude_calls where id = %s
        on conflict (key) do nothing
        """,
        (call_id,),
    )
    document_id = row[0]
    if served.answer is not None and document_id is not None:
        await db.execute(
            """
            insert into aseagi.claude_answers
                (document_id, plan, step, first_page, last_page, answer, call_id)
            select document_id, plan, step, first_page, last_page, %s, id
            from aseagi.claude_calls where id = %s
            on conflict do nothing
            """,
            (Jsonb(served.answer), call_id),
        )
        await db.execute(
            """
            update aseagi.processing_jobs
            set analysis_attempts = least(analysis_attempts, 1), waits = 0
            where document_id = %s and stage = 'analyse'
            """,
            (document_id,),
        )
    return True


async def settle_unserved(
    db: Connection, call_id: UUID, outcome: Outcome, *, detail: str | None = None
) -> None:
    """Record that a call was refused, not served: it is free, also if it was thought lost."""
    await _settle(db, call_id, "unserved", outcome, detail)


async def settle_lost(db: Connection, call_id: UUID) -> None:
    """Record that no answer came: the call may have been served, and paid."""
    await _settle(db, call_id, "uncertain", Outcome.LOST, None)


async def _settle(
    db: Connection, call_id: UUID, state: State, outcome: Outcome, detail: str | None
) -> None:
    await db.execute(
        """
        update aseagi.claude_calls set state = %s, outcome = %s, detail = %s, settled_at = now()
        where id = %s and (state = 'intended' or (state = 'uncertain' and %s = 'unserved'))
        """,
        (state, outcome, detail[:500] if detail else None, call_id, state),
    )


async def abandon_calls(db: Connection, *, holder: UUID) -> int:
    """Record the calls that other drains left behind as lost; return how many.

    Call it while `holder` is the one drain at work. One that lost its hold and lives on may still
    settle its call when the answer comes.
    """
    cursor = await db.execute(
        """
        update aseagi.claude_calls set state = 'uncertain', outcome = %s, settled_at = now()
        where state = 'intended' and batch is null and holder <> %s
        """,
        (Outcome.LOST, holder),
    )
    return cursor.rowcount


# What is known of a document


@dataclass(frozen=True, slots=True)
class PastCall:
    """One earlier try of a step."""

    step: Step
    state: State
    outcome: Outcome | None
    detail: str | None
    in_batch: bool


async def past_calls(
    db: Connection, document_id: UUID, *, plan: str, round_number: int
) -> list[PastCall]:
    """Every try of this plan in this round, in order."""
    cursor = await db.execute(
        """
        select step, first_page, last_page, state, outcome, detail, batch is not null
        from aseagi.claude_calls where document_id = %s and plan = %s and round = %s
        order by created_at, id
        """,
        (document_id, plan, round_number),
    )
    return [
        PastCall(
            Step(row[1], row[2], row[0]),
            row[3],
            None if row[4] is None else Outcome(row[4]),
            row[5],
            row[6],
        )
        for row in await cursor.fetchall()
    ]


async def answers_of(db: Connection, document_id: UUID, *, plan: str) -> dict[Step, dict[str, Any]]:
    """What was answered to this plan, of whatever round."""
    cursor = await db.execute(
        """
        select step, first_page, last_page, answer from aseagi.claude_answers
        where document_id = %s and plan = %s
        """,
        (document_id, plan),
    )
    return {Step(row[1], row[2], row[0]): row[3] for row in await cursor.fetchall()}


# Batches


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch that is not settled. `batch_id` is None until its creation is confirmed."""

    id: UUID
    batch_id: str | None
    size: int
    holder: UUID
    created_at: datetime
    looks: int


async def batch_created(db: Connection, batch: UUID, batch_id: str, *, look_in: timedelta) -> None:
    """Remember as what the API knows a batch.

    One that another drain gave up meanwhile, although it was still being created, is open again:
    it will be paid, whatever was asked in its place.
    """
    cursor = await db.execute(
        """
        update aseagi.claude_batches
        set state = 'submitted', batch_id = %s, looks = 0, look_at = now() + %s, settled_at = null
        where id = %s and state in ('intended', 'void')
        """,
        (batch_id, look_in, batch),
    )
    if cursor.rowcount:
        await db.execute(
            """
            update aseagi.claude_calls
            set state = 'intended', outcome = null, detail = null, settled_at = null
            where batch = %s and state = 'unserved'
            """,
            (batch,),
        )


async def batch_void(
    db: Connection, batch: UUID, outcome: Outcome, *, detail: str | None = None
) -> None:
    """Record that a batch was certainly not created: its calls are free, and asked again.

    No effect on one that turned out to exist meanwhile.
    """
    cursor = await db.execute(
        """
        update aseagi.claude_batches set state = 'void', settled_at = now()
        where id = %s and state = 'intended'
        """,
        (batch,),
    )
    if not cursor.rowcount:
        return
    await db.execute(
        """
        update aseagi.claude_calls
        set state = 'unserved', outcome = %s, detail = %s, settled_at = now()
        where batch = %s and state = 'intended'
        """,
        (outcome, detail[:500] if detail else None, batch),
    )


async def batch_ended(db: Connection, batch: UUID) -> None:
    """Record that all results of a batch are in; what has none is lost."""
    await db.execute(
        """
        update aseagi.claude_batches set state = 'ended', settled_at = now()
        where id = %s and state = 'submitted'
        """,
        (batch,),
    )
    await db.execute(
        """
        update aseagi.claude_calls set state = 'uncertain', outcome = %s, settled_at = now()
        where batch = %s and state = 'intended'
        """,
        (Outcome.LOST, batch),
    )


async def look_later(db: Connection, batch: UUID, *, look_in: timedelta) -> None:
    """Count a look at a batch that is not at its end."""
    await db.execute(
        "update aseagi.claude_batches set looks = looks + 1, look_at = now() + %s where id = %s",
        (look_in, batch),
    )


async def abandon_all(db: Connection) -> int:
    """Record all open calls and batches as lost, where nobody is left to look after them.

    For a house without Claude: its documents go on without. Returns how many calls there were.
    """
    await db.execute(
        """
        update aseagi.claude_batches
        set state = case when batch_id is null then 'void' else 'ended' end, settled_at = now()
        where settled_at is null
        """
    )
    cursor = await db.execute(
        """
        update aseagi.claude_calls set state = 'uncertain', outcome = %s, settled_at = now()
        where state = 'intended'
        """,
        (Outcome.LOST,),
    )
    return cursor.rowcount


async def batches_due(db: Connection) -> list[Batch]:
    """Batches that are not settled and were not looked at for long enough, oldest first."""
    async with db.cursor(row_factory=class_row(Batch)) as cursor:
        await cursor.execute(
            """
            select id, batch_id, size, holder, created_at, looks from aseagi.claude_batches
            where settled_at is null and look_at <= now() order by created_at
            """
        )
        return await cursor.fetchall()


@dataclass(frozen=True, slots=True)
class OpenBatches:
    """What is with Claude in batches."""

    batches: int
    calls: int
    next_look_at: datetime | None


async def open_batches(db: Connection) -> OpenBatches:
    """How many batches are not settled, with how many requests."""
    async with db.cursor(row_factory=class_row(OpenBatches)) as cursor:
        await cursor.execute(
            """
            select count(*) as batches, coalesce(sum(size), 0) as calls,
                min(look_at) as next_look_at
            from aseagi.claude_batches where settled_at is null
            """
        )
        return await only_row(cursor)


async def known_batch_ids(db: Connection, batch_ids: Sequence[str]) -> set[str]:
    """Which of these batches are ours and known."""
    cursor = await db.execute(
        "select batch_id from aseagi.claude_batches where batch_id = any(%s)", (list(batch_ids),)
    )
    return {row[0] for row in await cursor.fetchall()}


@dataclass(frozen=True, slots=True)
class OpenCall:
    """A call of a batch that has no result yet: what it asks, and of which model."""

    step: Step
    model: str


async def open_calls(db: Connection, batch: UUID) -> dict[UUID, OpenCall]:
    """The calls of a batch that have no result yet."""
    cursor = await db.execute(
        """
        select id, step, first_page, last_page, model from aseagi.claude_calls
        where batch = %s and state = 'intended'
        """,
        (batch,),
    )
    return {
        row[0]: OpenCall(Step(row[2], row[3], row[1]), row[4]) for row in await cursor.fetchall()
    }


async def owns_call(db: Connection, batch: UUID, call_id: UUID) -> bool:
    """Whether this is a call of that batch."""
    cursor = await db.execute(
        "select exists (select 1 from aseagi.claude_calls where batch = %s and id = %s)",
        (batch, call_id),
    )
    return bool((await only_row(cursor))[0])


# What people see


@dataclass(frozen=True, slots=True)
class ClaudeMonth:
    """What this month's calls came to."""

    answered: int
    dollars: Decimal
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    uncertain: int
    uncertain_dollars: Decimal
    """The most that answers which never came may have cost; not charged."""


async def claude_month(db: Connection) -> ClaudeMonth:
    """Sum up this month's calls."""
    async with db.cursor(row_factory=class_row(ClaudeMonth)) as cursor:
        await cursor.execute(
            """
            select count(*) filter (where state = 'served') as answered,
                coalesce(sum(dollars), 0) as dollars,
                coalesce(sum(input_tokens + cache_write_tokens + cache_read_tokens), 0)
                    as input_tokens,
                coalesce(sum(output_tokens), 0) as output_tokens,
                coalesce(sum(cache_read_tokens), 0) as cache_read_tokens,
                count(*) filter (where state = 'uncertain') as uncertain,
                coalesce(sum(reserved_dollars) filter (where state = 'uncertain'), 0)
                    as uncertain_dollars
            from aseagi.claude_calls where settled_at
                >= date_trunc('month', now() at time zone 'utc') at time zone 'utc'
            """
        )
        return await only_row(cursor)


async def claude_dollars_since(db: Connection, since: datetime) -> Decimal:
    """What the answers that came since then cost, as charged."""
    cursor = await db.execute(
        """
        select coalesce(sum(dollars), 0) from aseagi.claude_calls
        where state = 'served' and settled_at >= %s
        """,
        (since,),
    )
    return (await only_row(cursor))[0]
