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

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field, TypeAdapter

from stack.rehearsal.faults import OrderedFault, OrderedFaults

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


class Fault(OrderedFault, frozen=True):
    """One fault, as ordered."""

    kinds: ClassVar[Mapping[str, frozenset[str]]] = KINDS

    on: On
    match: dict[Literal["label", "machine_id", "offer_id", "instance_id"], str | int] = Field(
        default_factory=dict[Literal["label", "machine_id", "offer_id", "instance_id"], str | int]
    )
    shape: Literal["404", "410", "400", "text", "json"] | None = None
    seconds: float = Field(default=0.0, ge=0)

    def concerns(self, facts: Mapping[str, object]) -> bool:
        """Whether everything it asks for is true of this call."""
        return all(_same(wanted, facts.get(name)) for name, wanted in self.match.items())


def _same(wanted: str | int, found: object) -> bool:
    if isinstance(wanted, str) and wanted.endswith("*"):
        return isinstance(found, str) and found.startswith(wanted[:-1])
    return found is not None and str(wanted) == str(found)


FAULTS = TypeAdapter(list[Fault])
"""How a list of them is read."""


class FaultBook(OrderedFaults[On, Fault]):
    """The faults that are still to strike."""
