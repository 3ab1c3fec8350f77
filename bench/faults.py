"""Documents on their way through everything while its processes are killed one after the other.

    python -m bench.faults --documents 200 --kills 24 --seed 1

Every server and process is real, on a stack of its own. Somebody puts letters into the bucket,
a tenth of them at once and the others one at a time, and puts one again that the store did not
take. From the first page read on, SIGKILL meets, in turns of seeded order and at seeded random
instants, whether the one before has recovered or not:

    prefect           the server of runs: its events and its queues in memory are gone
    gateway           every call of a host that is on its way
    droplet-worker    alone, or with the flow runs it had started
    local-worker      alone, or with the sessions it had started
    session           a host: the entrypoint, its flow run and the engine
    flow-run          ingest, analyse or housekeeping in the middle of it
    postgres          the postmaster; connections and transactions are gone
    object-store      S3

What ended is started again by the stack's own watch, as under `aseagi up`. Then everything must
have come to its end, once: see `find_flaws`. Prints kills by process, how long each took until it
answered again, the longest time without progress, and what was lost or there twice.
"""

import argparse
import contextlib
import hashlib
import os
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, LiteralString

import psutil
import psycopg
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.table import Table

from bench.results import Figure, write_results
from bench.throughput import letter
from schema.failures import AseagiError
from stack.embedded import BUCKET, DATABASE, Stack, start_stack
from stack.processes import Child, processes_of

GAP_SECONDS = 12.0
"""Between two kills, on average: the next meets a house that still recovers from the last."""

LOOK_SECONDS = 0.2
RETRY_SECONDS = 0.5
WAIT_SECONDS = 300.0
"""For so long a process that is to be killed is waited for, if there is none at its turn."""

SETTLE_SECONDS = 900.0
"""A run that has not come to its end by then has lost something."""

OVERSTAY_SECONDS = 120.0
"""A host whose session was closed ends within a minute, and its worker looks every few seconds."""

DOLLARS_PER_HOUR = "3.6"
SETTINGS = {
    "ASEAGI_READING_ENGINE": "paced",
    "ASEAGI_READING_IDLE_SECONDS": "15",
    "ASEAGI_READING_LEASE_SECONDS": "10",
    "ASEAGI_READING_DEPLOYMENT": "ocr/local",
    "ASEAGI_OWN_MACHINE_DOLLARS_PER_HOUR": DOLLARS_PER_HOUR,
}

HOST, FLOW_RUN = "gpu_image.entrypoint", "prefect.engine"
VICTIMS = (
    *("prefect", "gateway", "droplet-worker", "local-worker"),
    *("session", "flow-run", "postgres", "object-store"),
)

console = Console()


# --- Looking


def rows(stack: Stack, query: LiteralString, *values: object) -> list[tuple[Any, ...]]:
    """What the database says, as its owner; asks again while it is away."""
    while True:
        try:
            with psycopg.connect(stack.servers.postgres.dsn(DATABASE), autocommit=True) as owner:
                return owner.execute(query, values).fetchall()
        except psycopg.OperationalError:
            time.sleep(LOOK_SECONDS)


def progress(stack: Stack) -> int:
    """A number that grows with everything that comes to its end."""
    [(number,)] = rows(
        stack,
        """
        select (select count(*) from aseagi.arrivals where state <> 'noticed')
            + (select count(*) from aseagi.pages where state in ('done', 'failed'))
            + (select count(*) from aseagi.processing_jobs where status in ('completed', 'failed'))
        """,
    )
    return int(number)


def is_settled(stack: Stack, folder: str, documents: int) -> bool:
    """Whether so many documents of the folder have come to their end, and nothing is open."""
    [(settled,)] = rows(
        stack,
        """
        select (select count(*) from aseagi.processing_jobs
                where status in ('completed', 'failed') and file_path like %s) >= %s
            and not exists (select 1 from aseagi.processing_jobs
                where status in ('queued', 'processing'))
            and not exists (select 1 from aseagi.arrivals where state = 'noticed')
            and not exists (select 1 from aseagi.ocr_sessions where state <> 'closed')
        """,
        f"raw/{folder}/%",
        documents,
    )
    return bool(settled)


# --- Putting documents into the bucket


def put_all(
    stack: Stack,
    folder: str,
    contents: Sequence[bytes],
    *,
    killing: threading.Event,
    seconds: float,
) -> None:
    """Put a tenth at once, the others over `seconds` of `killing`; again what was not taken."""
    began: float | None = None
    for number, content in enumerate(contents):
        if number >= len(contents) // 10:
            killing.wait(SETTLE_SECONDS)
            began = began or time.monotonic()
            time.sleep(max(0.0, began + seconds * number / len(contents) - time.monotonic()))
        while not _put(stack, f"raw/{folder}/letter-{number:05d}.png", content):
            time.sleep(RETRY_SECONDS)


def _put(stack: Stack, key: str, content: bytes) -> bool:
    try:
        stack.servers.object_store.client().put_object(Bucket=BUCKET, Key=key, Body=content)
    except (BotoCoreError, ClientError):
        return False
    return True


# --- Killing


@dataclass
class Kill:
    """A process that was killed."""

    victim: str
    with_children: bool
    back_after_seconds: float | None = None


@dataclass
class Killer:
    """Kills processes of a stack, and looks when they are there again."""

    stack: Stack
    dice: random.Random
    kills: list[Kill] = field(default_factory=list[Kill])
    _watchers: list[threading.Thread] = field(default_factory=list[threading.Thread])

    @property
    def children(self) -> dict[str, Child]:
        """The processes that the stack starts again, by name."""
        stack = self.stack
        return {
            child.name: child
            for child in (
                *stack.servers.children,
                stack.gateway,
                stack.droplet_worker,
                stack.local_worker,
            )
        }

    def turns(self, count: int) -> Iterator[str]:
        """Whom it meets: everybody once, in another order each time."""
        order: list[str] = []
        for _ in range(count):
            order = order or self.dice.sample(VICTIMS, len(VICTIMS))
            yield order.pop()

    def kill(self, victim: str, *, wait_seconds: float) -> bool:
        """SIGKILL one such process; False if there was none to kill for `wait_seconds`."""
        deadline = time.monotonic() + wait_seconds
        while (process := self._find(victim)) is None:
            if time.monotonic() > deadline:
                return False
            time.sleep(LOOK_SECONDS)
        # A host goes with all it runs; of a worker, sometimes what it started lives on.
        whole = victim in {"session", "flow-run"} or (
            victim.endswith("-worker") and self.dice.random() < 0.5
        )
        doomed = [process]
        with contextlib.suppress(psutil.Error):
            doomed += process.children(recursive=True) if whole else []
        killed = Kill(victim, whole)
        for one in doomed:
            with contextlib.suppress(psutil.Error):
                one.kill()
        self.kills.append(killed)
        watcher = threading.Thread(
            target=self._time, args=(killed, process.pid, time.monotonic()), daemon=True
        )
        watcher.start()
        self._watchers.append(watcher)
        return True

    def wait_until_timed(self, seconds: float) -> None:
        """Wait until every process that was killed is there again."""
        deadline = time.monotonic() + seconds
        for watcher in self._watchers:
            watcher.join(max(0.0, deadline - time.monotonic()))

    def _find(self, victim: str) -> psutil.Process | None:
        child = self.children.get(victim)
        try:
            if child is not None:
                return psutil.Process(child.pid) if child.is_alive() else None
            module = {"session": HOST, "flow-run": FLOW_RUN}[victim]
            state_dir = self.stack.servers.state_dir
            found = [one for one in processes_of(state_dir) if _runs(one, module)]
        except psutil.Error:
            return None
        if victim == "flow-run":
            found = [one for one in found if not _is_of_a_session(one)]
        return self.dice.choice(sorted(found, key=lambda one: one.pid)) if found else None

    def _time(self, killed: Kill, pid: int, began: float) -> None:
        child = self.children.get(killed.victim)
        if child is None:
            return  # another run comes when there is work for one
        while time.monotonic() - began < SETTLE_SECONDS:
            # One not ready, or dead again already, is looked at again.
            with contextlib.suppress(AseagiError):
                if child.is_alive() and child.pid != pid and child.poll_ready():
                    killed.back_after_seconds = time.monotonic() - began
                    return
            time.sleep(LOOK_SECONDS)


def _runs(process: psutil.Process, module: str) -> bool:
    """Whether it is `python -m MODULE`; others name a module in their arguments."""
    try:
        return process.cmdline()[1:3] == ["-m", module]
    except psutil.Error:
        return False


def _is_of_a_session(process: psutil.Process) -> bool:
    try:
        return any(_runs(one, HOST) for one in process.parents())
    except psutil.Error:
        return True


# --- What must be true afterwards


@dataclass(frozen=True, slots=True)
class Flaws:
    """What is not as it must be; nothing in any of them is what is promised."""

    lost: list[str]
    twice: list[str]
    changed: list[str]
    money: list[str]
    left_over: list[str]

    def __bool__(self) -> bool:
        return any((self.lost, self.twice, self.changed, self.money, self.left_over))


def find_flaws(stack: Stack, folder: str, contents: Sequence[bytes]) -> Flaws:
    """Compare what was put into `raw/<folder>/` with what became of it.

    lost        a document without a row, a page, text or analysis, unless it says why it failed
    twice       two arrivals of one object, two results of one page, two runs of one session
    changed     an original or a page's words that are not what was put or read
    money       a host without its one charge, or charged other than its time costs
    left over   leases, claims or holds that nobody gives back, processes of closed sessions
    """
    hashes = {hashlib.sha256(content).hexdigest() for content in contents}
    known = rows(
        stack,
        """
        select document.file_hash, document.page_count, job.status, job.error is not null,
            document.analysis is not null,
            (select count(*) from aseagi.pages page where page.document_id = document.id
                and (page.state = 'done' and page.text is not null
                    or page.state = 'failed' and page.error is not null)),
            (select count(*) from aseagi.arrivals arrival
                where arrival.document_id = document.id and arrival.state = 'ingested'),
            (select count(*) from aseagi.pages page where page.document_id = document.id
                and page.words_path is not null)
        from aseagi.documents document
        join aseagi.processing_jobs job on job.document_id = document.id
        where document.s3_raw_path like %s
        """,
        f"raw/{folder}/%",
    )
    lost = [f"document {missing[:12]}" for missing in hashes - {row[0] for row in known}]
    twice: list[str] = []
    for file_hash, pages, status, says_why, analysed, settled, arrivals, _ in known:
        name = f"document {file_hash[:12]}"
        if not (status == "completed" and analysed) and not (status == "failed" and says_why):
            lost.append(f"{name} is {status}")
        if settled != pages:
            lost.append(f"{name} has {settled} of {pages} pages")
        if arrivals != 1:
            twice.append(f"{name} arrived {arrivals} times")
    twice += _runs_twice()
    changed, extra = _objects(stack, {row[0]: row[7] for row in known})
    return Flaws(lost, twice + extra, changed, _money(stack), _left_over(stack))


def _runs_twice() -> list[str]:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowFilter, FlowFilterName

    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(
            flow_filter=FlowFilter(name=FlowFilterName(any_=["ocr"])), limit=200
        )
    sessions = [run.parameters.get("session_id") for run in runs]
    twice = {one for one in sessions if one is not None and sessions.count(one) > 1}
    return [f"session {one} has two runs" for one in twice]


def _objects(stack: Stack, words: dict[str, int]) -> tuple[list[str], list[str]]:
    """Originals that changed, and objects beside the original and the words of each page read."""
    client = stack.servers.object_store.client()

    def look(file_hash: str) -> tuple[str | None, str | None]:
        key = f"processed/{file_hash}/original"
        try:
            body = client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        except ClientError:
            return f"{key} is not there", None
        same = hashlib.sha256(body).hexdigest() == file_hash
        listed = client.list_objects_v2(Bucket=BUCKET, Prefix=f"processed/{file_hash}/")
        count = len(listed.get("Contents", []))
        return (
            None if same else f"{key} is another file",
            None if count == 1 + words[file_hash] else f"{count} objects of {file_hash[:12]}",
        )

    with ThreadPoolExecutor(8) as pool:
        looked = list(pool.map(look, words))
    return [one for one, _ in looked if one], [one for _, one in looked if one]


def _money(stack: Stack) -> list[str]:
    wrong = rows(
        stack,
        """
        select host.id, host.state, count(charge.id), sum(charge.dollars),
            round(host.dollars_per_hour
                * extract(epoch from host.ended_at - host.created_at)::numeric / 3600, 6)
        from aseagi.gpu_hosts host
        left join aseagi.charges charge on charge.host_id = host.id
        where host.provider = 'local'
        group by host.id
        having host.state <> 'ended' or count(charge.id) <> 1
            or abs(sum(charge.dollars) - round(host.dollars_per_hour
                * extract(epoch from host.ended_at - host.created_at)::numeric / 3600, 6)) > 0.00001
        """,
    )
    return [f"host {row[0]} is {row[1]}: {row[2]} charges, {row[3]} for {row[4]}" for row in wrong]


def _left_over(stack: Stack) -> list[str]:
    """What is still open once all is done; hosts get their minute to end."""
    found = rows(
        stack,
        """
        select 'lease ' || id from aseagi.leases where state = 'open'
        union all select 'page held: ' || document_id from aseagi.pages where state = 'leased'
        union all select 'claim ' || id from aseagi.processing_jobs where claimed_by is not null
        """,
    )
    deadline = time.monotonic() + OVERSTAY_SECONDS
    while hosts := _hosts(stack):
        if time.monotonic() > deadline:
            break
        time.sleep(LOOK_SECONDS)
    return [str(row[0]) for row in found] + [f"process {host.pid}" for host in hosts]


def _hosts(stack: Stack) -> list[psutil.Process]:
    if rows(stack, "select 1 from aseagi.ocr_sessions where state <> 'closed' limit 1"):
        return []  # a new one has begun meanwhile: its host is no leftover
    return [one for one in processes_of(stack.servers.state_dir) if _runs(one, HOST)]


# --- The run


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run with kills went."""

    kills: Sequence[Kill]
    seconds: float
    settled: bool
    longest_standstill_seconds: float
    breaker_opened: int
    documents_failed: int
    read_again: int
    flaws: Flaws


def run_with_kills(
    stack: Stack,
    folder: str,
    contents: Sequence[bytes],
    *,
    kills: int,
    seed: int,
    gap_seconds: float = GAP_SECONDS,
    tell: Callable[[str], None],
) -> Outcome:
    """Put all into the bucket while processes are killed; return when all has come to its end."""
    dice = random.Random(seed)  # noqa: S311 - the run shall be repeatable
    killer = Killer(stack, dice)
    began = time.monotonic()
    killing = threading.Event()
    putting = threading.Thread(
        target=put_all,
        args=(stack, folder, contents),
        kwargs={"killing": killing, "seconds": kills * gap_seconds},
        daemon=True,
    )
    watch = _Standstill(stack)
    with stack.watched(tell), watch.watching():
        putting.start()
        _wait_until(lambda: _pages_read(stack, folder) > 0)
        killing.set()
        for victim in killer.turns(kills):
            time.sleep(dice.uniform(0, 2 * gap_seconds))
            if killer.kill(victim, wait_seconds=WAIT_SECONDS):
                tell(f"{time.monotonic() - began:6.1f} s  killed {victim}")
            else:
                tell(f"{time.monotonic() - began:6.1f} s  no {victim} to kill")
        putting.join()
        killer.wait_until_timed(SETTLE_SECONDS)
        settled = _wait_until(lambda: is_settled(stack, folder, len(contents)))
        seconds = time.monotonic() - began
        watch.stop()
        flaws = find_flaws(stack, folder, contents)
    [(failed,)] = rows(
        stack,
        "select count(*) from aseagi.processing_jobs job join aseagi.documents document"
        " on document.id = job.document_id where job.status = 'failed' and s3_raw_path like %s",
        f"raw/{folder}/%",
    )
    [(again,)] = rows(
        stack,
        "select count(*) from aseagi.pages page join aseagi.documents document"
        " on document.id = page.document_id where page.attempts > 1 and s3_raw_path like %s",
        f"raw/{folder}/%",
    )
    return Outcome(
        killer.kills, seconds, settled, watch.longest_seconds, watch.resumed, failed, again, flaws
    )


def _pages_read(stack: Stack, folder: str) -> int:
    [(number,)] = rows(
        stack,
        """
        select count(*) from aseagi.pages page
        join aseagi.documents document on document.id = page.document_id
        where page.state = 'done' and document.s3_raw_path like %s
        """,
        f"raw/{folder}/%",
    )
    return int(number)


def _wait_until(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + SETTLE_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(LOOK_SECONDS)
    return True


class _Standstill:
    """Measures the longest time without progress; presses `resume` when the breaker opened."""

    def __init__(self, stack: Stack) -> None:
        self.longest_seconds = 0.0
        self.resumed = 0
        self._stack = stack
        self._done = threading.Event()

    def stop(self) -> None:
        """Measure no longer."""
        self._done.set()

    @contextlib.contextmanager
    def watching(self) -> Generator[None]:
        thread = threading.Thread(target=self._look, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._done.set()
            thread.join()

    def _look(self) -> None:
        last, since = progress(self._stack), time.monotonic()
        while not self._done.wait(LOOK_SECONDS):
            now = progress(self._stack)
            if now != last:
                self.longest_seconds = max(self.longest_seconds, time.monotonic() - since)
                last, since = now, time.monotonic()
            # Three hosts in a row that were killed before their first page look like bad hosts.
            self.resumed += len(
                rows(
                    self._stack,
                    "update aseagi.controls set paused_at = null, paused_reason = null,"
                    " resumed_at = now() where paused_at is not null returning 1",
                )
            )


def main() -> None:
    """Run the bench and print what it saw; exits with 1 if anything is lost or there twice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=200)
    parser.add_argument("--kills", type=int, default=24)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    contents = [letter(number) for number in range(options.documents)]
    with tempfile.TemporaryDirectory(prefix="aseagi-bench-") as folder:
        stack = start_stack(
            Path(folder) / ".aseagi", console.print, dashboard=False, settings=SETTINGS
        )
        os.environ.update(stack.environment)
        try:
            outcome = run_with_kills(
                stack,
                "bench",
                contents,
                kills=options.kills,
                seed=options.seed,
                tell=console.print,
            )
        finally:
            stack.stop()
    _print(options.documents, options.seed, outcome)
    if outcome.flaws or not outcome.settled:
        raise SystemExit(1)


def _print(documents: int, seed: int, outcome: Outcome) -> None:
    table = Table(title=f"{documents} documents, {len(outcome.kills)} kills, seed {seed}")
    for column in ("process", "killed", "answered again after: median", "longest"):
        table.add_column(column, justify="left" if column == "process" else "right")
    for victim in VICTIMS:
        mine = [one for one in outcome.kills if one.victim == victim]
        back = [one.back_after_seconds for one in mine if one.back_after_seconds is not None]
        shown = (f"{statistics.median(back):.1f} s", f"{max(back):.1f} s") if back else ("", "")
        table.add_row(victim, str(len(mine)), *shown)
    console.print(table)
    flaws = outcome.flaws
    lines: Iterable[tuple[str, Sequence[str]]] = (
        ("lost", flaws.lost),
        ("twice", flaws.twice),
        ("changed", flaws.changed),
        ("wrong money", flaws.money),
        ("left over", flaws.left_over),
    )
    for name, found in lines:
        console.print(f"{name}: {len(found)}", *found[:10])
    console.print(
        f"all at its end: {outcome.settled}, after {outcome.seconds:.0f} s; longest without "
        f"progress {outcome.longest_standstill_seconds:.0f} s; pages read again after a kill: "
        f"{outcome.read_again}; failed with a reason: {outcome.documents_failed}; "
        f"breaker opened: {outcome.breaker_opened}"
    )
    write_results(
        f"faults-{documents}-{seed}",
        {
            **{
                f"killed_{victim}": Figure(
                    sum(one.victim == victim for one in outcome.kills), "kills"
                )
                for victim in VICTIMS
            },
            **{
                f"back_after_{victim}": Figure(
                    max(
                        (
                            one.back_after_seconds
                            for one in outcome.kills
                            if one.victim == victim and one.back_after_seconds is not None
                        ),
                        default=0.0,
                    ),
                    "s",
                )
                for victim in VICTIMS
            },
            **{name.replace(" ", "_"): Figure(len(found), "flaws") for name, found in lines},
            "seconds": Figure(outcome.seconds, "s"),
            "longest_standstill": Figure(outcome.longest_standstill_seconds, "s"),
            "pages_read_again": Figure(outcome.read_again, "pages"),
            "documents_failed": Figure(outcome.documents_failed, "documents"),
            "breaker_opened": Figure(outcome.breaker_opened, "times"),
        },
    )


if __name__ == "__main__":
    main()
