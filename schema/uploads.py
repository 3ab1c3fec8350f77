"""What a client and the gateway say to each other about files to take in.

A small file is one request, `POST /uploads`. A large one goes in parts, straight to the
bucket by links the gateway signs: `POST /uploads/large`, a PUT of each part, then
`POST /uploads/large/{id}/complete`.
"""

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints

from schema.files import MAX_BYTES
from schema.lanes import Lane
from schema.text import Text

LONGEST_NOTE = 4096
"""Characters."""

MOST_CHECKED = 200
MOST_PARTS = 10_000

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Md5 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
FilePath = Annotated[
    str,
    Field(
        min_length=1,
        max_length=1000,
        description="Name of the file, or its path within the matter's folder.",
        examples=["letters/2024-03-01 notice.pdf"],
    ),
]
MatterName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=200,
        description="The case it belongs to; the name of one folder.",
        examples=["smith-v-jones"],
    ),
]
OwnersPath = Annotated[
    Text, Field(max_length=4096, description="Where the file lies with its owner, for the record.")
]
Note = Annotated[
    Text, Field(max_length=LONGEST_NOTE, description="What a person says of it; kept beside it.")
]


class Outcome(StrEnum):
    """What became of a file: a new document, or one whose content is known already."""

    DOCUMENT = "document"
    DUPLICATE = "duplicate"


class Uploaded(BaseModel):
    """A file that lies in the inbox and will be taken in."""

    outcome: Outcome
    key: str = Field(description="Where it lies in the bucket.")
    size_bytes: int
    sha256: str | None = Field(description="Of its content; null for one that came in parts.")
    document_id: UUID | None = Field(
        default=None, description="The document with that content, where it is taken in already."
    )


class FileToCheck(BaseModel):
    """A file that may be there already, told by its content."""

    path: FilePath
    matter: MatterName | None = None
    size_bytes: int = Field(ge=0, le=MAX_BYTES)
    md5: Md5
    sha256: Sha256


class CheckRequest(BaseModel):
    """Which of these need not be uploaded?"""

    files: list[FileToCheck] = Field(max_length=MOST_CHECKED)


class CheckResponse(BaseModel):
    """The key of each file that lies in the inbox already, null for one that does not."""

    keys: list[str | None]


class LargeUploadRequest(BaseModel):
    """Begin an upload in parts."""

    path: FilePath
    matter: MatterName | None = None
    size_bytes: int = Field(gt=0, le=MAX_BYTES)
    lane: Lane = Lane.BULK
    sha256: Sha256 | None = Field(
        default=None, description="Of the content, so that the same file is known again."
    )
    owners_path: OwnersPath | None = None
    note: Note | None = None


class LargeUpload(BaseModel):
    """An upload in parts: PUT the file's bytes to `parts`, in order, `part_bytes` to each."""

    upload_id: UUID
    part_bytes: int
    parts: list[str] = Field(description="One signed link a part; the last part may be shorter.")
    expires_in_seconds: int


class CompleteLargeUpload(BaseModel):
    """The ETag that each PUT answered, in order of the parts."""

    etags: list[Annotated[str, Field(min_length=1, max_length=200)]] = Field(
        min_length=1, max_length=MOST_PARTS
    )
