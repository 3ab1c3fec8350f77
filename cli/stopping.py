"""Run the embedded stack for as long as a command lasts, and leave no process behind.

However the command ends (by itself, Ctrl-C, SIGTERM, its terminal closed), the stack is
stopped, once, and nothing interrupts that.
"""

import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stack.embedded import Stack


@contextmanager
def running_stack(
    state: Path, progress: Callable[[str], None], *, dashboard: bool = True
) -> "Generator[Stack]":
    """A stack for the `with` block, in which the first signal ends as `KeyboardInterrupt`.

    Further ones of SIGTERM and SIGHUP are ignored: a closed terminal is told twice, by the
    kernel and by the shell. Nothing interrupts the stopping itself.
    """
    from stack.embedded import start_stack

    stopping = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        if not stopping.is_set():
            stopping.set()
            signal.raise_signal(signal.SIGINT)

    # SIGINT stays Python's own: a running event loop takes it over and cancels its work,
    # where an exception out of a signal handler could strike in the middle of anything.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, stop)
    # `nohup aseagi up` asks to outlive its terminal, by ignoring the signal beforehand.
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, stop)
    stack = start_stack(state, progress, dashboard=dashboard)
    try:
        try:
            yield stack
        finally:
            stopping.set()
            signal.signal(signal.SIGINT, signal.SIG_IGN)
    finally:
        stack.stop()
