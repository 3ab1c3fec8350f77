"""What a host installs, and what the marketplace is asked for, fit each other."""

import re
import subprocess
import time
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from blocks.reading import Reading
from blocks.spending import Spending
from schema.image import CUDA
from stack.marketplace.catalogue import make_catalogue, offer_row
from tests.image.conftest import HOME
from work_pools.vastai.knobs import VastJobConfiguration, VastVariables
from work_pools.vastai.models import Offer
from work_pools.vastai.requirements import unmet


def pins(lock: str) -> dict[str, str]:
    text = (HOME / "requirements" / lock).read_text()
    return dict(re.findall(r"^([a-z0-9-]+)==([^\s;]+)", text, re.MULTILINE))


def test_the_locked_torch_and_cuda_are_the_version_that_offers_are_filtered_by() -> None:
    host = pins("host.lock")
    assert host["nvidia-cuda-runtime-cu12"].startswith(f"{CUDA}.")
    assert [host[name].rsplit(".", 1)[0] for name in ("torch", "torchvision", "python-doctr")] == [
        "2.10",
        "0.25",
        "1.1",
    ]
    assert VastVariables.model_fields["min_cuda"].default == CUDA
    assert VastJobConfiguration.model_fields["min_cuda"].default == CUDA


def test_the_installed_torch_was_built_for_that_cuda(host_python: Path) -> None:
    done = subprocess.run(
        [host_python, "-c", "import torch; print(torch.version.cuda)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(CUDA)


def test_a_host_installs_neither_what_it_must_not_have_nor_what_it_never_uses() -> None:
    assert (
        pins("host.lock")
        .keys()
        .isdisjoint(
            {"boto3", "psycopg", "anthropic", "prefect-aws", "rapidocr", "opencv-python", "triton"}
        )
    )


def test_what_is_tested_is_what_hosts_run() -> None:
    here, host = pins("embedded.lock"), pins("host.lock")
    assert {name: here[name] for name in here.keys() & host} == {
        name: host[name] for name in here.keys() & host
    }


@pytest.mark.parametrize("lock", ["host.lock", "embedded.lock"])
def test_a_lock_names_no_index(lock: str) -> None:
    text = (HOME / "requirements" / lock).read_text()
    assert "index-url" not in text
    assert "://" not in text


def test_the_rehearsal_offers_hosts_that_run_the_image() -> None:
    wishes = VastJobConfiguration(name="host", min_cuda=CUDA).requirements(
        Spending(), timedelta(minutes=Reading().session_minutes)
    )
    rows = (
        offer_row(
            machine,
            now=time.time(),
            rented=False,
            is_bid=False,
            allocated_gigabytes=Decimal(wishes.disk_gb),
        )
        for machine in make_catalogue()
    )
    assert sum(not unmet(Offer.model_validate(row), wishes) for row in rows) >= 20
