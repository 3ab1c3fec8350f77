"""`aseagi analyse`: have documents analysed anew."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.connection import use_stack
from cli.console import STATE_DIR, JsonOption, StateDirOption, console, print_json, run
from schema.failures import BadInput

if TYPE_CHECKING:
    from collections.abc import Sequence


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(analyse)


def analyse(
    documents: Annotated[
        list[str] | None,
        typer.Argument(metavar="ID", help="Ids of documents, or their first characters."),
    ] = None,
    matter: Annotated[str | None, typer.Option(help="Only this matter's documents.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every document.")] = False,
    by_rules_only: Annotated[
        bool,
        typer.Option(
            "--by-rules-only", help="Only those that rules analysed: after Claude was set up."
        ),
    ] = False,
    state: StateDirOption = STATE_DIR,
    as_json: JsonOption = False,
) -> None:
    """Analyse completed documents anew, as after Claude was set up or its model was changed.

    Each keeps its present analysis until the new one is stored. Claude is asked everything
    again, and paid for it; documents of the nightly lane wait for the night, or for
    `aseagi process`.

    **Example:** `aseagi analyse --by-rules-only --matter smith-v-jones`
    """
    if every and (documents or matter is not None):
        raise BadInput("`--all` means every document: leave it out, or the ids and the matter.")
    if not (documents or matter is not None or every or by_rules_only):
        raise BadInput("Say which documents: their ids, --matter, --by-rules-only, or --all.")
    use_stack(state)
    queued, for_the_night = run(_analyse(documents or [], matter, by_rules_only=by_rules_only))
    if as_json:
        print_json({"queued": queued})
        return
    console.print(
        "1 document is analysed anew" if queued == 1 else f"{queued} documents are analysed anew"
    )
    if for_the_night:
        console.print("They wait for the night, or for `aseagi process`.")
    if documents and queued < len(documents):
        console.print(
            "The others are left alone: not completed, or not what the options ask for. "
            "`aseagi retry` is for what failed."
        )


async def _analyse(
    prefixes: "Sequence[str]", matter: str | None, *, by_rules_only: bool
) -> tuple[int, bool]:
    from blocks.database import Database
    from blocks.loading import load
    from cli.process import lanes_by_day
    from cli.show import find
    from sql.jobs import analyse_again, count_ready_for_analysis
    from tasks.starting import start_unless_about_to

    database, lanes = await load(Database), await lanes_by_day()
    async with database.connect() as db:
        ids = [await find(db, prefix) for prefix in prefixes]
        queued = await analyse_again(
            db, document_ids=ids or None, matter=matter, by_rules_only=by_rules_only
        )
        # Before this is committed: a drain may take them the moment after.
        ready = await count_ready_for_analysis(db, lanes=lanes)
    if queued and ready:
        await start_unless_about_to("analyse/analyse")
    return queued, queued > 0 and not ready
