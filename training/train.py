"""Train the compact checkpoints: `python -m training.train recognition --minutes 30`.

Needs the packages of a host (`requirements/host.lock`) and Debian's fonts; runs on a GPU
if there is one, else on the CPU, where half an hour for each net is enough for use in tests.
Writes `training/weights/ARCHITECTURE.pt`, a state dict that docTR's `from_pretrained`
loads, halved to 16 bits on disk, and prints what the README's model card states.
"""

import argparse
import importlib
import json
import math
import multiprocessing
import queue
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from training.pages import MadePage, PageMaker

torch: Any = importlib.import_module("torch")
detection: Any = importlib.import_module("doctr.models.detection")
recognition: Any = importlib.import_module("doctr.models.recognition")
classification: Any = importlib.import_module("doctr.models.classification")

WEIGHTS = Path(__file__).parent / "weights"
DETECTION = "db_mobilenet_v3_large"
RECOGNITION = "crnn_mobilenet_v3_small"
ORIENTATION = "mobilenet_v3_small_page_orientation"

TILE_PIXELS = 384
TILES_PER_STEP = 4
SQUARE_PIXELS = 1024
WORDS_PER_STEP = 128
THUMBNAIL_PIXELS = 512
THUMBNAILS_PER_STEP = 12
WORD_HEIGHT, WORD_WIDTH = 32, 128
HELD_OUT_SEED = 1_000_000
SAVE_EVERY_SECONDS = 240.0


def main() -> None:
    """Train one net for so many minutes."""
    parser = argparse.ArgumentParser(prog="python -m training.train", description=__doc__)
    parser.add_argument("net", choices=["detection", "recognition", "orientation"])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rate", type=float, default=2e-3, help="largest learning rate")
    parser.add_argument("--resume", action="store_true", help="go on from the saved weights")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    torch.manual_seed(chosen.seed)
    WEIGHTS.mkdir(exist_ok=True)
    if chosen.net == "detection":
        name, model = DETECTION, getattr(detection, DETECTION)
        batches = _detection_batches
    elif chosen.net == "orientation":
        name, model = ORIENTATION, _orientation_net
        batches = _orientation_batches
    else:
        name, model = RECOGNITION, getattr(recognition, RECOGNITION)
        batches = _recognition_batches
    net = model(pretrained=False, pretrained_backbone=False)
    if chosen.resume:
        net.from_pretrained(WEIGHTS / f"{name}.pt")
    with _page_stream(chosen.seed, net_alphabet()) as pages:
        _train(net, name, batches(net, pages, chosen.seed), chosen.minutes * 60, chosen.rate)
    print(json.dumps(evaluate(name, net)))


def net_alphabet() -> str:
    """The characters the recogniser knows: docTR's default vocabulary."""
    return getattr(recognition, RECOGNITION)(pretrained=False, pretrained_backbone=False).vocab


def evaluate(name: str, net: Any, *, pages: int = 6) -> dict[str, float]:
    """How well a net does on held-out made pages."""
    net = net.eval().cpu()
    maker = PageMaker(HELD_OUT_SEED, net_alphabet())
    made = [maker.page() for _ in range(pages if name != ORIENTATION else 8 * pages)]
    quality = {
        DETECTION: _detection_quality,
        RECOGNITION: _recognition_quality,
        ORIENTATION: _orientation_quality,
    }
    return quality[name](net, made)


# ── training ─────────────────────────────────────────────────────────────────────────────────


def _train(net: Any, name: str, batches: Iterator[Any], seconds: float, rate: float) -> None:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    # Pixel by pixel in memory, and 16 bits where they do: half the time on these nets.
    net = net.to(device).to(memory_format=torch.channels_last).train()
    optimiser = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=1e-4)
    started = saved = time.monotonic()
    step, mean = 0, math.nan
    while (spent := time.monotonic() - started) < seconds:
        share = spent / seconds
        # A short climb, then down a cosine.
        factor = min(1.0, share / 0.04) * (0.02 + 0.98 * (1 + math.cos(math.pi * share)) / 2)
        for group in optimiser.param_groups:
            group["lr"] = rate * factor
        images, target = next(batches)
        with torch.autocast(device, torch.bfloat16):
            loss = _loss(net, images.to(device), target)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimiser.step()
        value = float(loss.detach())
        mean = value if math.isnan(mean) else 0.97 * mean + 0.03 * value
        step += 1
        if step % 50 == 0:
            print(f"{spent / 60:5.1f} min  step {step:5d}  loss {mean:.3f}", flush=True)
        if time.monotonic() - saved > SAVE_EVERY_SECONDS:
            saved = time.monotonic()
            _save(net, name)
    _save(net, name)
    print(f"{step} steps in {(time.monotonic() - started) / 60:.1f} min, loss {mean:.3f}")


def _loss(net: Any, images: Any, target: Any) -> Any:
    """The loss that docTR gives its nets; its classifiers leave it to the trainer."""
    if isinstance(target, list):
        return net(images, target)["loss"]
    return torch.nn.functional.cross_entropy(net(images), target.to(images.device))


def _save(net: Any, name: str) -> None:
    halved = {
        key: value.detach().cpu().half() if value.is_floating_point() else value.detach().cpu()
        for key, value in net.state_dict().items()
    }
    torch.save(halved, WEIGHTS / f"{name}.pt")


class _page_stream:  # noqa: N801 - used like a function
    """Pages made by another process, while this one trains."""

    def __init__(self, seed: int, alphabet: str) -> None:
        context = multiprocessing.get_context("spawn")
        self._queue: Any = context.Queue(maxsize=6)
        self._process = context.Process(
            target=_make_forever, args=(seed, alphabet, self._queue), daemon=True
        )

    def __enter__(self) -> Iterator[MadePage]:
        self._process.start()
        return iter(self._next, None)

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()

    def _next(self) -> MadePage:
        while True:
            try:
                return self._queue.get(timeout=60)
            except queue.Empty:
                if not self._process.is_alive():
                    raise RuntimeError("the process that makes pages has died") from None


def _make_forever(seed: int, alphabet: str, pages: Any) -> None:
    cv2.setNumThreads(1)
    for page in PageMaker(seed, alphabet).pages():
        pages.put(page)


# ── detection ────────────────────────────────────────────────────────────────────────────────


def _detection_batches(net: Any, pages: Iterator[MadePage], seed: int) -> Iterator[Any]:
    """Pages at the detector's scale, with the boxes of their words.

    Tiles of pages and whole pages take turns: tiles learn faster, but a net that has seen
    nothing else takes the emptiness of a page's lower half for faint text.
    """
    random = np.random.default_rng(seed)
    tiles = _tile_batches(net, pages, random)
    while True:
        yield next(tiles)
        page = next(pages)
        if page.words:  # docTR's loss has no value where there is none
            square, boxes = _square(page)
            yield _normalised(square[None], net.cfg), [{"words": boxes}]


def _tile_batches(
    net: Any, pages: Iterator[MadePage], random: np.random.Generator
) -> Iterator[Any]:
    tiles: list[tuple[NDArray[np.uint8], NDArray[np.float32]]] = []
    while True:
        while len(tiles) < 12 * TILES_PER_STEP:
            page = next(pages)
            scale = 0.5 * random.uniform(0.75, 1.2)
            tiles += [_tile(page, scale, random) for _ in range(6)]
        random.shuffle(tiles)  # pyright: ignore[reportArgumentType] - a list shuffles in place
        chosen, tiles = tiles[:TILES_PER_STEP], tiles[TILES_PER_STEP:]
        images = _normalised(np.stack([image for image, _ in chosen]), net.cfg)
        yield images, [{"words": boxes} for _, boxes in chosen]


def _tile(
    page: MadePage, scale: float, random: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    height, width = (round(side * scale) for side in page.image.shape)
    small = np.asarray(cv2.resize(page.image, (width, height), interpolation=cv2.INTER_AREA))
    # One in five starts off the page, where the detector sees black padding.
    off = -60 if random.random() < 0.2 else 0
    left = int(random.integers(off, max(off + 1, width - TILE_PIXELS - off)))
    top = int(random.integers(off, max(off + 1, height - TILE_PIXELS - off)))
    tile = np.zeros((TILE_PIXELS, TILE_PIXELS), dtype=np.uint8)
    seen = small[max(top, 0) : top + TILE_PIXELS, max(left, 0) : left + TILE_PIXELS]
    y, x = max(-top, 0), max(-left, 0)
    tile[y : y + seen.shape[0], x : x + seen.shape[1]] = seen
    boxes = np.array([word.box for word in page.words], dtype=np.float32).reshape(-1, 4) * scale
    boxes -= np.array([left, top, left, top], dtype=np.float32)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    boxes = boxes[((centres > 0) & (centres < TILE_PIXELS)).all(axis=1)]
    return tile, (boxes / TILE_PIXELS).clip(0, 1).astype(np.float32)


def _square(page: MadePage) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """A page in the square that the detector sees, and its boxes as fractions of that."""
    height, width = page.image.shape
    across = round(SQUARE_PIXELS * width / height)
    left = (SQUARE_PIXELS - across) // 2
    square = np.zeros((SQUARE_PIXELS, SQUARE_PIXELS), dtype=np.uint8)
    square[:, left : left + across] = cv2.resize(
        page.image, (across, SQUARE_PIXELS), interpolation=cv2.INTER_AREA
    )
    boxes = np.array([word.box for word in page.words], dtype=np.float32).reshape(-1, 4)
    boxes = boxes * SQUARE_PIXELS / height + np.array([left, 0, left, 0])
    return square, (boxes / SQUARE_PIXELS).clip(0, 1).astype(np.float32)


def _detection_quality(net: Any, pages: list[MadePage]) -> dict[str, float]:
    hits = found_count = true_count = 0
    for page in pages:
        square, boxes = _square(page)
        with torch.inference_mode():
            found = net(_normalised(square[None], net.cfg))["preds"][0]["words"][:, :4]
        hits += _matches(np.asarray(found), boxes.astype(np.float64))
        found_count += len(found)
        true_count += len(boxes)
    return {
        "recall at IoU 0.5": round(hits / max(1, true_count), 4),
        "precision at IoU 0.5": round(hits / max(1, found_count), 4),
        "words": true_count,
    }


def _matches(found: NDArray[np.float64], true: NDArray[np.float64]) -> int:
    """How many true boxes have a found one of their own with IoU of at least 0.5."""
    if not len(found):
        return 0
    low = np.maximum(found[:, None, :2], true[None, :, :2])
    high = np.minimum(found[:, None, 2:], true[None, :, 2:])
    common = (high - low).clip(0).prod(axis=2)
    area = (found[:, 2:] - found[:, :2]).prod(axis=1)[:, None]
    overlap = common / (area + (true[:, 2:] - true[:, :2]).prod(axis=1)[None] - common)
    return int((overlap.max(axis=0) >= 0.5).sum())


# ── orientation ──────────────────────────────────────────────────────────────────────────────


def _orientation_net(**_: Any) -> Any:
    return getattr(classification, ORIENTATION)(pretrained=False)


def _orientation_batches(net: Any, pages: Iterator[MadePage], seed: int) -> Iterator[Any]:
    """Thumbnails of pages turned by quarters, each with the number of its turn."""
    random = np.random.default_rng(seed)
    thumbnails: list[tuple[NDArray[np.uint8], int]] = []
    while True:
        while len(thumbnails) < 6 * THUMBNAILS_PER_STEP:
            page = next(pages)
            thumbnails += [_thumbnail(page, turn, random) for turn in range(4)]
        order = random.permutation(len(thumbnails))
        thumbnails = [thumbnails[i] for i in order]
        chosen, thumbnails = thumbnails[:THUMBNAILS_PER_STEP], thumbnails[THUMBNAILS_PER_STEP:]
        yield (
            _normalised(np.stack([image for image, _ in chosen]), net.cfg),
            torch.tensor([turn for _, turn in chosen]),
        )


def _thumbnail(
    page: MadePage, turn: int, random: np.random.Generator
) -> tuple[NDArray[np.uint8], int]:
    """A page that must be turned clockwise by `turn` quarters; docTR's classes in that order.

    Every other one is only a part of its page, of any shape: the text says which way is up,
    not that most pages are higher than wide.
    """
    image = page.image
    if random.random() < 0.5:
        height, width = image.shape
        rows, columns = int(height * random.uniform(0.3, 1)), int(width * random.uniform(0.3, 1))
        top = int(random.random() * (height - rows))
        left = int(random.random() * (width - columns))
        image = image[top : top + rows, left : left + columns]
    shrink = THUMBNAIL_PIXELS / max(image.shape)
    height, width = (max(1, int(side * shrink)) for side in image.shape)
    small = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA))
    frame = np.zeros((THUMBNAIL_PIXELS, THUMBNAIL_PIXELS), dtype=np.uint8)
    top, left = (THUMBNAIL_PIXELS - height) // 2, (THUMBNAIL_PIXELS - width) // 2
    frame[top : top + height, left : left + width] = small
    return np.ascontiguousarray(np.rot90(frame, k=turn)), turn


def _orientation_quality(net: Any, pages: list[MadePage]) -> dict[str, float]:
    random = np.random.default_rng(HELD_OUT_SEED)
    right = 0
    for page in pages:
        for turn in range(4):
            image, _ = _thumbnail(page, turn, random)
            with torch.inference_mode():
                right += int(net(_normalised(image[None], net.cfg)).argmax()) == turn
    return {"right": round(right / (4 * len(pages)), 4), "thumbnails": 4 * len(pages)}


# ── recognition ──────────────────────────────────────────────────────────────────────────────


def _recognition_batches(net: Any, pages: Iterator[MadePage], seed: int) -> Iterator[Any]:
    """Words as the detector would cut them out: a little too much here, too little there."""
    random = np.random.default_rng(seed)
    words: list[tuple[NDArray[np.uint8], str]] = []
    while True:
        while len(words) < 12 * WORDS_PER_STEP:
            words += _word_images(next(pages), random)
        order = random.permutation(len(words))
        words = [words[i] for i in order]
        chosen, words = words[:WORDS_PER_STEP], words[WORDS_PER_STEP:]
        yield (
            _normalised(np.stack([image for image, _ in chosen]), net.cfg),
            [text for _, text in chosen],
        )


def _word_images(
    page: MadePage, random: np.random.Generator
) -> list[tuple[NDArray[np.uint8], str]]:
    scale = random.uniform(0.55, 1.1)
    image = np.asarray(
        cv2.resize(page.image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA),
        dtype=np.uint8,
    )
    images: list[tuple[NDArray[np.uint8], str]] = []
    for word in page.words:
        left, top, right, bottom = (side * scale for side in word.box)
        height = bottom - top
        jitter = random.normal(0, 0.06, 4) * height
        x0, y0 = max(0, round(left + jitter[0] - 1)), max(0, round(top + jitter[1]))
        x1, y1 = round(right + jitter[2] + 1), round(bottom + jitter[3])
        crop = image[y0 : y1 + 1, x0 : x1 + 1]
        # Wider ones are cut into pieces when pages are read; here they would only be squashed.
        if min(crop.shape) >= 4 and crop.shape[1] <= 8 * crop.shape[0] and len(word.text) <= 30:
            images.append((fitted(crop), word.text))
    return images


def fitted(crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A word in the recogniser's frame: as large as fits, at the left, black beside it."""
    height, width = crop.shape
    if width / height > WORD_WIDTH / WORD_HEIGHT:
        size = (WORD_WIDTH, max(1, int(WORD_WIDTH * height / width)))
    else:
        size = (max(1, int(WORD_HEIGHT * width / height)), WORD_HEIGHT)
    shrinks = size[1] < height
    small = cv2.resize(crop, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    frame = np.zeros((WORD_HEIGHT, WORD_WIDTH), dtype=np.uint8)
    frame[: size[1], : size[0]] = small
    return frame


def _recognition_quality(net: Any, pages: list[MadePage]) -> dict[str, float]:
    random = np.random.default_rng(HELD_OUT_SEED)
    words = [word for page in pages for word in _word_images(page, random)]
    right = folded = 0
    for first in range(0, len(words), WORDS_PER_STEP):
        chosen = words[first : first + WORDS_PER_STEP]
        with torch.inference_mode():
            images = _normalised(np.stack([image for image, _ in chosen]), net.cfg)
            read = [text for text, _ in net(images)["preds"]]
        right += sum(text == true for text, (_, true) in zip(read, chosen, strict=True))
        folded += sum(
            _bare(text) == _bare(true) for text, (_, true) in zip(read, chosen, strict=True)
        )
    return {
        "exact": round(right / len(words), 4),
        "exact but for case and punctuation": round(folded / len(words), 4),
        "words": len(words),
    }


def _bare(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())


def _normalised(images: NDArray[np.uint8], cfg: dict[str, Any]) -> Any:
    """Gray images as the three normalised channels the nets were designed for."""
    gray = torch.from_numpy(images).float().div_(255)[:, None]
    mean = torch.tensor(cfg["mean"])[None, :, None, None]
    return ((gray - mean) / torch.tensor(cfg["std"])[None, :, None, None]).contiguous()


if __name__ == "__main__":
    main()
