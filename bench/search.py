"""Search: are the right pages among the first ten, and how long does 100,000 pages take.

    python -m bench.search --pages 100000

60 questions with known answers (`bench/search_corpus.py`), by full text alone (all words, as
`aseagi search --words`; any word), by meaning alone, and fused, over 2,000 pages, over 2,000
pages that are mostly about other matters, and over all of them. Recall is the share of a
question's answers among the first ten pages. The times are those of the whole call, the query's
embedding included, on the embedded Postgres with one client. Exits with 1 if fused beats neither
or the median is over the limit.
"""

import argparse
import asyncio
import hashlib
import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psycopg
from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench.results import Figure, write_results
from bench.search_corpus import Corpus, Kind, make_corpus
from schema.lanes import Lane
from sql.connection import Connection, connect
from sql.documents import NewDocument, insert_document
from sql.embeddings import lacks_embeddings, store_embeddings
from sql.migrate import migrate
from sql.search import Filters, Hit, meant, search_pages, search_words
from stack.postgres import Postgres, start_postgres
from tasks.meaning import MODEL, embed

LIMIT_SECONDS = 0.1
FIRST = 10
FEW_PAGES = 2000
PAGES_PER_DOCUMENT = 5
MATTERS = 20
REPEATS = 3
COMMON = ("deposit", "payment due", "insurer", "court", "report dated")
"""Queries whose words stand on many pages, up to a quarter of them."""
DOCUMENTS_AT_ONCE = 200

console = Console()

Search = Callable[[Connection, str], Awaitable[list[Hit]]]


async def all_words(db: Connection, query: str) -> list[Hit]:
    """Full text alone."""
    return await search_words(db, query, limit=FIRST)


async def any_word(db: Connection, query: str) -> list[Hit]:
    """Full text alone, of a person who writes `or` between the words."""
    return await search_words(db, query if '"' in query else _with_or(query), limit=FIRST)


async def meaning(db: Connection, query: str) -> list[Hit]:
    """Meaning alone."""
    return await search_pages(
        db, query, embed(meant(query)), model=MODEL, limit=FIRST, by_words=False
    )


async def fused(db: Connection, query: str) -> list[Hit]:
    """Both, as `aseagi search`."""
    return await search_pages(db, query, embed(meant(query)), model=MODEL, limit=FIRST)


async def fused_in_a_matter(db: Connection, query: str) -> list[Hit]:
    """Both, in one matter of twenty."""
    return await search_pages(
        db, query, embed(meant(query)), model=MODEL, filters=Filters(matter="1"), limit=FIRST
    )


def _with_or(query: str) -> str:
    return " or ".join(query.split())


async def fill(dsn: str, corpus: Corpus) -> float:
    """Take the pages in and embed them; seconds of embedding alone."""
    seconds = 0.0
    documents = [
        corpus.pages[first : first + PAGES_PER_DOCUMENT]
        for first in range(0, len(corpus.pages), PAGES_PER_DOCUMENT)
    ]
    async with connect(dsn) as db:
        for start in track(range(0, len(documents), DOCUMENTS_AT_ONCE), "filling", console=console):
            async with db.transaction():
                for place, pages in enumerate(documents[start : start + DOCUMENTS_AT_ONCE], start):
                    began = time.perf_counter()
                    embeddings = [embed(page) for page in pages]
                    seconds += time.perf_counter() - began
                    document_id, _ = await insert_document(db, _document(place, pages))
                    await store_embeddings(db, document_id, embeddings, model=MODEL)
    return seconds


def _document(place: int, pages: Sequence[str]) -> NewDocument:
    digest = hashlib.sha256(str(place).encode()).hexdigest()
    return NewDocument(
        file_hash=digest,
        file_name=f"{place}.pdf",
        media_type="application/pdf",
        size_bytes=1,
        s3_raw_path=f"raw/bench/{place}.pdf",
        s3_processed_path=f"processed/{digest}/original",
        matter=str(place % MATTERS),
        lane=Lane.BULK,
        pages=pages,
    )


async def recall(dsn: str, corpus: Corpus, search: Search) -> dict[Kind | None, float]:
    """The mean recall of each kind of question, and under None of all."""
    shares: defaultdict[Kind | None, list[float]] = defaultdict(list)
    async with connect(dsn) as db:
        for question in corpus.questions:
            hits = await search(db, question.query)
            pages = {
                int(hit.file_name.removesuffix(".pdf")) * PAGES_PER_DOCUMENT + hit.page - 1
                for hit in hits
            }
            share = len(pages & question.answers) / len(question.answers)
            shares[question.kind].append(share)
            shares[None].append(share)
    return {kind: statistics.fmean(values) for kind, values in shares.items()}


async def seconds_of(dsn: str, queries: Sequence[str], search: Search) -> list[float]:
    """How long each search took, quickest first."""
    took: list[float] = []
    async with connect(dsn) as db:
        for _ in range(REPEATS):
            for query in queries:
                began = time.perf_counter()
                await search(db, query)
                took.append(time.perf_counter() - began)
    return sorted(took)


def settle(owner_dsn: str) -> Mapping[str, float]:
    """Leave the database as it is some minutes later; megabytes of what is large in it."""
    with psycopg.connect(owner_dsn, autocommit=True) as owner:
        owner.execute(
            "update aseagi.processing_jobs set status = 'completed', stage = 'done', "
            "completed_at = now()"
        )
        owner.execute("vacuum analyze")
        [(embeddings, pages)] = owner.execute(
            "select pg_total_relation_size('aseagi.page_embeddings') / 1e6, "
            "pg_total_relation_size('aseagi.pages') / 1e6"
        ).fetchall()
    return {"embeddings": float(embeddings), "pages": float(pages)}


def filled(server: Postgres, name: str, corpus: Corpus) -> tuple[str, Mapping[str, float]]:
    """A database with the corpus: its address as the application, and its figures."""
    server.create_database_if_missing(name)
    migrate(server.dsn(name))
    dsn = server.dsn(name, "aseagi_app")
    seconds = asyncio.run(fill(dsn, corpus))
    sizes = settle(server.dsn(name))
    return dsn, {**sizes, "embed_seconds_per_page": seconds / len(corpus.pages)}


async def seconds_to_see_that_nothing_lacks(dsn: str) -> float:
    """What housekeeping asks every minute."""
    async with connect(dsn) as db:
        began = time.perf_counter()
        await lacks_embeddings(db, model=MODEL)
        return time.perf_counter() - began


def main() -> None:
    """Run the bench."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=100_000)
    options = parser.parse_args()
    with suppress(OSError):
        os.nice(5)
    figures: dict[str, Figure] = {}
    with tempfile.TemporaryDirectory(prefix="aseagi-bench-") as folder:
        Path(folder).chmod(0o711)
        server = start_postgres(Path(folder) / "postgres")
        try:
            found = _recalls(server, options.pages, figures)
            median = _times(server, options.pages, figures)
        finally:
            server.stop()
    write_results("search", figures)
    if median > LIMIT_SECONDS or found["fused"] <= max(found["all words"], found["meaning"]):
        raise SystemExit(1)


def _recalls(server: Postgres, many: int, figures: dict[str, Figure]) -> Mapping[str, float]:
    """Print and note the recall of each way; gives that over the first corpus."""
    ways: dict[str, Search] = {
        "all words": all_words,
        "any word": any_word,
        "meaning": meaning,
        "fused": fused,
    }
    corpora = {
        "few": make_corpus(FEW_PAGES),
        "diluted": make_corpus(FEW_PAGES, others=4),
        "many": make_corpus(many),
    }
    overall: dict[str, float] = {}
    for name, corpus in corpora.items():
        dsn, made = filled(server, name, corpus)
        if name == "many":
            figures |= {
                "embeddings_megabytes": Figure(made["embeddings"], "MB"),
                "pages_megabytes": Figure(made["pages"], "MB"),
                "embed_milliseconds_per_page": Figure(made["embed_seconds_per_page"] * 1e3, "ms"),
            }
            del ways["any word"]  # it ranks most of the pages, which takes seconds each
        table = Table("", *(kind.value for kind in Kind), "all")
        for way, search in ways.items():
            shares = asyncio.run(recall(dsn, corpus, search))
            table.add_row(way, *(f"{shares[kind]:.2f}" for kind in Kind), f"{shares[None]:.2f}")
            for kind, share in shares.items():
                what = "all" if kind is None else kind.value
                figures[f"recall_{name}_{way}_{what}".replace(" ", "_")] = Figure(share, "share")
            overall.setdefault(way, shares[None])
        console.print(f"recall@{FIRST}, {name}: {len(corpus.pages)} pages", table)
    return overall


def _times(server: Postgres, many: int, figures: dict[str, Figure]) -> float:
    """Print and note how long searches take over the large corpus; gives the median of fused."""
    dsn = server.dsn("many", "aseagi_app")
    asked = [question.query for question in make_corpus(many).questions]
    medians: dict[str, float] = {}
    table = Table("", "median", "95th percentile", "longest")
    for name, queries, search in (
        ("all words", asked, all_words),
        ("meaning", asked, meaning),
        ("fused", asked, fused),
        ("fused in a matter", asked, fused_in_a_matter),
        ("all words, common", COMMON, all_words),
        ("fused, common", COMMON, fused),
    ):
        took = asyncio.run(seconds_of(dsn, queries, search))
        median, late = statistics.median(took), took[int(len(took) * 0.95)]
        medians[name] = median
        table.add_row(name, *(f"{1e3 * it:.0f} ms" for it in (median, late, took[-1])))
        figure = name.replace(",", "").replace(" ", "_")
        figures[f"median_milliseconds_{figure}"] = Figure(median * 1e3, "ms")
        figures[f"p95_milliseconds_{figure}"] = Figure(late * 1e3, "ms")
    lacking = asyncio.run(seconds_to_see_that_nothing_lacks(dsn))
    figures["milliseconds_to_see_that_nothing_lacks"] = Figure(lacking * 1e3, "ms")
    console.print(f"{many} pages", table)
    console.print(
        f"seeing that nothing lacks: {1e3 * lacking:.0f} ms; embeddings "
        f"{figures['embeddings_megabytes'].value:.0f} MB, pages "
        f"{figures['pages_megabytes'].value:.0f} MB; a page is embedded in "
        f"{figures['embed_milliseconds_per_page'].value:.2f} ms"
    )
    return medians["fused"]


if __name__ == "__main__":
    main()
