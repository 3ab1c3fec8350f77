"""What a host installs is enough: its flow imports, its entrypoint runs, docTR reads."""

import subprocess
import sys
from pathlib import Path

import pytest

from gpu_image.entrypoint import STOPPED
from tests.gpu_image.test_entrypoint import (
    ENDS_SECONDS,
    marketplace,
    prefect_that_hangs,
    start,
    wait_for_engine,
)

__all__ = ["marketplace", "prefect_that_hangs"]

READ = """
import importlib.util, sys
import numpy
import flows.ocr
from doctr.models import ocr_predictor, page_orientation_predictor

page = numpy.full((800, 600, 3), 255, numpy.uint8)
read = ocr_predictor("fast_base", "crnn_vgg16_bn", pretrained=False, pretrained_backbone=False)
assert read([page]).pages[0].dimensions == (800, 600)
assert len(page_orientation_predictor(pretrained=False)([page])[1]) == 1
for absent in ("triton", "psycopg", "boto3", "anthropic", "rapidocr"):
    assert importlib.util.find_spec(absent) is None, absent
"""


def test_the_flow_imports_and_doctr_reads(host_python: Path) -> None:
    done = subprocess.run(
        [host_python, "-c", READ], capture_output=True, text=True, check=False, timeout=500
    )
    assert done.returncode == 0, done.stderr


def test_the_entrypoint_runs_its_engine_and_ends_its_own_instance(
    host_python: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    marketplace: tuple[str, list[tuple[str, str | None]]],
    prefect_that_hangs: str,
) -> None:
    monkeypatch.setattr(sys, "executable", str(host_python))
    url, destroyed = marketplace
    host = start(
        tmp_path,
        PREFECT_API_URL=prefect_that_hangs,
        ASEAGI_GATEWAY_URL=url,
        ASEAGI_LIFETIME_SECONDS="20",
        ASEAGI_MARKETPLACE_URL=url,
        CONTAINER_ID="80",
        CONTAINER_API_KEY="only-for-80",
    )
    (engine,) = wait_for_engine(host)
    assert engine.cmdline()[0] == str(host_python)
    host.communicate(timeout=ENDS_SECONDS)
    assert host.returncode == STOPPED
    assert destroyed[-1] == ("/api/v0/instances/80/", "Bearer only-for-80")
    assert list(tmp_path.iterdir()) == []
