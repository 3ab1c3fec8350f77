"""Look at files in a process of its own, the reader, which may die of them.

    no reader --first file--> reader --answers--> reader
                                     --dies, hangs, takes too long--> no reader

A file that ends its reader is tried once more with a new one, in case it was another's
fault; the second time it is refused, with what happened. Computing for too long is its own
fault: that is refused at once, as others wait behind it. Files wait in line: one reader
serves them all, so that no more than one hostile file's memory is ever in use.
"""

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from blocks.confinement import program, surroundings
from schema.failures import BadInput, RetryLater
from tasks.inspected import ANSWERED, NO_DISK, Answer, Inspection, Question, Room

TRIES = 2
STOP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What reading one file may take."""

    memory_bytes: int = 768 * 1024**2
    """Address space of the reader; what it really uses stays well below."""
    cpu_seconds: int = 120
    """The largest PDF that is taken in needs half a minute."""
    wall_seconds: int = 600
    """On a machine that has other things to do."""


class _Died(Exception):
    """The reader is gone; the message is for the file's owner."""


class Inspector:
    """Who is asked what files are. Make it with `open_inspector`."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._turn = asyncio.Lock()
        self._reader: Process | None = None

    @property
    def reader_pid(self) -> int | None:
        """The process that looks at files, if there is one now."""
        return self._reader.pid if self._reader else None

    async def inspect(self, path: Path, folder: Path, room: Room | None = None) -> Inspection:
        """What the file at `path` is; its members are put into `folder`, which must be empty.

        Raises `BadInput` for a file that cannot be taken in, `OSError` when the disk is full or
        broken, `RetryLater` when no process can be started.
        """
        question = _question(path, folder, room or Room(), self._limits)
        deaths: list[str] = []
        async with self._turn:
            while len(deaths) < TRIES:
                try:
                    return _told(await self._ask(question))
                except _Died as death:
                    deaths.append(str(death))
                    await asyncio.to_thread(_empty, folder)
        raise BadInput(deaths[-1])

    async def close(self) -> None:
        """End the reader, if there is one: it holds nothing that could be lost."""
        reader, self._reader = self._reader, None
        if reader is not None:
            with contextlib.suppress(ProcessLookupError):
                reader.kill()
            await reader.wait()

    async def _ask(self, question: Question) -> Answer:
        reader = self._reader = self._reader or await _start(self._limits)
        answered = False
        try:
            async with asyncio.timeout(self._limits.wall_seconds):
                said = await _say(reader, question.model_dump_json().encode() + b"\n")
            if said.startswith(NO_DISK):
                raise _disk_error(int(said.removeprefix(NO_DISK)))
            if said != ANSWERED:
                raise await self._end_of(reader)
            answer = await asyncio.to_thread(_answer_to, question)
            answered = True
        except TimeoutError as error:
            raise _Died(_took_longer_than(self._limits.wall_seconds)) from error
        finally:
            if not answered:  # whatever it is doing now, the next file finds a new one
                await self.close()
        return answer

    async def _end_of(self, reader: Process) -> _Died | BadInput:
        """Why the reader ended by itself: for good, or perhaps not the next time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await reader.wait()
        if reader.returncode == -signal.SIGXCPU:
            return BadInput(_took_longer_than(self._limits.cpu_seconds))
        if reader.returncode == -signal.SIGALRM:
            return _Died(_took_longer_than(self._limits.wall_seconds))
        return _Died("The file is damaged or far too complex: what reads it crashed.")


@asynccontextmanager
async def open_inspector(limits: Limits | None = None) -> AsyncGenerator[Inspector]:
    """Who looks at files; its process is started for the first and ended with the block."""
    inspector = Inspector(limits or Limits())
    try:
        yield inspector
    finally:
        await inspector.close()


def _question(path: Path, folder: Path, room: Room, limits: Limits) -> Question:
    return Question(
        path=path.absolute(),  # the reader works elsewhere
        folder=folder.absolute(),
        room=room,
        cpu_seconds=limits.cpu_seconds,
        wall_seconds=limits.wall_seconds,
    )


async def _start(limits: Limits) -> Process:
    try:
        return await asyncio.create_subprocess_exec(
            *program("tasks.inspecting", str(limits.memory_bytes)),
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            **surroundings(),
        )
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise RetryLater(f"No process that reads files can be started: {reason}.") from error


async def _say(reader: Process, line: bytes) -> bytes:
    """Ask, and wait for the line that is answered: an empty one if it died."""
    if reader.stdin is None or reader.stdout is None:
        raise AssertionError("it was started with both")
    try:
        reader.stdin.write(line)
        await reader.stdin.drain()
        return await reader.stdout.readline()
    except (ConnectionError, ValueError):  # gone, or a line that never ends
        return b""


def _answer_to(question: Question) -> Answer:
    try:
        return Answer.model_validate_json(question.answer_path.read_bytes())
    except ValidationError as error:
        raise _Died("The file is damaged: what reads it gave no answer.") from error


def _told(answer: Answer) -> Inspection:
    if answer.disk_error is not None:
        raise _disk_error(answer.disk_error)
    if answer.inspection is None:
        raise BadInput(answer.refused or "It cannot be read.")
    return answer.inspection


def _disk_error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def _took_longer_than(seconds: int) -> str:
    return f"The file is damaged or far too complex: reading it took longer than {seconds} s."


def _empty(folder: Path) -> None:
    for left in folder.iterdir():
        left.unlink()
