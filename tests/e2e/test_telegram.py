"""Telegram through a whole stack: a photo becomes a document that was read and analysed."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from blocks.loading import NAME
from blocks.telegram import Telegram
from sql.connection import Connection
from stack.embedded import READY_SECONDS, Stack
from tests.e2e.conftest import eventually
from tests.stack.telegram.people import Person, Town, open_town, photo, settings_in

SECRET = "a-secret-of-the-webhook"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Generator[Town]:
    running = open_town(settings_in(tmp_path_factory.mktemp("telegram")))
    yield running
    running.running.stop()


async def test_a_photo_sent_to_the_bot_is_answered_with_its_analysis_and_a_link(
    stack: Stack, empty: None, town: Town, db: Connection, tmp_path: Path
) -> None:
    ada = town.person()
    block = Telegram(
        bot_token=SecretStr(town.running.bot_token),
        webhook_secret=SecretStr(SECRET),
        allowed_user_ids=[ada.id],
        api_url=town.url,
    )
    await block.asave(NAME)
    try:
        await restart_gateway(stack)
        said = await asyncio.to_thread(aseagi, stack, "telegram", "set-webhook")
        assert "@aseagi_rehearsal_bot delivers to" in said
        content = photo(77_001)
        ada.photographs(content, caption="#by-telegram from my phone")
        told = await heard(ada, "the original (until")
        assert "1 page" in told
        assert "by-telegram" in told
        [link] = ada.links()
        async with httpx.AsyncClient(trust_env=False, timeout=60) as anybody:
            assert (await anybody.get(link)).content == content
        cursor = await db.execute(
            """
            select arrival.source, arrival.submitted_by, arrival.note, job.status, job.lane::text
            from aseagi.arrivals arrival join aseagi.documents document
                on document.id = arrival.document_id
            join aseagi.processing_jobs job on job.document_id = document.id
            where document.matter = 'by-telegram'
            """
        )
        assert await cursor.fetchall() == [("telegram", "Ada", "from my phone", "completed", "now")]
        ada.writes("/cost")
        await heard(ada, "Of the budget of $")
        status = await asyncio.to_thread(aseagi, stack, "telegram", "status")
        assert f"may use it: {ada.id}" in status
        removed = await asyncio.to_thread(aseagi, stack, "telegram", "remove-webhook")
        assert "delivers nothing any more" in removed
    finally:
        await Telegram.adelete(NAME)
        await restart_gateway(stack)


def aseagi(stack: Stack, *arguments: str) -> str:
    """Run a command as a person does; what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", *arguments],
        env={**os.environ, **stack.environment},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


async def restart_gateway(stack: Stack) -> None:
    """Start the gateway again: it reads its blocks when it starts."""
    await asyncio.to_thread(stack.gateway.stop)
    stack.gateway.start()
    await asyncio.to_thread(stack.gateway.wait_ready, READY_SECONDS)


async def heard(person: Person, words: str) -> str:
    """What the bot said that has these words."""

    async def look() -> str | None:
        texts = await asyncio.to_thread(person.texts)
        return next((text for text in texts if words in text), None)

    try:
        found = await eventually(look)
    except AssertionError:
        raise AssertionError(f"not heard: {words}; but: {person.texts()}") from None
    assert found is not None
    return found
