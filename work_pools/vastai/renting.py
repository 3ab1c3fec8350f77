"""What is ordered, and what the one answer to an order can mean.

    Created     the instance is ours and costs money from now on
    Refused     nothing was rented, or only a leftover that must be destroyed
    Ambiguous   perhaps rented: list by label until it is known, before anything else

An answer is `Refused` only if it says so in the marketplace's own terms. Everything
else that is not plainly `Created` is `Ambiguous`: a proxy's 502 after the order was
carried out looks just like one before it.
"""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from schema.failures import Misconfigured
from work_pools.vastai.answers import whole_number
from work_pools.vastai.errors import (
    BadKey,
    CreditGone,
    MarketplaceError,
    OfferGone,
    Unavailable,
)

if TYPE_CHECKING:
    from work_pools.vastai.answers import Answer

MIN_DISK_GB = 8
MAX_LABEL = 256
MAX_IMAGE = 1024
MAX_ARGUMENTS = 4096
MAX_VARIABLE = 256
MAX_ENVIRONMENT = 32_768
"""Characters and gigabytes the marketplace accepts."""
SHORTEST_SECRET = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateOrder:
    """What to run on a host. The environment holds the host's token, so it is never shown."""

    image: str
    disk_gb: int
    label: str
    """Unguessable and ours alone: the only way to find an instance whose number was lost."""
    environment: dict[str, str] = field(default_factory=dict[str, str], repr=False)
    arguments: tuple[str, ...] = ()
    image_login: SecretStr | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        problems = [
            (not 0 < len(self.image) <= MAX_IMAGE, "the image's name is empty or too long"),
            (self.disk_gb < MIN_DISK_GB, f"a disk has at least {MIN_DISK_GB} GB"),
            (not 0 < len(self.label) <= MAX_LABEL, "the label is empty or too long"),
            (sum(map(len, self.arguments)) > MAX_ARGUMENTS, "the arguments are too long"),
            *(
                (len(name) + len(value) > MAX_VARIABLE, f"the variable {name[:60]} is too long")
                for name, value in self.environment.items()
            ),
            (
                sum(len(n) + len(v) for n, v in self.environment.items()) > MAX_ENVIRONMENT,
                "the environment is too long",
            ),
        ]
        for wrong, what in problems:
            if wrong:
                raise Misconfigured(f"This cannot be ordered from the marketplace: {what}.")

    def body(self) -> dict[str, Any]:
        """The request: on demand at the offer's price, the image's own entrypoint, or nothing.

        `cancel_unavail` is what makes it nothing: without it an order that cannot be met
        now becomes a stopped instance that is billed for its disk.
        """
        body: dict[str, Any] = {
            "client_id": "me",
            "image": self.image,
            "env": self.environment,
            "price": None,
            "disk": self.disk_gb,
            "label": self.label,
            "runtype": "args",
            "args": list(self.arguments),
            "cancel_unavail": True,
        }
        if self.image_login is not None:
            body["image_login"] = self.image_login.get_secret_value()
        return body

    def secrets(self) -> list[str]:
        """What an answer that repeats the order must not be quoted with."""
        values = [*self.environment.values()]
        if self.image_login is not None:
            values.append(self.image_login.get_secret_value())
        return [value for value in values if len(value) >= SHORTEST_SECRET]


@dataclass(frozen=True, slots=True)
class Created:
    """The instance is ours. Its key can start, stop and destroy it, and nothing else."""

    instance_id: int
    instance_key: SecretStr | None = field(default=None, repr=False)


class RefusalKind(StrEnum):
    """Why an order was refused, as far as it decides what to do next."""

    OFFER_GONE = "offer gone"
    NO_CREDIT = "no credit"
    BID_TOO_LOW = "bid too low"
    BAD_ORDER = "bad order"
    BAD_KEY = "bad key"
    NOT_SENT = "not sent"
    """The marketplace could not be reached, so it cannot have rented anything."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing runs for us. A leftover is an instance all the same: destroy it."""

    kind: RefusalKind
    message: str
    leftover_instance_id: int | None = None

    def error(self) -> MarketplaceError:
        """The refusal as an error that says what to do next."""
        match self.kind:
            case RefusalKind.OFFER_GONE:
                return OfferGone(self.message)
            case RefusalKind.NO_CREDIT:
                return CreditGone(f"The marketplace account cannot pay. {self.message}")
            case RefusalKind.BAD_KEY:
                return BadKey(f"The marketplace refuses the account's key. {self.message}")
            case RefusalKind.NOT_SENT:
                return Unavailable(f"The marketplace cannot be reached: {self.message}")
            case _:
                return MarketplaceError(f"The marketplace refuses the order. {self.message}")


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """Perhaps an instance with this label exists, perhaps not yet on the list."""

    label: str
    reason: str


Outcome = Created | Refused | Ambiguous

_KNOWN_REFUSALS = (
    (
        RefusalKind.NO_CREDIT,
        r"insufficient[_ ]credit|missing_billing|spend_rate_limit|lacks credit",
    ),
    (
        RefusalKind.OFFER_GONE,
        r"no_such_ask|error 404/3603\b|error 410/3907\b|no longer available|is not available",
    ),
    (RefusalKind.BID_TOO_LOW, r"(?:bid|price)\b.{0,80}\b(?:low|below|minimum)|insufficient bid"),
)
_REFUSALS = tuple(
    (kind, re.compile(text, re.IGNORECASE | re.DOTALL)) for kind, text in _KNOWN_REFUSALS
)
_SAYS_NOTHING = frozenset({408, 409, 425, 429})
"""Client errors that do not mean that the order was not carried out."""


def outcome_of(answer: "Answer", *, order: CreateOrder, api_key: str) -> Outcome:
    """What the one answer to an order means."""
    message = answer.summary(api_key, *order.secrets())
    instance_id = whole_number(answer.body.get("new_contract")) if answer.body else None
    if instance_id is not None:
        if answer.succeeded:
            key = answer.body.get("instance_api_key") if answer.body else None
            return Created(instance_id, SecretStr(key) if isinstance(key, str) and key else None)
        kind = _known_refusal(answer) or RefusalKind.BAD_ORDER
        return Refused(kind, message, leftover_instance_id=instance_id)
    is_client_error = 400 <= answer.status < 500 and answer.status not in _SAYS_NOTHING
    if answer.succeeded or not (answer.is_2xx or is_client_error):
        return Ambiguous(order.label, message)
    kind = _known_refusal(answer)
    if kind is not None:
        return Refused(kind, message)
    if answer.refuses_the_key and answer.body is not None:
        return Refused(RefusalKind.BAD_KEY, message)
    if answer.code and answer.code != "server_error":
        return Refused(RefusalKind.BAD_ORDER, message)
    return Ambiguous(order.label, message)


def _known_refusal(answer: "Answer") -> RefusalKind | None:
    """The refusals we know by their words, because their status differs from case to case.

    A proxy's page is not taken at its word: only JSON, or the plain text of an error.
    """
    is_plain_text = answer.status >= 400 and not answer.text.lstrip().startswith("<")
    if answer.body is None and not is_plain_text:
        return None
    return next((kind for kind, words in _REFUSALS if words.search(answer.text)), None)
