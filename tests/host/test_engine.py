"""The engine, with real nets on real pages: what it reads, and how it survives what it is given."""

import importlib
import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

from bench.recall import recall_and_precision
from gpu_image.engines import PageRef, load_engine
from gpu_image.engines.doctr import nets as doctr_nets
from gpu_image.engines.doctr.boxes import Map
from gpu_image.engines.doctr.engine import DoctrEngine, EngineBroken, Sizes
from gpu_image.engines.doctr.nets import Nets, Pending, Pictures
from rendering.pages import JPEG, PDF, PNG, Pixels
from samples.paper import Sheet, pdf, photographed
from schema.failures import Failure, Misconfigured
from schema.ocr import PageText
from tests.host.conftest import COMPACT, TEXT, page_saying

SAMPLES = Path(__file__).parents[2] / "samples" / "smith-v-jones"
TRUTHS = SAMPLES.parent / "truth" / SAMPLES.name
zoo: Any = importlib.import_module("doctr.models")


def stored(folder: Path, pixels: Pixels, name: str = "page") -> PageRef:
    path = folder / f"{name}.png"
    Image.fromarray(pixels).save(path)
    return PageRef(path, PNG, 1)


def read_one(engine: DoctrEngine, ref: PageRef) -> PageText:
    ((said, outcome),) = engine.read([ref])
    assert said == ref
    assert isinstance(outcome, PageText), outcome
    return outcome


def doctr_reader(**options: Any) -> Callable[[Pixels], list[str]]:
    """docTR's own predictor on the compact weights: the words of a page."""
    detector, recogniser = COMPACT.split("+")
    predictor = zoo.ocr_predictor(
        det_arch=doctr_nets.load(doctr_nets.detection, detector),
        reco_arch=doctr_nets.load(doctr_nets.recognition, recogniser),
        pretrained=False,
        disable_page_orientation=True,
        disable_crop_orientation=True,
        **options,
    )

    def read(page: Pixels) -> list[str]:
        (result,) = predictor([page]).pages
        words = (word for block in result.blocks for line in block.lines for word in line.words)
        return [word.value for word in words if word.value.strip()]

    return read


# ── what it reads ────────────────────────────────────────────────────────────────────────────


def test_a_pages_words_are_doctrs(engine: DoctrEngine, page: Pixels, tmp_path: Path) -> None:
    ours = read_one(engine, stored(tmp_path, page))
    doctr = doctr_reader()(page)
    assert len(doctr) > 30
    assert Counter(word.text for word in ours.words) == Counter(doctr)
    assert recall_and_precision(TEXT, ours.text)[0] > 0.7


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_a_page_is_read_upright_however_it_was_scanned(
    engine: DoctrEngine, page: Pixels, tmp_path: Path, rotation: int
) -> None:
    # Turned counter-clockwise, so that a clockwise turn by `rotation` makes it upright.
    turned = np.ascontiguousarray(np.rot90(page, rotation // 90))
    text = read_one(engine, stored(tmp_path, turned))
    upright = read_one(engine, stored(tmp_path, page))
    assert text.rotation_degrees == rotation
    assert (text.height_pixels, text.width_pixels) == turned.shape[:2]
    assert text.text == upright.text
    along = {0: (1, 0), 90: (0, -1), 180: (-1, 0), 270: (0, 1)}[rotation]
    for word in text.words:
        (x0, y0), (x1, y1) = word.quad[:2]
        assert (x1 - x0) * along[0] + (y1 - y0) * along[1] > 0, word.text


@pytest.mark.parametrize("degrees", [-6.0, 4.0])
def test_a_page_that_lies_askew_is_read_at_least_as_well_as_doctr_reads_it(
    engine: DoctrEngine, page: Pixels, tmp_path: Path, degrees: float
) -> None:
    image = Image.fromarray(page).rotate(
        degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=(247, 247, 247)
    )
    askew = np.asarray(image)
    ours, _ = recall_and_precision(TEXT, read_one(engine, stored(tmp_path, askew)).text)
    doctr, _ = recall_and_precision(
        TEXT, " ".join(doctr_reader(assume_straight_pages=False)(askew))
    )
    assert ours >= doctr > 0.3


class UprightNets(Nets):
    """Without the compact orientation net, which has seen no photos."""

    @property
    def knows_orientation(self) -> bool:
        return False


def test_photos_are_read_at_least_as_well_as_in_doctrs_mode_for_rotated_pages(
    tmp_path: Path,
) -> None:
    sizes = Sizes(workers=1, slots=3, pages=1, thumbnails=1, crops=32)
    engine = DoctrEngine(sizes=sizes, nets=UprightNets(COMPACT))
    rotated = doctr_reader(assume_straight_pages=False)
    vocabulary = sorted(set((TRUTHS / "demand-letter.png.txt").read_text().split()))
    ours: list[float] = []
    doctr: list[float] = []
    for seed in range(4):
        words: list[str] = np.random.default_rng(seed).choice(vocabulary, 90).tolist()
        text = "\n".join(" ".join(words[start : start + 6]) for start in range(0, 90, 6))
        paper = page_saying(text, dpi=150, seed=seed, height_inches=6)[..., 0]
        photo = photographed(paper, seed=seed, size=(1500, 1100))
        read = read_one(engine, stored(tmp_path, photo)).text
        ours.append(recall_and_precision(text, read)[0])
        doctr.append(recall_and_precision(text, " ".join(rotated(photo)))[0])
    engine.close()
    assert sum(ours) >= sum(doctr) > 2


def test_a_blank_page_has_no_words(engine: DoctrEngine, tmp_path: Path) -> None:
    blank = np.full((1100, 850, 3), 255, dtype=np.uint8)
    text = read_one(engine, stored(tmp_path, blank))
    assert (text.words, text.text, text.rotation_degrees) == ([], "", 0)


# ── which outcome is whose ───────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def numbered(tmp_path_factory: pytest.TempPathFactory) -> list[PageRef]:
    """Two files of pages, each of which says a word of its own, over and over."""
    folder = tmp_path_factory.mktemp("numbered")
    words = ["ALPHA", "BRAVO", "DELTA", "HOTEL", "INDIA", "LIMA", "OSCAR", "ROMEO"]
    refs: list[PageRef] = []
    for file, some in enumerate((words[:5], words[5:])):
        sheets: list[Sheet] = []
        for word in some:
            sheet = Sheet(size=16)
            sheet.lines("\n".join([" ".join([word] * 5)] * 4))
            sheets.append(sheet)
        path = folder / f"{file}.pdf"
        path.write_bytes(pdf(sheets))
        refs += [PageRef(path, PDF, number) for number in range(1, len(some) + 1)]
    return refs


def commonest_word(outcome: PageText | Failure) -> str:
    assert isinstance(outcome, PageText), outcome
    return Counter(outcome.text.split()).most_common(1)[0][0]


@pytest.fixture(scope="module")
def said(engine: DoctrEngine, numbered: list[PageRef]) -> dict[PageRef, str]:
    """What each page says when it is read alone."""
    alone = {ref: commonest_word(read_one(engine, ref)) for ref in numbered}
    assert len(set(alone.values())) == len(numbered)
    return alone


@pytest.mark.parametrize("seed", range(4))
def test_results_go_to_the_right_page_however_readers_and_documents_mix(
    engine: DoctrEngine, said: dict[PageRef, str], seed: int
) -> None:
    random = np.random.default_rng(seed)
    calls: list[list[PageRef]] = []
    for _ in range(3):
        mixed: list[int] = random.permutation(len(said)).tolist()
        calls.append([list(said)[place] for place in mixed[: int(random.integers(1, 9))]])
    found: list[list[tuple[PageRef, str]]] = [[] for _ in calls]

    def read(number: int) -> None:
        for ref, outcome in engine.read(calls[number]):
            found[number].append((ref, commonest_word(outcome)))

    threads = [threading.Thread(target=read, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(500)
    for wanted, got in zip(calls, found, strict=True):
        assert sorted(got, key=str) == sorted(((ref, said[ref]) for ref in wanted), key=str)


def test_a_page_somebody_waits_for_overtakes_what_came_before(
    engine: DoctrEngine, numbered: list[PageRef]
) -> None:
    done: list[str] = []

    def read_slowly() -> None:
        done.extend("bulk" for _ in engine.read(numbered * 2))

    bulk = threading.Thread(target=read_slowly)
    bulk.start()
    wait_until(lambda: bool(done))
    first = numbered[0]
    read_one(engine, PageRef(first.file, first.media_type, first.page, urgent=True))
    before = len(done)
    bulk.join(500)
    # Those in slots when it came were ahead of it, and no others.
    assert before <= 1 + 2 * 3
    assert len(done) == 2 * len(numbered)


# ── what it survives ─────────────────────────────────────────────────────────────────────────


def test_broken_pages_fail_alone(
    engine: DoctrEngine, said: dict[PageRef, str], tmp_path: Path
) -> None:
    torn, cut_off = tmp_path / "torn.pdf", tmp_path / "cut.jpg"
    torn.write_bytes(b"%PDF-1.4 and then nothing")
    Image.fromarray(np.zeros((900, 900, 3), dtype=np.uint8)).save(cut_off)
    cut_off.write_bytes(cut_off.read_bytes()[:900])
    good = list(said)[:3]
    bad = {
        PageRef(torn, PDF, 1): "The PDF is damaged or cut short and cannot be opened.",
        PageRef(cut_off, JPEG, 1): "The JPEG image is damaged or cut short.",
        PageRef(tmp_path / "gone.pdf", PDF, 1): "The file is not there any more.",
        PageRef(good[0].file, PDF, 99): "There is no page 99; the document has 5.",
    }
    mixed = [ref for pair in itertools.zip_longest(bad, good) for ref in pair if ref is not None]
    outcomes = dict(engine.read(mixed))
    assert outcomes.keys() == {*good, *bad}
    for ref in good:
        assert commonest_word(outcomes[ref]) == said[ref]
    for ref, reason in bad.items():
        failure = outcomes[ref]
        assert isinstance(failure, Failure)
        assert (failure.reason, failure.page, failure.retry_helps) == (reason, ref.page, False)


def test_a_killed_worker_costs_nothing(engine: DoctrEngine, said: dict[PageRef, str]) -> None:
    with stopped_workers() as workers, reading(engine, list(said)) as results:
        wait_until(lambda: engine.free_slots == 0)
        workers[0].kill()
        workers[1].resume()
    assert {ref: commonest_word(outcome) for ref, outcome in results.items()} == said


def test_a_reader_that_goes_away_leaves_every_slot_free(
    engine: DoctrEngine, said: dict[PageRef, str]
) -> None:
    for taken in (1, 2, 3):
        stop = threading.Event()
        got: list[PageRef] = []
        for ref, _ in engine.read(list(said), stop=stop):
            got.append(ref)
            if len(got) == taken:
                stop.set()
        assert len(got) == taken
    wait_until(lambda: engine.free_slots == 3)
    again = dict(engine.read(list(said)))
    assert {ref: commonest_word(outcome) for ref, outcome in again.items()} == said


def test_a_reader_that_waits_stops_when_told_to(
    engine: DoctrEngine, said: dict[PageRef, str]
) -> None:
    stop = threading.Event()
    with stopped_workers(), reading(engine, list(said), stop) as results:
        wait_until(lambda: engine.free_slots == 0)
        stop.set()
    assert len(results) <= 3
    wait_until(lambda: engine.free_slots == 3)


class SickNets(Nets):
    """Nets on a card that fails after some pages."""

    def __init__(self) -> None:
        super().__init__(COMPACT)
        self.left = 2

    def maps(self, squares: Sequence[Pictures]) -> Pending[Map]:
        self.left -= len(squares)
        if self.left < 0:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        return super().maps(squares)


def test_a_card_that_fails_ends_the_engine_and_no_page(numbered: list[PageRef]) -> None:
    sizes = Sizes(workers=1, slots=3, pages=1, thumbnails=1, crops=32)
    engine = DoctrEngine(sizes=sizes, nets=SickNets())
    outcomes: list[PageText | Failure] = []
    with pytest.raises(EngineBroken, match="illegal memory access"):
        outcomes.extend(outcome for _, outcome in engine.read(numbered))
    assert not any(isinstance(outcome, Failure) for outcome in outcomes)
    with pytest.raises(EngineBroken):
        next(iter(engine.read(numbered)))
    engine.close()


def test_closing_the_engine_tells_who_waits_and_ends_its_processes(
    numbered: list[PageRef],
) -> None:
    before = len(worker_processes())
    sizes = Sizes(workers=1, slots=2, pages=1, thumbnails=1, crops=32)
    engine = DoctrEngine(COMPACT, sizes=sizes)
    outcomes = iter(engine.read(numbered))
    next(outcomes)
    engine.close()
    with pytest.raises(EngineBroken, match="closed"):
        list(outcomes)
    assert len(worker_processes()) == before


def test_a_picture_of_a_hundred_megapixels_is_read_in_the_memory_of_its_slot(
    engine: DoctrEngine, tmp_path: Path
) -> None:
    path = tmp_path / "photo.jpg"
    small = Image.fromarray(page_saying(TEXT, dpi=150))
    small.resize((14_000, 7_400), Image.Resampling.BILINEAR).save(path, quality=60)
    with most_memory() as used:
        text = read_one(engine, PageRef(path, JPEG, 1))
    assert text.height_pixels * text.width_pixels <= 25_000_000
    assert recall_and_precision(TEXT, text.text)[0] > 0.5
    assert used() < 700e6, "of one worker"


def test_nothing_is_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)
    assert doctr_nets.Nets(COMPACT).knows_orientation


def test_models_are_chosen_by_name_and_unknown_ones_are_named() -> None:
    with pytest.raises(Misconfigured, match=r"docTR has no models 'fast_base\+nonsense'.*parseq"):
        load_engine("doctr:fast_base+nonsense")
    with pytest.raises(Misconfigured, match=r"There is no fast_base\.pt in the folder"):
        load_engine("doctr")


# ── means ────────────────────────────────────────────────────────────────────────────────────


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def worker_processes() -> list[psutil.Process]:
    children = psutil.Process().children()
    return [child for child in children if "gpu_image.engines.doctr.worker" in child.cmdline()]


@contextmanager
def stopped_workers() -> Generator[list[psutil.Process]]:
    """All workers stand still, so that one can be killed while it has a page."""
    workers = worker_processes()
    for worker in workers:
        worker.suspend()
    try:
        yield workers
    finally:
        for worker in workers:
            if worker.is_running():
                worker.resume()


@contextmanager
def reading(
    engine: DoctrEngine, refs: list[PageRef], stop: threading.Event | None = None
) -> Generator[dict[PageRef, PageText | Failure]]:
    """Pages being read by another thread; all that was read of them, once left."""
    results: dict[PageRef, PageText | Failure] = {}
    thread = threading.Thread(target=lambda: results.update(engine.read(refs, stop=stop)))
    thread.start()
    yield results
    thread.join(500)
    assert not thread.is_alive()


@contextmanager
def most_memory() -> Generator[Callable[[], float]]:
    """The most memory of its own that any worker has from now on."""
    for worker in worker_processes():
        Path(f"/proc/{worker.pid}/clear_refs").write_text("5")

    def peak(pid: int) -> float:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        (line,) = (line for line in lines if line.startswith("VmHWM"))
        return float(line.split()[1]) * 1024

    yield lambda: max(peak(worker.pid) for worker in worker_processes())
