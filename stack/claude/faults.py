"""Faults to order: what the real API was seen to do wrong, and when to do it here.

A fault is a JSON object: `{"on": "messages", "kind": "drop-after", "times": 1}`.

    on           where: messages, count, create, read, results, item
    kind         what, see `KINDS`
    times        how often it strikes; null is for ever (default 1)
    after        how many matching calls go well first (default 0)
    probability  with what luck it strikes each time it may (default 1: always)
    match        which: any of model, batch_id, custom_id (one that ends in * matches by its
                 beginning), and text: words that stand anywhere in the request
    seconds      for slow: how long the answer hangs, in real seconds; for 429: what
                 `retry-after` says, at least 1

`create` is the creation of a batch, `read` its retrieval, listing and cancelling, `item`
one request of a batch when its time comes. The first fault in the list that matches
strikes. Each counts its own matching calls.

    429, 500, 529      nothing is done
    drop               the connection is cut before anything is done
    slow               everything is done, and the answer comes late
    drop-after         served, counted, written down; then the connection is cut
    truncated          half of the answer, with stop_reason max_tokens
    refusal            no answer, with stop_reason refusal
    schema-invalid     an answer that is not valid for the schema
    commit-then-drop   the batch is created; then the connection is cut
    commit-then-500    the batch is created; then a 500
    partial            half of the results, as if they were all
    cut                half of the results; then the connection is cut
    errored, expired   what becomes of the request
"""

import random
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, cast

from pydantic import Field, TypeAdapter

from stack.rehearsal.faults import OrderedFault, OrderedFaults

On = Literal["messages", "count", "create", "read", "results", "item"]
Matched = Literal["model", "batch_id", "custom_id", "text"]

_ANYWHERE = frozenset({"429", "500", "529", "drop", "slow"})
_ANSWERS = frozenset({"truncated", "refusal", "schema-invalid"})
"""Faults of an answer itself: it is served and billed."""

KINDS: Mapping[str, frozenset[str]] = {
    "messages": _ANYWHERE | _ANSWERS | {"drop-after"},
    "count": _ANYWHERE,
    "create": _ANYWHERE | {"commit-then-drop", "commit-then-500"},
    "read": _ANYWHERE,
    "results": _ANYWHERE | {"partial", "cut"},
    "item": _ANSWERS | {"errored", "expired"},
}


class Fault(OrderedFault, frozen=True):
    """One fault, as ordered."""

    kinds: ClassVar[Mapping[str, frozenset[str]]] = KINDS

    on: On
    probability: float = Field(default=1.0, gt=0, le=1)
    match: dict[Matched, str] = Field(default_factory=dict[Matched, str])
    seconds: float = Field(default=0.0, ge=0)

    def concerns(self, facts: Mapping[str, object]) -> bool:
        """Whether everything it asks for is true of this call."""
        return all(
            _says(facts.get(name), wanted)
            if name == "text"
            else _is_called(facts.get(name), wanted)
            for name, wanted in self.match.items()
        )


def _is_called(found: object, wanted: str) -> bool:
    if wanted.endswith("*"):
        return isinstance(found, str) and found.startswith(wanted[:-1])
    return found == wanted


def _says(found: object, words: str) -> bool:
    """Whether `words` stand in any text of a JSON value."""
    if isinstance(found, str):
        return words in found
    if isinstance(found, list):
        return any(_says(each, words) for each in cast("list[object]", found))
    if isinstance(found, Mapping):
        return any(_says(each, words) for each in cast("Mapping[str, object]", found).values())
    return False


FAULTS = TypeAdapter(list[Fault])
"""How a list of them is read."""


class FaultBook(OrderedFaults[On, Fault]):
    """The faults that are still to strike, some of them by luck."""

    def __init__(self, faults: Sequence[Fault] = (), *, seed: int = 0) -> None:
        super().__init__(faults)
        self._luck = random.Random(seed)  # noqa: S311 - which call fails is no secret

    def has_luck(self, fault: Fault) -> bool:
        """By its probability; the same seed, the same luck."""
        return fault.probability == 1 or self._luck.random() < fault.probability
