"""`make image`, with real Prefect and real steps, and a double of the Docker engine."""

import io
import json
import os
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import yaml
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_SERVER_ANALYTICS_ENABLED,
    temporary_settings,
)
from prefect.testing.utilities import prefect_test_harness
from prefect.variables import Variable

from cli.deploy import DEPLOYED, PINNED_IMAGE, RENTED, fingerprint, is_deployed, pin_image
from schema.failures import BadInput
from schema.image import CUDA
from tests.image.conftest import HOME
from work_pools import VastWorker
from work_pools.vastai.knobs import DEFAULT_IMAGE

REPOSITORY = "registry.example.org/cases/aseagi-host"
BUILD_FILE = "gpu_image/prefect.yaml"

pytestmark = pytest.mark.xdist_group("servers")


@dataclass
class Engine:
    """What the double of a Docker engine was told to do."""

    address: str = ""
    pushes_fail: bool = False
    files: set[str] = field(default_factory=set[str])
    build: dict[str, str] = field(default_factory=dict[str, str])
    tags: list[str] = field(default_factory=list[str])
    pushed: list[str] = field(default_factory=list[str])


@pytest.fixture
def engine() -> Iterator[Engine]:
    """Speaks as much of Docker's API as building, tagging and pushing take."""
    told = Engine()

    class Docker(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.path.endswith("/version"):
                self._answer({"ApiVersion": "1.44", "MinAPIVersion": "1.24"})
            else:
                self._answer({"Id": "sha256:" + "0" * 64, "RepoTags": told.tags})

        def do_POST(self) -> None:
            url = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            body = self._body()
            if url.path.endswith("/build"):
                told.build = query
                with tarfile.open(fileobj=io.BytesIO(body)) as context:
                    told.files = {entry.name for entry in context if entry.isfile()}
                self._answer({"stream": "built\n"}, {"aux": {"ID": "sha256:" + "0" * 64}})
            elif url.path.endswith("/tag"):
                told.tags.append(f"{query['repo']}:{query['tag']}")
                self._answer(status=201)
            elif told.pushes_fail:
                self._answer({"error": "denied: not your registry"})
            else:
                name = unquote(url.path).partition("/images/")[2].removesuffix("/push")
                told.pushed.append(f"{name}:{query['tag']}")
                self._answer({"status": "pushed"})

        def _body(self) -> bytes:
            if "chunked" not in self.headers.get("Transfer-Encoding", ""):
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            return body

        def _answer(self, *lines: dict[str, Any], status: int = 200) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            # As the engine reports progress, and as its client expects to hear it.
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for line in [json.dumps(line).encode() + b"\r\n" for line in lines]:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
            self.wfile.write(b"0\r\n\r\n")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Docker)
    told.address = f"tcp://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield told
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def prefect_api() -> Iterator[str]:
    """A Prefect server with the pool `vast-gpu`."""
    alone = temporary_settings({PREFECT_SERVER_ANALYTICS_ENABLED: False})
    with alone, prefect_test_harness(server_startup_timeout=120):
        with get_client(sync_client=True) as client:
            client.create_work_pool(
                WorkPoolCreate(
                    name="vast-gpu",
                    type="vastai",
                    base_job_template=VastWorker.get_default_base_job_template(),
                )
            )
        yield PREFECT_API_URL.value()


def deploy(api: str, engine: Engine, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """`prefect deploy` with the environment that `make image` gives it."""
    programs = Path(sys.executable).parent
    return subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", "deploy", *arguments],
        cwd=HOME,
        env={
            **os.environ,
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PREFECT_API_URL": api,
            "DOCKER_HOST": engine.address,
            "ASEAGI_IMAGE_REPOSITORY": REPOSITORY,
        },
        capture_output=True,
        text=True,
        check=False,
    )


def deployed_image() -> object:
    with get_client(sync_client=True) as client:
        return client.read_deployment_by_name(RENTED).job_variables["image"]


def commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "HEAD"],  # noqa: S607 - git is found where the person has it
        cwd=HOME,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_an_image_is_built_of_its_commit_pushed_and_pinned_until_another_is(
    prefect_api: str, engine: Engine, context: frozenset[str]
) -> None:
    done = deploy(prefect_api, engine, "--all", "--prefect-file", BUILD_FILE)
    assert done.returncode == 0, done.stdout + done.stderr
    (image,) = engine.pushed
    assert engine.tags == [image]
    assert image.removesuffix("-dirty") == f"{REPOSITORY}:{commit()}"
    assert json.loads(engine.build["buildargs"]) == {
        "COMMIT": image.rpartition(":")[2],
        "CUDA": str(CUDA),
    }
    assert engine.build["dockerfile"] == "gpu_image/Dockerfile"
    assert engine.files == context
    assert Variable.get(PINNED_IMAGE) == deployed_image() == image

    # What `aseagi deploy` runs, and anyone without an engine: it keeps the pin.
    done = deploy(prefect_api, engine, "--name", "vast-gpu")
    assert done.returncode == 0, done.stdout + done.stderr
    assert deployed_image() == image
    assert len(engine.pushed) == 1


async def test_what_was_deployed_before_is_deployed_again_after_another_image_was_pinned(
    prefect_api: str, engine: Engine
) -> None:
    await Variable.aset(DEPLOYED, fingerprint(), overwrite=True)
    for image in ("cases/host:1", "cases/host:2"):
        assert await pin_image(image) == image
        done = deploy(prefect_api, engine, "--name", "vast-gpu")
        assert done.returncode == 0, done.stdout + done.stderr
    async with get_client() as client:
        assert await is_deployed(client, "cases/host:2")
        assert not await is_deployed(client, "cases/host:1")
        await Variable.aset(DEPLOYED, "of other files", overwrite=True)
        assert not await is_deployed(client, "cases/host:2")


def test_an_image_that_cannot_be_pushed_is_not_pinned(prefect_api: str, engine: Engine) -> None:
    Variable.set(PINNED_IMAGE, "the-one-before:1", overwrite=True)
    engine.pushes_fail = True
    done = deploy(prefect_api, engine, "--all", "--prefect-file", BUILD_FILE)
    assert done.returncode != 0
    assert "denied: not your registry" in done.stdout + done.stderr
    assert engine.tags != []
    assert Variable.get(PINNED_IMAGE) == "the-one-before:1"


async def test_a_pin_stays_until_another_image_is_named(prefect_api: str) -> None:
    await Variable.aunset(PINNED_IMAGE)
    assert await pin_image(None) == DEFAULT_IMAGE
    assert await pin_image("cases/host:2") == "cases/host:2"
    assert await pin_image(None) == "cases/host:2"
    with pytest.raises(BadInput):
        await pin_image("not a name")
    assert await pin_image(None) == "cases/host:2"


def test_the_deployment_is_the_same_in_both_files_but_for_its_image() -> None:
    def vast_gpu(file: str) -> dict[str, Any]:
        content = yaml.safe_load((HOME / file).read_text())
        deployments = cast("list[dict[str, Any]]", content["deployments"])
        (found,) = (each for each in deployments if each["name"] == "vast-gpu")
        found["work_pool"]["job_variables"].pop("image")
        return found

    assert vast_gpu(BUILD_FILE) == vast_gpu("prefect.yaml")
