"""A host can import its flow without the droplet's clients, and the droplet without torch."""

import subprocess
import sys

import pytest

BLOCK_AND_IMPORT = """
import importlib, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {absent!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
importlib.import_module({module!r})
"""


def _import_without(module: str, absent: set[str]) -> subprocess.CompletedProcess[str]:
    code = BLOCK_AND_IMPORT.format(module=module, absent=absent)
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )


def test_the_ocr_flow_imports_where_the_droplets_clients_are_not_installed() -> None:
    absent = {"psycopg", "psycopg_pool", "boto3", "botocore", "anthropic", "prefect_aws"}
    ours = {"sql", "blocks", "work_pools", "gateway", "dashboard", "cli", "stack"}
    done = _import_without("flows.ocr", absent | ours)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("module", ["gateway.app", "flows.ingest", "flows.analyse", "work_pools"])
def test_the_droplet_imports_without_torch_and_engines(module: str) -> None:
    absent = {"torch", "torchvision", "doctr", "rapidocr", "onnxruntime", "cv2"}
    done = _import_without(module, absent)
    assert done.returncode == 0, done.stderr


def test_analysis_by_rules_imports_without_claudes_client() -> None:
    done = _import_without("flows.analyse", {"anthropic"})
    assert done.returncode == 0, done.stderr


def test_an_absent_package_does_stop_an_import() -> None:
    done = _import_without("gateway.app", {"psycopg"})
    assert "No module named 'psycopg'" in done.stderr
