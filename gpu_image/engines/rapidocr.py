"""RapidOCR: PP-OCRv6 small models from the rapidocr wheel, on the CPU, without downloads.

How a page is read, unless it is blank (`gpu_image.blank`):

1. find the lines of text (bounded to `DETECTION_SIDE_PIXELS`, where they are as easy
   to find as at full size and four times as cheap);
2. turn the page upright: lines that run down the page say "sideways"; a small
   classifier, and where it wavers a trial reading of a few lines, say "upside down";
3. cut each line out of the full-size page, flattened, and recognise it;
4. split it into words at its spaces, each with the columns its characters came from.
"""

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import groupby
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray
from rapidocr import RapidOCR
from rapidocr.ch_ppocr_rec.typings import TextRecInput, WordInfo

from gpu_image.blank import ink_of, without_dirt
from gpu_image.cores import usable_cores
from gpu_image.engines import Outcome, PageRef
from gpu_image.layout import FoundWord, Quad, page_text
from rendering.pages import Document, Pixels, open_document
from schema.failures import BadInput, Failure, Stage
from schema.ocr import PageText

DETECTION_SIDE_PIXELS = 1280
"""Longest side on which lines are searched; recognition uses the full-size page."""

LEAST_LINE_CONFIDENCE = 0.5
"""Below this a "line" is a stamp, a fold or handwriting read as noise."""

TRIAL_LINES = 8
"""Lines tried both ways up when it is unclear which way is up."""


@dataclass(frozen=True)
class _Line:
    """A recognised line: its characters, and each one's place along it from 0 to 1."""

    text: str
    confidences: list[float]
    places: list[float]

    @property
    def confidence(self) -> float:
        return sum(self.confidences) / len(self.confidences) if self.confidences else 0.0


class RapidOcrEngine:
    """Reads pages with RapidOCR; needs the extra `cpu`."""

    reads_at_once = 1

    def __init__(self) -> None:
        self.name = f"rapidocr {version('rapidocr')}"
        # It logs every model it opens, and warns of every page without text.
        logging.getLogger("RapidOCR").setLevel(logging.CRITICAL)
        ocr = RapidOCR(
            params={
                "Global.log_level": "critical",
                "EngineConfig.onnxruntime.intra_op_num_threads": usable_cores(),
                "Det.limit_type": "max",
                "Det.limit_side_len": DETECTION_SIDE_PIXELS,
                "Rec.rec_batch_num": 4,
            }
        )
        # The models are loaded by first use: a white page for the detector, a line for the rest.
        white = np.full((64, 320, 3), 255, dtype=np.uint8)
        ocr(white, use_det=True, use_cls=False, use_rec=False)
        ocr(white, use_det=False, use_cls=True, use_rec=True)
        if ocr.text_det is None or ocr.text_cls is None or ocr.text_rec is None:
            raise RuntimeError("rapidocr did not load its models")
        self._detector, self._classifier, self._recogniser = (
            ocr.text_det,
            ocr.text_cls,
            ocr.text_rec,
        )

    def read(
        self, pages: Sequence[PageRef], *, stop: threading.Event | None = None
    ) -> Iterator[Outcome]:
        """Yield each page as it is read, urgent ones first; see `OcrEngine.read`."""
        for outcome in self._read(pages):
            if stop is not None and stop.is_set():
                return
            yield outcome

    def _read(self, pages: Sequence[PageRef]) -> Iterator[Outcome]:
        in_turn = sorted(pages, key=lambda ref: not ref.urgent)
        for (file, media_type), refs in groupby(in_turn, lambda ref: (ref.file, ref.media_type)):
            wanted = list(refs)
            try:
                with open_document(file, media_type) as document:
                    yield from self._read_document(document, wanted)
            except BadInput as unreadable:
                for ref in wanted:
                    yield ref, _failure(ref.page, str(unreadable))

    def _read_document(self, document: Document, refs: Sequence[PageRef]) -> Iterator[Outcome]:
        for ref in refs:
            started = time.perf_counter()
            try:
                outcome = self._read_page(document.page(ref.page), started)
            except BadInput as unreadable:
                outcome = _failure(ref.page, str(unreadable))
            except Exception as bug:  # noqa: BLE001 - one odd page must not cost the others
                outcome = _failure(ref.page, f"The page could not be read ({_kind(bug)}).")
            yield ref, outcome

    def _read_page(self, page: Pixels, started: float) -> PageText:
        height, width = page.shape[:2]
        ink = ink_of(page)
        if ink.is_none:
            return self._blank(page, started)
        upright, quads, rotation = self._turned_upright(page)
        crops = [_flattened(upright, quad) for quad in quads]
        words: list[FoundWord] = []
        for quad, line in zip(quads, self._recognised(crops), strict=True):
            if line.confidence >= LEAST_LINE_CONFIDENCE:
                words += _words(line, quad)
        found, is_blank = without_dirt(words, ink)
        if is_blank:
            return self._blank(page, started)
        return page_text(
            found,
            width_pixels=width,
            height_pixels=height,
            # Nothing says which way up a page without words is.
            rotation_degrees=rotation if found else 0,
            engine=self.name,
            seconds=time.perf_counter() - started,
        )

    def _blank(self, page: Pixels, started: float) -> PageText:
        return page_text(
            (),
            width_pixels=page.shape[1],
            height_pixels=page.shape[0],
            rotation_degrees=0,
            engine=self.name,
            seconds=time.perf_counter() - started,
            is_blank=True,
        )

    def _turned_upright(self, page: Pixels) -> tuple[Pixels, list[Quad], int]:
        """The upright page, its lines, and the clockwise turn that made it upright."""
        quads = self._line_quads(page)
        rotation = 0
        if _run_down_the_page(quads):
            page, rotation = _turned(page, 90), 90
            quads = self._line_quads(page)
        if self._is_upside_down(page, quads):
            page, rotation = _turned(page, 180), rotation + 180
            height, width = page.shape[:2]
            # The same lines seen from the other side: the last corner pair comes first.
            quads = [np.array([width, height]) - np.roll(quad, 2, axis=0) for quad in quads]
        return page, quads, rotation

    def _line_quads(self, page: Pixels) -> list[Quad]:
        boxes = self._detector(_bgr(page)).boxes
        return [] if boxes is None else [np.asarray(box, dtype=np.float64) for box in boxes]

    def _is_upside_down(self, page: Pixels, quads: list[Quad]) -> bool:
        # Lines of middling length say most for their price.
        long = sorted((q for q in quads if _aspect(q) >= 3), key=_aspect)
        middle = len(long) // 2
        trial = long[max(0, middle - TRIAL_LINES // 2) : middle + TRIAL_LINES // 2] or quads[:4]
        if not trial:
            return False
        crops = [_flattened(page, quad) for quad in trial]
        answers = self._classifier(crops).cls_res or []
        if all(label == "0" and confidence > 0.9 for label, confidence in answers):
            return False
        as_is = sum(line.confidence for line in self._recognised(crops))
        flipped = [np.ascontiguousarray(crop[::-1, ::-1]) for crop in crops]
        turned = sum(line.confidence for line in self._recognised(flipped))
        return turned > as_is

    def _recognised(self, crops: list[Pixels]) -> list[_Line]:
        if not crops:
            return []
        found = self._recogniser(TextRecInput(img=crops, return_word_box=True))
        # Declared as finished words; before rapidocr's own box step it holds columns.
        columns = cast("Sequence[WordInfo]", found.word_results)
        return [_line(text, word) for text, word in zip(found.txts or (), columns, strict=True)]


def _failure(page: int, reason: str) -> Failure:
    return Failure(stage=Stage.READ, reason=reason[:500], retry_helps=False, page=page)


def _kind(error: Exception) -> str:
    return type(error).__name__


def _bgr(page: Pixels) -> Pixels:
    """In the channel order the models were trained on."""
    return np.ascontiguousarray(page[:, :, ::-1])


def _turned(page: Pixels, clockwise_degrees: int) -> Pixels:
    return np.ascontiguousarray(np.rot90(page, k=-clockwise_degrees // 90))


def _sides(quad: Quad) -> tuple[float, float]:
    """Mean length of a quad's top and bottom, and of its left and right side."""
    top, right, bottom, left = (
        float(np.hypot(*(quad[(corner + 1) % 4] - quad[corner]))) for corner in range(4)
    )
    return (top + bottom) / 2, (left + right) / 2


def _aspect(quad: Quad) -> float:
    width, height = _sides(quad)
    return width / max(1.0, height)


def _run_down_the_page(quads: list[Quad]) -> bool:
    """Whether most of the text, by area, stands in boxes taller than wide."""
    down = across = 0.0
    for quad in quads:
        width, height = _sides(quad)
        if height > 1.5 * width:
            down += width * height
        elif width > 1.5 * height:
            across += width * height
    return down > across


def _flattened(page: Pixels, quad: Quad) -> Pixels:
    """Cut a line out of the page as if seen from straight above (BGR, for the models)."""
    width, height = (max(4, round(side)) for side in _sides(quad))
    target = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float32)
    matrix = cv2.getPerspectiveTransform(quad.astype(np.float32), target)
    crop = cv2.warpPerspective(
        page, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return _bgr(np.asarray(crop, dtype=np.uint8))


def _line(text: str, columns: WordInfo) -> _Line:
    """Characters with their own confidence and place.

    rapidocr gives the columns of the characters other than spaces, in order; a space
    stands between its neighbours and needs none.
    """
    places = iter([column for word in columns.word_cols for column in word])
    length = max(1.0, columns.line_txt_len)
    return _Line(
        text=text,
        confidences=columns.confs[: len(text)],
        places=[
            -1.0 if character.isspace() else (next(places) + 0.5) / length for character in text
        ],
    )


def _words(line: _Line, quad: Quad) -> list[FoundWord]:
    """Split a line at its spaces."""
    spans: list[tuple[int, int]] = []
    start: int | None = None
    for index, character in enumerate([*line.text, " "]):
        if character.isspace():
            if start is not None:
                spans.append((start, index))
            start = None
        elif start is None:
            start = index
    words: list[FoundWord] = []
    # A little more than half: capitals are wider than the mean character.
    half = 1.3 * _half_character(line)
    for first, end in spans:
        left = max(0.0, line.places[first] - half)
        right = min(1.0, line.places[end - 1] + half)
        confidences = line.confidences[first:end]
        words.append(
            FoundWord(
                text=line.text[first:end],
                quad=_part(quad, left, max(left, right)),
                confidence=sum(confidences) / len(confidences),
            )
        )
    return words


def _half_character(line: _Line) -> float:
    inside = [place for place in line.places if place >= 0]
    if len(inside) < 2:
        return 0.5
    return (inside[-1] - inside[0]) / (len(line.text) - 1) / 2


def _part(quad: Quad, left: float, right: float) -> NDArray[np.float64]:
    """The part of a line between two shares of its length."""
    top_left, top_right, bottom_right, bottom_left = quad
    top, bottom = top_right - top_left, bottom_right - bottom_left
    return np.array(
        [
            top_left + top * left,
            top_left + top * right,
            bottom_left + bottom * right,
            bottom_left + bottom * left,
        ]
    )
