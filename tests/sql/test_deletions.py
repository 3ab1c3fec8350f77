"""A deleted document is gone from every table at once, and nothing brings it back."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg.sql import SQL, Identifier

from schema.claude import Outcome, Step, Usage
from schema.corrections import Said
from schema.lanes import Lane
from sql import arrivals
from sql.arrivals import SeenObject
from sql.claude import DocumentGone, Limits, NewCall, Served, intend_batch, settle_served
from sql.connection import Connection
from sql.corrections import correct
from sql.deletions import (
    LATE,
    TOLD_INSTEAD,
    BeingDeleted,
    ask_deletion,
    deletion_done,
    inbox_objects,
    list_deletions,
    objects_gone,
    open_deletions,
    take_turn,
)
from sql.documents import insert_document
from sql.jobs import claim_for_analysis, complete_job
from tests.sql.house import TTL, House, analysis, new_document

LIMITS = Limits(Decimal(100), Decimal(100), Decimal(100))


async def delete(house: House, document: UUID, *, why: str | None = None) -> UUID:
    async with house.transaction():
        deletion = await ask_deletion(house.db, document, by="M. Lopez", why=why)
    assert deletion is not None
    return deletion


async def arrive(house: House, document: UUID, key: str, etag: str = "e") -> None:
    """Let a document have arrived so."""
    await house.change(
        "insert into aseagi.arrivals (key, etag, size_bytes, state, document_id, source, lane, "
        "settled_at, note, original_path) "
        "values (%s, %s, 10, 'ingested', %s, 'upload', 'bulk', now(), 'a note', '/home/x')",
        key, etag, document,
    )  # fmt: skip


async def see(house: House, key: str, etag: str = "e") -> int:
    async with house.transaction():
        return await arrivals.notice(house.db, [SeenObject(key, etag, 10)], source="bucket")


async def finish(house: House, deletion: UUID) -> None:
    """Let its objects be removed, and time pass, and all be over."""
    async with house.transaction():
        assert await take_turn(house.db, deletion, state="asked")
        await objects_gone(house.db, deletion, objects=3, exports=["an-export"])
    await pass_time(house)
    async with house.transaction():
        assert await take_turn(house.db, deletion, state="objects gone")
        assert await deletion_done(house.db, deletion, objects=0, exports=[])


async def pass_time(house: House) -> None:
    await house.change("update aseagi.deletions set asked_at = asked_at - %s", LATE)


ABOUT_A_DOCUMENT = """
    select table_name from information_schema.columns
    where table_schema = 'aseagi' and column_name = 'document_id'
        and table_name not in ('deletions', 'charges', 'claude_calls')
"""


async def test_it_leaves_every_table_and_its_cost_and_the_audit_stay(house: House) -> None:
    document = await house.add(new_document("words", None, matter="smith"))
    other = await house.add(new_document("other words"))
    await arrive(house, document, "raw/smith/a.pdf")
    host = await house.begin()
    lease = await house.lease(host)
    await house.change(
        "insert into aseagi.charges (key, kind, dollars, quantity, unit, what, incurred_on, "
        "document_id) values ('k', 'llm', 1, 1, 'tokens', 'x', now(), %s)",
        document,
    )
    deletion = await delete(house, document, why="privileged")
    for (table,) in await house.rows(ABOUT_A_DOCUMENT):
        left = await house.owner.execute(
            SQL("select from aseagi.{} where document_id = %s").format(Identifier(table)),
            (document,),
        )
        assert left.rowcount == 0, table
    assert await house.rows("select dollars, document_id from aseagi.charges") == [(1, None)]
    assert await house.rows("select id from aseagi.documents") == [(other,)]
    # What the host reports is refused, and its lease holds it back from nothing.
    assert await house.settle(host, lease) == (0, [])
    assert await house.rows("select state from aseagi.leases") == [("done",)]
    async with house.transaction():
        [audit] = await list_deletions(house.db)
        assert await ask_deletion(house.db, document, by="again") is None
    assert (audit.id, audit.asked_by, audit.why, audit.state, audit.pages, audit.matter) == (
        deletion, "M. Lopez", "privileged", "asked", 2, "smith",
    )  # fmt: skip


async def test_of_a_matter_only_what_still_belongs_to_it_goes(house: House) -> None:
    document = await house.add(new_document("x", matter="smith"))
    async with house.transaction():
        await correct(house.db, document, Said(matter="jones"), by="a colleague")
        assert await ask_deletion(house.db, document, by="x", matter="smith") is None
        assert await house.one("select count(*) from aseagi.deletions") == 0
        assert await ask_deletion(house.db, document, by="x", matter="jones") is not None


async def test_of_a_lease_with_others_pages_only_those_are_stored(house: House) -> None:
    gone, stays = await house.add_scan(2), await house.add_scan(1)
    host = await house.begin()
    lease = await house.lease(host)
    assert len(lease.pages) == 3
    await delete(house, gone)
    assert await house.settle(host, lease) == (1, [stays])
    assert await house.rows("select state from aseagi.leases") == [("done",)]


async def test_what_lies_in_an_inbox_still_is_not_taken_in_again_but_what_comes_later_is(
    house: House,
) -> None:
    document = await house.add(new_document("words"))
    await arrive(house, document, "raw/a.pdf")
    deletion = await delete(house, document)
    assert await see(house, "raw/a.pdf") == 0
    async with house.transaction():
        assert await inbox_objects(house.db, deletion) == [SeenObject("raw/a.pdf", "e", 10)]
    said = await house.rows("select note, original_path, submitted_by from aseagi.arrivals")
    assert said == [(None, None, None)], "nothing of what people said of it stays"
    assert await see(house, "raw/a.pdf", "other content") == 1
    async with house.transaction():
        await objects_gone(house.db, deletion, objects=1, exports=[])
    assert await see(house, "raw/a.pdf") == 1


async def test_until_it_is_over_the_same_content_waits_and_is_a_new_document_then(
    house: House,
) -> None:
    same = new_document("words", content="the same")
    document = await house.add(same)
    deletion = await delete(house, document)
    with pytest.raises(BeingDeleted):
        await house.add(same)
    assert await see(house, "raw/again.pdf") == 1
    async with house.transaction():
        [arrival] = await arrivals.begin_arrivals(house.db, limit=9)
        await arrivals.put_off_arrival(house.db, arrival.id, wait=timedelta(minutes=1))
        assert await arrivals.begin_arrivals(house.db, limit=9) == []
        assert await arrivals.count_waiting_arrivals(house.db) == 0
    await finish(house, deletion)
    await house.change("update aseagi.arrivals set waits_until = now() - interval '1 s'")
    async with house.transaction():
        [again] = await arrivals.begin_arrivals(house.db, limit=9)
    assert again.attempts == 1, "that it had to wait is no attempt"
    new = await house.add(same)
    assert new != document


async def test_a_copy_made_before_the_deletion_was_over_is_made_again(house: House) -> None:
    same = new_document("words", content="the same")
    document = await house.add(same)
    before = datetime.now(UTC)
    await finish(house, await delete(house, document))
    with pytest.raises(BeingDeleted):
        async with house.transaction():
            await insert_document(house.db, same, looked_at=before)
    async with house.transaction():
        _, new = await insert_document(house.db, same, looked_at=datetime.now(UTC))
    assert new


async def test_it_goes_on_one_state_at_a_time_by_one_process_and_is_over_once(
    house: House,
) -> None:
    deletion = await delete(house, await house.add(new_document("words")))
    async with house.transaction(), house.another_process() as other:
        assert [one.id for one in await open_deletions(other, limit=9)] == [deletion]
        assert await take_turn(house.db, deletion, state="asked")
        assert not await take_turn(other, deletion, state="asked"), "another has it at hand"
        await objects_gone(house.db, deletion, objects=3, exports=["e"])
    async with house.transaction():
        assert await open_deletions(house.db, limit=9) == [], "what comes late has time to come"
        assert not await deletion_done(house.db, deletion, objects=0, exports=[])
    await pass_time(house)
    for over in (True, False):
        async with house.transaction():
            assert await deletion_done(house.db, deletion, objects=1, exports=["f"]) is over
    async with house.transaction():
        [audit] = await list_deletions(house.db)
    assert (audit.state, audit.objects, audit.exports) == ("done", 4, ["e", "f"])


async def test_the_audit_cannot_be_deleted_by_the_application(house: House) -> None:
    allowed = await house.one(
        "select has_table_privilege('aseagi_app', 'aseagi.deletions', 'delete')"
    )
    assert allowed is False


async def test_an_analysis_that_comes_later_is_lost(house: House) -> None:
    document, holder = await house.add(new_document("words")), uuid4()
    async with house.transaction():
        [job] = await claim_for_analysis(
            house.db, holder=holder, limit=1, ttl=TTL, lanes=list(Lane)
        )
    await delete(house, document)
    async with house.transaction():
        assert not await complete_job(house.db, job, analysis(), holder=holder)


def call_about(document: UUID) -> NewCall:
    return NewCall(
        id=uuid4(), document_id=document, step=Step(1, 1, "pages"), plan="p", round=0,
        model="m", reserved_dollars=Decimal("0.1"), rehearsal=False,
    )  # fmt: skip


async def intend(house: House, calls: list[NewCall]) -> None:
    async with house.transaction():
        await intend_batch(house.db, uuid4(), calls, LIMITS, holder=uuid4())


def answered() -> Served:
    return Served(
        uuid4().hex, Usage(1, 1, 0, 0), Decimal("0.05"), Outcome.ANSWERED, answer={"a": 1}
    )


async def test_the_answer_of_an_open_batch_is_paid_for_and_forgotten(house: House) -> None:
    document, stays = await house.add(new_document("w")), await house.add(new_document("v"))
    call = call_about(document)
    await intend(house, [call])
    await delete(house, document)
    async with house.transaction():
        assert await settle_served(house.db, call.id, answered())
    assert await house.rows("select dollars, document_id from aseagi.charges") == [
        (Decimal("0.05"), None)
    ]
    assert await house.rows("select document_id from aseagi.claude_answers") == []
    calls = [call_about(stays), call_about(document)]
    with pytest.raises(DocumentGone) as gone:
        await intend(house, calls)
    assert gone.value.document_id == document
    assert await house.one("select count(*) from aseagi.claude_batches") == 1


async def test_chats_forget_what_they_were_told(house: House) -> None:
    document = await house.add(new_document("words"))
    await arrive(house, document, "uploads/a.pdf")
    await house.change(
        """
        with progress as (
            insert into aseagi.telegram_messages (chat_id, wanted, shown, message_id)
            values (1, '<b>a.pdf</b>: done', '<b>a.pdf</b>: done', 70) returning id
        ), reply as (
            insert into aseagi.telegram_replies (chat_id, message, shared)
            select 1, id, true from progress returning id
        ), file as (
            insert into aseagi.telegram_files
                (update_id, reply_id, message_id, name, key, etag, size_bytes)
            select 5, id, 50, 'a.pdf', 'uploads/a.pdf', 'e', 10 from reply
        )
        insert into aseagi.telegram_updates
            (update_id, chat_id, message_id, has_file, message, lead, settled_at)
        values (5, 1, 50, true, '{"caption": "secret"}', 5, now()),
            (6, 1, 51, true, '{"caption": "another"}', 6, now())
        """
    )
    told = f"<b>A letter</b> \x02original:{document}\x03"
    await house.change(
        "insert into aseagi.telegram_messages (chat_id, wanted, shown, message_id) "
        "values (1, %s, %s, 71), (1, 'of another', 'of another', 72)",
        told, told,
    )  # fmt: skip
    await delete(house, document)
    assert await house.rows("select wanted, shown from aseagi.telegram_messages order by id") == [
        (TOLD_INSTEAD, ""), (TOLD_INSTEAD, ""), ("of another", "of another"),
    ]  # fmt: skip
    assert await house.rows("select message from aseagi.telegram_updates order by update_id") == [
        ({},), ({"caption": "another"},),
    ]  # fmt: skip
    assert await house.rows("select 1 from aseagi.telegram_files") == []
    assert await house.one("select count(*) from aseagi.telegram_replies where ended_at is null"
                           ) == 0  # fmt: skip


async def test_a_twin_taken_in_while_its_document_is_deleted_is_refused_not_lost(
    house: House,
) -> None:
    same = new_document("words", content="the same")
    document = await house.add(same)

    async def take_in(db: Connection) -> Any:
        async with db.transaction():
            return await insert_document(db, same)

    async with house.another_process() as other:
        await other.execute("select 1")
        await other.commit()
        async with house.transaction():
            await ask_deletion(house.db, document, by="x")
            taking = asyncio.create_task(take_in(other))
            await house.until_blocked(other)
        with pytest.raises(BeingDeleted):
            await asyncio.wait_for(taking, 30)


async def test_a_report_and_a_deletion_at_one_moment_leave_one_of_the_two_whole(
    house: House,
) -> None:
    document = await house.add_scan(1)
    host = await house.begin()
    lease = await house.lease(host)

    async def deletes(db: Connection) -> Any:
        async with db.transaction():
            return await ask_deletion(db, document, by="x")

    async with house.another_process() as other:
        await other.execute("select 1")
        await other.commit()
        async with house.transaction():
            assert await house.settle(host, lease) == (1, [document])
            deleting = asyncio.create_task(deletes(other))
            await house.until_blocked(other)
        assert await asyncio.wait_for(deleting, 30) is not None
    assert await house.rows("select 1 from aseagi.pages") == []
