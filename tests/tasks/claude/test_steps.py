"""Which questions a document still needs: whatever became of those before, it comes to an end."""

from collections import Counter
from collections.abc import Collection, Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schema.claude import Outcome, Step
from sql.claude import PastCall, State
from tasks.claude.steps import MOST_IN_BATCHES, MOST_LOST, GivenUp, Survey, survey, windows

MOST_PAGES_PER_CALL = 16
MOST_INVALID = 2
LEVELS = 5
"""Sixteen pages can be halved four times."""

PAID = (
    Outcome.ANSWERED,
    Outcome.INVALID,
    Outcome.TRUNCATED,
    Outcome.REFUSED,
    Outcome.TOO_LONG,
)
"""What becomes of a question that was served."""

FREE = (
    Outcome.RATE_LIMITED,
    Outcome.OVERLOADED,
    Outcome.ERROR,
    Outcome.UNREACHABLE,
    Outcome.BAD_KEY,
    Outcome.NO_CREDIT,
    Outcome.NO_MODEL,
    Outcome.NO_API,
)
"""Nothing was served, and the question is not to blame."""

REFUSED_UNREAD = (Outcome.REJECTED, Outcome.TOO_LONG)

LAST = {
    Outcome.ANSWERED,
    Outcome.REFUSED,
    Outcome.REJECTED,
    Outcome.TRUNCATED,
    Outcome.TOO_LONG,
}
"""After these a question is not asked again as it was."""


def past(
    step: Step, outcome: Outcome | None, *, in_batch: bool = False, detail: str | None = None
) -> PastCall:
    """One try, in the state that goes with its outcome."""
    state: State = "unserved"
    if outcome is None:
        state = "intended"
    elif outcome is Outcome.LOST:
        state = "uncertain"
    elif outcome in PAID:
        state = "served"
    return PastCall(step, state, outcome, detail, in_batch)


def covered(found: Survey) -> list[int]:
    """The pages that the survey says something about, as often as it does."""
    steps = [ask.step for ask in found.ask] + found.in_batch + found.answered
    steps += [one.step for one in found.given_up]
    return sorted(page for step in steps for page in range(step.first_page, step.last_page + 1))


def and_its_halves(step: Step) -> list[Step]:
    """A step, and all that it can be halved into."""
    if step.page_count == 1:
        return [step]
    middle = (step.first_page + step.last_page) // 2
    first, second = Step(step.first_page, middle), Step(middle + 1, step.last_page)
    return [step, *and_its_halves(first), *and_its_halves(second)]


@given(pages=st.integers(1, 500), limit=st.integers(1, MOST_PAGES_PER_CALL))
def test_the_parts_of_a_document_are_all_its_pages_once_in_order_and_of_like_length(
    pages: int, limit: int
) -> None:
    parts = windows(pages, limit)
    seen = [page for one in parts for page in range(one.first_page, one.last_page + 1)]
    sizes = [one.page_count for one in parts]
    assert seen == list(range(1, pages + 1))
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) <= limit
    assert len(parts) == -(-pages // limit)
    assert {one.kind for one in parts} == {"pages"}


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Step], list[PastCall], set[Step]]:
    """A document's parts, tries of them and of their halves in any order, and some answers."""
    parts = windows(draw(st.integers(1, 24)), draw(st.integers(1, MOST_PAGES_PER_CALL)))
    every = [one for part in parts for one in and_its_halves(part)]
    of_any = st.builds(
        past,
        st.sampled_from(every),
        st.sampled_from([None, *Outcome]),
        in_batch=st.booleans(),
        detail=st.sampled_from([None, "title: Field required", "dates.0.page: too small"]),
    )
    calls = draw(st.lists(of_any, max_size=40))
    return parts, calls, draw(st.sets(st.sampled_from(every), max_size=6))


@given(histories())
def test_every_page_is_asked_about_waited_for_answered_or_given_up_and_only_one_of_these(
    history: tuple[list[Step], list[PastCall], set[Step]],
) -> None:
    parts, calls, answers = history
    assert covered(survey(parts, calls, answers)) == list(range(1, parts[-1].last_page + 1))


@given(histories())
def test_nothing_is_asked_again_that_was_answered_or_declined_or_tried_enough(
    history: tuple[list[Step], list[PastCall], set[Step]],
) -> None:
    parts, calls, answers = history
    for step in (ask.step for ask in survey(parts, calls, answers).ask):
        tries = Counter(call.outcome for call in calls if call.step == step)
        assert step not in answers
        assert not (LAST - {Outcome.ANSWERED}) & tries.keys()
        assert tries[Outcome.LOST] < MOST_LOST
        assert tries[Outcome.INVALID] < MOST_INVALID
        assert not any(
            call.step == step and call.in_batch and call.outcome is None for call in calls
        )


@given(histories())
def test_who_is_asked_to_repair_an_answer_is_told_what_was_wrong_with_the_last(
    history: tuple[list[Step], list[PastCall], set[Step]],
) -> None:
    parts, calls, answers = history
    for ask in survey(parts, calls, answers).ask:
        wrong = [
            call.detail or ""
            for call in calls
            if call.step == ask.step and call.outcome is Outcome.INVALID
        ]
        assert ask.wrong == (wrong[-1] if wrong else None)


@given(histories())
def test_what_is_given_up_says_an_outcome_that_it_had(
    history: tuple[list[Step], list[PastCall], set[Step]],
) -> None:
    parts, calls, answers = history
    for one in survey(parts, calls, answers).given_up:
        assert one.outcome in {call.outcome for call in calls if call.step == one.step}


class Api:
    """What becomes of questions, by chance; `patience` times it serves nothing and costs nothing.

    As in `sql.claude`: a call that goes out in a batch is `intended` until the batch is settled.
    """

    def __init__(self, chance: Random, usual: Sequence[Outcome], patience: int) -> None:
        self._chance = chance
        self._usual = usual
        self._patience = patience
        self.calls: list[PastCall] = []
        self.answers: set[Step] = set()

    def settle_batches(self) -> None:
        """The results of every batch are in."""
        for place, call in enumerate(self.calls):
            if call.outcome is None:
                self.calls[place] = self._settled(call.step, in_batch=True)

    def ask(self, step: Step, *, in_batch: bool) -> None:
        """Somebody asks."""
        if in_batch:
            self.calls.append(past(step, None, in_batch=True))
        else:
            self.calls.append(self._settled(step, in_batch=False))

    def _settled(self, step: Step, *, in_batch: bool) -> PastCall:
        outcome = self._chance.choice(self._usual)
        if outcome is Outcome.EXPIRED and not in_batch:
            outcome = Outcome.LOST
        counts = outcome is Outcome.ERROR and in_batch
        if outcome in FREE and not counts:
            self._patience -= 1
            if self._patience < 0:
                outcome = self._chance.choice((*PAID, *REFUSED_UNREAD, Outcome.LOST))
        if outcome is Outcome.ANSWERED:
            self.answers.add(step)
        return past(step, outcome, in_batch=in_batch, detail=f"{outcome} {len(self.calls)}")


@settings(max_examples=300)
@given(
    pages=st.integers(1, 40),
    limit=st.integers(1, MOST_PAGES_PER_CALL),
    usual=st.lists(st.sampled_from(list(Outcome)), min_size=1, max_size=6),
    patience=st.integers(0, 10),
    share_in_batches=st.sampled_from([0.0, 0.5, 1.0]),
    chance=st.randoms(use_true_random=True),
)
def test_whatever_the_api_does_a_document_is_settled_after_a_bounded_number_of_questions(
    pages: int,
    limit: int,
    usual: list[Outcome],
    patience: int,
    share_in_batches: float,
    chance: Random,
) -> None:
    api, parts = Api(chance, usual, patience), windows(pages, limit)
    # Of one step at most: invalid once, lost twice, failed twice in batches, and the last try.
    rounds = 2 * (LEVELS * (1 + 2 + 2 + 1) + patience)
    found = survey(parts, api.calls, api.answers)
    answered: set[Step] = set()
    while not found.is_settled:
        rounds -= 1
        assert rounds >= 0, "asked again and again"
        assert covered(found) == list(range(1, pages + 1))
        assert answered <= set(found.answered), "what was answered stays so"
        answered = set(found.answered)
        api.settle_batches()
        for ask in found.ask:
            api.ask(ask.step, in_batch=chance.random() < share_in_batches)
        found = survey(parts, api.calls, api.answers)
    assert covered(found) == list(range(1, pages + 1))
    assert set(found.answered) == api.answers
    for step in {call.step for call in api.calls}:
        own = [call for call in api.calls if call.step == step]
        tries = Counter(call.outcome for call in own)
        fails = sum(c.in_batch and c.outcome in {Outcome.EXPIRED, Outcome.ERROR} for c in own)
        assert tries[Outcome.LOST] <= MOST_LOST
        assert tries[Outcome.INVALID] <= MOST_INVALID
        assert fails <= MOST_IN_BATCHES
        assert sum(tries[outcome] for outcome in LAST) <= 1


def what_next(
    *outcomes: Outcome | None, step: Step | None = None, in_batch: bool = False
) -> Survey:
    """Where one step stands after these tries."""
    step = step or Step(1, 4)
    calls = [past(step, outcome, in_batch=in_batch, detail=f"{outcome}") for outcome in outcomes]
    return survey([step], calls, {step} if Outcome.ANSWERED in outcomes else set())


def given_up(found: Survey) -> list[Outcome]:
    """Why, if nothing is left to do."""
    assert found.is_settled
    assert not found.answered
    return [one.outcome for one in found.given_up]


def asked(found: Survey) -> Collection[tuple[int, int]]:
    """The pages of what is asked now."""
    return [(ask.step.first_page, ask.step.last_page) for ask in found.ask]


def test_what_was_never_tried_is_asked() -> None:
    assert [(ask.step, ask.wrong) for ask in what_next().ask] == [(Step(1, 4), None)]


def test_an_answer_settles_its_question_whatever_came_before_or_after() -> None:
    found = what_next(Outcome.LOST, Outcome.TRUNCATED, Outcome.ANSWERED, Outcome.REFUSED)
    assert found == Survey(answered=[Step(1, 4)])


def test_an_answer_whose_text_is_gone_is_asked_for_again() -> None:
    step = Step(1, 4)
    assert asked(survey([step], [past(step, Outcome.ANSWERED)], set())) == [(1, 4)]


def test_an_answer_not_in_the_form_is_asked_for_once_more_with_what_was_wrong() -> None:
    once = what_next(Outcome.INVALID)
    assert [ask.wrong for ask in once.ask] == ["invalid"]
    assert given_up(what_next(Outcome.INVALID, Outcome.INVALID)) == [Outcome.INVALID]


@pytest.mark.parametrize("outcome", [Outcome.TRUNCATED, Outcome.TOO_LONG])
def test_what_does_not_fit_is_asked_about_in_halves_down_to_single_pages(
    outcome: Outcome,
) -> None:
    assert asked(what_next(outcome)) == [(1, 2), (3, 4)]
    assert asked(what_next(outcome, step=Step(4, 6))) == [(4, 5), (6, 6)]
    assert given_up(what_next(outcome, step=Step(7, 7))) == [outcome]


def test_an_account_of_the_whole_that_does_not_fit_is_given_up() -> None:
    whole = Step(1, 4, "whole")
    assert given_up(what_next(Outcome.TRUNCATED, step=whole)) == [Outcome.TRUNCATED]


def test_the_halves_go_on_where_they_stand_on_their_own() -> None:
    calls = [
        past(Step(1, 4), Outcome.TRUNCATED),
        past(Step(1, 2), Outcome.TRUNCATED),
        past(Step(3, 4), Outcome.REFUSED, detail="cyber"),
        past(Step(1, 1), Outcome.ANSWERED),
        past(Step(2, 2), None, in_batch=True),
    ]
    assert survey([Step(1, 4)], calls, {Step(1, 1)}) == Survey(
        in_batch=[Step(2, 2)],
        answered=[Step(1, 1)],
        given_up=[GivenUp(Step(3, 4), Outcome.REFUSED, "cyber")],
    )


def test_an_answer_lost_three_times_is_given_up() -> None:
    assert asked(what_next(Outcome.LOST, Outcome.LOST)) == [(1, 4)]
    assert given_up(what_next(*[Outcome.LOST] * 3)) == [Outcome.LOST]


@pytest.mark.parametrize("outcome", [Outcome.EXPIRED, Outcome.ERROR])
def test_what_three_batches_did_not_come_to_is_given_up(outcome: Outcome) -> None:
    assert asked(what_next(outcome, outcome, in_batch=True)) == [(1, 4)]
    assert given_up(what_next(outcome, outcome, outcome, in_batch=True)) == [outcome]


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.REJECTED])
@pytest.mark.parametrize("in_batch", [False, True])
def test_what_is_declined_is_not_asked_again(outcome: Outcome, in_batch: bool) -> None:
    assert given_up(what_next(outcome, in_batch=in_batch)) == [outcome]


@pytest.mark.parametrize("outcome", FREE)
def test_what_was_never_served_is_asked_however_often_that_was(outcome: Outcome) -> None:
    assert asked(what_next(*[outcome] * 50)) == [(1, 4)]


def test_what_is_in_a_batch_is_waited_for() -> None:
    assert what_next(Outcome.LOST, None, in_batch=True) == Survey(in_batch=[Step(1, 4)])


def test_a_question_left_open_outside_batches_is_nobodys_and_is_asked() -> None:
    assert asked(what_next(None)) == [(1, 4)]
