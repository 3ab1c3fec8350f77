"""Where the bytes are: one private bucket with `raw/ uploads/ processed/ cache/ exports/`."""

from typing import TYPE_CHECKING

from prefect.blocks.core import Block
from prefect_aws import AwsCredentials
from prefect_aws.client_parameters import AwsClientParameters
from pydantic import Field, SecretStr

from blocks.bucket import CLIENT_CONFIG, Bucket, signed_link

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

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
        return signed_link(self.client(), self.bucket, key, seconds=seconds, save_as=save_as)

    def plain(self) -> Bucket:
        """The same bucket for code that knows nothing of Prefect."""
        settings = self.credentials.aws_client_parameters
        authority = settings.verify_cert_path or settings.verify or False
        return Bucket(
            bucket=self.bucket,
            endpoint_url=settings.endpoint_url,
            region=self.credentials.region_name,
            access_key=self.credentials.aws_access_key_id,
            secret_key=self.credentials.aws_secret_access_key,
            session_token=self.credentials.aws_session_token,
            verify=authority if isinstance(authority, bool) else str(authority),
        )


def make_credentials(
    *, endpoint_url: str | None, region: str, access_key: str, secret_key: SecretStr
) -> AwsCredentials:
    """Credentials with the client settings that every S3 store we support understands."""
    return AwsCredentials(
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        region_name=region,
        aws_client_parameters=AwsClientParameters(
            endpoint_url=endpoint_url,
            config=CLIENT_CONFIG,
        ),
    )
