"""What is read of an update: the fields that are needed, as text that every store can hold."""

import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field

MOST_IDS = 2**63 - 1

Id = Annotated[int, Field(ge=-MOST_IDS, le=MOST_IDS)]

_NEVER_STORED = re.compile("[\x00\ud800-\udfff]")

Plain = Annotated[str, AfterValidator(lambda text: _NEVER_STORED.sub("", text))]
"""Text without NUL and halves of characters, which Postgres cannot store."""

FileId = Annotated[str, Field(min_length=1, max_length=512, pattern=r"^[\x21-\x7e]+$")]


class User(BaseModel):
    """Who sent it."""

    id: Annotated[int, Field(gt=0, le=MOST_IDS)]
    first_name: Plain = ""
    last_name: Plain | None = None
    username: Plain | None = None

    @property
    def called(self) -> str:
        """What people call them."""
        name = " ".join(part for part in (self.first_name, self.last_name) if part).strip()
        return name or self.username or str(self.id)


class Chat(BaseModel):
    """Where it was sent."""

    id: Id
    type: str


class PhotoSize(BaseModel):
    """A photo in one of the sizes that Telegram keeps."""

    file_id: FileId
    width: int = 0
    height: int = 0
    file_size: int | None = None


class Document(BaseModel):
    """A file, as it was."""

    file_id: FileId
    file_name: Plain | None = None
    file_size: int | None = None


class Message(BaseModel):
    """A message, as far as it concerns us."""

    message_id: Id
    date: Annotated[int, Field(ge=0, lt=2**33)]
    chat: Chat
    sender: User = Field(alias="from")
    media_group_id: Annotated[Plain, Field(max_length=200)] | None = None
    text: Plain | None = None
    caption: Plain | None = None
    photo: list[PhotoSize] = []
    document: Document | None = None

    @property
    def has_file(self) -> bool:
        """Whether it brings something that may be a document."""
        return bool(self.photo) or self.document is not None

    @property
    def is_private(self) -> bool:
        """Whether nobody but its sender reads the chat."""
        return self.chat.type == "private" and self.chat.id == self.sender.id

    @property
    def sent_at(self) -> datetime:
        """When it was sent, by Telegram's clock."""
        return datetime.fromtimestamp(self.date, UTC)

    @property
    def best_photo(self) -> PhotoSize:
        """The photo in its largest size."""
        return max(self.photo, key=lambda one: (one.width * one.height, one.file_size or 0))


class Update(BaseModel):
    """An update; of the many kinds there are, only new messages concern us."""

    update_id: Annotated[int, Field(ge=0, le=MOST_IDS)]
    message: Message | None = None


class Numbered(BaseModel):
    """An update of which only the number is understood."""

    update_id: Annotated[int, Field(ge=0, le=MOST_IDS)]
