"""Files in files: members of a ZIP and attachments of an e-mail become documents of their own.

A member is put into the inbox beside nothing else (`blocks.inbox`), under a key that follows
from its container's key, with where it comes from in its metadata: who brought the container,
how urgent it was, how deep it lies in how much else. Then it arrives like any other file, and
whoever reads that object later knows all of this. What it became is found by its content.

Limits hold for an outermost container with all that lies in it: what was taken out before is
counted before more is. Two members that are taken in at the same moment may each see room that
only one of them finds; a container's own limits bound that.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from blocks.bucket import Bucket
from blocks.inbox import Origin, Within, look_at_any, member_key, put_in_inbox
from schema.analysis import RULES, Analysis, DocumentType
from schema.failures import BadInput
from sql.arrivals import SeenObject, notice, tell_origin
from sql.connection import Connection
from sql.members import NewMember, insert_members, taken_out_of
from tasks.inspected import MAX_MEMBERS, MAX_MEMBERS_BYTES, Member, Room

LISTED = 100
"""Members that the summary of an archive names."""


@dataclass(frozen=True, slots=True)
class PutMember:
    """A member as it is kept, and the arrival it became, if it became one."""

    member: NewMember
    seen: SeenObject | None


async def room_for(db: Connection, origin: Origin) -> Room:
    """What may still be taken out of a file that came from there."""
    if origin.within is None:
        return Room()
    used = await taken_out_of(db, origin.within.root)
    return Room(
        depth=origin.within.depth,
        members=max(MAX_MEMBERS - used.members, 0),
        members_bytes=max(MAX_MEMBERS_BYTES - used.members_bytes, 0),
    )


def put_members(
    storage: Bucket,
    members: Sequence[Member],
    folder: Path,
    *,
    container_key: str,
    container_hash: str,
    origin: Origin,
) -> list[PutMember]:
    """Put a container's members into the inbox; blocking. Safe to repeat.

    Raises what boto3 does when the store is away. A member that cannot be put is refused.
    """
    return [
        _put(storage, member, folder, container_key, container_hash, origin) for member in members
    ]


def _put(
    storage: Bucket,
    member: Member,
    folder: Path,
    container_key: str,
    container_hash: str,
    origin: Origin,
) -> PutMember:
    if member.file is None:
        reason = member.refused or "It was not taken out."
        return PutMember(NewMember(member.name, member.size_bytes, None, reason), None)
    path = folder / member.file
    content = look_at_any(path)
    came_from = Origin(
        origin.source,
        origin.submitted_by,
        origin.lane,
        path=f"{origin.path or container_key.rpartition('/')[2]}/{member.name}",
        within=_within(container_hash, origin),
    )
    try:
        key = member_key(container_key, member.name)
        put = put_in_inbox(storage, path, key, content, came_from).stored
    except BadInput as error:
        return PutMember(NewMember(member.name, member.size_bytes, None, str(error)), None)
    finally:
        path.unlink()  # the next one needs the room
    return PutMember(
        NewMember(member.name, member.size_bytes, content.sha256, None),
        SeenObject(put.key, put.etag, put.size_bytes),
    )


def _within(container_hash: str, origin: Origin) -> Within:
    outer = origin.within
    return Within(1, container_hash) if outer is None else Within(outer.depth + 1, outer.root)


async def note_members(
    db: Connection,
    document_id: UUID,
    members: Sequence[PutMember],
    container_hash: str,
    origin: Origin,
) -> None:
    """Keep a container's list of members, and that they arrived. Commits nothing."""
    root = _within(container_hash, origin).root
    await insert_members(db, document_id, [one.member for one in members], root_hash=root)
    arrived = [one.seen for one in members if one.seen is not None]
    new = await notice(db, arrived, source=origin.source, lane=origin.lane)
    if new < len(arrived):  # the store was faster, and knows nothing of where they come from
        for seen in arrived:
            await tell_origin(db, seen, source=origin.source, lane=origin.lane)


def list_of(file_name: str, members: Sequence[Member]) -> Analysis:
    """All there is to say of an archive: what lies in it, and what was not taken out, and why."""
    files = "1 file" if len(members) == 1 else f"{len(members):,} files"
    refused = [member for member in members if member.refused is not None]
    lines = [f"An archive of {files}, each a document of its own:"]
    if refused:
        lines[0] = f"An archive of {files}, of which {len(refused):,} could not be taken out:"
    # What is missing matters most.
    shown = [*refused, *(member for member in members if member.refused is None)][:LISTED]
    lines += [f"{one.name}: {one.refused}" if one.refused else one.name for one in shown]
    if len(members) > LISTED:
        lines.append(f"and {len(members) - LISTED:,} more")
    return Analysis(
        analyst=f"{RULES}, which list its files",
        type=DocumentType.OTHER,
        title=f"Archive {file_name} ({files})",
        summary="\n".join(lines),
        language="und",
        confidence=1.0,
    )
