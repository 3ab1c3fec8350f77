"""What a file of the corpus is, and what must become of it: written while it is made."""

from collections.abc import Iterable, Iterator
from enum import StrEnum
from hashlib import sha256
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

MANIFEST = "manifest.jsonl"
"""Beside the files: one line for each, with its truth."""

FILES = "files"
"""The folder of the files, in folders by matter."""


class Reason(StrEnum):
    """Why a file cannot be read, as a pattern that its owner's line must match."""

    PROTECTED = "protected by a password"
    EMPTY = "is empty"
    CUT_OFF = "cut off|cut short|damaged"
    DAMAGED = "damaged"
    OTHER_KIND = "cannot be read|none of th|save as"
    NO_TEXT = "no text|nothing but blanks"
    TOO_MANY_PIXELS = "pixels"
    TOO_MANY_PAGES = "at most [0-9,]+"
    BOMB = "packed to less than|larger together|more text than"
    NOTHING_IN_IT = "holds no files|None of the files"
    TOO_COMPLEX = "too complex|longer than|more memory"


class Truth(BaseModel):
    """One content: `pages` of `media_type`, of which `to_read` have no text of their own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str = Field(description="What it is, as the table of the bench names it.")
    sha256: str
    size_bytes: int = Field(ge=0)
    media_type: str = Field(default="", description="Empty for one that cannot be read.")
    pages: int = Field(default=0, ge=0)
    to_read: int = Field(default=0, ge=0)
    says: tuple[str, ...] = Field(default=(), description="What the text of its pages contains.")
    failed: Reason | None = None
    members: tuple["Inside", ...] = ()

    def with_members(self) -> "Iterator[Truth]":
        """This content, and all that lies in it and can be taken out."""
        yield self
        for inside in self.members:
            if inside.truth is not None:
                yield from inside.truth.with_members()


class Inside(BaseModel):
    """A file in a container: with its truth, or why it may not be taken out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="Its name in the container, without folders.")
    truth: Truth | None = None
    refused: Reason | None = None


class Entry(BaseModel):
    """A file of the corpus. `twin_of` is an earlier file with the same bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field(description="Below the folder of the files.")
    truth: Truth
    twin_of: str | None = None


def truth_of(content: bytes, kind: str, **more: object) -> Truth:
    """The truth of that content."""
    known = {"kind": kind, "sha256": sha256(content).hexdigest(), "size_bytes": len(content)}
    return Truth.model_validate(known | more)


def contents(entries: Iterable[Entry]) -> dict[str, Truth]:
    """Every content of the corpus by its hash, members included: the documents there must be."""
    return {truth.sha256: truth for entry in entries for truth in entry.truth.with_members()}


def read_manifest(folder: Path) -> list[Entry]:
    """The files of a corpus that was made in `folder`."""
    with (folder / MANIFEST).open(encoding="utf-8") as lines:
        return [Entry.model_validate_json(line) for line in lines]
