"""Searchable PDFs: `python -m bench.searchable [--read] [--pages 2000]`.

The share of words that `pdftotext -bbox` finds over their true boxes, on pages turned, crooked
and boxed in every way, when the layer holds the true words: that is placement alone. With
`--read`, what RapidOCR read is laid there instead, on a few of them: reading and placement. Then
one PDF of many pages, made as the flow does, with its time and peak memory.

Ends with 1 when a page falls below `WANTED` with the true words.
"""

import argparse
import asyncio
import gzip
import io
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pikepdf
from rich.console import Console
from rich.table import Table

from bench.placed_pages import PlacedPage, found_words, placed_pages, share_in_place
from bench.results import Figure, write_results
from gpu_image.engines import OcrEngine, PageRef, load_engine
from schema.files import PDF
from schema.ocr import PageText, Word
from tasks.publishing.assembling import assemble
from tasks.publishing.workshop import Job, Workshop, words_file

WANTED = 0.95
READ = ("scan turned 0", "scan turned 90", "scan turned 180", "scan skewed +3", "/Rotate 270")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.searchable", description=__doc__)
    parser.add_argument("--read", action="store_true", help="read some of them with RapidOCR too")
    parser.add_argument("--pages", type=int, default=2000, help="pages of the large PDF")
    chosen = parser.parse_args()
    pages = list(placed_pages())
    figures: dict[str, Figure] = {}
    table = Table("page", "true words in place", "read words in place", "true words read there")
    # Before the engine is loaded: a fork of this process counts with what this process holds.
    seconds, megabytes = asyncio.run(_large(pages, cast("int", chosen.pages)))
    engine = load_engine("rapidocr") if cast("bool", chosen.read) else None
    lowest = 1.0
    for page in pages:
        share = _share(page, page.words, page.words)
        figures[f"{page.name}, placed"] = Figure(share, "share of words")
        lowest = min(lowest, share)
        row = [page.name, f"{share:.3f}", "", ""]
        if engine is not None and page.name in READ:
            words = _read(engine, page)
            true = [word for word in page.words if word.text.isascii()]  # it reads no Cyrillic
            row[2:] = [
                f"{_share(page, words, words):.3f}",
                f"{_share(page, words, true):.3f}",
            ]
            figures[f"{page.name}, read and placed"] = Figure(float(row[3]), "share of words")
        table.add_row(*row)
    Console().print(table)
    print(f"{chosen.pages} pages: {seconds:.0f} s, peak {megabytes:.0f} MB")
    figures["large PDF, seconds"] = Figure(seconds, "s")
    figures["large PDF, peak memory"] = Figure(megabytes, "MB")
    print(f"written to {write_results('searchable', figures)}")
    return 1 if lowest < WANTED else 0


def _share(page: PlacedPage, layer: Sequence[Word], expected: Sequence[Word]) -> float:
    """How many of the expected words are found in place when `layer` is laid."""
    with tempfile.TemporaryDirectory() as name:
        original, output = Path(name) / "original", Path(name) / "searchable.pdf"
        original.write_bytes(page.content)
        assemble(original, page.media_type, [1], lambda _: layer, output)
        return share_in_place(expected, found_words(output))


def _read(engine: OcrEngine, page: PlacedPage) -> list[Word]:
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "original"
        file.write_bytes(page.content)
        ((_, result),) = engine.read([PageRef(file=file, media_type=page.media_type, page=1)])
    return result.words if isinstance(result, PageText) else []


async def _large(pages: Sequence[PlacedPage], count: int) -> tuple[float, float]:
    page = next(one for one in pages if one.name == "/Rotate that makes it upright")
    text = PageText(
        text="", words=page.words * 2, width_pixels=1, height_pixels=1, engine="", seconds=0
    )
    packed = gzip.compress(text.model_dump_json().encode())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "words").mkdir()
        with pikepdf.Pdf.open(io.BytesIO(page.content)) as one, pikepdf.Pdf.new() as many:
            for number in range(1, count + 1):
                many.pages.append(one.pages[0])
                words_file(folder, number).write_bytes(packed)
            many.save(folder / "original")
        started = time.perf_counter()
        async with Workshop() as workshop:
            await workshop.make(folder, Job(media_type=PDF, read_pages=list(range(1, count + 1))))
        seconds = time.perf_counter() - started
    return seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


if __name__ == "__main__":
    sys.exit(main())
