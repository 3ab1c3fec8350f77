"""Faults to order: what the real API was seen to do wrong, and when to do it here.

A fault is a JSON object: `{"on": "sendMessage", "kind": "drop-after", "times": 1}`.

    on       a method, `file` for the bytes of one, or `any` for every call of the bot
    kind     what, see below
    times    how often it strikes; null is for ever (default 1)
    after    how many matching calls go well first (default 0)
    chat_id  only calls that concern this chat
    seconds  for 429: what `retry_after` says, at least 1; for slow: how long the answer hangs

    429, 500     nothing is done
    drop         the connection is cut before anything is done
    drop-after   everything is done; then the connection is cut
    500-after    everything is done; then a 500
    slow         everything is done, and the answer comes late
    cut          half of a file; then the connection is cut (on file alone)
"""

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field, TypeAdapter

from stack.rehearsal.faults import OrderedFault, OrderedFaults

On = Literal[
    "any",
    "getMe",
    "getFile",
    "sendMessage",
    "editMessageText",
    "setWebhook",
    "deleteWebhook",
    "getWebhookInfo",
    "setMyCommands",
    "getMyCommands",
    "file",
]

_CALLS = frozenset({"429", "500", "drop", "drop-after", "500-after", "slow"})

KINDS: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(On.__args__, _CALLS),
    "file": _CALLS | {"cut"},
}


class Fault(OrderedFault, frozen=True):
    """One fault, as ordered."""

    kinds: ClassVar[Mapping[str, frozenset[str]]] = KINDS

    on: On
    chat_id: int | None = None
    seconds: float = Field(default=0.0, ge=0)

    def concerns(self, facts: Mapping[str, object]) -> bool:
        """Whether everything it asks for is true of this call."""
        return self.chat_id is None or facts.get("chat_id") == self.chat_id


FAULTS = TypeAdapter(list[Fault])
"""How a list of them is read."""

FaultBook = OrderedFaults[On, Fault]
