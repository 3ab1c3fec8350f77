"""Each short cut of the engine against what docTR itself computes."""

import importlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from gpu_image.engines.doctr import nets as doctr_nets
from gpu_image.engines.doctr.arena import Arena
from gpu_image.engines.doctr.boxes import Boxes, BoxRules, find_boxes, leaning_boxes, outlines
from gpu_image.engines.doctr.crops import cut_words, joined
from gpu_image.engines.doctr.frame import Frame
from gpu_image.engines.doctr.jobs import Render
from gpu_image.engines.doctr.nets import Nets
from gpu_image.engines.doctr.worker import Worker
from rendering.pages import PNG, Pixels
from tests.host.conftest import COMPACT, TEXT, page_saying

torch: Any = importlib.import_module("torch")
zoo: Any = importlib.import_module("doctr.models")
geometry: Any = importlib.import_module("doctr.utils.geometry")
preprocessor: Any = importlib.import_module("doctr.models.preprocessor")
detection_parts: Any = importlib.import_module("doctr.models.detection._utils")

SIDE = 256


@pytest.fixture(scope="module")
def nets() -> Nets:
    return Nets(COMPACT)


def noise(height: int, width: int, *, gray: bool, seed: int) -> Pixels:
    """Something with detail at every scale."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (height // 7 + 1, width // 7 + 1, 3))
    picture = np.kron(coarse, np.ones((7, 7, 1), dtype=np.int64))[:height, :width]
    picture = (picture + random.integers(0, 256, picture.shape)) // 2
    if gray:
        picture = np.repeat(picture[..., :1], 3, axis=2)
    return np.ascontiguousarray(picture.astype(np.uint8))


def doctr_resized(picture: Pixels, size: tuple[int, int], *, centred: bool) -> NDArray[np.float32]:
    """What docTR feeds its nets, before normalisation, in levels of 0 to 255."""
    prepare = preprocessor.PreProcessor(
        size, batch_size=1, mean=(0, 0, 0), std=(1, 1, 1), preserve_aspect_ratio=True,
        symmetric_pad=centred,
    )  # fmt: skip
    (batch,) = prepare([picture])
    return batch[0].permute(1, 2, 0).numpy() * 255


def assert_same_levels(ours: Pixels, doctr: NDArray[np.float32]) -> None:
    """The same but for rounding: a half may go either way, and hardly any value is one."""
    difference = np.abs(ours.astype(np.float32) - doctr)
    assert difference.max() < 1.01
    assert (difference > 0.5).mean() < 2e-3


@given(
    height=st.integers(40, 500), width=st.integers(40, 500), gray=st.booleans(),
    seed=st.integers(0, 99),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_a_page_lies_in_the_square_as_doctr_puts_it(
    height: int, width: int, gray: bool, seed: int
) -> None:
    page = noise(height, width, gray=gray, seed=seed)
    square = np.full((SIDE, SIDE, 3), 99, dtype=np.uint8)
    Frame(width, height, SIDE).place(page, square)
    assert_same_levels(square, doctr_resized(page, (SIDE, SIDE), centred=True))


def text_map(seed: int, *, words: int = 60, degrees: float = 0.0, side: int = 512) -> Any:
    """A detector's map of words in lines: likely inside, blurred at the edge, some faint."""
    random = np.random.default_rng(seed)
    canvas = np.zeros((side, side), dtype=np.float32)
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), degrees, 1.0)
    for number in range(words):
        x, y = 60 + number % 5 * 80 + random.integers(0, 20), 60 + number // 5 * 32
        width, height = int(random.integers(3, 56)), int(random.integers(2, 12))
        corners = np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]])
        turned = corners @ turn[:, :2].T + turn[:, 2]
        cv2.fillPoly(canvas, [turned.round().astype(np.int32)], float(random.uniform(0.2, 1)))
    return np.asarray(cv2.GaussianBlur(canvas, (3, 3), 0), dtype=np.float32)


DETECTORS = ["db_mobilenet_v3_large", "linknet_resnet18", "fast_tiny"]


def rules_of(postprocessor: Any) -> BoxRules:
    return BoxRules(postprocessor.bin_thresh, postprocessor.box_thresh, postprocessor.unclip_ratio)


@pytest.mark.parametrize("name", DETECTORS)
@pytest.mark.parametrize("seed", range(4))
def test_straight_boxes_are_doctrs_in_its_order(name: str, seed: int) -> None:
    net = getattr(doctr_nets.detection, name)(pretrained=False, pretrained_backbone=False)
    likely = text_map(seed)
    ((expected,),) = net.postprocessor(likely[None, ..., None])
    found = find_boxes(likely, rules_of(net.postprocessor))
    assert found.straight
    assert len(expected) > 20
    np.testing.assert_allclose(found.corners[:, 0], expected[:, :2], atol=1e-9)
    np.testing.assert_allclose(found.corners[:, 2], expected[:, 2:4], atol=1e-9)


@pytest.mark.parametrize("degrees", [-12.0, -4.0, 3.0, 9.0, 25.0])
def test_leaning_boxes_are_doctrs(degrees: float) -> None:
    net = doctr_nets.detection.db_mobilenet_v3_large(
        pretrained=False, pretrained_backbone=False, assume_straight_pages=False
    )
    likely = text_map(5, degrees=degrees)
    rules = rules_of(net.postprocessor)
    ((expected,),) = net.postprocessor(likely[None, ..., None])
    found = leaning_boxes(likely, outlines(likely, rules), rules)
    assert len(found) == len(expected) > 20
    # Which corner is first differs: docTR sorts by place, we by the text's direction.
    apart = np.abs(found[:, :, None] - expected[:, None, :4]).max(axis=3).min(axis=2) * len(likely)
    assert apart.max() < 1e-3
    assert not find_boxes(likely, rules).straight


@pytest.mark.parametrize("shape", [(700, 500), (500, 700), (600, 600)])
def test_boxes_go_back_to_the_page_as_doctr_takes_them(shape: tuple[int, int]) -> None:
    boxes = np.random.default_rng(3).uniform(0, 1, (50, 5))
    page = np.zeros((*shape, 3), dtype=np.uint8)
    (expected,) = detection_parts._remove_padding(
        [page], [{"words": boxes.copy()}], preserve_aspect_ratio=True, symmetric_pad=True,
        assume_straight_pages=True,
    )  # fmt: skip
    points = Frame(shape[1], shape[0], SIDE).to_page(boxes[:, :4].reshape(-1, 2, 2))
    np.testing.assert_allclose(points.reshape(-1, 4), expected["words"][:, :4].clip(0, 1))


@given(seed=st.integers(0, 99), gray=st.booleans())
@settings(max_examples=20, deadline=None)
def test_crops_are_cut_split_and_resized_as_doctr_does(seed: int, gray: bool) -> None:
    random = np.random.default_rng(seed)
    page = noise(300, 400, gray=gray, seed=seed)
    low = random.uniform(0, 0.7, (30, 2))
    size = np.stack([random.uniform(0.01, 0.9, 30), random.uniform(0.01, 0.15, 30)], axis=1)
    boxes = np.concatenate([low, (low + size).clip(0, 1)], axis=1)
    corners = boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)
    strips = np.full((400, 32, 128, 3), 77, dtype=np.uint8)
    cut = cut_words(page, Boxes(corners, straight=True), strips)

    split: Any = importlib.import_module("doctr.models.recognition.predictor._utils").split_crops
    pieces, places, _ = split(geometry.extract_crops(page, boxes), 8, 6, 0.5)
    assert cut.crops == len(pieces)
    for span, place in zip(cut.spans, places, strict=True):
        first, end, last_overlap = (place, place + 1, 0.0) if isinstance(place, int) else place
        assert (span.first, span.count) == (first, end - first)
        assert span.last_overlap == pytest.approx(last_overlap)
    expected = np.stack([doctr_resized(piece, (32, 128), centred=False) for piece in pieces])
    assert_same_levels(strips[: cut.crops], expected)


@pytest.mark.parametrize("name", DETECTORS)
def test_maps_are_doctrs(name: str) -> None:
    torch.manual_seed(1)
    net = getattr(doctr_nets.detection, name)(pretrained=False, pretrained_backbone=False).eval()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # as training leaves them, not as made
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.8, 1.2)
    square = noise(256, 256, gray=False, seed=1)
    fast = Nets(COMPACT)
    batch = fast.ready(net, torch.from_numpy(square[None]))
    with torch.inference_mode():
        expected = net(batch, return_model_output=True)["out_map"][0, 0].numpy()
    net.exportable = True
    fast.detector = fast.made_fast(net)
    (ours,) = fast.maps([square]).result()
    np.testing.assert_allclose(ours, expected, atol=2e-4)


def test_words_are_doctrs_texts_and_confidences(nets: Nets, page: Pixels) -> None:
    net = doctr_nets.load(doctr_nets.recognition, COMPACT.split("+")[1]).eval()
    strips = noise(32 * 40, 128, gray=False, seed=2).reshape(40, 32, 128, 3)
    with torch.inference_mode():
        expected = net(nets.ready(net, torch.from_numpy(strips)), return_preds=True)["preds"]
    ours = nets.words(list(strips)).result()
    assert [text for text, _ in ours] == [text for text, _ in expected]
    np.testing.assert_allclose([c for _, c in ours], [c for _, c in expected], atol=1e-4)


def with_recogniser(net: Any, monkeypatch: pytest.MonkeyPatch) -> Nets:
    stock = doctr_nets.load

    def load(zoo: Any, name: str, **options: Any) -> Any:
        return net if zoo is doctr_nets.recognition else stock(zoo, name, **options)

    monkeypatch.setattr(doctr_nets, "load", load)
    return Nets(COMPACT)


@pytest.mark.parametrize("name", ["viptr_tiny", "parseq", "sar_resnet31"])
def test_other_recognisers_decode_by_themselves(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(1)
    net = getattr(doctr_nets.recognition, name)(pretrained=False, pretrained_backbone=False).eval()
    strips = noise(32 * 4, 128, gray=False, seed=2).reshape(4, 32, 128, 3)
    other = with_recogniser(net, monkeypatch)
    with torch.inference_mode():
        expected = net(other.ready(net, torch.from_numpy(strips)), return_preds=True)["preds"]
    assert other.words(list(strips)).result() == expected


@pytest.mark.parametrize("quarters", range(4))
def test_the_turn_of_a_page_is_doctrs(nets: Nets, tmp_path: Path, quarters: int) -> None:
    page = page_saying("\n".join([TEXT] * 5), height_inches=10)
    # Turned counter-clockwise, so that as many quarters clockwise make it upright.
    turned = np.ascontiguousarray(np.rot90(page, quarters))
    file = tmp_path / "page.png"
    Image.fromarray(turned).save(file)
    arena = Arena(1, nets.side)
    Worker(arena).do(Render(0, file, PNG, 1))
    assert nets.orient([arena.slot(0).thumbnail]).result() == [quarters]
    net = doctr_nets.load(doctr_nets.classification, doctr_nets.ORIENTATION)
    predict = zoo.classification.page_orientation_predictor(net)
    assert predict([turned])[1] == [{0: 0, 1: -90, 2: 180, 3: 90}[quarters]]


def test_a_word_in_pieces_is_joined_as_doctr_joins_it() -> None:
    cut = cut_words(
        np.full((40, 900, 3), 200, dtype=np.uint8),
        Boxes(np.array([[[0, 0], [0.99, 0], [0.99, 0.9], [0, 0.9]]]), straight=True),
        np.zeros((20, 32, 128, 3), dtype=np.uint8),
    )
    (span,) = cut.spans
    assert span.count > 2
    whole = "attorneysandcounselorsatlaw"
    size = len(whole) // (span.count - 1)
    read = [(whole[i * size // 2 : i * size // 2 + size], 0.5) for i in range(span.count)]
    remap: Any = importlib.import_module("doctr.models.recognition.predictor._utils").remap_preds
    expected = remap(read, [(0, span.count, span.last_overlap)], 0.5)
    assert [joined(span, read, doctr_nets.merge_texts)] == expected
