"""Where the gateway is, and what it asks of those who call it."""

from prefect.blocks.core import Block
from pydantic import Field, SecretStr

from blocks.secret import QUIET


class Gateway(Block):
    """The one HTTP door, as hosts and the object store reach it."""

    model_config = QUIET
    _block_type_name = "ASEAGI gateway"
    _block_type_slug = "aseagi-gateway"
    _description = "Public address of the gateway and the secret of storage notifications."

    url: str = Field(description="Address as a host sees it, e.g. https://aseagi.example.org")
    s3_events_token: SecretStr = Field(
        title="Storage notification token",
        description="Bearer token that the object store sends with its notifications.",
    )
