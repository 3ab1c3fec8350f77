"""The matter and the note in what a person wrote beside a file, and names that are safe."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from blocks.inbox import check_matter

_HASHTAG = re.compile(r"(?<!\S)#(\S+)")
_AFTER_A_WORD = ".,;:!?)]}\"'"
LONGEST_NAME_BYTES = 150
LONGEST_ENDING_BYTES = 16


@dataclass(frozen=True, slots=True)
class Caption:
    """What the captions of one piece of work say."""

    matter: str | None
    note: str | None


def read_captions(captions: Sequence[str | None]) -> Caption:
    """The first #hashtag names the matter; the rest is the note.

    Raises `BadInput` when a matter cannot be called so.
    """
    said = "\n".join(dict.fromkeys(one.strip() for one in captions if one and one.strip()))
    found = _HASHTAG.search(said)
    if found is None:
        return Caption(None, said or None)
    matter = unicodedata.normalize("NFC", found[1].rstrip(_AFTER_A_WORD))
    check_matter(matter)
    rest = f"{said[: found.start()].rstrip()} {said[found.end() :].lstrip()}".strip()
    return Caption(matter, rest or None)


def safe_name(name: str | None, *, otherwise: str) -> str:
    """A file's name that the inbox takes, as like the given one as may be."""
    plain = unicodedata.normalize("NFC", name or "")
    plain = plain.replace("/", "-").replace("\\", "-")
    plain = "".join(one if one.isprintable() else " " for one in plain)
    plain = " ".join(plain.split())
    path = PurePosixPath(plain.strip(". -") or otherwise)
    ending = path.suffix if len(path.suffix.encode()) <= LONGEST_ENDING_BYTES else ""
    stem = path.name[: len(path.name) - len(ending)]
    return (_cut(stem, LONGEST_NAME_BYTES).strip() or otherwise) + ending


def _cut(text: str, most_bytes: int) -> str:
    return text.encode()[:most_bytes].decode(errors="ignore")
