"""Which questions a document's analysis still needs, by what became of those before.

Pure: it decides from the tries on record, so a process that takes over decides the same.

    never tried           ask
    answered              done
    in a batch            wait for it
    invalid, once         ask again, saying what was wrong; twice: give up
    truncated, too long   ask about each half of its pages; give up on a single page
    lost                  ask again, three times at most
    an error, or expired, in a batch, or its batch never made      the same
    refused, rejected     give up
    anything else         it was never served, and the job waited for that: ask

What is given up on is left out of the analysis, which says so.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from schema.claude import Outcome, Step
from sql.claude import PastCall

MOST_LOST = 3
"""Answers lost, of one question. Each may have been paid."""
MOST_IN_BATCHES = 3
"""Times that batches ended, or never were, without having served one question."""

_HALVED = frozenset({Outcome.TRUNCATED, Outcome.TOO_LONG})
_FINAL = frozenset({Outcome.REFUSED, Outcome.REJECTED})


@dataclass(frozen=True, slots=True)
class Ask:
    """A question to ask now. `wrong` is what was wrong with its first answer."""

    step: Step
    wrong: str | None = None


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A question that nobody will answer, and why."""

    step: Step
    outcome: Outcome
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Survey:
    """Where a document's analysis stands."""

    ask: list[Ask] = field(default_factory=list[Ask])
    in_batch: list[Step] = field(default_factory=list[Step])
    answered: list[Step] = field(default_factory=list[Step])
    given_up: list[GivenUp] = field(default_factory=list[GivenUp])

    @property
    def is_settled(self) -> bool:
        """Nothing is left to ask or to wait for."""
        return not self.ask and not self.in_batch


def windows(page_count: int, pages_per_call: int) -> list[Step]:
    """The parts that a document is asked about in: as few as possible, of like length."""
    parts = -(-page_count // pages_per_call)
    ends = [page_count * part // parts for part in range(parts + 1)]
    return [Step(ends[part] + 1, ends[part + 1]) for part in range(parts)]


def survey(steps: Sequence[Step], past: Sequence[PastCall], answered: AbstractSet[Step]) -> Survey:
    """Where these steps stand, those that had to be halved by their halves."""
    tries: dict[Step, list[PastCall]] = {}
    for call in past:
        tries.setdefault(call.step, []).append(call)
    found = Survey()
    for step in steps:
        _look_at(step, tries, answered, found)
    return found


def _look_at(
    step: Step,
    tries: Mapping[Step, Sequence[PastCall]],
    answered: AbstractSet[Step],
    found: Survey,
) -> None:
    mine = tries.get(step, ())
    outcomes = [call.outcome for call in mine]
    last = mine[-1] if mine else None
    if step in answered:
        found.answered.append(step)
    elif any(call.state == "intended" and call.in_batch for call in mine):
        found.in_batch.append(step)
    elif last is not None and _HALVED.intersection(outcomes):
        _halve(step, tries, answered, found)
    elif (end := _end_of(mine)) is not None:
        found.given_up.append(GivenUp(step, end.outcome or Outcome.LOST, end.detail))
    else:
        invalid = [call for call in mine if call.outcome is Outcome.INVALID]
        found.ask.append(Ask(step, wrong=invalid[-1].detail or "" if invalid else None))


def _halve(
    step: Step,
    tries: Mapping[Step, Sequence[PastCall]],
    answered: AbstractSet[Step],
    found: Survey,
) -> None:
    if step.kind != "pages" or step.page_count == 1:
        too_much = next(call for call in tries[step] if call.outcome in _HALVED)
        found.given_up.append(GivenUp(step, too_much.outcome or Outcome.TOO_LONG))
        return
    middle = (step.first_page + step.last_page) // 2
    _look_at(Step(step.first_page, middle), tries, answered, found)
    _look_at(Step(middle + 1, step.last_page), tries, answered, found)


def _end_of(mine: Sequence[PastCall]) -> PastCall | None:
    """The try after which no other is made; None if there is one more."""
    for call in mine:
        if call.outcome in _FINAL:
            return call
    enough = (
        ([c for c in mine if c.outcome is Outcome.INVALID], 2),
        ([c for c in mine if c.outcome is Outcome.LOST], MOST_LOST),
        (
            [c for c in mine if c.in_batch and c.outcome in (Outcome.EXPIRED, Outcome.ERROR)],
            MOST_IN_BATCHES,
        ),
    )
    return next((calls[-1] for calls, most in enough if len(calls) >= most), None)
