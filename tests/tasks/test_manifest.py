"""The manifest of an export: what is written is what is read."""

import csv
import io
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.corrections import Said
from schema.failures import BadInput
from sql.manifests import ManifestRow
from tasks.manifest import KnownArrival, hashes_in, read_manifest, write_manifest

AT = datetime(2024, 3, 4, 5, 6, 7, tzinfo=UTC)
HASH = "0f" * 32


def row(
    file_hash: str = HASH,
    *,
    name: str = "a.pdf",
    key: str = "raw/a.pdf",
    path: str | None = None,
    note: str | None = None,
    corrections: tuple[dict[str, object], ...] = (),
) -> ManifestRow:
    return ManifestRow(
        file_hash, name, "smith", path, AT, key, "etag", 10, "application/pdf", "upload", "M. L.",
        note, None, UUID(int=1), corrections,
    )  # fmt: skip


def written(*rows: ManifestRow) -> str:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "manifest.csv"
        write_manifest(path, rows)
        return path.read_bytes().decode("utf-8")


def test_a_document_that_came_twice_has_two_arrivals_and_its_corrections() -> None:
    said: dict[str, object] = {
        "field": "type",
        "value": "motion",
        "by": "M. Lopez",
        "at": AT.isoformat(),
    }
    text = written(
        row(corrections=(said,)), row(key="raw/b.pdf", path="/home/m/b.pdf"), row("ab" * 32)
    )
    first, second = read_manifest(text)
    assert (first.file_hash, first.file_name, first.matter) == (HASH, "a.pdf", "smith")
    assert first.arrivals == [
        KnownArrival(AT, "upload", "raw/a.pdf", "etag", 10, None, "M. L.", None),
        KnownArrival(AT, "upload", "raw/b.pdf", "etag", 10, "/home/m/b.pdf", "M. L.", None),
    ]
    [correction] = first.corrections
    assert (correction.by, correction.at) == ("M. Lopez", AT)
    assert correction.said == Said.model_validate({"type": "motion"})
    assert second.corrections == []
    assert set(hashes_in(text.splitlines())) == {HASH, "ab" * 32}


def test_the_matter_it_was_brought_to_is_the_one_before_a_person_corrected_it() -> None:
    said: dict[str, object] = {
        "field": "matter",
        "value": "smith",
        "by": "M. Lopez",
        "at": AT.isoformat(),
    }
    for before in ("jones", None):
        said["previous"] = before
        [known] = read_manifest(written(row(corrections=(said,))))
        assert (known.matter, known.brought_to) == ("smith", before)
    [known] = read_manifest(written(row()))
    assert known.brought_to == "smith"


TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1)


@given(TEXT, TEXT)
def test_names_and_notes_of_any_kind_come_back_and_run_in_no_spreadsheet(
    name: str, note: str
) -> None:
    text = written(row(name=name, note=note))
    [known] = read_manifest(text)
    assert known.file_name == name
    assert known.arrivals[0].note == note
    for line in csv.reader(io.StringIO(text.removeprefix("\ufeff"))):
        runs = ("=", "+", "-", "@", "\t", "\r")
        assert not any(cell.startswith(runs) or cell.lstrip().startswith(runs) for cell in line)


@pytest.mark.parametrize(
    "text", ["", "what,ever\n1,2\n", f"sha256,file_name,arrived_at\n{HASH},a.pdf,yesterday\n"]
)
def test_what_is_no_manifest_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        read_manifest(text)
