"""What people correct: rows of their own, laid over every analysis when it is stored.

A correction is

    in force --the same field is corrected again--> replaced
             --taken back-------------------------> undone

and keeps what would stand there without it (`previous`): what the analyst says of the field,
brought up to date by each analysis, so that taking a correction back shows what the newest
analysis found. `documents` holds what is in force: whoever reads it (search, export, dashboard,
Telegram) sees a person's word first.

Two may write at one moment, an analysis and a person. Both lock the document's row before they
read what the other may have written, so whoever is second sees the first: both survive. Rows are
locked in the order that `sql.leases` names, the document last. Correction, history and what
the document shows are one transaction: killed anywhere, all of it holds or none.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from schema.analysis import Analysis
from schema.corrections import CorrectedField, Said, Values, lay_over, of_analysis
from schema.failures import BadInput
from sql.connection import Connection, only_row


@dataclass(frozen=True, slots=True)
class Correction:
    """What a person said of one field, when, and whether it still holds."""

    field: str
    value: Any
    previous: Any
    """What would stand there without it."""
    said_by: str
    said_at: datetime
    ended_as: str | None
    ended_by: str | None
    ended_at: datetime | None

    @property
    def in_force(self) -> bool:
        """Whether the document shows it."""
        return self.ended_as is None


@dataclass(frozen=True, slots=True)
class _Standing:
    """What a document shows now."""

    analysis: dict[str, Any] | None
    document_type: str | None
    title: str | None
    document_date: str | None
    matter: str | None

    def says(self, field: CorrectedField) -> object:
        match field:
            case CorrectedField.TYPE:
                return self.document_type
            case CorrectedField.TITLE:
                return self.title
            case CorrectedField.DATE:
                return self.document_date
            case CorrectedField.PARTIES:
                return None if self.analysis is None else self.analysis["parties"]
            case CorrectedField.MATTER:
                return self.matter


async def correct(db: Connection, document_id: UUID, said: Said, *, by: str) -> int:
    """Let a document show what a person says; return how many fields that changed.

    Saying the same again changes nothing. Raises `BadInput` if the document is gone.
    """
    standing = await _lock(db, document_id)
    in_force = {one.field: one for one in await list_corrections(db, document_id) if one.in_force}
    changed: dict[CorrectedField, object] = {}
    for field, value in said.values.items():
        known = in_force.get(field)
        if known is not None and known.value == value:
            continue
        await _end(db, document_id, field, "replaced", by=by)
        await db.execute(
            """
            insert into aseagi.corrections (document_id, field, value, previous, said_by)
            values (%s, %s, %s, %s, %s)
            """,
            (
                document_id,
                field,
                Jsonb(value),
                Jsonb(known.previous if known else standing.says(field)),
                by,
            ),
        )
        changed[field] = value
    await _show(db, document_id, standing, changed)
    await _see(db, document_id, changed)
    return len(changed)


async def take_back(
    db: Connection, document_id: UUID, fields: Sequence[CorrectedField], *, by: str
) -> int:
    """Let a document show again what it would without these corrections; return how many ended.

    Raises `BadInput` if the document is gone.
    """
    standing = await _lock(db, document_id)
    in_force = {one.field: one for one in await list_corrections(db, document_id) if one.in_force}
    changed: dict[CorrectedField, object] = {}
    for field in fields:
        if (known := in_force.get(field)) is not None:
            await _end(db, document_id, field, "undone", by=by)
            changed[field] = known.previous
    await _show(db, document_id, standing, changed)
    return len(changed)


async def store_analysis(db: Connection, document_id: UUID, analysis: Analysis) -> None:
    """Store what an analyst found, with what people corrected laid over it. Commits nothing."""
    standing = await _lock(db, document_id)
    in_force = [one for one in await list_corrections(db, document_id) if one.in_force]
    for one in in_force:
        field = CorrectedField(one.field)
        if field is not CorrectedField.MATTER:
            await db.execute(
                """
                update aseagi.corrections set previous = %s
                where document_id = %s and field = %s and ended_as is null
                """,
                (Jsonb(of_analysis(analysis, field)), document_id, field),
            )
    values: Values = {CorrectedField(one.field): one.value for one in in_force}
    shown = lay_over(analysis, values)
    await _write(db, document_id, shown, matter=standing.matter)


async def analysis_of(db: Connection, document_id: UUID) -> Analysis | None:
    """The stored analysis as its analyst gave it, without what people corrected."""
    cursor = await db.execute("select analysis from aseagi.documents where id = %s", (document_id,))
    row = await cursor.fetchone()
    if row is None or row[0] is None:
        return None
    in_force = [one for one in await list_corrections(db, document_id) if one.in_force]
    before: Values = {CorrectedField(one.field): one.previous for one in in_force}
    return lay_over(Analysis.model_validate(row[0]), before)


async def list_corrections(db: Connection, document_id: UUID) -> list[Correction]:
    """All that people ever corrected in a document, oldest first."""
    async with db.cursor(row_factory=class_row(Correction)) as cursor:
        await cursor.execute(
            """
            select field, value, previous, said_by, said_at, ended_as, ended_by, ended_at
            from aseagi.corrections where document_id = %s order by id
            """,
            (document_id,),
        )
        return await cursor.fetchall()


async def carry_over(
    db: Connection, document_id: UUID, said: Said, *, by: str, at: datetime
) -> int:
    """Correct as somebody did elsewhere, then; only what nobody ever corrected here."""
    known = {one.field for one in await list_corrections(db, document_id)}
    new = Said.model_validate(
        {name: getattr(said, name) for name in said.model_fields_set if name not in known}
    )
    changed = await correct(db, document_id, new, by=by)
    await db.execute(
        """
        update aseagi.corrections set said_at = %s
        where document_id = %s and field = any(%s) and ended_as is null
        """,
        (at, document_id, sorted(new.model_fields_set)),
    )
    return changed


async def _lock(db: Connection, document_id: UUID) -> _Standing:
    async with db.cursor(row_factory=class_row(_Standing)) as cursor:
        await cursor.execute(
            """
            select analysis, document_type, title, document_date::text, matter
            from aseagi.documents where id = %s for no key update
            """,
            (document_id,),
        )
        found = await cursor.fetchone()
    if found is None:
        raise BadInput("The document is gone: it was deleted meanwhile.")
    return found


async def _end(
    db: Connection, document_id: UUID, field: CorrectedField, how: str, *, by: str
) -> None:
    await db.execute(
        """
        update aseagi.corrections set ended_as = %s, ended_by = %s, ended_at = now()
        where document_id = %s and field = %s and ended_as is null
        """,
        (how, by, document_id, field),
    )


async def _show(
    db: Connection, document_id: UUID, standing: _Standing, values: dict[CorrectedField, object]
) -> None:
    """Let a locked document show other values than it does."""
    if not values:
        return
    matter = values.get(CorrectedField.MATTER, standing.matter)
    if standing.analysis is not None:
        analysis = lay_over(Analysis.model_validate(standing.analysis), values)
        await _write(db, document_id, analysis, matter=matter)
    else:
        shown = {field: standing.says(field) for field in CorrectedField} | values
        await db.execute(
            """
            update aseagi.documents
            set document_type = %s, title = %s, document_date = %s::date, matter = %s
            where id = %s
            """,
            (
                shown[CorrectedField.TYPE],
                shown[CorrectedField.TITLE],
                shown[CorrectedField.DATE],
                matter,
                document_id,
            ),
        )


async def _see(db: Connection, document_id: UUID, fields: Collection[CorrectedField]) -> None:
    """Note of a reviewed document that a person knows these fields: their own word is no news."""
    await db.execute(
        """
        update aseagi.reviews review
        set document_type = case when %(type)s then document.document_type
                else review.document_type end,
            document_date = case when %(date)s then document.document_date
                else review.document_date end
        from aseagi.documents document
        where document.id = review.document_id and review.document_id = %(document)s
        """,
        {
            "document": document_id,
            "type": CorrectedField.TYPE in fields,
            "date": CorrectedField.DATE in fields,
        },
    )


async def _write(db: Connection, document_id: UUID, analysis: Analysis, *, matter: object) -> None:
    cursor = await db.execute(
        """
        update aseagi.documents set analysis = %s, title = %s, document_type = %s,
            document_date = %s, matter = %s
        where id = %s returning id
        """,
        (
            Jsonb(analysis.model_dump(mode="json")),
            analysis.title,
            analysis.type.value,
            analysis.document_date,
            matter,
            document_id,
        ),
    )
    await only_row(cursor)
