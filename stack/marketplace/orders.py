"""The body of a create, read as leniently as the real API reads it and with its limits."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from stack.marketplace.refusals import invalid

MOST_COMMAND_CHARACTERS = 4096
MOST_ENV_CHARACTERS = 32_768
MOST_ENTRY_CHARACTERS = 256
ARGS_RUNTYPE = "args"


def _variables(value: object) -> object:
    # A string of docker flags is accepted and, as observed, not applied.
    return cast("dict[object, object]", value) if isinstance(value, dict) else {}


def _words(value: object) -> object:
    return [value] if isinstance(value, str) else value or []


class Order(BaseModel):
    """What a client asks for beside the offer. Unknown fields are ignored."""

    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True)

    image: str | None = Field(default=None, max_length=1024)
    template_hash_id: str | None = None
    env: Annotated[dict[str, str], BeforeValidator(_variables)] = Field(
        default_factory=dict[str, str]
    )
    price: Decimal | None = Field(default=None, ge=Decimal("0.001"), le=128)
    """None rents on demand; a number is the bid of an interruptible."""
    disk: Decimal = Field(default=Decimal(10), ge=8, decimal_places=3)
    label: str | None = Field(default=None, max_length=256)
    runtype: str | None = None
    args: Annotated[list[str], BeforeValidator(_words)] = Field(default_factory=list[str])
    args_str: str | None = None
    onstart: str | None = None
    cancel_unavail: bool | None = None

    @model_validator(mode="after")
    def _within_limits(self) -> "Order":
        if not self.image and not self.template_hash_id:
            raise ValueError("image or template_hash_id is needed")
        command = sum(map(len, self.args)) + len(self.args_str or "") + len(self.onstart or "")
        if command > MOST_COMMAND_CHARACTERS:
            raise ValueError(f"args and onstart exceed {MOST_COMMAND_CHARACTERS} characters")
        entries = [len(name) + len(value) for name, value in self.env.items()]
        if sum(entries) > MOST_ENV_CHARACTERS or max(entries, default=0) > MOST_ENTRY_CHARACTERS:
            raise ValueError("env is too long")
        return self

    @property
    def cancels_if_unavailable(self) -> bool:
        """What the server assumes when the client does not say."""
        return self.cancel_unavail is not False

    def variables(self) -> dict[str, str]:
        """The environment without what is docker flags (ports, host name) in disguise."""
        return {name: value for name, value in self.env.items() if not name.startswith("-")}


def parse_order(body: Mapping[str, Any], ask_id: int) -> Order:
    """Read a create body.

    Raises:
        Refused: 400, with the first thing that is wrong.
    """
    try:
        return Order.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        field = str(first["loc"][0]) if first["loc"] else "body"
        code = "invalid_price" if field == "price" else "invalid_args"
        refused = invalid(f"error 400/3467: {field}: {first['msg']}", code)
        refused.body["ask_id"] = ask_id
        raise refused from error
