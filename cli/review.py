"""`aseagi review`: which documents want a person's eye, and why."""

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from cli.connection import use_stack
from cli.console import STATE_DIR, JsonOption, StateDirOption, console, print_json, run
from cli.correct import ByOption, person
from schema.failures import BadInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sql.reviews import ToReview


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(review)


def review(
    documents: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ID]", help="With --ok: ids, or their first characters."),
    ] = None,
    ok: Annotated[bool, typer.Option("--ok", help="You looked at them: off the list.")] = False,
    note: Annotated[str | None, typer.Option(help="With --ok: what you found.")] = None,
    matter: Annotated[str | None, typer.Option(help="Only this matter.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Documents to list.")] = 50,
    by: ByOption = None,
    state: StateDirOption = STATE_DIR,
    as_json: JsonOption = False,
) -> None:
    """List what wants a person's eye, worst first: what failed, what was read or told with doubt.

    `--ok` takes a document off the list, also through later analyses, until it is another: with
    another type or date, or a new reason.

    **Examples**

    - `aseagi review --matter smith-v-jones`
    - `aseagi review 3f2a9c41 --ok --by "M. Lopez" --note "page 3 is blank in the original"`
    """
    if ok and not documents:
        raise BadInput("Say which documents you looked at: their ids.")
    if documents and not ok:
        raise BadInput("`aseagi show ID` shows a document; `--ok` says that you looked at it.")
    who = person(by)
    use_stack(state)
    if ok:
        run(_mark(documents or [], who, note, as_json=as_json))
    else:
        run(_list(matter, limit, as_json=as_json))


async def _mark(prefixes: "Sequence[str]", by: str, note: str | None, *, as_json: bool) -> None:
    from blocks.database import Database
    from blocks.loading import load
    from cli.show import find
    from sql.reviews import count_to_review, mark_reviewed

    database = await load(Database)
    async with database.connect() as db:
        ids = [await find(db, prefix) for prefix in prefixes]
        marked = await mark_reviewed(db, ids, by=by, note=note)
        left = await count_to_review(db)
    if as_json:
        print_json({"reviewed": marked, "left": left})
        return
    console.print(f"{marked} reviewed by {by}, {left} left", markup=False)
    if marked < len(set(ids)):
        console.print("The others are not at their end yet: `aseagi status --documents`.")


async def _list(matter: str | None, limit: int, *, as_json: bool) -> None:
    from blocks.database import Database
    from blocks.loading import load
    from sql.reviews import count_to_review, list_to_review

    database = await load(Database)
    async with database.connect() as db:
        found = await list_to_review(db, matter=matter, limit=limit)
        count = await count_to_review(db, matter=matter)
    if as_json:
        print_json({"count": count, "documents": [_dict(one) for one in found]})
        return
    if not found:
        console.print("Nothing wants a person's eye.")
        return
    console.print(review_table(found))
    console.print(f"{count} to review" + (f", {len(found)} shown" if len(found) < count else ""))
    console.print(
        "`aseagi show ID` shows one, `aseagi correct ID` mends it, `aseagi review ID --ok`"
    )
    console.print("takes it off the list.")


def _dict(one: "ToReview") -> dict[str, Any]:
    from sql.reviews import reason_texts

    return {
        "id": one.id,
        "file_name": one.file_name,
        "matter": one.matter,
        "type": one.document_type,
        "date": one.document_date,
        "title": one.title,
        "weight": one.weight,
        "reasons": list(one.reasons),
        "why": reason_texts(one),
    }


def review_table(found: "Sequence[ToReview]") -> Table:
    """Document, title, and every reason in words."""
    from sql.reviews import reason_texts

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("id", no_wrap=True)
    table.add_column("document", overflow="fold", ratio=3)
    table.add_column("title", overflow="fold", ratio=3)
    table.add_column("why", overflow="fold", ratio=5)
    for one in found:
        table.add_row(
            one.id.hex[:8],
            Text(f"{one.matter}/{one.file_name}" if one.matter else one.file_name),
            Text(one.title or ""),
            Text("; ".join(reason_texts(one))),
        )
    return table
