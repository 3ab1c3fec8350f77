"""`aseagi search`: find pages."""

from dataclasses import asdict
from typing import Annotated

import typer
from rich.text import Text

from cli.connection import use_stack
from cli.console import STATE_DIR, JsonOption, StateDirOption, console, print_json, run


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(search)


def search(
    query: Annotated[str, typer.Argument(help='Words, "quoted phrases", or, -without.')],
    matter: Annotated[str | None, typer.Option(help="Only this matter.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Pages to show.")] = 10,
    state: StateDirOption = STATE_DIR,
    as_json: JsonOption = False,
) -> None:
    """Find pages by their words, best first.

    **Examples**

    - `aseagi search 'motion to dismiss'`
    - `aseagi search '"breach of contract" -settlement' --matter smith-v-jones`
    """
    use_stack(state)
    run(_search(query, matter, limit, as_json=as_json))


async def _search(query: str, matter: str | None, limit: int, *, as_json: bool) -> None:
    from blocks.database import Database
    from blocks.loading import load
    from sql.search import HIGHLIGHT_START, HIGHLIGHT_STOP, search_pages

    database = await load(Database)
    async with database.connect() as db:
        hits = await search_pages(db, query, matter=matter, limit=limit)
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
