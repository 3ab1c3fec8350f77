"""Rows as the dashboard meets them, and the page on top of them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from itertools import count
from typing import LiteralString
from uuid import UUID, uuid4

import psycopg
import pytest
import streamlit as st
from psycopg.types.json import Jsonb

from sql.dashboard import Status

LONG_AGO = datetime(2026, 7, 10, 12, tzinfo=UTC)


@dataclass
class Rows:
    """Writes rows as the owner; every call is committed."""

    owner: psycopg.Connection
    _serial: Iterator[int] = field(default_factory=lambda: count(1))

    def run(self, statement: LiteralString, *values: object) -> None:
        self.owner.execute(statement, values)

    def charge(
        self,
        kind: str,
        dollars: float,
        day: date,
        *,
        document: UUID | None = None,
        session: UUID | None = None,
        host: UUID | None = None,
        call: UUID | None = None,
    ) -> None:
        key = f"claude:{call}" if call else f"charge:{next(self._serial)}"
        self.run(
            """
            insert into aseagi.charges (key, kind, dollars, quantity, unit, what, incurred_on,
                document_id, session_id, host_id)
            values (%s, %s, %s, 1, 'thing', 'a thing', %s, %s, %s, %s)
            """,
            key, kind, dollars, day, document, session, host,
        )  # fmt: skip

    def document(
        self,
        status: Status = "completed",
        *,
        name: str | None = None,
        matter: str | None = None,
        pages: int = 1,
        added: datetime = LONG_AGO,
        completed: datetime | None = None,
        reason: str = "The file is damaged.",
    ) -> UUID:
        """A document with its job; pages are added by `page`."""
        done, number = status == "completed", next(self._serial)
        settled = (completed or added + timedelta(seconds=30)) if status in {
            "completed", "failed"
        } else None  # fmt: skip
        error = {"stage": "read", "reason": reason, "retry_helps": False}
        document = uuid4()
        self.run(
            """
            insert into aseagi.documents (id, file_hash, file_name, media_type, size_bytes,
                page_count, s3_raw_path, s3_processed_path, matter, title, document_type,
                analysis, created_at)
            values (%s, %s, %s, 'application/pdf', 1000, %s, 'raw', 'processed', %s, %s, %s,
                %s, %s)
            """,
            document, sha256(document.bytes).hexdigest(), name or f"{number:04}.pdf", pages,
            matter, "A letter" if done else None, "letter" if done else None,
            Jsonb({}) if done else None, added,
        )  # fmt: skip
        self.run(
            """
            insert into aseagi.processing_jobs
                (document_id, file_path, status, stage, lane, created_at, completed_at, error)
            values (%s, 'raw', %s, %s, 'bulk', %s, %s, %s)
            """,
            document, status, "done" if done else "read", added, settled,
            Jsonb(error) if status == "failed" else None,
        )  # fmt: skip
        return document

    def put_off(self, document: UUID, reason: str, until: datetime) -> None:
        self.run(
            "update aseagi.processing_jobs set stage = 'analyse', waits_for = %s, waits_until = %s "
            "where document_id = %s",
            reason, until, document,
        )  # fmt: skip

    def lacks(self, document: UUID, reason: str) -> None:
        """Claude was asked for something that the document's analysis does not have."""
        failure = {"stage": "analyse", "reason": reason, "retry_helps": False, "page": 2}
        self.run(
            "update aseagi.processing_jobs set results = %s where document_id = %s",
            Jsonb({"analysis_failure": failure}), document,
        )  # fmt: skip

    def call(
        self,
        state: str = "served",
        *,
        reserved_dollars: float = 0,
        settled: datetime | None = None,
        rehearsal: bool = False,
    ) -> UUID:
        """A question to Claude; one that is intended has no end yet."""
        call, served = uuid4(), state == "served"
        self.run(
            """
            insert into aseagi.claude_calls (id, step, first_page, last_page, plan, round, holder,
                rehearsal, model, state, reserved_dollars, outcome, message_id, dollars, settled_at)
            values (%s, 'pages', 1, 1, 'a plan', 0, %s, %s, 'a model', %s, %s, %s, %s, %s, %s)
            """,
            call, uuid4(), rehearsal, state, reserved_dollars,
            None if state == "intended" else "answered" if served else "lost",
            call.hex if served else None, 0 if served else None,
            None if state == "intended" else settled or datetime.now(UTC),
        )  # fmt: skip
        return call

    def batch(self, size: int, *, look_at: datetime) -> None:
        """A batch that is not settled."""
        self.run(
            "insert into aseagi.claude_batches (size, holder, look_at) values (%s, %s, %s)",
            size, uuid4(), look_at,
        )  # fmt: skip

    def page(
        self, document: UUID, number: int, state: str = "done", *, session: UUID | None = None
    ) -> None:
        text, source = ("words", "ocr") if state == "done" else (None, None)
        error = {"stage": "read", "reason": "It cannot be read.", "retry_helps": False}
        self.run(
            """
            insert into aseagi.pages (document_id, number, state, lane, text, source, session_id,
                settled_at, error)
            values (%s, %s, %s, 'bulk', %s, %s, %s, %s, %s)
            """,
            document, number, state, text, source, session,
            LONG_AGO if state in {"done", "failed"} else None,
            Jsonb(error) if state == "failed" else None,
        )  # fmt: skip

    def session(self, state: str = "closed", *, pages_read: int = 0, created: datetime) -> UUID:
        session = uuid4()
        closed = state == "closed"
        self.run(
            """
            insert into aseagi.ocr_sessions (id, flow_run_id, lane, origin, state, created_at,
                started_at, closed_at, close_reason, pages_read)
            values (%s, %s, 'bulk', 'dispatcher', %s, %s, %s, %s, %s, %s)
            """,
            session, uuid4(), state, created, created,
            created + timedelta(minutes=5) if closed else None,
            "nothing waits" if closed else None, pages_read,
        )  # fmt: skip
        return session

    def host(
        self,
        session: UUID,
        *,
        created: datetime,
        reserved_dollars: float,
        rehearsal: bool = False,
    ) -> UUID:
        """A host that has not ended."""
        attempt, host = uuid4(), uuid4()
        self.run(
            """
            insert into aseagi.session_attempts
                (id, session_id, flow_run_id, run_count, token_hash, expires_at)
            values (%s, %s, %s, 1, %s, now())
            """,
            attempt, session, uuid4(), sha256(attempt.bytes).digest(),
        )  # fmt: skip
        self.run(
            """
            insert into aseagi.gpu_hosts (id, session_id, attempt_id, provider, label, state,
                instance_id, dollars_per_hour, reserved_dollars, created_at, ordered_at, rehearsal)
            values (%s, %s, %s, 'vastai', %s, 'running', %s, 0.25, %s, %s, now(), %s)
            """,
            host, session, attempt, f"host-{attempt.hex[:8]}", str(attempt.int % 10**9),
            reserved_dollars, created, rehearsal,
        )  # fmt: skip
        return host

    def failed_arrival(self, key: str, reason: str) -> None:
        self.run(
            """
            insert into aseagi.arrivals (key, etag, size_bytes, state, source, lane, settled_at,
                error)
            values (%s, 'etag', 10, 'failed', 'watch', 'bulk', now(), %s)
            """,
            key, Jsonb({"stage": "ingest", "reason": reason, "retry_helps": False}),
        )  # fmt: skip


@pytest.fixture
def rows(dsn: str) -> Iterator[Rows]:
    with psycopg.connect(dsn, autocommit=True) as owner:
        yield Rows(owner)


@pytest.fixture(autouse=True)
def nothing_kept() -> None:
    """What an earlier test loaded is forgotten."""
    st.cache_data.clear()
    st.cache_resource.clear()
