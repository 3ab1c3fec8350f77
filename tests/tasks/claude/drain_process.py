"""A drain in a process of its own, to be killed. Its settings come as JSON on standard input."""

import asyncio
import json
import sys
from typing import Any

from pydantic import SecretStr

from blocks.claude import Claude
from blocks.database import Database
from blocks.object_storage import ObjectStorage, make_credentials
from blocks.spending import Spending
from sql.jobs import AnalysisJob
from tasks.analysis import finish
from tasks.claude.analyst import Finished
from tasks.claude.calling import Caller, Patience, limits_of
from tasks.claude.draining import ClaudeDrain
from tasks.drains import single_flight

BEGUN = "begun"
ANOTHER_DRAIN = 3


async def drain(told: dict[str, Any]) -> int:
    """What the flow `analyse` does, without Prefect."""
    dsn = SecretStr(told["dsn"])
    database = Database(dsn=dsn, dashboard_dsn=dsn)
    storage = ObjectStorage(
        credentials=make_credentials(
            endpoint_url=told["s3_url"],
            region="us-east-1",
            access_key=told["s3_access_key"],
            secret_key=SecretStr(told["s3_secret_key"]),
        ),
        bucket=told["bucket"],
    )
    block = Claude(**told["claude"])
    async with (
        single_flight(database, "analyse") as turn,
        database.pool(max_size=2 + block.calls_at_a_time) as pool,
        block.client() as client,
    ):
        if turn is None:
            return ANOTHER_DRAIN
        sys.stdout.write(f"{BEGUN}\n")
        sys.stdout.flush()
        caller = Caller(
            block,
            client,
            pool,
            limits_of(block, Spending()),
            holder=turn.holder,
            patience=Patience(**told["patience"]),
        )

        async def complete(job: AnalysisJob, finished: Finished) -> None:
            await finish(job, finished, holder=turn.holder, pool=pool)

        await ClaudeDrain(turn, caller, storage, complete).run(linger_seconds=0)
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(drain(json.loads(sys.stdin.read()))))
