"""Real documents through the whole system: `python -m bench.testdocs --folder DIR`.

Every file of a folder of documents goes into an embedded stack of its own, by the bucket as
any document, and is read by an engine that reads (RapidOCR). Printed for each: what became of
it, its pages, blank ones and those that could not be read, its words, and where there is truth
beside it, word recall and precision (case-folded alphanumeric words as a multiset).

Truth is what lies beside a file: `NAME.truth.txt`, `NAME.truth.md`, `NAME.ocr-reference.txt`
(another engine's, with its errors: a loose check), for a file whose name begins with that NAME;
and lines of `unit_tests.jsonl` (olmOCR's): texts that must be present or absent.
"""

import argparse
import asyncio
import json
import os
import re
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from rich.console import Console
from rich.table import Table

from bench.recall import recall_and_precision, words
from bench.results import Figure, write_results
from rendering.pages import MEDIA_TYPES
from stack.embedded import BUCKET, start_stack

TRUTH_ENDINGS = (".truth.txt", ".truth.md", ".ocr-reference.txt")
LONGEST_SECONDS = 6 * 3600.0
LOOK_SECONDS = 2.0

console = Console()


@dataclass(frozen=True, slots=True)
class Fact:
    """A text that must be in a document's, or must not be."""

    text: str
    is_present: bool

    def holds(self, found: str) -> bool:
        """Whether it is as it must be, whatever the case, the spaces and the punctuation."""
        there = _plain(self.text) in _plain(found)
        return there == self.is_present


@dataclass(frozen=True, slots=True)
class Read:
    """What became of a file."""

    name: str
    outcome: str
    pages: int
    blank: int
    sources: str
    text: str
    seconds: float | None
    recall: float | None
    precision: float | None
    facts: tuple[Fact, ...]

    @property
    def facts_held(self) -> int:
        """How many of its facts are as they must be."""
        return sum(fact.holds(self.text) for fact in self.facts)


def _plain(text: str) -> str:
    found = re.findall(r"[^\W_]+", text.casefold())
    return f" {' '.join(found)} "


def documents_in(folder: Path) -> list[Path]:
    """The files that can be read, in order."""
    return [file for file in sorted(folder.rglob("*")) if file.suffix.lower() in MEDIA_TYPES]


def truth_of(file: Path) -> str | None:
    """The text that a file must have, if it is known: by the longest name that it begins with."""
    named = [
        (beside.name.removesuffix(ending), beside)
        for ending in TRUTH_ENDINGS
        for beside in file.parent.glob(f"*{ending}")
        if file.name.startswith(beside.name.removesuffix(ending))
    ]
    return max(named)[1].read_text(encoding="utf-8") if named else None


def facts_of(file: Path) -> tuple[Fact, ...]:
    """What is told of a file's text in `unit_tests.jsonl`."""
    tests = file.parent / "unit_tests.jsonl"
    if not tests.is_file():
        return ()
    facts: list[Fact] = []
    for line in tests.read_text(encoding="utf-8").splitlines():
        told = json.loads(line)
        if told["pdf"] == file.name and told["type"] in {"present", "absent"}:
            facts.append(Fact(told["text"], told["type"] == "present"))
        elif told["pdf"] == file.name and told["type"] == "table":
            facts.append(Fact(told["cell"], is_present=True))
    return tuple(facts)


async def read_all(files: dict[str, Path]) -> list[Read]:
    """Wait until every file is at its end, and say what became of each."""
    from blocks.database import Database
    from blocks.loading import load
    from sql.documents import list_documents, list_pages
    from sql.jobs import count_queue

    database = await load(Database)
    deadline = time.monotonic() + LONGEST_SECONDS
    async with database.connect() as db:
        while True:
            counts = await count_queue(db)
            await db.commit()
            settled = counts.jobs_completed + counts.jobs_failed + counts.arrivals_failed
            if settled >= len(files):
                break
            if time.monotonic() > deadline:
                raise SystemExit(f"only {settled} of {len(files)} after {LONGEST_SECONDS:.0f} s")
            await asyncio.sleep(LOOK_SECONDS)
        found: list[Read] = []
        for row in await list_documents(db):
            pages = await list_pages(db, row.id)
            file = files[row.s3_raw_path]
            text = "\n".join(page.text or "" for page in pages)
            truth = truth_of(file)
            scores = recall_and_precision(truth, text) if truth else (None, None)
            sources = Counter(page.source or page.state for page in pages)
            found.append(
                Read(
                    name=row.s3_raw_path.split("/", 2)[2],
                    outcome=_outcome(row.status, row.unread, row.error),
                    pages=len(pages),
                    blank=sum(page.is_blank for page in pages),
                    sources=", ".join(f"{count} {source}" for source, count in sources.items()),
                    text=text,
                    seconds=row.seconds,
                    recall=scores[0],
                    precision=scores[1],
                    facts=facts_of(file),
                )
            )
    return sorted(found, key=lambda one: one.name)


def _outcome(status: str, unread: str | None, error: dict[str, object] | None) -> str:
    reason = unread or (str(error["reason"]) if error else None)
    return f"{status}: {reason}" if reason else status


def main() -> None:
    """Run the bench and print what it saw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=os.environ.get("ASEAGI_TESTDOCS"))
    parser.add_argument("--engine", default="rapidocr")
    parser.add_argument("--texts", type=Path, help="write what was read there, a file for each")
    options = parser.parse_args()
    folder, texts = cast("Path | None", options.folder), cast("Path | None", options.texts)
    if folder is None or not documents_in(folder := Path(folder)):
        parser.error("give a folder with documents: --folder, or ASEAGI_TESTDOCS")
    with tempfile.TemporaryDirectory(prefix="aseagi-bench-") as home:
        settings = {
            "ASEAGI_READING_ENGINE": cast("str", options.engine),
            "ASEAGI_READING_DEPLOYMENT": "ocr/local",
        }
        state_dir = Path(home) / ".aseagi"
        stack = start_stack(state_dir, console.print, dashboard=False, settings=settings)
        os.environ.update(stack.environment)
        try:
            client = stack.servers.object_store.client()
            files: dict[str, Path] = {}
            for file in documents_in(folder):
                key = f"raw/testdocs/{file.relative_to(folder).as_posix()}"
                client.upload_file(str(file), BUCKET, key)
                files[key] = file
            read = asyncio.run(read_all(files))
        finally:
            stack.stop()
    for one in read if texts else ():
        path = cast("Path", texts) / f"{one.name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(one.text, encoding="utf-8")
    _print(read)


def _print(read: list[Read]) -> None:
    table = Table(title=f"{len(read)} real documents")
    table.add_column("document", overflow="fold")
    table.add_column("outcome", overflow="fold")
    for column in ("pages", "blank", "words", "recall", "precision", "facts"):
        table.add_column(column, justify="right")
    table.add_column("read from", overflow="fold")
    figures: dict[str, Figure] = {}
    for one in read:
        count = words(one.text).total()
        table.add_row(
            one.name,
            one.outcome,
            str(one.pages),
            str(one.blank or ""),
            str(count),
            "" if one.recall is None else f"{one.recall:.3f}",
            "" if one.precision is None else f"{one.precision:.3f}",
            f"{one.facts_held}/{len(one.facts)}" if one.facts else "",
            one.sources,
        )
        figures |= {f"{one.name}.pages": Figure(one.pages, "pages")}
        figures |= {f"{one.name}.words": Figure(count, "words")}
        if one.blank:
            figures[f"{one.name}.blank"] = Figure(one.blank, "pages")
        if one.recall is not None and one.precision is not None:
            figures[f"{one.name}.recall"] = Figure(round(one.recall, 4), "share of words")
            figures[f"{one.name}.precision"] = Figure(round(one.precision, 4), "share of words")
        if one.facts:
            figures[f"{one.name}.facts_held"] = Figure(one.facts_held, f"of {len(one.facts)}")
    console.print(table)
    failed = sum(one.outcome.startswith("failed") for one in read)
    figures["documents"] = Figure(len(read), "documents")
    figures["documents_failed"] = Figure(failed, "documents")
    console.print(f"written to {write_results('testdocs', figures)}")


if __name__ == "__main__":
    main()
