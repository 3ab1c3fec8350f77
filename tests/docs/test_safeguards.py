"""The table of safeguards says what the tests play, and nothing else."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.gateway import test_safeguards as gateway
from tests.gateway import test_taking_in as taking_in
from tests.sql import test_safeguards as books
from tests.work_pools.vastai import test_safeguards as hosts

PAGE = Path(__file__).parents[2] / "docs" / "safeguards.md"

PLAYED = {
    "From the bucket to a session": [one.name for one in taking_in.SAFEGUARDS],
    "The books": [one.name for one in books.SAFEGUARDS],
    "Rented hosts and their money": [one.name for one in hosts.SAFEGUARDS],
    "The gateway": [one.name for one in gateway.SAFEGUARDS],
}


def rows_of(section: str) -> list[str]:
    """The first column of the table below that heading."""
    _, _, after = PAGE.read_text().partition(f"\n## {section}\n")
    text = after.partition("\n## ")[0]
    rows = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")]
    assert rows.pop(0) == "safeguard"
    return rows


@pytest.mark.parametrize(("section", "played"), PLAYED.items(), ids=PLAYED)
def test_every_safeguard_that_is_played_has_its_row_and_every_row_is_played(
    section: str, played: Sequence[str]
) -> None:
    assert sorted(rows_of(section)) == sorted(played)
