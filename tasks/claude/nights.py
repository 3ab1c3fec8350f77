"""What the next batch shall hold: the open questions of the night's documents.

A document stays claimed until its questions are in a batch; from then on it is the batch's, and
is claimed again when the batch is answered. A process that dies before the batch is written down
leaves claims that run out, and nothing asked.
"""

import asyncio
import time
from collections.abc import Sequence
from decimal import Decimal

from schema.failures import AseagiError
from sql.claude import DocumentGone, DocumentTooDear, LimitReached, document_dollars
from sql.jobs import AnalysisJob, hold_job, release_job
from tasks.claude.analyst import Analyst, Finished
from tasks.claude.batches import MOST_BYTES, MOST_QUESTIONS, Batches, Planned
from tasks.claude.calling import CLAIM_FOR, Caller, ClaimLost

LONGEST_SECONDS = 60.0
"""A batch is created at the latest so long after its first question was planned."""

GivenBack = tuple[AnalysisJob, AseagiError]
"""A document whose questions came into no batch, and why."""


class NightPlan:
    """Collects questions until they make a batch."""

    def __init__(self, analyst: Analyst, batches: Batches, caller: Caller) -> None:
        self._analyst = analyst
        self._batches = batches
        self._caller = caller
        self._planned: list[Planned] = []
        self._since = 0.0
        self._under_way = 0
        self._turn = asyncio.Lock()

    @property
    def is_due(self) -> bool:
        """Whether its first question has waited for long enough."""
        return bool(self._planned) and time.monotonic() - self._since > LONGEST_SECONDS

    @property
    def is_full(self) -> bool:
        """Whether the next batch should not grow."""
        return len(self._planned) >= MOST_QUESTIONS or _size(self._planned) > MOST_BYTES // 2

    @property
    def is_complete(self) -> bool:
        """Whether there is something to ask, and no document is just being added."""
        return bool(self._planned) and not self._under_way

    async def plan(self, job: AnalysisJob) -> Finished | None:
        """Put a claimed document's open questions into the next batch.

        Returns what came of the document if nothing is left to ask. Raises as `Caller.ask`.
        """
        self._under_way += 1
        try:
            return await self._plan(job)
        finally:
            self._under_way -= 1

    async def _plan(self, job: AnalysisJob) -> Finished | None:
        planned: list[Planned] = []
        async with self._analyst.open_questions(job) as questions:
            standing = await self._analyst.standing(job, questions)
            if standing.finished is not None:
                return standing.finished
            left = self._caller.limits.document_dollars - await self._spent(job)
            for ask in standing.ask:
                async with self._caller.slots:
                    question = await questions.make(ask, standing.parts)
                if question.is_too_large:
                    await self._caller.ask(job, question, plan=questions.plan)
                    continue
                left -= question.most_dollars(self._caller.block, in_batch=True)
                if planned and (left < 0 or _size(planned) > MOST_BYTES // 2):
                    break  # the rest of a long document is asked when this much is answered
                planned.append(Planned(job, question, questions.plan))
        async with self._caller.pool.connection() as db:
            if not await hold_job(db, job.id, holder=self._caller.holder, ttl=CLAIM_FOR):
                raise ClaimLost("Another drain has this document now.")
            if not planned:
                await release_job(db, job.id, holder=self._caller.holder)
                return None
        async with self._turn:
            if not self._planned:
                self._since = time.monotonic()
            self._planned += planned
        return None

    async def _spent(self, job: AnalysisJob) -> Decimal:
        async with self._caller.pool.connection() as db:
            return await document_dollars(db, job.document_id, round_number=job.round)

    async def submit(self) -> Sequence[GivenBack]:
        """Create the batch; return the documents that could not be part of it, and why.

        Where the month's limit does not bear all of them, as many as it bears are asked about.
        """
        async with self._turn:
            parts, self._planned = [self._planned] if self._planned else [], []
            given_back: list[GivenBack] = []
            while parts:
                part = parts.pop(0)
                jobs = _jobs(part)
                try:
                    await self._batches.submit(part)
                except (DocumentTooDear, DocumentGone) as error:
                    its = next(one for one in jobs if one.document_id == error.document_id)
                    given_back.append((its, error))
                    if others := [job for job in jobs if job is not its]:
                        parts.insert(0, _of(part, others))
                except LimitReached as error:
                    if len(jobs) == 1:
                        given_back.append((jobs[0], error))
                    else:
                        middle = len(jobs) // 2
                        parts[:0] = [_of(part, jobs[:middle]), _of(part, jobs[middle:])]
                except AseagiError as error:
                    given_back += [(job, error) for each in (part, *parts) for job in _jobs(each)]
                    break
                else:
                    await self._release(jobs)
            return given_back

    async def _release(self, jobs: Sequence[AnalysisJob]) -> None:
        async with self._caller.pool.connection() as db:
            for job in jobs:
                await release_job(db, job.id, holder=self._caller.holder)


def _size(planned: Sequence[Planned]) -> int:
    return sum(one.question.size_bytes for one in planned)


def _jobs(planned: Sequence[Planned]) -> list[AnalysisJob]:
    """The documents that the questions are about, in order."""
    return list({one.job.id: one.job for one in planned}.values())


def _of(planned: Sequence[Planned], jobs: Sequence[AnalysisJob]) -> list[Planned]:
    """The questions about these documents."""
    ids = {job.id for job in jobs}
    return [one for one in planned if one.job.id in ids]
