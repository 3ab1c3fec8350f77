"""Documents that were known elsewhere: what they arrived as, and what people said of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sql.connection import Connection


@dataclass(frozen=True, slots=True)
class PastArrival:
    """An arrival that another database knew."""

    key: str
    etag: str
    size_bytes: int
    arrived_at: datetime
    source: str
    submitted_by: str | None
    original_path: str | None
    note: str | None


async def known_hashes(db: Connection, file_hashes: Sequence[str]) -> dict[str, UUID]:
    """Which of these contents are documents here, and which."""
    cursor = await db.execute(
        "select file_hash, id from aseagi.documents where file_hash = any(%s)", (list(file_hashes),)
    )
    return {row[0]: row[1] for row in await cursor.fetchall()}


async def remember_arrivals(
    db: Connection, document_id: UUID, arrivals: Sequence[PastArrival]
) -> int:
    """Keep how a document arrived elsewhere; return how many were not known. Commits nothing.

    What is known here stays as it is.
    """
    added = 0
    for one in arrivals:
        cursor = await db.execute(
            """
            insert into aseagi.arrivals (key, etag, size_bytes, state, document_id, original_path,
                source, submitted_by, lane, noticed_at, settled_at, note)
            values (%s, %s, %s, 'ingested', %s, %s, %s, %s, 'bulk', %s, %s, %s)
            on conflict (key, etag, size_bytes) do nothing
            """,
            (
                one.key,
                one.etag,
                one.size_bytes,
                document_id,
                one.original_path,
                one.source,
                one.submitted_by,
                one.arrived_at,
                one.arrived_at,
                one.note,
            ),
        )
        added += cursor.rowcount
    return added


async def restore_name(
    db: Connection, document_id: UUID, *, instead_of: str, file_name: str, matter: str | None
) -> None:
    """Give a document the name and the matter it had, which no inbox takes. Commits nothing.

    Once, and only one that came under a name which begins with `instead_of`.
    """
    await db.execute(
        """
        update aseagi.documents set file_name = %(name)s, matter = coalesce(matter, %(matter)s)
        where id = %(document)s and %(name)s <> '' and file_name <> %(name)s
            and starts_with(file_name, %(instead_of)s)
        """,
        {
            "document": document_id,
            "name": file_name,
            "matter": matter,
            "instead_of": instead_of,
        },
    )


async def date_arrival(
    db: Connection, document_id: UUID, *, source: str, arrived_at: datetime, note: str | None
) -> None:
    """Let a document's arrival from `source` be as old as it is known to be. Commits nothing."""
    await db.execute(
        """
        update aseagi.arrivals
        set noticed_at = least(noticed_at, %s), note = coalesce(note, %s)
        where document_id = %s and source = %s
        """,
        (arrived_at, note, document_id, source),
    )


async def deleted_hashes(db: Connection, file_hashes: Sequence[str]) -> set[str]:
    """Which of these contents a person deleted here."""
    cursor = await db.execute(
        "select distinct file_hash from aseagi.deletions where file_hash = any(%s)",
        (list(file_hashes),),
    )
    return {row[0] for row in await cursor.fetchall()}
