"""`aseagi delete` and `aseagi deletions`: a document goes from everywhere, and that stays known."""

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from cli.connection import use_stack
from cli.console import STATE_DIR, JsonOption, StateDirOption, console, print_json, run
from cli.correct import ByOption, person
from schema.failures import BadInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from blocks.object_storage import ObjectStorage
    from sql.deletions import Deletion
    from sql.documents import DocumentRow
    from sql.members import LeftBehind

EXPORTS_NAMED = 10


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(delete)
    app.command()(deletions)


def delete(
    documents: Annotated[
        list[str] | None,
        typer.Argument(metavar="ID", help="Ids of documents, or their first characters."),
    ] = None,
    matter: Annotated[
        str | None, typer.Option(help="A whole matter, every document of it.")
    ] = None,
    why: Annotated[str | None, typer.Option(help="The reason, for the record.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    by: ByOption = None,
    state: StateDirOption = STATE_DIR,
    as_json: JsonOption = False,
) -> None:
    """Delete documents everywhere: inboxes, originals, pages, search, exports, chats.

    An export that holds one goes whole: make a new one. What was spent stays on record, and so
    does the deletion: name, hash, who, when, why (`aseagi deletions`). Copies that were
    downloaded, and the files at their source, are not ours to delete: what is synchronised from
    there again is taken in again.

    **Examples**

    - `aseagi delete 3f2a9c41 --why "privileged, sent to us by mistake"`
    - `aseagi delete --matter smith-v-jones --by "M. Lopez"`
    """
    if bool(documents) == (matter is not None):
        raise BadInput("Say which documents: their ids, or a whole --matter.")
    if why is not None and len(why) > 500:
        raise BadInput("The reason has at most 500 characters.")
    if as_json and not yes:
        raise BadInput("`--json` asks nothing: say `--yes` with it.")
    who = person(by)
    use_stack(state)
    run(_delete(documents or [], matter, who, why, yes=yes, as_json=as_json))


def deletions(
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 50,
    state: StateDirOption = STATE_DIR,
    as_json: JsonOption = False,
) -> None:
    """List what was deleted: which file, by whom, when, why, and whether all of it is gone.

    **Example:** `aseagi deletions --json`
    """
    use_stack(state)
    run(_deletions(limit, as_json=as_json))


async def _delete(
    prefixes: "Sequence[str]",
    matter: str | None,
    by: str,
    why: str | None,
    *,
    yes: bool,
    as_json: bool,
) -> None:
    from blocks.database import Database
    from blocks.loading import load
    from blocks.object_storage import ObjectStorage
    from cli.show import find
    from sql.deletions import ask_deletion, list_deletions
    from sql.documents import list_documents
    from sql.members import left_behind
    from tasks.deleting import finish_now

    database, storage = await load(Database), await load(ObjectStorage)
    async with database.connect() as db:
        ids = [await find(db, prefix) for prefix in prefixes] if matter is None else None
        rows = await list_documents(db, matter=matter, ids=ids)
        stays = await left_behind(db, [row.id for row in rows])
    if not rows:
        raise BadInput(f"No document belongs to the matter {matter!r}.")
    if not yes:
        await _ask(rows, matter, storage, stays)
    asked: list[UUID] = []
    for row in rows:
        # Each for itself: what was asked for holds, wherever this ends.
        async with database.connect() as db:
            deletion = await ask_deletion(db, row.id, by=by, why=why, matter=matter)
        if deletion is not None:
            asked.append(deletion)
    with (
        console.status("removing what lies in the bucket"),
        suppress(BotoCoreError, ClientError),  # it is said below: housekeeping goes on with it
    ):
        await finish_now(storage.plain(), database, asked)
    async with database.connect() as db:
        done = await list_deletions(db, ids=asked)
    if as_json:
        print_json([_dict(one) for one in done])
        return
    _tell(done)
    if len(asked) < len(rows):
        console.print(f"{len(rows) - len(asked)} left the matter meanwhile, or were gone.")
    if yes:  # who was asked knows
        _tell_stays(stays)


async def _ask(
    rows: "Sequence[DocumentRow]",
    matter: str | None,
    storage: "ObjectStorage",
    stays: "LeftBehind",
) -> None:
    """Show what would go, and ask. Ends the program at a no."""
    from cli.tables import document_table
    from tasks.deleting import exports_holding

    console.print(document_table(rows[:20]))
    if len(rows) > 20:
        console.print(f"and {len(rows) - 20} more")
    exports = await exports_holding(
        storage.plain(), [(row.file_hash, row.created_at) for row in rows]
    )
    if exports:
        console.print(f"They are in {_exports_text(sorted(exports))}, which goes whole.")
    _tell_stays(stays)
    number = sum(row.page_count for row in rows)
    pages = "1 page" if number == 1 else f"{number} pages"
    count = "1 document" if len(rows) == 1 else f"all {len(rows)} documents"
    whose = f" of the matter {matter!r}" if matter is not None else ""
    if not typer.confirm(f"Delete {count}{whose} ({pages}) everywhere, for ever?"):
        raise BadInput("Nothing was deleted.")


def _tell(done: "Sequence[Deletion]") -> None:
    from sql.deletions import LATE

    objects = sum(one.objects for one in done)
    exports = sorted({name for one in done for name in one.exports})
    count = "1 document" if len(done) == 1 else f"{len(done)} documents"
    console.print(f"{count} deleted, {objects} objects removed")
    if exports:
        console.print(f"Gone whole: {_exports_text(exports)}; `aseagi export` makes a new one.")
    if left := sum(one.state == "asked" for one in done):
        console.print(f"{left} still have objects in the bucket; housekeeping removes them.")
    console.print(
        f"The bucket is looked at once more after {LATE.seconds // 60} minutes; until then the "
        "same content is not taken in."
    )
    console.print(
        "A file that is synchronised into raw/ comes again unless it goes at its source too; "
        "copies of exports that were downloaded stay where they are."
    )


def _tell_stays(stays: "LeftBehind") -> None:
    if stays.members:
        count = "1 file" if stays.members == 1 else f"{stays.members} files"
        console.print(f"{count} that came in it stay: each is a document of its own.")
    if stays.containers:
        console.print(
            f"A copy stays in {', '.join(stays.containers[:EXPORTS_NAMED])}; delete that, too, if "
            "it must be gone everywhere.",
            markup=False,
        )


def _exports_text(names: "Sequence[str]") -> str:
    shown = ", ".join(names[:EXPORTS_NAMED])
    more = f" and {len(names) - EXPORTS_NAMED} more" if len(names) > EXPORTS_NAMED else ""
    return f"the export {shown}" if len(names) == 1 else f"the exports {shown}{more}"


async def _deletions(limit: int, *, as_json: bool) -> None:
    from blocks.database import Database
    from blocks.loading import load
    from sql.deletions import list_deletions

    database = await load(Database)
    async with database.connect() as db:
        found = await list_deletions(db, limit=limit)
    if as_json:
        print_json([_dict(one) for one in found])
        return
    if not found:
        console.print("Nothing was deleted.")
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for header in ("deleted (UTC)", "by", "document", "sha-256", "why", "state"):
        table.add_column(header, overflow="fold")
    for one in found:
        table.add_row(
            f"{one.asked_at:%Y-%m-%d %H:%M}",
            Text(one.asked_by),
            Text(f"{one.matter}/{one.file_name}" if one.matter else one.file_name),
            one.file_hash[:16],
            Text(one.why or ""),
            one.state,
        )
    console.print(table)


def _dict(one: "Deletion") -> dict[str, Any]:
    return {
        "document_id": one.document_id,
        "file_hash": one.file_hash,
        "file_name": one.file_name,
        "matter": one.matter,
        "by": one.asked_by,
        "why": one.why,
        "state": one.state,
        "asked_at": one.asked_at,
        "objects_gone_at": one.objects_gone_at,
        "done_at": one.done_at,
        "pages": one.pages,
        "arrivals": one.arrivals,
        "objects": one.objects,
        "exports": list(one.exports),
    }
