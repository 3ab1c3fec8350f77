"""docTR: the stock predictor (fast_base + crnn_vgg16_bn), on CUDA where there is one.

Reads several pages per call, because docTR flattens the words of all pages of a
call into its recognition batches. Rotation is found first, on thumbnails, so that
the two large models run once and on straight pages. The weights must lie in
`$DOCTR_CACHE_DIR/models`, or are downloaded there at first use.
"""

import importlib
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from gpu_image.layout import FoundWord, page_text
from gpu_image.render import Document, Pixels, open_document
from schema.failures import BadInput, Failure, Stage
from schema.ocr import PageText

PAGES_PER_CALL = 8
"""All pages of a call are in memory at once, as pixels and as detector input."""


# Six gigabytes that only a GPU image installs: a type checker elsewhere cannot follow an
# import of them, so they come in untyped and what is used of docTR is written down below.
torch: Any = importlib.import_module("torch")
models: Any = importlib.import_module("doctr.models")


class _Word(Protocol):
    value: str
    confidence: float
    geometry: tuple[tuple[float, float], tuple[float, float]]


class _Line(Protocol):
    words: list[_Word]


class _Block(Protocol):
    lines: list[_Line]


class _Page(Protocol):
    blocks: list[_Block]


class _Document(Protocol):
    pages: list[_Page]


class _Predictor(Protocol):
    def __call__(self, pages: list[Pixels]) -> _Document: ...


class _OrientationPredictor(Protocol):
    def __call__(self, pages: list[Pixels]) -> tuple[list[int], list[int], list[float]]:
        """Class indices, counter-clockwise turns (0, 90, 180, -90) to upright, confidences."""
        ...


class DoctrEngine:
    """Reads pages with docTR; needs the extra `gpu`."""

    def __init__(self) -> None:
        self.name = f"doctr {version('python-doctr')} fast_base+crnn_vgg16_bn"
        predictor = models.ocr_predictor(
            det_arch="fast_base",
            reco_arch="crnn_vgg16_bn",
            pretrained=True,
            assume_straight_pages=True,
        )
        orientation = models.page_orientation_predictor(pretrained=True, batch_size=PAGES_PER_CALL)
        if torch.cuda.is_available():
            predictor = predictor.cuda()
            orientation = orientation.cuda()
            if torch.cuda.get_device_capability() >= (8, 0):
                # Ampere and later: half the memory, the same words.
                predictor = predictor.bfloat16()
        self._predict: _Predictor = predictor
        self._orient: _OrientationPredictor = orientation

    def read(
        self, file: Path, media_type: str, pages: Sequence[int]
    ) -> Iterator[tuple[int, PageText | Failure]]:
        """Yield pages in groups of up to `PAGES_PER_CALL`; see `OcrEngine.read`."""
        with open_document(file, media_type) as document:
            for first in range(0, len(pages), PAGES_PER_CALL):
                yield from self._read_group(document, pages[first : first + PAGES_PER_CALL])

    def _read_group(
        self, document: Document, numbers: Sequence[int]
    ) -> Iterator[tuple[int, PageText | Failure]]:
        started = time.perf_counter()
        rendered: dict[int, Pixels] = {}
        for number in numbers:
            try:
                rendered[number] = document.page(number)
            except BadInput as unreadable:
                yield number, _failure(number, str(unreadable))
        if not rendered:
            return
        try:
            texts = self._read_pages(list(rendered.values()), started)
        except Exception as bug:  # noqa: BLE001 - one odd page must not cost the others
            if len(rendered) > 1:
                for number in rendered:  # one at a time, to find the page that is at fault
                    yield from self._read_group(document, [number])
            else:
                (number,) = rendered
                reason = f"The page could not be read ({type(bug).__name__})."
                yield number, _failure(number, reason)
            return
        yield from zip(rendered, texts, strict=True)

    def _read_pages(self, pages: list[Pixels], started: float) -> list[PageText]:
        rotations = [-turn % 360 for turn in self._orient(pages)[1]]
        upright = [
            np.ascontiguousarray(np.rot90(page, k=-rotation // 90))
            for page, rotation in zip(pages, rotations, strict=True)
        ]
        found = self._predict(upright).pages
        seconds = (time.perf_counter() - started) / len(pages)
        return [
            page_text(
                _words(result, turned),
                width_pixels=page.shape[1],
                height_pixels=page.shape[0],
                rotation_degrees=rotation,
                engine=self.name,
                seconds=seconds,
            )
            for page, rotation, turned, result in zip(pages, rotations, upright, found, strict=True)
        ]


def _words(page: _Page, upright: Pixels) -> list[FoundWord]:
    size = np.array([upright.shape[1], upright.shape[0]], dtype=np.float64)
    words: list[FoundWord] = []
    for block in page.blocks:
        for line in block.lines:
            for word in line.words:
                (left, top), (right, bottom) = word.geometry
                corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
                if word.value.strip():
                    words.append(FoundWord(word.value.strip(), corners * size, word.confidence))
    return words


def _failure(page: int, reason: str) -> Failure:
    return Failure(stage=Stage.READ, reason=reason[:500], retry_helps=False, page=page)
