"""The three servers of the embedded stack, started together and stopped together.

    servers = start_servers(Path(".aseagi"), print)
    ...
    servers.stop()

All they keep is in the state directory. Ports are chosen once and remembered there,
so a restarted stack has the addresses it had.
"""

import fcntl
import json
import secrets
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psutil

from schema.failures import Misconfigured, RetryLater
from stack import object_store, prefect_server
from stack.object_store import ObjectStore, prepare_bucket, spawn_object_store
from stack.postgres import Postgres, start_postgres
from stack.prefect_server import PrefectServer, spawn_prefect_server
from stack.processes import Child, processes_of, sweep, wait_all_ready

# Below the range from which systems take the ports of outgoing connections, or a
# remembered port would often be in use by one.
_PORTS = range(20_000, 32_000)


@dataclass(frozen=True)
class Servers:
    """Three running servers, and how long each took until it was ready."""

    state_dir: Path
    postgres: Postgres
    object_store: ObjectStore
    prefect: PrefectServer
    ready_after_seconds: Mapping[str, float]
    _on_stop: ExitStack = field(repr=False)

    @property
    def children(self) -> tuple[Child, ...]:
        """The processes, for somebody who watches over them."""
        return self.postgres.child, self.object_store.child, self.prefect.child

    def stop(self) -> None:
        """Stop all three, those that depend on others first. Safe to call twice."""
        self.object_store.child.ask_to_stop()
        self.prefect.child.ask_to_stop()
        self._on_stop.close()


def start_servers(
    state_dir: Path,
    progress: Callable[[str], None],
    *,
    bucket: str = "aseagi",
    webhook_url: str | None = None,
    webhook_token: str | None = None,
) -> Servers:
    """Start Postgres, S3 and Prefect side by side, and wait until all are ready.

    Whatever an earlier stack left behind in `state_dir` is ended first. If anything
    fails, or Ctrl-C is pressed, what was started is stopped again. `bucket` is there
    afterwards; `webhook_url` is told of objects created in its inboxes.

    Raises:
        Misconfigured: a server cannot run here, or a stack already runs in `state_dir`.
        RetryLater: a server was not ready in time.
    """
    started_at = time.monotonic()
    state_dir = state_dir.resolve()
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    took: dict[str, float] = {}

    def tell(name: str, seconds: float) -> None:
        took[name] = seconds
        progress(f"{name} ready after {seconds:.1f} s")

    with ExitStack() as undo:
        undo.enter_context(_lock(state_dir))
        clear_leftovers(state_dir)
        ports = reserve_ports(state_dir, (*object_store.PORT_NAMES, "prefect"))
        progress("starting Postgres, S3 and Prefect")

        store = spawn_object_store(
            state_dir / "s3",
            ports,
            bucket=bucket,
            webhook_url=webhook_url,
            webhook_token=webhook_token,
        )
        undo.callback(store.stop)
        postgres = start_postgres(state_dir / "postgres")
        undo.callback(postgres.stop)
        tell("Postgres", time.monotonic() - started_at)
        prefect = spawn_prefect_server(state_dir / "prefect", postgres, ports["prefect"])
        undo.callback(prefect.stop)

        names = {store.child: "S3", prefect.child: "Prefect"}
        wait_all_ready(
            names,
            max(object_store.READY_SECONDS, prefect_server.READY_SECONDS),
            lambda child: tell(names[child], time.monotonic() - started_at),
        )
        prepare_bucket(store.client(), bucket)
        return Servers(state_dir, postgres, store, prefect, took, undo.pop_all())


def clear_leftovers(state_dir: Path) -> int:
    """End what a killed stack left running in `state_dir`; how many processes there were.

    Call it only while no program is looking after that stack: it does not ask.
    """
    swept = sweep(state_dir)
    object_store.remove_sockets(_remembered_ports(state_dir / "ports.json"))
    return swept


def reserve_ports(state_dir: Path, names: Iterable[str]) -> dict[str, int]:
    """A loopback port for each name: the one it had last time, unless somebody took it.

    A port held by a process of this very stack, alive or left behind, counts as its
    own. Ports of other names remembered in `state_dir` are left to them.
    """
    file = state_dir / "ports.json"
    remembered = _remembered_ports(file)
    wanted = tuple(names)
    for name in wanted:
        port = remembered.get(name)
        if port is None or not (_is_free(port) or _is_held_by_stack(port, state_dir)):
            remembered[name] = _free_port(taken=set(remembered.values()))
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = file.with_name("ports.json.unfinished")
    unfinished.write_text(json.dumps(remembered, indent=1, sort_keys=True) + "\n")
    unfinished.replace(file)
    return {name: remembered[name] for name in wanted}


def _remembered_ports(file: Path) -> dict[str, int]:
    try:
        kept = json.loads(file.read_text())
        return {str(name): int(port) for name, port in kept.items()}
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, AttributeError):
        # Only a memory of what was convenient: choosing anew mends it.
        return {}


def _free_port(taken: set[int]) -> int:
    for _ in range(1000):
        port = secrets.choice(_PORTS)
        if port not in taken and _is_free(port):
            return port
    raise RetryLater(f"no free port between {_PORTS.start} and {_PORTS.stop} on 127.0.0.1")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do: a connection of a former server that lingers is no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _is_held_by_stack(port: int, state_dir: Path) -> bool:
    for process in processes_of(state_dir):
        try:
            connections = process.net_connections("inet")
        except psutil.Error:
            continue
        if any(
            connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
            for connection in connections
        ):
            return True
    return False


def _lock(state_dir: Path) -> IO[str]:
    """Hold the state directory for this program; the lock ends with it, however it ends."""
    lock = (state_dir / "lock").open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise Misconfigured(
            f"a stack is already running in {state_dir}: use it, or stop it first"
        ) from error
    return lock
