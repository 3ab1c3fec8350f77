"""Throw away what was sent of large uploads that nobody completed in time."""

import asyncio

from botocore.exceptions import ClientError
from prefect import task
from prefect.cache_policies import NO_CACHE

from blocks.database import Database
from blocks.object_storage import ObjectStorage
from sql.multipart_uploads import MultipartUpload, end_multipart, expired_multiparts

MOST = 50
"""Uploads a turn; the next minute goes on."""


@task(
    name="clean uploads",
    task_run_name="clean uploads",
    cache_policy=NO_CACHE,
    retries=1,
    retry_delay_seconds=5,
)
async def clean_uploads(storage: ObjectStorage, database: Database) -> int:
    """Abort expired uploads in parts, first in the bucket; return how many. Safe to repeat."""
    async with database.connect() as db:
        expired = await expired_multiparts(db, limit=MOST)
        for one in expired:
            await asyncio.to_thread(_abort, storage, one)
            await end_multipart(db, one.id, state="aborted")
            await db.commit()
    return len(expired)


def _abort(storage: ObjectStorage, one: MultipartUpload) -> None:
    try:
        storage.client().abort_multipart_upload(
            Bucket=storage.bucket, Key=one.key, UploadId=one.s3_upload_id
        )
    except ClientError as error:
        # Completed by a gateway that died before it said so, or given up by the store itself.
        if error.response.get("Error", {}).get("Code") != "NoSuchUpload":
            raise
