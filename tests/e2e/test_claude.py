"""Claude as the analyst of a whole stack: scans read, sent with pictures, analysed, charged."""

import os
import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from pydantic import SecretStr

from bench.throughput import letter
from blocks.claude import Claude
from blocks.database import Database
from blocks.loading import NAME, load
from sql.connection import Connection
from sql.drains import is_held
from stack.embedded import Stack
from tests.e2e.conftest import all_completed, drop, eventually
from tests.stack.claude.conftest import Site, open_site, settings_in

ANSWERER = "tests.tasks.claude.answerers:FormFiller"


@pytest.fixture(scope="module")
async def claude(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Site]:
    """A rehearsal of Claude that analyses the documents of the stack while these tests run."""
    folder = tmp_path_factory.mktemp("claude")
    site = open_site(settings_in(folder, answerer=ANSWERER, batch_seconds=1.0))
    try:
        # A drain without Claude ends within seconds of this.
        block = Claude(api_key=SecretStr(site.running.api_key), url=site.running.url)
        await block.asave(NAME)
        await eventually(_no_drain)
        yield site
    finally:
        await Claude.adelete(NAME)
        await eventually(_no_drain)
        site.running.stop()


async def _no_drain() -> bool:
    database = await load(Database)
    async with database.connect() as db:
        return not await is_held(db, "analyse")


async def test_scans_dropped_into_the_bucket_are_analysed_by_claude_with_their_pictures(
    stack: Stack, empty: None, claude: Site, db: Connection
) -> None:
    drop(stack, "by-claude", 6)
    await eventually(lambda: all_completed(db, "by-claude", 6))
    cursor = await db.execute(
        """
        select count(*), bool_and(document.analysis ->> 'analyst' = 'claude-haiku-5-5'),
            bool_and(job.results ->> 'analysis_failure' is null),
            (select count(*) from aseagi.charges where kind = 'llm' and document_id in (
                select id from aseagi.documents where matter = 'by-claude'))
        from aseagi.documents document
        join aseagi.processing_jobs job on job.document_id = document.id
        where document.matter = 'by-claude'
        """
    )
    assert await cursor.fetchone() == (6, True, True, 6)
    # A picture of a page of 850 by 1100 pixels is 31 by 40 patches; the text is far shorter.
    assert all(
        row["input_tokens"] + row["cache_creation_5m_input_tokens"] > 31 * 40
        for row in claude.served()
        if row["batch_id"] is None
    )


async def test_what_was_added_for_the_night_is_analysed_in_a_batch_when_a_person_wants_it(
    stack: Stack, empty: None, claude: Site, db: Connection, tmp_path: Path
) -> None:
    folder = tmp_path / "for-the-night"
    folder.mkdir()
    for number in range(4):
        (folder / f"{number}.png").write_bytes(letter(51_000 + number))
    _aseagi(stack, "add", "--lane", "nightly", str(folder))
    _aseagi(stack, "process", "--wait", "--timeout-minutes", "8")
    assert await all_completed(db, "for-the-night", 4)
    served = [row for row in claude.served() if row["batch_id"] is not None]
    assert len(served) == 4
    cursor = await db.execute(
        "select count(*), count(distinct batch) from aseagi.claude_calls where batch is not null"
    )
    row = await cursor.fetchone()
    assert row is not None
    assert row[0] == 4


def _aseagi(stack: Stack, *arguments: str) -> str:
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
