"""What became of a corpus, compared file by file with its truth."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from bench.corpus.truth import Entry, Inside, Truth, contents
from sql.connection import Connection


@dataclass(frozen=True, slots=True)
class FoundMember:
    """A file in a container, as the database has it."""

    name: str
    file_hash: str | None
    refused: str | None


@dataclass(frozen=True, slots=True)
class FoundDocument:
    """A document, as the database has it."""

    media_type: str
    status: str
    reason: str
    pages: int
    read: int
    """Pages whose text came from an engine."""
    unread: int
    text: str
    members: tuple[FoundMember, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """Every document by its hash; for every file of the inbox the hash it became."""

    documents: dict[str, FoundDocument]
    arrivals: dict[str, str | None]


@dataclass
class Tally:
    """How many files of one kind there were, and what became of them."""

    files: int = 0
    completed: int = 0
    failed: int = 0
    twins: int = 0
    wrong: int = 0


@dataclass
class Verdicts:
    """What came of the files, kind by kind, and each thing that is not as it should be."""

    by_kind: dict[str, Tally] = field(default_factory=dict[str, Tally])
    wrong: list[str] = field(default_factory=list[str])


def compare(entries: Sequence[Entry], found: Found) -> Verdicts:
    """Hold all that was found against the truth: nothing may be missing, nothing beyond."""
    verdicts = Verdicts()
    wrong_kinds: dict[str, list[str]] = {}
    expected = contents(entries)
    for digest, truth in expected.items():
        document = found.documents.get(digest)
        complaints = ["it is not there"] if document is None else list(_wrong(truth, document))
        wrong_kinds[digest] = complaints
        verdicts.wrong += [f"{truth.kind}: {complaint}" for complaint in complaints]
    for entry in entries:
        tally = verdicts.by_kind.setdefault(entry.truth.kind, Tally())
        complaints = list(wrong_kinds[entry.truth.sha256])
        became = found.arrivals.get(entry.path)
        if became != entry.truth.sha256:
            complaint = f"{entry.path} became {became or 'nothing'}"
            complaints.append(complaint)
            verdicts.wrong.append(complaint)
        _count(tally, entry, wrong=bool(complaints))
    inner = [truth for digest, truth in expected.items() if digest not in _top(entries)]
    for truth in inner:
        tally = verdicts.by_kind.setdefault("(in containers)", Tally())
        tally.files += 1
        bad = bool(wrong_kinds[truth.sha256])
        tally.wrong += bad
        tally.completed += not bad
    beyond = found.documents.keys() - expected.keys()
    verdicts.wrong += [
        f"{found.documents[digest].media_type} that nobody added" for digest in sorted(beyond)
    ]
    return verdicts


def _top(entries: Iterable[Entry]) -> set[str]:
    return {entry.truth.sha256 for entry in entries}


def _count(tally: Tally, entry: Entry, *, wrong: bool) -> None:
    tally.files += 1
    if wrong:
        tally.wrong += 1
    elif entry.twin_of is not None:
        tally.twins += 1
    elif entry.truth.failed is not None:
        tally.failed += 1
    else:
        tally.completed += 1


def _wrong(truth: Truth, found: FoundDocument) -> Iterator[str]:
    if truth.failed is not None:
        if found.status != "failed":
            yield f"should have failed and is {found.status}"
        elif not re.search(truth.failed, found.reason):
            yield f"failed, but not as expected ({truth.failed.name}): {found.reason}"
        return
    if found.status != "completed":
        yield f"is {found.status}: {found.reason}"
        return
    if found.media_type != truth.media_type:
        yield f"was taken for {found.media_type}"
    if found.pages != truth.pages:
        yield f"has {found.pages} pages, not {truth.pages}"
    if found.read != truth.to_read or found.unread:
        yield f"{found.read} pages were read, not {truth.to_read}; {found.unread} were not"
    for phrase in truth.says:
        if phrase not in found.text:
            yield f"does not say {phrase!r}"
    yield from _wrong_members(truth.members, found.members)


def _wrong_members(expected: Sequence[Inside], found: Sequence[FoundMember]) -> Iterator[str]:
    if len(expected) != len(found):
        yield f"{len(found)} files were found in it, not {len(expected)}"
        return
    for inside, member in zip(expected, found, strict=True):
        if member.name.startswith("/") or ".." in member.name.split("/"):
            yield f"{member.name} leads out of a folder"
        if member.name.rpartition("/")[2] != inside.name:
            yield f"{inside.name} is called {member.name}"
        if inside.truth is not None and member.file_hash != inside.truth.sha256:
            yield f"{inside.name} was not taken out as it is: {member.refused}"
        if inside.refused is not None and not re.search(inside.refused, member.refused or ""):
            yield f"{inside.name} should have been refused, not: {member.refused}"


async def found_in(db: Connection, inbox: str) -> Found:
    """All documents there are, and what the objects below `inbox` became."""
    members = await _members(db)
    cursor = await db.execute(
        """
        select document.id, document.file_hash, document.media_type, document.page_count,
            job.status, coalesce(job.error ->> 'reason', ''),
            count(page.number) filter (where page.source = 'ocr'),
            count(page.number) filter (where page.state <> 'done'),
            coalesce(string_agg(page.text, E'\\f' order by page.number)
                filter (where page.source <> 'ocr'), '')
        from aseagi.documents document
        join aseagi.processing_jobs job on job.document_id = document.id
        left join aseagi.pages page on page.document_id = document.id
        group by document.id, job.id
        """
    )
    documents = {
        row[1]: FoundDocument(
            media_type=row[2],
            pages=row[3],
            status=row[4],
            reason=row[5],
            read=row[6],
            unread=row[7],
            text=row[8],
            members=members.get(row[0], ()),
        )
        for row in await cursor.fetchall()
    }
    cursor = await db.execute(
        """
        select substr(arrival.key, length(%(inbox)s) + 1), document.file_hash
        from aseagi.arrivals arrival
        left join aseagi.documents document on document.id = arrival.document_id
        where starts_with(arrival.key, %(inbox)s)
        """,
        {"inbox": inbox},
    )
    return Found(documents, dict[str, str | None](await cursor.fetchall()))


async def _members(db: Connection) -> dict[UUID, tuple[FoundMember, ...]]:
    cursor = await db.execute("select to_regclass('aseagi.members') is not null")
    if not (await cursor.fetchone() or (False,))[0]:
        return {}
    cursor = await db.execute(
        "select parent_id, name, file_hash, refused from aseagi.members order by parent_id, number"
    )
    found: dict[UUID, list[FoundMember]] = {}
    rows: list[tuple[Any, ...]] = await cursor.fetchall()
    for parent, name, file_hash, refused in rows:
        found.setdefault(parent, []).append(FoundMember(name, file_hash, refused))
    return {parent: tuple(members) for parent, members in found.items()}
