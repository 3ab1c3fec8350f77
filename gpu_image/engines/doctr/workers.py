"""The pool of worker processes: jobs go in by urgency, answers come out by callback.

One thread for each process hands it a job, waits for the answer, and passes that on. A
process that dies over a job is replaced, and the job done once more: it may have been the
system that killed it, for memory. One that takes longer over a job than any sound page
takes is killed. Either way the job ends in `Trouble` at the latest, and only that page
has failed. If no process can be started any more, the engine is broken.

Processes are started by command line, not forked: the engine's process has threads and a
CUDA context, which do not survive a fork.
"""

import heapq
import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing import Pipe
from multiprocessing.connection import Connection

from gpu_image.engines.doctr.arena import Arena
from gpu_image.engines.doctr.jobs import HELLO, Answer, Job, Trouble

JOB_SECONDS = 60.0
"""A page that takes longer to draw or to cut is an attack or a bug."""

START_SECONDS = 60.0
START_TRIES = 3
START_PAUSE_SECONDS = 1.0

STOP_SECONDS = 5.0

OnAnswer = Callable[[Answer], None]
Priority = tuple[int, int]
"""Smaller goes first; equal ones in the order in which they came."""


class WorkersFailed(Exception):
    """No worker process can be started on this machine."""


class WorkerPool:
    """`count` processes that do jobs on the slots of `arena`. Close it."""

    def __init__(
        self,
        count: int,
        arena: Arena,
        *,
        broken: Callable[[Exception], None],
        job_seconds: float = JOB_SECONDS,
    ) -> None:
        """`broken` is called, perhaps more than once, when a process cannot be started."""
        self._arena = arena
        self._broken = broken
        self._job_seconds = job_seconds
        self._waiting: list[tuple[Priority, int, Job, OnAnswer]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._closing = False
        self._threads = [
            threading.Thread(target=self._drive, name=f"worker {number}", daemon=True)
            for number in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, job: Job, priority: Priority, on_answer: OnAnswer) -> None:
        """Have a job done; `on_answer` is called once, from a thread of the pool."""
        with self._changed:
            heapq.heappush(self._waiting, (priority, next(self._numbers), job, on_answer))
            self._changed.notify()

    def close(self) -> None:
        """End the processes. Jobs not begun are dropped without an answer."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(self._job_seconds + STOP_SECONDS)

    def _drive(self) -> None:
        try:
            process = _started(self._arena)
            while (taken := self._take()) is not None:
                job, on_answer = taken
                process, answer = self._done(process, job)
                on_answer(answer)
            process.stop()
        except Exception as error:  # noqa: BLE001 - whoever waits for a page must hear of it
            self._broken(error)

    def _done(self, process: "_Process", job: Job) -> tuple["_Process", Answer]:
        """The job's answer, and the process that goes on."""
        for _ in range(2):
            try:
                return process, process.do(job, self._job_seconds)
            except (_Died, _Hung) as trouble:
                process.kill()
                process = _started(self._arena)
                if isinstance(trouble, _Hung):
                    break
        return process, Trouble("The page could not be read: its reader crashed or hung.")

    def _take(self) -> tuple[Job, OnAnswer] | None:
        with self._changed:
            while not self._waiting and not self._closing:
                self._changed.wait()
            if self._closing:
                return None
            _, _, job, on_answer = heapq.heappop(self._waiting)
            return job, on_answer


class _Died(Exception):
    """The process ended over its job."""


class _Hung(Exception):
    """The process did not answer in time."""


def _started(arena: Arena) -> "_Process":
    """A process that has said that it is ready. Raises `WorkersFailed` after several tries."""
    trouble: Exception | None = None
    for attempt in range(START_TRIES):
        try:
            process = _Process(arena)
            process.wait_ready()
        except (OSError, _Died, _Hung) as error:
            trouble = error
            time.sleep(START_PAUSE_SECONDS * attempt)
        else:
            return process
    raise WorkersFailed(f"no worker process could be started ({trouble!r})")


class _Process:
    """One worker process and this side of its pipe."""

    def __init__(self, arena: Arena) -> None:
        self._pipe, theirs = Pipe()
        with theirs:
            arguments = (arena.descriptor, arena.count, arena.side, theirs.fileno())
            self._process = subprocess.Popen(
                [sys.executable, "-m", "gpu_image.engines.doctr.worker", *map(str, arguments)],
                pass_fds=(arena.descriptor, theirs.fileno()),
                stdin=subprocess.DEVNULL,
                env=os.environ | {"OMP_NUM_THREADS": "1"},
            )

    def wait_ready(self) -> None:
        """Wait for its first word; if that does not come, end it and raise."""
        pipe: Connection[Job, str] = self._pipe
        try:
            if self._pipe.poll(START_SECONDS) and pipe.recv() == HELLO:
                return
        except (EOFError, OSError) as ended:
            self.kill()
            raise _Died from ended
        self.kill()
        raise _Hung

    def do(self, job: Job, seconds: float) -> Answer:
        """The job's answer. Raises `_Died` or `_Hung`: then the process is of no more use."""
        pipe: Connection[Job, Answer] = self._pipe
        try:
            pipe.send(job)
            if self._pipe.poll(seconds):
                return pipe.recv()
        except (EOFError, OSError) as ended:
            raise _Died from ended
        raise _Hung

    def stop(self) -> None:
        """End it when it is idle: it sees that the pipe is closed."""
        self._pipe.close()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def kill(self) -> None:
        """End it at once."""
        self._pipe.close()
        self._process.kill()
        self._process.wait()
