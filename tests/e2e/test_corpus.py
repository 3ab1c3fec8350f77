"""A file of every kind, sound and broken, through everything; `make bench-corpus` reads 1,000."""

import asyncio
from pathlib import Path

from bench.corpus.broken import BROKEN
from bench.corpus.making import write_corpus
from bench.corpus.sound import SOUND
from bench.corpus.truth import FILES
from bench.corpus.verdicts import Found, compare, found_in
from bench.corpus_reading import drop
from sql.connection import Connection
from sql.jobs import count_queue
from stack.embedded import Stack
from tests.e2e.conftest import eventually

INBOX = "raw/corpus/"


async def test_a_file_of_every_kind_ends_as_its_truth_says(
    stack: Stack, empty: None, db: Connection, tmp_path: Path
) -> None:
    kinds = len(SOUND) + len(BROKEN)
    entries = list(write_corpus(tmp_path, documents=kinds + 3, seed=5, too_complex=False))
    others = (await found_in(db, INBOX)).documents.keys()
    await asyncio.to_thread(drop, stack, tmp_path / FILES, entries, inbox=INBOX)

    async def all_ended() -> bool:
        cursor = await db.execute(
            "select count(*) from aseagi.arrivals "
            "where starts_with(key, %s) and state <> 'noticed'",
            (INBOX,),
        )
        counts = await count_queue(db)
        under_way = counts.arrivals_waiting + counts.jobs_queued + counts.jobs_processing
        return await cursor.fetchone() == (len(entries),) and under_way == 0

    await eventually(all_ended, pause=0.5)
    found = await found_in(db, INBOX)
    documents = {one: found.documents[one] for one in found.documents.keys() - others}
    verdicts = compare(entries, Found(documents, found.arrivals))
    assert verdicts.wrong == []
    assert len(verdicts.by_kind) >= kinds
