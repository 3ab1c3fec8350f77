"""Uploads through the running gateway: streamed, never overwritten, recognised, revocable."""

import asyncio
import hashlib
import os
import secrets
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from bench.throughput import letter
from blocks.database import Database
from blocks.object_storage import ObjectStorage
from cli.uploading import LARGE_BYTES, Added, Candidate, open_gateway_client
from schema.files import NONE_OF_THEM
from schema.lanes import Lane
from sql.clients import add_client, find_client, revoke_client
from sql.connection import Connection
from sql.upload_links import create_link
from stack.embedded import Stack
from tasks import uploads
from tasks.uploads import clean_uploads
from tests.e2e.conftest import eventually

PDF = b"%PDF-1.7 "


@dataclass(frozen=True)
class Caller:
    """A client of the running gateway."""

    http: httpx.AsyncClient
    url: str
    token: str

    async def upload(self, content: bytes, path: str = "a.pdf", **params: str) -> httpx.Response:
        return await self.http.post("/uploads", params={"path": path} | params, content=content)


async def a_token(db: Connection, name: str, **lifetime: timedelta) -> str:
    token = secrets.token_urlsafe(32)
    await add_client(db, name, hashlib.sha256(token.encode()).digest(), **lifetime)
    return token


@pytest.fixture
async def caller(stack: Stack, db: Connection) -> AsyncGenerator[Caller]:
    token = await a_token(db, f"client-{uuid4().hex[:8]}")
    headers = {"Authorization": f"Bearer {token}"}
    url = stack.addresses.gateway_url
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60) as http:
        yield Caller(http, url, token)


def content_of(storage: ObjectStorage, key: str) -> bytes:
    return storage.client().get_object(Bucket=storage.bucket, Key=key)["Body"].read()


def keys_of(storage: ObjectStorage, matter: str) -> list[str]:
    listed = storage.client().list_objects_v2(Bucket=storage.bucket, Prefix=f"uploads/{matter}")
    return [one.get("Key", "") for one in listed.get("Contents", [])]


async def arrivals_of(db: Connection, key: str) -> list[tuple[object, ...]]:
    cursor = await db.execute(
        "select source, submitted_by, lane::text, note from aseagi.arrivals where key = %s", (key,)
    )
    return await cursor.fetchall()


async def document_of(db: Connection, key: str) -> tuple[object, ...]:
    async def found() -> tuple[object, ...] | None:
        cursor = await db.execute(
            """
            select document.id, document.matter, document.file_name, arrival.original_path
            from aseagi.arrivals arrival join aseagi.documents document
                on document.id = arrival.document_id
            where arrival.key = %s
            """,
            (key,),
        )
        return await cursor.fetchone()

    document = await eventually(found)
    assert document is not None
    return document


async def test_a_file_is_taken_in_with_its_matter_note_and_sender_and_known_when_sent_again(
    caller: Caller, db: Connection, storage: ObjectStorage
) -> None:
    content, matter = letter(700_001), f"matter-{uuid4().hex[:8]}"
    first = await caller.upload(
        content,
        "letters/ä 1.png",
        matter=matter,
        note="the first notice",
        owners_path="/home/a.png",
    )
    assert first.status_code == 200, first.text
    told = first.json()
    assert told["outcome"] == "document"
    assert told["key"] == f"uploads/{matter}/letters/ä 1.png"
    assert told["sha256"] == hashlib.sha256(content).hexdigest()
    assert content_of(storage, told["key"]) == content
    document_id, in_matter, name, owners_path = await document_of(db, told["key"])
    assert (in_matter, name, owners_path) == (matter, "ä 1.png", "/home/a.png")
    ((source, submitted_by, lane, note),) = await arrivals_of(db, told["key"])
    assert (source, lane, note) == ("upload", "now", "the first notice")
    assert str(submitted_by).startswith("client-")

    again = (await caller.upload(content, "letters/ä 1.png", matter=matter)).json()
    elsewhere = (await caller.upload(content, "copy.png", matter=matter)).json()
    assert [again["outcome"], elsewhere["outcome"]] == ["duplicate", "duplicate"]
    assert again["key"] == told["key"]
    assert again["document_id"] == elsewhere["document_id"] == str(document_id)


async def test_files_of_one_name_sent_at_once_are_all_kept(
    caller: Caller, storage: ObjectStorage
) -> None:
    matter = f"at-once-{uuid4().hex[:8]}"
    contents = [PDF + str(number).encode() for number in range(2)]
    answers = await asyncio.gather(
        *(caller.upload(content, "same.pdf", matter=matter) for content in contents)
    )
    assert [one.status_code for one in answers] == [200, 200]
    assert [content_of(storage, one.json()["key"]) for one in answers] == contents


@pytest.mark.parametrize(
    ("content", "params", "status", "reason"),
    [
        (b"", {}, 415, "empty"),
        (b"MZ\x90\x00 a program", {}, 415, "none of them"),
        (PDF, {"path": "../../processed/x"}, 422, "folder"),
        (PDF, {"path": "a/../../b.pdf", "matter": "m"}, 422, "folder"),
        (PDF, {"path": "a\u202efdp.exe", "matter": "m"}, 422, "unprintable"),
        (PDF, {"path": "a\x00.pdf"}, 422, "unprintable"),
        (PDF, {"matter": ".."}, 422, "matter's name"),
        (PDF, {"matter": "a/b"}, 422, "matter's name"),
        (PDF, {"lane": "at once"}, 422, "Input should be"),
        (PDF, {"path": "x" * 1001}, 422, "at most"),
        (PDF, {"note": "x" * 5000}, 422, "at most"),
    ],
)
async def test_what_cannot_be_taken_is_refused_with_a_reason_and_nothing_is_written(
    caller: Caller,
    storage: ObjectStorage,
    db: Connection,
    content: bytes,
    params: dict[str, str],
    status: int,
    reason: str,
) -> None:
    before = keys_of(storage, "")
    answer = await caller.http.post(
        "/uploads", params={"path": "refused.pdf"} | params, content=content
    )
    assert answer.status_code == status
    assert reason in answer.text
    assert keys_of(storage, "") == before


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer forged"}, {"Authorization": "x"}]
)
async def test_without_a_valid_token_nothing_is_read(stack: Stack, headers: dict[str, str]) -> None:
    async with httpx.AsyncClient(base_url=stack.addresses.gateway_url, timeout=60) as http:
        for path in ("/uploads?path=a.pdf", "/uploads/check", "/uploads/large"):
            answer = await http.post(path, headers=headers, content=b"{")
            assert answer.status_code == 401, path


async def test_a_revoked_or_expired_token_ends_at_once(
    caller: Caller, db: Connection, stack: Stack
) -> None:
    assert (await caller.http.post("/uploads/check", json={"files": []})).status_code == 200
    client = await find_client(db, hashlib.sha256(caller.token.encode()).digest())
    assert client is not None
    assert await revoke_client(db, client.name)
    assert not await revoke_client(db, client.name)
    assert (await caller.upload(PDF)).status_code == 401
    over = await a_token(db, "over", lifetime=timedelta(seconds=-1))
    headers = {"Authorization": f"Bearer {over}"}
    answer = await caller.http.post("/uploads/check", json={"files": []}, headers=headers)
    assert answer.status_code == 401


# Large files


async def a_large_upload(caller: Caller, size: int, **changes: object) -> httpx.Response:
    wanted = {"path": "large.pdf", "matter": f"large-{uuid4().hex[:8]}", "size_bytes": size}
    return await caller.http.post("/uploads/large", json=wanted | changes)


async def put_parts(parts: Sequence[str], content: bytes, part_bytes: int) -> list[str]:
    etags: list[str] = []
    async with httpx.AsyncClient(timeout=60) as bucket:
        for number, link in enumerate(parts):
            part = content[number * part_bytes : (number + 1) * part_bytes]
            answer = await bucket.put(link, content=part)
            assert answer.status_code == 200, answer.text
            etags.append(answer.headers["ETag"])
    return etags


async def test_a_large_file_goes_in_parts_past_the_gateway_and_completing_twice_is_once(
    caller: Caller, storage: ObjectStorage, db: Connection
) -> None:
    content = PDF + secrets.token_bytes(20 * 1024**2)
    begun = (await a_large_upload(caller, len(content), note="in parts")).json()
    etags = await put_parts(begun["parts"], content, begun["part_bytes"])
    complete = f"/uploads/large/{begun['upload_id']}/complete"
    told = [(await caller.http.post(complete, json={"etags": etags})).json() for _ in range(2)]
    assert told[0] == told[1]
    assert content_of(storage, told[0]["key"]) == content
    ((source, _, _, note),) = await arrivals_of(db, told[0]["key"])
    assert (source, note) == ("upload", "in parts")


async def test_a_part_of_another_length_is_refused_by_the_store_and_what_lacks_by_the_gateway(
    caller: Caller, storage: ObjectStorage
) -> None:
    begun = (await a_large_upload(caller, 100)).json()
    async with httpx.AsyncClient(timeout=60) as bucket:
        answer = await bucket.put(begun["parts"][0], content=PDF.ljust(101))
    assert answer.status_code == 403
    complete = f"/uploads/large/{begun['upload_id']}/complete"
    answer = await caller.http.post(complete, json={"etags": ["0" * 32]})
    assert answer.status_code == 422
    assert "0 of 100 bytes" in answer.text


async def test_a_large_upload_is_its_clients_alone_and_can_be_given_up(
    caller: Caller, stack: Stack, db: Connection, storage: ObjectStorage
) -> None:
    begun = (await a_large_upload(caller, 100, matter="gone")).json()
    one = f"/uploads/large/{begun['upload_id']}"
    other = {"Authorization": f"Bearer {await a_token(db, 'other')}"}
    assert (await caller.http.delete(one, headers=other)).status_code == 404
    assert (await caller.http.delete(one)).status_code == 204
    assert (await caller.http.delete(one)).status_code == 204
    answer = await caller.http.post(f"{one}/complete", json={"etags": ["x"]})
    assert answer.status_code == 410
    left = storage.client().list_multipart_uploads(Bucket=storage.bucket, Prefix="uploads/gone")
    assert "Uploads" not in left


async def test_what_a_client_says_of_its_parts_is_not_believed(
    caller: Caller, db: Connection
) -> None:
    """Else a file whose content was only claimed would never be taken in."""
    said, sent = PDF.ljust(200, b"a"), PDF.ljust(200, b"b")
    matter, sha256 = f"said-{uuid4().hex[:8]}", hashlib.sha256(said).hexdigest()
    begun = (await a_large_upload(caller, 200, matter=matter, sha256=sha256)).json()
    etags = await put_parts(begun["parts"], sent, begun["part_bytes"])
    complete = f"/uploads/large/{begun['upload_id']}/complete"
    key = (await caller.http.post(complete, json={"etags": etags})).json()["key"]
    await document_of(db, key)
    files = [
        {
            "path": "large.pdf",
            "matter": matter,
            "size_bytes": 200,
            "md5": hashlib.md5(one, usedforsecurity=False).hexdigest(),
            "sha256": hashlib.sha256(one).hexdigest(),
        }
        for one in (said, sent)
    ]
    answer = await caller.http.post("/uploads/check", json={"files": files})
    assert answer.json()["keys"] == [None, key]


async def test_beginning_again_gives_up_what_was_begun_for_the_same_key(caller: Caller) -> None:
    matter = f"again-{uuid4().hex[:8]}"
    first, second = [(await a_large_upload(caller, 100, matter=matter)).json() for _ in range(2)]
    told = {"etags": ["x"]}
    answer = await caller.http.post(f"/uploads/large/{first['upload_id']}/complete", json=told)
    assert answer.status_code == 410
    answer = await caller.http.post(f"/uploads/large/{second['upload_id']}/complete", json=told)
    assert answer.status_code == 422


async def test_an_upload_completed_by_a_gateway_that_died_is_settled_with_its_note(
    caller: Caller, storage: ObjectStorage, db: Connection, database: Database
) -> None:
    content = PDF.ljust(300)
    begun = (await a_large_upload(caller, 300, note="found in the attic")).json()
    etags = await put_parts(begun["parts"], content, begun["part_bytes"])
    cursor = await db.execute(
        "select key, s3_upload_id from aseagi.multipart_uploads where id = %s",
        (begun["upload_id"],),
    )
    row = await cursor.fetchone()
    assert row is not None
    key, s3_upload_id = row
    storage.client().complete_multipart_upload(
        Bucket=storage.bucket,
        Key=key,
        UploadId=s3_upload_id,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etags[0]}]},
    )
    await db.execute(
        "update aseagi.multipart_uploads set expires_at = now() where id = %s",
        (begun["upload_id"],),
    )
    await clean_uploads.fn(storage, database)
    cursor = await db.execute(
        "select state from aseagi.multipart_uploads where id = %s", (begun["upload_id"],)
    )
    assert await cursor.fetchone() == ("done",)
    ((source, _, _, note),) = await arrivals_of(db, key)
    assert (source, note) == ("upload", "found in the attic")


async def test_parts_that_no_row_stands_for_are_thrown_away_and_open_uploads_are_not(
    caller: Caller,
    storage: ObjectStorage,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client, matter = storage.client(), f"stray-{uuid4().hex[:8]}"
    begun = (await a_large_upload(caller, 100, matter=matter)).json()
    client.create_multipart_upload(Bucket=storage.bucket, Key=f"uploads/{matter}/stray.pdf")

    def begun_keys() -> list[str]:
        listed = client.list_multipart_uploads(Bucket=storage.bucket, Prefix=f"uploads/{matter}")
        return [one.get("Key", "") for one in listed.get("Uploads", [])]

    await clean_uploads.fn(storage, database)
    assert len(begun_keys()) == 2  # it may be that its row is being written
    monkeypatch.setattr(uploads, "STRAY_AGE", timedelta(seconds=-5))
    await clean_uploads.fn(storage, database)
    assert begun_keys() == [f"uploads/{matter}/large.pdf"]
    assert (await caller.http.delete(f"/uploads/large/{begun['upload_id']}")).status_code == 204


# `aseagi add`


async def add(caller: Caller, candidates: list[Candidate]) -> list[Added]:
    sent: list[int] = []
    async with open_gateway_client(caller.url, caller.token) as client:
        added = await client.add(candidates, Lane.BULK, sent.append)
    assert sum(sent) == sum(one.size_bytes for one in candidates)
    return added


def candidate(path: Path, matter: str) -> Candidate:
    return Candidate(path, path.name, matter, path.stat().st_size)


async def test_add_sends_what_is_not_there_skips_what_cannot_be_taken_and_names_it(
    caller: Caller, storage: ObjectStorage, db: Connection, tmp_path: Path
) -> None:
    matter = f"add-{uuid4().hex[:8]}"
    contents = {"a.pdf": PDF + matter.encode(), "b.txt": b"\x00no", "c.pdf": b""}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    with (tmp_path / "large.pdf").open("wb") as large:
        large.write(PDF + os.urandom(100))
        large.truncate(LARGE_BYTES + 1)
    names = ("a.pdf", "b.txt", "c.pdf", "large.pdf")
    candidates = [candidate(tmp_path / name, matter) for name in names]
    added = await add(caller, candidates)
    assert [one.outcome for one in added] == ["added", "skipped", "skipped", "added"]
    assert [one.reason for one in added if one.reason] == [
        NONE_OF_THEM,
        "The file is empty.",
    ]
    assert added[0].key is not None
    assert content_of(storage, added[0].key) == contents["a.pdf"]
    assert added[3].key is not None
    await document_of(db, added[3].key)  # by now what came in parts has a digest that is believed
    again = await add(caller, candidates)
    assert [one.outcome for one in again] == [
        "already there",
        "skipped",
        "skipped",
        "already there",
    ]
    assert len(keys_of(storage, matter)) == 2


# The one-time link


async def a_link(db: Connection, **changes: timedelta) -> str:
    token = secrets.token_urlsafe(32)
    await create_link(
        db,
        token_hash=hashlib.sha256(token.encode()).digest(),
        source="telegram",
        submitted_by="somebody",
        matter="linked",
        lane=Lane.NOW,
        note="too large for the chat",
        ttl=changes.get("ttl", timedelta(hours=1)),
    )
    return f"/upload/{token}"


async def test_a_link_brings_one_file_once(
    stack: Stack, db: Connection, storage: ObjectStorage
) -> None:
    link = await a_link(db)
    content = PDF + uuid4().bytes
    async with httpx.AsyncClient(base_url=stack.addresses.gateway_url, timeout=60) as http:
        page = await http.get(link)
        assert page.status_code == 200
        assert "script-src 'self'" in page.headers["content-security-policy"]
        refused = await http.post(link, params={"path": "x.exe"}, content=b"MZ\x00")
        assert refused.status_code == 415
        both = await asyncio.gather(
            *(http.post(link, params={"path": "a b.pdf"}, content=content) for _ in range(2))
        )
        assert {one.status_code for one in both} in ({200, 404}, {200, 409})
        used = await http.post(link, params={"path": "a.pdf"}, content=content)
        assert used.status_code == 404
        assert (await http.get(link)).status_code == 404
    key = next(one.json()["key"] for one in both if one.status_code == 200)
    assert content_of(storage, key) == content
    ((source, _, lane, note),) = await arrivals_of(db, key)
    assert (source, lane, note) == ("telegram", "now", "too large for the chat")
    cursor = await db.execute(
        "select key from aseagi.upload_links where token_hash = %s",
        (hashlib.sha256(link.removeprefix("/upload/").encode()).digest(),),
    )
    assert await cursor.fetchone() == (key,)


async def test_a_link_that_is_over_or_was_never_made_is_no_link(
    stack: Stack, db: Connection
) -> None:
    async with httpx.AsyncClient(base_url=stack.addresses.gateway_url, timeout=60) as http:
        for link in (await a_link(db, ttl=timedelta(seconds=-1)), "/upload/forged"):
            assert (await http.get(link)).status_code == 404
            answer = await http.post(link, params={"path": "a.pdf"}, content=PDF)
            assert answer.status_code == 404


async def test_a_file_that_cannot_be_stored_leaves_the_link_as_it_was(
    stack: Stack, db: Connection, database: Database
) -> None:
    link = await a_link(db)
    async with httpx.AsyncClient(base_url=stack.addresses.gateway_url, timeout=60) as http:
        for path in ("..", "a\u202eb.pdf"):
            answer = await http.post(link, params={"path": path}, content=PDF)
            assert answer.status_code == 422
        assert (await http.get(link)).status_code == 200
