"""`make bench-image` counts what the image keeps."""

from importlib.metadata import PathDistribution
from pathlib import Path

from bench.image import kept_files, weigh


def test_a_package_weighs_what_the_image_keeps_of_it(tmp_path: Path) -> None:
    files = {
        "torch/lib/libtorch.so": 4000,
        "torch/include/torch.h": 300,
        "scipy/stats/tests/data.npy": 20,
        "scipy/stats/norm.py": 1,
    }
    for name, size in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(bytes(size))
    about = tmp_path / "torch-2.10.0.dist-info"
    about.mkdir()
    (about / "RECORD").write_text("".join(f"{name},,\n" for name in files))

    part = weigh("torch", kept_files(PathDistribution(about)), compress=True)
    assert part.size == 4001
    assert 0 < part.compressed < 100
