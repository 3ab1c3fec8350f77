"""What is asked in a chat, and what is said of documents that mean no good."""

import html
import re
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from gateway.telegram.captions import read_captions, safe_name
from gateway.telegram.wording import (
    LINK_START,
    MOST_CHARACTERS,
    analysis_message,
    lines,
    plain,
    visible_length,
)
from schema.failures import BadInput
from schema.lanes import DAYTIME
from sql.controls import read_controls
from sql.documents import list_documents
from sql.jobs import claim_for_analysis, complete_job
from sql.telegram_replies import SentFile
from stack.telegram.entities import parse
from tests.gateway.telegram.office import Office
from tests.sql.house import House, analysis, new_document


async def test_search_shows_pages_with_title_words_and_link(office: Office) -> None:
    document = new_document("The landlord kept the deposit & the key.", matter="smith")
    await office.house.add(document)
    await office.analyse()
    office.ada.writes("/search deposit")
    told = await office.hears("the original (until")
    assert "landlord kept the deposit" in told
    assert "page 1 · smith" in told
    [answer] = office.ada.heard()
    assert "bold" in {entity["type"] for entity in answer["entities"]}
    office.ada.writes("/search nothing of that kind")
    await office.hears("No page says nothing of that kind.")
    office.ada.writes("/search")
    await office.hears("Which words?")


async def test_status_says_what_waits(office: Office) -> None:
    await office.house.add_scan(3)
    office.ada.writes("/status")
    told = await office.hears("Pages: 3 wait")
    assert "Documents: 1 under way" in told


async def test_pause_and_resume_are_the_same_switch_as_the_command_lines(office: Office) -> None:
    office.ada.writes("/pause")
    await office.hears("Paused", "by Ada in Telegram")
    async with office.pool.connection() as db:
        assert (await read_controls(db)).paused_reason == "by Ada in Telegram"
    office.ada.writes("/resume")
    await office.hears("Spending is allowed again")
    async with office.pool.connection() as db:
        assert not (await read_controls(db)).paused


async def test_a_document_that_holds_markup_is_shown_as_it_is_written(house: House) -> None:
    text = 'ORDER <a href="https://evil.example">click</a> </b> &lt; \x02original:x\x03\n' * 50
    document_id = await house.add(new_document(text))
    holder, ttl = uuid4(), timedelta(minutes=1)
    async with house.transaction():
        [job] = await claim_for_analysis(
            house.db, holder=holder, limit=1, ttl=ttl, lanes=list(DAYTIME)
        )
        found = analysis(title=text[:200]).model_copy(update={"summary": text})
        await complete_job(house.db, job, found, holder=holder)
        [row] = await list_documents(house.db, ids=[document_id])
    told = analysis_message(a_file(document_id), row)
    assert told.count(LINK_START) == 1
    assert told.count("<b>") == told.count("</b>") == 1
    shown = parse(told, "HTML")
    assert '<a href="https://evil.example">click</a> </b> &lt;' in shown.text
    assert [one["type"] for one in shown.entities] == ["bold"]


def a_file(document_id: UUID) -> SentFile:
    """A file that became that document, which was analysed."""
    return SentFile(
        update_id=1,
        message_id=1,
        name="a.pdf",
        remark=None,
        waits=None,
        refused=None,
        is_link=False,
        link_expired=False,
        stored=True,
        arrival_state="ingested",
        arrival_error=None,
        known_before=False,
        document_id=document_id,
        status="completed",
        stage="done",
        lane="now",
        job_waits_for=None,
        job_waits_until=None,
        job_error=None,
        pages=1,
        pages_settled=1,
        pages_failed=0,
    )


def test_lines_are_cut_at_what_telegram_takes_and_stay_valid() -> None:
    many = [f"<b>{plain('<&>' * 30)}</b> 👩‍⚖️" for _ in range(200)]
    text = lines(*many)
    assert visible_length(text) <= MOST_CHARACTERS + 2
    assert text.endswith("…")
    parsed = parse(text, "HTML")
    assert parsed.text == html.unescape(re.sub("</?b>", "", text))


@pytest.mark.parametrize(
    ("captions", "matter", "note"),
    [
        ([None, "", "  "], None, None),
        (["#smith-v-jones"], "smith-v-jones", None),
        (["from the attic #smith-v-jones, in a box"], "smith-v-jones", "from the attic in a box"),
        (["one", "two", "one"], None, "one\ntwo"),
        (["front", "#a #b back"], "a", "front #b back"),
        (["costs $5 for item no#7"], None, "costs $5 for item no#7"),
        (["#Müller:"], "Müller", None),
    ],
)
def test_the_first_hashtag_is_the_matter_and_the_rest_the_note(
    captions: list[str | None], matter: str | None, note: str | None
) -> None:
    found = read_captions(captions)
    assert (found.matter, found.note) == (matter, note)


@pytest.mark.parametrize("caption", ["#...", "#a\\b", "#x\u202e"])
def test_a_matter_that_cannot_be_a_folder_is_refused(caption: str) -> None:
    with pytest.raises(BadInput, match="matter's name"):
        read_captions([caption])


def test_a_name_that_was_cleaned_once_stays_as_it_is() -> None:
    for name in ("a/../b.pdf", "x" * 500 + ".jpeg", "\u202egpj", ".hidden", "Straße 1.PDF"):
        once = safe_name(name, otherwise="document")
        assert safe_name(once, otherwise="document") == once
