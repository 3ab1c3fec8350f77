"""The pool of worker processes: jobs go in by urgency, answers come out by callback.

One thread for each process hands it a job, waits for the answer, and passes that on. A
process that dies, or takes longer over one job than any sound page takes, is replaced; its
job is answered with `Trouble`. Processes are started by command line, not forked: the engine's
process has threads and a CUDA context, which do not survive a fork.
"""

import heapq
import itertools
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from multiprocessing import Pipe
from multiprocessing.connection import Connection

from gpu_image.engines.doctr.arena import Arena
from gpu_image.engines.doctr.jobs import Answer, Job, Trouble

JOB_SECONDS = 60.0
"""A page that takes longer to draw or to cut is an attack or a bug."""

STOP_SECONDS = 5.0

OnAnswer = Callable[[Answer], None]
Priority = tuple[int, int]
"""Smaller goes first; equal ones in the order in which they came."""

_log = logging.getLogger(__name__)


class WorkerPool:
    """`count` processes that do jobs on the slots of `arena`. Close it."""

    def __init__(self, count: int, arena: Arena, *, job_seconds: float = JOB_SECONDS) -> None:
        self._arena = arena
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
        process = _Process(self._arena)
        while (taken := self._take()) is not None:
            job, on_answer = taken
            answer = process.do(job, self._job_seconds)
            if answer is None:
                process.kill()
                process = _Process(self._arena)
                answer = Trouble("The page could not be read: its reader crashed or hung.")
            try:
                on_answer(answer)
            except Exception:  # noqa: BLE001 - a bug of ours; the other pages' answers must still arrive
                _log.exception("an answer was not taken")
        process.stop()

    def _take(self) -> tuple[Job, OnAnswer] | None:
        with self._changed:
            while not self._waiting and not self._closing:
                self._changed.wait()
            if self._closing:
                return None
            _, _, job, on_answer = heapq.heappop(self._waiting)
            return job, on_answer


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

    def do(self, job: Job, seconds: float) -> Answer | None:
        """The job's answer; None if the process died over it or did not answer in time."""
        pipe: Connection[Job, Answer] = self._pipe
        try:
            pipe.send(job)
            return pipe.recv() if pipe.poll(seconds) else None
        except (EOFError, OSError):
            return None

    def stop(self) -> None:
        """End it when it is idle: it sees that the pipe is closed."""
        self._pipe.close()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it at once."""
        self._pipe.close()
        self._process.kill()
        self._process.wait()
