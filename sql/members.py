"""Members: what lay in a container, and which documents those files became."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from psycopg.rows import class_row

from sql.connection import Connection, only_row


@dataclass(frozen=True, slots=True)
class NewMember:
    """A file in a container: with its hash if it was taken out, else with the reason."""

    name: str
    size_bytes: int
    file_hash: str | None
    refused: str | None


async def insert_members(
    db: Connection, parent_id: UUID, members: Sequence[NewMember], *, root_hash: str
) -> None:
    """Keep what lay in a container, in its order. Commits nothing."""
    if not members:
        return
    await db.execute(
        """
        insert into aseagi.members
            (parent_id, number, name, size_bytes, file_hash, refused, root_hash)
        select %s, number, name, size_bytes, file_hash, refused, %s
        from unnest(%s::integer[], %s::text[], %s::bigint[], %s::text[], %s::text[])
            as member (number, name, size_bytes, file_hash, refused)
        """,
        (
            parent_id,
            root_hash,
            list(range(1, len(members) + 1)),
            [member.name for member in members],
            [member.size_bytes for member in members],
            [member.file_hash for member in members],
            [member.refused for member in members],
        ),
    )


async def forget_members(db: Connection, parent_id: UUID, *, fewer_than: int) -> bool:
    """Drop a container's list if fewer files than that were taken out, for a better one.

    Commits nothing; call it with the container's job locked. Returns whether it was dropped.
    """
    cursor = await db.execute(
        """
        delete from aseagi.members where parent_id = %(parent)s and %(taken)s > (
            select count(file_hash) from aseagi.members where parent_id = %(parent)s)
        """,
        {"parent": parent_id, "taken": fewer_than},
    )
    return cursor.rowcount > 0


@dataclass(frozen=True, slots=True)
class TakenOut:
    """How much was taken out of an outermost container and all that lay in it."""

    members: int
    members_bytes: int


async def taken_out_of(db: Connection, root_hash: str) -> TakenOut:
    """Count what was taken out so far."""
    async with db.cursor(row_factory=class_row(TakenOut)) as cursor:
        await cursor.execute(
            """
            select count(*) as members, coalesce(sum(size_bytes), 0)::bigint as members_bytes
            from aseagi.members where root_hash = %s and file_hash is not null
            """,
            (root_hash,),
        )
        return await only_row(cursor)


@dataclass(frozen=True, slots=True)
class MemberRow:
    """A file in a container, and the document it became, if it is one by now."""

    number: int
    name: str
    size_bytes: int
    refused: str | None
    document_id: UUID | None
    status: str | None


async def list_members(db: Connection, parent_id: UUID) -> list[MemberRow]:
    """What lay in a container, in its order."""
    async with db.cursor(row_factory=class_row(MemberRow)) as cursor:
        await cursor.execute(
            """
            select member.number, member.name, member.size_bytes, member.refused,
                document.id as document_id, job.status
            from aseagi.members member
            left join aseagi.documents document on document.file_hash = member.file_hash
            left join aseagi.processing_jobs job on job.document_id = document.id
            where member.parent_id = %s order by member.number
            """,
            (parent_id,),
        )
        return await cursor.fetchall()


@dataclass(frozen=True, slots=True)
class ContainerRow:
    """A container that a document lay in, and what the document was called there."""

    document_id: UUID
    file_name: str
    name: str


async def list_containers(db: Connection, document_id: UUID) -> list[ContainerRow]:
    """The containers that a document lay in, the first to come first."""
    async with db.cursor(row_factory=class_row(ContainerRow)) as cursor:
        await cursor.execute(
            """
            select parent.id as document_id, parent.file_name, member.name
            from aseagi.documents document
            join aseagi.members member on member.file_hash = document.file_hash
            join aseagi.documents parent on parent.id = member.parent_id
            where document.id = %s order by parent.created_at, parent.id, member.number
            """,
            (document_id,),
        )
        return await cursor.fetchall()


@dataclass(frozen=True, slots=True)
class LeftBehind:
    """What stays, in files and of files, when documents go."""

    members: int
    """Documents that lay in them."""
    containers: Sequence[str]
    """Names of what they lie in, and stay in."""


async def left_behind(db: Connection, document_ids: Sequence[UUID]) -> LeftBehind:
    """What would stay of containers and members if just these documents went."""
    async with db.cursor(row_factory=class_row(LeftBehind)) as cursor:
        await cursor.execute(
            """
            with tied as (
                select parent.id as parent_id, parent.file_name, document.id as document_id
                from aseagi.members member
                join aseagi.documents document on document.file_hash = member.file_hash
                join aseagi.documents parent on parent.id = member.parent_id
                where document.id = any(%(ids)s) <> (parent.id = any(%(ids)s))
            )
            select count(distinct document_id) filter (where parent_id = any(%(ids)s)) as members,
                coalesce(array_agg(distinct file_name) filter (
                    where document_id = any(%(ids)s)), '{}') as containers
            from tied
            """,
            {"ids": list(document_ids)},
        )
        return await only_row(cursor)
