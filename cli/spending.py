"""`aseagi pause` and `aseagi resume`: the one switch that stops all spending."""

from typing import Annotated

import typer

from cli.connection import use_stack
from cli.console import STATE_DIR, StateDirOption, console, run


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(pause)
    app.command()(resume)


def pause(
    reason: Annotated[str, typer.Argument(help="Why; shown wherever work waits.")] = "by hand",
    state: StateDirOption = STATE_DIR,
) -> None:
    """Stop all spending: no new sessions, and running ones get no more pages.

    What is under way is finished and everything waits safely until `aseagi resume`.

    **Example:** `aseagi pause "until the invoice is settled"`
    """
    use_stack(state)
    run(_pause(reason))
    console.print("Paused. `aseagi resume` allows spending again.")


def resume(state: StateDirOption = STATE_DIR) -> None:
    """Allow spending again; what waits is picked up at once, what was put off too."""
    use_stack(state)
    started, put_off = run(_resume())
    documents = "1 document" if put_off == 1 else f"{put_off} documents"
    also = f", {documents} no longer put off" if put_off else ""
    console.print(f"Resumed; {started} sessions started{also}.")


async def _pause(reason: str) -> None:
    from blocks.database import Database
    from blocks.loading import load
    from sql import controls

    database = await load(Database)
    async with database.connect() as db:
        await controls.pause(db, reason=reason)


async def _resume() -> tuple[int, int]:
    from blocks.database import Database
    from blocks.loading import load
    from blocks.reading import Reading
    from blocks.spending import Spending
    from cli.process import wake_analysis
    from sql import controls
    from sql.jobs import stop_waiting
    from tasks.dispatch import dispatch

    database, reading, spending = await load(Database), await load(Reading), await load(Spending)
    async with database.connect() as db:
        await controls.resume(db)
        put_off = await stop_waiting(db)
    started = (await dispatch(database, reading, spending)).sessions_started
    await wake_analysis(database)
    return started, put_off
