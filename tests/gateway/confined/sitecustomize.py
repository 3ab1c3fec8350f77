"""Shuts a Python process, and every one it starts, into the places of `CONFINED_TO`.

Python imports this by itself where it lies on `PYTHONPATH`. Every place that is asked for
is written to `CONFINED_RECORD`; all but those allowed are refused. Standard library alone.
"""

import os
import sys
from pathlib import Path
from typing import Any

_ALLOWED = frozenset(os.environ["CONFINED_TO"].split())
_RECORD = Path(os.environ["CONFINED_RECORD"])


_SOCKETS = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
_NAMES = frozenset({"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"})


def _place(event: str, args: tuple[Any, ...]) -> str | None:
    """What is asked for: an address, a name, or a program, which would not be watched."""
    if event in _SOCKETS:
        address = args[-1]
        return f"{address[0]}:{address[1]}" if isinstance(address, tuple) else f"other:{address!r}"
    if event in _NAMES:
        return ":".join(str(part) for part in args[:2])
    if event == "subprocess.Popen" and args[0] != sys.executable:
        return f"program:{args[0]}"
    if event == "os.system":
        return f"program:{args[0]!r}"
    return None


def _confine(event: str, args: tuple[Any, ...]) -> None:
    place = _place(event, args)
    if place is None:
        return
    with _RECORD.open("a") as record:
        record.write(f"{place}\n")
    if place not in _ALLOWED:
        raise PermissionError(f"this process is confined: {place}")


sys.addaudithook(_confine)
