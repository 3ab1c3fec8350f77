"""A gateway that is killed at any instant: every document once, every chat answered."""

import asyncio
import json
import random
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

from stack.processes import plain_environment
from tests.gateway.telegram.office import Office, eventually
from tests.stack.telegram.people import Person, photo

HOME = Path(__file__).parents[3]
KILLS = 8


async def start(office: Office) -> Process:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.gateway.telegram.program"),
        stdin=PIPE,
        stdout=PIPE,
        cwd=HOME,
        env=plain_environment(),
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(office.told).encode())
    process.stdin.close()
    assert (await process.stdout.readline()).strip() == b"ready"
    return process


def send_everything(people: list[Person]) -> None:
    """Ten updates of each of four people: six photos and an album of three, and a question."""
    for round_ in range(10):
        for number, person in enumerate(people):
            serial = 1000 * number + round_
            if round_ < 6:
                person.photographs(photo(serial), caption="#killed")
            elif round_ < 9:
                person.photographs(photo(serial), album=f"album-{person.id}", caption="#killed")
            else:
                person.writes("/status")


def documents_told(person: Person) -> int:
    """Of how many documents the final messages of a chat tell."""
    texts = [text for text in person.texts() if "the original (until" in text]
    digests = [re.match(r"([\d,]+) done", text) for text in person.texts()]
    return len(set(texts)) + sum(int(one[1]) for one in digests if one)


async def test_a_gateway_killed_again_and_again_does_everything_once_and_answers_every_chat(
    closed_office: Office,
) -> None:
    office, luck = closed_office, random.Random(7)  # noqa: S311 - when to kill is no secret
    people = [office.ada, *(office.town.person(name) for name in ("Bea", "Cy", "Dan"))]
    office.settings = {
        "allowed_user_ids": [person.id for person in people],
        # Longer than Telegram waits until it delivers again.
        "album_seconds": 5.0,
    }
    gateway = await start(office)
    office.set_webhook()
    send_everything(people)

    async def house() -> None:
        while True:
            await office.do_everything()
            await asyncio.sleep(0.2)

    working = asyncio.create_task(house())
    try:
        for _ in range(KILLS):
            await asyncio.sleep(luck.uniform(0.0, 2.5))
            gateway.send_signal(signal.SIGKILL)
            await gateway.wait()
            gateway = await start(office)

        async def done() -> bool:
            return await office.house.one(
                """
                select (select count(*) from aseagi.telegram_updates) = 40
                    and not exists (select from aseagi.telegram_updates where settled_at is null)
                    and not exists (select from aseagi.telegram_replies where ended_at is null)
                    and not exists (select from aseagi.telegram_messages
                        where given_up is not null or shown is distinct from wanted)
                """
            )

        await eventually(done)
    finally:
        working.cancel()
        gateway.kill()
        await gateway.wait()
        await asyncio.gather(working, return_exceptions=True)

    refused = "select name, refused from aseagi.telegram_files where refused is not null"
    assert await office.house.rows(refused) == []
    arrivals = await office.arrivals()
    assert len(arrivals) == 4 * 7
    assert len(await office.documents()) == 4 * 7
    assert [pages for *_, pages in await office.documents()].count(3) == 4
    listed = office.store.client().list_objects_v2(Bucket="telegram", Prefix="uploads/killed/")
    assert {key for key, _, _ in arrivals} == {one.get("Key") for one in listed.get("Contents", [])}
    for person in people:
        assert documents_told(person) >= 7, person.texts()
        assert any("Documents:" in text for text in person.texts())
