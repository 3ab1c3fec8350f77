"""What a workshop runs: it loads the libraries, and forks itself for each document.

Only forks read files, each under limits of its own; see `workshop` for why, and for what lies in
a job's folder.
"""

import gzip
import os
import resource
import sys
import tempfile
import zlib
from pathlib import Path

from PIL import Image
from pydantic import ValidationError

from schema.failures import BadInput
from schema.ocr import PageText, Word
from tasks.publishing.assembling import assemble
from tasks.publishing.workshop import CRASHED, Job, Result, words_file

MEMORY_BYTES = 3 * 1024**3 // 2
"""Of addresses, most of them never touched: libraries and reserves of threads are in it."""

FILE_BYTES = 5 * 1024**3

WORDS_BYTES = 64 * 1024**2
"""What a page's words may unpack to; the gateway takes in no more."""


def main() -> None:
    """For each line with seconds and a folder, fork; tell how it ended.

    Ends when whoever started it closes the pipe, or is no more.
    """
    for order in sys.stdin:
        seconds, folder = order.rstrip("\n").split("\t")
        child = os.fork()
        if child == 0:
            code = 1
            try:
                _work(Path(folder), int(seconds))
                code = 0
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def _work(folder: Path, cpu_seconds: int) -> None:
    tempfile.tempdir = str(folder)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES, FILE_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 5))
    result = _make(folder, Job.model_validate_json((folder / "job.json").read_bytes()))
    unfinished = folder / "result.unfinished"
    unfinished.write_text(result.model_dump_json())
    unfinished.replace(folder / "result.json")


def _make(folder: Path, job: Job) -> Result:
    # What is too large to be read never came this far.
    Image.MAX_IMAGE_PIXELS = None

    def words_of(page: int) -> list[Word]:
        return read_words(words_file(folder, page))

    original, output = folder / "original", folder / "searchable.pdf"
    try:
        made = assemble(original, job.media_type, job.read_pages, words_of, output)
    except BadInput as error:
        return Result(problem=str(error))
    except MemoryError:
        return Result(problem=CRASHED)
    except Exception as error:  # noqa: BLE001 - whatever a hostile file makes a library raise
        return Result(problem=f"No searchable PDF can be made of it ({type(error).__name__}).")
    return Result(unchanged=made.unchanged, pages=made.pages, layered=made.layered, pdfa=made.pdfa)


def read_words(path: Path) -> list[Word]:
    """The words stored there; none where nothing is, or nothing that can be read."""
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"  # a store may unpack what says that it is gzip
        with gzip.open(path) if packed else path.open("rb") as file:
            body = file.read(WORDS_BYTES)
        return PageText.model_validate_json(body).words
    except (OSError, EOFError, zlib.error, ValidationError):
        return []


if __name__ == "__main__":
    main()
