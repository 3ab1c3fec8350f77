"""The manifest of an export: which files its documents are, and where each came from.

`manifest.csv` has one row for each time a document arrived (a document that came twice has two),
so that whoever holds the originals can check them (`sha256sum`), and a database that was lost is
filled again (`aseagi adopt`). People open it in a spreadsheet: text that would run there as a
formula is preceded by an apostrophe, and reading it back takes just that away again.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from schema.corrections import CorrectedField, Said
from schema.failures import BadInput
from sql.manifests import ManifestRow

NAME = "manifest.csv"

COLUMNS = (
    "sha256",
    "file_name",
    "matter",
    "original_path",
    "arrived_at",
    "key",
    "etag",
    "size_bytes",
    "media_type",
    "source",
    "submitted_by",
    "note",
    "parent",
    "document_id",
    "corrections",
)
_GUARDED = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "'")
"""What a cell must not begin with in a spreadsheet, and the apostrophe itself."""


def write_manifest(path: Path, rows: Sequence[ManifestRow]) -> None:
    """Write the manifest in UTF-8 with a byte order mark, as Excel expects it."""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(COLUMNS)
        for row in rows:
            lines.writerow([_cell(value) for value in _values(row)])


def _values(row: ManifestRow) -> tuple[object, ...]:
    return (
        row.file_hash,
        row.file_name,
        row.matter,
        row.original_path,
        row.arrived_at.isoformat(),
        row.key,
        row.etag,
        row.size_bytes,
        row.media_type,
        row.source,
        row.submitted_by,
        row.note,
        row.parent,
        row.document_id,
        json.dumps(row.corrections, ensure_ascii=False) if row.corrections else "",
    )


def _cell(value: object) -> str:
    text = "" if value is None else str(value).replace("\x00", "")
    return f"'{text}" if text.startswith(_GUARDED) or text.lstrip().startswith(_GUARDED) else text


@dataclass(frozen=True, slots=True)
class KnownArrival:
    """How a document once arrived; key and ETag where they are known."""

    arrived_at: datetime
    source: str
    key: str | None = None
    etag: str | None = None
    size_bytes: int | None = None
    original_path: str | None = None
    submitted_by: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class KnownCorrection:
    """What a person once corrected."""

    said: Said
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class KnownDocument:
    """A document as an export tells of it."""

    file_hash: str
    file_name: str
    matter: str | None
    arrivals: Sequence[KnownArrival]
    corrections: Sequence[KnownCorrection] = ()
    brought_to: str | None = None
    """The matter it would belong to if nobody had corrected that."""


def read_manifest(text: str) -> list[KnownDocument]:
    """The documents of a manifest. Raises `BadInput` for what is none."""
    lines = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    if not {"sha256", "file_name", "arrived_at"} <= set(lines.fieldnames or ()):
        raise BadInput(f"This is no {NAME} of an export: it lacks columns.")
    by_hash: dict[str, list[dict[str, str]]] = {}
    try:
        for line in lines:
            plain = {name: _plain(value) for name, value in line.items() if name and value}
            by_hash.setdefault(plain["sha256"], []).append(plain)
        return [_document(same) for same in by_hash.values()]
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise BadInput(
            f"Line {lines.line_num} of the {NAME}, or one before, cannot be understood."
        ) from error


def _plain(cell: str) -> str:
    return cell.removeprefix("'")


def _document(lines: Sequence[dict[str, str]]) -> KnownDocument:
    first = lines[0]
    matter = first.get("matter")
    corrections = json.loads(first.get("corrections", "[]"))
    before = [one.get("previous") for one in corrections if one["field"] == CorrectedField.MATTER]
    return KnownDocument(
        first["sha256"],
        first["file_name"],
        matter,
        [_arrival(line) for line in lines],
        [_correction(one) for one in corrections],
        brought_to=before[0] if before else matter,
    )


def _arrival(line: dict[str, str]) -> KnownArrival:
    return KnownArrival(
        datetime.fromisoformat(line["arrived_at"]),
        line.get("source", "adopted"),
        line.get("key"),
        line.get("etag"),
        int(line["size_bytes"]) if "size_bytes" in line else None,
        line.get("original_path"),
        line.get("submitted_by"),
        line.get("note"),
    )


def _correction(one: dict[str, Any]) -> KnownCorrection:
    field = CorrectedField(one["field"])
    said = Said.model_validate({field.value: one["value"]})
    return KnownCorrection(said, str(one["by"]), datetime.fromisoformat(one["at"]))


def hashes_in(lines: Iterable[str]) -> Iterator[str]:
    """The documents that a manifest names, without taking it apart."""
    return (line[:64] for line in lines if len(line) > 64 and line[64] == ",")
