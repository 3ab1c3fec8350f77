"""SIGKILL at the worst moments: nothing is paid twice, and everything ends once."""

import random
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from schema.lanes import Lane
from sql.connection import make_pool
from tests.sql.house import House
from tests.stack.claude.conftest import Open
from tests.tasks.claude.chaos import FAULTS, Chaos, check_the_books, for_ever
from tests.tasks.claude.conftest import ANSWERER
from tests.tasks.claude.office import Office, letter, storage_nowhere

LANES = (Lane.NOW, Lane.BULK, Lane.NIGHTLY, Lane.NIGHTLY)


def chaos_in(office: Office, *, seed: int) -> Chaos:
    return Chaos(office, random.Random(seed))  # noqa: S311 - reproducible luck, not secrets


@pytest.fixture
async def office(house: House, open_claude: Open, tmp_path: Path) -> AsyncGenerator[Office]:
    """An office whose Claude has never been asked anything."""
    site = open_claude(answerer=ANSWERER, fault_seed=7, batch_seconds=0.3)
    async with make_pool(house.app_dsn, max_size=4) as pool:
        yield Office(house, site, pool, storage_nowhere())


async def test_a_drain_killed_while_a_batch_is_created_does_not_lead_to_a_second_batch(
    office: Office,
) -> None:
    documents = await office.add_letters(5, lane=Lane.NIGHTLY)
    await office.open_night()
    # The batch is made at once, and the answer comes far too late.
    office.site.order({"on": "create", "kind": "slow", "seconds": 60})
    chaos = chaos_in(office, seed=1)
    process = await chaos.start()
    while not list(office.site.client.messages.batches.list(limit=1)):
        assert process.returncode is None
    await chaos.kill(process)
    assert chaos.seen.kills == 1
    await chaos.run(kills=0, longest_seconds=500)
    books = await check_the_books(office, documents)
    assert books.batches_of_account == 1
    assert books.calls == {"served answered": 5}


async def test_a_drain_killed_between_question_and_answer_leaves_a_call_marked_lost(
    office: Office,
) -> None:
    [document] = await office.add_letters(1)
    office.site.order({"on": "messages", "kind": "slow", "seconds": 60})
    chaos = chaos_in(office, seed=1)
    process = await chaos.start()
    while not office.site.served():
        assert process.returncode is None
    await chaos.kill(process)
    await chaos.run(kills=0, longest_seconds=500)
    books = await check_the_books(office, [document])
    assert books.never_received == 1
    assert books.calls == {"uncertain lost": 1, "served answered": 1}


async def test_documents_of_all_lanes_end_once_through_faults_and_kills(office: Office) -> None:
    office.settings["pages_per_call"] = 3
    chance = random.Random(5)  # noqa: S311 - reproducible luck, not secrets
    documents = [
        await office.add(
            *(letter(100 * number + page) for page in range(chance.choice((1, 1, 1, 2, 7)))),
            lane=LANES[number % len(LANES)],
        )
        for number in range(40)
    ]
    await office.open_night()
    office.site.order(*for_ever(FAULTS))
    seen = await Chaos(office, chance).run(kills=3, longest_seconds=500)
    assert seen.kills > 0
    books = await check_the_books(office, documents)
    assert books.completed > len(documents) // 2
