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

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from schema.failures import BadInput, Misconfigured

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


class Fault(BaseModel):
    """One fault, as ordered."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    on: On
    kind: str
    times: Annotated[int, Field(ge=1)] | None = 1
    after: int = Field(default=0, ge=0)
    probability: float = Field(default=1.0, gt=0, le=1)
    match: dict[Matched, str] = Field(default_factory=dict[Matched, str])
    seconds: float = Field(default=0.0, ge=0)

    @model_validator(mode="after")
    def _kind_is_known(self) -> "Fault":
        if self.kind not in KINDS[self.on]:
            known = ", ".join(sorted(KINDS[self.on]))
            raise ValueError(f"no fault {self.kind!r} on {self.on}; there are: {known}")
        return self

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


_LIST = TypeAdapter(list[Fault])


def parse_faults(text: str | bytes) -> list[Fault]:
    """Read a JSON list of faults.

    Raises:
        BadInput: it is none; the message says where and why.
    """
    try:
        return _LIST.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadInput(f"not a list of faults: {where}: {first['msg']}") from error


def read_faults(file: Path) -> list[Fault]:
    """Read a file of faults.

    Raises:
        Misconfigured: there is no such file, or it is not a list of faults.
    """
    try:
        return parse_faults(file.read_bytes())
    except OSError as error:
        raise Misconfigured(f"{file} cannot be read: {error.strerror}") from error
    except BadInput as error:
        raise Misconfigured(f"{file}: {error}") from error


@dataclass(slots=True)
class _Ordered:
    fault: Fault
    matched: int = 0
    struck: int = 0


class FaultBook:
    """The faults that are still to strike."""

    def __init__(self, faults: Sequence[Fault] = (), *, seed: int = 0) -> None:
        self._ordered = [_Ordered(fault) for fault in faults]
        self._luck = random.Random(seed)  # noqa: S311 - which call fails is no secret

    def order(self, faults: Sequence[Fault]) -> None:
        """Add to what was ordered."""
        self._ordered.extend(_Ordered(fault) for fault in faults)

    def clear(self) -> None:
        """Strike no more."""
        self._ordered.clear()

    def strike(self, on: On, facts: Mapping[str, object] | None = None) -> Fault | None:
        """The fault that strikes this call; None when it goes well."""
        struck: Fault | None = None
        for ordered in self._ordered:
            fault = ordered.fault
            if fault.on != on or not fault.concerns(facts or {}):
                continue
            ordered.matched += 1
            spent = fault.times is not None and ordered.struck >= fault.times
            if struck is not None or spent or ordered.matched <= fault.after:
                continue
            if fault.probability == 1 or self._luck.random() < fault.probability:
                ordered.struck += 1
                struck = fault
        return struck

    def report(self) -> list[dict[str, object]]:
        """Every fault ordered, with how often it struck."""
        return [
            {**json.loads(ordered.fault.model_dump_json()), "struck": ordered.struck}
            for ordered in self._ordered
        ]
