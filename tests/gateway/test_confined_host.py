"""A host that can reach the gateway and the object store, and nothing else, does its work."""

import asyncio
import os
import sys
from pathlib import Path

import httpx
from prefect.client.orchestration import get_client

from bench.throughput import letter
from tests.gateway.conftest import Door
from work_pools.host_environment import inherited_environment

HOME = Path(__file__).parents[2]
CONFINEMENT = Path(__file__).parent / "confined"
PAGES = 6


def place(url: str) -> str:
    """Host and port of an address."""
    parsed = httpx.URL(url)
    return f"{parsed.host}:{parsed.port}"


async def test_a_host_reaches_the_gateway_and_the_object_store_and_reads_its_pages(
    door: Door, tmp_path: Path
) -> None:
    for number in range(PAGES):
        await door.site.add_document(content=letter(71_000 + number), media_type="image/png")
    run = await door.site.prefect_run(engine="paced", pages_per_lease=4, idle_seconds=0)
    host = await door.host(pages=0, run=run)
    allowed = {place(door.url), place(door.site.servers.object_store.endpoint_url)}
    record = tmp_path / "places"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "gpu_image.entrypoint",
        cwd=HOME,
        env={
            **inherited_environment(),
            **host.environment,
            "PYTHONPATH": os.pathsep.join([str(CONFINEMENT), str(HOME)]),
            "CONFINED_TO": " ".join(allowed),
            "CONFINED_RECORD": str(record),
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()

    assert process.returncode == 0, output.decode()
    assert set(record.read_text().split("\n")) - {""} == allowed
    states = await door.site.rows("select state, count(*) from aseagi.pages group by state")
    assert states == [("done", PAGES)]
    closed = await door.site.rows(
        "select state, close_reason from aseagi.ocr_sessions where id = %s", host.begun.session_id
    )
    assert closed == [("closed", "nothing left to read")]
    async with get_client() as prefect:
        assert (await prefect.read_flow_run(run)).state_name == "Completed"


async def test_the_confinement_holds(tmp_path: Path) -> None:
    """A process shut in like the host is refused another address, and a child of it too."""
    program = (
        "import socket, subprocess, sys\n"
        "try: socket.create_connection(('127.0.0.1', 9))\n"
        "except PermissionError: print('refused')\n"
        "if 'again' not in sys.argv: subprocess.run([sys.executable, *sys.orig_argv[1:], 'again'])"
    )
    record = tmp_path / "places"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        program,
        env={
            **inherited_environment(),
            "PYTHONPATH": str(CONFINEMENT),
            "CONFINED_TO": "127.0.0.1:1",
            "CONFINED_RECORD": str(record),
        },
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert output.split() == [b"refused", b"refused"]
    assert record.read_text().split() == ["127.0.0.1:9"] * 2
