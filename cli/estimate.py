"""`aseagi estimate`: what files will cost, before any is added."""

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer
from rich.box import SIMPLE_HEAD
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from cli.add import candidates_in
from cli.connection import use_stack
from cli.console import STATE_DIR, JsonOption, StateDirOption, console, print_json, run
from schema.failures import BadInput
from schema.lanes import Lane

if TYPE_CHECKING:
    from blocks.claude import Claude
    from blocks.database import Database
    from blocks.reading import Reading
    from blocks.spending import Spending
    from cli.readers import Basis
    from cli.uploading import Candidate
    from sql.connection import Connection
    from tasks.estimating import ClaudeCost, Document, ReadingCost
    from tasks.inspected import Room
    from tasks.inspector import Inspector

MANY_FILES = 20
"""From so many on a bar shows how far the look at them is."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(estimate)


def estimate(
    paths: Annotated[list[Path], typer.Argument(help="Files and folders.")],
    lane: Annotated[
        Lane, typer.Option(help="now and bulk: at once; nightly: Claude at half the price.")
    ] = Lane.BULK,
    state: StateDirOption = STATE_DIR,
    as_json: JsonOption = False,
) -> None:
    """Say what adding files and folders would cost; nothing is uploaded, rented or asked.

    Reading by OCR and questions to Claude: what is expected, and the most it can be. Files that
    cannot be taken in are named and not counted; what is known already costs nothing again.

    **Examples**

    - `aseagi estimate ~/cases/smith-v-jones`
    - `aseagi estimate --lane nightly ~/archive` — the night asks Claude at half the price
    """
    use_stack(state)
    candidates = list(candidates_in(paths))
    if not candidates:
        raise BadInput("There are no files in what was named.")
    found = run(_estimate(candidates, lane, quiet=as_json))
    if as_json:
        print_json(found.as_dict())
    else:
        _show(found)


# What the files are


@dataclass(frozen=True, slots=True)
class NotCounted:
    """A file that cannot be taken in, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Looked:
    """What the files are: documents by the digest of their content, and all others."""

    documents: "dict[str, Document]"
    twice: int = 0
    """Files whose content another one has too: it is one document."""
    not_counted: Sequence[NotCounted] = ()


_Found: TypeAlias = "tuple[str, Document] | NotCounted"
"""A document with its SHA-256, or why it is none."""


async def look_at(candidates: "Sequence[Candidate]", *, quiet: bool) -> Looked:
    """Inspect every file and what lies in it, with a bar if there are many."""
    from tasks.inspector import open_inspector

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    silent = quiet or len(candidates) < MANY_FILES
    documents: dict[str, Document] = {}
    twice, not_counted = 0, list[NotCounted]()
    bars = Progress(
        *columns, TimeRemainingColumn(), console=console, disable=silent, transient=True
    )
    async with open_inspector() as inspector:
        with bars as progress:
            bar = progress.add_task("looking at files", total=len(candidates))
            for candidate in candidates:
                for one in await _look_at(inspector, candidate):
                    if isinstance(one, NotCounted):
                        not_counted.append(one)
                    else:
                        digest, document = one
                        twice += digest in documents
                        documents.setdefault(digest, document)
                progress.advance(bar)
    return Looked(documents, twice, not_counted)


async def _look_at(inspector: "Inspector", candidate: "Candidate") -> "list[_Found]":
    from cli.uploading import shown
    from schema.files import MAX_BYTES
    from tasks.inspected import Room

    name = shown(candidate.path)
    if candidate.size_bytes > MAX_BYTES:
        return [NotCounted(name, f"The file is larger than {MAX_BYTES // 1024**3} GB.")]
    try:
        _ = candidate.key
        return await _look_in(inspector, candidate.path, name, Room())
    except BadInput as error:
        return [NotCounted(name, str(error))]
    except OSError as error:
        return [NotCounted(name, f"it cannot be read: {error.strerror}")]


async def _look_in(inspector: "Inspector", path: Path, name: str, room: "Room") -> "list[_Found]":
    """A file and whatever lies in it."""
    import anyio

    from tasks.estimating import document_of
    from tasks.inspected import Room

    with tempfile.TemporaryDirectory(prefix="aseagi-estimate-") as folder:
        inspection = await inspector.inspect(path, Path(folder), room)
        digest, size_bytes = await anyio.to_thread.run_sync(_content_of, path)
        found: list[_Found] = [(digest, document_of(name, inspection, size_bytes=size_bytes))]
        inside = Room(depth=room.depth + 1)
        for member in inspection.members:
            where = f"{name}/{member.name}"
            if member.file is None:
                found.append(NotCounted(where, member.refused or "It cannot be taken out."))
                continue
            try:
                found += await _look_in(inspector, Path(folder) / member.file, where, inside)
            except BadInput as error:
                found.append(NotCounted(where, str(error)))
    return found


def _content_of(path: Path) -> tuple[str, int]:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), file.tell()


# The estimate


@dataclass(frozen=True, slots=True)
class Asked:
    """What Claude costs in the lane that was named, and in the other way of asking."""

    model: str
    is_set_up: bool
    is_rehearsal: bool
    document_limit_dollars: Decimal
    here: "ClaudeCost"
    otherwise: "ClaudeCost"
    """In batches if `here` is not, at once if it is."""


@dataclass(frozen=True, slots=True)
class Left:
    """What may still be spent this month; None where Claude is not set up."""

    budget_dollars: Decimal
    claude_dollars: Decimal | None
    monthly_budget_dollars: Decimal
    monthly_claude_dollars: Decimal | None
    host_dollars: Decimal | None
    """What is set aside before a host is rented; None on a machine of one's own."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What adding the files would cost."""

    lane: Lane
    documents: "Sequence[Document]"
    looked: Looked
    known: int
    """Files that are documents of the house already."""
    reading: "ReadingCost"
    basis: "Basis"
    asked: Asked
    left: Left
    warnings: Sequence[str] = field(default_factory=list[str])

    @property
    def pages(self) -> int:
        """Of all documents."""
        return sum(len(document.pages) for document in self.documents)

    @property
    def claude(self) -> "ClaudeCost | None":
        """What Claude costs, if it will be asked."""
        return self.asked.here if self.asked.is_set_up else None

    @property
    def expected_dollars(self) -> Decimal:
        """Together."""
        return self.reading.dollars + (self.claude.expected_dollars if self.claude else 0)

    @property
    def most_dollars(self) -> Decimal:
        """Together."""
        return self.reading.most_dollars + (self.claude.most_dollars if self.claude else 0)

    def as_dict(self) -> dict[str, Any]:
        """For a script."""
        asked = self.asked
        batched, at_once = (
            (asked.here, asked.otherwise)
            if self.lane is Lane.NIGHTLY
            else (asked.otherwise, asked.here)
        )
        return {
            "lane": self.lane,
            "documents": len(self.documents),
            "pages": self.pages,
            "pages_to_read": self.reading.pages,
            "known_already": self.known,
            "there_twice": self.looked.twice,
            "not_counted": [asdict(one) for one in self.looked.not_counted],
            "reading": {
                "sessions": self.reading.sessions,
                "billed_seconds": round(self.reading.seconds, 1),
                "pages_per_second": round(self.basis.reader.pages_per_second, 3),
                "dollars_per_hour": self.basis.reader.dollars_per_hour,
                "expected_dollars": self.reading.dollars,
                "most_dollars": self.reading.most_dollars,
            },
            "claude": {
                "is_set_up": asked.is_set_up,
                "model": asked.model,
                "questions": asked.here.questions,
                "expected_dollars": asked.here.expected_dollars,
                "most_dollars": asked.here.most_dollars,
                "at_once_dollars": at_once.expected_dollars,
                "nightly_dollars": batched.expected_dollars,
                "too_dear": [
                    {
                        "path": one.document.name,
                        "expected_dollars": one.expected_dollars,
                        "needed_dollars": one.needed_dollars,
                    }
                    for one in asked.here.too_dear
                ],
            },
            "expected_dollars": self.expected_dollars,
            "most_dollars": self.most_dollars,
            "left_of_budget_dollars": self.left.budget_dollars,
            "left_for_claude_dollars": self.left.claude_dollars,
            "assumed": list(_assumptions(self)),
            "warnings": list(self.warnings),
        }


async def _estimate(candidates: "Sequence[Candidate]", lane: Lane, *, quiet: bool) -> Estimate:
    from blocks.claude import Claude
    from blocks.database import Database
    from blocks.loading import load, load_if_there
    from blocks.reading import Reading
    from blocks.spending import Spending
    from cli.readers import basis_of
    from tasks.estimating import reading_cost

    database, reading, spending = await load(Database), await load(Reading), await load(Spending)
    block = await load_if_there(Claude)
    async with database.connect() as db:
        basis = await basis_of(db, reading, spending)
        left = await _left(db, reading, spending, block)
    looked = await look_at(candidates, quiet=quiet)
    documents = await _new(database, looked)
    read = reading_cost(documents, basis.reader)
    asked = _asked(documents, block, lane)
    return Estimate(
        lane=lane,
        documents=documents,
        looked=looked,
        known=len(looked.documents) - len(documents),
        reading=read,
        basis=basis,
        asked=asked,
        left=left,
        warnings=list(warnings_of(read, asked, left)),
    )


async def _new(database: "Database", looked: Looked) -> "list[Document]":
    """The documents that are not known yet."""
    from sql.documents import find_by_hash

    async with database.connect() as db:
        return [
            document
            for digest, document in looked.documents.items()
            if await find_by_hash(db, digest) is None
        ]


def _asked(documents: "Sequence[Document]", block: "Claude | None", lane: Lane) -> Asked:
    from pydantic import SecretStr

    from blocks.claude import Claude
    from tasks.estimating import claude_cost

    claude = block or Claude(api_key=SecretStr(""))
    in_batch = lane is Lane.NIGHTLY
    return Asked(
        model=claude.model,
        is_set_up=block is not None,
        is_rehearsal=claude.is_rehearsal,
        document_limit_dollars=Decimal(str(claude.document_limit_dollars)),
        here=claude_cost(documents, claude, in_batch=in_batch),
        otherwise=claude_cost(documents, claude, in_batch=not in_batch),
    )


async def _left(
    db: "Connection", reading: "Reading", spending: "Spending", block: "Claude | None"
) -> Left:
    from sql.charges import committed_dollars
    from sql.claude import claude_dollars

    budget = Decimal(str(spending.monthly_budget_dollars))
    limit = Decimal(str(block.monthly_limit_dollars)) if block else None
    return Left(
        budget_dollars=max(budget - await committed_dollars(db), Decimal(0)),
        claude_dollars=None if limit is None else max(limit - await claude_dollars(db), Decimal(0)),
        monthly_budget_dollars=budget,
        monthly_claude_dollars=limit,
        host_dollars=Decimal(str(spending.max_dollars_per_host)) if reading.rents else None,
    )


def warnings_of(reading: "ReadingCost", asked: Asked, left: Left) -> Iterator[str]:
    """What the money that is left does not pay for."""
    claude = asked.here.expected_dollars if asked.is_set_up else Decimal(0)
    together = reading.dollars + claude
    if together > left.budget_dollars:
        yield (
            f"{dollars(together)} are expected, and {dollars(left.budget_dollars)} are left of "
            "this month's budget: the rest waits until next month, or until "
            "monthly_budget_dollars in the block aseagi-spending/aseagi is raised."
        )
    elif reading.pages and left.host_dollars and left.host_dollars > left.budget_dollars:
        yield (
            f"No host is rented: {dollars(left.host_dollars)} are set aside for each, and "
            f"{dollars(left.budget_dollars)} are left of this month's budget. Raise "
            "monthly_budget_dollars in the block aseagi-spending/aseagi, or lower "
            "max_dollars_per_host."
        )
    if left.claude_dollars is not None and claude > left.claude_dollars:
        yield (
            f"{dollars(claude)} are expected for Claude, and {dollars(left.claude_dollars)} are "
            "left of its monthly limit: the rest waits until next month, or until "
            "monthly_limit_dollars in the block aseagi-claude/aseagi is raised."
        )


# What people see


def dollars(amount: Decimal) -> str:
    """Cents from a dollar on, else to a hundredth of a cent."""
    return f"${amount:,.2f}" if abs(amount) >= 1 or not amount else f"${amount:.4f}"


def count(number: int, what: str) -> str:
    """A number and what it counts."""
    return f"{number:,} {what if number == 1 else f'{what}s'}"


def _show(found: Estimate) -> None:
    for one in found.looked.not_counted:
        console.print(f"not counted: {one.path}: {one.reason}", markup=False, soft_wrap=True)
    if found.known:
        console.print(f"{count(found.known, 'document')} known already: nothing is paid again")
    if found.looked.twice:
        console.print(f"{count(found.looked.twice, 'file')} not counted: another has the content")
    console.print(_table(found))
    if found.asked.is_set_up:
        _show_too_dear(found)
    else:
        _show_without_claude(found)
    console.print(_left_line(found.left))
    for warning in found.warnings:
        console.print(Text(f"WARNING: {warning}", style="bold red"), soft_wrap=True)
    assumed = "; ".join(_assumptions(found))
    console.print(Text(f"Assumed: {assumed}.", style="dim"), soft_wrap=True)


def _table(found: Estimate) -> Table:
    claude, reading = found.claude, found.reading
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("", no_wrap=True)
    table.add_column("how much", overflow="fold")
    for column in ("expected", "at most"):
        table.add_column(column, justify="right", no_wrap=True)
    if claude is not None:
        other = "at once instead" if found.lane is Lane.NIGHTLY else "in the nightly lane"
        table.add_column(other, justify="right", no_wrap=True)
    where = f" in {count(reading.sessions, 'session')}" if reading.sessions else ""
    otherwise = found.asked.otherwise.expected_dollars
    rows = [
        (
            "reading",
            f"{reading.pages:,} of {count(found.pages, 'page')}{where}",
            reading.dollars,
            reading.most_dollars,
            reading.dollars,
        )
    ]
    if claude is not None:
        rehearsal = ", a rehearsal" if found.asked.is_rehearsal else ""
        rows.append(
            (
                "Claude",
                f"{count(claude.questions, 'question')} to {found.asked.model}{rehearsal}",
                claude.expected_dollars,
                claude.most_dollars,
                otherwise,
            )
        )
    rows.append(
        (
            "together",
            f"{count(len(found.documents), 'document')}, {count(found.pages, 'page')}",
            found.expected_dollars,
            found.most_dollars,
            reading.dollars + otherwise,
        )
    )
    for name, how_much, *amounts in rows:
        shown = [dollars(amount) for amount in amounts]
        table.add_row(name, Text(how_much), *shown[: len(table.columns) - 2])
    return table


def _show_too_dear(found: Estimate) -> None:
    limit = found.asked.document_limit_dollars
    for one in found.asked.here.too_dear:
        console.print(
            f"too dear: {one.document.name}: {count(len(one.document.pages), 'page')}, "
            f"{dollars(one.expected_dollars)} expected; with what is set aside for a question it "
            f"needs {dollars(one.needed_dollars)}, and one document may cost {dollars(limit)}: "
            "document_limit_dollars in the block aseagi-claude/aseagi",
            markup=False,
            soft_wrap=True,
        )


def _show_without_claude(found: Estimate) -> None:
    asked = found.asked
    console.print("Claude is not set up: the rules analyse, for nothing.")
    other = "at once" if found.lane is Lane.NIGHTLY else "in the nightly lane"
    told = (
        f"{asked.model} would be asked {count(asked.here.questions, 'question')}: "
        f"{dollars(asked.here.expected_dollars)} expected, {dollars(asked.here.most_dollars)} at "
        f"most, {dollars(asked.otherwise.expected_dollars)} {other}"
    )
    console.print(Text(told, style="dim"), soft_wrap=True)


def _left_line(left: Left) -> str:
    line = (
        f"left this month: {dollars(left.budget_dollars)} of the budget of "
        f"{dollars(left.monthly_budget_dollars)}"
    )
    if left.claude_dollars is None or left.monthly_claude_dollars is None:
        return line
    return (
        f"{line}; for Claude {dollars(left.claude_dollars)} of "
        f"{dollars(left.monthly_claude_dollars)}"
    )


def _assumptions(found: Estimate) -> Iterator[str]:
    from tasks.estimating import ASSUMED_CHARACTERS, PAGE_TOKENS, PART_TOKENS

    yield found.basis.told
    yield f"{ASSUMED_CHARACTERS:,} characters on a page that must be read"
    yield f"answers of {PART_TOKENS} tokens and {PAGE_TOKENS} a page"
    yield "each question is asked once, with nothing from Claude's cache"
    yield "at most, a session costs all that it may, and an answer is as long as is allowed"
