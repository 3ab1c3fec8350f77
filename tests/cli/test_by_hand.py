"""What people delete and adopt, in a real bucket and a real database."""

import asyncio
import json
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr

from blocks.bucket import Bucket
from blocks.database import Database
from blocks.object_storage import ObjectStorage
from schema.corrections import CorrectedField, Said
from schema.lanes import Lane
from sql.arrivals import SeenObject, begin_arrivals
from sql.connection import Connection
from sql.corrections import correct, take_back
from sql.deletions import LATE, ask_deletion, list_deletions, open_deletions
from sql.documents import NewDocument, insert_document
from sql.manifests import manifest_rows
from tasks.adopting import (
    Adopted,
    Candidate,
    announce,
    carry_over_all,
    files_in,
    listing_in,
    manifests_in,
    originals_in,
    put,
)
from tasks.deleting import exports_holding, finish_now, remove_objects
from tasks.exporting import (
    DeletedMeanwhile,
    check_whole,
    gather_rows,
    remove_export,
    write_files,
)
from tasks.manifest import KnownArrival, KnownDocument, write_manifest
from tasks.publishing.exported import write_report, write_searchable
from tests.sql.house import House

PDF = b"%PDF-1.7 "


@pytest.fixture
def bucket(storage: ObjectStorage) -> Bucket:
    """The bucket, with nothing in it."""
    bucket = storage.plain()
    for key in keys(bucket):
        bucket.client().delete_object(Bucket=bucket.bucket, Key=key)
    return bucket


@pytest.fixture
def database(app_dsn: str) -> Database:
    return Database(dsn=SecretStr(app_dsn), dashboard_dsn=SecretStr(app_dsn))


def keys(bucket: Bucket, prefix: str = "") -> list[str]:
    pages = bucket.client().get_paginator("list_objects_v2").paginate(
        Bucket=bucket.bucket, Prefix=prefix
    )  # fmt: skip
    return [one["Key"] for page in pages for one in page.get("Contents", []) if "Key" in one]


def lay(bucket: Bucket, key: str, body: bytes = b"x", **told: str) -> SeenObject:
    put = bucket.client().put_object(Bucket=bucket.bucket, Key=key, Body=body, Metadata=told)
    return SeenObject(key, put["ETag"].strip('"'), len(body))


async def take_in(
    house: House, bucket: Bucket, content: bytes, *came_as: str, matter: str | None = None
) -> tuple[UUID, str]:
    """A document as ingest leaves it: rows, arrivals, and its objects."""
    file_hash = sha256(content).hexdigest()
    lay(bucket, f"processed/{file_hash}/original", content)
    new = NewDocument(
        file_hash, came_as[0].rpartition("/")[2], "application/pdf", len(content), came_as[0],
        f"processed/{file_hash}/original", matter, Lane.BULK, ["words"],
    )  # fmt: skip
    async with house.transaction():
        document, _ = await insert_document(house.db, new)
    for key in came_as:
        seen = lay(bucket, key, content)
        await house.change(
            "insert into aseagi.arrivals (key, etag, size_bytes, state, document_id, source, lane, "
            "settled_at, note) values (%s, %s, %s, 'ingested', %s, 'upload', 'bulk', now(), 'n')",
            seen.key, seen.etag, seen.size_bytes, document,
        )  # fmt: skip
    return document, file_hash


async def export(house: House, bucket: Bucket, name: str, folder: Path) -> None:
    """An export with its manifest."""
    async with house.transaction():
        rows = await manifest_rows(house.db)
    write_manifest(folder / "manifest.csv", rows)
    lay(bucket, f"exports/{name}/manifest.csv", (folder / "manifest.csv").read_bytes())
    lay(bucket, f"exports/{name}/documents.xlsx")


async def delete(house: House, document: UUID) -> UUID:
    async with house.transaction():
        deletion = await ask_deletion(house.db, document, by="M. Lopez")
    assert deletion is not None
    return deletion


async def pass_time(house: House) -> None:
    await house.change("update aseagi.deletions set asked_at = asked_at - %s", LATE)


async def finish(house: House, bucket: Bucket, database: Database) -> int:
    async with house.transaction():
        due = await open_deletions(house.db, limit=99)
    return await remove_objects(bucket, database, due)


async def test_everything_of_it_goes_and_nothing_of_others(
    house: House, bucket: Bucket, database: Database, tmp_path: Path
) -> None:
    await export(house, bucket, "before", tmp_path)
    document, file_hash = await take_in(house, bucket, b"one", "raw/a.pdf", "uploads/m/a.pdf")
    await export(house, bucket, "holds-it", tmp_path)
    lay(bucket, "exports/old-kind/documents.xlsx")
    other, other_hash = await take_in(house, bucket, b"two", "raw/other.pdf")
    lay(bucket, "raw/a.pdf", b"overwritten since")
    lay(bucket, f"processed/{file_hash}/pages/00001.json.gz")
    lay(bucket, f"cache/{file_hash}/1.png")
    since = await house.one("select created_at from aseagi.documents where id = %s", document)
    assert await exports_holding(bucket, [(file_hash, since)]) == {"holds-it", "old-kind"}

    deletion = await delete(house, document)
    await finish_now(bucket, database, [deletion])

    left = {
        "exports/before/documents.xlsx", "exports/before/manifest.csv", "raw/a.pdf",
        "raw/other.pdf", f"processed/{other_hash}/original",
    }  # fmt: skip
    assert set(keys(bucket)) == left
    # What was being written at that moment.
    lay(bucket, f"processed/{file_hash}/pages/00002.json.gz")
    assert await finish(house, bucket, database) == 0, "it may still come"
    await pass_time(house)
    assert await finish(house, bucket, database) == 1
    assert set(keys(bucket)) == left
    async with house.transaction():
        [audit] = await list_deletions(house.db)
    assert (audit.state, audit.objects, sorted(audit.exports)) == (
        "done", 5, ["holds-it", "old-kind"],
    )  # fmt: skip
    assert await house.rows("select id from aseagi.documents") == [(other,)]
    assert await finish(house, bucket, database) == 0


class Killed(BaseException):
    """The process dies."""


class Dying(Bucket, frozen=True):
    """The bucket of a process that dies before its so-and-so-many-th request."""

    requests: list[int]

    def client(self) -> Any:
        real = Bucket(**self.model_dump(exclude={"requests"})).client()
        left = self.requests

        class Client:
            def __getattr__(self, name: str) -> Any:
                left[0] -= 1
                if left[0] < 0:
                    raise Killed
                return getattr(real, name)

        return Client()


async def test_killed_before_any_request_it_is_finished_by_whoever_comes_next(
    house: House, bucket: Bucket, database: Database, tmp_path: Path
) -> None:
    for at in range(40):
        document, file_hash = await take_in(house, bucket, b"one", "raw/a.pdf", "raw/b.pdf")
        lay(bucket, f"processed/{file_hash}/pages/00001.json.gz")
        await export(house, bucket, "holds-it", tmp_path)
        deletion = await delete(house, document)
        dying = Dying(**bucket.model_dump(), requests=[at])
        try:
            await finish_now(dying, database, [deletion])
        except Killed:
            async with house.transaction():
                [audit] = await list_deletions(house.db, ids=[deletion])
            assert audit.state == "asked"
            assert await finish(house, bucket, database) == 1
            survived = False
        else:
            survived = True
        assert keys(bucket) == []
        await pass_time(house)
        assert await finish(house, bucket, database) == 1
        await house.change("update aseagi.deletions set done_at = now() - interval '1 day'")
        if survived:
            assert at > 5
            return
    raise AssertionError("it never came through")


def put_all(bucket: Bucket, candidates: list[Candidate], known: Any) -> list[Adopted]:
    each = [
        put(bucket, one, known.get(one.file_hash), by="M. Lopez", lane=Lane.NIGHTLY)
        for one in candidates
    ]
    return [one for one in each if one is not None]


async def announce_all(db: Connection, adopted: list[Adopted]) -> None:
    for one in adopted:
        await announce(db, one, lane=Lane.NIGHTLY)


async def test_the_bucket_of_a_lost_database_is_adopted_with_all_that_was_known(
    house: House, bucket: Bucket, tmp_path: Path
) -> None:
    content = PDF + uuid4().bytes
    document, file_hash = await take_in(
        house, bucket, content, "raw/smith/scan 1.pdf", "uploads/smith/copy.pdf", matter="smith"
    )
    async with house.transaction():
        await correct(house.db, document, Said(title="Ours", matter="jones"), by="M. Lopez")
    mail, mail_hash = await take_in(house, bucket, PDF + b"a mail", "raw/mail.pdf")
    await house.change(
        "insert into aseagi.members (parent_id, number, name, size_bytes, file_hash, root_hash) "
        "values (%s, 1, 'scan 1.pdf', 1, %s, %s)",
        mail, file_hash, mail_hash,
    )  # fmt: skip
    async with house.transaction():
        rows = await manifest_rows(house.db)
    assert {row.file_hash: row.parent for row in rows} == {file_hash: mail_hash, mail_hash: None}
    await house.change("delete from aseagi.documents where id = %s", mail)
    for key in ("raw/mail.pdf", f"processed/{mail_hash}/original"):
        bucket.client().delete_object(Bucket=bucket.bucket, Key=key)
    await export(house, bucket, "last", tmp_path)
    forged = f"processed/{'ab' * 32}/original"
    lay(bucket, forged, PDF + b"not that")
    told = {"original-path": "/home/m/named%20by%20its%20owner.pdf"}
    named = sha256(PDF).hexdigest()
    lay(bucket, f"processed/{named}/original", PDF, **told)
    for key in ("raw/smith/scan 1.pdf", "uploads/smith/copy.pdf"):
        bucket.client().delete_object(Bucket=bucket.bucket, Key=key)
    await house.change("delete from aseagi.documents")  # the database is lost
    await house.change("delete from aseagi.arrivals")

    known = await asyncio.to_thread(manifests_in, bucket)
    candidates = await asyncio.to_thread(lambda: list(originals_in(bucket)))
    adopted: list[Adopted] = []
    for _ in range(2):  # doing it again changes nothing
        adopted = await asyncio.to_thread(put_all, bucket, candidates, known)
        async with house.transaction():
            await announce_all(house.db, adopted)
    assert {one.file_hash: one.outcome for one in adopted} == {
        file_hash: "adopted", "ab" * 32: "wrong hash", named: "adopted",
    }  # fmt: skip
    assert sorted(keys(bucket, "uploads/")) == [
        "uploads/named by its owner.pdf", "uploads/smith/scan 1.pdf",
    ]  # fmt: skip
    async with house.transaction():
        arrived = await begin_arrivals(house.db, limit=9)
    assert {(one.key, one.source, one.lane) for one in arrived} == {
        ("uploads/smith/scan 1.pdf", "adopted", Lane.NIGHTLY),
        ("uploads/named by its owner.pdf", "adopted", Lane.NIGHTLY),
    }

    # Ingest has made a document of it.
    again, _ = await take_in(house, bucket, content, "uploads/smith/other.pdf", matter="smith")
    for added in (4, 0):
        async with house.transaction():
            assert await carry_over_all(house.db, again, known[file_hash]) == added
    async with house.transaction():
        rows = await manifest_rows(house.db, ids=[again])
    assert [row.key for row in rows] == [
        "raw/smith/scan 1.pdf", "uploads/smith/copy.pdf", "uploads/smith/other.pdf",
    ]  # fmt: skip
    assert await house.rows("select title, matter from aseagi.documents") == [("Ours", "jones")]
    assert {one["by"] for one in rows[0].corrections} == {"M. Lopez"}
    async with house.transaction():
        await take_back(house.db, again, [CorrectedField.MATTER], by="M. Lopez")
    assert await house.one("select matter from aseagi.documents") == "smith"


async def test_a_name_that_no_inbox_takes_is_given_back(house: House, bucket: Bucket) -> None:
    name, unprintable = "Screenshot at 9.41\u202fAM.pdf", "smith\u00a0jones"
    file_hash = sha256(PDF).hexdigest()
    arrival = KnownArrival(datetime(2024, 3, 4, tzinfo=UTC), "upload")
    for matter, comes_to in (("smith", "smith"), (unprintable, None)):
        known = KnownDocument(file_hash, name, matter, [arrival], brought_to=matter)
        lay(bucket, f"processed/{file_hash}/original", PDF)
        [adopted] = put_all(bucket, list(originals_in(bucket)), {file_hash: known})
        assert adopted.seen is not None
        folder = f"uploads/{comes_to}/" if comes_to else "uploads/"
        assert adopted.seen.key == f"{folder}{file_hash[:16]}.pdf"
        document, _ = await take_in(house, bucket, PDF, adopted.seen.key, matter=comes_to)
        async with house.transaction():
            await carry_over_all(house.db, document, known)
            await correct(house.db, document, Said(matter=None), by="M. Lopez")
            await carry_over_all(house.db, document, known)  # once is once
        assert await house.rows("select file_name, matter from aseagi.documents") == [(name, None)]
        async with house.transaction():
            await take_back(house.db, document, [CorrectedField.MATTER], by="M. Lopez")
        assert await house.one("select matter from aseagi.documents") == matter
        await house.change("delete from aseagi.documents")
        await house.change("delete from aseagi.arrivals")
        for key in keys(bucket):
            bucket.client().delete_object(Bucket=bucket.bucket, Key=key)


async def test_an_export_is_replaced_whole_and_goes_when_a_document_of_it_went(
    house: House, bucket: Bucket, database: Database, storage: ObjectStorage
) -> None:
    document, _ = await take_in(house, bucket, b"one", "raw/a.pdf")
    lay(bucket, "exports/x/searchable/0001 left the matter since.pdf")
    rows = await gather_rows.fn(database, None)
    await write_files.fn(storage, "x", rows)
    await check_whole.fn(database, rows.numbered)
    assert sorted(keys(bucket, "exports/")) == [
        "exports/x/documents.csv", "exports/x/documents.jsonl", "exports/x/documents.xlsx",
        "exports/x/manifest.csv",
    ]  # fmt: skip
    await delete(house, document)
    with pytest.raises(DeletedMeanwhile):
        await check_whole.fn(database, rows.numbered)
    with pytest.raises(DeletedMeanwhile):
        await write_report.fn(database, storage, "x", rows.numbered, matter=None, prepared_by=None)
    with pytest.raises(DeletedMeanwhile):
        await write_searchable.fn(database, storage, "x", rows.numbered)
    await asyncio.to_thread(remove_export, storage, "x")
    assert keys(bucket, "exports/") == []


async def test_an_old_export_is_adopted_with_its_originals(bucket: Bucket, tmp_path: Path) -> None:
    content = PDF + b"of old"
    file_hash = sha256(content).hexdigest()
    lines = [
        json.dumps(
            {
                "kind": "document",
                "file_hash": one,
                "file_name": name,
                "matter": "smith",
                "received_at": "2024-03-04 05:06:07+00:00",
                "original_path": f"/x/{name}",
            }
        )
        for one, name in (
            (file_hash, "a.pdf"), ("cd" * 32, "b.pdf"), ("ef" * 32, "c.pdf"),
            (sha256(b"a,b").hexdigest(), "documents.csv"),
        )
    ]  # fmt: skip
    (tmp_path / "documents.jsonl").write_text("\n".join([*lines, '{"kind": "timeline"}']))
    (tmp_path / "originals").mkdir()
    (tmp_path / "originals" / "renamed.pdf").write_bytes(content)
    (tmp_path / "originals" / "b.pdf").write_bytes(b"%PDF- changed")
    (tmp_path / "originals" / "of nobody.pdf").write_bytes(b"%PDF- of nobody")
    (tmp_path / "originals" / "documents.csv").write_bytes(b"a,b")
    known = listing_in(tmp_path)
    adopted = put_all(bucket, list(files_in(tmp_path, known)), known)
    assert [(one.name, one.outcome) for one in adopted] == [
        ("originals/documents.csv", "adopted"),
        ("originals/renamed.pdf", "adopted"),
        ("originals/b.pdf", "wrong hash"),
        ("c.pdf", "missing"),
    ]
    assert keys(bucket) == ["uploads/smith/a.pdf", "uploads/smith/documents.csv"]
