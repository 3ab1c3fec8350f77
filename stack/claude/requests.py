"""Bodies of requests, read as strictly as the real API reads them.

Types are not coerced, unknown fields are refused, and so is what a model does not take.
Of a message's `content` and of `system`, a string is shorthand for one text block.
"""

from collections.abc import Mapping
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from stack.claude.models import Effort, Model, find_model
from stack.claude.refusals import Refused, invalid, not_found, not_rehearsed
from stack.claude.schemas import check_schemas

NOT_REHEARSED = ("container", "diagnostics", "inference_geo", "speed", "stop_sequences")
"""Fields of the real API that are refused here."""
LEAST_THINKING_TOKENS = 1_024


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class CacheControl(_Strict):
    """A breakpoint: the prompt up to here is to be cached."""

    type: Literal["ephemeral"]
    ttl: Literal["5m", "1h"] = "5m"


class TextBlock(_Strict):
    """Text."""

    type: Literal["text"]
    text: str
    cache_control: CacheControl | None = None
    citations: None = None


class Base64Source(_Strict):
    """An image in the request itself."""

    type: Literal["base64"]
    media_type: Literal["image/jpeg", "image/png", "image/gif", "image/webp"]
    data: str


class ImageBlock(_Strict):
    """An image."""

    type: Literal["image"]
    source: Base64Source
    cache_control: CacheControl | None = None


def _as_blocks(value: object) -> object:
    return [{"type": "text", "text": value}] if isinstance(value, str) else value


class ToolUseBlock(_Strict):
    """What an earlier answer called a tool with."""

    type: Literal["tool_use"]
    id: str
    name: str
    input: dict[str, object]
    caller: dict[str, object] | None = None
    cache_control: CacheControl | None = None


Shown = Annotated[TextBlock | ImageBlock, Field(discriminator="type")]


class ToolResultBlock(_Strict):
    """What the tool answered."""

    type: Literal["tool_result"]
    tool_use_id: str
    content: Annotated[list[Shown], BeforeValidator(_as_blocks)] = Field(
        default_factory=list[Shown]
    )
    is_error: bool = False
    cache_control: CacheControl | None = None


class ThinkingBlock(_Strict):
    """Thinking of an earlier answer, sent back as it came."""

    type: Literal["thinking"]
    thinking: str
    signature: str


Block = TextBlock | ImageBlock | ToolUseBlock | ToolResultBlock | ThinkingBlock


class Message(_Strict):
    """One turn."""

    role: Literal["user", "assistant"]
    content: Annotated[
        list[Annotated[Block, Field(discriminator="type")]], BeforeValidator(_as_blocks)
    ]


class Tool(_Strict):
    """A tool of the client's own."""

    name: str = Field(pattern=r"^[a-zA-Z0-9_-]{1,128}$")
    input_schema: dict[str, object]
    description: str | None = None
    type: Literal["custom"] | None = None
    strict: bool = False
    cache_control: CacheControl | None = None


class ToolChoiceAuto(_Strict):
    """Call tools or not."""

    type: Literal["auto"]
    disable_parallel_tool_use: bool = False


class ToolChoiceAny(_Strict):
    """Call some tool."""

    type: Literal["any"]
    disable_parallel_tool_use: bool = False


class ToolChoiceTool(_Strict):
    """Call this tool."""

    type: Literal["tool"]
    name: str
    disable_parallel_tool_use: bool = False


class ToolChoiceNone(_Strict):
    """Call none."""

    type: Literal["none"]


class ThinkingEnabled(_Strict):
    """Think, with a budget."""

    type: Literal["enabled"]
    budget_tokens: int = Field(ge=LEAST_THINKING_TOKENS)
    display: Literal["summarized", "omitted"] | None = None


class ThinkingAdaptive(_Strict):
    """Think as much as seems right."""

    type: Literal["adaptive"]
    display: Literal["summarized", "omitted"] | None = None


class ThinkingDisabled(_Strict):
    """Do not think."""

    type: Literal["disabled"]


class JsonFormat(_Strict):
    """Answer in JSON that is valid for a schema."""

    type: Literal["json_schema"]
    json_schema: dict[str, object] = Field(alias="schema")


class OutputConfig(_Strict):
    """How much effort, and which form."""

    effort: Effort | None = None
    format: JsonFormat | None = None


class Metadata(_Strict):
    """Who asks, for the real API's own use."""

    user_id: str | None = Field(default=None, max_length=256)


class Prompt(_Strict):
    """What is asked: the body of a request to count tokens."""

    model: str
    messages: list[Message] = Field(max_length=100_000)
    system: Annotated[list[TextBlock], BeforeValidator(_as_blocks)] = Field(
        default_factory=list[TextBlock]
    )
    tools: list[Tool] = Field(default_factory=list[Tool])
    tool_choice: Annotated[
        ToolChoiceAuto | ToolChoiceAny | ToolChoiceTool | ToolChoiceNone,
        Field(discriminator="type"),
    ] = ToolChoiceAuto(type="auto")
    thinking: (
        Annotated[
            ThinkingEnabled | ThinkingAdaptive | ThinkingDisabled, Field(discriminator="type")
        ]
        | None
    ) = None
    output_config: OutputConfig = OutputConfig()
    cache_control: CacheControl | None = None

    @property
    def schema_asked_for(self) -> dict[str, object] | None:
        """The schema the answer's text must be valid for."""
        form = self.output_config.format
        return None if form is None else form.json_schema

    @property
    def forced_tool(self) -> Tool | None:
        """The tool that has to be called: the one named, or the first of any."""
        match self.tool_choice:
            case ToolChoiceTool(name=name):
                return next(tool for tool in self.tools if tool.name == name)
            case ToolChoiceAny():
                return self.tools[0]
            case _:
                return None

    def thinks(self, model: Model) -> bool:
        """Whether the answer begins with thinking."""
        if self.thinking is None:
            return model.thinks_unasked and self.forced_tool is None
        return not isinstance(self.thinking, ThinkingDisabled)


class MessageRequest(Prompt):
    """The body of a request for a message."""

    max_tokens: int = Field(ge=1)
    metadata: Metadata | None = None
    service_tier: Literal["auto", "standard_only"] = "auto"
    stream: bool = False


def read_prompt(body: Mapping[str, object]) -> tuple[Prompt, Model]:
    """Read a request to count tokens.

    Raises:
        Refused: 400 or 404, with the first thing that is wrong.
    """
    prompt = _parse(Prompt, body)
    return prompt, _check(prompt)


def read_message_request(body: Mapping[str, object]) -> tuple[MessageRequest, Model]:
    """Read a request for a message.

    Raises:
        Refused: 400 or 404, with the first thing that is wrong.
    """
    request = _parse(MessageRequest, body)
    model = _check(request)
    if request.max_tokens > model.most_output_tokens:
        raise invalid(
            f"max_tokens: {request.max_tokens} > {model.most_output_tokens}, which is the "
            f"maximum allowed number of output tokens for {request.model}"
        )
    if (
        isinstance(request.thinking, ThinkingEnabled)
        and request.thinking.budget_tokens >= request.max_tokens
    ):
        raise invalid("`max_tokens` must be greater than `thinking.budget_tokens`.")
    if request.stream:
        raise not_rehearsed("stream")
    return request, model


def first_problem(error: ValidationError) -> Refused:
    """A refusal with the first thing that is wrong, as the real API words it."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return invalid(f"{where}: {first['msg']}")


_Body = TypeVar("_Body", bound=Prompt)


def _parse(shape: type[_Body], body: Mapping[str, object]) -> _Body:
    for field in NOT_REHEARSED:
        if body.get(field) is not None:
            raise not_rehearsed(field)
    try:
        return shape.model_validate(body)
    except ValidationError as error:
        raise first_problem(error) from error


def _check(prompt: Prompt) -> Model:
    """What no single field can know. Raises `Refused`."""
    model = find_model(prompt.model)
    if model is None:
        raise not_found(f"model: {prompt.model}")
    _check_turns(prompt, model)
    _check_tools(prompt)
    _check_thinking(prompt, model)
    schemas = {
        f"tools.{position}.custom.input_schema": tool.input_schema
        for position, tool in enumerate(prompt.tools)
        if tool.strict
    }
    if prompt.schema_asked_for is not None:
        schemas["output_config.format.schema"] = prompt.schema_asked_for
    check_schemas(schemas)
    return model


def _check_turns(prompt: Prompt, model: Model) -> None:
    if not prompt.messages:
        raise invalid("messages: at least one message is required")
    if prompt.messages[0].role != "user":
        raise invalid('messages: first message must use the "user" role')
    if prompt.messages[-1].role == "assistant" and not model.takes_prefill:
        raise invalid(
            "This model does not support assistant message prefill. "
            "The conversation must end with a user message."
        )
    for position, message in enumerate(prompt.messages):
        if not message.content:
            raise invalid(f"messages.{position}: all messages must have non-empty content")
        if any(isinstance(block, TextBlock) and not block.text for block in message.content):
            raise invalid("messages: text content blocks must be non-empty")
    if any(not block.text for block in prompt.system):
        raise invalid("system: text content blocks must be non-empty")


def _check_tools(prompt: Prompt) -> None:
    names = [tool.name for tool in prompt.tools]
    if len(set(names)) != len(names):
        raise invalid("tools: Tool names must be unique.")
    for position, tool in enumerate(prompt.tools):
        if tool.input_schema.get("type") != "object":
            raise invalid(f"tools.{position}.custom.input_schema.type: Input should be 'object'")
    match prompt.tool_choice:
        case ToolChoiceTool(name=name) if name not in names:
            raise invalid(f"Tool '{name}' not found in provided tools")
        case ToolChoiceAny() if not names:
            raise invalid("tool_choice: tool_choice may only be specified while providing tools")
        case _:
            pass


def _check_thinking(prompt: Prompt, model: Model) -> None:
    effort = prompt.output_config.effort
    if effort is not None and effort not in model.efforts:
        raise invalid(
            f"output_config.effort: this model does not support effort level '{effort}'"
            if model.efforts
            else "This model does not support the effort parameter."
        )
    if prompt.thinking is None:
        return
    kind = prompt.thinking.type
    if kind not in model.thinking:
        raise invalid(
            f'"thinking.type.{kind}" is not supported for this model. '
            f"It takes: {', '.join(model.thinking)}."
        )
    if kind != "disabled" and prompt.forced_tool is not None:
        raise invalid("Thinking may not be enabled when tool_choice forces tool use.")
    if kind == "disabled" and model.thinks_unasked and effort in ("xhigh", "max"):
        raise invalid(f"thinking: cannot be disabled at effort level '{effort}'")
