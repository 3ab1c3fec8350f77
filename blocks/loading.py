"""Load the block a piece of code needs, or say in one line what is missing."""

from typing import TypeVar

import httpx
from prefect.blocks.core import Block
from prefect.exceptions import PrefectHTTPStatusError
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
        if error.response.status_code in {401, 403}:
            raise Misconfigured(
                "Prefect refused the login. Check PREFECT_API_AUTH_STRING."
            ) from error
        raise prefect_unreachable() from error
    except httpx.TransportError as error:
        raise prefect_unreachable() from error
