"""`aseagi add`: nothing is overwritten, nothing is lost, and what cannot be added is named."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from blocks.inbox import PART_BYTES, check_matter
from blocks.object_storage import ObjectStorage
from cli.add import record_arrival
from cli.uploading import Candidate, upload
from schema.failures import BadInput
from schema.lanes import Lane
from sql.arrivals import SeenObject
from sql.connection import Connection

PDF = b"%PDF-1.7 "
IN_PARTS = PART_BYTES + 1


def a_file(folder: Path, content: bytes, name: str = "same.pdf") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)
    return folder / name


def candidate(path: Path, key: str) -> Candidate:
    return Candidate(path, key, path.stat().st_size)


def content_of(storage: ObjectStorage, key: str | None) -> bytes:
    assert key is not None
    return storage.client().get_object(Bucket=storage.bucket, Key=key)["Body"].read()


@pytest.mark.parametrize("matter", ["", "  ", "a/b", "/a", "..", ".", "a\nb", "a\x00", "a\udcff"])
def test_a_matter_that_is_no_name_of_a_folder_is_refused_in_one_line(matter: str) -> None:
    with pytest.raises(BadInput, match="matter's name") as refused:
        check_matter(matter)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("matter", ["smith-v-jones", "Müller ./. Götz".replace("/", "v"), "a..b"])
def test_a_matter_may_be_any_other_name(matter: str) -> None:
    check_matter(matter)


@pytest.mark.parametrize("size_bytes", [100, IN_PARTS])
def test_files_of_one_name_and_size_are_both_kept_whatever_their_size(
    storage: ObjectStorage, tmp_path: Path, size_bytes: int
) -> None:
    key = f"raw/sizes/{size_bytes}.pdf"
    contents = [PDF.ljust(size_bytes, filler) for filler in (b"a", b"b")]
    files = [a_file(tmp_path / str(number), content) for number, content in enumerate(contents)]
    first, second = [upload(storage, candidate(file, key), Lane.BULK)[0] for file in files]
    assert [first.outcome, second.outcome] == ["added", "added"]
    assert first.key == key
    assert [content_of(storage, one.key) for one in (first, second)] == contents

    again = [upload(storage, candidate(file, key), Lane.BULK)[0] for file in files]
    assert [(one.outcome, one.key) for one in again] == [
        ("already there", first.key),
        ("already there", second.key),
    ]
    client = storage.client()
    assert "Uploads" not in client.list_multipart_uploads(Bucket=storage.bucket)


@pytest.mark.parametrize("size_bytes", [100, IN_PARTS])
def test_two_people_adding_one_name_at_once_overwrite_nothing(
    storage: ObjectStorage, tmp_path: Path, size_bytes: int
) -> None:
    key = f"raw/at-once/{size_bytes}.pdf"
    contents = [PDF.ljust(size_bytes, filler) for filler in (b"a", b"b")]
    files = [a_file(tmp_path / str(number), content) for number, content in enumerate(contents)]
    both = threading.Barrier(2)

    def add(file: Path) -> str | None:
        both.wait()
        return upload(storage, candidate(file, key), Lane.BULK)[0].key

    with ThreadPoolExecutor(2) as people:
        keys = list(people.map(add, files))
    assert [content_of(storage, one) for one in keys] == contents
    assert key in keys
    assert "Uploads" not in storage.client().list_multipart_uploads(Bucket=storage.bucket)


def test_a_file_whose_name_is_not_utf_8_is_skipped_and_named(
    storage: ObjectStorage, tmp_path: Path
) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/M\xfcller.pdf"))
    path.write_bytes(PDF)
    skipped, seen = upload(storage, candidate(path, f"raw/{path.name}"), Lane.BULK)
    assert (skipped.outcome, seen) == ("skipped", None)
    assert skipped.path.endswith(r"/M\xfcller.pdf")
    assert "not UTF-8" in str(skipped.reason)


async def test_an_arrival_known_already_is_not_left_locked(db: Connection, app_dsn: str) -> None:
    seen = SeenObject("raw/a.pdf", "etag", 1)
    assert await record_arrival(db, seen, Lane.BULK)
    assert not await record_arrival(db, seen, Lane.BULK)
    with psycopg.connect(app_dsn) as ingest:
        ingest.execute("select id from aseagi.arrivals for update nowait")
