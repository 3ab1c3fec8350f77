"""How the program speaks: tables and bars on stdout, troubles on stderr, JSON for scripts."""

import json
import logging
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import anyio
import httpx
import psycopg
import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from schema.failures import RetryLater

PIPED_WIDTH = 140
"""Columns when stdout is no terminal, so that tables in logs are whole."""

console = Console(highlight=False, width=None if sys.stdout.isatty() else PIPED_WIDTH)
errors = Console(stderr=True, highlight=False)

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
StateDirOption = Annotated[
    Path,
    typer.Option(
        "--state", envvar="ASEAGI_STATE", help="Folder of the embedded stack.", show_default=True
    ),
]
STATE_DIR = Path(".aseagi")

Result = TypeVar("Result")


def fail(message: str) -> NoReturn:
    """Say in one line what is wrong, and exit with 1."""
    errors.print(f"aseagi: {message}", markup=False, soft_wrap=True)
    sys.exit(1)


def print_json(value: object) -> None:
    """Print a value for scripts; dates, decimals and ids become strings."""
    sys.stdout.write(json.dumps(value, default=str, ensure_ascii=False, indent=1) + "\n")


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a command's work; a server that goes away meanwhile is one line."""

    # Prefect warns at exit that an event is still being sent; it is sent all the same.
    logging.getLogger("EventsWorker").setLevel(logging.ERROR)

    async def main() -> Result:
        return await work

    try:
        return anyio.run(main)
    except httpx.TransportError as error:
        from blocks.loading import prefect_unreachable

        raise prefect_unreachable() from error
    except psycopg.OperationalError as error:
        raise RetryLater("Postgres went away. Is it running?") from error
    except (BotoCoreError, ClientError) as error:
        raise RetryLater(
            f"Object storage does not answer as it should ({type(error).__name__}). Is it "
            "running, and are the keys in aseagi-object-storage/aseagi right?"
        ) from error
