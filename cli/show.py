"""`aseagi show` and `aseagi retry`: one document, and another try."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer
from rich.text import Text

from cli.connection import use_stack
from cli.console import STATE_DIR, JsonOption, StateDirOption, console, print_json, run
from schema.failures import BadInput, Failure

if TYPE_CHECKING:
    from schema.analysis import Analysis, Quoted
    from sql.connection import Connection
    from sql.documents import DocumentRow, PageRow
    from sql.members import ContainerRow, MemberRow

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="Id, or its first characters.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(show)
    app.command()(retry)


def show(
    document: IdArgument,
    text: Annotated[bool, typer.Option("--text", help="Print the text of every page.")] = False,
    pdf: Annotated[
        Path | None, typer.Option(help="Write the document here as a searchable PDF.")
    ] = None,
    state: StateDirOption = STATE_DIR,
    as_json: JsonOption = False,
) -> None:
    """Show a document: what it is, who and what is in it, how it was read.

    With --pdf, write it as a PDF instead: its pages as they are, and behind them the words that
    were read, to be searched, marked and copied.

    **Example:** `aseagi show 3f2a9c41 --text`, or `aseagi show 3f2a9c41 --pdf deed.pdf`
    """
    use_stack(state)
    if pdf is not None:
        note = run(_write_pdf(document, pdf))
        if as_json:
            print_json({"file": pdf, "note": note})
        else:
            console.print(f"{pdf}: {note}", markup=False, soft_wrap=True)
        return
    run(_show(document, with_text=text, as_json=as_json))


def retry(
    document: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="One document; all that failed if empty.")
    ] = None,
    state: StateDirOption = STATE_DIR,
) -> None:
    """Try failed documents, pages and arrivals again; ask Claude again for what an analysis lacks.

    That is, where asking again can help: answers that were lost, or an API that was away. What
    Claude declined it would decline again; `aseagi analyse` asks all the same.

    **Example:** `aseagi retry`, or `aseagi retry 3f2a9c41`
    """
    use_stack(state)
    jobs, arrivals = run(_retry(document))
    console.print(f"{jobs} documents and {arrivals} arrivals wait again")


async def find(db: "Connection", prefix: str) -> UUID:
    """The document whose id begins so; raises `BadInput` if none or several do."""
    from sql.documents import find_by_prefix

    found = await find_by_prefix(db, prefix)
    if not found:
        raise BadInput(f"No document's id begins with {prefix!r}; `aseagi status --documents`.")
    if len(found) > 1:
        raise BadInput(f"Several documents' ids begin with {prefix!r}; give more of it.")
    return found[0]


async def _retry(prefix: str | None) -> tuple[int, int]:
    from blocks.database import Database
    from blocks.loading import load
    from blocks.reading import Reading
    from blocks.spending import Spending
    from sql.arrivals import retry_arrivals
    from sql.jobs import retry_jobs
    from tasks.dispatch import dispatch
    from tasks.starting import start_unless_about_to

    database, reading, spending = await load(Database), await load(Reading), await load(Spending)
    async with database.connect() as db:
        document_id = await find(db, prefix) if prefix else None
        jobs = await retry_jobs(db, document_id=document_id)
        arrivals = await retry_arrivals(db) if document_id is None else 0
    await dispatch(database, reading, spending)
    if jobs:
        await start_unless_about_to("analyse/analyse")
    if arrivals:
        await start_unless_about_to("ingest/ingest")
    return jobs, arrivals


async def _write_pdf(prefix: str, file: Path) -> str:
    """Fetch the searchable PDF, made now if there is none; returns what it is."""
    import anyio

    from blocks.database import Database
    from blocks.loading import load
    from blocks.object_storage import ObjectStorage
    from sql.documents import list_documents
    from tasks.publishing.searchable import Source, make_searchable, note_on
    from tasks.publishing.workshop import Workshop

    database, storage = await load(Database), await load(ObjectStorage)
    async with database.connect() as db:
        (row,) = await list_documents(db, ids=[await find(db, prefix)])
    source = Source(row.id, row.media_type, row.s3_processed_path)
    with console.status("making the searchable PDF"):
        async with Workshop() as workshop:
            made = await make_searchable(database, storage, workshop, source)
        unfinished = file.with_name(f"{file.name}.unfinished")
        file.parent.mkdir(parents=True, exist_ok=True)
        await anyio.to_thread.run_sync(
            storage.client().download_file, storage.bucket, made.key, str(unfinished)
        )
        unfinished.replace(file)
    return note_on(made)


async def _show(prefix: str, *, with_text: bool, as_json: bool) -> None:
    from blocks.database import Database
    from blocks.loading import load
    from cli.correct import correction_dict, corrections_table
    from cli.tables import document_dict, document_table
    from schema.analysis import Analysis
    from sql.corrections import list_corrections
    from sql.deletions import list_deletions
    from sql.documents import list_documents, list_pages
    from sql.members import list_containers, list_members
    from sql.reviews import review_of

    database = await load(Database)
    async with database.connect() as db:
        document_id = await find(db, prefix)
        (row,) = await list_documents(db, ids=[document_id])
        pages = await list_pages(db, document_id)
        corrections = await list_corrections(db, document_id)
        review = await review_of(db, document_id)
        deleted = await list_deletions(db, file_hash=row.file_hash)
        members = await list_members(db, document_id)
        containers = await list_containers(db, document_id)
    if as_json:
        shown = [
            {
                "number": page.number,
                "state": page.state,
                "source": page.source,
                "engine": page.engine,
                "confidence": page.confidence,
                "rotation_degrees": page.rotation_degrees,
                "is_blank": page.is_blank,
                "error": page.error,
                **({"text": page.text} if with_text else {}),
            }
            for page in pages
        ]
        print_json(
            {
                **document_dict(row),
                "analysis": row.analysis,
                "corrections": [correction_dict(one) for one in corrections],
                "reviewed": asdict(review) if review else None,
                "pages": shown,
                "containers": [asdict(one) for one in containers],
                "members": [asdict(one) for one in members],
            }
        )
        return
    console.print(document_table([row]))
    console.print(f"sha-256  {row.file_hash}")
    if row.original_path:
        console.print(f"came as  {row.original_path}", markup=False)
    for container in containers:
        console.print(_container_line(container), soft_wrap=True)
    if row.notes:
        console.print(f"note     {row.notes}", markup=False)
    if deleted:
        told = f"deleted {deleted[0].asked_at:%Y-%m-%d %H:%M} UTC by {deleted[0].asked_by}"
        console.print(f"before   {told}, and came again since", markup=False)
    if review:
        said = f": {review.note}" if review.note else ""
        when = f"{review.reviewed_at:%Y-%m-%d %H:%M} UTC"
        console.print(f"reviewed {when} by {review.reviewed_by}{said}", markup=False)
    if in_force := [one for one in corrections if one.in_force]:
        console.print(corrections_table(in_force))
    for member in members:
        console.print(_member_line(member), soft_wrap=True)
    if row.analysis is not None:
        print_analysis(Analysis.model_validate(row.analysis))
    if lacks := what_lacks(row):
        console.print(Text(lacks, style="yellow"))
    _show_pages(pages, with_text=with_text)


def _show_pages(pages: "Sequence[PageRow]", *, with_text: bool) -> None:
    for page in pages:
        console.print(f"[bold]page {page.number}[/bold]: {page_line(page)}")
        if page.error is not None:
            console.print(Text(f"    {page.error['reason']}"))
        if with_text and page.text:
            console.print(Text(page.text))


def page_line(page: "PageRow") -> str:
    """Where a page stands, and what is to be said of how it was read."""
    return f"{page.state} {page.engine or page.source or ''}{_remarks(page)}".rstrip()


def _remarks(page: "PageRow") -> str:
    if page.is_blank:
        return ", blank"
    turned = f", turned by {page.rotation_degrees}°" if page.rotation_degrees else ""
    sure = f", confidence {page.confidence:.2f}" if page.confidence is not None else ""
    no_text = ", no text on it" if page.text == "" else ""
    return f"{turned}{sure}{no_text}"


def _container_line(container: "ContainerRow") -> Text:
    inside = f"{container.file_name} ({container.document_id.hex[:8]})"
    return Text(f"part of  {inside}, as {container.name}")


def _member_line(member: "MemberRow") -> Text:
    if member.refused is not None:
        return Text(f"holds    {member.name}: {member.refused}", style="yellow")
    if member.document_id is None:
        return Text(f"holds    {member.name} (arriving, or deleted)")
    return Text(f"holds    {member.name} ({member.document_id.hex[:8]}, {member.status})")


def what_lacks(row: "DocumentRow") -> str | None:
    """What Claude was asked for and a document's analysis does not have, with the way out."""
    if row.analysis_failure is None or row.analysis is None:
        return None
    from schema.analysis import Analysis

    failure = Failure.model_validate(row.analysis_failure)
    by_rules = Analysis.model_validate(row.analysis).is_by_rules
    instead = " The rules answered instead." if by_rules else ""
    again = f" `aseagi retry {row.id.hex[:8]}` asks again." if failure.retry_helps else ""
    return f"{failure.reason}{instead}{again}"


def print_analysis(analysis: "Analysis") -> None:
    """Print what a lawyer asks first: which case, who, how much, what is due, what happened."""
    a = analysis
    _line("subtype", a.subtype)
    _line("court", a.court)
    _line("case", a.case_number)
    _line("filed", a.filing_date)
    _line("served", a.service_date)
    _line("handle with care", ", ".join(flag.value for flag in a.sensitivity))
    console.print(Text(a.summary))
    for party in a.parties:
        console.print(Text(f"  {party.role}: {party.name}"))
    parties = {party.name for party in a.parties}
    for other in (*a.people, *a.organisations):
        if other.name not in parties:
            console.print(Text(f"  {other.role or 'named'}: {other.name}"))
    for amount in a.amounts:
        console.print(
            Text(f"  {amount.currency} {amount.value:,} {amount.what} (page {amount.page})")
        )
    if a.obligations:
        console.print("[bold]must be done[/bold]")
    for one in a.obligations:
        when = one.due or one.deadline or "no date"
        _quoted(f"{when}: {f'{one.who}: ' if one.who else ''}{one.what}", one)
    if a.timeline:
        console.print("[bold]timeline[/bold]")
    for entry in a.timeline:
        _quoted(f"{entry.on}: {entry.what}", entry)
    if a.key_facts:
        console.print("[bold]key facts[/bold]")
    for fact in a.key_facts:
        _quoted(fact.fact, fact)
    console.print(Text(f"  by {a.analyst}, confidence {a.confidence:.2f}", style="dim"))


def _line(label: str, value: object) -> None:
    if value:
        console.print(Text(f"{label}: {value}"))


def _quoted(line: str, said: "Quoted") -> None:
    """A statement with its page; one whose quote the page does not hold says so."""
    shown = Text(f"  {line} (page {said.page})")
    if said.quote and not said.supported:
        shown.append(f"  quote not found on the page: {said.quote!r}", style="red")
    console.print(shown)
