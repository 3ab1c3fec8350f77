"""One document, from its text to its analysis: ask what is missing, until nothing is.

All that was asked and answered before is on record, so this goes on where another process
stopped. What no answer can be had for is left out, and the analysis says so.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from blocks.object_storage import ObjectStorage
from schema.analysis import Analysis, Whole
from schema.claude import Outcome, Step
from schema.failures import AseagiError, Failure, Misconfigured, MoneyStops, RetryLater, Stage
from schema.lanes import Lane
from sql.claude import DocumentTooDear, answers_of, past_calls
from sql.jobs import AnalysisJob
from tasks.claude.calling import Caller, ClaimLost
from tasks.claude.merging import Part, merged
from tasks.claude.questions import Questions, open_questions
from tasks.claude.steps import Ask, GivenUp, survey, windows
from tasks.estimating import Document, Page, cost_with_claude
from tasks.quotes import with_quotes_checked

HELPS_TO_RETRY = frozenset({Outcome.LOST, Outcome.EXPIRED, Outcome.INVALID, Outcome.ERROR})
"""Of what was given up on: another round may end otherwise."""


@dataclass(frozen=True, slots=True)
class Finished:
    """What Claude made of a document. Without an analysis, `failure` says why there is none."""

    analysis: Analysis | None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a document's analysis stands: what to ask next, or what came of it."""

    ask: Sequence[Ask]
    parts: Sequence[Part]
    """What is known of the document; the question about the whole is asked with them."""
    waits_for_batch: bool
    finished: Finished | None


class Analyst:
    """Analyses documents, one question for each part, many at a time."""

    def __init__(self, caller: Caller, storage: ObjectStorage) -> None:
        self._caller = caller
        self._storage = storage

    async def analyse(self, job: AnalysisJob) -> Finished:
        """Ask whatever is missing and return what came of it. Raises as `Caller.ask`."""
        async with open_questions(job, self._caller.block, self._storage) as questions:
            while True:
                standing = await self.standing(job, questions)
                if standing.finished is not None:
                    return standing.finished
                if standing.waits_for_batch:
                    raise ClaimLost("A batch has this document now.")
                await self._ask_all(job, questions, standing)

    def open_questions(self, job: AnalysisJob) -> AbstractAsyncContextManager[Questions]:
        """The questions about a document, for who asks them otherwise."""
        return open_questions(job, self._caller.block, self._storage)

    async def standing(self, job: AnalysisJob, questions: Questions) -> Standing:
        """Where the document stands, by what is on record."""
        async with self._caller.pool.connection() as db:
            past = await past_calls(
                db, job.document_id, plan=questions.plan, round_number=job.round
            )
            answers = await answers_of(db, job.document_id, plan=questions.plan)
        if not past:
            self._check_price(job)
        pages = windows(len(job.pages), self._caller.block.pages_per_call)
        of_parts = survey(pages, past, answers.keys())
        parts = [Part(step, Analysis.model_validate(answers[step])) for step in of_parts.answered]
        if not of_parts.is_settled:
            return Standing(of_parts.ask, parts, bool(of_parts.in_batch), None)
        if len(parts) < 2:
            return Standing([], parts, False, await _finished(job, parts, None, of_parts.given_up))
        whole = Step(1, len(job.pages), "whole")
        of_whole = survey([whole], past, answers.keys())
        if not of_whole.is_settled:
            return Standing(of_whole.ask, parts, bool(of_whole.in_batch), None)
        given_up = [*of_parts.given_up, *of_whole.given_up]
        return Standing([], parts, False, await _finished(job, parts, answers.get(whole), given_up))

    def _check_price(self, job: AnalysisJob) -> None:
        """Raise `DocumentTooDear` before an analysis is paid for that will not be whole."""
        block = self._caller.block
        cost = cost_with_claude(_as_estimated(job), block, in_batch=job.lane is Lane.NIGHTLY)
        limit = self._caller.limits.document_dollars
        if cost.needed_dollars > limit:
            raise DocumentTooDear(
                f"Its analysis will cost about ${cost.needed_dollars:.2f}, and one document at "
                f"most ${limit:.2f}: document_limit_dollars in the block aseagi-claude/aseagi.",
                job.document_id,
            )

    async def _ask_all(self, job: AnalysisJob, questions: Questions, standing: Standing) -> None:
        share = self._caller.share()

        async def one(ask: Ask) -> None:
            async with share, self._caller.slots:
                question = await questions.make(ask, standing.parts)
                await self._caller.ask(job, question, plan=questions.plan)

        # Nobody is cancelled by the failure of another: what was asked is paid for.
        results = await asyncio.gather(*(one(ask) for ask in standing.ask), return_exceptions=True)
        errors = [error for error in results if isinstance(error, BaseException)]
        worst = min(errors, key=_weight, default=None)
        if isinstance(worst, DocumentTooDear) and len(errors) < len(results):
            return  # too dear all at once: what was set aside for the others is free by now
        if worst is not None:
            raise worst


_WEIGHTS: Mapping[type, int] = {
    Exception: 0,  # nobody foresaw it
    asyncio.CancelledError: 1,
    Misconfigured: 2,
    MoneyStops: 3,
    DocumentTooDear: 4,
    ClaimLost: 5,
    RetryLater: 6,
    AseagiError: 7,
}


def _weight(error: BaseException) -> int:
    """Of several errors, the least says best what to do."""
    return next((_WEIGHTS[kind] for kind in type(error).__mro__ if kind in _WEIGHTS), 0)


def _as_estimated(job: AnalysisJob) -> Document:
    pages = [
        Page(len(text), len(text.encode(errors="replace")), is_to_be_read=scanned)
        for text, scanned in zip(job.pages, job.scanned, strict=True)
    ]
    return Document(job.file_name, pages, size_bytes=0)


async def _finished(
    job: AnalysisJob,
    parts: Sequence[Part],
    whole: Mapping[str, Any] | None,
    given_up: Sequence[GivenUp],
) -> Finished:
    # Quotes are looked for in every page near theirs: not on the event loop.
    return await asyncio.to_thread(_finish, job, parts, whole, given_up)


def _finish(
    job: AnalysisJob,
    parts: Sequence[Part],
    whole: Mapping[str, Any] | None,
    given_up: Sequence[GivenUp],
) -> Finished:
    failure = _failure(job, given_up) if given_up else None
    if not parts:
        return Finished(None, failure)
    analysis = merged(parts, Whole.model_validate(whole) if whole else None)
    if missing := [one for one in given_up if one.step.kind == "pages"]:
        told = ", ".join(_span(one.step) for one in missing)
        analysis = analysis.model_copy(
            update={"summary": f"{analysis.summary}\nNot analysed: {told}."}
        )
    return Finished(with_quotes_checked(analysis, job.pages), failure)


def _failure(job: AnalysisJob, given_up: Sequence[GivenUp]) -> Failure:
    first = given_up[0]
    detail = f" ({first.detail})" if first.detail and first.outcome is Outcome.REJECTED else ""
    others = f" And {len(given_up) - 1} more." if len(given_up) > 1 else ""
    is_part = first.step.kind == "pages" and first.step.page_count < len(job.pages)
    if first.step.kind == "whole":
        told = f"One account of its parts is missing: {first.outcome.value}{detail}."
    else:
        told = f"{_span(first.step)}: " if is_part else ""
        told += f"{first.outcome.text}{detail}"
    return Failure(
        stage=Stage.ANALYSE,
        reason=f"{told}{others}"[:500],
        retry_helps=any(one.outcome in HELPS_TO_RETRY for one in given_up),
        page=first.step.first_page if is_part else None,
    )


def _span(step: Step) -> str:
    if step.page_count == 1:
        return f"page {step.first_page}"
    return f"pages {step.first_page} to {step.last_page}"
