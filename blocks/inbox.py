"""The inbox: how a file gets a key in the bucket that nobody else has, without overwriting.

Two people may bring different files of one name at the same moment: the store itself
decides who was first (`If-None-Match: *`, on a plain upload as on the last step of one in
parts), and the other's file lies beside it under a name with its digest. The same file
again is found by its content and stored no second time. What lies under `uploads/` is
nobody's folder to synchronise, so no `rclone sync` deletes it before it is taken in.

SeaweedFS and AWS decide so; a store that does not know the condition ignores it or
answers 501, and then the last of two that upload at the very same moment wins.
"""

import contextlib
import hashlib
import math
import re
import unicodedata
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, TypedDict
from urllib.parse import quote, unquote

from botocore.exceptions import BotoCoreError, ClientError

from blocks.bucket import INBOXES, UPLOADS, Bucket
from schema.failures import BadInput
from schema.files import HEAD_BYTES, media_type_of
from schema.lanes import Lane

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

CHUNK_BYTES = 1 << 20
PART_BYTES = 8 * 1024**2
MOST_PARTS = 10_000
LONGEST_KEY_BYTES = 900
"""A digest may have to go into the name, and stores keep 1,024."""

LONGEST_MATTER = 200
"""Characters; a matter is a folder's name."""

LONGEST_VALUE = 1200
"""Bytes of one value of an object's metadata, quoted; stores keep 2 KB of them all."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a file comes from, as it is kept in the object's metadata."""

    source: str
    submitted_by: str | None
    lane: Lane
    path: str | None = None
    """Where it lay with its owner."""
    within: "Within | None" = None
    """The container it was taken out of, if it was."""

    def metadata(self) -> dict[str, str]:
        """As the metadata of an object: ASCII, bounded."""
        told = {
            "source": self.source,
            "submitted-by": self.submitted_by,
            "lane": self.lane.value,
            "original-path": self.path,
            "within": f"{self.within.depth} {self.within.root}" if self.within else None,
        }
        return {name: _quoted(value) for name, value in told.items() if value}

    @classmethod
    def of(cls, metadata: Mapping[str, str], *, source: str, lane: Lane) -> "Origin":
        """What an object's metadata tell; `source` and `lane` where they do not."""
        told = {name: unquote(value).replace("\x00", "") for name, value in metadata.items()}
        with contextlib.suppress(ValueError):  # anybody may write metadata
            lane = Lane(told.get("lane", lane))
        return cls(
            source=told.get("source", source),
            submitted_by=told.get("submitted-by"),
            lane=lane,
            path=told.get("original-path"),
            within=Within.of(told.get("within", "")),
        )


@dataclass(frozen=True, slots=True)
class Within:
    """How deep in containers a file lay, and the SHA-256 of the outermost of them."""

    depth: int
    root: str

    @classmethod
    def of(cls, told: str) -> "Within | None":
        """As metadata tell it; None if they do not."""
        found = re.fullmatch(r"([1-9][0-9]?) ([0-9a-f]{64})", told)
        return cls(int(found[1]), found[2]) if found else None


@dataclass(frozen=True, slots=True)
class Content:
    """What a file is, from reading it once."""

    media_type: str
    size_bytes: int
    md5: str
    sha256: str


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object that lies under a key, and what tells of its content."""

    key: str
    etag: str
    size_bytes: int
    sha256: str | None = None
    """As the gateway took it itself; what a client says of its parts is not kept as this."""
    upload: str | None = None
    """Of which upload in parts it was made."""

    def holds(self, content: Content) -> bool:
        """Whether it is surely the same content; size and name alone say too little."""
        if self.size_bytes != content.size_bytes:
            return False
        if self.sha256 is not None:  # where an ETag is no digest: parts, or keys of the store's own
            return self.sha256 == content.sha256
        return self.etag == content.md5


@dataclass(frozen=True, slots=True)
class Put:
    """Where the file lies now, and whether it was put there by this call."""

    stored: StoredObject
    new: bool


class _Condition(TypedDict, total=False):
    IfNoneMatch: str


_IF_NEW: _Condition = {"IfNoneMatch": "*"}


def inbox_key(path: str, matter: str | None = None) -> str:
    """The key for a file called `path` (folders allowed) of a matter; raises `BadInput`."""
    if matter is not None:
        check_matter(matter)
        matter = unicodedata.normalize("NFC", matter)
    path = unicodedata.normalize("NFC", path)
    parts = path.split("/")
    if not path.isprintable():  # control characters, and what is not UTF-8
        raise BadInput("A file's name cannot hold control characters or anything unprintable.")
    if any(part.strip() in {"", ".", ".."} or "\\" in part for part in parts):
        raise BadInput("A file's name cannot be empty, hold '\\', or lead out of its folder.")
    if matter is None and len(parts) > 1:
        raise BadInput("A file in folders needs a matter.")
    key = UPLOADS + "/".join([*([matter] if matter else []), *parts])
    if len(key.encode()) > LONGEST_KEY_BYTES:
        raise BadInput("The file's path is longer than object storage can keep.")
    return key


def check_matter(matter: str) -> None:
    """Raise `BadInput` unless this can be the name of a matter: one folder in the inbox."""
    if not matter.strip():
        raise BadInput("The matter's name is empty; leave it out if there is none.")
    if "/" in matter or "\\" in matter or matter in {".", ".."}:
        raise BadInput("A matter's name is one folder: it cannot hold '/', nor be '.' or '..'.")
    if not matter.isprintable():  # control characters, and what is not UTF-8
        raise BadInput("A matter's name cannot hold control characters or anything unprintable.")
    if len(matter) > LONGEST_MATTER:
        raise BadInput(f"A matter's name has at most {LONGEST_MATTER} characters.")


def matter_of(key: str) -> str | None:
    """The matter a key names: the first folder in the inbox, if there is one."""
    inbox = next((one for one in INBOXES if key.startswith(one)), "")
    folders = PurePosixPath(key.removeprefix(inbox)).parent.parts
    return folders[0] if folders else None


def member_key(container_key: str, name: str) -> str:
    """The key for a file out of the container with that key; raises `BadInput`.

    In the container's matter, below its name, in the gateway's inbox, whichever the container
    came through; where that is too long or cannot be kept, by its own name alone.
    """
    inbox = next((one for one in INBOXES if container_key.startswith(one)), "")
    container, matter = container_key.removeprefix(inbox), matter_of(container_key)
    own = PurePosixPath(name).name
    if matter is None:
        wanted = f"{PurePosixPath(container).stem} - {own}"
    else:
        wanted = f"{container.removeprefix(matter).lstrip('/')}/{name}"
    try:
        return inbox_key(wanted, matter)
    except BadInput:
        return inbox_key(own, matter)


def look(path: Path) -> Content:
    """Type, size and digests of a file, from reading it once; blocking.

    Raises `BadInput` for a file that cannot be taken, `OSError` for one that cannot be read.
    """
    with path.open("rb") as file:
        media_type = media_type_of(file.read(HEAD_BYTES))
    return _digested(path, media_type)


def look_at_any(path: Path) -> Content:
    """The same of a file that is kept whatever it is; blocking."""
    try:
        return look(path)
    except BadInput:
        return _digested(path, "application/octet-stream")


def _digested(path: Path, media_type: str) -> Content:
    md5, sha256, size = hashlib.md5(usedforsecurity=False), hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            md5.update(chunk)
            sha256.update(chunk)
            size += len(chunk)
    return Content(media_type, size, md5.hexdigest(), sha256.hexdigest())


def find_same(storage: Bucket, key: str, content: Content) -> StoredObject | None:
    """The object that holds this content under `key` or the name beside it; blocking."""
    for name in names_of(key, content.sha256):
        stored = find_object(storage, name)
        if stored is None:
            return None
        if stored.holds(content):
            return stored
    return None


def put_in_inbox(storage: Bucket, path: Path, key: str, content: Content, origin: Origin) -> Put:
    """Store the file under `key`, or beside it if something else lies there; blocking.

    Safe to repeat: the same content is found again. Raises `BadInput` when other files
    have both names, and what boto3 does when the store is away.
    """
    for name in names_of(key, content.sha256):
        stored = find_object(storage, name)
        if stored is None:
            if (etag := _put_first(storage, path, name, content, origin)) is not None:
                put = StoredObject(name, etag, content.size_bytes, content.sha256)
                return Put(put, new=True)
            stored = find_object(storage, name)  # somebody was faster, perhaps with this very file
        if stored is not None and stored.holds(content):
            return Put(stored, new=False)
    raise BadInput("Other files have both names it could be given.")


def find_object(storage: Bucket, key: str) -> StoredObject | None:
    """What lies under `key`, if anything does; blocking."""
    try:
        head = storage.client().head_object(Bucket=storage.bucket, Key=key)
    except ClientError as error:
        if _status(error) == 404:
            return None
        raise
    told = head["Metadata"]
    return StoredObject(
        key,
        head["ETag"].strip('"'),
        head["ContentLength"],
        sha256=told.get("sha256"),
        upload=told.get("upload"),
    )


def names_of(key: str, sha256: str) -> tuple[str, str]:
    """The two names a file may get: its own, and one beside another file's."""
    return key, beside(key, sha256)


def beside(key: str, mark: str) -> str:
    """The name for a file whose own name is taken: with `mark` before its ending."""
    path = PurePosixPath(key)
    return str(path.with_name(f"{path.stem}.{mark[:16]}{path.suffix}"))


def _put_first(
    storage: Bucket, path: Path, key: str, content: Content, origin: Origin
) -> str | None:
    """Upload the file if nothing lies under `key`; its ETag, None if something does by now."""
    metadata = {**origin.metadata(), "sha256": content.sha256}
    put = _put_whole if content.size_bytes <= PART_BYTES else _put_in_parts
    try:
        return put(storage, path, key, content, metadata, _IF_NEW)
    except ClientError as error:
        if _status(error) in {409, 412}:  # 409: two at the very same moment, says AWS
            return None
        if _status(error) != 501:
            raise
        return put(storage, path, key, content, metadata, {})


def _put_whole(
    storage: Bucket,
    path: Path,
    key: str,
    content: Content,
    metadata: Mapping[str, str],
    condition: _Condition,
) -> str:
    with path.open("rb") as file:
        put = storage.client().put_object(
            Bucket=storage.bucket,
            Key=key,
            Body=file,
            ContentType=content.media_type,
            Metadata=metadata,
            **condition,
        )
    return put["ETag"].strip('"')


def _put_in_parts(
    storage: Bucket,
    path: Path,
    key: str,
    content: Content,
    metadata: Mapping[str, str],
    condition: _Condition,
) -> str:
    """One part at a time, so that many large files at once fit into a small server's memory.

    By hand, because boto3's `upload_file` knows no condition.
    """
    client, bucket = storage.client(), storage.bucket
    size = max(PART_BYTES, math.ceil(content.size_bytes / MOST_PARTS))
    with (
        _begun_upload(storage, key, content.media_type, metadata) as upload_id,
        path.open("rb") as file,
    ):
        parts: list[CompletedPartTypeDef] = []
        while part := file.read(size):
            number = len(parts) + 1
            sent = client.upload_part(
                Bucket=bucket, Key=key, UploadId=upload_id, PartNumber=number, Body=part
            )
            parts.append({"PartNumber": number, "ETag": sent["ETag"]})
        done = client.complete_multipart_upload(
            Bucket=bucket,
            Key=key,
            UploadId=upload_id,
            MultipartUpload={"Parts": parts},
            **condition,
        )
    return done["ETag"].strip('"')


@contextmanager
def _begun_upload(
    storage: Bucket, key: str, media_type: str, metadata: Mapping[str, str]
) -> Generator[str]:
    """An upload in parts; what was sent is thrown away unless the block completes it."""
    client, bucket = storage.client(), storage.bucket
    upload_id = client.create_multipart_upload(
        Bucket=bucket, Key=key, ContentType=media_type, Metadata=metadata
    )["UploadId"]
    try:
        yield upload_id
    except BaseException:
        # The first trouble is the one to tell; what is left is found by `clean_uploads`.
        with contextlib.suppress(BotoCoreError, ClientError):
            abort_parts(storage, key, upload_id)
        raise


def abort_parts(storage: Bucket, key: str, s3_upload_id: str) -> bool:
    """Throw away what was sent of an upload; False if the store has none: done, or gone."""
    try:
        storage.client().abort_multipart_upload(
            Bucket=storage.bucket, Key=key, UploadId=s3_upload_id
        )
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") != "NoSuchUpload":
            raise
        return False
    return True


def _status(error: ClientError) -> int | None:
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")


def _quoted(value: str) -> str:
    """As a metadata value, cut where it is too long, never inside an escape."""
    quoted = ""
    for character in value.encode("utf-8", "replace").decode():
        escaped = quote(character, safe="/ ")
        if len(quoted) + len(escaped) > LONGEST_VALUE:
            break
        quoted += escaped
    return quoted
