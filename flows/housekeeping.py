"""The flow `housekeeping`: every minute, find whatever lost events would have said."""

from prefect import flow
from prefect.artifacts import acreate_markdown_artifact
from pydantic import BaseModel, Field

from blocks.database import Database
from blocks.loading import load
from blocks.object_storage import ObjectStorage
from blocks.reading import Reading
from blocks.spending import Spending
from sql.arrivals import count_waiting_arrivals
from sql.drains import is_held
from sql.jobs import count_ready_for_analysis
from tasks.dispatch import close_lost_sessions, dispatch
from tasks.drains import single_flight
from tasks.fixed_costs import accrue_fixed_costs
from tasks.starting import crash_abandoned_runs, start_unless_about_to
from tasks.watch import clean_cache, watch_bucket


class HousekeepingReport(BaseModel):
    """What had to be put right; all zeros on a quiet minute."""

    arrivals_found: int = Field(
        default=0, description="Objects in raw/ that no notification told of."
    )
    leases_expired: int = Field(default=0, description="Leases of hosts that went silent.")
    sessions_lost: int = Field(
        default=0, description="Sessions whose run ended without closing them."
    )
    sessions_started: int = Field(default=0, description="Sessions started for waiting pages.")
    drains_started: list[str] = Field(default=[], description="Drains whose wake-up was lost.")
    runs_crashed: int = Field(default=0, description="Runs whose worker died before they began.")
    cache_deleted: int = Field(default=0, description="Old objects deleted from cache/.")
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
    """
    database, storage = await load(Database), await load(ObjectStorage)
    async with single_flight(database, "housekeeping") as turn:
        if turn is None:
            return HousekeepingReport(another_run=True)
        report = await _put_right(database, storage)
    if not report.quiet:
        await _show(report)
    return report


async def _put_right(database: Database, storage: ObjectStorage) -> HousekeepingReport:
    reading, spending = await load(Reading), await load(Spending)
    # Sessions first: they cost money, and the bucket may be away.
    lost = await close_lost_sessions(database)
    dispatched = await dispatch(database, reading, spending)
    found = await watch_bucket(storage, database)
    return HousekeepingReport(
        arrivals_found=found,
        leases_expired=dispatched.leases_expired,
        sessions_lost=lost,
        sessions_started=dispatched.sessions_started,
        drains_started=await _wake_drains(database),
        runs_crashed=await crash_abandoned_runs("droplet"),
        cache_deleted=await clean_cache(storage),
        costs_accrued=await accrue_fixed_costs(database, spending.fixed_dollars_per_month),
    )


async def _wake_drains(database: Database) -> list[str]:
    async with database.connect() as db:
        waiting = {
            "ingest": await count_waiting_arrivals(db) and not await is_held(db, "ingest"),
            "analyse": await count_ready_for_analysis(db) and not await is_held(db, "analyse"),
        }
    return [
        name
        for name, needed in waiting.items()
        if needed and await start_unless_about_to(f"{name}/{name}")
    ]


async def _show(report: HousekeepingReport) -> None:
    found = report.model_dump(exclude={"drains_started"})
    found["drains_started"] = ", ".join(report.drains_started)
    rows = [f"| {name.replace('_', ' ')} | {value} |" for name, value in found.items() if value]
    await acreate_markdown_artifact(
        key="housekeeping",
        description="What had to be put right",
        markdown="\n".join(["| | |", "|---|---|", *rows]),
    )
