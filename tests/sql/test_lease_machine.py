"""Whatever happens to documents, hosts and analysts, in any order: nothing is lost or doubled.

Hypothesis invents the histories. After every step the database must be in a state that a
person could explain; at the end of each history all work is done and every job has ended.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from typing import Any, ClassVar, LiteralString, TypeVar
from uuid import UUID, uuid4

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,  # pyright: ignore[reportUnknownVariableType]
)
from psycopg import AsyncConnection

from schema.lanes import Lane
from sql.connection import connect
from sql.jobs import AnalysisJob, claim_for_analysis, complete_job, fail_job, retry_jobs
from sql.leases import MAX_ATTEMPTS, LeaseRow, release_leases
from sql.sessions import Begun, close_if_idle
from tests.conftest import TEMPLATE, DatabaseServer
from tests.sql.house import (
    TTL,
    House,
    analysis,
    failure,
    new_attempt,
    new_document,
    pages_of,
    read,
    unreadable,
)

Result = TypeVar("Result")
Page = tuple[UUID, int]

WHICH = st.sampled_from([0, 0, 0, 1, 1, 2, 3, 5, 8])
"""Picks one of a list whose length is not known beforehand, the newest most often."""

LIMITS = st.lists(st.integers(1, 3), min_size=1, max_size=3)
"""How many pages each of a row of leases asks for."""

OUTCOMES = st.lists(st.sampled_from(["read", "unreadable", "left out"]), max_size=3)
"""What a host says of the first pages of a lease; it read the others."""


class LeaseMachine(RuleBasedStateMachine):
    """A house, what was done in it, and what must be true of it."""

    server: ClassVar[DatabaseServer]

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.new_event_loop()
        self._open = AsyncExitStack()
        self.house = self.run(self._enter(self.server))
        self.runs: dict[UUID, tuple[UUID, int]] = {}
        self.hosts: list[Begun] = []
        self.leases: list[tuple[Begun, LeaseRow]] = []
        self.claims: list[tuple[UUID, AnalysisJob]] = []
        self.texts: dict[Page, str] = {}
        self.ended: set[UUID] = set()
        self.reports = 0

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self._loop.run_until_complete(work)

    async def _enter(self, server: DatabaseServer) -> House:
        name = self._open.enter_context(server.database(TEMPLATE))
        app_dsn = server.dsn(name, "aseagi_app")
        db = await self._open.enter_async_context(connect(app_dsn))
        owner = await self._open.enter_async_context(
            await AsyncConnection.connect(server.dsn(name), autocommit=True)
        )
        return House(app_dsn, db, owner)

    # What happens

    @initialize(pages=st.integers(2, 5))
    def work_begins(self, pages: int) -> None:
        self.run(self.house.add(new_document(*[None] * pages)))
        self._begin(uuid4(), 1)
        self._begin(uuid4(), 1)

    @rule(
        pages=st.lists(st.sampled_from([None, None, None, "A text layer."]), max_size=6),
        lane=st.sampled_from(Lane),
    )
    def a_document_comes_in(self, pages: list[str | None], lane: Lane) -> None:
        self.run(self.house.add(new_document(*pages, lane=lane)))

    @rule()
    def a_run_is_started_by_hand(self) -> None:
        self._begin(uuid4(), 1)

    @precondition(lambda self: self.hosts)
    @rule(which=WHICH)
    def a_run_is_attempted_again(self, which: int) -> None:
        run, count = self.runs[self._one(self.hosts, which).session_id]
        self._begin(run, count + 1)

    def _begin(self, run: UUID, count: int) -> None:
        begun = self.run(self.house.try_begin(new=new_attempt(run, run_count=count)))
        if isinstance(begun, Begun):
            self.hosts.append(begun)
            self.runs[begun.session_id] = (run, count)

    @precondition(lambda self: self.hosts)
    @rule(which=WHICH, limits=LIMITS)
    def a_host_leases(self, which: int, limits: list[int]) -> None:
        self.run(self._lease_some(which, limits))

    @precondition(lambda self: self.hosts)
    @rule(which=WHICH, limits=LIMITS, outcomes=OUTCOMES)
    def a_host_leases_and_reports_the_first(
        self, which: int, limits: list[int], outcomes: list[str]
    ) -> None:
        for host, lease in self.run(self._lease_some(which, limits))[:1]:
            self.run(self._report(host, lease, outcomes))

    @precondition(lambda self: self.hosts)
    @rule(which=WHICH, limits=LIMITS)
    def a_host_leases_and_dies(self, which: int, limits: list[int]) -> None:
        for _, lease in self.run(self._lease_some(which, limits)):
            self.run(self.house.pass_time_of(lease))
        self.run(self._sweep())

    async def _lease_some(self, which: int, limits: list[int]) -> list[tuple[Begun, LeaseRow]]:
        host = self._one(self.hosts, which)
        leases = [await self._lease(host, limit) for limit in limits]
        return [(host, lease) for lease in leases if lease is not None]

    async def _lease(self, host: Begun, limit: int) -> LeaseRow | None:
        if not await self._is_current(host):
            return None  # the gateway has turned it away
        held = await self._pages_held(host)
        waiting = await self.house.rows(
            "select attempts from aseagi.pages where state = 'waiting' "
            "order by lane, attempts > 0, queued_at, document_id, number"
        )
        lease = await self.house.try_lease(host, limit=limit)
        last_chance = MAX_ATTEMPTS - 1
        if lease is None:
            assert not waiting or (
                held and (waiting[0][0] >= last_chance or max(held) > last_chance)
            )
            return None
        assert 1 <= len(lease.pages) <= limit
        assert not held or max(held) <= last_chance
        if any(page.attempts >= last_chance for page in lease.pages):
            assert len(lease.pages) == 1
            assert not held
        self.leases.append((host, lease))
        return lease

    async def _pages_held(self, host: Begun) -> list[int]:
        """The attempts of each page that the host's session holds."""
        rows = await self.house.rows(
            """
            select page.attempts from aseagi.pages page
            join aseagi.leases lease on lease.id = page.lease_id where lease.session_id = %s
            """,
            host.session_id,
        )
        return [row[0] for row in rows]

    async def _is_current(self, host: Begun) -> bool:
        return bool(
            await self.house.rows(
                """
                select 1 from aseagi.session_attempts attempt
                join aseagi.ocr_sessions session on session.id = attempt.session_id
                where attempt.id = %s and revoked_at is null and state = 'running'
                """,
                host.attempt_id,
            )
        )

    @precondition(lambda self: self.leases)
    @rule(which=WHICH, outcomes=OUTCOMES)
    def a_host_reports(self, which: int, outcomes: list[str]) -> None:
        """Any host, of any lease it ever had, in part or whole, again and again."""
        host, lease = self._one(self.leases, which)
        self.run(self._report(host, lease, outcomes))

    async def _report(self, host: Begun, lease: LeaseRow, outcomes: Sequence[str] = ()) -> None:
        self.reports += 1
        told = dict(zip(pages_of(lease), [*outcomes, *["read"] * len(lease.pages)], strict=False))
        held = {
            (row[0], row[1])
            for row in await self.house.rows(
                "select document_id, number from aseagi.pages where lease_id = %s", lease.id
            )
        }
        text = f"Words of report {self.reports}."
        good = [page for page, outcome in told.items() if outcome == "read"]
        bad = [page for page, outcome in told.items() if outcome == "unreadable"]
        stored, finished = await self.house.settle(
            host, lease, [*(read(page, text) for page in good), *map(unreadable, bad)]
        )
        assert stored == len(held & {*good, *bad})
        assert len(set(finished)) == len(finished)
        self.texts |= dict.fromkeys(held & set(good), text)
        for document_id in finished:
            assert await self.house.job(document_id) in {
                ("processing", "analyse"),
                ("queued", "analyse"),
            }

    @precondition(lambda self: self.leases)
    @rule(which=WHICH)
    def the_time_of_a_lease_is_over(self, which: int) -> None:
        self.run(self.house.pass_time_of(self._one(self.leases, which)[1]))

    @rule()
    def the_sweep_comes(self) -> None:
        self.run(self._sweep())

    async def _let_all_leases_run_out(self) -> None:
        await self.house.change("update aseagi.leases set expires_at = now() - interval '1 second'")
        await self._sweep()

    async def _sweep(self) -> None:
        async with self.house.transaction():
            await release_leases(self.house.db)
        assert await self.house.rows(
            "select 1 from aseagi.leases where state = 'open' and expires_at < now()"
        ) == []  # fmt: skip

    @precondition(lambda self: self.hosts)
    @rule(which=WHICH)
    def a_run_ends(self, which: int) -> None:
        self.run(self.house.close(self._one(self.hosts, which).session_id))

    @precondition(lambda self: self.hosts)
    @rule(which=WHICH, must_close=st.booleans())
    def a_host_asks_to_close(self, which: int, must_close: bool) -> None:
        host = self._one(self.hosts, which)
        closed = self.run(self._ask_to_close(host, must_close=must_close))
        if not closed:
            assert self.run(self.house.rows("select 1 from aseagi.pages where state='waiting'"))

    async def _ask_to_close(self, host: Begun, *, must_close: bool) -> bool:
        async with self.house.transaction():
            return await close_if_idle(
                self.house.db, host.session_id, reason="idle", must_close=must_close
            )

    @rule(limit=st.integers(1, 3))
    def an_analyst_claims(self, limit: int) -> None:
        self.run(self._claim(limit))

    async def _claim(self, limit: int) -> list[AnalysisJob]:
        holder = uuid4()
        async with self.house.transaction():
            jobs = await claim_for_analysis(
                self.house.db, holder=holder, limit=limit, ttl=TTL, lanes=list(Lane)
            )
        for job in jobs:
            assert job.document_id not in self.ended
        self.claims += [(holder, job) for job in jobs]
        return jobs

    @precondition(lambda self: self.claims)
    @rule(which=WHICH, succeeds=st.booleans())
    def an_analyst_answers(self, which: int, succeeds: bool) -> None:
        """Any analyst, of any claim it ever had."""
        holder, job = self._one(self.claims, which)
        self.run(self._answer(holder, job, succeeds=succeeds))

    async def _answer(self, holder: UUID, job: AnalysisJob, *, succeeds: bool) -> None:
        before, counted = await self.house.job(job.document_id), None
        async with self.house.transaction():
            if succeeds:
                counted = await complete_job(self.house.db, job, analysis(), holder=holder)
            else:
                await fail_job(self.house.db, job.id, failure(), holder=holder)
        after = await self.house.job(job.document_id)
        if counted is not None:
            assert counted == (before != after)
        if before != after:
            assert job.document_id not in self.ended
            self.ended.add(job.document_id)

    @rule()
    def claims_run_out(self) -> None:
        self.run(
            self.house.change(
                """
                update aseagi.processing_jobs set claimed_until = now() - interval '1 second'
                where claimed_until is not null
                """
            )
        )

    @rule()
    def a_person_retries(self) -> None:
        self.run(self._retry())

    async def _retry(self) -> None:
        async with self.house.transaction():
            queued = await retry_jobs(self.house.db)
        open_again = {
            row[0]
            for row in await self.house.rows(
                "select document_id from aseagi.processing_jobs where status = 'queued'"
            )
        }
        assert queued <= len(open_again)
        self.ended -= open_again

    @staticmethod
    def _one(many: Sequence[Result], which: int) -> Result:
        return many[-1 - which % len(many)]

    # What must be true

    @invariant()
    def no_page_is_lost_or_in_two_leases(self) -> None:
        self._never(
            """
            select document.id from aseagi.documents document
            where page_count <> (select count(*) from aseagi.pages where document_id = document.id)
            """
        )
        self._never(
            """
            select lease.id, lease.pages, count(page.number) from aseagi.leases lease
            left join aseagi.pages page on page.lease_id = lease.id
            group by lease.id
            having count(page.number) > lease.pages
                or (lease.state = 'open') <> (count(page.number) > 0)
            """
        )
        self._never(
            """
            select lease.id from aseagi.leases lease
            join aseagi.ocr_sessions session on session.id = lease.session_id
            join aseagi.session_attempts attempt on attempt.id = lease.attempt_id
            where lease.state = 'open'
                and (session.state <> 'running' or attempt.revoked_at is not null)
            """
        )

    @invariant()
    def a_page_is_tried_three_times_at_most(self) -> None:
        self._never(
            """
            select 1 from aseagi.pages
            where attempts > %s or (state = 'waiting' and attempts >= %s)
            """,
            MAX_ATTEMPTS,
            MAX_ATTEMPTS,
        )

    @invariant()
    def a_job_is_where_its_pages_say(self) -> None:
        self._never(
            """
            select job.document_id, job.status, job.stage, array_agg(page.state)
            from aseagi.processing_jobs job
            left join aseagi.pages page on page.document_id = job.document_id
            group by job.id
            having (job.stage = 'read' and job.status <> 'failed')
                    <> coalesce(bool_or(page.state in ('waiting', 'leased')), false)
                or (job.stage = 'read' and job.status = 'failed'
                    and bool_or(page.state = 'done'))
            """
        )

    @invariant()
    def a_job_ends_exactly_once(self) -> None:
        over = {
            row[0]
            for row in self._found(
                """
                select document_id from aseagi.processing_jobs
                where status in ('completed', 'failed')
                """
            )
        }
        assert self.ended <= over
        # A job whose last page failed has ended without an analyst.
        self.ended |= over

    @invariant()
    def what_was_read_stays_as_it_was(self) -> None:
        stored = {
            (row[0], row[1]): row[2]
            for row in self._found(
                "select document_id, number, text from aseagi.pages where source = 'ocr'"
            )
        }
        assert stored == self.texts

    @invariant()
    def an_analyst_sees_the_text_of_every_page(self) -> None:
        self._never(
            """
            select document.id from aseagi.documents document
            join aseagi.processing_jobs job on job.document_id = document.id
            where job.stage in ('analyse', 'done') and document.page_count > 0
                and document.ocr_text is distinct from (
                    select string_agg(coalesce(text, ''), E'\\f' order by number)
                    from aseagi.pages where document_id = document.id)
            """
        )

    @invariant()
    def sessions_hosts_and_money_agree(self) -> None:
        self._never(
            """
            select host.id from aseagi.gpu_hosts host
            join aseagi.session_attempts attempt on attempt.id = host.attempt_id
            join aseagi.ocr_sessions session on session.id = host.session_id
            where (host.state = 'ended')
                    <> (session.state = 'closed' or attempt.revoked_at is not null)
                or (host.state = 'ended')
                    <> exists (select from aseagi.charges where host_id = host.id)
            """
        )

    def _found(self, query: LiteralString, *values: object) -> list[tuple[Any, ...]]:
        return self.run(self.house.rows(query, *values))

    def _never(self, query: LiteralString, *values: object) -> None:
        assert not self._found(query, *values)

    # How it ends

    def teardown(self) -> None:
        try:
            self.run(self._work_to_the_end())
            self.a_job_ends_exactly_once()
            self._never(
                """
                select document_id from aseagi.pages where state in ('waiting', 'leased')
                union all select document_id from aseagi.processing_jobs
                where status not in ('completed', 'failed')
                """
            )
            self.what_was_read_stays_as_it_was()
        finally:
            self.run(self._open.aclose())
            self._loop.close()

    async def _work_to_the_end(self) -> None:
        """Every lease and claim runs out, and one good host and one good analyst do the rest."""
        await self._let_all_leases_run_out()
        begun = await self.house.try_begin()
        if isinstance(begun, Begun):
            while (lease := await self._lease(begun, 5)) is not None:
                await self._report(begun, lease)
            assert await self._ask_to_close(begun, must_close=False)
        await self.house.change(
            """
            update aseagi.processing_jobs set claimed_until = now() - interval '1 second'
            where claimed_until is not null
            """
        )
        while await self._claim(3):
            for holder, job in self.claims[-3:]:
                await self._answer(holder, job, succeeds=True)


def test_no_history_loses_or_doubles_anything(postgres: DatabaseServer) -> None:
    LeaseMachine.server = postgres
    run_state_machine_as_test(
        LeaseMachine,
        settings=settings(
            max_examples=15,
            stateful_step_count=25,
            deadline=None,
            database=None,
            # A history of this length can be read as it is; shortening it would take minutes.
            phases=[Phase.generate],
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
