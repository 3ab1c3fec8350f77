"""Where documents came from: a row for each time one arrived, as exports carry it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import class_row

from sql.connection import Connection


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """One arrival of a document."""

    file_hash: str
    file_name: str
    matter: str | None
    original_path: str | None
    arrived_at: datetime
    key: str
    etag: str | None
    size_bytes: int
    media_type: str
    source: str
    submitted_by: str | None
    note: str | None
    parent: str | None
    """The SHA-256 of the container it came in (a ZIP, an e-mail), if it came in one."""
    document_id: UUID
    corrections: Sequence[dict[str, Any]]
    """What people corrected and still holds: field, value, what would stand there, by, at."""


async def manifest_rows(
    db: Connection,
    *,
    matter: str | None = None,
    ids: Sequence[UUID] | None = None,
) -> list[ManifestRow]:
    """Each arrival of each document, in the order they came; of all documents unless narrowed.

    A document without an arrival on record has a row too.
    """
    async with db.cursor(row_factory=class_row(ManifestRow)) as cursor:
        await cursor.execute(
            """
            select document.file_hash, document.file_name, document.matter,
                arrival.original_path,
                coalesce(arrival.noticed_at, document.created_at) as arrived_at,
                coalesce(arrival.key, document.s3_raw_path) as key, arrival.etag,
                document.size_bytes, document.media_type,
                coalesce(arrival.source, 'unknown') as source, arrival.submitted_by,
                arrival.note, (
                    select container.file_hash from aseagi.members member
                    join aseagi.documents container on container.id = member.parent_id
                    where member.file_hash = document.file_hash
                    order by container.created_at, container.id limit 1) as parent,
                document.id as document_id,
                coalesce((
                    select jsonb_agg(jsonb_build_object('field', field, 'value', value,
                        'previous', previous, 'by', said_by, 'at', said_at) order by id)
                    from aseagi.corrections
                    where document_id = document.id and ended_as is null), '[]') as corrections
            from aseagi.documents document
            left join aseagi.arrivals arrival on arrival.document_id = document.id
            where (%(matter)s::text is null or document.matter = %(matter)s)
                and (%(ids)s::uuid[] is null or document.id = any(%(ids)s))
            order by document.created_at, document.id, arrival.noticed_at, arrival.key
            """,
            {"matter": matter, "ids": list(ids) if ids is not None else None},
        )
        return await cursor.fetchall()
