"""How people are told of pages that could not be read."""

import pytest

from schema.failures import Failure, Stage
from schema.unread import unread

DAMAGED = Failure(stage=Stage.READ, reason="It is damaged.", retry_helps=False, page=3)


@pytest.mark.parametrize(
    ("pages", "first", "told"),
    [
        ([], None, None),
        ([3], DAMAGED, "page 3 of 2,000 could not be read: It is damaged."),
        ([3, 7], DAMAGED, "pages 3 and 7 of 2,000 could not be read: It is damaged."),
        ([3, 7, 9], None, "pages 3, 7 and 9 of 2,000 could not be read."),
        (
            range(1, 1001),
            None,
            "pages 1, 2, 3, 4, 5 and 995 more of 2,000 could not be read.",
        ),
    ],
)
def test_pages_that_could_not_be_read_are_named(
    pages: list[int], first: Failure | None, told: str | None
) -> None:
    assert unread(pages, 2000, first) == told
