"""A prompt in the order the model reads it: schema, tools, system, messages.

Every block is a segment, with its tokens and a fingerprint of its content. That order is
what a cached prefix is a beginning of.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass

from stack.claude.images import (
    MANY_IMAGES,
    MOST_PIXELS_A_SIDE,
    MOST_PIXELS_OF_MANY,
    Picture,
    read_picture,
    too_many_pixels,
)
from stack.claude.models import Model
from stack.claude.refusals import invalid
from stack.claude.requests import (
    Block,
    CacheControl,
    ImageBlock,
    Prompt,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
)
from stack.claude.tokens import image_tokens, text_tokens

MOST_BREAKPOINTS = 4


@dataclass(frozen=True, slots=True)
class Segment:
    """One block of a prompt."""

    fingerprint: bytes
    tokens: int
    cache_control: CacheControl | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """A prompt, laid out."""

    segments: tuple[Segment, ...]
    images: int

    @property
    def tokens(self) -> int:
        """Tokens of the whole prompt."""
        return sum(segment.tokens for segment in self.segments)


def lay_out(prompt: Prompt, model: Model) -> Layout:
    """Look at every block, images included.

    Raises:
        Refused: an image is not what it should be, there are too many images or
            breakpoints, or the prompt is longer than the model's context.
    """
    pictures = _pictures(prompt, model)
    segments = list(_segments(prompt, model, pictures))
    if prompt.cache_control is not None and segments[-1].cache_control is None:
        last = segments[-1]
        segments[-1] = Segment(last.fingerprint, last.tokens, prompt.cache_control)
    _check_breakpoints([segment.cache_control for segment in segments])
    layout = Layout(tuple(segments), len(pictures))
    if layout.tokens > model.context_tokens:
        raise invalid(
            f"prompt is too long: {layout.tokens} tokens > {model.context_tokens} maximum"
        )
    return layout


def _pictures(prompt: Prompt, model: Model) -> dict[str, Picture]:
    """Every image by its path. Raises `Refused`."""
    blocks = dict(_image_blocks(prompt))
    if len(blocks) > model.most_images:
        raise invalid(f"messages: too many images: {len(blocks)} > {model.most_images}")
    pictures = {
        path: read_picture(block.source.data, block.source.media_type, path)
        for path, block in blocks.items()
    }
    most = MOST_PIXELS_OF_MANY if len(pictures) > MANY_IMAGES else MOST_PIXELS_A_SIDE
    too_large = [path for path, each in pictures.items() if max(each.width, each.height) > most]
    if too_large:
        raise too_many_pixels(too_large, most=most)
    return pictures


def _image_blocks(prompt: Prompt) -> Iterator[tuple[str, ImageBlock]]:
    for turn, message in enumerate(prompt.messages):
        for position, block in enumerate(message.content):
            path = f"messages.{turn}.content.{position}"
            if isinstance(block, ImageBlock):
                yield path, block
            elif isinstance(block, ToolResultBlock):
                for inner, shown in enumerate(block.content):
                    if isinstance(shown, ImageBlock):
                        yield f"{path}.content.{inner}", shown


def _segments(prompt: Prompt, model: Model, pictures: dict[str, Picture]) -> Iterator[Segment]:
    # A change of model or schema makes all that was cached useless.
    schema = prompt.schema_asked_for
    described = "" if schema is None else _canonical(schema)
    yield Segment(
        _fingerprint(model.id, described), 0 if schema is None else text_tokens(described)
    )
    for tool in prompt.tools:
        described = _canonical(tool.model_dump(exclude={"cache_control"}))
        yield Segment(_fingerprint("tool", described), text_tokens(described), tool.cache_control)
    for block in prompt.system:
        yield Segment(
            _fingerprint("system", block.text), text_tokens(block.text), block.cache_control
        )
    for turn, message in enumerate(prompt.messages):
        for position, block in enumerate(message.content):
            content = _canonical(block.model_dump(exclude={"cache_control"}))
            tokens = _tokens(block, f"messages.{turn}.content.{position}", model, pictures)
            control = None if isinstance(block, ThinkingBlock) else block.cache_control
            yield Segment(_fingerprint(message.role, content), tokens, control)


def _tokens(block: Block, path: str, model: Model, pictures: dict[str, Picture]) -> int:
    match block:
        case TextBlock(text=text):
            return text_tokens(text)
        case ImageBlock():
            picture = pictures[path]
            return image_tokens(picture.width, picture.height, most=model.most_image_tokens)
        case ToolUseBlock(input=given):
            return text_tokens(_canonical(given))
        case ThinkingBlock(thinking=thinking):
            return text_tokens(thinking)
        case ToolResultBlock(content=content):
            return sum(
                _tokens(shown, f"{path}.content.{inner}", model, pictures)
                for inner, shown in enumerate(content)
            )


def _check_breakpoints(controls: list[CacheControl | None]) -> None:
    lifetimes = [control.ttl for control in controls if control is not None]
    if len(lifetimes) > MOST_BREAKPOINTS:
        raise invalid(
            f"A maximum of {MOST_BREAKPOINTS} blocks with cache_control may be provided. "
            f"Found {len(lifetimes)}."
        )
    if "5m" in lifetimes and "1h" in lifetimes[lifetimes.index("5m") :]:
        raise invalid(
            "a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block"
        )


def _canonical(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _fingerprint(kind: str, content: str) -> bytes:
    digest = hashlib.sha256(kind.encode())
    digest.update(b"\0")
    digest.update(content.encode(errors="surrogatepass"))
    return digest.digest()
