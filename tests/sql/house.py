"""Documents, sessions and leases, made the way the program makes them, for tests.

Every method is one transaction of the application, as in production. Time passes by
moving timestamps as the owner.
"""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from hashlib import sha256
from itertools import count
from typing import Any, LiteralString
from uuid import UUID, uuid4

from psycopg import AsyncTransaction
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Literal

from schema.analysis import Analysis, DocumentType
from schema.failures import Failure, Stage
from schema.lanes import Lane
from schema.ocr import PageText
from sql.connection import Connection, connect
from sql.documents import NewDocument, insert_document
from sql.leases import LeaseRow, PageOutcome, lease_pages, settle_pages
from sql.sessions import Begun, NewAttempt, NotBegun, begin_attempt, close_session, want_sessions

TTL = timedelta(minutes=5)
LIFETIME = timedelta(hours=1)

_serial = count(1)


def page_text(text: str, *, engine: str = "an engine 1.0") -> PageText:
    """A page as an engine read it."""
    return PageText(
        text=text, words=[], width_pixels=850, height_pixels=1100, engine=engine, seconds=0.5
    )


def failure(reason: str = "It cannot be read.", *, page: int | None = None) -> Failure:
    """A failure of reading."""
    return Failure(stage=Stage.READ, reason=reason, retry_helps=False, page=page)


def analysis(title: str = "A letter") -> Analysis:
    """The facts of a document, as an analyst found them."""
    return Analysis(
        analyst="a test", type=DocumentType.LETTER, title=title, summary="", language="en",
        confidence=0.5,
    )  # fmt: skip


def new_document(
    *pages: str | None,
    lane: Lane = Lane.BULK,
    matter: str | None = None,
    content: str | None = None,
    failed: Failure | None = None,
) -> NewDocument:
    """A file taken in; None is a page that must be read."""
    name = f"{next(_serial):04}.pdf"
    file_hash = sha256((content or name).encode()).hexdigest()
    return NewDocument(
        file_hash=file_hash,
        file_name=name,
        media_type="application/pdf",
        size_bytes=1000,
        s3_raw_path=f"raw/{name}",
        s3_processed_path=f"processed/{file_hash}/original",
        matter=matter,
        lane=lane,
        pages=pages,
        failure=failed,
    )


def new_attempt(
    flow_run_id: UUID,
    *,
    run_count: int = 1,
    lifetime: timedelta = LIFETIME,
    token: str | None = None,
    provider: str = "local",
    dollars_per_hour: str = "0.36",
    reserved_dollars: str = "0.36",
    budget_dollars: str = "1000000",
    max_hosts: int = 100,
) -> NewAttempt:
    """What a worker decided about the host it is about to start."""
    return NewAttempt(
        flow_run_id=flow_run_id,
        run_count=run_count,
        token_hash=sha256((token or uuid4().hex).encode()).digest(),
        lifetime=lifetime,
        provider=provider,
        label=f"aseagi-{uuid4().hex}",
        dollars_per_hour=Decimal(dollars_per_hour),
        reserved_dollars=Decimal(reserved_dollars),
        budget_dollars=Decimal(budget_dollars),
        max_hosts=max_hosts,
    )


@dataclass
class House:
    """A database, with a connection as the application and one as the owner."""

    app_dsn: str
    db: Connection
    owner: Connection
    flow_runs: dict[UUID, UUID] = field(default_factory=dict[UUID, UUID])

    def transaction(self) -> AbstractAsyncContextManager[AsyncTransaction]:
        """A transaction of the application."""
        return self.db.transaction()

    def another_process(self) -> AbstractAsyncContextManager[Connection]:
        """A second connection of the application, with a name that `until_blocked` knows."""
        return connect(make_conninfo(self.app_dsn, application_name=uuid4().hex))

    async def rows(self, query: LiteralString, *values: object) -> list[tuple[Any, ...]]:
        """What is in the database, as the owner sees it."""
        cursor = await self.owner.execute(query, values)
        return await cursor.fetchall()

    async def one(self, query: LiteralString, *values: object) -> Any:
        """The one value of the one row."""
        [(value,)] = await self.rows(query, *values)
        return value

    async def change(self, query: LiteralString, *values: object) -> None:
        """Change what is in the database, as the owner."""
        await self.owner.execute(query, values)

    async def add(self, new: NewDocument) -> UUID:
        """Take the document in."""
        async with self.db.transaction():
            document_id, _ = await insert_document(self.db, new)
        return document_id

    async def add_scan(self, pages: int = 1, *, lane: Lane = Lane.BULK) -> UUID:
        """Take in a document whose pages must all be read."""
        return await self.add(new_document(*[None] * pages, lane=lane))

    async def want(
        self,
        *,
        max_hosts: int = 4,
        pages_per_session: int = 100,
        session_dollars: str = "0.36",
        budget: str = "50",
    ) -> int:
        """Insert the sessions the dispatcher would."""
        async with self.db.transaction():
            return await want_sessions(
                self.db,
                lanes=(Lane.NOW, Lane.BULK),
                max_hosts=max_hosts,
                pages_per_session=pages_per_session,
                session_dollars=Decimal(session_dollars),
                budget_dollars=Decimal(budget),
            )

    async def try_begin(
        self, session_id: UUID | None = None, *, new: NewAttempt | None = None
    ) -> Begun | NotBegun:
        """Ask for a host, as a worker does; without a session, as a run started by hand."""
        async with self.db.transaction():
            return await begin_attempt(self.db, new or new_attempt(uuid4()), session_id=session_id)

    async def begin(
        self, session_id: UUID | None = None, *, new: NewAttempt | None = None
    ) -> Begun:
        """Begin a session; there must be something to read."""
        begun = await self.try_begin(session_id, new=new)
        assert isinstance(begun, Begun), begun
        return begun

    async def try_lease(
        self, host: Begun, *, limit: int = 64, ttl: timedelta = TTL
    ) -> LeaseRow | None:
        """Lease pages for the host."""
        async with self.db.transaction():
            return await lease_pages(
                self.db,
                session_id=host.session_id,
                attempt_id=host.attempt_id,
                limit=limit,
                ttl=ttl,
            )

    async def lease(self, host: Begun, *, limit: int = 64) -> LeaseRow:
        """Lease pages for the host; something must wait."""
        lease = await self.try_lease(host, limit=limit)
        assert lease is not None
        return lease

    async def settle(
        self, host: Begun, lease: LeaseRow, outcomes: Sequence[PageOutcome] | None = None
    ) -> tuple[int, list[UUID]]:
        """Report outcomes of a lease; by default that every page of it was read."""
        async with self.db.transaction():
            return await settle_pages(
                self.db,
                lease_id=lease.id,
                attempt_id=host.attempt_id,
                outcomes=all_read(lease) if outcomes is None else outcomes,
            )

    async def close(self, session_id: UUID, *, reason: str = "over", failed: bool = False) -> None:
        """End a session."""
        async with self.db.transaction():
            await close_session(self.db, session_id, reason=reason, failed=failed)

    async def pass_time_of(self, lease: LeaseRow) -> None:
        """Let the time of a lease be over."""
        await self.change(
            "update aseagi.leases set expires_at = now() - interval '1 second' where id = %s",
            lease.id,
        )

    async def page_states(self, document_id: UUID) -> list[str]:
        """The states of a document's pages, in order."""
        return [
            row[0]
            for row in await self.rows(
                "select state from aseagi.pages where document_id = %s order by number",
                document_id,
            )
        ]

    async def job(self, document_id: UUID) -> tuple[str, str]:
        """Status and stage of a document's job."""
        [(status, stage)] = await self.rows(
            "select status, stage from aseagi.processing_jobs where document_id = %s", document_id
        )
        return status, stage

    async def session_state(self, session_id: UUID) -> str:
        """The state of a session."""
        return str(
            await self.one("select state from aseagi.ocr_sessions where id = %s", session_id)
        )

    async def until_blocked(self, waiting: Connection) -> None:
        """Return once `another_process` waits for a lock; by the server's word, not by the clock.

        It is known by its name: behind a pooler each transaction has another server process.
        """
        blocked = SQL(
            """
            do $$ begin
                for look in 1..12000 loop
                    perform pg_stat_clear_snapshot();
                    if exists (select from pg_stat_activity where application_name = {name}
                            and cardinality(pg_blocking_pids(pid)) > 0) then
                        return;
                    end if;
                    perform pg_sleep(0.005);
                end loop;
                assert false, 'it waits for nothing';
            end $$
            """
        )
        name = waiting.info.get_parameters()["application_name"]
        await self.owner.execute(blocked.format(name=Literal(name)))


def read(page: tuple[UUID, int], text: str = "Some words.") -> PageOutcome:
    """That page was read."""
    return PageOutcome(*page, page_text(text))


def unreadable(page: tuple[UUID, int], reason: str = "It cannot be read.") -> PageOutcome:
    """That page could not be read."""
    return PageOutcome(*page, failure(reason, page=page[1]))


def pages_of(lease: LeaseRow) -> list[tuple[UUID, int]]:
    """The pages of a lease."""
    return [(page.document_id, page.number) for page in lease.pages]


def all_read(lease: LeaseRow) -> list[PageOutcome]:
    """Every page of the lease was read."""
    return [read(page, f"Words of page {page[1]}.") for page in pages_of(lease)]
