"""What is wrong with a request, without repeating what it said."""

from collections.abc import Iterable, Mapping
from typing import Any

MOST = 10


def problems(errors: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Pydantic's errors as data for a person: where, and what; at most `MOST`."""
    return [
        {
            # A field's name comes from the request and may be no valid text.
            "where": ".".join(map(str, one["loc"]))[:200].encode("utf-8", "replace").decode(),
            "what": str(one["msg"]).encode("utf-8", "replace").decode(),
        }
        for one in list(errors)[:MOST]
    ]
