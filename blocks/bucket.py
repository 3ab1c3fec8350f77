"""The bucket as plain code: its folders, its client, links into it.

Knows nothing of Prefect, so that the gateway, which runs day and night, need not hold it in
memory. The block `blocks.object_storage` is where a person says which bucket it is.
"""

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from pydantic import BaseModel, Field

from blocks.secret import Secret

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

RAW, PROCESSED, CACHE, EXPORTS = "raw/", "processed/", "cache/", "exports/"
"""Folders of the bucket: people's inbox, immutable originals and results, scratch, exports."""

UPLOADS = "uploads/"
"""The gateway's inbox. Not in `raw/`: who synchronises a folder there deletes what it lacks."""

INBOXES = (RAW, UPLOADS)
"""Where what is new is taken in from."""

CLIENT_CONFIG: dict[str, Any] = {
    "signature_version": "s3v4",
    # Spaces rejects boto3's newer default checksums.
    "request_checksum_calculation": "when_required",
    "response_checksum_validation": "when_required",
    "connect_timeout": 10,
    "read_timeout": 60,
    "max_pool_connections": 16,
    "retries": {"mode": "standard", "total_max_attempts": 4},
    "s3": {"addressing_style": "path"},
}
"""Client settings that every S3 store we support understands."""


class Bucket(BaseModel, frozen=True):
    """An S3 bucket, and the keys to it."""

    bucket: str
    endpoint_url: str | None
    region: str | None
    access_key: str | None
    secret_key: Secret | None
    session_token: str | None = Field(default=None, repr=False)
    verify: bool | str = True

    def client(self) -> "S3Client":
        """The boto3 client, made once per process and safe to share between threads."""
        return _client(self)

    def signed_link(self, key: str, *, seconds: int, save_as: str | None = None) -> str:
        """A link that lets anyone who has it read `key` for `seconds`."""
        return signed_link(self.client(), self.bucket, key, seconds=seconds, save_as=save_as)


def signed_link(
    client: "S3Client", bucket: str, key: str, *, seconds: int, save_as: str | None = None
) -> str:
    """A link that lets anyone who has it read the object for `seconds`."""
    parameters = {"Bucket": bucket, "Key": key}
    if save_as is not None:
        parameters["ResponseContentDisposition"] = f'attachment; filename="{save_as}"'
    return client.generate_presigned_url("get_object", Params=parameters, ExpiresIn=seconds)


@lru_cache(maxsize=4)
def _client(bucket: Bucket) -> "S3Client":
    return boto3.client(  # pyright: ignore[reportUnknownMemberType]
        "s3",
        endpoint_url=bucket.endpoint_url,
        region_name=bucket.region,
        aws_access_key_id=bucket.access_key,
        aws_secret_access_key=bucket.secret_key.get_secret_value() if bucket.secret_key else None,
        aws_session_token=bucket.session_token,
        verify=bucket.verify,
        config=Config(**CLIENT_CONFIG),
    )
