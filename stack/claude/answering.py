"""Who answers: the protocol of an answerer, and how one is found by its name."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, cast

from schema.failures import Misconfigured


@dataclass(frozen=True, slots=True)
class Question:
    """What an answerer is asked."""

    model: str
    system: str
    texts: tuple[str, ...]
    """The texts of all user turns, block by block."""
    images: int
    schema: Mapping[str, object] | None
    """What the answer has to be valid for; None asks for a text."""


class Answerer(Protocol):
    """Answers questions; the same question always in the same way."""

    def answer(self, question: Question) -> object:
        """A JSON value that is valid for the question's schema; a `str` if it has none.

        Called in the event loop: it must be quick. What it raises is answered as a 500.
        """
        ...


def find_answerer(name: str) -> Answerer:
    """The answerer called `module:name`.

    Raises:
        Misconfigured: there is none.
    """
    module, _, attribute = name.partition(":")
    try:
        return cast("Answerer", getattr(import_module(module), attribute)())
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise Misconfigured(f"there is no answerer {name}: {error}") from error
