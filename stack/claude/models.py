"""The models that are known, and what each accepts.

As published for API version 2026-10-21; of claude-fable-5-2 the least cacheable length is that
of the model before.
"""

from dataclasses import dataclass
from typing import Literal

Effort = Literal["low", "medium", "high", "xhigh", "max"]
ThinkingKind = Literal["adaptive", "enabled", "disabled"]

_ALL: tuple[Effort, ...] = ("low", "medium", "high", "xhigh", "max")
_LONG_CONTEXT = 1_000_000


@dataclass(frozen=True, slots=True)
class Model:
    """One model. `thinks_unasked`: it thinks when a request does not say."""

    id: str
    least_cached_tokens: int
    context_tokens: int = _LONG_CONTEXT
    most_output_tokens: int = 128_000
    most_image_tokens: int = 4_784
    """What an image costs at most: larger ones are scaled down before they are read."""
    efforts: tuple[Effort, ...] = _ALL
    default_effort: Effort = "high"
    thinking: tuple[ThinkingKind, ...] = ("adaptive", "disabled")
    thinks_unasked: bool = True
    takes_prefill: bool = False
    """Whether the last message may be the beginning of the answer."""
    dated_id: str | None = None
    """Another name of the same model."""

    @property
    def most_images(self) -> int:
        """How many images one request may have."""
        return 600 if self.context_tokens >= _LONG_CONTEXT else 100


MODELS = (
    Model("claude-fable-5-2", 512, thinking=("adaptive",)),
    Model("claude-fable-5-1", 512, thinking=("adaptive",)),
    Model("claude-opus-5-5", 512, thinking=("adaptive",), default_effort="medium"),
    Model("claude-opus-5", 512),
    Model("claude-sonnet-5-5", 512),
    Model("claude-sonnet-5", 1024),
    Model("claude-haiku-5-5", 512, default_effort="medium"),
    Model("claude-opus-4-8", 1024, thinks_unasked=False),
    Model("claude-opus-4-7", 2048, thinks_unasked=False),
    Model(
        "claude-opus-4-6",
        4096,
        most_image_tokens=1_568,
        efforts=("low", "medium", "high", "max"),
        thinking=("adaptive", "enabled", "disabled"),
        thinks_unasked=False,
    ),
    Model(
        "claude-sonnet-4-6",
        1024,
        most_output_tokens=64_000,
        most_image_tokens=1_568,
        efforts=("low", "medium", "high", "max"),
        thinking=("adaptive", "enabled", "disabled"),
        thinks_unasked=False,
    ),
    Model(
        "claude-haiku-4-5",
        4096,
        context_tokens=200_000,
        most_output_tokens=64_000,
        most_image_tokens=1_568,
        efforts=(),
        thinking=("enabled", "disabled"),
        thinks_unasked=False,
        takes_prefill=True,
        dated_id="claude-haiku-4-5-20251001",
    ),
)

_BY_NAME = {model.id: model for model in MODELS} | {
    model.dated_id: model for model in MODELS if model.dated_id is not None
}


def find_model(name: str) -> Model | None:
    """The model of that name; None if there is none."""
    return _BY_NAME.get(name)
