"""Drains that die at any moment, and what must hold when everything is over.

Time passes by moving timestamps: holds and claims of the dead run out at once, and nothing
waits for minutes.
"""

import asyncio
import json
import os
import random
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import UUID

from blocks.object_storage import ObjectStorage
from tests.tasks.claude.drain_process import ANOTHER_DRAIN, BEGUN
from tests.tasks.claude.office import Office

HOME = Path(__file__).parents[3]

CREATION_SECONDS = 60.0
"""A batch may still be created by one that lives; longer than its request can take."""

FAULTS: Sequence[dict[str, Any]] = (
    *(
        {"on": "messages", "kind": kind, "probability": luck}
        for kind, luck in (
            ("429", 0.02),
            ("500", 0.02),
            ("529", 0.02),
            ("drop", 0.02),
            ("drop-after", 0.02),
            ("truncated", 0.03),
            ("schema-invalid", 0.03),
            ("refusal", 0.01),
        )
    ),
    {"on": "messages", "kind": "slow", "probability": 0.1, "seconds": 0.5},
    *(
        {"on": "create", "kind": kind, "probability": luck}
        for kind, luck in (
            ("commit-then-drop", 0.15),
            ("commit-then-500", 0.1),
            ("drop", 0.1),
            ("429", 0.05),
        )
    ),
    {"on": "create", "kind": "slow", "probability": 0.5, "seconds": 1.5},
    *(
        {"on": on, "kind": kind, "probability": luck}
        for on, kind, luck in (
            ("read", "500", 0.05),
            ("results", "partial", 0.15),
            ("results", "cut", 0.15),
            ("item", "errored", 0.03),
            ("item", "expired", 0.03),
            ("item", "truncated", 0.02),
            ("item", "schema-invalid", 0.03),
            ("item", "refusal", 0.01),
        )
    ),
)
"""What goes wrong, and with what luck. A slow answer comes late, after everything was done."""


def for_ever(faults: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The faults, striking as often as they may."""
    return [{**fault, "times": None} for fault in faults]


@dataclass
class Seen:
    """What happened to the drains."""

    drains: int = 0
    kills: int = 0
    overtaken: int = 0
    """Drains that lost their hold and lived on beside the next."""
    seconds: float = 0.0


@dataclass
class Chaos:
    """Drains of an office, each a process."""

    office: Office
    chance: random.Random
    seen: Seen = field(default_factory=Seen)
    _others: list[asyncio.subprocess.Process] = field(
        default_factory=list[asyncio.subprocess.Process]
    )

    async def start(self) -> asyncio.subprocess.Process:
        """Start a drain, and return once it holds the name, or found it held and ended."""
        storage: ObjectStorage = self.office.storage
        secret = storage.credentials.aws_secret_access_key
        told = {
            "dsn": self.office.house.app_dsn,
            "s3_url": storage.credentials.aws_client_parameters.endpoint_url,
            "s3_access_key": storage.credentials.aws_access_key_id,
            "s3_secret_key": secret.get_secret_value() if secret else "",
            "bucket": storage.bucket,
            "claude": {
                "api_key": self.office.site.running.api_key,
                "url": self.office.site.running.url,
                "timeout_seconds": 20,
                **self.office.settings,
            },
            "patience": asdict(replace(self.office.patience, creation=CREATION_SECONDS)),
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.tasks.claude.drain_process"),
            cwd=HOME,
            env={**os.environ, "PREFECT_LOGGING_LEVEL": "ERROR"},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(told).encode())
        process.stdin.close()
        line = await asyncio.wait_for(process.stdout.readline(), 60)
        if line.decode().strip() == BEGUN:
            self.seen.drains += 1
        else:
            # One that was overtaken may take its name back just now.
            assert await process.wait() == ANOTHER_DRAIN, "the drain did not begin"
        return process

    async def kill(self, process: asyncio.subprocess.Process) -> None:
        """SIGKILL a drain; whether it was alive is counted."""
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)
        if await process.wait() == -signal.SIGKILL:
            self.seen.kills += 1

    async def let_time_pass(self, *, claims: bool) -> None:
        """Let the holds of drains, and the claims of the dead, run out; nobody waits longer."""
        await self.office.house.change("update aseagi.drains set expires_at = now()")
        if claims:
            await self.office.house.change(
                "update aseagi.processing_jobs set claimed_until = now() - interval '1 second' "
                "where claimed_until is not null"
            )
            # Nobody lives who could still be creating them.
            await self.office.house.change(
                "update aseagi.claude_batches set created_at = created_at - interval '1 minute' "
                "where state = 'intended'"
            )
        await self.office.no_longer_wait()
        await self.office.house.change(
            "update aseagi.claude_batches set look_at = now() where settled_at is null"
        )

    async def run(self, *, kills: int, longest_seconds: float) -> Seen:
        """Start drains and kill so many of them, until every document is at its end."""
        started = time.monotonic()
        try:
            async with asyncio.timeout(longest_seconds):
                while await self.office.unfinished():
                    older, self._others = self._others, []
                    await self.let_time_pass(claims=not older)
                    await self._one_drain(kill=self.seen.kills < kills, alone=not older)
                    for one in older:
                        await self.kill(one)
        finally:
            for one in self._others:
                await self.kill(one)
        self.seen.seconds = time.monotonic() - started
        return self.seen

    async def _one_drain(self, *, kill: bool, alone: bool) -> None:
        process = await self.start()
        if not kill or process.returncode is not None:
            await process.wait()
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), min(self.chance.expovariate(0.8), 12.0))
        if process.returncode is not None:
            return
        if alone and self.chance.random() < 0.2:
            self.seen.overtaken += 1
            self._others.append(process)
            return
        await self.kill(process)


@dataclass(frozen=True, slots=True)
class Books:
    """What the rehearsal served and what we wrote down, compared."""

    completed: int
    killed_thrice: int
    """Documents that drains were at work on when they were killed, three times in a row."""
    served: int
    recorded: int
    never_received: int
    """Served, and the answer cut by a fault, a timeout or a kill: marked uncertain with us."""
    served_in_batches: int
    batches_of_account: int
    calls: dict[str, int]


async def check_the_books(office: Office, documents: Sequence[UUID]) -> Books:
    """Every document ended once; tokens agree; no batch was made, and none paid, twice."""
    house = office.house
    office.site.control.delete("/rehearsal/faults").raise_for_status()
    ended = await house.rows(
        """
        select document.id, job.status, document.analysis is not null,
            job.error ->> 'reason' like 'Its analysis was begun 3 times%%'
        from aseagi.documents document
        join aseagi.processing_jobs job on job.document_id = document.id
        """
    )
    assert sorted(row[0] for row in ended) == sorted(documents)
    # A document that was being analysed at three kills fails, and says so; all others are complete.
    completed, killed_thrice = ("completed", True, None), ("failed", False, True)
    assert {row[1:] for row in ended} <= {completed, killed_thrice}

    rows = office.site.served()
    by_message = {row["message_id"]: row for row in rows}
    ledger = await office.ledger()
    assert ledger.keys() <= by_message.keys()
    served = office.served()
    # Every answer that was received: its tokens are those that were served.
    assert ledger == {message: served[message] for message in ledger}
    missing = [row for row in rows if row["message_id"] not in ledger]
    uncertain = await house.one(
        "select count(*) from aseagi.claude_calls where state = 'uncertain'"
    )
    assert len(missing) <= uncertain, "an answer that came was not written down"
    # In batches nothing is lost: results can be read again.
    assert [row for row in missing if row["batch_id"] is not None] == []

    # No batch twice: every batch of the account is one of ours, and each request was served once.
    listed = [batch.id for batch in office.site.client.messages.batches.list(limit=1000)]
    ours = await house.rows("select batch_id from aseagi.claude_batches where batch_id is not null")
    assert sorted(listed) == sorted(row[0] for row in ours)
    names = [row["custom_id"] for row in rows if row["batch_id"] is not None]
    assert len(set(names)) == len(names)
    batches = await house.rows("select distinct state from aseagi.claude_batches")
    assert {row[0] for row in batches} <= {"ended", "void"}

    # One charge for each answer, of what it cost.
    charges = await house.rows(
        """
        select call.id from aseagi.claude_calls call
        left join aseagi.charges charge on charge.key = 'claude:' || call.id
        where (call.state = 'served') <> (charge.id is not null)
            or charge.dollars <> call.dollars
        """
    )
    assert charges == []
    assert await house.one("select count(*) from aseagi.claude_calls where state = 'intended'") == 0
    # A step that was answered was asked again only if an earlier answer was no use or lost.
    twice = await house.rows(
        """
        select document_id, step, first_page, last_page, count(*) from aseagi.claude_calls
        where outcome = 'answered' group by 1, 2, 3, 4 having count(*) > 1
        """
    )
    lost_and_found = await house.one(
        "select count(*) from aseagi.claude_calls where outcome = 'lost'"
    )
    assert len(twice) <= lost_and_found
    return Books(
        completed=sum(row[1:] == completed for row in ended),
        killed_thrice=sum(row[1:] == killed_thrice for row in ended),
        served=len(rows),
        recorded=len(ledger),
        never_received=len(missing),
        served_in_batches=len(names),
        batches_of_account=len(listed),
        calls=await office.calls(),
    )
