"""The Dockerfile and what it is handed: all that a host needs, and nothing else."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from bench.image import LEFT_OUT, TESTS_LEFT_OUT
from tests.image.conftest import DOCKERFILE, HOME

LINES = re.sub(r"\\\n\s*", "", (HOME / DOCKERFILE).read_text()).splitlines()

IMPORT_ALONE = """
import sys
import flows.ocr, gpu_image.entrypoint, gpu_image.bake_weights
ours = {
    "flows", "gpu_image", "rendering", "schema", "tasks",
    "sql", "blocks", "work_pools", "stack", "cli",
}
for name, module in sorted(sys.modules.items()):
    if name.split(".")[0] in ours:
        print(module.__file__)
"""


def arguments(instruction: str) -> list[str]:
    return [
        line.removeprefix(instruction).strip() for line in LINES if line.startswith(instruction)
    ]


def test_every_stage_begins_with_a_pinned_base_or_an_earlier_stage() -> None:
    (python,) = (line for line in arguments("ARG") if line.startswith("PYTHON="))
    assert re.fullmatch(r"PYTHON=3\.11\.\d+-slim-[a-z]+", python)
    stages: set[str] = set()
    for line in arguments("FROM"):
        base, _, name = line.partition(" AS ")
        assert base == "python:${PYTHON}" or base in stages
        stages.add(name)
    assert "" in stages, "the last stage is the image"


def test_the_installer_is_the_one_of_the_makefile() -> None:
    (version,) = re.findall(r"^UV_VERSION := (\S+)", (HOME / "Makefile").read_text(), re.MULTILINE)
    assert f"UV={version}" in arguments("ARG")


def test_a_builder_is_handed_only_what_a_host_runs(context: frozenset[str]) -> None:
    allowed = re.compile(
        r"pyproject\.toml|README\.md|\.dockerignore|requirements/(host\.lock|build\.txt)"
        r"|(schema|rendering|gpu_image)/.*|flows/(__init__|ocr)\.py|tasks/(__init__|reading)\.py"
    )
    assert [path for path in sorted(context) if not allowed.fullmatch(path)] == []
    assert not any(path.endswith(".pyc") for path in context)


def test_what_a_builder_is_handed_runs_by_itself(context: frozenset[str], tmp_path: Path) -> None:
    for path in context:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(HOME / path, tmp_path / path)
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALONE],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    elsewhere = [file for file in done.stdout.split() if not file.startswith(str(tmp_path))]
    assert elsewhere == []


def health_check(proc: Path) -> int:
    (check,) = arguments("HEALTHCHECK")
    command = check.partition("CMD ")[2].replace("/proc/", f"{proc}/")
    return subprocess.run(["/bin/sh", "-c", command], check=False).returncode


def test_a_host_is_healthy_while_its_engine_runs(tmp_path: Path) -> None:
    processes = {
        "1": b"python\0-m\0gpu_image.entrypoint\0",
        # The check sees itself, too.
        "42": b"/bin/sh\0-c\0" + arguments("HEALTHCHECK")[0].encode() + b"\0",
    }
    for pid, command in processes.items():
        (tmp_path / pid).mkdir()
        (tmp_path / pid / "cmdline").write_bytes(command)
    assert health_check(tmp_path) == 1
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "cmdline").write_bytes(b"/opt/aseagi/bin/python\0-m\0prefect.engine\0")
    assert health_check(tmp_path) == 0


def test_the_bench_leaves_out_what_the_image_leaves_out() -> None:
    (removal,) = (line for line in arguments("RUN") if " rm -r torch" in line)
    assert all(part in removal for part in LEFT_OUT)
    assert f"find {' '.join(TESTS_LEFT_OUT)} -type d -name tests " in removal
