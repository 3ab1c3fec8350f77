"""Child processes of the embedded stack: started, watched, stopped, and never lost.

A `Child` runs in a session of its own, so a Ctrl-C in the terminal reaches only
the program that started it, which then stops its children in order. Every child,
and all it starts in turn, carries `ASEAGI_STACK` with the absolute path of the
stack's state directory; after a SIGKILL of the program, `sweep` finds by that mark
whatever was left running.
"""

import os
import pwd
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import psutil

from schema.failures import Misconfigured, RetryLater

STACK_VARIABLE = "ASEAGI_STACK"

POLL_SECONDS = 0.05
LOG_BYTES_KEPT = 10_000_000
_LOG_TAIL_BYTES = 20_000
_PASSED_ON = ("HOME", "LANG", "LC_ALL", "LC_CTYPE", "LOGNAME", "PATH", "TMPDIR", "TZ", "USER")
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def plain_environment() -> dict[str, str]:
    """The few variables any program needs, and no setting or secret of ours."""
    return {name: os.environ[name] for name in _PASSED_ON if name in os.environ}


class Child:
    """One process of a stack: how it is started, when it is ready, how it is stopped.

    `env` is its whole environment, to which only the stack's mark is added.
    `is_ready` is asked again and again until it answers True; it should answer
    quickly, and False for "not yet". Without it a child is ready once started.
    `run_as` is a user name, for a program that refuses to run as root.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        state_dir: Path,
        env: Mapping[str, str],
        cwd: Path | None = None,
        run_as: str | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        stop_seconds: float = 10,
        is_ready: Callable[[], bool] | None = None,
    ) -> None:
        self.name = name
        self.argv = tuple(argv)
        self.env = {**env, STACK_VARIABLE: stack_mark(state_dir)}
        self.cwd = cwd
        self.log_file = state_dir.absolute() / "logs" / f"{name}.log"
        self.ready_after_seconds: float | None = None
        self._run_as = run_as
        self._stop_signal = stop_signal
        self._stop_seconds = stop_seconds
        self._is_ready = is_ready
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0
        self._started_at = 0.0

    @property
    def pid(self) -> int:
        """The process id of the running (or last) process."""
        if self._process is None:
            raise Misconfigured(f"{self.name} was never started")
        return self._process.pid

    def start(self) -> None:
        """Start the process and return at once; its output goes to the log file."""
        if self.is_alive():
            return
        self.ready_after_seconds = None
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        _keep_log_small(self.log_file)
        account = None if self._run_as is None else pwd.getpwnam(self._run_as)
        with self.log_file.open("ab") as log:
            self._log_start = log.seek(0, os.SEEK_END)
            self._started_at = time.monotonic()
            try:
                self._process = subprocess.Popen(
                    self.argv,
                    cwd=self.cwd,
                    env=self.env,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    user=None if account is None else account.pw_uid,
                    group=None if account is None else account.pw_gid,
                    extra_groups=None if account is None else [],
                )
            except OSError as error:
                raise Misconfigured(
                    f"{self.name} cannot be started: {self.argv[0]}: {error.strerror}"
                ) from error

    def is_alive(self) -> bool:
        """Whether the process runs now."""
        return self._process is not None and self._process.poll() is None

    def exit_code(self) -> int | None:
        """The exit code, negative for a signal; None while it runs or before it started."""
        return None if self._process is None else self._process.poll()

    def poll_ready(self) -> bool:
        """Ask once whether it is ready.

        Raises:
            Misconfigured: it has ended; the message quotes the last line of its log.
        """
        if self.ready_after_seconds is not None:
            return True
        if not self.is_alive():
            raise Misconfigured(
                f"{self.name} ended at start with exit code {self.exit_code()}: "
                f"{self.last_log_line()} (log: {self.log_file})"
            )
        if self._is_ready is None or self._is_ready():
            self.ready_after_seconds = time.monotonic() - self._started_at
            return True
        return False

    def wait_ready(self, seconds: float) -> None:
        """Wait until it is ready, at most `seconds`. Raises as `wait_all_ready`."""
        wait_all_ready([self], seconds)

    def wait(self, seconds: float) -> int:
        """Wait for its own end, at most `seconds`; its exit code.

        Raises:
            RetryLater: it had not ended by then.
        """
        if self._process is None:
            raise Misconfigured(f"{self.name} was never started")
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise RetryLater(
                f"{self.name} had not ended after {seconds:.0f} s: "
                f"{self.last_log_line()} (log: {self.log_file})"
            ) from error

    def ask_to_stop(self) -> None:
        """Send the stop signal and return, so that several children can stop side by side."""
        if self._process is not None and self.is_alive():
            self._process.send_signal(self._stop_signal)

    def stop(self, seconds: float | None = None) -> None:
        """Stop it: the stop signal, then after a deadline SIGKILL of the whole tree.

        Processes it had started and left behind are killed too. Safe to call twice.
        """
        if self._process is None or not self.is_alive():
            return
        tree = _with_descendants([psutil.Process(self._process.pid)])
        self.ask_to_stop()
        try:
            self._process.wait(self._stop_seconds if seconds is None else seconds)
        except subprocess.TimeoutExpired:
            tree = _with_descendants(tree)
            self._process.kill()
            self._process.wait()
        _kill_and_wait(tree)

    def kill(self) -> None:
        """SIGKILL the whole tree at once, as a power cut of this child would."""
        if self._process is None or not self.is_alive():
            return
        tree = _with_descendants([psutil.Process(self._process.pid)])
        # Before psutil would take its exit code.
        self._process.kill()
        self._process.wait()
        _kill_and_wait(tree)

    def last_log_line(self) -> str:
        """The last line it wrote since it was started, shortened; for a message to a person."""
        try:
            with self.log_file.open("rb") as log:
                end = log.seek(0, os.SEEK_END)
                log.seek(max(self._log_start, end - _LOG_TAIL_BYTES))
                lines = log.read().decode(errors="replace").splitlines()
        except OSError:
            lines = []
        written = [line for line in (_ANSI.sub("", line).strip() for line in lines) if line]
        return written[-1][:300] if written else "it wrote nothing"


def wait_all_ready(
    children: Iterable[Child], seconds: float, on_ready: Callable[[Child], None] | None = None
) -> None:
    """Wait until all are ready, telling `on_ready` of each as it becomes so.

    Raises:
        Misconfigured: one of them ended.
        RetryLater: one was not ready within `seconds`.
    """
    waiting = list(children)
    deadline = time.monotonic() + seconds
    while True:
        for child in tuple(waiting):
            if child.poll_ready():
                waiting.remove(child)
                if on_ready is not None:
                    on_ready(child)
        if not waiting:
            return
        if time.monotonic() > deadline:
            late = waiting[0]
            raise RetryLater(
                f"{late.name} was not ready within {seconds:.0f} s: "
                f"{late.last_log_line()} (log: {late.log_file})"
            )
        time.sleep(POLL_SECONDS)


def http_get(port: int, path: str) -> bytes | None:
    """The body of a 200 answer from 127.0.0.1; None for any other answer or none.

    For readiness checks: no proxy, no TLS, nothing to set up.
    """
    connection = HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.read() if answer.status == HTTPStatus.OK else None
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()


def stack_mark(state_dir: Path) -> str:
    """The value of `ASEAGI_STACK` in every process of the stack in `state_dir`."""
    return str(state_dir.resolve())


def processes_of(state_dir: Path) -> list[psutil.Process]:
    """Every process on this machine that belongs to the stack, the caller excepted."""
    mark = stack_mark(state_dir)
    own = os.getpid()
    return [
        process
        for process in psutil.process_iter()
        if process.pid != own and _variable(process, STACK_VARIABLE) == mark
    ]


def sweep(state_dir: Path, seconds: float = 10) -> int:
    """Kill every process the stack in `state_dir` left behind; how many there were.

    Call it only while no program is looking after that stack: it does not ask.

    Raises:
        RetryLater: some are still there after `seconds`.
    """
    deadline = time.monotonic() + seconds
    swept = 0
    while found := processes_of(state_dir):
        if time.monotonic() > deadline:
            raise RetryLater(
                f"{len(found)} processes of the stack in {state_dir} do not end; "
                f"the first is {found[0].pid}"
            )
        swept += _kill_and_wait(_with_descendants(found))
    return swept


def _variable(process: psutil.Process, name: str) -> str | None:
    try:
        return process.environ().get(name)
    except (psutil.Error, OSError):
        # Gone meanwhile, or another user's: not ours.
        return None


def _with_descendants(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    own = os.getpid()
    tree = {process.pid: process for process in processes}
    for process in tuple(tree.values()):
        try:
            tree.update({child.pid: child for child in process.children(recursive=True)})
        except psutil.Error:
            continue
    tree.pop(own, None)
    return list(tree.values())


def _kill_and_wait(processes: Sequence[psutil.Process]) -> int:
    """SIGKILL those that still run, wait for their end; how many there were.

    psutil compares start times, so a process id used again is never hit.
    """
    killed: list[psutil.Process] = []
    for process in processes:
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            process.kill()
        except psutil.Error:
            continue
        killed.append(process)
    psutil.wait_procs(killed, timeout=5)
    return len(killed)


def _keep_log_small(log_file: Path) -> None:
    if log_file.exists() and log_file.stat().st_size > LOG_BYTES_KEPT:
        log_file.replace(log_file.with_suffix(".log.1"))
