"""Shuts a Python process, and every one it starts, into the places of `CONFINED_TO`.

Python imports this by itself where it lies on `PYTHONPATH`. Every place that is asked for
is written to `CONFINED_RECORD`; all but those allowed are refused. Standard library alone.
"""

import os
import sys
from pathlib import Path

_ALLOWED = frozenset(os.environ["CONFINED_TO"].split())
_RECORD = Path(os.environ["CONFINED_RECORD"])


def _place(event: str, args: tuple[object, ...]) -> str | None:
    """What is asked for: an address, a name, or a program, which would not be watched."""
    match event, args:
        case (("socket.connect" | "socket.sendto" | "socket.sendmsg"), (_, (host, port, *_))):
            return f"{host}:{port}"
        case (("socket.connect" | "socket.sendto" | "socket.sendmsg"), (_, other)):
            return f"other:{other!r}"
        case "socket.getaddrinfo", (host, port, *_):
            return f"{host}:{port}"
        case (("socket.gethostbyname" | "socket.gethostbyaddr"), (host, *_)):
            return f"{host}:"
        case "subprocess.Popen", (program, *_):
            return None if program == sys.executable else f"program:{program}"
        case "os.system", (command, *_):
            return f"program:{command!r}"
        case _:
            return None


def _confine(event: str, args: tuple[object, ...]) -> None:
    place = _place(event, args)
    if place is None:
        return
    with _RECORD.open("a") as record:
        record.write(f"{place}\n")
    if place not in _ALLOWED:
        raise PermissionError(f"this process is confined: {place}")


sys.addaudithook(_confine)
