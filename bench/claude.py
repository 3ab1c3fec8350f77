"""Hundreds of documents through every lane of the Claude analyst, with faults and SIGKILLs.

    python -m bench.claude --documents 500

Real are Postgres, S3, the drains (processes of their own, killed at random moments) and the
official SDK; the API is the rehearsal, which fails at random: busy, broken, cut lines before and
after the answer, batches created whose creation is not confirmed, results in part, answers cut
short, refused or out of form. Documents are letters of one page and of many, some of them
scans whose pictures are sent. Time passes by moving timestamps.

At the end every document has ended exactly once; for every answer received the ledger has the
tokens that the rehearsal served; no batch was made, and no request of one served, twice
(`tests.tasks.claude.chaos.check_the_books`, which fails otherwise).
"""

import argparse
import asyncio
import random
import tempfile
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from uuid import UUID

from psycopg import AsyncConnection
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from bench.results import Figure, write_results
from bench.throughput import letter as letter_image
from blocks.object_storage import ObjectStorage, make_credentials
from schema.lanes import Lane
from sql.connection import connect, make_pool
from sql.migrate import migrate
from stack.object_store import PORT_NAMES, prepare_bucket, spawn_object_store
from stack.postgres import start_postgres
from stack.processes import wait_all_ready
from stack.servers import reserve_ports
from tests.sql.house import House
from tests.stack.claude.conftest import open_site, settings_in
from tests.tasks.claude.chaos import FAULTS, Books, Chaos, Seen, check_the_books, for_ever
from tests.tasks.claude.office import Office, letter

BUCKET = "aseagi"
LANES = (Lane.NOW, Lane.BULK, Lane.BULK, Lane.NIGHTLY, Lane.NIGHTLY)
PAGES = (1, 1, 1, 1, 1, 2, 3, 5, 12, 25)
SCAN_EVERY = 7
"""One document in so many is a scan of one page, whose picture is sent."""
LONGEST_SECONDS = 1500.0
READY_SECONDS = 60.0

console = Console()


@dataclass(frozen=True, slots=True)
class Report:
    """What happened."""

    pages: int
    seen: Seen
    books: Books
    by: Counter[str]
    """Documents by who analysed them, and whether something is missing."""
    dollars: Decimal
    uncertain_dollars: Decimal


async def add_documents(office: Office, count: int, chance: random.Random) -> list[UUID]:
    """Take in the documents; the bytes of scans are in the bucket."""
    client = office.storage.client()
    added: list[UUID] = []
    for number in range(count):
        lane = LANES[number % len(LANES)]
        if number % SCAN_EVERY:
            pages = chance.choice(PAGES)
            texts = [letter(1_000 * number + page) for page in range(pages)]
            added.append(await office.add(*texts, lane=lane))
            continue
        document = await office.add(letter(1_000 * number), lane=lane)
        path = await office.house.one(
            "update aseagi.documents set media_type = 'image/png' where id = %s "
            "returning s3_processed_path",
            document,
        )
        await office.house.change(
            "update aseagi.pages set source = 'ocr' where document_id = %s", document
        )
        client.put_object(Bucket=BUCKET, Key=path, Body=letter_image(number))
        added.append(document)
    return added


@asynccontextmanager
async def open_office(folder: Path, seed: int) -> AsyncGenerator[Office]:
    """Postgres, S3 and the rehearsal, and an office that uses them."""
    ports = reserve_ports(folder, PORT_NAMES)
    store = spawn_object_store(folder / "s3", ports, bucket=BUCKET)
    postgres = start_postgres(folder / "postgres")
    site = open_site(
        settings_in(
            folder / "claude",
            answerer="tests.tasks.claude.answerers:FormFiller",
            batch_seconds=1.0,
            fault_seed=seed,
        )
    )
    try:
        wait_all_ready([store.child], READY_SECONDS, lambda _: None)
        prepare_bucket(store.client(), BUCKET)
        postgres.create_database_if_missing("bench")
        migrate(postgres.dsn("bench"))
        storage = ObjectStorage(
            credentials=make_credentials(
                endpoint_url=store.endpoint_url,
                region="us-east-1",
                access_key=store.access_key,
                secret_key=SecretStr(store.secret_key),
            ),
            bucket=BUCKET,
        )
        app_dsn = postgres.dsn("bench", "aseagi_app")
        async with (
            connect(app_dsn) as db,
            await AsyncConnection.connect(postgres.dsn("bench"), autocommit=True) as owner,
            make_pool(app_dsn, max_size=4) as pool,
        ):
            yield Office(House(app_dsn, db, owner), site, pool, storage)
    finally:
        site.running.stop()
        store.stop()
        postgres.stop()


async def bench(documents: int, kills: int, seed: int) -> Report:
    """Run everything and compare the books; raises `AssertionError` where they differ."""
    chance = random.Random(seed)  # noqa: S311 - reproducible luck, not secrets
    with tempfile.TemporaryDirectory(prefix="aseagi-bench-") as name:
        async with open_office(Path(name), seed) as office:
            console.print(f"taking in {documents} documents")
            added = await add_documents(office, documents, chance)
            await office.open_night()
            office.site.order(*for_ever(FAULTS))
            chaos = Chaos(office, chance)
            telling = asyncio.create_task(_tell(office, chaos))
            try:
                seen = await chaos.run(kills=kills, longest_seconds=LONGEST_SECONDS)
            finally:
                telling.cancel()
            books = await check_the_books(office, added)
            rows = await office.house.rows(
                """
                select split_part(coalesce(document.analysis ->> 'analyst', 'nobody'), ' ', 1),
                    coalesce(job.results #>> '{analysis_failure,reason}', ''), count(*)
                from aseagi.documents document
                join aseagi.processing_jobs job on job.document_id = document.id group by 1, 2
                """
            )
            by: Counter[str] = Counter()
            for analyst, failure, count in rows:
                by[f"by {analyst}{', something missing' if failure else ''}"] += count
            return Report(
                pages=await office.house.one("select count(*) from aseagi.pages"),
                seen=seen,
                books=books,
                by=by,
                dollars=await office.dollars(),
                uncertain_dollars=await office.house.one(
                    "select coalesce(sum(reserved_dollars), 0) from aseagi.claude_calls "
                    "where state = 'uncertain'"
                ),
            )


async def _tell(office: Office, chaos: Chaos) -> None:
    while True:
        await asyncio.sleep(5)
        left = await office.unfinished()
        console.print(f"{left} documents left, {chaos.seen.kills} drains killed")


def _show(documents: int, report: Report) -> None:
    table = Table(title="Rehearsal, no money", show_header=False)
    rows: list[tuple[str, object]] = [
        ("documents, each ended once", documents),
        ("  completed", report.books.completed),
        ("  failed: three drains were killed over it", report.books.killed_thrice),
        ("pages", report.pages),
        *sorted(report.by.items()),
        ("drains started", report.seen.drains),
        ("  of them killed", report.seen.kills),
        ("  overtaken by the next, alive", report.seen.overtaken),
        ("answers served", report.books.served),
        ("  in the ledger, token for token", report.books.recorded),
        ("  never received: cut, or the drain was killed", report.books.never_received),
        ("  served in batches, each once", report.books.served_in_batches),
        ("batches in the account, all ours", report.books.batches_of_account),
        *((f"calls: {what}", count) for what, count in sorted(report.books.calls.items())),
        ("charged", f"${report.dollars:.4f}"),
        ("set aside for answers lost", f"${report.uncertain_dollars:.4f}"),
        ("seconds", f"{report.seen.seconds:.0f}"),
    ]
    for what, value in rows:
        table.add_row(what, str(value))
    console.print(table)


def main() -> None:
    """Run the bench and print what it saw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=500)
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    report = asyncio.run(bench(options.documents, options.kills, options.seed))
    _show(options.documents, report)
    write_results(
        "claude",
        {
            "documents": Figure(options.documents, "documents"),
            "completed": Figure(report.books.completed, "documents"),
            "killed_thrice": Figure(report.books.killed_thrice, "documents"),
            "pages": Figure(report.pages, "pages"),
            "kills": Figure(report.seen.kills, "kills"),
            "served": Figure(report.books.served, "answers"),
            "recorded": Figure(report.books.recorded, "answers"),
            "never_received": Figure(report.books.never_received, "answers"),
            "batches": Figure(report.books.batches_of_account, "batches"),
            "seconds": Figure(report.seen.seconds, "s"),
        },
    )


if __name__ == "__main__":
    main()
