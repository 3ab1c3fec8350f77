"""What chats are told when Telegram fails, wants a pause, or is not there."""

from datetime import timedelta

from schema.failures import Failure, Stage
from tests.gateway.telegram.office import Office
from tests.sql.house import new_document
from tests.stack.telegram.people import photo


async def test_what_telegram_was_away_for_is_told_afterwards(office: Office) -> None:
    office.ada.photographs(photo(400))
    await office.arrived(1)
    await office.hears("received")
    office.town.running.kill()
    await office.do_everything()
    office.town.running.child.start()
    office.town.running.wait_ready()
    await office.hears("the original")
    await office.all_told()
    assert len(office.ada.heard()) == 2


async def test_a_pause_that_telegram_asks_for_is_kept(office: Office) -> None:
    office.town.order({"on": "sendMessage", "kind": "429", "seconds": 2, "times": 1})
    office.ada.writes("/help")
    await office.hears("Send me photos or files")
    assert office.town.struck() == 1


async def test_an_answer_that_is_lost_may_be_told_twice_but_never_not_at_all(
    office: Office,
) -> None:
    office.town.order({"on": "sendMessage", "kind": "drop-after", "times": 1})
    office.ada.writes("/help")
    await office.hears("Send me photos or files")
    await office.all_told()
    assert len(office.ada.heard()) == 2
    assert len(set(office.ada.texts())) == 1


async def test_an_edit_whose_answer_is_lost_is_no_trouble(office: Office) -> None:
    office.town.order({"on": "editMessageText", "kind": "drop-after", "times": 1})
    office.ada.photographs(photo(401))
    await office.arrived(1)
    await office.do_everything()
    await office.hears("the original")
    await office.all_told()
    assert office.town.struck() == 1
    assert len(office.ada.heard()) == 2


async def test_a_file_that_cannot_be_fetched_now_is_fetched_later(office: Office) -> None:
    office.town.order(
        {"on": "getFile", "kind": "500", "times": 1},
        {"on": "file", "kind": "cut", "times": 1},
        {"on": "getFile", "kind": "429", "seconds": 1, "after": 1, "times": 1},
    )
    content = photo(402)
    office.ada.photographs(content)
    await office.arrived(1)
    assert office.town.struck() == 3
    await office.do_everything()
    await office.hears("the original")
    [(document_id, *_)] = await office.documents()
    assert await office.original(document_id) == content


async def test_somebody_who_blocked_the_bot_holds_nobody_else_up(office: Office) -> None:
    bea = office.town.person("Bea")
    assert office.service is not None
    office.service.settings.allowed_user_ids.append(bea.id)
    body = {"user": office.ada.id, "blocked": True}
    office.ada.writes("/help")
    await office.hears("Send me photos or files")
    office.town.control.post("/rehearsal/block", json=body).raise_for_status()
    office.ada.writes("/status")
    bea.writes("/help")
    await office.hears("Send me photos or files", person=bea)
    await office.all_told()
    assert len(office.ada.heard()) == 1


async def test_a_message_that_its_reader_deleted_is_not_edited_for_ever(office: Office) -> None:
    office.ada.photographs(photo(403))
    await office.hears("received")
    [status] = office.ada.heard()
    path = f"/rehearsal/chats/{office.ada.id}/{status['message_id']}"
    office.town.control.delete(path).raise_for_status()
    await office.arrived(1)
    await office.do_everything()
    await office.hears("the original")
    await office.all_told()


async def test_a_bulk_is_told_once_to_everybody_who_may_use_the_bot(closed_office: Office) -> None:
    office = closed_office
    bea = office.town.person("Bea")
    office.settings = {
        "allowed_user_ids": [office.ada.id, bea.id],
        "digest_documents": 20,
        "digest_quiet_seconds": 0.0,
    }
    for person in (office.ada, bea):
        person.send("text", text="/start", held=True)
    async with office.open():
        # Few until the last moment: the digest looks every second.
        for _ in range(5):
            failed = Failure(stage=Stage.INGEST, reason="The PDF is locked.", retry_helps=False)
            await office.house.add(new_document(failed=failed))
        for _ in range(19):
            await office.house.add(new_document("Some words of a letter."))
        await office.analyse()
        for person in (office.ada, bea):
            told = await office.hears("19 done, 5 failed", person=person)
            assert "5× The PDF is locked." in told
        await office.house.add(new_document("One more."))
        await office.analyse()
        office.ada.writes("/help")
        await office.hears("Send me photos or files")
        await office.all_told()
    assert len(bea.heard()) == 1
    assert await office.house.one("select count(*) from aseagi.telegram_digests") == 2


async def test_what_came_by_telegram_is_not_told_of_again_as_a_bulk(closed_office: Office) -> None:
    office = closed_office
    office.settings = {"digest_documents": 1, "digest_quiet_seconds": 0.0}
    async with office.open():
        office.ada.photographs(photo(404))
        await office.arrived(1)
        await office.do_everything()
        await office.hears("the original")
        await office.house.add(new_document("From another door."))
        await office.analyse()
        await office.hears("1 done, 0 failed")
        await office.all_told()
    assert len(office.ada.heard()) == 3


async def test_old_updates_and_what_was_said_of_them_are_forgotten(office: Office) -> None:
    from sql.telegram_updates import forget_settled

    office.ada.photographs(photo(405))
    await office.arrived(1)
    await office.do_everything()
    await office.hears("the original")
    await office.all_told()
    async with office.house.transaction():
        assert await forget_settled(office.house.db, older_than=timedelta(days=1)) == 0
    await office.house.owner.execute(
        """
        with updates as (
            update aseagi.telegram_updates set settled_at = settled_at - interval '2 days'
        ), messages as (
            update aseagi.telegram_messages set created_at = created_at - interval '2 days'
        )
        update aseagi.telegram_replies set ended_at = ended_at - interval '2 days'
        """
    )
    async with office.house.transaction():
        assert await forget_settled(office.house.db, older_than=timedelta(days=1)) == 1
    assert (
        await office.house.one(
            """
        select (select count(*) from aseagi.telegram_updates)
            + (select count(*) from aseagi.telegram_messages)
            + (select count(*) from aseagi.telegram_replies)
            + (select count(*) from aseagi.telegram_files)
        """
        )
        == 0
    )
    assert len(await office.documents()) == 1
