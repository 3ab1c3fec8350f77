"""What waits for the night: batches at half the price, created once whatever happens."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from uuid import uuid4

import pytest

from schema.claude import Outcome, Usage
from schema.lanes import Lane
from sql.claude import abandon_all, batch_void
from sql.jobs import claim_for_analysis, count_ready_for_analysis
from tasks.claude.analyst import Analyst
from tasks.claude.batches import Batches
from tasks.claude.nights import NightPlan
from tasks.claude.pricing import price
from tasks.drains import Drain
from tests.sql.house import TTL
from tests.tasks.claude.office import LETTER, QUICK, Office, letter


async def batches(office: Office) -> dict[str, int]:
    rows = await office.house.rows("select state, count(*) from aseagi.claude_batches group by 1")
    return {row[0]: row[1] for row in rows}


def created(office: Office) -> int:
    """Batches in the account, whoever made them."""
    return len(list(office.site.client.messages.batches.list(limit=1000)))


async def paid(office: Office) -> list[tuple[Usage, bool, Decimal]]:
    """What each answer used, whether it came in a batch, and what it cost."""
    rows = await office.house.rows(
        """
        select input_tokens, output_tokens, cache_write_tokens, cache_read_tokens,
            batch is not null, dollars
        from aseagi.claude_calls where state = 'served'
        """
    )
    return [(Usage(*row[:4]), row[4], row[5]) for row in rows]


async def test_the_nights_documents_are_analysed_in_one_batch_at_half_the_price(
    office: Office,
) -> None:
    before, served_before = created(office), office.site.totals()["messages"]
    documents = await office.add_letters(6, lane=Lane.NIGHTLY)
    await office.add(letter(99))
    await office.open_night()
    await office.drain_until_done()
    for document in documents:
        assert (await office.analysis(document)).analyst == "claude-haiku-5-5"
    assert await batches(office) == {"ended": created(office) - before}
    assert await office.ledger() == office.served(after=served_before)
    answers = await paid(office)
    assert sorted(in_batch for _, in_batch, _ in answers) == [False] + [True] * 6
    for usage, in_batch, dollars in answers:
        assert dollars == price(usage, office.block.terms, in_batch=in_batch)
        assert in_batch == (dollars < price(usage, office.block.terms, in_batch=False))


async def test_a_long_document_goes_through_several_batches(office: Office) -> None:
    office.settings["pages_per_call"] = 2
    document = await office.add(*(letter(number) for number in range(5)), lane=Lane.NIGHTLY)
    await office.open_night()
    await office.drain_until_done()
    assert await batches(office) == {"ended": 2}
    assert await office.calls() == {"served answered": 4}
    assert (await office.analysis(document)).analyst == "claude-haiku-5-5"


async def test_a_document_begun_at_night_is_finished_by_day(office: Office) -> None:
    document = await office.add(LETTER, lane=Lane.NIGHTLY)
    await office.open_night()
    await office.drain()
    await office.house.change("update aseagi.controls set night_until = now()")
    await office.drain_until_done()
    assert (await office.analysis(document)).analyst == "claude-haiku-5-5"


@pytest.mark.parametrize("kind", ["commit-then-drop", "commit-then-500"])
async def test_a_batch_whose_creation_was_not_confirmed_is_found_and_not_paid_twice(
    office: Office, kind: str
) -> None:
    before = created(office)
    office.site.order({"on": "create", "kind": kind})
    await office.add_letters(3, lane=Lane.NIGHTLY)
    await office.open_night()
    await office.drain_until_done()
    assert await office.calls() == {"served answered": 3}
    assert await batches(office) == {"ended": created(office) - before}


async def test_a_batch_is_found_although_its_results_are_cut_short_at_first(
    office: Office,
) -> None:
    before = created(office)
    office.site.order(
        {"on": "create", "kind": "commit-then-drop"}, {"on": "results", "kind": "cut", "times": 2}
    )
    await office.add_letters(1, lane=Lane.NIGHTLY)
    await office.open_night()
    await office.drain_until_done()
    assert created(office) == before + 1
    assert await office.calls() == {"served answered": 1}


async def test_a_drain_that_dies_before_its_batch_is_made_does_not_count_as_a_try(
    office: Office,
) -> None:
    [document] = await office.add_letters(1, lane=Lane.NIGHTLY)
    await office.open_night()
    drain = Drain()
    async with office.caller(drain) as caller:
        analyst = Analyst(caller, office.storage)
        night = NightPlan(analyst, Batches(caller), caller)
        for _ in range(5):
            async with office.house.transaction():
                [job] = await claim_for_analysis(
                    office.house.db, holder=drain.holder, limit=1, ttl=TTL, lanes=list(Lane)
                )
            assert job.attempts == 1
            assert await night.plan(job) is None
            await office.house.change(
                "update aseagi.processing_jobs set claimed_until = now() - interval '1 second'"
            )
    await office.drain_until_done()
    assert (await office.analysis(document)).analyst == "claude-haiku-5-5"


async def test_a_batch_of_another_program_is_not_taken_for_ours(office: Office) -> None:
    office.site.order({"on": "create", "kind": "drop"})
    await office.add_letters(1, lane=Lane.NIGHTLY)
    await office.open_night()
    await office.drain()
    params = {
        "model": "claude-haiku-5-5",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": "Something else"}],
    }
    foreign = office.site.batch({"custom_id": "theirs", "params": params})  # type: ignore[typeddict-item]
    office.site.ended(foreign.id)
    await office.house.change(
        "update aseagi.claude_batches set created_at = created_at - interval '2 minutes'"
    )
    await office.drain_until_done()
    # Ours was never created: after a while it is, under another intent.
    assert await batches(office) == {"void": 1, "ended": 1}
    assert await office.calls() == {"unserved error": 1, "served answered": 1}


async def test_batches_refused_for_hours_are_waited_for_and_nothing_is_given_up(
    office: Office,
) -> None:
    office.site.order({"on": "create", "kind": "429", "seconds": 900, "times": 5})
    [document] = await office.add_letters(1, lane=Lane.NIGHTLY)
    await office.open_night()
    for _ in range(5):
        await office.drain()
        assert "takes no more requests" in (await office.waits_for(document) or "")
        minutes = await office.house.one(
            "select extract(epoch from max(waits_until) - now()) / 60 from aseagi.processing_jobs"
        )
        assert minutes > 14, "as long as the API asked for"
        await office.no_longer_wait()
    await office.drain_until_done()
    assert await office.calls() == {"unserved rate limited": 5, "served answered": 1}


async def test_a_batch_that_is_refused_is_void_and_its_documents_wait(office: Office) -> None:
    office.site.order({"on": "create", "kind": "429", "seconds": 0})
    [document] = await office.add_letters(1, lane=Lane.NIGHTLY)
    await office.open_night()
    await office.drain()
    assert await batches(office) == {"void": 1}
    assert "takes no more requests" in (await office.waits_for(document) or "")
    await office.no_longer_wait()
    await office.drain_until_done()
    assert await batches(office) == {"void": 1, "ended": 1}


@pytest.mark.parametrize("kind", ["partial", "cut"])
async def test_results_that_come_in_part_are_completed_at_another_look(
    office: Office, kind: str
) -> None:
    office.site.order({"on": "results", "kind": kind})
    await office.add_letters(6, lane=Lane.NIGHTLY)
    await office.open_night()
    await office.drain_until_done()
    assert await office.calls() == {"served answered": 6}
    assert await batches(office) == {"ended": 1}


@pytest.mark.parametrize(
    ("kind", "left"),
    [
        ("errored", "unserved error"),
        ("expired", "unserved expired"),
        ("truncated", "served truncated"),
        ("refusal", "served refused"),
        ("schema-invalid", "served invalid"),
    ],
)
async def test_what_fails_in_a_batch_is_that_documents_alone(
    office: Office, kind: str, left: str
) -> None:
    office.site.order({"on": "item", "kind": kind, "match": {"text": "Our file 00001"}})
    documents = await office.add_letters(3, lane=Lane.NIGHTLY)
    await office.open_night()
    await office.drain_until_done()
    calls = await office.calls()
    assert calls[left] == 1
    assert calls["served answered"] == (2 if kind in {"refusal", "truncated"} else 3)
    for document in (documents[0], documents[2]):
        assert await office.failure(document) is None


async def test_a_request_that_always_fails_in_batches_is_given_up(office: Office) -> None:
    office.site.order({"on": "item", "kind": "expired", "times": None})
    [document] = await office.add_letters(1, lane=Lane.NIGHTLY)
    await office.open_night()
    await office.drain_until_done()
    assert await office.calls() == {"unserved expired": 3}
    assert "ended again and again" in (await office.failure(document) or "")
    assert (await office.analysis(document)).analyst.startswith("offline rules")


async def test_a_limit_lets_the_nights_documents_wait(office: Office) -> None:
    office.settings["monthly_limit_dollars"] = 0.001
    documents = await office.add_letters(3, lane=Lane.NIGHTLY)
    await office.open_night()
    await office.drain()
    for document in documents:
        assert "monthly_limit_dollars" in (await office.waits_for(document) or "")
    assert await office.calls() == {}
    assert await batches(office) == {}


async def test_as_many_of_the_nights_documents_are_asked_about_as_the_limit_bears(
    office: Office,
) -> None:
    # What a question may cost at most is set aside for each until it is answered.
    office.settings["monthly_limit_dollars"] = 0.03
    documents = await office.add_letters(8, lane=Lane.NIGHTLY)
    await office.open_night()
    await office.drain()
    # A drain that takes long sees answers come, and asks about more.
    asked = await office.house.one(
        "select size from aseagi.claude_batches order by created_at limit 1"
    )
    assert 0 < asked < len(documents)
    urgent = await office.add(letter(99), lane=Lane.NOW)
    office.settings["monthly_limit_dollars"] = 0.045
    await office.drain()
    assert (await office.analysis(urgent)).analyst == "claude-haiku-5-5"
    while await office.unfinished():
        await office.no_longer_wait()
        await office.drain()
    assert await office.calls() == {"served answered": 9}


async def test_a_batch_given_up_while_it_was_still_being_created_is_recorded_all_the_same(
    office: Office,
) -> None:
    office.site.order({"on": "create", "kind": "slow", "seconds": 1})
    before = office.site.totals()["messages"]
    await office.add_letters(2, lane=Lane.NIGHTLY)
    await office.open_night()
    draining = asyncio.create_task(office.drain())
    await office.until_asked()
    batch = await office.house.one("select id from aseagi.claude_batches")
    async with office.house.transaction():
        await batch_void(office.house.db, batch, Outcome.UNREACHABLE)
    await draining
    await office.drain_until_done()
    assert await office.ledger() == office.served(after=before)
    assert "void" not in await batches(office)


async def test_a_batch_that_was_just_found_is_not_given_up_by_who_did_not_see_it(
    office: Office,
) -> None:
    before = office.site.totals()["messages"]
    office.patience = replace(office.patience, first_look=600)
    await office.add_letters(2, lane=Lane.NIGHTLY)
    await office.open_night()
    await office.drain()
    async with office.house.transaction():
        batch = await office.house.one("select id from aseagi.claude_batches")
        await batch_void(office.house.db, batch, Outcome.ERROR)
    assert await batches(office) == {"submitted": 1}
    await office.house.change("update aseagi.claude_batches set look_at = now()")
    office.patience = QUICK
    await office.drain_until_done()
    assert await office.ledger() == office.served(after=before)


async def test_an_answer_costs_what_its_own_model_does_whatever_the_block_names_by_then(
    office: Office,
) -> None:
    office.patience = replace(office.patience, first_look=600)
    await office.add_letters(1, lane=Lane.NIGHTLY)
    await office.open_night()
    await office.drain()
    asked = office.block.terms
    office.settings["model"] = "claude-opus-5-5"
    office.patience = QUICK
    await office.house.change("update aseagi.claude_batches set look_at = now()")
    await office.drain_until_done()
    rows = await office.house.rows(
        "select input_tokens, output_tokens, cache_write_tokens, cache_read_tokens, dollars "
        "from aseagi.claude_calls where model = 'claude-haiku-5-5' and state = 'served'"
    )
    assert [row[4] for row in rows] == [
        price(Usage(*row[:4]), asked, in_batch=True) for row in rows
    ]
    assert len(rows) == 1


async def test_without_claude_what_was_in_a_batch_goes_on_by_rules(office: Office) -> None:
    office.patience = replace(office.patience, first_look=600)
    [document] = await office.add_letters(1, lane=Lane.NIGHTLY)
    await office.open_night()
    await office.drain()
    async with office.house.transaction():
        assert await count_ready_for_analysis(office.house.db, lanes=list(Lane)) == 0
        assert await abandon_all(office.house.db) == 1
        [job] = await claim_for_analysis(
            office.house.db, holder=uuid4(), limit=1, ttl=TTL, lanes=list(Lane)
        )
    assert job.document_id == document
    assert await office.calls() == {"uncertain lost": 1}


async def test_a_batch_that_cannot_be_read_stops_nothing_else(office: Office) -> None:
    office.site.order({"on": "read", "kind": "500", "times": None})
    await office.add_letters(1, lane=Lane.NIGHTLY)
    await office.open_night()
    await office.drain()
    by_day = await office.add(letter(7), lane=Lane.NOW)
    await office.drain()
    assert (await office.analysis(by_day)).analyst == "claude-haiku-5-5"


async def test_a_long_document_is_asked_about_as_its_limit_bears(office: Office) -> None:
    # All of its questions together may cost more than its limit; one after the other they do not.
    office.settings |= {"document_limit_dollars": 0.02, "pages_per_call": 1}
    document = await office.add(*(letter(number) for number in range(9)), lane=Lane.NIGHTLY)
    await office.open_night()
    await office.drain_until_done()
    assert (await office.analysis(document)).analyst == "claude-haiku-5-5"
    assert await office.calls() == {"served answered": 10}
    assert await office.dollars() < Decimal("0.02")


async def test_a_dear_document_is_left_out_of_the_batch(office: Office) -> None:
    office.settings |= {"document_limit_dollars": 0.012, "pages_per_call": 1}
    dear = await office.add(*(letter(number) * 9 for number in range(30)), lane=Lane.NIGHTLY)
    [cheap] = await office.add_letters(1, lane=Lane.NIGHTLY)
    await office.open_night()
    for _ in range(100):
        if await office.house.job(cheap) == ("completed", "done"):
            break
        await office.drain(linger_seconds=0.05)
    assert "document_limit_dollars" in (await office.waits_for(dear) or "")
    assert (await office.analysis(cheap)).analyst == "claude-haiku-5-5"
