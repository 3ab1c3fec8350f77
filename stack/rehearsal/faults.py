"""Faults to order: which strikes which call. What a fault does is the rehearsal's own affair.

The first fault in the list that matches strikes. Each counts its own matching calls.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from schema.failures import BadInput, Misconfigured


class OrderedFault(BaseModel, ABC, frozen=True):
    """One fault, as ordered. A rehearsal says where there are which, and what they match."""

    model_config = ConfigDict(extra="forbid")

    kinds: ClassVar[Mapping[str, frozenset[str]]]
    """By `on`: every `kind` there is."""

    on: str
    kind: str
    times: Annotated[int, Field(ge=1)] | None = 1
    after: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _kind_is_known(self) -> Self:
        known = self.kinds[self.on]
        if self.kind not in known:
            there_are = ", ".join(sorted(known))
            raise ValueError(f"no fault {self.kind!r} on {self.on}; there are: {there_are}")
        return self

    @abstractmethod
    def concerns(self, facts: Mapping[str, object]) -> bool:
        """Whether everything it asks for is true of this call."""


OnT = TypeVar("OnT", bound=str)
FaultT = TypeVar("FaultT", bound=OrderedFault)


def parse_faults(text: str | bytes, form: TypeAdapter[list[FaultT]]) -> list[FaultT]:
    """Read a JSON list of faults.

    Raises:
        BadInput: it is none; the message says where and why.
    """
    try:
        return form.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadInput(f"not a list of faults: {where}: {first['msg']}") from error


def read_faults(file: Path, form: TypeAdapter[list[FaultT]]) -> list[FaultT]:
    """Read a file of faults.

    Raises:
        Misconfigured: there is no such file, or it is not a list of faults.
    """
    try:
        return parse_faults(file.read_bytes(), form)
    except OSError as error:
        raise Misconfigured(f"{file} cannot be read: {error.strerror}") from error
    except BadInput as error:
        raise Misconfigured(f"{file}: {error}") from error


@dataclass(slots=True)
class _Counted(Generic[FaultT]):
    fault: FaultT
    matched: int = 0
    struck: int = 0


class OrderedFaults(Generic[OnT, FaultT]):
    """The faults that are still to strike."""

    def __init__(self, faults: Sequence[FaultT] = ()) -> None:
        self._counted = [_Counted(fault) for fault in faults]

    def order(self, faults: Sequence[FaultT]) -> None:
        """Add to what was ordered."""
        self._counted.extend(_Counted(fault) for fault in faults)

    def clear(self) -> None:
        """Strike no more."""
        self._counted.clear()

    def strike(self, on: OnT, facts: Mapping[str, object] | None = None) -> FaultT | None:
        """The fault that strikes this call; None when it goes well."""
        struck: FaultT | None = None
        for counted in self._counted:
            fault = counted.fault
            if fault.on != on or not fault.concerns(facts or {}):
                continue
            counted.matched += 1
            spent = fault.times is not None and counted.struck >= fault.times
            if struck is not None or spent or counted.matched <= fault.after:
                continue
            if self.has_luck(fault):
                counted.struck += 1
                struck = fault
        return struck

    def has_luck(self, fault: FaultT) -> bool:  # noqa: ARG002 - a rehearsal may depend on it
        """Whether a fault strikes now that it may. Asked once for each call it may strike."""
        return True

    def report(self) -> list[dict[str, object]]:
        """Every fault ordered, with how often it struck."""
        return [
            {**json.loads(counted.fault.model_dump_json()), "struck": counted.struck}
            for counted in self._counted
        ]
