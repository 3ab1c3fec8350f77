"""A short soak: whatever strikes at random, the invariants hold. The long one is a bench."""

from pathlib import Path

import pytest

from bench import soak
from bench.soak import Soak, hurry, soaking
from tests.sql.house import House


async def test_in_a_short_soak_nothing_is_leaked_and_every_cent_is_booked(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurry(monkeypatch.setattr)
    monkeypatch.setattr(soak, "QUIET_SECONDS", 300.0)
    async with soaking(house, tmp_path) as rental:
        report = await Soak(rental, at_least=8, seed=3).run()
    assert report.sessions >= 8
    assert report.pages_done > 0
    assert report.billed > report.ideal > 0
