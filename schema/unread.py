"""How people are told that some pages of a document could not be read."""

from collections.abc import Sequence

from schema.failures import Failure

MOST_NAMED = 5


def unread(failed_pages: Sequence[int], page_count: int, first: Failure | None) -> str | None:
    """Which pages could not be read, and why not the first of them; None if all were read."""
    if not failed_pages:
        return None
    named = [f"{number:,}" for number in failed_pages[:MOST_NAMED]]
    rest = len(failed_pages) - len(named)
    if rest:
        pages = f"{', '.join(named)} and {rest:,} more"
    else:
        pages = " and ".join(filter(None, (", ".join(named[:-1]), named[-1])))
    what = "page" if len(failed_pages) == 1 else "pages"
    reason = f": {first.reason}" if first else "."
    return f"{what} {pages} of {page_count:,} could not be read{reason}"
