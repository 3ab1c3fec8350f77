"""Weights: what docTR downloads is what its name says, and is read without a network later."""

import hashlib
import os
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from gpu_image.bake_weights import verify

MODEL = "mobilenet_v3_small_page_orientation"

MAKE_CHECKPOINT = f"""
import sys, torch
from doctr.models import {MODEL} as make
torch.save(make(pretrained=False).state_dict(), sys.argv[1])
"""

BAKE = f"""
import sys
from doctr.models.classification.mobilenet.pytorch import default_cfgs
from gpu_image.bake_weights import main
default_cfgs[{MODEL!r}]["url"] = sys.argv.pop(1)
sys.exit(main())
"""


def weights(folder: Path, name: str, content: bytes) -> Path:
    file = folder / name.format(hashlib.sha256(content).hexdigest()[:8])
    file.write_bytes(content)
    return file


def test_a_file_that_is_what_its_name_says_passes(tmp_path: Path) -> None:
    file = weights(tmp_path, "fast_base-{}.pt", b"weights")
    assert verify(tmp_path) == {file.name: hashlib.sha256(b"weights").hexdigest()}


@pytest.mark.parametrize(
    ("name", "said"),
    [("fast_base-688a8b34.pt", "not what its name says"), ("fast_base.pt", "no hash in its name")],
)
def test_a_file_that_is_not_fails_the_build(tmp_path: Path, name: str, said: str) -> None:
    weights(tmp_path, "crnn-{}.pt", b"good")
    weights(tmp_path, name, b"something else")
    with pytest.raises(ValueError, match=said):
        verify(tmp_path)


def test_a_folder_without_weights_fails_the_build(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no weights"):
        verify(tmp_path)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A server of weights: its address and its folder."""
    folder = tmp_path / "store"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", folder
    server.shutdown()
    server.server_close()


def bake(python: Path, url: str, cache: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [python, "-c", BAKE, url, MODEL],
        env={"PATH": os.environ["PATH"], "DOCTR_CACHE_DIR": str(cache)},
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )


def test_weights_are_baked_by_doctrs_loader_and_found_when_the_network_is_gone(
    host_python: Path, store: tuple[str, Path], tmp_path: Path
) -> None:
    address, folder = store
    checkpoint = tmp_path / "checkpoint.pt"
    subprocess.run([host_python, "-c", MAKE_CHECKPOINT, checkpoint], check=True, timeout=500)
    served = weights(folder, MODEL + "-{}.pt", checkpoint.read_bytes())
    cache = tmp_path / "cache"
    baked = bake(host_python, f"{address}/{served.name}", cache)
    assert baked.returncode == 0, baked.stderr
    assert baked.stdout.splitlines()[-1].endswith(f"  {served.name}")
    served.unlink()
    assert bake(host_python, f"{address}/{served.name}", cache).returncode == 0

    (cache / "models" / served.name).write_bytes(b"half a file")
    assert bake(host_python, f"{address}/{served.name}", cache).returncode != 0
