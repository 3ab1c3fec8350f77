"""What people are told of Claude: what is missing, what waits, what it cost."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest

from cli.costs import claude_lines
from cli.show import what_lacks
from cli.status import waiting_lines
from schema.failures import MoneyStops
from schema.lanes import Lane
from sql.claude import claude_dollars_since, claude_month, open_batches
from sql.dashboard import rehearsal_dollars_between, reserved_dollars
from sql.documents import DocumentRow, list_documents
from sql.jobs import analyse_again, jobs_waiting
from tasks.analysis import Analysed, told
from tests.tasks.claude.office import LETTER, Office, letter


async def only_document(office: Office) -> DocumentRow:
    async with office.house.transaction():
        [row] = await list_documents(office.house.db)
    return row


async def test_a_document_that_claude_declined_says_so_and_that_the_rules_answered(
    office: Office,
) -> None:
    office.site.order({"on": "messages", "kind": "refusal"})
    await office.add(LETTER)
    await office.drain()
    said = what_lacks(await only_document(office))
    assert said == "Claude declined to analyse it. The rules answered instead."


async def test_a_part_that_was_lost_is_named_and_how_to_ask_for_it_again(office: Office) -> None:
    office.settings["pages_per_call"] = 1
    office.site.order(
        {"on": "messages", "kind": "schema-invalid", "match": {"text": "00001"}, "times": 2}
    )
    document = await office.add(letter(0), letter(1))
    await office.drain()
    said = what_lacks(await only_document(office)) or ""
    assert said.startswith("page 2: Claude answered twice in a form that cannot be read.")
    assert "The rules" not in said
    assert said.endswith(f"`aseagi retry {document.hex[:8]}` asks again.")


async def test_a_complete_analysis_lacks_nothing(office: Office) -> None:
    await office.add(LETTER)
    await office.drain()
    assert what_lacks(await only_document(office)) is None


async def test_analysing_again_asks_claude_again_and_pays_for_both(office: Office) -> None:
    document = await office.add(LETTER)
    await office.drain()
    first = await office.dollars()
    async with office.house.transaction():
        assert await analyse_again(office.house.db, document_ids=[document]) == 1
    assert (await office.analysis(document)).analyst == "claude-haiku-5-5"
    await office.drain()
    assert await office.calls() == {"served answered": 2}
    assert await office.dollars() > first > 0


async def test_what_claude_said_is_kept_when_asking_again_comes_to_nothing(
    office: Office,
) -> None:
    document = await office.add(LETTER)
    await office.drain()
    async with office.house.transaction():
        await analyse_again(office.house.db)
    office.site.order({"on": "messages", "kind": "refusal"})
    await office.drain()
    assert (await office.analysis(document)).analyst == "claude-haiku-5-5"
    assert what_lacks(await only_document(office)) == (
        "Claude declined to analyse it. Its earlier analysis is kept."
    )


async def test_the_months_line_says_what_was_answered_and_what_was_lost(office: Office) -> None:
    office.site.order({"on": "messages", "kind": "drop-after"})
    began = datetime.now(UTC) - timedelta(minutes=1)
    await office.add_letters(3)
    await office.drain()
    async with office.house.transaction():
        month = await claude_month(office.house.db)
        since = await claude_dollars_since(office.house.db, began)
        later = await claude_dollars_since(office.house.db, datetime.now(UTC) + timedelta(hours=1))
    answers, lost = claude_lines(month)
    assert answers.startswith("Claude: 3 answers, ")
    assert answers.endswith(f" from cache), ${month.dollars:.4f}")
    assert lost.startswith("1 answer was lost on the way; it may have cost up to $")
    assert since == month.dollars == await office.dollars()
    assert later == 0


async def test_what_is_put_off_and_what_is_in_a_batch_are_lines_of_the_status(
    office: Office,
) -> None:
    office.settings["monthly_limit_dollars"] = 0
    await office.add(letter(9))
    with pytest.raises(MoneyStops):
        await office.drain()
    office.settings["monthly_limit_dollars"] = 10
    office.site.order({"on": "read", "kind": "529", "times": None})
    await office.add_letters(2, lane=Lane.NIGHTLY)
    await office.open_night()
    await office.drain()
    async with office.house.transaction():
        put_off, batches = await jobs_waiting(office.house.db), await open_batches(office.house.db)
        set_aside = await reserved_dollars(office.house.db)
    first, last = waiting_lines(put_off, batches)
    assert first.startswith("put off: 1 document until ")
    assert "monthly_limit_dollars" in first
    assert last.startswith("2 questions with Claude in a batch, looked at again at ")
    assert set_aside > 0


async def test_money_that_stops_puts_off_nothing_that_is_in_a_batch(office: Office) -> None:
    office.site.order({"on": "read", "kind": "529", "times": None})
    [in_batch] = await office.add_letters(1, lane=Lane.NIGHTLY)
    await office.open_night()
    await office.drain()
    office.settings["monthly_limit_dollars"] = 0
    waits = await office.add(letter(9))
    with pytest.raises(MoneyStops):
        await office.drain()
    assert await office.waits_for(waits) is not None
    assert await office.waits_for(in_batch) is None


async def test_what_a_rehearsal_answered_is_no_money(office: Office) -> None:
    await office.add(LETTER)
    await office.drain()
    today = datetime.now(UTC).date()
    days = today - timedelta(days=1), today + timedelta(days=1)
    async with office.house.transaction():
        rehearsed = await rehearsal_dollars_between(office.house.db, *days)
        assert await reserved_dollars(office.house.db) == 0
    assert rehearsed == await office.dollars() > 0


def one(outcome: str, analyst: str | None = None, reason: str | None = None) -> Analysed:
    return Analysed(uuid4(), "a.pdf", outcome, analyst=analyst, reason=reason)


def test_a_drain_tells_who_analysed_how_much_and_what_claude_cost() -> None:
    analysed = [
        *(one("completed", "claude-haiku-5-5") for _ in range(3)),
        one("completed", "offline rules 2", "Claude declined."),
        one("failed", reason="The analyst failed."),
    ]
    assert told(analysed, Decimal("0.0123")) == (
        "5 documents: 3 by claude-haiku-5-5, 1 by offline rules 2, 1 failed. "
        "1 without all that Claude was asked for. Claude cost $0.0123."
    )
    assert told([one("completed", "offline rules 2")], Decimal(0)) == (
        "1 document: 1 by offline rules 2."
    )
    assert told([], Decimal(0)) == "0 documents."
