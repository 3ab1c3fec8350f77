"""Bring one file into the inbox; what cannot be taken is named with the reason."""

import getpass
from dataclasses import dataclass
from pathlib import Path

from blocks.inbox import Origin, look, put_in_inbox
from blocks.object_storage import ObjectStorage
from schema.failures import BadInput
from schema.lanes import Lane
from sql.arrivals import SeenObject


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file to add, and the key it would like."""

    path: Path
    key: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Added:
    """What became of a file: `added`, `already there` or `skipped`."""

    path: str
    outcome: str
    key: str | None = None
    reason: str | None = None


def upload(
    storage: ObjectStorage, candidate: Candidate, lane: Lane
) -> tuple[Added, SeenObject | None]:
    """Upload one file unless it is there already; the object it is now, if it is one.

    A file that cannot be taken is `skipped` with the reason. Blocking. Raises what boto3
    does when the store is away.
    """
    name = shown(candidate.path)
    try:
        check_names(candidate)
        content = look(candidate.path)
        origin = Origin("cli", getpass.getuser(), lane, str(candidate.path))
        put = put_in_inbox(storage, candidate.path, candidate.key, content, origin)
    except BadInput as error:
        return Added(name, "skipped", reason=str(error)), None
    except OSError as error:
        return Added(name, "skipped", reason=f"it cannot be read: {error.strerror}"), None
    seen = SeenObject(put.stored.key, put.stored.etag, put.stored.size_bytes)
    return Added(name, "added" if put.new else "already there", key=put.stored.key), seen


LONGEST_KEY_BYTES = 1024


def check_names(candidate: Candidate) -> None:
    """Raise `BadInput` unless file and key have names that can be kept."""
    if shown(candidate.path) != str(candidate.path):
        raise BadInput("its name is not UTF-8, so it cannot be kept; rename it")
    if len(candidate.key.encode()) > LONGEST_KEY_BYTES:
        raise BadInput("its path is longer than object storage can keep")


def shown(path: Path) -> str:
    """The path as it can be printed; bytes that are not UTF-8 become `\\xNN`."""
    return str(path).encode(errors="surrogateescape").decode(errors="backslashreplace")
