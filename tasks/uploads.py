"""Large uploads that nobody completed in time, and parts in the bucket that nobody stands for.

Two lists are compared, the rows and the store's own: a gateway may have been killed after
the store began an upload and before the row was written, or after the store made one
object of the parts and before the row said so.
"""

import asyncio
import logging
from datetime import UTC, datetime, timedelta

from botocore.exceptions import ClientError
from prefect import task
from prefect.cache_policies import NO_CACHE

from blocks.bucket import UPLOADS, Bucket
from blocks.database import Database
from blocks.inbox import abort_parts, find_object
from blocks.object_storage import ObjectStorage
from sql.arrivals import SeenObject, notice, tell_origin
from sql.multipart_uploads import (
    MultipartUpload,
    end_multipart,
    expired_multiparts,
    open_s3_uploads,
)

log = logging.getLogger("aseagi.uploads")

MOST = 50
"""Uploads a turn; the next minute goes on."""

STRAY_AGE = timedelta(days=1)
"""Longer than any upload takes, and than any row lives."""


@task(
    name="clean uploads",
    task_run_name="clean uploads",
    cache_policy=NO_CACHE,
    retries=1,
    retry_delay_seconds=5,
)
async def clean_uploads(storage: ObjectStorage, database: Database) -> int:
    """Settle uploads whose time is over, abort strays; return how many. Safe to repeat.

    One that cannot be settled is named in the log and tried again by the next turn.
    """
    bucket = storage.plain()
    async with database.connect() as db:
        expired = await expired_multiparts(db, limit=MOST)
    cleaned = 0
    for one in expired:
        try:
            done = await asyncio.to_thread(_end_in_store, bucket, one)
        except ClientError as error:
            log.warning("the upload %s could not be ended: %s", one.id, type(error).__name__)
            continue
        async with database.connect() as db:
            if done is not None:
                await notice(db, [done], source="upload", lane=one.lane)
                await tell_origin(db, done, source="upload", lane=one.lane, note=one.note)
            await end_multipart(db, one.id, state="aborted" if done is None else "done")
        cleaned += 1
    async with database.connect() as db:
        known = await open_s3_uploads(db)
    return cleaned + await asyncio.to_thread(_abort_strays, bucket, known)


def _end_in_store(bucket: Bucket, one: MultipartUpload) -> SeenObject | None:
    """The object, if the parts had been made one already; else they are thrown away.

    Looked for first: not every store says that an upload it aborts was completed before.
    """
    stored = find_object(bucket, one.key)
    if stored is not None and stored.upload == str(one.id):
        return SeenObject(stored.key, stored.etag, stored.size_bytes)
    abort_parts(bucket, one.key, one.s3_upload_id)
    return None


def _abort_strays(bucket: Bucket, known: set[str]) -> int:
    before = datetime.now(UTC) - STRAY_AGE
    pages = bucket.client().get_paginator("list_multipart_uploads")
    aborted = 0
    for page in pages.paginate(Bucket=bucket.bucket, Prefix=UPLOADS):
        for one in page.get("Uploads", []):
            key, upload, begun = one.get("Key"), one.get("UploadId"), one.get("Initiated")
            if key and upload and begun and begun < before and upload not in known:
                aborted += abort_parts(bucket, key, upload)
    return aborted
