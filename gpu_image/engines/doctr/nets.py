"""docTR's nets: which way up pages are, where words are, what they say; batch by batch.

Pictures arrive as uint8 in ordinary memory and are made ready on the device: pinned staging
memory, copies that do not wait, normalisation there. Numbers are bfloat16 where the GPU
has it, float16 on older ones, float32 on a CPU. A batch is first launched, then collected,
so that the next can be launched before this one's results are waited for; each thread
launches on a stream of its own, so that words are found and read at the same time.

What is computed is what docTR computes: its nets, its weights, its decoding. Convolutions
and the normalisation after them are one layer (docTR's own `reparameterize`), and the CTC
decoding of CRNN is done for a whole batch at once. `torch.compile` is not used: it needs
a compiler on the host, and half a minute of rent before the first page.
"""

import importlib
import os
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from threading import Lock
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from gpu_image.bake_weights import MODELS
from gpu_image.engines.doctr.boxes import BoxRules
from schema.failures import Misconfigured

# Six gigabytes that only a host installs: a type checker elsewhere cannot follow an import
# of them, so they come in untyped, and this module alone touches them.
torch: Any = importlib.import_module("torch")
detection: Any = importlib.import_module("doctr.models.detection")
recognition: Any = importlib.import_module("doctr.models.recognition")
classification: Any = importlib.import_module("doctr.models.classification")

merge_texts: Callable[[list[str], float, float], str] = importlib.import_module(
    "doctr.models.recognition.utils"
).merge_multi_strings
"""docTR's: the text of a word from those of crops of it that overlap."""

DETECTION, RECOGNITION, ORIENTATION = MODELS
"""What is read with unless chosen otherwise: the nets whose weights the image has."""

WEIGHTS_FOLDER = "ASEAGI_DOCTR_WEIGHTS"
"""Environment variable: take `NAME.pt` from this folder instead of docTR's own weights.
Without a file for the orientation net, pages are taken to be upright."""

T = TypeVar("T")

Pictures = NDArray[np.uint8]
Read = tuple[str, float]
"""A crop's text and its confidence."""


class OutOfMemory(Exception):
    """The batch does not fit on the device; a smaller one may."""


class DeviceFailed(Exception):
    """The device, or this process' use of it, is broken: nothing more can be computed here."""


@dataclass(frozen=True, slots=True)
class Pending(Generic[T]):
    """A batch on the device."""

    output: Any
    event: Any
    decode: Callable[[Any], list[T]]

    def result(self) -> list[T]:
        """Wait for the batch; what the net says of each picture. Errors: see `told_apart`."""
        if self.event is not None:
            self.event.synchronize()
        return self.decode(self.output)


class Nets:
    """The three nets on the device there is. One thread for each of its methods at a time."""

    def __init__(self, models: str = "") -> None:
        """Load the nets: `DETECTION+RECOGNITION`, by docTR's names of architectures.

        Raises `Misconfigured` for a name that docTR has not.
        """
        chosen = _chosen(models)
        self.cuda: bool = torch.cuda.is_available()
        self.name = f"doctr {version('python-doctr')} {'+'.join(chosen)}"
        self._levels: dict[Any, tuple[Any, Any]] = {}
        self._dtype = torch.float32
        if self.cuda:
            newer = torch.cuda.get_device_capability() >= (8, 0)  # Ampere
            self._dtype = torch.bfloat16 if newer else torch.float16
        self.detector = self.made_fast(load(detection, chosen[0], exportable=True))
        self.recogniser = self.made_fast(load(recognition, chosen[1]))
        self._orienter: Any = None
        if _weights(ORIENTATION) is not None or not _folder():
            self._orienter = self.made_fast(load(classification, ORIENTATION))
        # On a CPU each net has all cores; two at once would only push each other aside.
        self._turns: AbstractContextManager[object] = nullcontext() if self.cuda else Lock()
        self._streams = threading.local()
        self.side = int(self.detector.cfg["input_shape"][-1])
        after = self.detector.postprocessor
        self.rules = BoxRules(
            map_threshold=after.bin_thresh,
            box_threshold=after.box_thresh,
            growth=after.unclip_ratio,
        )
        self._decodes_ctc = isinstance(self.recogniser, recognition.CRNN)
        self.recogniser.exportable = self._decodes_ctc  # scores of classes instead of texts
        if self.cuda:
            torch.cuda.synchronize()  # the threads' own streams must find the weights in place

    @property
    def knows_orientation(self) -> bool:
        """Whether there is a net that says which way up a page is."""
        return self._orienter is not None

    def orient(self, thumbnails: Sequence[Pictures]) -> Pending[int]:
        """How many quarter turns clockwise make each page upright."""
        net = self._orienter
        # docTR's classes are degrees counter-clockwise: 0, -90, 180, 90.
        quarters = [-degrees // 90 % 4 for degrees in net.cfg["classes"]]
        return self._launch(
            net, thumbnails, net, lambda said: [quarters[k] for k in said.argmax(1).tolist()]
        )

    def maps(self, squares: Sequence[Pictures]) -> Pending[NDArray[np.float32]]:
        """How likely each point of each square is text."""

        def forward(pictures: Any) -> Any:
            logits = self.detector(pictures)["logits"]
            if hasattr(self.detector, "pooling"):  # FAST: what docTR leaves to exports
                logits = self.detector.pooling(logits)
            return torch.sigmoid(logits)[:, 0].float()

        return self._launch(self.detector, squares, forward, lambda maps: list(maps.numpy()))

    def words(self, crops: Sequence[Pictures]) -> Pending[Read]:
        """What each crop says."""
        if self._decodes_ctc:
            return self._launch(self.recogniser, crops, self._best_path, self._collapsed)

        def forward(pictures: Any) -> Any:
            return self.recogniser(pictures, return_preds=True)["preds"]

        return self._launch(self.recogniser, crops, forward, list)

    def _best_path(self, pictures: Any) -> Any:
        """The likeliest class of each column, and the confidence of the least certain one."""
        logits = self.recogniser(pictures)["logits"].float()
        surest = torch.softmax(logits, dim=-1).amax(-1).amin(1)
        return torch.cat([logits.argmax(-1).float(), surest[:, None]], dim=1)

    def _collapsed(self, paths: Any) -> list[Read]:
        """CTC: repeated classes count once, and what separates them is no character."""
        vocabulary, blank = self.recogniser.vocab, len(self.recogniser.vocab)
        classes = paths[:, :-1].numpy().astype(np.int64)
        before = np.concatenate([np.full((len(classes), 1), -1), classes[:, :-1]], axis=1)
        counts = (classes != before) & (classes != blank)
        texts = [
            "".join([vocabulary[k] for k in row[kept].tolist()])
            for row, kept in zip(classes, counts, strict=True)
        ]
        return list(zip(texts, paths[:, -1].tolist(), strict=True))

    def made_fast(self, net: Any) -> Any:
        """The net on the device, in the numbers and the memory layout that are fastest there."""
        net = detection.fast.reparameterize(net.eval())
        net = net.to("cuda" if self.cuda else "cpu", self._dtype)
        return net.to(memory_format=torch.channels_last)

    def _launch(
        self,
        net: Any,
        pictures: Sequence[Pictures],
        forward: Callable[[Any], Any],
        decode: Callable[[Any], list[T]],
    ) -> Pending[T]:
        shape = (len(pictures), *pictures[0].shape)
        with torch.inference_mode(), self._turns:
            staged = torch.empty(shape, dtype=torch.uint8, pin_memory=self.cuda)
            np.stack(pictures, out=staged.numpy())
            if not self.cuda:
                return Pending(forward(self.ready(net, staged)), None, decode)
            with torch.cuda.stream(self._stream()):
                on_gpu = staged.to("cuda", non_blocking=True)
                output = forward(self.ready(net, on_gpu))
                if torch.is_tensor(output):
                    output = output.to("cpu", non_blocking=True)
                event = torch.cuda.Event(blocking=True)  # a core that waits can work
                event.record()
                return Pending(output, event, decode)

    def ready(self, net: Any, pictures: Any) -> Any:
        """uint8 (N, H, W, 3) as the net wants them: (N, 3, H, W), channels last in memory."""
        if net not in self._levels:  # made once: a copy to the device waits for what it does
            self._levels[net] = (
                torch.tensor(net.cfg["mean"], device=pictures.device),
                torch.tensor(net.cfg["std"], device=pictures.device),
            )
        mean, std = self._levels[net]
        return ((pictures.float() / 255 - mean) / std).to(self._dtype).permute(0, 3, 1, 2)

    def _stream(self) -> Any:
        """This thread's own stream."""
        if not hasattr(self._streams, "stream"):
            self._streams.stream = torch.cuda.Stream()
        return self._streams.stream


def _chosen(models: str) -> tuple[str, str]:
    names = models.split("+") if models else [DETECTION, RECOGNITION]
    known = (detection.zoo.ARCHS, recognition.zoo.ARCHS)
    if len(names) != 2 or any(name not in archs for name, archs in zip(names, known, strict=True)):
        raise Misconfigured(
            f"docTR has no models {models!r}: write the name of a detection architecture, a plus "
            f"and the name of one for recognition, such as {DETECTION}+{RECOGNITION}; there are "
            f"{', '.join(known[0])}; and {', '.join(known[1])}."
        )
    return names[0], names[1]


def _folder() -> str:
    return os.environ.get(WEIGHTS_FOLDER, "")


def _weights(name: str) -> Path | None:
    """A file of the folder to use instead of docTR's own weights, if there is one."""
    file = Path(_folder(), f"{name}.pt")
    return file if _folder() and file.is_file() else None


def load(zoo: Any, name: str, **options: Any) -> Any:
    """One of docTR's nets. docTR finds and checks the weights, unless a folder of ours is named."""
    if not _folder():
        return getattr(zoo, name)(pretrained=True, **options)
    file = _weights(name)
    if file is None:
        raise Misconfigured(f"There is no {name}.pt in the folder that {WEIGHTS_FOLDER} names.")
    # Without the second switch docTR downloads the weights of the net's first layers.
    backbone = {} if zoo is classification else {"pretrained_backbone": False}
    net = getattr(zoo, name)(pretrained=False, **backbone, **options)
    net.from_pretrained(str(file))
    return net


def told_apart(error: Exception) -> Exception:
    """The error as what it means: `OutOfMemory`, `DeviceFailed`, or itself.

    Without its traceback, whose frames hold all that was on the device when it was raised:
    as long as they are there, half the batch finds no more room than the whole.
    """
    text = f"{type(error).__name__}: {error}"
    error.__traceback__ = error.__cause__ = error.__context__ = None
    if isinstance(error, torch.OutOfMemoryError) or any(sign in text for sign in _MEMORY_SIGNS):
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return OutOfMemory(text)
    return DeviceFailed(text) if any(sign in text for sign in _DEVICE_SIGNS) else error


_MEMORY_SIGNS = (
    "out of memory",
    "can't allocate memory",
    "_ALLOC_FAILED",
    "Unable to find a valid cuDNN",
)
_DEVICE_SIGNS = ("CUDA error", "CUDNN_STATUS", "CUBLAS_STATUS", "AcceleratorError")
"""What Torch says, and what it passes on of the libraries behind it."""
