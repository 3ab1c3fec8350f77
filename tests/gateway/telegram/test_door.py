"""Who may come in by `POST /telegram`, and what whoever sends what."""

import json
import logging
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from gateway.app import create_app
from tests.gateway.telegram.office import Office
from tests.gateway.telegram.program import SECRET
from tests.stack.telegram.people import photo

HEADER = "X-Telegram-Bot-Api-Secret-Token"


async def post(office: Office, body: object, **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {HEADER: SECRET} | headers
    async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
        return await http.post(f"{office.url}/telegram", content=content, headers=named)


def message_of(office: Office, **changes: Any) -> dict[str, Any]:
    """A message of Ada's, as Telegram sends one."""
    sender = {"id": office.ada.id, "is_bot": False, "first_name": "Ada"}
    usual = {
        "message_id": 5,
        "from": sender,
        "chat": {"id": office.ada.id, "type": "private", "first_name": "Ada"},
        "date": 1_700_000_000,
        "text": "/help",
    }
    return {name: value for name, value in (usual | changes).items() if value is not None}


async def rows(office: Office) -> int:
    return await office.house.one("select count(*) from aseagi.telegram_updates")


@pytest.mark.parametrize("secret", ["", "wrong", SECRET[:-1], "ä" * 20])
async def test_without_the_secret_nothing_is_read_and_nothing_written(
    office: Office, secret: str
) -> None:
    headers = [(HEADER.encode(), secret.encode())] if secret else []
    update = {"update_id": 1, "message": message_of(office)}
    async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
        answer = await http.post(
            f"{office.url}/telegram", content=json.dumps(update), headers=headers
        )
    assert answer.status_code == 401
    assert await rows(office) == 0


async def test_without_a_bot_there_is_no_such_path(tmp_path: Path) -> None:
    app: FastAPI = create_app(spool_dir=tmp_path / "spool")
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as http:
        assert (await http.post("/telegram", json={"update_id": 1})).status_code == 404


async def test_a_stranger_gets_silence_and_a_line_in_the_log(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    stranger = office.town.person("Mallory")
    with caplog.at_level(logging.WARNING):
        stranger.writes("/help please, with secrets")
        office.ada.writes("/help")
        await office.hears("Send me photos or files")
    assert stranger.heard() == []
    assert await rows(office) == 1
    assert f"user {stranger.id}" in caplog.text
    assert "with secrets" not in caplog.text


async def test_in_a_group_even_an_allowed_person_is_not_heard(office: Office) -> None:
    group = message_of(office, chat={"id": -100_200, "type": "supergroup", "title": "All of us"})
    assert (await post(office, {"update_id": 7, "message": group})).status_code == 200
    assert await rows(office) == 0


async def test_the_same_update_five_times_at_once_is_one_document(office: Office) -> None:
    sent = office.ada.photographs(photo(200), held=True)
    answers = await office.deliver(sent.update_id, times=5, at_once=True)
    assert answers == [200] * 5
    await office.arrived(1)
    assert await office.deliver(sent.update_id) == [200]
    await office.settled()
    await office.do_everything()
    await office.hears("the original")
    await office.all_told()
    assert len(await office.documents()) == len(await office.arrivals()) == 1
    assert len(office.ada.heard()) == 2


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"null", b"{", b'{"update_id": "x"}', b'{"update_id": -1}', b"\xff\xfe", b"5"],
)
async def test_what_is_no_update_is_refused(office: Office, body: bytes) -> None:
    assert (await post(office, body)).status_code == 400
    assert await rows(office) == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"chat": "nowhere"},
        {"from": None},
        {"message_id": 2**70},
        {"date": -5},
        {"photo": [{"file_id": "a b\n"}]},
        {"document": 7},
    ],
)
async def test_an_update_that_is_not_understood_is_not_repeated_for_ever(
    office: Office, changes: dict[str, Any]
) -> None:
    update = {"update_id": 9, "message": message_of(office, **changes)}
    assert (await post(office, update)).status_code == 200
    assert await rows(office) == 0


async def test_text_that_postgres_cannot_store_is_stored_without_it(office: Office) -> None:
    message = message_of(office, text="/search a\x00b \ud800 c")
    assert (await post(office, {"update_id": 11, "message": message})).status_code == 200
    await office.settled()
    assert await rows(office) == 1


async def test_a_body_without_end_is_refused(office: Office) -> None:
    assert (await post(office, b"x" * 2_000_000)).status_code == 413


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd", "etc-passwd"),
        ("a\\b/c\x07.jpg", "a-b-c .jpg"),
        ("\u202egpj.exe\u202c.jpg", "gpj.exe .jpg"),
        ("   ", None),
        ("....", None),
        ("Ärger mit Müller 👩‍⚖️.jpg", "Ärger mit Müller 👩 ⚖️.jpg"),
        ("x" * 400 + ".jpg", "x" * 150 + ".jpg"),
        ("<b>bold</b> & 'quoted'.jpg", "<b>bold<-b> & 'quoted'.jpg"),
    ],
)
async def test_a_hostile_name_is_cleaned_and_never_fails(
    office: Office, name: str, kept: str | None
) -> None:
    sent = office.ada.hands_in(photo(300), name)
    await office.arrived(1)
    [(key, _, _)] = await office.arrivals()
    expected = kept if kept is not None else f"document-{sent.message_id}"
    assert key == f"uploads/{expected}" or (key.startswith("uploads/") and "." in key)
    await office.do_everything()
    await office.hears("the original")
    assert len(await office.documents()) == 1


async def test_a_caption_as_long_as_telegram_allows_is_the_note(office: Office) -> None:
    caption = ("#estate-of-miller " + "ä" * 2000)[:1024]
    office.ada.photographs(photo(301), caption=caption)
    await office.arrived(1)
    [(key, note, _)] = await office.arrivals()
    assert key.startswith("uploads/estate-of-miller/")
    assert note == "ä" * (1024 - len("#estate-of-miller "))


@pytest.mark.parametrize("matter", ["a/b", "..", "x" * 201])
async def test_a_matter_that_cannot_be_called_so_is_one_clear_line(
    office: Office, matter: str
) -> None:
    office.ada.photographs(photo(302), caption=f"#{matter} note")
    told = await office.hears("this did not work")
    assert "matter's name" in told
    await office.settled()
    assert await office.arrivals() == []


async def test_what_is_no_document_is_answered_in_one_line(office: Office) -> None:
    office.ada.send("sticker")
    await office.hears("this is none of them")
    office.ada.writes("good morning")
    await office.hears("/help lists them")


async def test_the_token_is_in_no_line_of_the_log(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        office.town.order(
            {"on": "getFile", "kind": "drop", "times": 1},
            {"on": "file", "kind": "cut", "times": 1},
            {"on": "sendMessage", "kind": "500", "times": 1},
        )
        office.ada.photographs(photo(303))
        await office.arrived(1)
        await office.hears("received")
    assert office.town.struck() == 3
    assert office.town.running.bot_token.partition(":")[2] not in caplog.text
