"""The rehearsal's hosts: local processes in place of containers.

A host's environment is exactly what an image and the create call would give it, and
nothing of the marketplace's own. It runs in a session of its own, and dies with the
marketplace, even when that is killed. Its end is the end of its whole tree: processes
that left the tree are known by the instance key in their environment, which no other
instance has.
"""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

KEY_VARIABLE = "CONTAINER_API_KEY"
GRACE_SECONDS = 3.0
"""Between the polite signal and SIGKILL, in real seconds."""
_KILL_ROUNDS = 20

CODE = Path(__file__).resolve().parent.parent.parent
"""Where the code lies, as it would in an image's working directory."""

_PR_SET_PDEATHSIG = 1

Ended = Callable[[int, int], None]
"""Called with the instance and the exit code when a host ends by itself."""


def image_environment() -> dict[str, str]:
    """The variables an image would set."""
    programs = Path(sys.executable).parent
    return {
        "PATH": f"{programs}:/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "VIRTUAL_ENV": sys.prefix,
    }


class Hosts:
    """Starts, watches and ends the processes of instances. For one event loop."""

    def __init__(self, command: Sequence[str], logs: Path, ended: Ended) -> None:
        self._command = tuple(command)
        self._logs = logs
        self._ended = ended
        self._running: dict[int, asyncio.subprocess.Process] = {}
        self._keys: dict[int, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def pid(self, instance_id: int) -> int | None:
        """The process of an instance that has one now."""
        process = self._running.get(instance_id)
        return None if process is None else process.pid

    def log_file(self, instance_id: int) -> Path:
        """Where a host's output goes."""
        return self._logs / f"{instance_id}.log"

    async def start(self, instance_id: int, environment: Mapping[str, str]) -> None:
        """Start the host of an instance with exactly this environment.

        Raises:
            OSError: the command cannot be started.
        """
        self._logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        parent = os.getpid()

        def die_with_parent() -> None:
            if sys.platform == "linux":
                ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
                if os.getppid() != parent:
                    os._exit(1)

        with self.log_file(instance_id).open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                cwd=CODE,
                env=dict(environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        self._running[instance_id] = process
        self._keys[instance_id] = environment[KEY_VARIABLE]
        self._spawn(self._watch(instance_id, process))

    def freeze(self, instance_id: int) -> None:
        """Stop the host's processes where they are."""
        process = self._running.get(instance_id)
        for one in [] if process is None else _tree(process.pid):
            with contextlib.suppress(psutil.Error):
                one.suspend()

    def thaw(self, instance_id: int) -> None:
        """Let frozen processes go on."""
        process = self._running.get(instance_id)
        for one in [] if process is None else _tree(process.pid):
            with contextlib.suppress(psutil.Error):
                one.resume()

    def end(self, instance_id: int) -> None:
        """End the host and all it started: politely, then by force. Returns at once."""
        process = self._running.pop(instance_id, None)
        if process is not None:
            self._spawn(self._end(process, self._keys[instance_id]))

    async def end_all(self) -> None:
        """End every host, and return when none is left."""
        for instance_id in tuple(self._running):
            self.end(instance_id)
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _watch(self, instance_id: int, process: asyncio.subprocess.Process) -> None:
        code = await process.wait()
        if self._running.get(instance_id) is process:
            del self._running[instance_id]
            # As a container's, its other processes end with the first.
            await asyncio.to_thread(kill_holders, {self._keys[instance_id]})
            self._ended(instance_id, code)

    async def _end(self, process: asyncio.subprocess.Process, key: str) -> None:
        tree = await asyncio.to_thread(_tree, process.pid)
        for one in tree:
            # A frozen process would not hear the signal.
            with contextlib.suppress(psutil.Error):
                one.resume()
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), GRACE_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        _kill(tree)
        await asyncio.to_thread(kill_holders, {key})

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def kill_holders(keys: Iterable[str]) -> int:
    """SIGKILL every process that has one of these instance keys; how many there were."""
    wanted = set(keys)
    killed = 0
    for _ in range(_KILL_ROUNDS):
        found = [one for one in psutil.process_iter() if _key_of(one) in wanted]
        if not found:
            break
        killed += len(found)
        _kill(found)
    return killed


def _key_of(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(KEY_VARIABLE)
    except (psutil.Error, OSError):
        # Gone meanwhile, or another user's: not ours.
        return None


def _tree(pid: int) -> list[psutil.Process]:
    try:
        first = psutil.Process(pid)
        return [first, *first.children(recursive=True)]
    except psutil.Error:
        return []


def _kill(processes: Iterable[psutil.Process]) -> None:
    killed: list[psutil.Process] = []
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()
            killed.append(process)
    psutil.wait_procs(killed, timeout=2)
