"""The marketplace account that GPU hosts are rented with."""

import ipaddress
from urllib.parse import urlsplit

from prefect.blocks.core import Block
from pydantic import Field, SecretStr

from blocks.secret import QUIET

VAST_URL = "https://console.vast.ai"


class VastAccount(Block):
    """One Vast.ai account, or a rehearsal of one. Prepaid, without autobill: see the docs."""

    model_config = QUIET
    _block_type_name = "ASEAGI Vast.ai account"
    _block_type_slug = "aseagi-vast-account"
    _description = "Address and key of the marketplace that GPU hosts are rented from."

    url: str = Field(default=VAST_URL, description="Address of the marketplace.")
    api_key: SecretStr = Field(
        title="API key",
        description="A key with the scopes misc, instance_read, instance_write, user_read and "
        "billing_read, of an account that holds only what you are ready to spend.",
    )

    @property
    def is_rehearsal(self) -> bool:
        """Whether the marketplace is a rehearsal on this machine: no money is involved."""
        return is_this_machine(self.url)


def is_this_machine(url: str) -> bool:
    """Whether an address is a loopback one."""
    address = _address(url)
    return address is not None and address.is_loopback


def is_private(url: str) -> bool:
    """Whether an address is of this machine or of a private network. Names are not looked up."""
    host = urlsplit(url).hostname or ""
    address = _address(url)
    if address is not None:
        return not address.is_global
    return "." not in host or host.endswith((".local", ".internal", ".lan", ".home.arpa"))


def _address(url: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        return None
