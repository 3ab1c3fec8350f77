"""The flow `housekeeping`: every minute, find whatever lost events would have said."""

from collections.abc import Awaitable, Sequence
from typing import TypeVar

import httpx
import psycopg
from botocore.exceptions import BotoCoreError, ClientError
from prefect import flow
from prefect.artifacts import acreate_markdown_artifact
from pydantic import BaseModel, Field

from blocks.claude import Claude
from blocks.database import Database
from blocks.loading import load, load_if_there
from blocks.object_storage import ObjectStorage
from blocks.reading import Reading
from blocks.spending import Spending
from schema.failures import AseagiError, RetryLater
from schema.lanes import DAYTIME, Lane
from sql.arrivals import count_waiting_arrivals
from sql.claude import batches_due
from sql.connection import Connection
from sql.drains import is_held
from sql.embeddings import lacks_embeddings
from sql.jobs import count_ready_for_analysis
from tasks.deleting import finish_deletions
from tasks.dispatch import Dispatched, close_lost_sessions, dispatch
from tasks.drains import single_flight
from tasks.fixed_costs import accrue_fixed_costs
from tasks.meaning import MODEL
from tasks.starting import crash_abandoned_runs, start_unless_about_to
from tasks.uploads import clean_uploads
from tasks.watch import clean_cache, watch_bucket
from work_pools.vastai.reaper import Reaped, reap

Result = TypeVar("Result")


class HousekeepingReport(BaseModel):
    """What had to be put right; all zeros on a quiet minute."""

    arrivals_found: int = Field(
        default=0, description="Objects in the inboxes that no notification told of."
    )
    leases_expired: int = Field(default=0, description="Leases of hosts that went silent.")
    sessions_lost: int = Field(
        default=0, description="Sessions whose run ended without closing them."
    )
    hosts_lost: int = Field(default=0, description="Rented hosts that ended by no wish of ours.")
    strays_found: int = Field(
        default=0, description="Rented hosts that no session owned; they are being destroyed."
    )
    hosts_not_confirmed_gone: list[str] = Field(
        default=[], description="ALARM: hosts told to go many times and still listed."
    )
    sessions_started: int = Field(default=0, description="Sessions started for waiting pages.")
    drains_started: list[str] = Field(default=[], description="Drains whose wake-up was lost.")
    runs_crashed: int = Field(default=0, description="Runs whose worker died before they began.")
    cache_deleted: int = Field(default=0, description="Old objects deleted from cache/.")
    uploads_given_up: int = Field(
        default=0, description="Large uploads nobody completed; what was sent is thrown away."
    )
    deletions_finished: int = Field(
        default=0, description="Deleted documents whose objects were still to be removed."
    )
    costs_accrued: int = Field(default=0, description="Fixed costs charged for days gone by.")
    another_run: bool = Field(default=False, description="Another run was at work.")

    @property
    def quiet(self) -> bool:
        """Nothing had to be put right."""
        return not any(self.model_dump().values())


@flow(name="housekeeping", flow_run_name="housekeeping")
async def housekeeping() -> HousekeepingReport:
    """Watch the bucket, dispatch, wake drains, clean the cache, accrue fixed costs.

    Every step finds its work in Postgres or the bucket, so it may run at any time and be
    killed anywhere. One runs at a time, by a hold that outlives its holder for seconds:
    Prefect's own limit would keep the next ones from running for minutes after a kill.
    A step that fails stops none of the others; the run then fails with what went wrong.
    """
    database, storage = await load(Database), await load(ObjectStorage)
    async with single_flight(database, "housekeeping") as turn:
        if turn is None:
            return HousekeepingReport(another_run=True)
        report, troubles = await _put_right(database, storage)
    if troubles or not report.quiet:
        await _show(report, troubles)
    if troubles:
        raise RetryLater("; ".join(troubles))
    return report


async def _put_right(
    database: Database, storage: ObjectStorage
) -> tuple[HousekeepingReport, list[str]]:
    """Take every step, whatever became of those before it; return also what went wrong."""
    reading, spending = await load(Reading), await load(Spending)
    troubles: list[str] = []

    async def attempt(what: str, step: Awaitable[Result], otherwise: Result) -> Result:
        try:
            return await step
        except (AseagiError, httpx.HTTPError, psycopg.Error, BotoCoreError, ClientError) as error:
            troubles.append(f"{what}: {error}")
            return otherwise

    # Sessions first: they cost money, and the bucket may be away.
    lost = await attempt("close lost sessions", close_lost_sessions(database), 0)
    hosts = await attempt("look after rented hosts", reap(database), Reaped())
    dispatched = await attempt("dispatch", dispatch(database, reading, spending), Dispatched(0, 0))
    report = HousekeepingReport(
        arrivals_found=await attempt("watch the bucket", watch_bucket(storage, database), 0),
        leases_expired=dispatched.leases_expired,
        sessions_lost=lost,
        hosts_lost=hosts.lost,
        strays_found=hosts.strays,
        hosts_not_confirmed_gone=hosts.unconfirmed,
        sessions_started=dispatched.sessions_started,
        drains_started=await attempt("wake drains", _wake_drains(database), []),
        runs_crashed=await attempt("end abandoned runs", crash_abandoned_runs("droplet"), 0),
        cache_deleted=await attempt("clean the cache", clean_cache(storage), 0),
        uploads_given_up=await attempt(
            "clean up large uploads", clean_uploads(storage, database), 0
        ),
        deletions_finished=await attempt(
            "finish deletions", finish_deletions(storage, database), 0
        ),
        costs_accrued=await attempt(
            "accrue fixed costs",
            accrue_fixed_costs(database, spending.fixed_dollars_per_month),
            0,
        ),
    )
    return report, troubles


async def _wake_drains(database: Database) -> list[str]:
    with_claude = await load_if_there(Claude) is not None
    async with database.connect() as db:
        waiting = {
            "ingest": await count_waiting_arrivals(db) > 0 and not await is_held(db, "ingest"),
            "analyse": await _is_to_analyse(db, with_claude=with_claude)
            and not await is_held(db, "analyse"),
        }
    return [
        name
        for name, needed in waiting.items()
        if needed and await start_unless_about_to(f"{name}/{name}")
    ]


async def _is_to_analyse(db: Connection, *, with_claude: bool) -> bool:
    lanes = DAYTIME if with_claude else list(Lane)
    return (
        await count_ready_for_analysis(db, lanes=lanes) > 0
        or (with_claude and bool(await batches_due(db)))
        or await lacks_embeddings(db, model=MODEL)
    )


async def _show(report: HousekeepingReport, troubles: Sequence[str]) -> None:
    found: dict[str, object] = report.model_dump()
    for name in ("drains_started", "hosts_not_confirmed_gone"):
        found[name] = ", ".join(getattr(report, name))
    rows = [f"| {name.replace('_', ' ')} | {value} |" for name, value in found.items() if value]
    rows += [f"| went wrong | {trouble} |" for trouble in troubles]
    await acreate_markdown_artifact(
        key="housekeeping",
        description="What had to be put right",
        markdown="\n".join(["| | |", "|---|---|", *rows]),
    )
