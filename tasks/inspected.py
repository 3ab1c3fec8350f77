"""What is known of a file once it was looked at: plain data, which crosses between processes.

Knows no parser, so that who only asks for it holds none in memory.
"""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

MAX_DEPTH = 3
"""Containers in containers that are unpacked: a ZIP, an e-mail in it, a ZIP attached to that."""

MAX_MEMBERS = 5000
"""Files taken out of one outermost container, those of the containers in it included."""

MAX_MEMBERS_BYTES = 4 * 1024**3
"""Their bytes, unpacked, together."""


class Room(BaseModel):
    """What may still be taken out of a container."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    depth: int = Field(default=0, ge=0, description="In how many containers the file lies.")
    members: int = Field(default=MAX_MEMBERS, ge=0)
    members_bytes: int = Field(default=MAX_MEMBERS_BYTES, ge=0)


class Member(BaseModel):
    """A file in a container: an attachment, or what lies in a ZIP."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="Its path in the container, made safe: no way leads out of it.")
    size_bytes: int = Field(ge=0)
    file: str | None = Field(default=None, description="What it is called where it was put.")
    refused: str | None = Field(default=None, description="Why it was not taken out.")


class Inspection(BaseModel):
    """A file's kind; for each page its text if it can be believed, else None; the files in it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    media_type: str
    pages: tuple[str | None, ...]
    source: Literal["text layer", "file"] = "text layer"
    """Where the pages' texts come from."""
    members: tuple[Member, ...] = ()


class Question(BaseModel):
    """A file to look at, and a folder of its own for its members and the answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path
    folder: Path
    room: Room
    cpu_seconds: int
    wall_seconds: int

    @property
    def answer_path(self) -> Path:
        """Where the answer will lie."""
        return self.folder / "answer.json"


class Answer(BaseModel):
    """What a file is, or why it cannot be taken in, or that the disk failed: one of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    inspection: Inspection | None = None
    refused: str | None = None
    disk_error: int | None = Field(default=None, description="An errno.")


ANSWERED = b"answered\n"
"""What the reader says once an answer lies in its folder."""

NO_DISK = b"disk error "
"""What it says, with an errno, when the disk takes no answer."""
