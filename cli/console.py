"""How the program speaks: tables and bars on stdout, troubles on stderr, JSON for scripts."""

import json
import logging
import os
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import anyio
import httpx
import psycopg
import typer
from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError
from psycopg_pool import PoolTimeout
from pydantic import ValidationError
from rich.console import Console

from schema.failures import AseagiError, Misconfigured, RetryLater

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


def say_if_heard(message: str) -> None:
    """Print a last word; it is lost if the terminal is closed, and that is no error."""
    try:
        console.print(message)
    except OSError:
        # What is still in the buffer would fail again when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_json(value: object) -> None:
    """Print a value for scripts; dates, decimals and ids become strings."""
    sys.stdout.write(json.dumps(value, default=str, ensure_ascii=False, indent=1) + "\n")


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a command's work. What servers and settings may do to it is raised as one of ours."""

    # Prefect warns at exit that an event is still being sent; it is sent all the same.
    logging.getLogger("EventsWorker").setLevel(logging.ERROR)

    async def main() -> Result:
        return await work

    try:
        return anyio.run(main)
    except AseagiError:
        raise
    except Exception as error:
        known = explained(error)
        if known is None:
            raise
        raise known from error


def explained(error: Exception) -> AseagiError | None:
    """What a person can do about an error of Postgres, Prefect, the bucket or a block.

    None for any other: that is a bug, and its traceback is what helps.
    """
    match error:
        case psycopg.Error():
            return _of_postgres(error)
        case BotoCoreError() | ClientError() | Boto3Error():
            return RetryLater(
                f"Object storage does not answer as it should ({type(error).__name__}). Is it "
                "running, and are the keys in aseagi-object-storage/aseagi right?"
            )
        case ValidationError():
            return _of_block(error)
        case _:
            return _of_prefect(error)


def _of_postgres(error: psycopg.Error) -> AseagiError | None:
    from sql.connection import is_not_migrated

    if is_not_migrated(error):
        return Misconfigured(
            "The database lacks tables of this version. Run `aseagi deploy`, which brings it up "
            "to date."
        )
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return Misconfigured(
            "Postgres does not allow that to the role of this program. Run `aseagi deploy`, and "
            "see that `dsn` in the block aseagi-database/aseagi names aseagi_app."
        )
    if isinstance(error, PoolTimeout):
        return RetryLater(
            "Postgres gave no connection in time. Is it running, or are all its connections in "
            "use? Try again in a minute."
        )
    if isinstance(error, psycopg.OperationalError):
        return RetryLater("Postgres went away. Is it running?")
    return None


def _of_prefect(error: Exception) -> AseagiError | None:
    from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError

    from blocks.loading import prefect_refused, prefect_unreachable

    if isinstance(error, httpx.TransportError):
        return prefect_unreachable()
    if isinstance(error, PrefectHTTPStatusError):
        return prefect_refused(error)
    if isinstance(error, ObjectNotFound):
        return Misconfigured(
            "Prefect does not know a deployment, pool or run that this needs. Run `aseagi "
            "deploy`, and try again."
        )
    return None


def _of_block(error: ValidationError) -> AseagiError | None:
    from blocks.seeding import ALL_BLOCKS

    kind = next((kind for kind in ALL_BLOCKS if kind.__name__ == error.title), None)
    if kind is None:
        return None
    # Without the value: it may be a password.
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    return Misconfigured(
        f"The setting {field} of {kind.get_block_type_slug()} is wrong: {first['msg']}. Correct "
        "it in .env and run `aseagi deploy`, or in the Prefect UI under Blocks."
    )
