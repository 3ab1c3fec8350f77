"""A long text as pages: of a size that people and analysts can cite, ending where a thought does.

Form feeds part pages as the author wanted it. What is longer is parted at the end of a
paragraph, else of a line, a sentence, a word; only what has none of these is cut anywhere.
Nothing but blanks around the cuts is lost.
"""

import re
from collections.abc import Iterator

from schema.failures import BadInput

PAGE_CHARACTERS = 3000
"""As many as a dense page of print has."""

MAX_PAGES = 5000

_ENDS = tuple(
    re.compile(end)
    for end in (r"\n[^\S\n]*\n\s*", r"\n\s*", r"(?<=[.!?;:])\s+|(?<=[。！？；：])", r"\s+")
)
"""Where a page may end, the best first."""


def pages_of(text: str, *, size: int = PAGE_CHARACTERS) -> tuple[str, ...]:
    """The pages of a text, none of them blank; raises `BadInput` for one of too many."""
    pages: list[str] = []
    for part in _normal(text).split("\f"):
        for page in _parts(part, size):
            if len(pages) == MAX_PAGES:
                raise BadInput(
                    f"It has more text than {MAX_PAGES:,} pages hold; at most that can be taken in."
                )
            pages.append(page)
    return tuple(pages)


def _normal(text: str) -> str:
    """Line ends as `\\n`; without what Postgres cannot keep."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "")
    return text.encode("utf-8", "replace").decode()


def _parts(text: str, size: int) -> Iterator[str]:
    start = 0
    while len(text) - start > size:
        cut = _cut(text, start, size)
        if page := text[start:cut].strip("\n").rstrip():
            yield page
        start = cut
    if page := text[start:].strip("\n").rstrip():
        yield page


def _cut(text: str, start: int, size: int) -> int:
    """Where the page that begins at `start` ends: the last good place in its second half."""
    for end in _ENDS:
        cuts = [found.end() for found in end.finditer(text, start + size // 2, start + size)]
        if cuts and cuts[-1] > start:
            return cuts[-1]
    return start + size
