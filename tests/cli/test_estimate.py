"""`aseagi estimate`: what files are, what they are read on, and when the money does not do."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import pytest

from blocks.reading import Reading
from blocks.spending import Spending
from cli.add import candidates_in
from cli.estimate import Asked, Left, count, dollars, look_at, warnings_of
from cli.readers import Basis, own_machine, rented
from schema.failures import BadInput
from sql.hosts import MeasuredSpeed, RentedHost
from tasks.estimating import ClaudeCost, ReadingCost
from work_pools.vastai.speeds import PUBLISHED_PAGES_PER_SECOND

SAMPLES = Path(__file__).parents[2] / "samples"

# Files


async def test_each_document_is_counted_once_and_what_is_none_is_named(tmp_path: Path) -> None:
    letter = SAMPLES / "smith-v-jones" / "demand-letter.png"
    for name in ("a.png", "b.png"):
        shutil.copy(letter, tmp_path / name)
    (tmp_path / "notes.txt").write_bytes(b"\x00 no document")
    (tmp_path / "cut.pdf").write_bytes(b"%PDF-1.7 and then nothing")
    (tmp_path / ".hidden").mkdir()
    shutil.copy(letter, tmp_path / ".hidden" / "c.png")

    looked = await look_at(list(candidates_in([tmp_path])), quiet=True)
    (document,) = looked.documents.values()
    assert (len(document.pages), document.pages_to_read, looked.twice) == (1, 1, 1)
    reasons = {Path(one.path).name: one.reason for one in looked.not_counted}
    assert "cut off" in reasons["cut.pdf"]
    assert "none of them" in reasons["notes.txt"]
    assert len(reasons) == 2


async def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.7")
    candidates = list(candidates_in([tmp_path]))
    (tmp_path / "a.pdf").unlink()
    looked = await look_at(candidates, quiet=True)
    assert [one.reason for one in looked.not_counted] == [
        "it cannot be read: No such file or directory"
    ]


def test_a_path_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="does not exist"):
        list(candidates_in([tmp_path / "none"]))


# What pages are read on

RENTS = Reading(deployment="ocr/vast-gpu", engine="doctr", max_hosts=2)


def host(dollars_per_hour: str, gpu_name: str = "RTX 4090") -> RentedHost:
    return RentedHost(
        id=uuid4(),
        label="aseagi-1",
        state="ended",
        instance_id=1,
        gpu_name=gpu_name,
        dollars_per_hour=Decimal(dollars_per_hour),
        created_at=datetime.now(UTC),
        age_seconds=100,
        billed_seconds=90,
        dollars=Decimal(1),
        reserved_dollars=Decimal(0),
        pages_read=100,
        pages_held=0,
        status=None,
        end_reason=None,
        rehearsal=False,
    )


def on_hosts(
    hosts: Sequence[RentedHost] = (),
    measured: Sequence[MeasuredSpeed] = (),
    traffic: Sequence[Decimal] = (),
) -> Basis:
    return rented(
        RENTS,
        Spending(max_dollars_per_hour=0.6, max_dollars_per_gb=0.02),
        hosts,
        measured,
        image_gb=4.0,
        starting_seconds=25.0,
        traffic=traffic,
        is_rehearsal=False,
    )


def test_before_anything_is_rented_a_host_costs_what_it_may_cost() -> None:
    basis = on_hosts()
    assert basis.reader.pages_per_second == PUBLISHED_PAGES_PER_SECOND
    assert basis.reader.dollars_per_hour == Decimal("0.6")
    assert basis.reader.dollars_to_pull == Decimal("0.08")
    assert "(published) at $0.60/h, the most that a host may cost" in basis.told


def test_afterwards_it_costs_what_the_latest_did_and_reads_as_was_measured() -> None:
    measured = [MeasuredSpeed("RTX 4090", pages=1_000_000, billed_seconds=100_000)]
    basis = on_hosts([host("0.30"), host("0.40")], measured, [Decimal("0.01"), Decimal("0.03")])
    assert basis.reader.dollars_per_hour == Decimal("0.35")
    assert basis.reader.pages_per_second == pytest.approx(10, rel=0.01)
    assert basis.reader.dollars_to_pull == Decimal("0.02")
    assert "(measured) at $0.350/h" in basis.told


def test_the_speed_of_different_hosts_is_that_of_their_pages_together() -> None:
    measured = [
        MeasuredSpeed("RTX 4090", pages=1_000_000, billed_seconds=100_000),
        MeasuredSpeed("Tesla T4", pages=1_000_000, billed_seconds=500_000),
    ]
    basis = on_hosts([host("0.30"), host("0.10", "Tesla T4")], measured)
    assert basis.reader.pages_per_second == pytest.approx(2 / (1 / 10 + 1 / 2), rel=0.01)


def test_a_machine_of_ones_own_costs_its_electricity_if_that_shall_count() -> None:
    free = own_machine(Reading(), Spending())
    assert (free.reader.dollars_per_hour, free.reader.max_session_dollars) == (0, 0)
    assert "for nothing" in free.told
    billed = own_machine(
        Reading(session_minutes=120), Spending(own_machine_dollars_per_hour=0.05)
    ).reader
    assert (billed.dollars_per_hour, billed.max_session_dollars) == (
        Decimal("0.05"),
        Decimal("0.1"),
    )
    assert own_machine(Reading(engine="doctr"), Spending()).reader.pages_per_second > 1


# What the money does

LEFT = Left(
    budget_dollars=Decimal(10),
    claude_dollars=Decimal(5),
    monthly_budget_dollars=Decimal(50),
    monthly_claude_dollars=Decimal(20),
    host_dollars=Decimal(2),
)


def warned(reading: str, claude: str, *, left: Left = LEFT, is_set_up: bool = True) -> list[str]:
    cost = ClaudeCost(1, Decimal(claude), Decimal(claude), too_dear=[])
    asked = Asked(
        model="a model",
        is_set_up=is_set_up,
        is_rehearsal=False,
        document_limit_dollars=Decimal(2),
        here=cost,
        otherwise=cost,
    )
    read = ReadingCost(10, 1, 60.0, Decimal(reading), Decimal(reading))
    return list(warnings_of(read, asked, left))


def test_an_estimate_within_what_is_left_warns_of_nothing() -> None:
    assert warned("5", "5") == []


def test_an_estimate_beyond_the_budget_names_the_way_out() -> None:
    (line,) = warned("6", "4.01")
    assert "$10.01 are expected, and $10.00 are left" in line
    assert "monthly_budget_dollars in the block aseagi-spending/aseagi" in line


def test_an_estimate_beyond_claudes_limit_names_the_way_out() -> None:
    (line,) = warned("1", "5.01")
    assert "$5.01 are expected for Claude, and $5.00 are left" in line
    assert "monthly_limit_dollars in the block aseagi-claude/aseagi" in line


def test_what_claude_would_cost_is_no_reason_to_warn_where_it_is_not_set_up() -> None:
    left = replace(LEFT, claude_dollars=None, monthly_claude_dollars=None)
    assert warned("1", "1000", left=left, is_set_up=False) == []


def test_too_little_for_one_hosts_reserve_is_said_before_anything_is_added() -> None:
    (line,) = warned("0.01", "0", left=replace(LEFT, budget_dollars=Decimal(1)))
    assert "No host is rented: $2.00 are set aside for each" in line


@pytest.mark.parametrize(
    ("amount", "said"),
    [("0", "$0.00"), ("0.00123", "$0.0012"), ("1.005", "$1.00"), ("12345.678", "$12,345.68")],
)
def test_sums_are_said_as_exactly_as_they_matter(amount: str, said: str) -> None:
    assert dollars(Decimal(amount)) == said


def test_one_page_is_no_pages() -> None:
    assert [count(number, "page") for number in (0, 1, 1200)] == [
        "0 pages",
        "1 page",
        "1,200 pages",
    ]
