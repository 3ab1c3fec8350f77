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

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def running_stack(
    state: Path, progress: Callable[[str], None], *, dashboard: bool = True
) -> "Generator[Stack]":
    """A stack for the `with` block. The first signal raises `KeyboardInterrupt` in it.

    Further signals are ignored: a closed terminal is told twice, by the kernel and by the
    shell, and the second one must not interrupt the stopping.
    """
    from stack.embedded import start_stack

    stopping = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        if stopping.is_set():
            return
        stopping.set()
        raise KeyboardInterrupt

    for number in STOP_SIGNALS:
        # `nohup aseagi up` asks to outlive its terminal, by ignoring the signal beforehand.
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)
    stack = start_stack(state, progress, dashboard=dashboard)
    try:
        try:
            yield stack
        finally:
            stopping.set()
    finally:
        stack.stop()
