"""Claude, as the analyst of documents: which model, how much, at what price."""

from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from prefect.blocks.core import Block
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from blocks.secret import QUIET
from blocks.vast_account import is_this_machine
from schema.failures import Misconfigured

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic

CLAUDE_URL = "https://api.anthropic.com"

Effort = Literal["low", "medium", "high", "xhigh", "max"]


class Model(BaseModel):
    """What one model costs, in dollars per million tokens, and how large pictures it sees."""

    model_config = ConfigDict(frozen=True)

    input: Decimal = Field(ge=0, description="Dollars per million tokens it reads.")
    output: Decimal = Field(ge=0, description="Dollars per million tokens it writes.")
    cache_write: Decimal = Field(ge=0, description="Dollars per million tokens it keeps for later.")
    cache_read: Decimal = Field(ge=0, description="Dollars per million tokens it had kept.")
    picture_tokens: int = Field(
        default=4784, ge=100, description="What a picture costs at most: a larger one is shrunk."
    )
    picture_side: int = Field(default=2576, ge=200, description="Longest side it sees, in pixels.")
    long_prompt_tokens: int | None = Field(
        default=None, description="Prompts longer than this cost more."
    )
    long_prompt_factor: Decimal = Field(default=Decimal(1), ge=1, description="How much more.")
    takes_effort: bool = Field(default=True, description="Whether it takes the effort parameter.")


def _model(*prices: str, **more: object) -> Model:
    names = ("input", "output", "cache_write", "cache_read")
    return Model.model_validate(dict(zip(names, prices, strict=True)) | more)


_STANDARD = {"picture_tokens": 1568, "picture_side": 1568}
"""Models before 4.7 see pictures smaller."""

MODELS: dict[str, Model] = {
    "claude-haiku-5-5": _model(
        "0.10", "0.50", "0.125", "0.01", long_prompt_tokens=100_000, long_prompt_factor="5"
    ),
    "claude-sonnet-5-5": _model("2", "10", "2.50", "0.10"),
    "claude-opus-5-5": _model("4", "20", "5", "0.20"),
    "claude-fable-5-2": _model("8", "40", "10", "0.20"),
    "claude-sonnet-5": _model("2", "10", "2.50", "0.20"),
    "claude-opus-5": _model("5", "25", "6.25", "0.50"),
    "claude-opus-4-8": _model("5", "25", "6.25", "0.50"),
    "claude-sonnet-4-6": _model("3", "15", "3.75", "0.30", **_STANDARD),
    "claude-haiku-4-5": _model("1", "5", "1.25", "0.10", takes_effort=False, **_STANDARD),
}
"""As published in November 2026."""

BATCH_SHARE = Decimal("0.5")
"""What a token costs in a batch, as a share of its price."""


class Claude(Block):
    """An account with Anthropic's API, and how documents are analysed with it."""

    model_config = QUIET
    _block_type_name = "ASEAGI Claude"
    _block_type_slug = "aseagi-claude"
    _description = "Key, model, prices and limits of the analyst. Without it, rules analyse."

    api_key: SecretStr = Field(title="API key", description="A key of a workspace of its own.")
    url: str = Field(default=CLAUDE_URL, description="Address of the API.")
    model: str = Field(default="claude-haiku-5-5", description="Which model reads the documents.")
    effort: Effort | None = Field(
        default="low",
        description="How much the model thinks before it answers; thinking is paid as output. "
        "Empty: as the model does by itself.",
    )
    pictures: Literal["scans", "all", "none"] = Field(
        default="scans",
        description="Of which pages pictures are sent besides the text: of those whose text was "
        "read by OCR, of all, of none.",
    )
    pages_per_call: int = Field(
        default=10, ge=1, le=16, description="Longer documents are asked about in parts."
    )
    answer_tokens: int = Field(
        default=16_000, ge=1_000, le=20_000, description="The longest answer, thinking included."
    )
    calls_at_a_time: int = Field(default=4, ge=1, le=64, description="Questions open at a time.")
    timeout_seconds: float = Field(
        default=300, gt=0, le=600, description="How long an answer is waited for."
    )
    monthly_limit_dollars: float = Field(
        default=20, ge=0, description="Claude may cost so much a month, within the budget."
    )
    document_limit_dollars: float = Field(
        default=2, ge=0, description="One document's analysis may cost so much at most."
    )
    models: dict[str, Model] = Field(
        default=MODELS, description="Prices by model, in dollars per million tokens."
    )

    @property
    def is_rehearsal(self) -> bool:
        """Whether the API is a rehearsal on this machine: no money is involved."""
        return is_this_machine(self.url)

    @property
    def terms(self) -> Model:
        """Prices of the chosen model; raises `Misconfigured` when they are not known."""
        return self.terms_of(self.model)

    def terms_of(self, model: str) -> Model:
        """Prices of a model; raises `Misconfigured` when they are not known."""
        terms = self.models.get(model)
        if terms is None:
            raise Misconfigured(
                f"What {model} costs is not known. Add it to `models` in the block "
                f"aseagi-claude/aseagi, or choose one of: {', '.join(self.models)}."
            )
        return terms

    def _key(self) -> str:
        key = self.api_key.get_secret_value().strip()
        if not key or not key.isascii() or not key.isprintable():
            raise Misconfigured(
                "The key of Claude's API is empty or no key. Correct api_key in the block "
                "aseagi-claude/aseagi."
            )
        return key

    def client(self) -> "AsyncAnthropic":
        """The official client, its own retries off: ours are counted. Close it after use.

        Raises `Misconfigured` when there is no key.
        """
        # Not at the top: what never asks Claude need not load its client.
        from anthropic import AsyncAnthropic  # noqa: PLC0415

        return AsyncAnthropic(
            api_key=self._key(),
            base_url=self.url.strip(),
            max_retries=0,
            timeout=self.timeout_seconds,
        )
