"""Loads what the page shows, through the role that can only read.

Each load is one connection, and its result is kept for some seconds for everybody who
looks, so that many open pages ask no more often than one. Raises `AseagiError` when a
server is away.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

import psycopg
import streamlit as st

from blocks.database import Database
from blocks.loading import load
from blocks.spending import Spending
from dashboard.costs import Month
from sql.charges import DayCost
from sql.claude import OpenBatches, open_batches
from sql.connection import Connection, explain
from sql.controls import Controls, read_controls
from sql.dashboard import (
    STATUSES,
    Counts,
    DocumentLine,
    FailedArrival,
    HostLine,
    Output,
    Place,
    SessionLine,
    Status,
    completed_between,
    costs_between,
    count_everything,
    failed_arrivals,
    first_charged_day,
    list_matters,
    newest_documents,
    newest_hosts,
    newest_sessions,
    rehearsal_dollars_between,
    reserved_dollars,
)
from sql.jobs import Waiting, jobs_waiting
from sql.reviews import ToReview, count_to_review, list_to_review

SETTINGS_SECONDS = 60
COSTS_SECONDS = 30
WORK_SECONDS = 5
REVIEW_SECONDS = 30

DOCUMENTS_PER_PAGE = 50
FAILED_ARRIVALS_SHOWN = 100
REASONS_SHOWN = 20
TO_REVIEW_SHOWN = 8
SESSIONS_SHOWN = 20
HOSTS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Settings:
    """The blocks the page needs."""

    database: Database
    spending: Spending


@dataclass(frozen=True, slots=True)
class Money:
    """Rows about a month's money."""

    first_charged: date | None
    days: list[DayCost]
    output: Output
    reserved: Decimal
    rehearsal: Decimal
    """How much of it is no money: hosts and answers of rehearsals."""


@dataclass(frozen=True, slots=True)
class Work:
    """Rows about the work, all from one moment."""

    at: datetime
    controls: Controls
    counts: Counts
    matters: list[str]
    put_off: list[Waiting]
    batches: OpenBatches
    failed_arrivals: list[FailedArrival]
    sessions: list[SessionLine]
    hosts: list[HostLine]


@dataclass(frozen=True, slots=True)
class ReviewQueue:
    """What wants a person's eye: how many there are, and the worst of them."""

    count: int
    worst: list[ToReview]


@dataclass(frozen=True, slots=True)
class Documents:
    """One page of the list of documents."""

    lines: list[DocumentLine]
    has_more: bool


def _address(database: Database) -> str:
    return database.dashboard_dsn.get_secret_value()


@asynccontextmanager
async def _reading(database: Database) -> AsyncGenerator[Connection]:
    try:
        async with database.connect_dashboard() as db:
            await db.execute("set transaction isolation level repeatable read, read only")
            yield db
    except psycopg.Error as error:
        raise explain(error, _address(database)) from error


@st.cache_resource(ttl=SETTINGS_SECONDS, show_spinner=False)
def load_settings() -> Settings:
    """The blocks, from Prefect."""

    async def ask() -> Settings:
        return Settings(await load(Database), await load(Spending))

    return asyncio.run(ask())


@st.cache_data(
    ttl=COSTS_SECONDS, max_entries=24, show_spinner=False, hash_funcs={Database: _address}
)
def load_money(database: Database, month: Month) -> Money:
    """What the cost part shows of a month."""

    async def ask() -> Money:
        async with _reading(database) as db:
            return Money(
                first_charged=await first_charged_day(db),
                days=await costs_between(db, month.first, month.last),
                output=await completed_between(db, month.begins, month.ends),
                reserved=await reserved_dollars(db),
                rehearsal=await rehearsal_dollars_between(db, month.first, month.last),
            )

    return asyncio.run(ask())


@st.cache_data(ttl=WORK_SECONDS, max_entries=4, show_spinner=False, hash_funcs={Database: _address})
def load_work(database: Database) -> Work:
    """What the work part shows, except the documents."""

    async def ask() -> Work:
        async with _reading(database) as db:
            return Work(
                at=datetime.now(UTC),
                controls=await read_controls(db),
                counts=await count_everything(db),
                matters=await list_matters(db),
                put_off=await jobs_waiting(db, limit=REASONS_SHOWN),
                batches=await open_batches(db),
                failed_arrivals=await failed_arrivals(db, limit=FAILED_ARRIVALS_SHOWN),
                sessions=await newest_sessions(db, limit=SESSIONS_SHOWN),
                hosts=await newest_hosts(db, limit=HOSTS_SHOWN),
            )

    return asyncio.run(ask())


@st.cache_data(
    ttl=REVIEW_SECONDS, max_entries=4, show_spinner=False, hash_funcs={Database: _address}
)
def load_review_queue(database: Database) -> ReviewQueue:
    """The documents that want a person's eye, worst first."""

    async def ask() -> ReviewQueue:
        async with _reading(database) as db:
            worst = await list_to_review(db, limit=TO_REVIEW_SHOWN)
            return ReviewQueue(await count_to_review(db) if worst else 0, worst)

    return asyncio.run(ask())


@st.cache_data(
    ttl=WORK_SECONDS, max_entries=32, show_spinner=False, hash_funcs={Database: _address}
)
def load_documents(
    database: Database, matter: str | None, status: Status | None, after: Place | None
) -> Documents:
    """The documents that follow `after`, newest first."""

    async def ask() -> Documents:
        async with _reading(database) as db:
            lines = await newest_documents(
                db,
                matter=matter,
                statuses=STATUSES if status is None else (status,),
                after=after,
                limit=DOCUMENTS_PER_PAGE + 1,
            )
            return Documents(lines[:DOCUMENTS_PER_PAGE], len(lines) > DOCUMENTS_PER_PAGE)

    return asyncio.run(ask())
