"""The bucket watch: finds objects in the inboxes that no notification told of.

For stores without notifications (DigitalOcean Spaces) it is how documents arrive; for
the others it makes good what was lost. Listing is cheap: 1,000 objects a request, and
the database is asked which of them are new by the thousand.

Nothing is missed: what is put behind the place where the listing is, the next one finds.
Nothing is taken twice: an arrival is its key, ETag and size, whoever tells of it.
"""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from prefect import task
from prefect.cache_policies import NO_CACHE

from blocks.bucket import CACHE, INBOXES
from blocks.database import Database
from blocks.object_storage import ObjectStorage
from blocks.wakeups import object_created
from sql.arrivals import SeenObject, notice

CACHE_AGE = timedelta(days=1)


@task(
    name="watch bucket",
    task_run_name="watch bucket",
    cache_policy=NO_CACHE,
    retries=2,
    retry_delay_seconds=[1, 5],
    retry_jitter_factor=0.5,
)
async def watch_bucket(storage: ObjectStorage, database: Database) -> int:
    """Record every object of the inboxes not seen before; return how many. Safe to repeat."""
    new = 0
    async with database.connect() as db:
        for inbox in INBOXES:
            pages = _listing(storage, inbox)
            while (page := await asyncio.to_thread(next, pages, None)) is not None:
                # Each thousand for itself: a watch that is killed has recorded what it saw.
                async with db.transaction():
                    found = await notice(db, page, source="bucket")
                if found and not new:
                    object_created(inbox, size_bytes=0)
                new += found
    return new


def _listing(storage: ObjectStorage, inbox: str) -> Iterator[list[SeenObject]]:
    paginator = storage.client().get_paginator("list_objects_v2")
    for page in paginator.paginate(Bucket=storage.bucket, Prefix=inbox):
        yield [
            SeenObject(item["Key"], item["ETag"].strip('"'), item["Size"])
            for item in page.get("Contents", [])
            if "Key" in item and "ETag" in item and "Size" in item
            if not item["Key"].endswith("/")
        ]


@task(
    name="clean cache",
    task_run_name="clean cache",
    cache_policy=NO_CACHE,
    retries=1,
    retry_delay_seconds=5,
)
async def clean_cache(storage: ObjectStorage) -> int:
    """Delete what has lain in `cache/` for a day, where the bucket's lifecycle does not."""
    return await asyncio.to_thread(_delete_old, storage, datetime.now(UTC) - CACHE_AGE)


def _delete_old(storage: ObjectStorage, before: datetime) -> int:
    client = storage.client()
    deleted = 0
    for page in client.get_paginator("list_objects_v2").paginate(
        Bucket=storage.bucket, Prefix=CACHE
    ):
        for item in page.get("Contents", []):
            if "Key" in item and "LastModified" in item and item["LastModified"] < before:
                client.delete_object(Bucket=storage.bucket, Key=item["Key"])
                deleted += 1
    return deleted
