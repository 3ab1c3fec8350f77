"""Run by the Python of a host, which has docTR and Torch and little else: `make test` does it.

    .venv-host/bin/python -m pytest --confcutdir tests/host tests/host

The compact weights of `training/` take the place of docTR's own; nothing is downloaded.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

HOME = Path(__file__).parents[2]
os.environ["ASEAGI_DOCTR_WEIGHTS"] = str(HOME / "training" / "weights")

from gpu_image.engines.doctr.engine import DoctrEngine, Sizes  # noqa: E402
from rendering.pages import Pixels  # noqa: E402
from samples.paper import Sheet, rendered, scanned  # noqa: E402

COMPACT = "db_mobilenet_v3_large+crnn_mobilenet_v3_small"
TEXT = """IN THE CIRCUIT COURT OF THE STATE OF OREGON
Estate of Harold Miller, Case No. 24-0339
The personal representative shall file a receipt
for the payment no later than January 29, 2025
and send a copy of it to all interested persons."""


@pytest.fixture(scope="session")
def engine() -> Iterator[DoctrEngine]:
    """An engine with two workers and few slots, so that pages must wait for one another."""
    engine = DoctrEngine(COMPACT, sizes=Sizes(workers=2, slots=3, pages=2, thumbnails=2, crops=32))
    yield engine
    engine.close()


def page_saying(text: str, *, dpi: int = 130, seed: int = 1, height_inches: float = 4.5) -> Pixels:
    """A small scanned page, gray as RGB."""
    sheet = Sheet(size=14)
    sheet.lines(text)
    gray = scanned(rendered(sheet, dpi=dpi), seed=seed)[: int(height_inches * dpi)]
    return np.ascontiguousarray(np.repeat(gray[..., None], 3, axis=2))


@pytest.fixture(scope="session")
def page() -> Pixels:
    """A page that says `TEXT`."""
    return page_saying(TEXT)
