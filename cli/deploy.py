"""`aseagi deploy`: bring database, blocks, pools, deployments and automations up to date."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.connection import use_stack
from cli.console import STATE_DIR, console, run
from schema.failures import BadInput, Misconfigured, RetryLater

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient

HOME = Path(__file__).resolve().parent.parent
"""Where prefect.yaml is."""

ZOMBIE_SECONDS = 90
"""A run whose heartbeat was not heard for so long is dead; it beats every 30 seconds."""

DEPLOYED = "aseagi_deployed"
"""Prefect variable with the fingerprint of what was deployed last."""

PINNED_IMAGE = "aseagi_gpu_image"
"""Prefect variable with the image that rented hosts run; `prefect.yaml` reads it."""

RENTED = "ocr/vast-gpu"
"""The deployment whose sessions run on rented hosts."""

POOLS = {"droplet": "process", "local": "local", "vast-gpu": "vastai"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(deploy)


def deploy(
    overwrite_blocks: Annotated[
        bool,
        typer.Option(
            help="Write the blocks anew from the environment; by default existing ones stay."
        ),
    ] = False,
    image: Annotated[
        str | None,
        typer.Option(help="Image that rented hosts run from now on; by default it stays."),
    ] = None,
) -> None:
    """Migrate the database; register blocks, pools, deployments and automations.

    Reads `.env` and the environment (see `.env.example`), and talks to `PREFECT_API_URL`.
    Safe to repeat: what is up to date is left alone.

    **Example:** `PREFECT_API_URL=https://prefect.example.org/api aseagi deploy`
    """
    from dotenv import load_dotenv

    load_dotenv(Path.cwd() / ".env")
    use_stack(STATE_DIR)
    from sql.migrate import migrate

    owner = os.environ.get("ASEAGI_DATABASE_OWNER_URL")
    if not owner:
        raise Misconfigured(
            "ASEAGI_DATABASE_OWNER_URL is not set: migrations need the owner of the schema. "
            ".env.example explains it."
        )
    console.print(f"database: {migrate(owner)} migrations applied")
    run(_register(overwrite_blocks=overwrite_blocks, image=image))


async def _register(*, overwrite_blocks: bool, image: str | None) -> None:
    import httpx
    from prefect.client.orchestration import get_client

    from blocks.loading import prefect_unreachable
    from blocks.seeding import seed_blocks
    from tasks.starting import forget_missed_runs

    try:
        async with get_client() as client:
            for seeded in await seed_blocks(os.environ, overwrite=overwrite_blocks):
                console.print(f"block {seeded.slug}: {seeded.outcome}")
            await _make_pools(client)
            pinned = await pin_image(image)
            console.print(f"image of rented hosts: {pinned}")
            await _deploy_all(client, pinned)
            console.print(f"runs missed while nothing ran: {await forget_missed_runs()} deleted")
            console.print(f"automation for dead runs: {await _crash_zombies(client)}")
    except httpx.TransportError as error:
        raise prefect_unreachable() from error


async def _make_pools(client: "PrefectClient") -> None:
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectNotFound
    from prefect.workers.process import ProcessWorker

    from work_pools import LocalWorker, VastWorker

    templates = {
        "process": ProcessWorker.get_default_base_job_template(),
        "local": LocalWorker.get_default_base_job_template(),
        "vastai": VastWorker.get_default_base_job_template(),
    }
    for name, kind in POOLS.items():
        try:
            await client.read_work_pool(name)
            console.print(f"pool {name}: kept")
        except ObjectNotFound:
            await client.create_work_pool(
                WorkPoolCreate(name=name, type=kind, base_job_template=templates[kind])
            )
            console.print(f"pool {name}: created")


async def pin_image(image: str | None) -> str:
    """The image that rented hosts run: the one given, else the one there, else the pool's default.

    Raises `BadInput` when what is given cannot be the name of an image.
    """
    from prefect.variables import Variable

    from work_pools.vastai.knobs import DEFAULT_IMAGE

    if image is None:
        there = await Variable.aget(PINNED_IMAGE, default=None)
        if isinstance(there, str):
            return there
        image = DEFAULT_IMAGE
    if not image or any(character.isspace() for character in image):
        raise BadInput(f"{image!r} is not the name of an image.")
    await Variable.aset(PINNED_IMAGE, image, overwrite=True)
    return image


async def _deploy_all(client: "PrefectClient", image: str) -> None:
    """Run `prefect deploy --all`, unless exactly this was deployed last."""
    from prefect.variables import Variable

    if await is_deployed(client, image):
        console.print("deployments: up to date")
        return
    done = subprocess.run(  # noqa: ASYNC221 - nothing else runs in this command
        [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"],
        cwd=HOME,
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise RetryLater(f"`prefect deploy --all` failed: {lines[-1] if lines else 'no output'}")
    await Variable.aset(DEPLOYED, fingerprint(), overwrite=True)
    console.print("deployments: registered")


async def is_deployed(client: "PrefectClient", image: str) -> bool:
    """Whether the files are those deployed last, and rented hosts are pinned to `image`.

    The image is looked up: `make image` pins another one without a word to this command.
    """
    from prefect.exceptions import ObjectNotFound
    from prefect.variables import Variable

    try:
        deployment = await client.read_deployment_by_name(RENTED)
    except ObjectNotFound:
        return False
    same_files = await Variable.aget(DEPLOYED, default=None) == fingerprint()
    return same_files and (deployment.job_variables or {}).get("image") == image


def fingerprint() -> str:
    """Changes when prefect.yaml or any flow (whose signature becomes the run form) changes."""
    digest = hashlib.sha256()
    for file in [HOME / "prefect.yaml", *sorted((HOME / "flows").glob("*.py"))]:
        digest.update(file.read_bytes())
    return digest.hexdigest()


async def _crash_zombies(client: "PrefectClient") -> str:
    """An automation that marks a run Crashed when its heartbeat stops.

    Prefect's server does not do this by itself: a run whose machine died would stay
    Running, and hold its pool's slot, for ever.
    """
    from datetime import timedelta

    from prefect.client.schemas.objects import StateType
    from prefect.events.actions import ChangeFlowRunState
    from prefect.events.schemas.automations import (
        AutomationCore,
        EventTrigger,
        Posture,
    )

    name = "crash runs whose heartbeat stopped"
    if await client.read_automations_by_name(name):
        return "kept"
    await client.create_automation(
        AutomationCore(
            name=name,
            description="Marks a flow run Crashed when its process is gone.",
            trigger=EventTrigger(
                after={"prefect.flow-run.heartbeat"},
                expect={
                    "prefect.flow-run.heartbeat",
                    "prefect.flow-run.Completed",
                    "prefect.flow-run.Failed",
                    "prefect.flow-run.Cancelled",
                    "prefect.flow-run.Crashed",
                },
                match={"prefect.resource.id": "prefect.flow-run.*"},  # pyright: ignore[reportArgumentType]
                for_each={"prefect.resource.id"},
                posture=Posture.Proactive,
                threshold=1,
                within=timedelta(seconds=ZOMBIE_SECONDS),
            ),
            actions=[
                ChangeFlowRunState(
                    type="change-flow-run-state",
                    force=False,
                    state=StateType.CRASHED,
                    name="Crashed",
                    message=f"No heartbeat for {ZOMBIE_SECONDS} seconds: its process is gone.",
                )
            ],
        )
    )
    return "created"
