"""How well an engine reads: `python -m bench.recall [--engine rapidocr] [--folder DIR]`.

Word recall and precision against the truth beside each file, counting case-folded
alphanumeric words as a multiset: order and punctuation do not matter, every repeated
word does. Ends with 1 when a sample marked clean falls below `CLEAN_RECALL`.
"""

import argparse
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from rich.console import Console
from rich.table import Table

from bench.results import Figure, write_results
from gpu_image.engines import OcrEngine, PageRef, load_engine
from rendering.pages import MEDIA_TYPES, open_document
from schema.failures import BadInput, Failure

SAMPLES = Path(__file__).parent.parent / "samples"
CLEAN_RECALL = 0.95
TRUTH_SUFFIXES = (".truth.txt", ".txt", ".truth.md")


@dataclass(frozen=True)
class Case:
    """A file to read and its truth; `clean` files must be read well."""

    name: str
    file: Path
    truth: str
    clean: bool


@dataclass(frozen=True)
class Score:
    """How well one file was read."""

    case: Case
    recall: float
    precision: float
    pages: int
    seconds: float
    failures: tuple[str, ...]

    @property
    def too_low(self) -> bool:
        return self.case.clean and self.recall < CLEAN_RECALL


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.recall", description=__doc__)
    parser.add_argument("--engine", default="rapidocr", help="name of an OCR engine")
    parser.add_argument("--folder", type=Path, help="read these files instead of the samples")
    chosen = parser.parse_args()
    engine_name, folder = cast("str", chosen.engine), cast("Path | None", chosen.folder)

    cases = list(_folder_cases(folder) if folder else _sample_cases())
    if not cases:
        print("No file with its truth beside it was found.")
        return 1
    engine = load_engine(engine_name)
    scores = [_score(engine, case) for case in cases]
    _print(engine.name, scores)
    if folder is None:  # other people's files are looked at, not kept as our figures
        print(f"written to {write_results('recall', _figures(engine_name, scores))}")
    return 1 if any(score.too_low for score in scores) else 0


def words(text: str) -> Counter[str]:
    """The multiset of case-folded alphanumeric words."""
    return Counter(re.findall(r"[^\W_]+", text.casefold()))


def recall_and_precision(truth: str, found: str) -> tuple[float, float]:
    """Shares of the true words that were found, and of the found words that are true."""
    expected, got = words(truth), words(found)
    hits = (expected & got).total()
    return hits / max(1, expected.total()), hits / max(1, got.total())


def _sample_cases() -> Iterator[Case]:
    for entry in json.loads((SAMPLES / "manifest.json").read_text(encoding="utf-8")):
        if entry["outcome"] == "completed":
            file = SAMPLES / entry["path"]
            truth = (SAMPLES / "truth" / f"{entry['path']}.txt").read_text(encoding="utf-8")
            yield Case(entry["path"], file, truth, clean=entry["clean"])


def _folder_cases(folder: Path) -> Iterator[Case]:
    for file in sorted(folder.rglob("*")):
        if file.suffix.lower() not in MEDIA_TYPES:
            continue
        beside = [
            file.with_name(stem + suffix)
            for stem in (file.name, file.stem)
            for suffix in TRUTH_SUFFIXES
        ]
        for truth in beside:
            if truth.is_file():
                name = str(file.relative_to(folder))
                yield Case(name, file, truth.read_text(encoding="utf-8"), clean=False)
                break


def _score(engine: OcrEngine, case: Case) -> Score:
    media_type = MEDIA_TYPES[case.file.suffix.lower()]
    started = time.perf_counter()
    texts: list[str] = []
    failures: list[str] = []
    pages = 0
    try:
        with open_document(case.file, media_type) as document:
            pages = document.page_count
        numbers = range(1, pages + 1)
        refs = [PageRef(case.file, media_type, number) for number in numbers]
        for _, outcome in engine.read(refs):
            if isinstance(outcome, Failure):
                failures.append(outcome.reason)
            else:
                texts.append(outcome.text)
    except BadInput as unreadable:
        failures.append(str(unreadable))
    seconds = time.perf_counter() - started
    recall, precision = recall_and_precision(case.truth, "\n".join(texts))
    return Score(case, recall, precision, pages, seconds, tuple(failures))


def _print(engine: str, scores: list[Score]) -> None:
    table = Table(title=engine)
    table.add_column("document", overflow="fold")
    for column in ("recall", "precision", "pages", "s/page"):
        table.add_column(column, justify="right")
    for score in scores:
        table.add_row(
            score.case.name,
            f"[red]{score.recall:.3f}[/red]" if score.too_low else f"{score.recall:.3f}",
            f"{score.precision:.3f}",
            str(score.pages),
            f"{score.seconds / max(1, score.pages):.2f}",
        )
        for reason in score.failures:
            table.add_row(f"[red]{reason}[/red]")
    Console().print(table)


def _figures(engine: str, scores: list[Score]) -> dict[str, Figure]:
    pages = sum(score.pages for score in scores)
    figures = {
        f"{engine}.recall.mean": Figure(_mean([s.recall for s in scores]), "share of words"),
        f"{engine}.precision.mean": Figure(_mean([s.precision for s in scores]), "share of words"),
        f"{engine}.pages": Figure(pages, "pages"),
        f"{engine}.seconds_per_page": Figure(
            round(sum(score.seconds for score in scores) / max(1, pages), 2), "seconds"
        ),
    }
    for score in scores:
        key = f"{engine}.{score.case.name}"
        figures[f"{key}.recall"] = Figure(round(score.recall, 4), "share of words")
        figures[f"{key}.precision"] = Figure(round(score.precision, 4), "share of words")
        seconds = round(score.seconds / max(1, score.pages), 2)
        figures[f"{key}.seconds_per_page"] = Figure(seconds, "seconds")
    return figures


def _mean(values: list[float]) -> float:
    return round(sum(values) / len(values), 4)


if __name__ == "__main__":
    sys.exit(main())
