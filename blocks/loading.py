"""Load the block a piece of code needs, or say in one line what is missing."""

from typing import TypeVar

import httpx
from prefect.blocks.core import Block
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.settings import get_current_settings

from schema.failures import Misconfigured, RetryLater

NAME = "aseagi"
"""The name every block of ours is saved under."""

AnyBlock = TypeVar("AnyBlock", bound=Block)


def prefect_unreachable() -> RetryLater:
    """The error for a Prefect API that does not answer, naming its address."""
    return RetryLater(
        f"The Prefect API at {get_current_settings().api.url} does not answer. "
        "Start the stack with `aseagi up`, or check PREFECT_API_URL."
    )


def prefect_refused(error: PrefectHTTPStatusError) -> Misconfigured | RetryLater:
    """The error for a Prefect API that answers with an error: the login, or trouble of its own."""
    status = error.response.status_code
    if status in {401, 403}:
        return Misconfigured("Prefect refused the login. Check PREFECT_API_AUTH_STRING.")
    address = get_current_settings().api.url
    if status in {404, 405}:
        return Misconfigured(
            f"What answers at {address} is no Prefect API of this version (HTTP {status}). "
            "Check PREFECT_API_URL."
        )
    return RetryLater(
        f"The Prefect API at {address} answered HTTP {status}. Its log says why; try again, or "
        "check PREFECT_API_URL."
    )


async def load(kind: type[AnyBlock]) -> AnyBlock:
    """Load the block `NAME` of that kind.

    Raises `Misconfigured` when it does not exist, `RetryLater` when Prefect does not answer.
    """
    try:
        return await kind.aload(NAME, validate=True)
    except ValueError as error:
        slug = kind.get_block_type_slug()
        raise Misconfigured(
            f"The block {slug}/{NAME} is missing or incomplete. "
            "Run `aseagi deploy`, or mend it in the Prefect UI under Blocks."
        ) from error
    except PrefectHTTPStatusError as error:
        raise prefect_refused(error) from error
    except httpx.TransportError as error:
        raise prefect_unreachable() from error


async def load_if_there(kind: type[AnyBlock]) -> AnyBlock | None:
    """Load the block `NAME` of that kind; None where nobody has made one.

    For what is not for everybody, as a marketplace account. Raises as `load` otherwise.
    """
    try:
        async with get_client() as client:
            await client.read_block_document_by_name(NAME, kind.get_block_type_slug())
    except ObjectNotFound:
        return None
    except httpx.TransportError as error:
        raise prefect_unreachable() from error
    return await load(kind)
