"""What can go wrong, named by what to do next.

    AseagiError
    ├── RetryLater       the same call may succeed later: a server is down or busy
    ├── BadInput         this file or request cannot succeed: say why, go on with others
    ├── Misconfigured    a setting is wrong or missing: a person must mend it
    └── MoneyStops       paused, budget or credit: spend nothing, tell the owner

`Failure` is the same knowledge as data: what is stored beside a document, page
or host, and what a person reads.
"""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from schema.text import Text

MAX_PAGE_NUMBER = 1_000_000
"""No document has more pages; far below what the tables can count."""


class AseagiError(Exception):
    """Base of every error this project raises on purpose.

    The message is one line for a person: what is wrong and the way out. It never
    holds a secret or document text.
    """


class RetryLater(AseagiError):
    """A server is unreachable or busy; the same call may succeed later."""


class BadInput(AseagiError):
    """This file or request cannot succeed however often it is tried."""


class Misconfigured(AseagiError):
    """A setting is wrong or missing; retrying cannot help, a person can."""


class MoneyStops(AseagiError):
    """Spending is paused, or a budget or credit is used up."""


class Stage(StrEnum):
    """Where in its life a document was when something failed."""

    ARRIVE = "arrive"
    INGEST = "ingest"
    READ = "read"
    ANALYSE = "analyse"
    EXPORT = "export"
    HOST = "host"


class Failure(BaseModel):
    """One failure, as stored beside the thing that failed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: Stage
    reason: Text = Field(
        max_length=500, description="One line a person understands; no secrets, no document text."
    )
    retry_helps: bool = Field(description="Whether trying again unchanged can succeed.")
    page: int | None = Field(
        default=None, ge=1, le=MAX_PAGE_NUMBER, description="The page concerned, if it is one."
    )
