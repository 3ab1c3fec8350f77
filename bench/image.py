"""What the image of a rented host weighs: every package it installs, our code, the weights.

    make bench-image
    .venv-host/bin/python -m bench.image --compressed    # minutes: what is downloaded, too

Run in the environment that `make host` installs from the host's lock. The base image is
not here to be weighed, and bytecode is not counted.
"""

import argparse
import importlib
import re
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any, cast

from rich.console import Console
from rich.table import Table

from bench.results import Figure, write_results
from gpu_image.bake_weights import MODELS

HOME = Path(__file__).parent.parent
LOCK = HOME / "requirements" / "host.lock"
CODE = (
    "schema/**/*.py",
    "rendering/**/*.py",
    "gpu_image/**/*.py",
    "flows/ocr.py",
    "tasks/reading.py",
)

LEFT_OUT = ("torch/include", "libcusolverMg.so", ".alt.so")
TESTS_LEFT_OUT = ("numpy", "scipy", "sympy")
"""What the Dockerfile removes again: files so named, and the tests of these packages."""

SHOWN = 14
MEGABYTE = 1_000_000
CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Part:
    """One line of the table; `compressed` is 0 when it was not asked for."""

    name: str
    size: int
    compressed: int = 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.image", description=__doc__)
    parser.add_argument("--compressed", action="store_true", help="compress everything, too")
    compress = cast("bool", parser.parse_args().compressed)

    locked: set[str] = set(re.findall(r"^([a-z0-9-]+)==", LOCK.read_text(), re.MULTILINE))
    installed = {canonical(each.name): each for each in distributions()}
    if missing := locked - installed.keys():
        print(f"Not installed: {', '.join(sorted(missing))}. Run `make bench-image`.")
        return 1

    def weigh_package(name: str) -> Part:
        return weigh(name, kept_files(installed[name]), compress=compress)

    with ThreadPoolExecutor() as threads:
        packages = list(threads.map(weigh_package, sorted(locked)))
    code = weigh("our code", (file for pattern in CODE for file in HOME.glob(pattern)))
    parts = [*packages, code, _weights()]
    _print(parts)
    figures = {part.name: Figure(part.size / MEGABYTE, "MB") for part in parts}
    figures["total"] = Figure(sum(part.size for part in parts) / MEGABYTE, "MB")
    if compress:
        total = sum(part.compressed or part.size for part in parts)
        figures["total, compressed"] = Figure(total / MEGABYTE, "MB")
    print(f"written to {write_results('image', figures)}")
    return 0


def canonical(name: str) -> str:
    """A distribution's name as lock files write it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def kept_files(distribution: Distribution) -> Iterator[Path]:
    """The files of an installed package that the image keeps, without bytecode."""
    for entry in distribution.files or ():
        path = entry.as_posix()
        is_test = path.startswith(TESTS_LEFT_OUT) and "/tests/" in path
        if not is_test and entry.suffix != ".pyc" and not any(part in path for part in LEFT_OUT):
            yield Path(str(entry.locate()))


def weigh(name: str, files: Iterable[Path], *, compress: bool = False) -> Part:
    """The size of `files`, and if asked for, as a registry stores them (gzip, level 6)."""
    size = packed = 0
    for file in files:
        size += file.stat().st_size
        packed += _compressed(file) if compress else 0
    return Part(name, size, packed)


def _compressed(file: Path) -> int:
    packer, size = zlib.compressobj(6), 0
    with file.open("rb") as content:
        while chunk := content.read(CHUNK):
            size += len(packer.compress(chunk))
    return size + len(packer.flush())


def _weights() -> Part:
    """The parameters of the models that are baked, by their architectures; none is downloaded."""
    doctr: Any = importlib.import_module("doctr.models")
    size = 0
    for name in MODELS:
        backbone = {} if "orientation" in name else {"pretrained_backbone": False}
        for tensor in getattr(doctr, name)(pretrained=False, **backbone).state_dict().values():
            size += tensor.numel() * tensor.element_size()
    return Part("weights", size)


def _print(parts: list[Part]) -> None:
    table = Table("part", "MB", "compressed, MB", title="What the image adds to its base")
    ordered = sorted(parts, key=lambda part: part.size, reverse=True)
    rest = ordered[SHOWN:]
    shown = [
        *ordered[:SHOWN],
        Part(
            f"{len(rest)} more",
            sum(part.size for part in rest),
            sum(part.compressed for part in rest),
        ),
        Part(
            "together",
            sum(part.size for part in parts),
            # What is not compressed here, weights above all, hardly shrinks.
            sum(part.compressed or part.size for part in parts),
        ),
    ]
    compressed = any(part.compressed for part in parts)
    for part in shown:
        packed = f"{part.compressed / MEGABYTE:,.0f}" if compressed and part.compressed else ""
        table.add_row(part.name, f"{part.size / MEGABYTE:,.0f}", packed)
    Console().print(table)


if __name__ == "__main__":
    raise SystemExit(main())
