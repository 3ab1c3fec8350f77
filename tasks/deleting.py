"""Remove what lies in the bucket of deleted documents: idempotent, and finished by housekeeping.

The states, and what a kill at any point costs, are drawn in `sql.deletions`. Of each document go

- the objects it arrived as, where they still hold that content (ETag and size): one that was
  overwritten meanwhile is another file and stays;
- everything under `processed/<sha256>/` and `cache/<sha256>/`: the original, the words of its
  pages, and whatever was made of them;
- every export that holds it, whole. Its manifest says so; one without a manifest counts if it
  was written since the document arrived.

Twice: at once, and again when what was being written at that moment has come.
"""

import asyncio
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from botocore.exceptions import ClientError
from prefect import task
from prefect.cache_policies import NO_CACHE

from blocks.bucket import CACHE, EXPORTS, PROCESSED, Bucket
from blocks.database import Database
from blocks.inbox import find_object
from blocks.object_storage import ObjectStorage
from sql.arrivals import SeenObject
from sql.deletions import (
    Deletion,
    deletion_done,
    inbox_objects,
    list_deletions,
    objects_gone,
    open_deletions,
    take_turn,
)
from tasks.manifest import NAME as MANIFEST
from tasks.manifest import hashes_in

AT_A_TIME = 8
CLOCKS = timedelta(minutes=1)
"""What the store's clock and the database's may differ by; the store tells whole seconds alone."""

MOST = 100
"""Deletions a turn of housekeeping; the next minute goes on."""


@task(
    name="finish deletions",
    task_run_name="finish deletions",
    cache_policy=NO_CACHE,
    retries=1,
    retry_delay_seconds=5,
)
async def finish_deletions(storage: ObjectStorage, database: Database) -> int:
    """Take every deletion that is due one state on; return how many. Safe to repeat."""
    async with database.connect() as db:
        due = await open_deletions(db, limit=MOST)
    return await remove_objects(storage.plain(), database, due) if due else 0


async def remove_objects(bucket: Bucket, database: Database, deletions: Sequence[Deletion]) -> int:
    """Remove what lies in the bucket of these, each with its state in one transaction.

    Returns how many went a state on; those that another process has at hand do not.
    """
    exports = Exports(bucket, {deletion.file_hash for deletion in deletions})
    moved = 0
    for deletion in deletions:
        async with database.connect() as db:
            if not await take_turn(db, deletion.id, state=deletion.state):
                continue
            arrived = await inbox_objects(db, deletion.id)
            removed = await asyncio.to_thread(_remove, bucket, exports, deletion, arrived)
            if deletion.state == "asked":
                await objects_gone(
                    db, deletion.id, objects=removed.objects, exports=removed.exports
                )
                moved += 1
            else:
                moved += await deletion_done(
                    db, deletion.id, objects=removed.objects, exports=removed.exports
                )
    return moved


@dataclass(frozen=True, slots=True)
class _Removed:
    objects: int
    exports: Sequence[str]


def _remove(
    bucket: Bucket, exports: "Exports", deletion: Deletion, arrived: Sequence[SeenObject]
) -> _Removed:
    objects = sum(remove_if_same(bucket, seen) for seen in arrived)
    for folder in (PROCESSED, CACHE):
        objects += remove_below(bucket, f"{folder}{deletion.file_hash}/")
    holding = exports.holding(deletion.file_hash, since=deletion.arrived_at)
    for name in holding:
        exports.remove(name)
    return _Removed(objects, holding)


def remove_if_same(bucket: Bucket, seen: SeenObject) -> bool:
    """Remove an object of an inbox if it still is what arrived; blocking."""
    stored = find_object(bucket, seen.key)
    if stored is None or (stored.etag, stored.size_bytes) != (seen.etag, seen.size_bytes):
        return False
    client = bucket.client()
    try:
        client.delete_object(Bucket=bucket.bucket, Key=seen.key, IfMatch=f'"{seen.etag}"')
    except ClientError as error:
        match error.response.get("ResponseMetadata", {}).get("HTTPStatusCode"):
            case 404 | 409 | 412:  # it is another by now
                return False
            case 400 | 501:  # a store that knows no such condition
                client.delete_object(Bucket=bucket.bucket, Key=seen.key)
            case _:
                raise
    return True


def remove_below(bucket: Bucket, prefix: str) -> int:
    """Remove every object under a prefix; return how many; blocking."""
    client = bucket.client()

    def remove(key: str) -> None:
        client.delete_object(Bucket=bucket.bucket, Key=key)

    with ThreadPoolExecutor(AT_A_TIME) as threads:
        return sum(1 for _ in threads.map(remove, [key for key, _ in _objects(bucket, prefix)]))


def _objects(bucket: Bucket, prefix: str) -> Iterator[tuple[str, datetime]]:
    pages = bucket.client().get_paginator("list_objects_v2")
    for page in pages.paginate(Bucket=bucket.bucket, Prefix=prefix):
        for item in page.get("Contents", []):
            if "Key" in item and "LastModified" in item:
                yield item["Key"], item["LastModified"]


@dataclass(frozen=True, slots=True)
class _Export:
    name: str
    written_at: datetime
    hashes: frozenset[str] | None
    """Which of the wanted documents it holds; None: it has no manifest."""


class Exports:
    """The exports in the bucket, looked at once for these documents; blocking."""

    def __init__(self, bucket: Bucket, hashes: Collection[str]) -> None:
        self._bucket = bucket
        self._wanted = frozenset(hashes)
        self._found: list[_Export] | None = None
        self._removed: set[str] = set()

    def holding(self, file_hash: str, *, since: datetime) -> list[str]:
        """The names of the exports that hold one of the documents, which arrived then."""
        if self._found is None:
            self._found = list(self._look())
        earliest = since - CLOCKS
        return [
            one.name
            for one in self._found
            if (file_hash in one.hashes if one.hashes is not None else one.written_at >= earliest)
        ]

    def remove(self, name: str) -> None:
        """Remove an export; that it held a document is still said afterwards."""
        if name not in self._removed:
            remove_below(self._bucket, f"{EXPORTS}{name}/")
            self._removed.add(name)

    def _look(self) -> Iterator[_Export]:
        written: dict[str, datetime] = {}
        manifests: set[str] = set()
        for key, at in _objects(self._bucket, EXPORTS):
            name, slash, file = key.removeprefix(EXPORTS).partition("/")
            if slash:
                written[name] = max(at, written.get(name, at))
                if file == MANIFEST:
                    manifests.add(name)
        for name, at in written.items():
            yield _Export(name, at, self._hashes(name) if name in manifests else None)

    def _hashes(self, name: str) -> frozenset[str] | None:
        client = self._bucket.client()
        try:
            answer = client.get_object(
                Bucket=self._bucket.bucket, Key=f"{EXPORTS}{name}/{MANIFEST}"
            )
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in {"NoSuchKey", "404"}:
                return None  # gone since it was listed
            raise
        lines = (line.decode("utf-8", "replace") for line in answer["Body"].iter_lines())
        return self._wanted.intersection(hashes_in(lines))


async def exports_holding(bucket: Bucket, documents: Sequence[tuple[str, datetime]]) -> set[str]:
    """The exports that hold any of these documents: each by its hash, and when it arrived."""

    def look() -> set[str]:
        exports = Exports(bucket, {file_hash for file_hash, _ in documents})
        return {name for one in documents for name in exports.holding(one[0], since=one[1])}

    return await asyncio.to_thread(look)


async def finish_now(bucket: Bucket, database: Database, ids: Sequence[UUID]) -> None:
    """Remove at once what these deletions, just asked for, leave in the bucket."""
    async with database.connect() as db:
        asked = [one for one in await list_deletions(db, ids=ids) if one.state == "asked"]
    await remove_objects(bucket, database, asked)
