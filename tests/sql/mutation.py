"""Statements as they would be without a safeguard: a piece of the SQL itself is taken away."""

from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from psycopg import AsyncCursor
from psycopg.sql import Composable

Change = tuple[str, str]
"""A piece of a statement, spaces as they come, and what stands there instead."""


class NotThere(LookupError):
    """The safeguard is written otherwise by now: the test takes nothing away any more."""


def _plain(text: str) -> str:
    return " ".join(text.split())


@contextmanager
def statements_changed(changes: Sequence[Change]) -> Generator[None]:
    """Replace those pieces in every statement that runs in the body.

    Raises:
        NotThere: one of them was in no statement.
    """
    unmet = dict(changes)
    execute: Callable[..., Awaitable[Any]] = vars(AsyncCursor)["execute"]

    async def changed(self: AsyncCursor[Any], query: Any, *values: Any, **more: Any) -> Any:
        text: object = query.as_string(self) if isinstance(query, Composable) else query
        if isinstance(text, str):
            plain = _plain(text)
            found = [(piece, instead) for piece, instead in changes if _plain(piece) in plain]
            for piece, instead in found:
                plain = plain.replace(_plain(piece), instead)
                unmet.pop(piece, None)
            query = plain.encode() if found else query
        return await execute(self, query, *values, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AsyncCursor, "execute", changed)
        yield
    if unmet:
        raise NotThere(f"in no statement: {', '.join(unmet)}")
