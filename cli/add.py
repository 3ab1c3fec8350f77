"""`aseagi add`: put files and folders into the inbox."""

import getpass
import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from cli.connection import use_stack
from cli.console import STATE_DIR, JsonOption, StateDirOption, console, print_json, run
from schema.failures import BadInput
from schema.lanes import Lane

if TYPE_CHECKING:
    from blocks.object_storage import ObjectStorage
    from sql.arrivals import SeenObject

HASH_CHUNK_BYTES = 1 << 20
MULTIPART_FROM_BYTES = 8 * 1024 * 1024


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(add)


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


def add(
    paths: Annotated[list[Path], typer.Argument(help="Files and folders.")],
    matter: Annotated[
        str | None, typer.Option(help="The matter; a folder's own name if not given.")
    ] = None,
    lane: Annotated[
        Lane, typer.Option(help="now: somebody waits; bulk: soon; nightly: cheapest.")
    ] = Lane.BULK,
    state: StateDirOption = STATE_DIR,
    as_json: JsonOption = False,
) -> None:
    """Add files and folders; reading starts by itself.

    Adding the same file again changes nothing. Files that are no PDF, JPEG or PNG are
    skipped and named.

    **Examples**

    - `aseagi add ~/cases/smith-v-jones` — a folder; its name becomes the matter
    - `aseagi add --matter smith-v-jones --lane now letter.pdf`
    """
    use_stack(state)
    candidates = list(_candidates(paths, matter))
    if not candidates:
        raise BadInput("There are no files in what was named.")
    added = run(add_files(candidates, lane, quiet=as_json))
    if as_json:
        print_json([asdict(one) for one in added])
        return
    for one in added:
        if one.outcome == "skipped":
            console.print(f"skipped {one.path}: {one.reason}", markup=False)
    counts = {
        kind: sum(one.outcome == kind for one in added) for kind in ("added", "already there")
    }
    console.print(f"{counts['added']} added, {counts['already there']} already there")
    console.print("`aseagi process --wait` shows how they get on.")


def _candidates(paths: list[Path], matter: str | None) -> Iterator[Candidate]:
    for path in paths:
        if not path.exists():
            raise BadInput(f"{path} does not exist.")
        root = path.resolve()
        if root.is_file():
            yield _candidate(root, PurePosixPath(root.name), matter)
            continue
        for file in sorted(root.rglob("*")):
            inside = file.relative_to(root)
            if file.is_file() and not any(part.startswith(".") for part in inside.parts):
                yield _candidate(file, PurePosixPath(*inside.parts), matter or root.name)


def _candidate(file: Path, inside: PurePosixPath, matter: str | None) -> Candidate:
    folder = PurePosixPath(matter) if matter else PurePosixPath()
    return Candidate(file, str("raw" / folder / inside), file.stat().st_size)


async def add_files(candidates: list[Candidate], lane: Lane, *, quiet: bool) -> list[Added]:
    """Upload files that are not there yet, record them, and wake ingest; with a bar."""
    import anyio

    from blocks.database import Database
    from blocks.loading import load
    from blocks.object_storage import ObjectStorage
    from blocks.wakeups import object_created
    from sql.arrivals import notice

    database, storage = await load(Database), await load(ObjectStorage)
    added: list[Added] = []
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=quiet) as progress:
        bar = progress.add_task("uploading", total=sum(one.size_bytes for one in candidates))
        async with database.connect() as db:
            for candidate in candidates:
                one, seen = await anyio.to_thread.run_sync(_upload, storage, candidate, lane)
                if seen is not None and await notice(db, [seen], source="cli", lane=lane):
                    await db.commit()
                    object_created(seen.key, size_bytes=seen.size_bytes)
                added.append(one)
                progress.advance(bar, candidate.size_bytes)
    return added


def _upload(
    storage: "ObjectStorage", candidate: Candidate, lane: Lane
) -> "tuple[Added, SeenObject | None]":
    """Upload one file unless it is there already; the object it is now, if it is one."""
    from tasks.inspection import media_type_of
    from tasks.intake import METADATA_BY, METADATA_LANE, METADATA_PATH, METADATA_SOURCE

    name = str(candidate.path)
    try:
        with candidate.path.open("rb") as file:
            media_type = media_type_of(file.read(1024))
        md5, sha256 = _digests(candidate.path)
    except BadInput as error:
        return Added(name, "skipped", reason=str(error)), None
    except OSError as error:
        return Added(name, "skipped", reason=f"it cannot be read: {error.strerror}"), None
    client = storage.client()
    key = candidate.key
    existing = _head(storage, key)
    if existing is not None and not _is_same(existing, candidate, md5):
        # Another file of that name is there: keep both.
        path = PurePosixPath(key)
        key = str(path.with_name(f"{path.stem}.{sha256[:8]}{path.suffix}"))
        existing = _head(storage, key)
    if existing is None or not _is_same(existing, candidate, md5):
        client.upload_file(
            str(candidate.path),
            storage.bucket,
            key,
            ExtraArgs={
                "ContentType": media_type,
                "Metadata": {
                    METADATA_SOURCE: "cli",
                    METADATA_PATH: quote(name)[:1500],
                    METADATA_BY: quote(getpass.getuser()),
                    METADATA_LANE: lane.value,
                },
            },
        )
        outcome, existing = "added", _head(storage, key)
    else:
        outcome = "already there"
    return Added(name, outcome, key=key), existing


def _head(storage: "ObjectStorage", key: str) -> "SeenObject | None":
    from botocore.exceptions import ClientError

    from sql.arrivals import SeenObject

    try:
        head = storage.client().head_object(Bucket=storage.bucket, Key=key)
    except ClientError as error:
        if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 404:
            return None
        raise
    return SeenObject(key, head["ETag"].strip('"'), head["ContentLength"])


def _is_same(existing: "SeenObject", candidate: Candidate, md5: str) -> bool:
    if existing.size_bytes != candidate.size_bytes:
        return False
    # A multipart ETag is no digest of the content; same name and size must do there.
    return existing.etag == md5 or "-" in existing.etag


def _digests(path: Path) -> tuple[str, str]:
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(HASH_CHUNK_BYTES):
            md5.update(chunk)
            sha256.update(chunk)
    return md5.hexdigest(), sha256.hexdigest()
