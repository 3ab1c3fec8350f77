"""Who may upload: a name and the hash of a token. A revoked or expired one is nobody."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from psycopg.rows import class_row

from sql.connection import Connection


@dataclass(frozen=True, slots=True)
class ApiClient:
    """A client whose token is valid now."""

    id: UUID
    name: str


@dataclass(frozen=True, slots=True)
class ListedClient:
    """A client as a person sees it."""

    name: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    uploads: int


async def find_client(db: Connection, token_hash: bytes) -> ApiClient | None:
    """Whose token this is; None if it is nobody's now. Notes, by the minute, that it was used."""
    async with db.cursor(row_factory=class_row(ApiClient)) as cursor:
        await cursor.execute(
            """
            select id, name from aseagi.api_clients
            where token_hash = %s and revoked_at is null
                and (expires_at is null or expires_at > now())
            """,
            (token_hash,),
        )
        found = await cursor.fetchone()
    if found is not None:
        await db.execute(
            """
            update aseagi.api_clients set last_used_at = now()
            where id in (
                select id from aseagi.api_clients where id = %s
                    and (last_used_at is null or last_used_at < now() - interval '1 minute')
                for update skip locked
            )
            """,
            (found.id,),
        )
    return found


async def add_client(
    db: Connection, name: str, token_hash: bytes, *, lifetime: timedelta | None = None
) -> None:
    """Let a client in, for so long or until it is revoked. Several may share a name."""
    await db.execute(
        """
        insert into aseagi.api_clients (name, token_hash, expires_at)
        values (%s, %s, now() + %s::interval)
        """,
        (name, token_hash, lifetime),
    )


async def forget_token(db: Connection, token_hash: bytes) -> None:
    """End a token that was made for one command, and forget it."""
    await db.execute("delete from aseagi.api_clients where token_hash = %s", (token_hash,))


async def revoke_client(db: Connection, name: str) -> bool:
    """End every token of that name; whether there was a valid one."""
    cursor = await db.execute(
        """
        update aseagi.api_clients set revoked_at = now()
        where name = %s and revoked_at is null and (expires_at is null or expires_at > now())
        """,
        (name,),
    )
    return cursor.rowcount > 0


async def list_clients(db: Connection) -> list[ListedClient]:
    """Every client, the valid ones first, with how many files came under its name."""
    async with db.cursor(row_factory=class_row(ListedClient)) as cursor:
        await cursor.execute(
            """
            select name, created_at, expires_at, revoked_at, last_used_at,
                (select count(*) from aseagi.arrivals
                    where source = 'upload' and submitted_by = client.name) as uploads
            from aseagi.api_clients client order by revoked_at is not null, created_at desc
            """
        )
        return await cursor.fetchall()
