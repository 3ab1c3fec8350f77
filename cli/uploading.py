"""Put a file into the inbox under a name nobody else has, without ever overwriting.

Two people may add different files of one name at the same moment: the store itself
decides who was first (`If-None-Match: *`, on a plain upload as on the last step of one in
parts), and the other's file lies beside it under a name with its digest. The same file
again is found by its content and uploaded no second time.

SeaweedFS and AWS decide so; a store that does not know the condition ignores it or
answers 501, and then the last of two that upload at the very same moment wins.
"""

import contextlib
import getpass
import hashlib
import math
from collections.abc import Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, TypedDict
from urllib.parse import quote

from botocore.exceptions import BotoCoreError, ClientError

from blocks.object_storage import ObjectStorage
from schema.failures import BadInput
from schema.lanes import Lane
from sql.arrivals import SeenObject
from tasks.inspection import media_type_of
from tasks.intake import METADATA_BY, METADATA_LANE, METADATA_PATH, METADATA_SOURCE

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

METADATA_SHA256 = "sha256"
"""Name of the object metadata with the content's digest: the ETag of parts is none."""

HASH_CHUNK_BYTES = 1 << 20
PART_BYTES = 16 * 1024**2
MOST_PARTS = 10_000
PARTS_AT_A_TIME = 4
LONGEST_KEY_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file to add, and the key it would like."""

    path: Path
    key: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Added:
    """What became of a file: `added`, `already there` or `skipped`."""

    path: str
    outcome: str
    key: str | None = None
    reason: str | None = None


class _Condition(TypedDict, total=False):
    IfNoneMatch: str


_IF_NEW: _Condition = {"IfNoneMatch": "*"}


@dataclass(frozen=True, slots=True)
class _Content:
    media_type: str
    size_bytes: int
    md5: str
    sha256: str


@dataclass(frozen=True, slots=True)
class _Stored:
    """An object that lies under a key, and what tells of its content."""

    seen: SeenObject
    sha256: str | None

    def holds(self, content: _Content) -> bool:
        """Whether it is surely the same content; size and name alone say too little."""
        if self.seen.size_bytes != content.size_bytes:
            return False
        if "-" in self.seen.etag:  # uploaded in parts: no digest of the content
            return self.sha256 == content.sha256
        return self.seen.etag == content.md5


def upload(
    storage: ObjectStorage, candidate: Candidate, lane: Lane
) -> tuple[Added, SeenObject | None]:
    """Upload one file unless it is there already; the object it is now, if it is one.

    A file that cannot be taken is `skipped` with the reason. Blocking. Raises what boto3
    does when the store is away.
    """
    name = shown(candidate.path)
    try:
        check_names(candidate)
        content = _look(candidate.path)
    except BadInput as error:
        return Added(name, "skipped", reason=str(error)), None
    except OSError as error:
        return Added(name, "skipped", reason=f"it cannot be read: {error.strerror}"), None
    for key in (candidate.key, _beside(candidate.key, content.sha256)):
        stored = _find(storage, key)
        if stored is None:
            if _put_first(storage, candidate.path, key, content, lane):
                stored = _find(storage, key)
                return Added(name, "added", key=key), stored.seen if stored else None
            stored = _find(storage, key)  # somebody was faster, perhaps with this very file
        if stored is not None and stored.holds(content):
            return Added(name, "already there", key=key), stored.seen
    return Added(name, "skipped", reason="other files have both names it could be given"), None


def check_names(candidate: Candidate) -> None:
    """Raise `BadInput` unless file and key have names that can be kept."""
    if shown(candidate.path) != str(candidate.path):
        raise BadInput("its name is not UTF-8, so it cannot be kept; rename it")
    if len(candidate.key.encode()) > LONGEST_KEY_BYTES:
        raise BadInput("its path is longer than object storage can keep")


def shown(path: Path) -> str:
    """The path as it can be printed; bytes that are not UTF-8 become `\\\\xNN`."""
    return str(path).encode(errors="surrogateescape").decode(errors="backslashreplace")


def _beside(key: str, sha256: str) -> str:
    path = PurePosixPath(key)
    return str(path.with_name(f"{path.stem}.{sha256[:16]}{path.suffix}"))


def _look(path: Path) -> _Content:
    """Type, size and digests, from reading the file once."""
    md5, sha256, size = hashlib.md5(usedforsecurity=False), hashlib.sha256(), 0
    with path.open("rb") as file:
        media_type = media_type_of(file.read(1024))
        file.seek(0)
        while chunk := file.read(HASH_CHUNK_BYTES):
            md5.update(chunk)
            sha256.update(chunk)
            size += len(chunk)
    return _Content(media_type, size, md5.hexdigest(), sha256.hexdigest())


def _find(storage: ObjectStorage, key: str) -> _Stored | None:
    try:
        head = storage.client().head_object(Bucket=storage.bucket, Key=key)
    except ClientError as error:
        if _status(error) == 404:
            return None
        raise
    seen = SeenObject(key, head["ETag"].strip('"'), head["ContentLength"])
    return _Stored(seen, head["Metadata"].get(METADATA_SHA256))


def _put_first(storage: ObjectStorage, path: Path, key: str, content: _Content, lane: Lane) -> bool:
    """Upload the file if nothing lies under `key`; False if something does by now."""
    metadata = {
        METADATA_SOURCE: "cli",
        METADATA_PATH: quote(str(path))[:1500],
        METADATA_BY: quote(getpass.getuser()),
        METADATA_LANE: lane.value,
        METADATA_SHA256: content.sha256,
    }
    put = _put_whole if content.size_bytes <= PART_BYTES else _put_in_parts
    try:
        put(storage, path, key, content, metadata, _IF_NEW)
    except ClientError as error:
        if _status(error) in {409, 412}:  # 409: two at the very same moment, says AWS
            return False
        if _status(error) != 501:
            raise
        put(storage, path, key, content, metadata, {})
    return True


def _put_whole(
    storage: ObjectStorage,
    path: Path,
    key: str,
    content: _Content,
    metadata: Mapping[str, str],
    condition: _Condition,
) -> None:
    with path.open("rb") as file:
        storage.client().put_object(
            Bucket=storage.bucket,
            Key=key,
            Body=file,
            ContentType=content.media_type,
            Metadata=metadata,
            **condition,
        )


def _put_in_parts(
    storage: ObjectStorage,
    path: Path,
    key: str,
    content: _Content,
    metadata: Mapping[str, str],
    condition: _Condition,
) -> None:
    """By hand, because boto3's `upload_file` knows no condition."""
    client, bucket = storage.client(), storage.bucket
    size = max(PART_BYTES, math.ceil(content.size_bytes / MOST_PARTS))

    with _begun_upload(storage, key, content.media_type, metadata) as upload_id:

        def send(number: int) -> "CompletedPartTypeDef":
            with path.open("rb") as file:
                file.seek((number - 1) * size)
                sent = client.upload_part(
                    Bucket=bucket,
                    Key=key,
                    UploadId=upload_id,
                    PartNumber=number,
                    Body=file.read(size),
                )
            return {"PartNumber": number, "ETag": sent["ETag"]}

        with ThreadPoolExecutor(PARTS_AT_A_TIME) as several:
            parts = list(several.map(send, range(1, math.ceil(content.size_bytes / size) + 1)))
        client.complete_multipart_upload(
            Bucket=bucket,
            Key=key,
            UploadId=upload_id,
            MultipartUpload={"Parts": parts},
            **condition,
        )


@contextmanager
def _begun_upload(
    storage: ObjectStorage, key: str, media_type: str, metadata: Mapping[str, str]
) -> Generator[str]:
    """An upload in parts; what was sent is thrown away unless the block completes it."""
    client, bucket = storage.client(), storage.bucket
    upload_id = client.create_multipart_upload(
        Bucket=bucket, Key=key, ContentType=media_type, Metadata=metadata
    )["UploadId"]
    try:
        yield upload_id
    except BaseException:
        with contextlib.suppress(
            BotoCoreError, ClientError
        ):  # the first trouble is the one to tell
            client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload_id)
        raise


def _status(error: ClientError) -> int | None:
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
