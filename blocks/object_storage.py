"""Where the bytes are: one private bucket with `raw/ uploads/ processed/ cache/ exports/`."""

from typing import TYPE_CHECKING

from prefect.blocks.core import Block
from prefect_aws import AwsCredentials
from prefect_aws.client_parameters import AwsClientParameters
from pydantic import Field, SecretStr

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

RAW, PROCESSED, CACHE, EXPORTS = "raw/", "processed/", "cache/", "exports/"
"""The bucket's four folders: inbox, immutable originals and results, scratch, exports."""

UPLOADS = "uploads/"
INBOXES = (RAW, UPLOADS)
"""Where objects arrive: `raw/`, which belongs to people, and what the gateway took in for them."""

EXPORT_LINK_SECONDS = 7 * 24 * 3600
"""How long a link to an export works; the longest that S3 signatures allow."""


class ObjectStorage(Block):
    """An S3 bucket (DigitalOcean Spaces, AWS, SeaweedFS). Private: people get signed links."""

    _block_type_name = "ASEAGI object storage"
    _block_type_slug = "aseagi-object-storage"
    _description = "The private bucket that holds documents, results and exports."

    credentials: AwsCredentials = Field(description="Keys and endpoint (prefect-aws).")
    bucket: str = Field(min_length=3, description="Name of the bucket; it must not be public.")

    def client(self) -> "S3Client":
        """The boto3 client, made once per process and safe to share between threads."""
        return self.credentials.get_s3_client()

    def signed_link(self, key: str, *, seconds: int, save_as: str | None = None) -> str:
        """A link that lets anyone who has it read `key` for `seconds`."""
        parameters = {"Bucket": self.bucket, "Key": key}
        if save_as is not None:
            parameters["ResponseContentDisposition"] = f'attachment; filename="{save_as}"'
        return self.client().generate_presigned_url(
            "get_object", Params=parameters, ExpiresIn=seconds
        )


def make_credentials(
    *, endpoint_url: str | None, region: str, access_key: str, secret_key: SecretStr
) -> AwsCredentials:
    """Credentials with the client settings that every S3 store we support understands.

    Checksums only when required: Spaces rejects boto3's newer default ones.
    """
    return AwsCredentials(
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        region_name=region,
        aws_client_parameters=AwsClientParameters(
            endpoint_url=endpoint_url,
            config={
                "signature_version": "s3v4",
                "request_checksum_calculation": "when_required",
                "response_checksum_validation": "when_required",
                "connect_timeout": 10,
                "read_timeout": 60,
                "max_pool_connections": 16,
                "retries": {"mode": "standard", "total_max_attempts": 4},
                "s3": {"addressing_style": "path"},
            },
        ),
    )
