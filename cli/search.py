"""`aseagi search`: find pages."""

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from cli.connection import use_stack
from cli.console import STATE_DIR, JsonOption, StateDirOption, console, print_json, run
from schema.analysis import DocumentType

if TYPE_CHECKING:
    from sql.search import Filters


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(search)


def search(
    query: Annotated[str, typer.Argument(help='What it is about, "quoted phrases", or, -without.')],
    matter: Annotated[str | None, typer.Option(help="Only this matter.")] = None,
    party: Annotated[str | None, typer.Option(help="Only with this party: part of a name.")] = None,
    document_type: Annotated[
        DocumentType | None, typer.Option("--type", help="Only documents of this type.")
    ] = None,
    since: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Only dated that day or later.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Only dated that day or earlier.")
    ] = None,
    words: Annotated[
        bool, typer.Option("--words", help="Only pages that have all the words.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Pages to show.")] = 10,
    state: StateDirOption = STATE_DIR,
    as_json: JsonOption = False,
) -> None:
    """Find pages by what they are about and by their words, best first.

    A "quoted phrase" must be on the page as it stands, what follows a minus must not.

    **Examples**

    - `aseagi search 'landlord kept the deposit'`
    - `aseagi search '"breach of contract" -settlement' --matter smith-v-jones`
    - `aseagi search 'hearing moved' --type 'court order' --since 2024-01-01 --party acme`
    - `aseagi search --words 'motion to dismiss'`
    """
    use_stack(state)
    from sql.search import Filters

    filters = Filters(
        matter=matter,
        party=party,
        document_type=document_type,
        since=since.date() if since else None,
        until=until.date() if until else None,
    )
    run(_search(query, filters, limit, words=words, as_json=as_json))


async def _search(
    query: str, filters: "Filters", limit: int, *, words: bool, as_json: bool
) -> None:
    from blocks.database import Database
    from blocks.loading import load
    from sql.search import HIGHLIGHT_START, HIGHLIGHT_STOP, meant, search_pages, search_words
    from tasks.meaning import MODEL, embed

    database = await load(Database)
    async with database.connect() as db:
        hits = (
            await search_words(db, query, filters=filters, limit=limit)
            if words
            else await search_pages(
                db, query, embed(meant(query)), model=MODEL, filters=filters, limit=limit
            )
        )
    if as_json:
        marks = str.maketrans("", "", HIGHLIGHT_START + HIGHLIGHT_STOP)
        print_json([asdict(hit) | {"snippet": hit.snippet.translate(marks)} for hit in hits])
        return
    for hit in hits:
        console.print(
            Text(hit.title or hit.file_name, style="bold"),
            Text(f"page {hit.page}, {hit.matter or 'no matter'}, {hit.file_name}, "),
            Text(hit.document_id.hex[:8]),
        )
        line = Text("    ")
        for part in " ".join(hit.snippet.split()).split(HIGHLIGHT_START):
            found, mark, rest = part.rpartition(HIGHLIGHT_STOP)
            line.append(found, style="bold yellow" if mark else "")
            line.append(rest)
        console.print(line)
    if not hits:
        console.print("No page says that.")
