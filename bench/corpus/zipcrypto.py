"""ZIPs with a password, which the standard library reads and does not write.

The encryption is the traditional one (PKWARE's APPNOTE.TXT, 4.3 and 6.1): weak, and still
what office programs make.
"""

import random
import struct
import zlib
from collections.abc import Sequence

_ENCRYPTED, _STORED, _VERSION = 0x1, 0, 20
_TIME, _DATE = 12 << 11, (2024 - 1980) << 9 | 3 << 5 | 1
_POLYNOMIAL = 0xEDB88320


def encrypted_zip(
    members: Sequence[tuple[str, bytes]], *, password: bytes, chance: random.Random
) -> bytes:
    """A ZIP of these names and bytes; its files are stored, each behind the password."""
    out, directory = b"", b""
    for name, content in members:
        checksum = zlib.crc32(content)
        header = chance.randbytes(11) + bytes([checksum >> 24])
        body = _encrypted(header + content, password)
        about = struct.pack(
            "<HHHHHIIIHH",
            *(_VERSION, _ENCRYPTED, _STORED, _TIME, _DATE, checksum, len(body), len(content)),
            *(len(name.encode()), 0),
        )
        place = struct.pack("<HHHII", 0, 0, 0, 0, len(out))
        directory += b"PK\x01\x02" + struct.pack("<H", _VERSION) + about + place + name.encode()
        out += b"PK\x03\x04" + about + name.encode() + body
    count = len(members)
    end = struct.pack("<HHHHIIH", 0, 0, count, count, len(directory), len(out), 0)
    return out + directory + b"PK\x05\x06" + end


def _encrypted(content: bytes, password: bytes) -> bytes:
    keys = _Keys()
    for byte in password:
        keys.update(byte)
    out = bytearray()
    for byte in content:
        out.append(byte ^ keys.next_byte())
        keys.update(byte)
    return bytes(out)


class _Keys:
    """The three keys, and how each byte changes them."""

    def __init__(self) -> None:
        self._one, self._two, self._three = 0x12345678, 0x23456789, 0x34567890

    def update(self, byte: int) -> None:
        self._one = _crc(self._one, byte)
        self._two = ((self._two + (self._one & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
        self._three = _crc(self._three, self._two >> 24)

    def next_byte(self) -> int:
        mixed = (self._three | 2) & 0xFFFF
        return (mixed * (mixed ^ 1)) >> 8 & 0xFF


def _crc(value: int, byte: int) -> int:
    return _TABLE[(value ^ byte) & 0xFF] ^ (value >> 8)


def _row(value: int) -> int:
    for _ in range(8):
        value = (value >> 1) ^ (_POLYNOMIAL if value & 1 else 0)
    return value


_TABLE = [_row(value) for value in range(256)]
