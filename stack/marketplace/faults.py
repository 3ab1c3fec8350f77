"""Faults to order: what the real marketplace was seen to do wrong, and when to do it here.

A fault is a JSON object: `{"on": "create", "kind": "commit-then-502", "times": 1}`.

    on      where: create, list, show, destroy, search, charges, boot, running
    kind    what, see `KINDS`
    times   how often it strikes; null is for ever (default 1)
    after   how many matching calls go well first (default 0)
    match   which: any of label, machine_id, offer_id, instance_id; a label that ends in
            * matches by its beginning
    shape   for offer-taken: "404", "410" or "400"; for rate-limited: "text" or "json"
    seconds for timeout-after-commit: how long the answer hangs, in real seconds;
            for `running`: how long the host runs first, on the market's clock

The first fault in the list that matches strikes. Each counts its own matching calls.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from schema.failures import BadInput, Misconfigured

On = Literal["create", "list", "show", "destroy", "search", "charges", "boot", "running"]

_ANSWERS = frozenset({"429", "429-json", "500", "html-200", "auth-404"})
"""Faults any endpoint can have: nothing is done, and this is answered."""

KINDS: Mapping[str, frozenset[str]] = {
    "create": _ANSWERS
    | {
        "commit-then-502",
        "commit-then-drop",
        "timeout-after-commit",
        "offer-taken",
        "rented-twice",
        "bid-too-low",
        "insufficient-credit",
        "rate-limited",
        "error-500",
        "success-false",
    },
    "list": _ANSWERS | {"410", "odd-shape"},
    "show": _ANSWERS,
    "destroy": _ANSWERS | {"success-false", "no-such-instance", "commit-then-500"},
    "search": _ANSWERS | {"quota", "empty"},
    "charges": _ANSWERS,
    "boot": frozenset(
        {"stuck-null", "stuck-loading", "image-error", "oci-error", "exited-at-once"}
    ),
    "running": frozenset({"offline", "outbid", "frozen", "unknown", "exited"}),
}


class Fault(BaseModel):
    """One fault, as ordered."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    on: On
    kind: str
    times: Annotated[int, Field(ge=1)] | None = 1
    after: int = Field(default=0, ge=0)
    match: dict[Literal["label", "machine_id", "offer_id", "instance_id"], str | int] = Field(
        default_factory=dict[Literal["label", "machine_id", "offer_id", "instance_id"], str | int]
    )
    shape: Literal["404", "410", "400", "text", "json"] | None = None
    seconds: float = Field(default=0.0, ge=0)

    @model_validator(mode="after")
    def _kind_is_known(self) -> "Fault":
        if self.kind not in KINDS[self.on]:
            known = ", ".join(sorted(KINDS[self.on]))
            raise ValueError(f"no fault {self.kind!r} on {self.on}; there are: {known}")
        return self

    def concerns(self, facts: Mapping[str, object]) -> bool:
        """Whether everything it asks for is true of this call."""
        return all(_same(wanted, facts.get(name)) for name, wanted in self.match.items())


def _same(wanted: str | int, found: object) -> bool:
    if isinstance(wanted, str) and wanted.endswith("*"):
        return isinstance(found, str) and found.startswith(wanted[:-1])
    return found is not None and str(wanted) == str(found)


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

    def __init__(self, faults: Sequence[Fault] = ()) -> None:
        self._ordered = [_Ordered(fault) for fault in faults]

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
            if struck is None and not spent and ordered.matched > fault.after:
                ordered.struck += 1
                struck = fault
        return struck

    def report(self) -> list[dict[str, object]]:
        """Every fault ordered, with how often it struck."""
        return [
            {**json.loads(ordered.fault.model_dump_json()), "struck": ordered.struck}
            for ordered in self._ordered
        ]
