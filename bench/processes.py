"""What every process of a stack used: memory at its peak, processor time, bytes moved.

Processes are told by their role, and a flow run by its flow, since a drain and a session
are different things that look alike from outside. Postgres is many processes that share
memory: they are one role, added up. Of other roles the largest counts.
"""

import contextlib
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import psutil

from stack.embedded import Stack
from stack.processes import processes_of

MEGABYTE = 1024 * 1024
SAMPLE_SECONDS = 0.5

POSTGRES = "postgres"
_FLOW_RUN = "flow run "
_ROLES = {
    "prefect.server": "prefect server",
    "--pool droplet": "droplet worker",
    "--pool local": "local worker",
    "--pool vast-gpu": "vast-gpu worker",
    "-m gateway": "gateway",
    "stack.marketplace": "rehearsal marketplace",
    "streamlit": "dashboard",
    "tasks.inspecting": "reader of files",
    "gpu_image.entrypoint": "session entrypoint",
    "weed": "s3",
}


@dataclass
class Usage:
    """What one role used. Bytes are those of files and of connections, read and written."""

    peak_megabytes: float = 0.0
    cpu_seconds: float = 0.0
    bytes_moved: float = 0.0


@dataclass
class Watch:
    """Samples of a stack's processes, while they are taken."""

    stack: Stack
    _used: dict[str, Usage] = field(default_factory=dict[str, Usage])
    _last: dict[tuple[str, int], Usage] = field(default_factory=dict[tuple[str, int], Usage])
    _done: threading.Event = field(default_factory=threading.Event)

    async def by_role(self) -> dict[str, Usage]:
        """What each role used so far; flow runs by the name of their flow."""
        names = await _names_of_runs()
        roles: dict[str, Usage] = {}
        for role, used in list(self._used.items()):
            run = role.removeprefix(_FLOW_RUN) if role.startswith(_FLOW_RUN) else None
            name = role if run is None else names.get(run, "a flow run")
            so_far = roles.setdefault(name, Usage())
            so_far.peak_megabytes = max(so_far.peak_megabytes, used.peak_megabytes)
            so_far.cpu_seconds += used.cpu_seconds
            so_far.bytes_moved += used.bytes_moved
        return roles

    def sample_until_done(self) -> None:
        """Look at all processes again and again."""
        while not self._done.wait(SAMPLE_SECONDS):
            memory: dict[str, float] = {}
            for process in self._processes():
                with contextlib.suppress(psutil.Error):
                    role = _role(process)
                    megabytes = process.memory_full_info().pss / MEGABYTE
                    before = memory.get(role, 0.0)
                    memory[role] = (
                        before + megabytes if role == POSTGRES else max(before, megabytes)
                    )
                    self._note(role, process)
            for role, megabytes in memory.items():
                used = self._used.setdefault(role, Usage())
                used.peak_megabytes = max(used.peak_megabytes, megabytes)

    def end(self) -> None:
        """Take no more samples."""
        self._done.set()

    def _processes(self) -> set[psutil.Process]:
        """Those with the stack's mark, and all that they started: Postgres overwrites its mark,
        and the reader of files is given nothing."""
        marked = processes_of(self.stack.servers.state_dir)
        found = set(marked)
        with contextlib.suppress(psutil.Error):
            found.update(psutil.Process(self.stack.servers.postgres.child.pid).children())
        for process in marked:
            with contextlib.suppress(psutil.Error):
                found.update(process.children(recursive=True))
        return found

    def _note(self, role: str, process: psutil.Process) -> None:
        """Add what a process used since it was last seen, or since it began."""
        times, moved = process.cpu_times(), process.io_counters()
        now = Usage(0.0, times.user + times.system, moved.read_chars + moved.write_chars)
        before = self._last.get((role, process.pid), Usage())
        used = self._used.setdefault(role, Usage())
        used.cpu_seconds += max(now.cpu_seconds - before.cpu_seconds, 0.0)
        used.bytes_moved += max(now.bytes_moved - before.bytes_moved, 0.0)
        self._last[role, process.pid] = now


@contextmanager
def watching(stack: Stack) -> Generator[Watch]:
    """Watch the stack's processes in the background while the body runs."""
    watch = Watch(stack)
    thread = threading.Thread(target=watch.sample_until_done, daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        watch.end()
        thread.join()


def _role(process: psutil.Process) -> str:
    line = " ".join(process.cmdline())
    for mark, role in _ROLES.items():
        if mark in line:
            return role
    if "postgres" in process.name():
        return POSTGRES
    run = process.environ().get("PREFECT__FLOW_RUN_ID")
    return f"{_FLOW_RUN}{UUID(run)}" if run else Path(process.name()).name


async def _names_of_runs() -> dict[str, str]:
    from prefect.client.orchestration import get_client

    async with get_client() as client:
        flows = {flow.id: flow.name for flow in await client.read_flows()}
        runs = await client.read_flow_runs(limit=200)
    return {str(run.id): f"flow run {flows[run.flow_id]}" for run in runs}
