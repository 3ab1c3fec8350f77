"""Files in files: each becomes a document, linked to what it came in, whatever happens between."""

import asyncio
import hashlib
import io
import zipfile
from email.message import EmailMessage
from uuid import uuid4

import pytest

from schema.analysis import DocumentType
from schema.corrections import CorrectedField, Said
from sql.corrections import correct, take_back
from sql.deletions import ask_deletion
from sql.documents import list_documents
from sql.jobs import analyse_again, retry_jobs
from sql.members import LeftBehind, left_behind, list_containers, list_members
from tasks import containers, intake
from tests.tasks.formats.compound import Attached, message
from tests.tasks.intake.conftest import BUCKET, Desk

NOW = {"lane": "now", "submitted-by": "ada", "source": "telegram"}


def packed(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as written:
        for name, content in files.items():
            written.writestr(name, content)
    return out.getvalue()


def mail(subject: str, **attached: bytes) -> bytes:
    made = EmailMessage()
    made["From"], made["Subject"], made["Message-ID"] = "ann@example.org", subject, f"<{subject}>"
    made.set_content(f"About {subject}.")
    for name, content in attached.items():
        made.add_attachment(
            content, maintype="application", subtype="octet-stream", filename=f"{name}.txt"
        )
    return made.as_bytes()


async def test_whatever_lies_in_a_zip_becomes_documents_that_know_where_they_came_from(
    desk: Desk,
) -> None:
    mark = uuid4().hex
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_BZIP2) as written:
        written.writestr("zeros", b"0" * 40_000_000)
    inner = packed({"deep.txt": f"deep {mark}".encode()})
    outer = packed(
        {
            "../../letter.txt": f"letter {mark}".encode(),
            "mail/one.eml": mail(mark, note=f"note {mark}".encode(), nested=inner),
            "outlook.msg": message(body=mark, attached=[Attached("m.txt", mark.encode())]),
            "sheet.bin": b"\x00\x01" + mark.encode(),
            "bomb.zip": bomb.getvalue(),
        }
    )
    await desk.arrive("uploads/smith/box.zip", outer, **NOW)
    await desk.take_in_all()

    documents = await desk.documents()
    assert {path: row[1:3] for path, row in documents.items()} == {
        "box.zip": ("completed", 0),
        "box.zip/letter.txt": ("queued", 1),
        "box.zip/mail/one.eml": ("queued", 1),
        "box.zip/mail/one.eml/note.txt": ("queued", 1),
        "box.zip/mail/one.eml/nested.txt": ("completed", 0),
        "box.zip/mail/one.eml/nested.txt/deep.txt": ("queued", 1),
        "box.zip/outlook.msg": ("queued", 1),
        "box.zip/outlook.msg/m.txt": ("queued", 1),
        "box.zip/sheet.bin": ("failed", 0),
        "box.zip/bomb.zip": ("failed", 0),
    }
    assert documents["box.zip/sheet.bin"][3].startswith("Only PDF")
    assert "packed to less than a 200th" in documents["box.zip/bomb.zip"][3]
    arrivals = await desk.house.rows(
        """
        select distinct source, submitted_by, lane::text, split_part(key, '/', 2)
        from aseagi.arrivals where key like '%%/box.zip/%%'
        """
    )
    assert arrivals == [("telegram", "ada", "now", "smith")]
    sources = await desk.house.rows("select distinct source, state from aseagi.pages")
    assert sources == [("file", "done")]

    # What people see of it.
    async with desk.pool.connection() as db:
        rows = {row.file_name: row for row in await list_documents(db)}
        assert rows["box.zip"].part_of is None
        assert rows["letter.txt"].part_of == "box.zip"
        assert rows["deep.txt"].part_of == "nested.txt"
        assert (rows["box.zip"].analysis or {})["title"] == "Archive box.zip (5 files)"
        members = await list_members(db, rows["box.zip"].id)
        assert [(one.name, one.status) for one in members] == [
            ("letter.txt", "queued"),
            ("mail/one.eml", "queued"),
            ("outlook.msg", "queued"),
            ("sheet.bin", "failed"),
            ("bomb.zip", "failed"),
        ]
        (container,) = await list_containers(db, rows["letter.txt"].id)
        assert (container.document_id, container.name) == (rows["box.zip"].id, "letter.txt")
        # What stays of either when the other is deleted.
        box, letter = rows["box.zip"].id, rows["letter.txt"].id
        assert await left_behind(db, [box]) == LeftBehind(members=5, containers=[])
        assert await left_behind(db, [letter]) == LeftBehind(members=0, containers=["box.zip"])
        assert await left_behind(db, [box, letter]) == LeftBehind(members=4, containers=[])
        # An archive has nothing to read or analyse again.
        assert await retry_jobs(db, document_id=rows["box.zip"].id) == 0
        assert await analyse_again(db, document_ids=[rows["box.zip"].id]) == 0

    # The same again is nothing new, and the original is kept.
    await desk.arrive("uploads/jones/again.zip", outer)
    assert [one.outcome for one in await desk.take_in_all()] == ["duplicate"]
    assert await desk.content_of(hashlib.sha256(outer).hexdigest()) == outer


async def test_taking_a_container_in_may_end_anywhere_and_is_done_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = uuid4().hex
    files = {f"{number}.txt": f"{number} {mark}".encode() for number in range(3)}
    await desk.arrive(f"uploads/{mark}/box.zip", packed(files), **NOW)

    class Killed(BaseException):
        """What a killed process does after this: nothing."""

    put, record = containers._put, intake._record  # pyright: ignore[reportPrivateUsage]
    done = 0

    def dies_at_the_second(*args: object, **named: object) -> object:
        nonlocal done
        done += 1
        if done == 2:
            raise Killed
        return put(*args, **named)  # pyright: ignore[reportArgumentType, reportCallIssue]

    async def dies_before_it_is_recorded(*args: object, **named: object) -> object:
        raise Killed

    monkeypatch.setattr(containers, "_put", dies_at_the_second)
    with pytest.raises(Killed):
        await desk.take_in()
    monkeypatch.setattr(containers, "_put", put)
    # The store tells of the member that is there already; it is taken in before its container.
    listed = desk.storage.client().list_objects_v2(Bucket=BUCKET, Prefix=f"uploads/{mark}/box.zip/")
    (there,) = [item["Key"] for item in listed.get("Contents", []) if "Key" in item]
    await desk.arrive(there, files["0.txt"], **NOW)
    monkeypatch.setattr(intake, "_record", dies_before_it_is_recorded)
    with pytest.raises(Killed):
        await desk.take_in()
    monkeypatch.setattr(intake, "_record", record)

    await desk.take_in_all()
    documents = await desk.documents()
    assert sorted(row[1] for row in documents.values()) == ["completed", *["queued"] * 3]
    keys = await desk.house.rows("select key, state from aseagi.arrivals order by key")
    folder = f"uploads/{mark}/box.zip"
    assert keys == [(folder, "ingested"), *((f"{folder}/{n}.txt", "ingested") for n in range(3))]


async def test_containers_in_containers_share_their_room_and_end_three_deep(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = uuid4().hex
    content = packed({"x.txt": mark.encode()})
    for depth in range(3):
        content = packed({f"{depth}.zip": content, f"{depth}.txt": f"{depth} {mark}".encode()})
    monkeypatch.setattr(containers, "MAX_MEMBERS", 5)
    await desk.arrive(f"raw/{mark}/box.zip", content)
    await desk.take_in_all()
    documents = await desk.documents()
    assert documents["box.zip/2.zip/1.zip"][1] == "completed"
    # Two and two are taken out, so one of the third's two has no room any more.
    refused = await desk.house.rows("select name, refused from aseagi.members where refused <> ''")
    assert [name for name, _ in refused] == ["0.txt"]
    assert documents["box.zip/2.zip/1.zip/0.zip"][1] == "failed"
    assert "more than 3 containers" in documents["box.zip/2.zip/1.zip/0.zip"][3]


async def test_of_a_zip_that_is_just_being_deleted_nothing_is_put_anywhere(desk: Desk) -> None:
    mark = uuid4().hex
    content = packed({"memo.txt": f"privileged {mark}".encode()})
    await desk.arrive(f"raw/{mark}/mail.zip", content)
    await desk.take_in_all()
    deleted = await desk.house.rows("select id from aseagi.documents")
    assert len(deleted) == 2
    async with desk.pool.connection() as db:
        for (document,) in deleted:
            await ask_deletion(db, document, by="M. Lopez")
    client = desk.storage.client()
    memo = f"uploads/{mark}/mail.zip/memo.txt"
    client.delete_object(Bucket=BUCKET, Key=memo)

    await desk.arrive(f"raw/{mark}/again.zip", content)
    (again,) = await desk.take_in()
    assert again.outcome == "waits"
    for folder in (f"uploads/{mark}/", f"processed/{hashlib.sha256(content).hexdigest()}/pages"):
        assert client.list_objects_v2(Bucket=BUCKET, Prefix=folder)["KeyCount"] == 0


async def test_what_lay_too_deep_is_taken_in_when_it_comes_by_itself(desk: Desk) -> None:
    mark = uuid4().hex
    deep = packed({"deep.txt": f"deep {mark}".encode()})
    inner = mail(f"inner {mark}", zipped=deep, note=f"note {mark}".encode())
    outer = mail(f"outer {mark}", two=packed({"inner.eml": inner}))
    await desk.arrive(f"uploads/{mark}/box.zip", packed({"outer.eml": outer}))
    await desk.take_in_all()
    named = await desk.house.rows(
        """
        select document.file_name, job.status, document.page_count,
            (select count(*) from aseagi.members where parent_id = document.id and refused is null)
        from aseagi.documents document join aseagi.processing_jobs job
            on job.document_id = document.id order by 1
        """
    )
    assert ("inner.eml", "queued", 1, 0) in named

    for _ in range(2):
        await desk.arrive(f"uploads/{mark}/inner.eml", inner)
        await desk.take_in_all()
    assert {path: row[1:3] for path, row in (await desk.documents()).items()}.items() >= {
        "inner.eml/zipped.txt": ("completed", 0),
        "inner.eml/zipped.txt/deep.txt": ("queued", 1),
        "inner.eml/note.txt": ("queued", 1),
    }.items()
    members = await desk.house.rows(
        "select name, refused from aseagi.members where parent_id = (select id from "
        "aseagi.documents where file_name = 'inner.eml') order by number"
    )
    assert members == [("zipped.txt", None), ("note.txt", None)]


async def a_zip_that_lies_too_deep(desk: Desk) -> tuple[str, bytes]:
    """Its folder and its bytes; it failed."""
    mark = uuid4().hex
    content = packed({"deep.txt": f"deep {mark}".encode()})
    within = {"within": f"3 {'ab' * 32}", "original-path": "in.zip"}
    await desk.arrive(f"uploads/{mark}/in.zip", content, **within)
    await desk.take_in_all()
    return mark, content


async def test_a_zip_that_failed_for_lying_too_deep_is_taken_in_by_itself(desk: Desk) -> None:
    mark, content = await a_zip_that_lies_too_deep(desk)
    assert (await desk.documents())["in.zip"][1] == "failed"

    await desk.arrive(f"uploads/{mark}/again.zip", content)
    taken = await desk.take_in_all()
    assert [one.outcome for one in taken] == ["document", "document"]
    documents = await desk.documents()
    assert documents["in.zip"][:3] == ("application/zip", "completed", 0)
    assert documents["again.zip/deep.txt"][1:3] == ("queued", 1)


async def test_what_people_said_of_a_zip_that_failed_stays_when_it_is_taken_in(desk: Desk) -> None:
    mark, content = await a_zip_that_lies_too_deep(desk)
    zipped = await desk.house.one("select id from aseagi.documents")
    async with desk.pool.connection() as db:
        await correct(db, zipped, Said(title="Exhibits", type=DocumentType.LETTER), by="M. Lopez")
    await desk.arrive(f"uploads/{mark}/again.zip", content)
    await desk.take_in_all()
    shown = await desk.house.rows(
        "select title, document_type from aseagi.documents where id = %s", zipped
    )
    assert shown == [("Exhibits", "letter")]
    async with desk.pool.connection() as db:
        await take_back(db, zipped, [CorrectedField.TITLE], by="M. Lopez")
    title = await desk.house.one("select title from aseagi.documents where id = %s", zipped)
    assert title == "Archive again.zip (1 file)"


async def test_a_list_gives_way_only_to_one_of_more_and_nothing_is_put_for_less(desk: Desk) -> None:
    mark = uuid4().hex
    files = {f"{number}.txt": f"{number} {mark}".encode() for number in range(3)}
    content = packed(files | {"again.zip": packed({}), "bomb.zip": b"PK"})
    locked = bytearray(content)
    at = content.index(b"bomb.zip", content.index(b"PK\x01\x02"))
    locked[at - 38] |= 1  # in the directory: it has a password
    content = bytes(locked)

    async def names() -> list[str]:
        rows = await desk.house.rows(
            "select name from aseagi.members where refused is null order by number"
        )
        return [row[0] for row in rows]

    await desk.arrive(f"raw/{mark}/box.zip", content)
    await desk.take_in_all()
    assert await names() == [*files, "again.zip"]
    client = desk.storage.client()
    within = {"within": f"1 {'cd' * 32}"}
    for folder in ("other", "within"):
        key = f"uploads/{mark}-{folder}/box.zip"
        await desk.arrive(key, content, **(within if folder == "within" else {}))
        (known,) = await desk.take_in()
        assert known.outcome == "duplicate"
        listing = client.list_objects_v2(Bucket=BUCKET, Prefix=f"{key}/")
        assert listing["KeyCount"] == 0
    assert await names() == [*files, "again.zip"]


async def test_a_store_that_answers_is_not_away(desk: Desk) -> None:
    assert not await asyncio.to_thread(intake.is_away, desk.storage)
    nobody = desk.storage.model_copy(update={"bucket": f"no-such-{uuid4().hex[:8]}"})
    assert await asyncio.to_thread(intake.is_away, nobody)
