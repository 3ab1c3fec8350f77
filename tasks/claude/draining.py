"""Every document that waits, analysed by Claude: the day's one by one, the night's in batches.

Run by one drain at a time (`tasks.drains`). Workers take documents by the urgency of their lane,
one each, so that one of lane `now` waits for no more than a question to end. What cannot go on
is given back with a reason: `put_off_job` for a document, `put_off_all` for whatever concerns
all (money, the key, the account), which also ends the drain.
"""

import asyncio
import logging
import time
import traceback
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta

import psycopg

from blocks.object_storage import ObjectStorage
from schema.failures import AseagiError, Failure, Misconfigured, MoneyStops, RetryLater, Stage
from schema.lanes import DAYTIME, Lane
from sql.claude import DocumentGone, DocumentTooDear, LimitReached, abandon_calls
from sql.jobs import (
    MAX_ANALYSIS_ATTEMPTS,
    AnalysisJob,
    claim_for_analysis,
    put_off_all,
    put_off_job,
)
from tasks.claude.analyst import Analyst, Finished
from tasks.claude.batches import Batches
from tasks.claude.calling import CLAIM_FOR, Caller, ClaimLost, RetryAfter
from tasks.claude.nights import NightPlan
from tasks.drains import Drain

MOST_WAITS = 12
"""Times in a row that a document is put off because the API serves nothing: some four hours."""
NEVER_FINISHED = (
    f"Its analysis by Claude was begun {MAX_ANALYSIS_ATTEMPTS - 1} times and never finished."
)
CHECK_MONEY_AGAIN = timedelta(minutes=10)
TOO_DEAR_FOR = timedelta(hours=1)
QUIET_SECONDS = 0.4
QUIET_FACTOR = 20.0
"""Where nothing waits, looking again takes a twentieth of the time at most."""
LOOK_SECONDS = 5.0
"""Between looks whether a batch is due."""

_log = logging.getLogger("aseagi.claude")

Finish = Callable[[AnalysisJob, Finished], Awaitable[None]]
"""Stores what became of a document, and completes its job if the claim still holds."""

Work = Callable[[], Awaitable[None]]
Around = Callable[[AnalysisJob, Work], Awaitable[None]]
"""Does the work on a document; for who wants to show it."""


async def _plainly(_job: AnalysisJob, work: Work) -> None:
    await work()


class ClaudeDrain:
    """Analyses whatever waits until nothing new comes."""

    def __init__(
        self,
        drain: Drain,
        caller: Caller,
        storage: ObjectStorage,
        finish: Finish,
        *,
        around: Around = _plainly,
    ) -> None:
        self._drain = drain
        self._caller = caller
        self._pool = caller.pool
        self._finish = finish
        self._around = around
        self._analyst = Analyst(caller, storage)
        self._batches = Batches(caller)
        self._night = NightPlan(self._analyst, self._batches, caller)
        self._stopped: AseagiError | None = None
        self._fetching = asyncio.Lock()
        self._nothing_until = 0.0

    async def run(self, *, linger_seconds: float) -> None:
        """Analyse until nothing new came for `linger_seconds`.

        Raises:
            MoneyStops: a limit or the pause; whatever waits was put off.
            Misconfigured: the key or the model is wrong; the same.
        """
        async with self._pool.connection() as db:
            await abandon_calls(db, holder=self._caller.holder)
        # Once before anything else: a drain may have been started for nothing but a batch.
        await self._look_once()
        looking = asyncio.create_task(self._look_after_batches())
        workers = [
            asyncio.create_task(self._work(linger_seconds))
            for _ in range(self._caller.block.calls_at_a_time)
        ]
        try:
            # Nobody is cancelled by the trouble of another: what was asked is paid for.
            ends = await asyncio.gather(*workers, return_exceptions=True)
            for trouble in ends:
                if isinstance(trouble, BaseException):
                    raise trouble
            await self._create_batch()
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
        if self._stopped is not None:
            raise self._stopped

    async def _work(self, linger_seconds: float) -> None:
        try:
            async for jobs in self._drain.batches(self._fetch, linger_seconds=linger_seconds):
                for job in jobs:
                    await self._around(job, lambda job=job: self._one(job))
        except BaseException:
            self._drain.stop()
            raise

    async def _fetch(self) -> list[AnalysisJob]:
        """Claim the most urgent document. Where there was none a moment ago, nobody asks again."""
        async with self._fetching:
            if time.monotonic() < self._nothing_until:
                return []
            began = time.monotonic()
            async with self._pool.connection() as db:
                jobs = await claim_for_analysis(
                    db, holder=self._caller.holder, limit=1, ttl=CLAIM_FOR, lanes=DAYTIME
                )
            if jobs:
                return jobs
            took = time.monotonic() - began
            self._nothing_until = time.monotonic() + max(QUIET_SECONDS, QUIET_FACTOR * took)
        if self._night.is_complete:
            await self._create_batch()
        return []

    async def _one(self, job: AnalysisJob) -> None:
        try:
            if job.is_blank:
                finished = Finished(None)  # nothing to ask about: the rules say that
            elif job.attempts >= MAX_ANALYSIS_ATTEMPTS:
                # Perhaps it is what killed them: the rules shall have it before it fails.
                finished = _without_analysis(NEVER_FINISHED)
            elif job.lane is Lane.NIGHTLY:
                finished = await self._night.plan(job)
            else:
                finished = await self._analyst.analyse(job)
        except ClaimLost:
            pass  # whoever has it now completes it
        except psycopg.Error:
            raise  # not the document's fault
        except AseagiError as error:
            await self._give_back(job, error)
        except Exception as error:  # noqa: BLE001 - one bad document never stops the others
            # Where, but not what: its message may hold text of the document.
            frames = "".join(traceback.format_tb(error.__traceback__))
            _log.error("document %s: %s\n%s", job.document_id, type(error).__name__, frames)
            reason = f"The analyst failed ({type(error).__name__})."
            await self._finish(job, _without_analysis(reason))
        else:
            if finished is not None:
                await self._finish(job, finished)
            elif self._night.is_full:
                await self._create_batch()

    async def _give_back(self, job: AnalysisJob, error: AseagiError) -> None:
        """Let a document wait, and say why; stop everything where that concerns all."""
        match error:
            case DocumentGone():
                pass
            case DocumentTooDear():
                await self._put_off(job, error, TOO_DEAR_FOR)
            case MoneyStops() | Misconfigured():
                await self._put_off(job, error, CHECK_MONEY_AGAIN)
                await self._stop(error)
            case RetryAfter() if job.waits < MOST_WAITS:
                await self._put_off(job, error, at_least=error.at_least)
            case RetryLater() if job.waits < MOST_WAITS:
                await self._put_off(job, error)
            case _:
                await self._finish(job, _without_analysis(str(error)))

    async def _put_off(
        self,
        job: AnalysisJob,
        error: AseagiError,
        wait: timedelta | None = None,
        *,
        at_least: timedelta = timedelta(0),
    ) -> None:
        async with self._pool.connection() as db:
            await put_off_job(
                db, job, str(error), holder=self._caller.holder, wait=wait, at_least=at_least
            )

    async def _stop(self, error: AseagiError) -> None:
        """Ask nothing more: whatever waits, waits with this reason."""
        if self._stopped is not None:
            return
        self._stopped = error
        self._drain.stop()
        async with self._pool.connection() as db:
            await put_off_all(db, str(error), wait=CHECK_MONEY_AGAIN)

    # The night's documents

    async def _create_batch(self) -> None:
        for job, error in await self._night.submit():
            if isinstance(error, LimitReached):
                # What is set aside for the night is no reason to stop those of the day.
                await self._put_off(job, error, CHECK_MONEY_AGAIN)
            else:
                await self._give_back(job, error)

    async def _look_after_batches(self) -> None:
        while self._stopped is None:
            await asyncio.sleep(min(LOOK_SECONDS, self._caller.patience.first_look))
            await self._look_once()
            if self._night.is_due:
                with suppress(psycopg.Error):  # the claims run out, and it is planned again
                    await self._create_batch()

    async def _look_once(self) -> None:
        try:
            await self._batches.look()
        except (Misconfigured, MoneyStops) as error:
            await self._stop(error)
        except psycopg.Error:
            pass  # away for a moment; it is looked at again


def _without_analysis(reason: str) -> Finished:
    return Finished(None, Failure(stage=Stage.ANALYSE, reason=reason[:500], retry_helps=True))
