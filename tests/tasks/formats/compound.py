"""Compound files [MS-CFB] and Outlook messages in them [MS-OXMSG], as Outlook writes them.

Version 3: sectors of 512 bytes, streams below 4,096 bytes in the mini stream. Siblings are a
chain to the right instead of a balanced tree, which no reader minds.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

SECTOR, MINI, CUTOFF = 512, 64, 4096
FREE, END, FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
NOBODY = 0xFFFFFFFF
STORAGE, STREAM, ROOT = 1, 2, 5

Tree = Mapping[str, "bytes | Tree"]


@dataclass
class _Entry:
    name: str
    kind: int
    data: bytes = b""
    start: int = END
    right: int = NOBODY
    child: int = NOBODY


@dataclass
class _Sectors:
    """Sectors of one size, and which follows which."""

    size: int
    blocks: list[bytes] = field(default_factory=list[bytes])
    following: list[int] = field(default_factory=list[int])

    def add(self, data: bytes) -> int:
        if not data:
            return END
        first = len(self.blocks)
        pieces = [data[at : at + self.size] for at in range(0, len(data), self.size)]
        self.blocks += [piece.ljust(self.size, b"\0") for piece in pieces]
        self.following += [*range(first + 1, first + len(pieces)), END]
        return first


def compound_file(tree: Tree) -> bytes:
    """The bytes of a compound file with these streams and storages."""
    entries = [_Entry("Root Entry", ROOT)]
    entries[0].child = _add(entries, tree)
    sectors, mini = _Sectors(SECTOR), _Sectors(MINI)
    for entry in entries[1:]:
        if entry.kind == STREAM:
            entry.start = (mini if len(entry.data) < CUTOFF else sectors).add(entry.data)
    entries[0].data = b"".join(mini.blocks)
    entries[0].start = sectors.add(entries[0].data)
    mini_fat = _words(mini.following, SECTOR // 4)
    mini_fat_start = sectors.add(mini_fat)
    directory_start = sectors.add(b"".join(map(_directory_entry, entries)))
    fat_sectors = 1
    while (len(sectors.blocks) + fat_sectors) * 4 > fat_sectors * SECTOR:
        fat_sectors += 1
    assert fat_sectors <= 109
    fat_start = len(sectors.blocks)
    fat = _words([*sectors.following, *[FAT] * fat_sectors], SECTOR // 4)
    header = struct.pack(
        "<8s16xHHHHH6xIIIIIIIIII",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        *(0x3E, 3, 0xFFFE, 9, 6),
        *(0, fat_sectors, directory_start, 0, CUTOFF),
        *(mini_fat_start, len(mini_fat) // SECTOR, END, 0, fat_start),
    )
    more = [*range(fat_start + 1, fat_start + fat_sectors)]
    return header + _words(more, 108) + b"".join(sectors.blocks) + fat


def _add(entries: list[_Entry], tree: Tree) -> int:
    """The entries of a storage's children; the number of the first."""
    first = before = NOBODY
    for name in sorted(tree, key=lambda one: (len(one), one.upper())):
        value = tree[name]
        number = len(entries)
        entries.append(_Entry(name, STREAM if isinstance(value, bytes) else STORAGE))
        if isinstance(value, bytes):
            entries[number].data = value
        else:
            entries[number].child = _add(entries, value)
        if first == NOBODY:
            first = number
        else:
            entries[before].right = number
        before = number
    return first


def _directory_entry(entry: _Entry) -> bytes:
    name = entry.name.encode("utf-16-le") + b"\0\0"
    return struct.pack(
        "<64sHBBIII16xIQQIQ",
        name,
        len(name),
        entry.kind,
        1,
        *(NOBODY, entry.right, entry.child),
        *(0, 0, 0),
        entry.start if entry.kind != STORAGE else 0,
        len(entry.data),
    )


def _words(numbers: Sequence[int], at_least: int) -> bytes:
    count = -(-max(len(numbers), 1) // at_least) * at_least
    return struct.pack(f"<{count}I", *numbers, *[FREE] * (count - len(numbers)))


# Outlook


def text(value: str) -> bytes:
    """As a property of Unicode text."""
    return value.encode("utf-16-le")


@dataclass(frozen=True)
class Attached:
    """A file attached to a message, or a message: then `data` is None."""

    name: str
    data: bytes | None
    content_id: str | None = None
    mime_type: str = "application/octet-stream"


def message(
    *,
    subject: str = "Settlement",
    body: str = "",
    html: bytes = b"",
    sender: tuple[str, str] = ("Ann Smith", "ann@example.org"),
    ansi_body: bytes = b"",
    rtf: bytes = b"",
    recipients: Sequence[tuple[str, str, int]] = (("Bob Jones", "bob@example.org", 1),),
    sent: datetime = datetime(2024, 3, 4, 9, 30, tzinfo=UTC),
    attached: Sequence[Attached] = (),
) -> bytes:
    """An Outlook message; recipients with what they are: 1 To, 2 Cc, 3 Bcc."""
    texts = {0x001A: "IPM.Note", 0x0037: subject, 0x0C1A: sender[0], 0x0C1F: sender[1]}
    streams = {(pid, 0x1F): text(value) for pid, value in texts.items()}
    if body:
        streams[0x1000, 0x1F] = text(body)
    if ansi_body:
        streams[0x1000, 0x1E] = ansi_body
    if rtf:
        streams[0x1009, 0x102] = rtf
    if html:
        streams[0x1013, 0x102] = html
    ticks = int((sent - datetime(1601, 1, 1, tzinfo=UTC)).total_seconds()) * 10_000_000
    fixed = {(0x0039, 0x40): ticks, (0x340D, 0x03): 0x40000, (0x3FDE, 0x03): 65001}
    head = struct.pack("<8xIIII8x", len(recipients), len(attached), len(recipients), len(attached))
    tree: dict[str, bytes | Tree] = {
        **_properties(head, streams, fixed),
        "__nameid_version1.0": {f"__substg1.0_{pid:04X}0102": b"" for pid in (2, 3, 4)},
    }
    for number, (name, address, kind) in enumerate(recipients):
        named = {(0x3001, 0x1F): text(name), (0x39FE, 0x1F): text(address)}
        tree[f"__recip_version1.0_#{number:08X}"] = _properties(
            b"\0" * 8, named, {(0x0C15, 0x03): kind}
        )
    for number, one in enumerate(attached):
        tree[f"__attach_version1.0_#{number:08X}"] = _attachment(one)
    return compound_file(tree)


def _attachment(one: Attached) -> Tree:
    streams = {(0x3707, 0x1F): text(one.name), (0x370E, 0x1F): text(one.mime_type)}
    if one.content_id:
        streams[0x3712, 0x1F] = text(one.content_id)
    if one.data is None:
        inner: Tree = {"__properties_version1.0": b"\0" * 24}
        own = _properties(b"\0" * 8, streams, {(0x3705, 0x03): 5})
        return {**own, "__substg1.0_3701000D": inner}
    streams[0x3701, 0x102] = one.data
    return _properties(b"\0" * 8, streams, {(0x3705, 0x03): 1})


def _properties(
    head: bytes, streams: Mapping[tuple[int, int], bytes], fixed: Mapping[tuple[int, int], int]
) -> dict[str, "bytes | Tree"]:
    told = head
    for (pid, kind), value in streams.items():
        size = len(value) + (2 if kind == 0x1F else 0)
        told += struct.pack("<HHIII", kind, pid, 6, size, 0)
    for (pid, kind), number in fixed.items():
        told += struct.pack("<HHIQ", kind, pid, 6, number)
    named = {f"__substg1.0_{pid:04X}{kind:04X}": value for (pid, kind), value in streams.items()}
    return {"__properties_version1.0": told, **named}
