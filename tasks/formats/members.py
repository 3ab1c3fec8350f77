"""Files taken out of a container, within what is allowed: counted while they are written.

What a container says of itself is not believed: neither how large its files are, nor
where they belong. They are written under numbers of ours; their names are only told.
"""

import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from tasks.inspected import MAX_DEPTH, Member, Room

MAX_RATIO = 200
"""How many times larger than packed a file may be."""

RATIO_COUNTS_FROM_BYTES = 16 * 1024**2
"""Smaller files may be packed as well as they can."""

LONGEST_NAME = 120
"""Characters of one folder's or file's name."""

MOST_FOLDERS = 12

TOO_DEEP = f"It lies in more than {MAX_DEPTH} containers; add it as a file of its own."
NO_ROOM = "The container holds more files than are taken out of one."
_LEFT_OUT = frozenset({".ds_store", "thumbs.db", "desktop.ini", "ehthumbs.db"})
_UNPRINTABLE = re.compile(r"[^\S ]|[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_DRIVE = re.compile(r"[A-Za-z]:")


class Unpacking:
    """A folder that members are written into. One use: one container."""

    def __init__(self, folder: Path | None, room: Room) -> None:
        self._folder = folder
        self._left = room.members
        self._bytes_left = room.members_bytes
        self._depth = room.depth
        self._is_full = False
        self._more = 0
        self.members: list[Member] = []

    @property
    def is_too_deep(self) -> bool:
        """Whether nothing is taken out of this container any more."""
        return self._depth >= MAX_DEPTH

    def refuse(self, name: str, reason: str, *, size_bytes: int = 0) -> None:
        """Tell of a member that is not taken out."""
        if self._is_full:
            return self._count_one_more()
        named = safe_name(name, number=len(self.members) + 1)
        self.members.append(Member(name=named, size_bytes=size_bytes, refused=reason))
        return None

    def _count_one_more(self) -> None:
        """Tell of what follows the first for which there is no room as one: it may be very much."""
        if self._more:
            self.members.pop()
        self._more += 1
        files = "file" if self._more == 1 else "files"
        self.members.append(
            Member(name=f"and {self._more:,} more {files}", size_bytes=0, refused=NO_ROOM)
        )

    def take(self, name: str, chunks: Iterable[bytes], *, packed_bytes: int | None = None) -> None:
        """Write a member's bytes; refused when they are more than may be.

        `packed_bytes` is what they take in the container, where that packs. What goes wrong
        while they are read is raised; nothing of the member is left then.
        """
        number = len(self.members) + 1
        if self.is_too_deep:
            return self.refuse(name, TOO_DEEP)
        if self._folder is None:
            return self.refuse(name, "Nothing is taken out of what is only looked at.")
        if self._left == 0:
            self.refuse(name, NO_ROOM)
            self._is_full = True
            return None
        file = self._folder / f"{number:05}"
        size = 0
        try:
            with file.open("wb") as out:
                for chunk in chunks:
                    size += len(chunk)
                    if refusal := self._too_much(size, packed_bytes):
                        file.unlink()
                        return self.refuse(name, refusal)
                    out.write(chunk)
        except BaseException:
            file.unlink(missing_ok=True)
            raise
        self._left -= 1
        self._bytes_left -= size
        named = safe_name(name, number=number)
        self.members.append(Member(name=named, size_bytes=size, file=file.name))
        return None

    def _too_much(self, size: int, packed_bytes: int | None) -> str | None:
        if size > self._bytes_left:
            return "Unpacked, the container's files are larger together than can be taken in."
        counts = packed_bytes is not None and size > RATIO_COUNTS_FROM_BYTES
        if counts and size > MAX_RATIO * max(packed_bytes or 0, 1):
            return f"It is packed to less than a {MAX_RATIO}th of its size, as no document is."
        return None


def is_left_out(name: str) -> bool:
    """Whether a member is what systems leave in folders, not what a person put there."""
    parts = [part for part in re.split(r"[/\\]", name) if part]
    return not parts or "__MACOSX" in parts or parts[-1].lower() in _LEFT_OUT


def safe_name(name: str, *, number: int) -> str:
    """A member's path below its container: relative, printable, of bounded length, never empty.

    Whatever would lead out of a folder is dropped: `..`, drives, leading slashes.
    """
    name = _UNPRINTABLE.sub("_", unicodedata.normalize("NFC", name).replace("\\", "/"))
    name = "".join(char if char.isprintable() else "_" for char in name)
    parts = [_DRIVE.sub("", part, count=1).strip() for part in name.split("/")]
    parts = [_shortened(part) for part in parts if part.strip(". ")]
    return "/".join(parts[-MOST_FOLDERS:]) or f"file {number}"


def _shortened(part: str) -> str:
    """A name cut in its middle, so that its ending stays."""
    if len(part) <= LONGEST_NAME:
        return part
    stem, dot, ending = part.rpartition(".")
    if not dot or len(ending) > 10:
        return part[:LONGEST_NAME].strip()
    return f"{stem[: LONGEST_NAME - 1 - len(ending)].strip()}.{ending}"
