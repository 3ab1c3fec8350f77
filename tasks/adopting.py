"""Take in again what another database knew: from the bucket's `processed/`, or from an export.

Each file is read once, and its SHA-256 must be the one it is known by. Then it is put into the
inbox and arrives as any file does: document, pages and job come by ingest and no other way. What
was known of it (names, paths, earlier arrivals, corrections) comes from manifests and is added
once the document is there. Every step is safe to repeat: a file that is known is not put again,
an arrival or a correction that is there is not added again.
"""

import hashlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from uuid import UUID

from botocore.exceptions import ClientError
from pydantic import BaseModel, ValidationError

from blocks.bucket import EXPORTS, PROCESSED, Bucket
from blocks.inbox import (
    CHUNK_BYTES,
    Content,
    Origin,
    find_object,
    inbox_key,
    look,
    put_in_inbox,
)
from schema.failures import BadInput
from schema.files import MAX_BYTES
from schema.lanes import Lane
from sql.adoptions import PastArrival, date_arrival, remember_arrivals, restore_name
from sql.arrivals import SeenObject, notice, tell_origin
from sql.connection import Connection
from sql.corrections import carry_over
from tasks.exporting import CONTENT_TYPES
from tasks.manifest import NAME as MANIFEST
from tasks.manifest import KnownArrival, KnownDocument, read_manifest

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

SOURCE = "adopted"
LISTING = "documents.jsonl"
"""What an export tells of its documents besides the manifest; older ones have nothing else."""

_ENDINGS = {"application/pdf": ".pdf", "image/jpeg": ".jpg", "image/png": ".png"}

Known = Mapping[str, KnownDocument]
"""Documents by their SHA-256."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that may be adopted: where it is, and the SHA-256 it must have."""

    name: str
    """As a person knows it: a key, or a path in a folder."""
    file_hash: str
    path: Path | None = None
    """None: it is the original of that hash in the bucket."""


@dataclass(slots=True)
class Adopted:
    """What became of a candidate: `adopted`, `known`, `deleted here`, `wrong hash`, `missing`,
    `refused`; `waits` or `failed` if ingest has it still, or could not take it in."""

    name: str
    outcome: str
    file_hash: str
    reason: str | None = None
    seen: SeenObject | None = None
    document_id: UUID | None = None
    carried_over: int = 0
    """Corrections and arrivals that were added."""


def originals_in(bucket: Bucket) -> Iterator[Candidate]:
    """The originals in the bucket's `processed/`; blocking."""
    pages = bucket.client().get_paginator("list_objects_v2")
    for page in pages.paginate(Bucket=bucket.bucket, Prefix=PROCESSED, Delimiter="/"):
        for folder in page.get("CommonPrefixes", []):
            file_hash = folder.get("Prefix", "").removeprefix(PROCESSED).rstrip("/")
            if _is_hash(file_hash):
                yield Candidate(f"{PROCESSED}{file_hash}/original", file_hash)


def _is_hash(text: str) -> bool:
    return len(text) == 64 and set(text) <= set("0123456789abcdef")


def manifests_in(bucket: Bucket) -> Known:
    """What the exports in the bucket tell of documents, the newest last word; blocking."""
    client = bucket.client()
    names: list[tuple[datetime, str]] = []
    for page in client.get_paginator("list_objects_v2").paginate(
        Bucket=bucket.bucket, Prefix=EXPORTS
    ):
        names += [
            (item["LastModified"], item["Key"])
            for item in page.get("Contents", [])
            if "Key" in item and "LastModified" in item and item["Key"].endswith(f"/{MANIFEST}")
        ]
    known: dict[str, KnownDocument] = {}
    for _, key in sorted(names):
        body = client.get_object(Bucket=bucket.bucket, Key=key)["Body"].read()
        known |= {one.file_hash: one for one in read_manifest(body.decode("utf-8-sig"))}
    return known


def listing_in(folder: Path) -> Known:
    """What an export in a folder tells of its documents; blocking.

    Raises `BadInput` if there is neither a manifest nor a listing.
    """
    manifests, listings = sorted(folder.rglob(MANIFEST)), sorted(folder.rglob(LISTING))
    known: dict[str, KnownDocument] = {}
    for path in listings:
        known |= {one.file_hash: one for one in _read_listing(path)}
    for path in manifests:
        text = path.read_text(encoding="utf-8-sig", errors="replace")
        known |= {one.file_hash: one for one in read_manifest(text)}
    if not manifests and not listings:
        raise BadInput(f"{folder} holds no export: there is no {MANIFEST} and no {LISTING} in it.")
    return known


def _read_listing(path: Path) -> Iterator[KnownDocument]:
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                listed = _Listed.model_validate_json(line)
            except ValidationError as error:
                raise BadInput(f"Line {number} of {path} cannot be understood.") from error
            if listed.kind == "document" and listed.file_hash and listed.received_at:
                arrival = KnownArrival(
                    listed.received_at,
                    SOURCE,
                    original_path=listed.original_path,
                    note=listed.notes,
                )
                yield KnownDocument(
                    listed.file_hash,
                    listed.file_name,
                    listed.matter,
                    [arrival],
                    brought_to=listed.matter,
                )


class _Listed(BaseModel):
    """A line of an export's listing, as far as it is needed."""

    kind: str
    file_hash: str | None = None
    file_name: str = "document"
    matter: str | None = None
    original_path: str | None = None
    received_at: datetime | None = None
    notes: str | None = None


def files_in(folder: Path, known: Known) -> Iterator[Candidate]:
    """The files of a folder that an export tells of, and those that should be there; blocking.

    A file that it does not tell of is left alone, unless it has the name of one that it does:
    then it is not what it was.
    """
    by_name: dict[str, list[KnownDocument]] = {}
    for one in known.values():
        by_name.setdefault(one.file_name, []).append(one)
    found: set[str] = set()
    others: list[Path] = []
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        file_hash = _hash_of(path)
        if file_hash not in known and path.name in CONTENT_TYPES:
            continue  # the export's own
        if file_hash in known and file_hash not in found:
            found.add(file_hash)
            yield Candidate(str(path.relative_to(folder)), file_hash, path)
        elif file_hash not in known:
            others.append(path)
    for path in others:
        for one in by_name.get(path.name, []):
            if one.file_hash not in found:
                found.add(one.file_hash)
                yield Candidate(str(path.relative_to(folder)), one.file_hash, path)
    for one in known.values():
        if one.file_hash not in found:
            yield Candidate(one.file_name, one.file_hash, folder / one.file_name)


def _hash_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_there(bucket: Bucket, candidate: Candidate) -> bool:
    """Whether there is a file: some stores list the folders of what was deleted; blocking."""
    if candidate.path is not None:
        return candidate.path.is_file()
    return find_object(bucket, candidate.name) is not None


def put(
    bucket: Bucket, candidate: Candidate, known: KnownDocument | None, *, by: str, lane: Lane
) -> Adopted | None:
    """Read a candidate once, check it, and put it into the inbox; blocking.

    None for one of the bucket's that is not there (`is_there`). Raises what boto3 does when
    the store is away.
    """
    with tempfile.TemporaryDirectory(prefix="aseagi-adopt-") as folder:
        try:
            path, told = _fetch(bucket, candidate, Path(folder))
            content = look(path)
        except FileNotFoundError:
            if candidate.path is None:
                return None
            return _not(candidate, "missing", "The file is not there.")
        except OSError as error:
            return _not(candidate, "refused", f"It cannot be read: {error.strerror}.")
        except BadInput as error:
            return _not(candidate, "refused", str(error))
        if content.sha256 != candidate.file_hash:
            return _not(candidate, "wrong hash", f"Its SHA-256 is {content.sha256[:16]}….")
        origin = _origin(told, known, by=by, lane=lane)
        try:
            stored = put_in_inbox(
                bucket, path, _key(candidate, content, known, origin), content, origin
            ).stored
        except BadInput as error:
            return _not(candidate, "refused", str(error))
    seen = SeenObject(stored.key, stored.etag, stored.size_bytes)
    return Adopted(candidate.name, "adopted", candidate.file_hash, seen=seen)


def _not(candidate: Candidate, outcome: str, reason: str) -> Adopted:
    return Adopted(candidate.name, outcome, candidate.file_hash, reason)


def _fetch(bucket: Bucket, candidate: Candidate, folder: Path) -> tuple[Path, Mapping[str, str]]:
    if candidate.path is not None:
        return candidate.path, {}
    try:
        answer: GetObjectOutputTypeDef = bucket.client().get_object(
            Bucket=bucket.bucket, Key=candidate.name
        )
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in {"NoSuchKey", "404"}:
            raise FileNotFoundError from error
        raise
    if answer["ContentLength"] > MAX_BYTES:
        raise BadInput(f"The file is larger than {MAX_BYTES // 1024**3} GB.")
    path = folder / "original"
    with path.open("wb") as file:
        for chunk in answer["Body"].iter_chunks(CHUNK_BYTES):
            file.write(chunk)
    return path, answer["Metadata"]


def _origin(told: Mapping[str, str], known: KnownDocument | None, *, by: str, lane: Lane) -> Origin:
    kept = Origin.of(told, source=SOURCE, lane=lane)
    first = known.arrivals[0] if known else None
    return Origin(
        source=SOURCE,
        submitted_by=by,
        lane=lane,
        path=(first.original_path if first else None) or kept.path,
    )


def _key(
    candidate: Candidate, content: Content, known: KnownDocument | None, origin: Origin
) -> str:
    """Where it goes: under the name it had, else one made of its hash (`carry_over_all`)."""
    made = f"{_stand_in(candidate.file_hash)}{_ENDINGS.get(content.media_type, '')}"
    if known is not None:
        name = PurePosixPath(known.file_name).name or made
    else:
        name = PurePosixPath((origin.path or made).replace("\\", "/")).name or made
    matter = known.brought_to if known else None
    for one in (name, made):
        with suppress(BadInput):  # names of another system, or of another time
            return inbox_key(one, matter)
    return inbox_key(made)


def _stand_in(file_hash: str) -> str:
    return file_hash[:16]


async def announce(db: Connection, adopted: Adopted, *, lane: Lane) -> None:
    """Let ingest take in what was put. Commits nothing."""
    if adopted.seen is not None:
        await notice(db, [adopted.seen], source=SOURCE, lane=lane)
        await tell_origin(db, adopted.seen, source=SOURCE, lane=lane)


async def carry_over_all(db: Connection, document_id: UUID, known: KnownDocument) -> int:
    """Add what was known of a document elsewhere; return how much was new. Commits nothing."""
    past = _arrivals(known)
    await restore_name(
        db,
        document_id,
        instead_of=_stand_in(known.file_hash),
        file_name=PurePosixPath(known.file_name).name,
        matter=known.brought_to,
    )
    added = await remember_arrivals(db, document_id, past)
    if not past and known.arrivals:
        first = known.arrivals[0]
        await date_arrival(
            db, document_id, source=SOURCE, arrived_at=first.arrived_at, note=first.note
        )
    for one in known.corrections:
        added += await carry_over(db, document_id, one.said, by=one.by, at=one.at)
    return added


def _arrivals(known: KnownDocument) -> Sequence[PastArrival]:
    return [
        PastArrival(
            one.key,
            one.etag,
            one.size_bytes,
            one.arrived_at,
            one.source,
            one.submitted_by,
            one.original_path,
            one.note,
        )
        for one in known.arrivals
        if one.key is not None and one.etag is not None and one.size_bytes is not None
    ]
