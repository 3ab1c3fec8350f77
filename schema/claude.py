"""What became of a question put to Claude, and what it used."""

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """How one request ended. Each says by itself whether asking again can help."""

    ANSWERED = "answered"
    """A valid answer, stored."""
    INVALID = "invalid"
    """An answer that is not in the schema: asked once more, with what was wrong."""
    TRUNCATED = "truncated"
    """The answer did not fit: its pages are asked about in two halves."""
    REFUSED = "refused"
    """The model declined. Asking again would be declined again."""
    TOO_LONG = "too long"
    """The question did not fit: its pages are asked about in two halves."""
    REJECTED = "rejected"
    """The API finds the request wrong. It would again."""
    RATE_LIMITED = "rate limited"
    OVERLOADED = "overloaded"
    ERROR = "error"
    """Something inside the API failed."""
    UNREACHABLE = "unreachable"
    """The connection could not be made: nothing was asked."""
    LOST = "lost"
    """Asked, and no answer came: a timeout, a cut connection, a process that died."""
    EXPIRED = "expired"
    """A batch ended (after a day, or because somebody cancelled it) before it came to this."""
    BAD_KEY = "bad key"
    NO_CREDIT = "no credit"
    NO_MODEL = "no such model"
    NO_API = "no such API"
    """Something else answers at the address."""

    @property
    def text(self) -> str:
        """What to tell a person."""
        return _TEXTS[self]


_TEXTS = {
    Outcome.ANSWERED: "Claude answered.",
    Outcome.INVALID: "Claude answered twice in a form that cannot be read.",
    Outcome.TRUNCATED: "Claude's answer about a single page was longer than is allowed.",
    Outcome.REFUSED: "Claude declined to analyse it.",
    Outcome.TOO_LONG: "A single page is more than Claude can be asked about.",
    Outcome.REJECTED: "Claude's API did not accept the request.",
    Outcome.RATE_LIMITED: "Claude's API takes no more requests of this account for now.",
    Outcome.OVERLOADED: "Claude is overloaded.",
    Outcome.ERROR: "Claude's API has a fault of its own.",
    Outcome.UNREACHABLE: "Claude's API cannot be reached.",
    Outcome.LOST: "Claude's answers were lost again and again on the way.",
    Outcome.EXPIRED: "Batches ended again and again before Claude came to it.",
    Outcome.BAD_KEY: "Claude's API does not accept the key.",
    Outcome.NO_CREDIT: "The account has no credit with Claude's API.",
    Outcome.NO_MODEL: "Claude's API does not know the model.",
    Outcome.NO_API: "What answers is not Claude's API.",
}


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that were billed. The four are apart: none is counted in another."""

    input_tokens: int
    output_tokens: int
    cache_write_tokens: int
    cache_read_tokens: int

    @property
    def prompt_tokens(self) -> int:
        """Everything the model read."""
        return self.input_tokens + self.cache_write_tokens + self.cache_read_tokens


@dataclass(frozen=True, slots=True, order=True)
class Step:
    """One question about a document: some of its pages, or what all of them come to.

    `pages`: the analysis of these pages. `whole`: one account of a document from the
    analyses of its parts; its pages are all of them.
    """

    first_page: int
    last_page: int
    kind: str = "pages"

    @property
    def page_count(self) -> int:
        """How many pages it is about."""
        return self.last_page - self.first_page + 1
