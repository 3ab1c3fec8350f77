"""docTR's own predictor and our engine on the same pages and weights, in turns.

    make bench-ocr
    make bench-ocr-feed                                       # 10,000 pages, nets that cost nothing
    .venv-host/bin/python -m bench.ocr --pages 2000           # on a GPU
    .venv-host/bin/python -m bench.ocr --endurance 10000      # our engine alone

Runs in the environment that `make host` installs from the host's lock, on a GPU if there is
one. Pages are dense, typeset, scanned at 200 dpi and stored as JPEG; both sides start from
the files. The weights are the compact ones of `training/`, which anybody can have offline;
`--models` and `--own-weights` choose others.

The ceiling is what the nets alone could do: the engine's own batches, already on the device,
nothing decoded, nothing taken back. Feeding is the opposite: everything but the nets, which is
what a card so fast that it costs no time would be given.
"""

import argparse
import functools
import importlib
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, cast

import cv2
import numpy as np
import psutil
from rich.console import Console
from rich.progress import Progress, track
from rich.table import Table

from bench.results import Figure, write_results
from gpu_image.engines import PageRef
from gpu_image.engines.doctr import nets as doctr_nets
from gpu_image.engines.doctr.arena import CROP_WIDTH
from gpu_image.engines.doctr.boxes import Boxes, BoxRules, Map, find_boxes
from gpu_image.engines.doctr.crops import cut_words
from gpu_image.engines.doctr.engine import DoctrEngine, Sizes
from gpu_image.engines.doctr.frame import Frame
from gpu_image.engines.doctr.nets import Nets, Pending, Pictures, Read
from rendering.pages import JPEG, open_document
from samples.paper import Sheet, jpeg, rendered, scanned
from schema.failures import Failure
from schema.ocr import PageText

HOME = Path(__file__).parent.parent
COMPACT = "db_mobilenet_v3_large+crnn_mobilenet_v3_small"
DPI = 200
ROUNDS = 3
LEAST_CROPS = 300
WINDOW = 100

torch: Any = importlib.import_module("torch")


@dataclass(slots=True)
class Timed:
    """What one side did over all rounds."""

    seconds: list[float] = field(default_factory=list[float])
    words: dict[Path, Counter[str]] = field(default_factory=dict[Path, Counter[str]])

    def pages_per_second(self, pages: int) -> float:
        return pages / median(self.seconds)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.ocr",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--pages", type=int, default=12, help="pages of a round")
    parser.add_argument("--different", type=int, default=12, help="how many of them differ")
    parser.add_argument("--models", default=COMPACT, help="DETECTION+RECOGNITION")
    parser.add_argument("--own-weights", action="store_true", help="docTR's own, downloaded")
    parser.add_argument("--endurance", type=int, help="read so many pages with our engine alone")
    parser.add_argument("--no-nets", action="store_true", help="with nets that cost nothing")
    chosen = parser.parse_args()
    if not cast("bool", chosen.own_weights):
        os.environ.setdefault(doctr_nets.WEIGHTS_FOLDER, str(HOME / "training" / "weights"))
    models = cast("str", chosen.models)
    with tempfile.TemporaryDirectory(prefix="aseagi-bench-") as folder:
        files = _make_pages(Path(folder), min(chosen.different, chosen.pages))
        if chosen.endurance:
            count = cast("int", chosen.endurance)
            if cast("bool", chosen.no_nets):
                cores = len(os.sched_getaffinity(0))
                sizes = Sizes(workers=cores, slots=cores + 16, pages=8, thumbnails=8, crops=512)
                return _endure("ocr-feed", DoctrEngine(sizes=sizes, nets=NoNets()), files, count)
            return _endure("ocr-endurance", DoctrEngine(models), files, count)
        pages = [files[number % len(files)] for number in range(chosen.pages)]
        return _compare(models, pages)


# ── stock against ours ───────────────────────────────────────────────────────────────────────


def _compare(models: str, pages: list[Path]) -> int:
    stock = _stock_reader(models)
    engine = DoctrEngine(models)
    ours = functools.partial(_read_with_engine, engine)
    sides: dict[str, tuple[Callable[[Sequence[Path]], dict[Path, Counter[str]]], Timed]] = {
        "docTR": (stock, Timed()),
        "ours": (ours, Timed()),
    }
    with Progress(transient=True) as progress:
        rounds = progress.add_task("reading in turns", total=ROUNDS * len(sides) + len(sides))
        for read, _ in sides.values():  # what is slow only once is not what is asked
            read(pages[:2])
            progress.advance(rounds)
        for _ in range(ROUNDS):
            for read, timed in sides.values():
                started = time.perf_counter()
                words = read(pages)
                timed.seconds.append(time.perf_counter() - started)
                timed.words = words
                progress.advance(rounds)
    engine.close()
    ceiling, crops = _ceiling(models, pages)
    rates = {name: timed.pages_per_second(len(pages)) for name, (_, timed) in sides.items()}
    same = _identical(sides["docTR"][1].words, sides["ours"][1].words)
    figures = {
        "docTR.pages_per_second": Figure(round(rates["docTR"], 3), "pages/s"),
        "ours.pages_per_second": Figure(round(rates["ours"], 3), "pages/s"),
        "ratio": Figure(round(rates["ours"] / rates["docTR"], 3), "times docTR"),
        "ceiling.pages_per_second": Figure(round(ceiling, 3), "pages/s"),
        "ours.share_of_ceiling": Figure(round(rates["ours"] / ceiling, 3), "share"),
        "identical_words": Figure(round(same, 5), "share of words"),
        "crops_per_page": Figure(round(crops, 1), "crops"),
        "pages": Figure(len(pages), "pages"),
    }
    _print(f"{models} on {_device()}", figures)
    print(f"written to {write_results('ocr', figures)}")
    if crops < LEAST_CROPS:
        print(f"Only {crops:.0f} crops a page: too few for a dense page.")
        return 1
    return 0


def _stock_reader(models: str) -> Callable[[Sequence[Path]], dict[Path, Counter[str]]]:
    """docTR as its documentation shows it: files in, one call."""
    zoo: Any = importlib.import_module("doctr.models")
    document_file: Any = importlib.import_module("doctr.io").DocumentFile
    detector, recogniser = models.split("+")
    predictor = zoo.ocr_predictor(
        det_arch=doctr_nets.load(doctr_nets.detection, detector),
        reco_arch=doctr_nets.load(doctr_nets.recognition, recogniser),
        pretrained=False,
    )
    if torch.cuda.is_available():
        predictor = predictor.cuda()
        if torch.cuda.get_device_capability() >= (8, 0):
            predictor = predictor.bfloat16()

    def read(files: Sequence[Path]) -> dict[Path, Counter[str]]:
        words: dict[Path, Counter[str]] = {}
        for first in range(0, len(files), 16):  # a call holds all of its pages in memory
            some = files[first : first + 16]
            document = predictor(document_file.from_images([str(file) for file in some]))
            for file, page in zip(some, document.pages, strict=True):
                words[file] = Counter(
                    word.value
                    for block in page.blocks
                    for line in block.lines
                    for word in line.words
                    if word.value.strip()
                )
        return words

    return read


def _read_with_engine(engine: DoctrEngine, files: Sequence[Path]) -> dict[Path, Counter[str]]:
    words: dict[Path, Counter[str]] = {}
    for ref, outcome in engine.read([PageRef(file, JPEG, 1) for file in files]):
        words[ref.file] = Counter(word.text for word in _text(outcome).words)
    return words


def _text(outcome: PageText | Failure) -> PageText:
    if isinstance(outcome, PageText):
        return outcome
    raise RuntimeError(outcome.reason)


def _identical(stock: dict[Path, Counter[str]], ours: dict[Path, Counter[str]]) -> float:
    """Share of words, page by page, that both sides read alike."""
    same = sum((stock[file] & ours[file]).total() for file in stock)
    most = sum(max(stock[file].total(), ours[file].total()) for file in stock)
    return same / most


def _ceiling(models: str, pages: Sequence[Path]) -> tuple[float, float]:
    """Pages per second of the nets alone, and crops per page."""
    nets = Nets(models)
    sizes = Sizes.for_machine(cuda=nets.cuda)
    different = sorted(set(pages))
    squares: list[Any] = []
    crops: list[Any] = []
    for file in different:
        with open_document(file, JPEG) as document:
            page = document.page(1)
        frame = Frame(page.shape[1], page.shape[0], nets.side)
        square = np.empty((nets.side, nets.side, 3), dtype=np.uint8)
        frame.place(page, square)
        squares.append(square)
        boxes = find_boxes(nets.maps([square]).result()[0], nets.rules)
        strips = np.zeros((4 * len(boxes.corners) + 1, 32, CROP_WIDTH, 3), dtype=np.uint8)
        cut = cut_words(page, Boxes(frame.to_page(boxes.corners), boxes.straight), strips)
        crops += list(strips[: cut.crops])
    batches = _batches(nets, nets.detector, squares, sizes.pages)
    batches += _batches(nets, nets.recogniser, crops, sizes.crops)
    seconds: list[float] = []
    with torch.inference_mode():
        for _ in track(range(ROUNDS + 1), "the nets alone", transient=True):
            started = time.perf_counter()
            for net, batch in batches:
                net(batch)
            if nets.cuda:
                torch.cuda.synchronize()
            seconds.append(time.perf_counter() - started)
    return len(different) / median(seconds[1:]), len(crops) / len(different)


def _batches(nets: Nets, net: Any, pictures: Sequence[Any], most: int) -> list[tuple[Any, Any]]:
    """The net, with each batch of pictures as it takes them."""
    device = "cuda" if nets.cuda else "cpu"
    batches: list[tuple[Any, Any]] = []
    with torch.inference_mode():
        for first in range(0, len(pictures), most):
            batch = torch.from_numpy(np.stack(pictures[first : first + most]))
            batches.append((net, nets.ready(net, batch.to(device))))
    return batches


# ── endurance ────────────────────────────────────────────────────────────────────────────────


class NoNets(Nets):
    """Nets that cost nothing: ink is text, and every word says the same."""

    def __init__(self) -> None:
        self.cuda = False
        self.side = 1024
        self.name = "docTR's engine without nets"
        self.rules = BoxRules(map_threshold=0.3, box_threshold=0.1, growth=1.5)

    @property
    def knows_orientation(self) -> bool:
        return True

    def orient(self, thumbnails: Sequence[Pictures]) -> Pending[int]:
        return Pending(thumbnails, None, lambda pictures: [0] * len(pictures))

    def maps(self, squares: Sequence[Pictures]) -> Pending[Map]:
        return Pending(squares, None, lambda pictures: [_ink(picture) for picture in pictures])

    def words(self, crops: Sequence[Pictures]) -> Pending[Read]:
        return Pending(crops, None, lambda pictures: [("settlement", 0.9)] * len(pictures))


def _ink(square: Pictures) -> Map:
    """A map of words: what is dark on paper, letters joined."""
    green = square[..., 1]
    dark = ((green < 140) & (green > 0)).astype(np.uint8)
    return np.asarray(cv2.dilate(dark, np.ones((1, 7), dtype=np.uint8)), dtype=np.float32)


def _endure(name: str, engine: DoctrEngine, files: Sequence[Path], count: int) -> int:
    """Read many pages in one session; what it does at the end it must do as at the beginning."""
    refs = [PageRef(files[number % len(files)], JPEG, 1) for number in range(count)]
    ends: list[float] = []
    memory: list[tuple[int, float]] = []
    words = 0
    outcomes = engine.read(refs)
    for _ in track(range(count), f"reading {count} pages"):
        words += len(_text(next(outcomes)[1]).words)
        ends.append(time.perf_counter())
        if len(ends) % WINDOW == 0:
            memory.append((len(ends), _memory_megabytes()))
    engine.close()

    def rate(last: int) -> float:
        return WINDOW / (ends[last - 1] - ends[last - WINDOW - 1])

    figures = {
        "pages": Figure(count, "pages"),
        "words_per_page": Figure(round(words / count, 1), "words"),
        "pages_per_second.early": Figure(round(rate(2 * WINDOW), 3), "pages/s"),
        "pages_per_second.late": Figure(round(rate(count), 3), "pages/s"),
        "memory.early": Figure(round(memory[1][1]), "MB"),
        "memory.late": Figure(round(memory[-1][1]), "MB"),
        "memory.most": Figure(round(max(used for _, used in memory)), "MB"),
    }
    _print(f"{count} pages, {engine.name} on {_device()}", figures)
    print(f"written to {write_results(name, figures)}")
    return 0


def _memory_megabytes() -> float:
    """What this process and its workers hold; what they share is counted once."""
    me = psutil.Process()
    return (
        sum(process.memory_full_info().pss for process in (me, *me.children(recursive=True))) / 1e6
    )


# ── pages ────────────────────────────────────────────────────────────────────────────────────


def _make_pages(folder: Path, count: int) -> list[Path]:
    """Dense pages of words that occur in the samples, as an office scanner stores them."""
    vocabulary = " ".join(
        file.read_text(encoding="utf-8")
        for file in sorted((HOME / "samples").glob("truth/*/*.txt"))
    ).split()
    files: list[Path] = []
    for number in track(range(count), "setting pages", transient=True):
        random = np.random.default_rng(number)
        sheet = Sheet(size=10, font=("Times-Roman", "Helvetica")[number % 2])
        while sheet.y > 110:
            words = random.choice(vocabulary, int(random.integers(40, 90)))
            sheet.paragraph(" ".join(words.tolist()))
        file = folder / f"page-{number:03d}.jpg"
        file.write_bytes(jpeg(scanned(rendered(sheet, dpi=DPI), seed=number), quality=85))
        files.append(file)
    return files


def _device() -> str:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{len(os.sched_getaffinity(0))} CPU cores"


def _print(title: str, figures: dict[str, Figure]) -> None:
    table = Table(title=title)
    table.add_column("figure")
    table.add_column("value", justify="right")
    table.add_column("unit")
    for name, figure in figures.items():
        table.add_row(name, f"{figure.value:g}", figure.unit)
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
