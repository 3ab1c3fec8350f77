"""Searchable PDFs made in processes of their own, with limits.

The files are hostile until proven, and three libraries in C and C++ read them here: qpdf,
PDFium, Pillow's codecs. A crash, a loop or a bomb in one of them ends a process that had
nothing else to do, and the document has no searchable PDF; the others get theirs. Such a
process knows no secrets (its environment is empty but for where Python is) and talks to nobody:
it finds a job in a folder, and leaves a PDF and a result there. The memory that a large document
took goes with it.

Loading the libraries takes longer than most documents do. So a `Workshop` loads them once, and
forks itself for each document.

    folder/original         the file
    folder/words/00001.gz   what an engine read on page 1, as the gateway stored it
    folder/job.json         Job
    folder/searchable.pdf   made here
    folder/result.json      Result; missing if the process was killed
"""

import asyncio
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ValidationError

from schema.failures import BadInput

HOME = Path(__file__).parents[2]

SECONDS = 120
"""For a document, besides what its pages are given."""

SECONDS_PER_PAGE = 2

TOOK_TOO_LONG = "Making the searchable PDF took too long."
CRASHED = "Making the searchable PDF took more memory than it may, or the file crashed it."


class Job(BaseModel):
    """What is to be made."""

    media_type: str
    read_pages: list[int]


class Result(BaseModel):
    """What was made, or why nothing was."""

    unchanged: bool = False
    pages: int = 0
    layered: int = 0
    pdfa: str | None = None
    problem: str | None = None


def words_file(folder: Path, page: int) -> Path:
    """Where a page's words are put."""
    return folder / "words" / f"{page:05d}.gz"


class Workshop:
    """Makes searchable PDFs, one at a time. Use it with `async with`."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._end()

    async def make(self, folder: Path, job: Job) -> Result:
        """Make `folder/searchable.pdf` from what lies in the folder.

        Raises `BadInput` for a document of which none can be made, whatever it does to its
        process.
        """
        (folder / "job.json").write_text(job.model_dump_json())
        seconds = SECONDS + SECONDS_PER_PAGE * len(job.read_pages)
        try:
            # Twice the time on a processor: there may be others who want it.
            async with asyncio.timeout(2 * seconds):
                code = await self._ask(f"{seconds}\t{folder}\n".encode())
        except TimeoutError:
            raise BadInput(TOOK_TOO_LONG) from None
        return _result(folder, code)

    async def _ask(self, order: bytes) -> int:
        """The exit code of the process that was forked for it."""
        process = self._process
        if process is None or process.returncode is not None:
            process = await self._start()
        done = b""
        try:
            if process.stdin is not None and process.stdout is not None:
                process.stdin.write(order)
                await process.stdin.drain()
                done = await process.stdout.readline()
        except (BrokenPipeError, ConnectionResetError):
            pass  # it was killed, as one without an answer was
        finally:
            if not done:
                await self._end()
        return int(done or -signal.SIGKILL)

    async def _start(self) -> asyncio.subprocess.Process:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tasks.publishing.making",
            cwd=HOME,
            env=_environment(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        return self._process

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


def _result(folder: Path, code: int) -> Result:
    try:
        result = Result.model_validate_json((folder / "result.json").read_bytes())
    except (OSError, ValidationError):
        raise BadInput(TOOK_TOO_LONG if code == -signal.SIGXCPU else CRASHED) from None
    if result.problem is not None:
        raise BadInput(result.problem)
    return result


def _environment() -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "PYTHONPATH": str(HOME),
        # Each thread would reserve memory of its own, and nothing here computes; and only a
        # process with one thread may be forked.
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }
